//! One device: the channel, named operations with documented effects, and the only code that sends something irreversible.
