//! Moves bytes: wires, lines, boards, benches, leases, and the clock.
