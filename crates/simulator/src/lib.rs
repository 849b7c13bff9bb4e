//! Simulated chips, boards and benches that can be believed, with faults and counters.
