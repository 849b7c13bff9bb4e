//! What is written to a device by hand is noted down for the station's records, before it is sent.

use lineside_records::hand::{self, HandNote, HandWrite};
use lineside_runner::{WallClock, by_hand};
use lineside_terms::BootId;

use super::hold::{self, Held};
use super::{Action, Job};
use crate::bench::OpenBench;
use crate::screen;
use crate::trouble::Failure;

/// Notes down what a command is about to write; nothing for one that reads, nor where the devices end with this process.
pub(super) fn begin(job: &Job<'_>, bench: &OpenBench, held: &Held) -> Result<Option<HandNote>, Failure> {
    if hold::reads_only(job.command.action) || bench.is_anew {
        return Ok(None);
    }
    let write = HandWrite {
        boot: new_boot()?,
        at: WallClock::of_system(bench.clock.clone()).stamp(),
        operator: std::env::var("LINESIDE_OPERATOR")
            .ok()
            .filter(|name| !name.is_empty()),
        slot: held.placed.board.slot.clone(),
        device: held.hand.id(),
        verb: format!(
            "azsphere {}",
            job.command.names.first().map_or("", |(_, words)| words)
        ),
        is_undoing: undoes(job.command.action),
    };
    hand::begin(&job.station.folder, &write)
        .map(Some)
        .map_err(|error| Failure::of(&error))
}

/// Notes down how it ended.
pub(super) fn end(note: HandNote, job: &Job<'_>, failure: Option<&Failure>) {
    let error = failure.map(|failure| &*failure.told);
    let takes_many = matches!(
        job.command.action,
        Action::Deploy | Action::Delete | Action::UpdateCapability
    );
    if let Err(error) = note.end(by_hand::outcome_of(error, takes_many), error) {
        screen::aside(&format!(
            "the records will say that it is unclear how this ended: {error}"
        ));
    }
}

/// A name for this start of the program.
pub(super) fn new_boot() -> Result<BootId, Failure> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| {
        Failure::station("station.no-randomness", "the system gave no randomness", &error)
    })?;
    Ok(BootId::from_bytes(bytes))
}

/// Whether it changes software or settings that a ready check proves.
const fn undoes(action: Action) -> bool {
    matches!(
        action,
        Action::Deploy
            | Action::Delete
            | Action::UpdateCapability
            | Action::WifiAdd
            | Action::WifiEnable
            | Action::WifiDisable
            | Action::WifiForget
            | Action::ProxyApply
            | Action::ProxyDelete
            | Action::ProxyEnable
            | Action::ProxyDisable
            | Action::CertificateAdd
            | Action::CertificateDelete
    )
}
