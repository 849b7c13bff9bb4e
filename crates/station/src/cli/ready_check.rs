//! `lineside ready-check`: is a board ready to ship. Reads only.
//!
//! Every check is reported: pass, fail, or unknown when the device does not say. Unknown is not ready, unless the
//! records of this station hold the proof from before the device was locked (`--data`), or `--allow-skipped` is given,
//! as the vendor's script behaves. Options may be spelt as that script spells them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use lineside_device::Scope;
use lineside_flow::interlock::{Check, Earlier, Expectation, Facts, OsRelease, RunFacts, judge};
use lineside_runner::survey::{Found, Survey, look};
use lineside_runner::{WallClock, program};
use lineside_terms::{ComponentId, DeviceId, Digest, ImageId, Outcome, RunId, SlotPath, Told};
use serde::Serialize;

use super::args::{Global, ImageName, ReadyCheckArgs};
use super::exit::Exit;
use super::output::{Printer, Tone};
use super::slots::Names;
use super::trouble::Trouble;
use super::{bench, choose, on_host_thread, records};

pub(crate) fn run(global: &Global, args: &ReadyCheckArgs, printer: &Printer) -> Result<Exit, Trouble> {
    on_host_thread(async {
        let bench = bench::open(&global.bench).await?;
        let names = Names::of_station(global);
        let releases = if args.os.is_empty() {
            Vec::new()
        } else {
            program::read_os_list(&args.os_list)?
        };
        let help = "Name one with --slot, or check every one with --all.";
        let all = bench.bench.list().await?;
        let meant = choose::slots(global, &all, &args.slot, &args.ip)?;
        let boards = choose::boards(all, &meant, args.all, help)?;
        let wall_ms = WallClock::of_system(bench.clock.clone()).stamp().wall_ms;
        let survey = Survey {
            session: bench.session(wall_ms),
            scope: Scope::ALL,
            patience: Duration::from_secs(args.timeout),
            holder: "lineside ready-check".to_owned(),
        };
        let proofs = records::proofs(global);
        let mut is_good = !boards.is_empty();
        for found in look(&bench.bench, &bench.clock, boards, &survey).await {
            is_good &= report(&found, args, &releases, &proofs, &names, printer);
        }
        Ok(if is_good { Exit::Good } else { Exit::NotGood })
    })?
}

/// What the command line expects of one device. Images named without their component take the one that the device
/// lists them under, or, when it is locked, the one under which they were proven.
fn expectation(
    args: &ReadyCheckArgs,
    releases: &[OsRelease],
    facts: &Facts,
    earlier: Option<&Earlier>,
) -> Expectation {
    let listed = |wanted: ImageId| -> Option<ComponentId> {
        match facts.images.read() {
            Some(images) => {
                let found = images
                    .components
                    .iter()
                    .find(|component| component.image == Some(wanted));
                found.map(|component| component.component)
            }
            None => earlier.and_then(|earlier| earlier.component_of(wanted)),
        }
    };
    let images: BTreeMap<ComponentId, ImageId> = args
        .images
        .iter()
        .map(|ImageName { component, image }| {
            // One that is not there at all must show as missing, under whatever name.
            let absent = ComponentId::from_bytes_le(image.to_bytes_le());
            (component.or_else(|| listed(*image)).unwrap_or(absent), *image)
        })
        .collect();
    Expectation {
        images,
        allowed_components: args.allow.iter().copied().collect::<BTreeSet<_>>(),
        ..Expectation::bare(args.state, args.os.clone(), releases.to_vec())
    }
}

/// One object of `--json`.
#[derive(Serialize)]
struct Object<'a> {
    version: u32,
    kind: &'static str,
    slot: &'a SlotPath,
    is_ready: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    device: Option<DeviceId>,
    checks: &'a [Check],
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a Told>,
}

/// Tells what was found; true when the device is ready.
fn report(
    found: &Found,
    args: &ReadyCheckArgs,
    releases: &[OsRelease],
    proofs: &BTreeMap<DeviceId, Earlier>,
    names: &Names,
    printer: &Printer,
) -> bool {
    let slot = &found.board.slot;
    let shown = names.show(slot);
    let facts = match &found.facts {
        Ok(facts) => facts,
        Err(error) => {
            let object = Object {
                version: 1,
                kind: "ready-check",
                slot,
                is_ready: false,
                device: None,
                checks: &[],
                error: Some(error),
            };
            printer.object(&object);
            printer.result(&format!(
                "{shown}  {}  {error}\n  remedy: {}",
                Tone::Bad.paint("FAIL"),
                error.help
            ));
            return false;
        }
    };
    let earlier = proofs.get(&facts.device);
    // No act follows from this look: run and plan are of no account.
    let run = RunFacts {
        run: RunId::from_bytes([0; 16]),
        plan: Digest::ZERO,
        is_every_needed_step_passed: false,
    };
    let judgement = judge(&expectation(args, releases, facts, earlier), facts, &run, earlier);
    let is_fine = |outcome: Outcome| outcome.is_good() || (args.allow_skipped && outcome == Outcome::Unknown);
    let is_ready = judgement.checks.iter().all(|check| is_fine(check.outcome));
    let device = Some(facts.device);
    let checks = &judgement.checks;
    printer.object(&Object {
        version: 1,
        kind: "ready-check",
        slot,
        is_ready,
        device,
        checks,
        error: None,
    });
    let word = if is_ready {
        Tone::Good.paint("PASS")
    } else {
        Tone::Bad.paint("FAIL")
    };
    printer.result(&format!("{shown}  {}  {word}", facts.device.short()));
    for check in checks {
        let (word, tone) = match check.outcome {
            Outcome::Pass => ("pass", Tone::Good),
            Outcome::Fail => ("fail", Tone::Bad),
            _ => ("unknown", Tone::Unclear),
        };
        let covered = check
            .covered_by
            .map(|run| format!(" (proven before by run {})", run.short()))
            .unwrap_or_default();
        let said = if args.verbose || check.outcome != Outcome::Pass {
            format!(": expected {}, found {}", check.expected, check.found)
        } else {
            String::new()
        };
        printer.result(&format!("  {} {}{said}{covered}", tone.paint(word), check.name));
    }
    is_ready
}
