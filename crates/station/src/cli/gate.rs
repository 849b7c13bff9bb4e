//! How runs start: plugging in, scanning, asking; and what is said of it.

use std::io::BufRead as _;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use futures::Stream;
use futures::channel::mpsc;
use lineside_flow::plan::Plan;
use lineside_link::Clock;
use lineside_runner::gate::{Gate, Hook, News};
use lineside_terms::{SlotPath, Told};
use serde::Serialize;

use super::args::{Global, RunArgs, Start};
use super::hook::Child;
use super::output::Printer;
use super::slots::Names;
use super::trouble::Trouble;
use lineside_runner::policy;

/// How boards go through before they are taken; `None` when nothing stands between.
pub(super) fn of(
    global: &Global,
    args: &RunArgs,
    names: &Names,
    plan: &Plan,
) -> Result<Option<Gate>, Trouble> {
    let folder = global.data.clone().unwrap_or_else(lineside_link::data_folder);
    let refuses_unknown = policy::refuses_unknown_slots(&folder)?;
    if !args.continuous && args.hook.is_none() && !refuses_unknown {
        return Ok(None);
    }
    let by_name = names.by_name();
    let known = refuses_unknown.then(|| by_name.values().cloned().collect());
    let hook = args.hook.as_ref().map(|program| {
        let hook: Rc<dyn Hook> = Rc::new(Child {
            program: program.clone(),
            patience: Duration::from_secs(args.hook_timeout),
            clock: Clock::precise(),
            station: global.station.clone(),
            operator: args.operator.clone(),
            shift: args.shift.clone(),
            work_order: args.work_order.clone(),
            names: names.clone(),
            unsaid: plan.secrets_in_environment().map(ToOwned::to_owned).collect(),
        });
        hook
    });
    let stable = if args.continuous { args.stable } else { 0 };
    Ok(Some(Gate {
        stable: Duration::from_secs(stable),
        scans: (args.continuous && args.start != Start::Attach).then(scans),
        is_by_key: args.start == Start::Key,
        hook,
        give_up_after: Some(args.stop_after).filter(|failures| *failures > 0),
        is_continuous: args.continuous,
        known,
        names: by_name,
    }))
}

/// The lines of standard input. A thread of its own reads them: it ends with the process, whatever it waits for.
fn scans() -> Pin<Box<dyn Stream<Item = String>>> {
    let (send, lines) = mpsc::unbounded();
    let read = move || {
        for line in std::io::stdin().lock().lines() {
            let Ok(line) = line else { return };
            if send.unbounded_send(line).is_err() {
                return;
            }
        }
    };
    // Where no thread is to be had nothing is scanned, and the command ends as at the end of the input.
    drop(std::thread::Builder::new().name("scans".into()).spawn(read));
    Box::pin(lines)
}

/// One object of `--json`.
#[derive(Serialize)]
struct Object<'a> {
    version: u32,
    kind: &'static str,
    what: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    slot: Option<&'a SlotPath>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a Told>,
}

/// Tells people and programs.
pub(super) fn tell(news: &News, names: &Names, printer: &Printer) {
    let (what, slot, error) = match news {
        News::Waits { slot, is_for_key } => match is_for_key {
            true => ("waits-for-key", Some(slot), None),
            false => ("waits-for-scan", Some(slot), None),
        },
        News::Scan { error } => ("scan-refused", None, Some(error)),
        News::Stopped { slot, error } => ("slot-stopped", Some(slot), Some(error)),
    };
    printer.object(&Object {
        version: 1,
        kind: "gate",
        what,
        slot,
        error,
    });
    match (slot, error) {
        (_, Some(error)) => printer.told(error),
        (Some(slot), None) => {
            let wanted = if what == "waits-for-key" {
                "the key"
            } else {
                "a scan"
            };
            printer.note(&format!("{}  waits for {wanted}", names.show(slot)));
        }
        (None, None) => {}
    }
}
