//! What goes over the wires, without I/O or clock: SLIP and the device REST operations.
