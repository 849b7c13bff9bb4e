//! What must be true of the devices and of the records, whatever happened: the devices' own counters are the judge.

use std::collections::BTreeSet;

use lineside_flow::interlock::Protected;
use lineside_flow::plan::Name;
use lineside_flow::{Body, Event, Line, Shift};
use lineside_records::Disk;
use lineside_runner::Program;
use lineside_simulator::control::{BoardTruth, InstalledImage};
use lineside_terms::{BootId, ManufacturingState};

use super::{Floor, station};

/// A device that is finished: locked, with exactly the plan's images, nothing else left on it.
#[track_caller]
pub fn is_finished(truth: &BoardTruth, program: &Program, context: &str) {
    assert_eq!(truth.state, ManufacturingState::DeviceComplete, "{context}");
    let image = |name: &str| {
        let image = program.image(&name.parse::<Name>().unwrap()).unwrap();
        (image.component, image.image)
    };
    let expected = BTreeSet::from([image("board-config"), image("application")]);
    let pair = |image: &InstalledImage| (image.component, image.image);
    assert_eq!(
        truth.images.iter().map(pair).collect::<BTreeSet<_>>(),
        expected,
        "{context}"
    );
    assert_eq!(truth.networks, Vec::<String>::new(), "{context}");
    assert!(!truth.has_staged, "{context}");
    assert_eq!(truth.capabilities, [], "{context}");
    let counters = &truth.counters;
    assert_eq!(counters.irreversible_applied, 1, "{context}");
    assert_eq!(counters.wrong_target_writes, 0, "{context}");
}

/// Nothing irreversible was asked of a device, and nothing was written to it.
#[track_caller]
pub fn is_untouched(truth: &BoardTruth, context: &str) {
    assert_eq!(truth.counters.writes, 0, "{context}: {truth:#?}");
    assert_eq!(truth.counters.irreversible_asked, 0, "{context}");
}

/// What holds of every device at every moment.
#[track_caller]
pub fn is_safe(truth: &BoardTruth, context: &str) {
    let counters = &truth.counters;
    assert_eq!(counters.wrong_target_writes, 0, "{context}");
    assert!(counters.irreversible_applied <= 1, "{context}");
    assert!(
        counters.irreversible_asked <= 1,
        "{context}: asked {} times",
        counters.irreversible_asked
    );
}

/// Folds a history as the next start would.
pub fn fold(history: Vec<Event>) -> Line {
    let boot = BootId::from_bytes([0xEE; 16]);
    Line::resume(station(), boot, Protected::default(), Shift::default(), history).unwrap()
}

/// The records are whole, and say of every device what the device says of itself.
#[track_caller]
pub fn records_agree(floor: &Floor, context: &str) {
    let truths = (0..floor.world.board_count()).map(|board| floor.truth(board));
    records_agree_with(&floor.disk, floor.history(), truths, context);
}

/// As [`records_agree`], of any disk and any devices.
#[track_caller]
pub fn records_agree_with(
    disk: &dyn Disk,
    history: Vec<Event>,
    truths: impl Iterator<Item = BoardTruth>,
    context: &str,
) {
    let verified = lineside_records::verify(disk, None).unwrap();
    assert_eq!(
        (verified.damage, verified.torn.is_some()),
        (None, false),
        "{context}"
    );
    assert_eq!(verified.head.sequence, history.len() as u64, "{context}");
    let line = fold(history.clone());
    for truth in truths {
        let intents = history.iter().filter(|event| {
            event.device == Some(truth.device_id) && matches!(event.body, Body::Intended { .. })
        });
        assert!(
            truth.counters.irreversible_asked <= intents.count() as u64,
            "{context}: asked without an intent"
        );
        let is_open = line
            .unresolved()
            .any(|intent| intent.key.device == truth.device_id);
        if truth.state == ManufacturingState::DeviceComplete && truth.counters.irreversible_applied > 0 {
            let decided = history.iter().any(|event| {
                event.device == Some(truth.device_id) && matches!(event.body, Body::Decided { .. })
            });
            assert!(
                is_open || decided,
                "{context}: locked, and the records do not know of it"
            );
        }
    }
}
