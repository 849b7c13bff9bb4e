//! Every command with its names, options and text in each generation, as data (reference `azsphere-cli.md`, 4 and 5).
//!
//! How sure each text is stands beside its transcripts in `transcripts/`.

mod application;
mod device;
mod elsewhere;
mod files;
mod network;
mod wifi;

use crate::grammar::{Command, Opt, many, one};

const COMPONENT: Opt = one(
    "component",
    &["--component-id", "-i"],
    "A component of the device, by its id",
);

const EXCEPT: Opt = many(
    "except",
    &["--except-component-ids", "-e"],
    "Components that stay, by their ids",
);

/// All commands. The order is that of help.
pub(crate) fn all() -> impl Iterator<Item = &'static Command> {
    [
        device::COMMANDS,
        application::COMMANDS,
        wifi::COMMANDS,
        network::COMMANDS,
        files::COMMANDS,
        elsewhere::COMMANDS,
    ]
    .into_iter()
    .flatten()
}
