//! Plans and the engine: a fold over events, without I/O.
