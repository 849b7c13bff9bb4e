//! The product's model of the interface chip against the simulated one, over both transports: what it asks of the
//! channels must have the effects that the schematics give it, and nothing else has.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![expect(
    unsafe_code,
    reason = "the functions of FTDI's driver are called through their table"
)]

mod bench;
mod hosts;
mod library;
mod lines;
#[path = "../support/mod.rs"]
mod support;
mod wires;

use lineside_link::Clock;
use lineside_simulator::{BootMode, Pace, World, WorldConfig};

fn world(clock: Clock) -> World {
    let config = WorldConfig {
        boards: 2,
        pace: Pace::Fast,
        ..WorldConfig::default()
    };
    World::new(config, clock).unwrap()
}

/// A world whose time stands still: what happens to its chips is caused by whoever drives them.
fn still() -> World {
    world(Clock::by_hand().0)
}

/// A world that lives on a thread of its own.
fn living() -> World {
    let world = world(Clock::precise());
    let run = world.run();
    std::thread::spawn(move || futures::executor::block_on(run));
    world
}

fn boot_mode(world: &World) -> BootMode {
    world.with_chip(0, lineside_simulator::Chip::boot_mode).unwrap()
}
