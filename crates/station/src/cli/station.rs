//! What commands that write records have in common: the station as they tell it, how they are stopped, how they end.

use std::path::Path;
use std::rc::Rc;

use lineside_flow::Shift;
use lineside_runner::{Cancel, History, Keeper, Place, WallClock};
use lineside_terms::{Blame, Told};

use super::args::Global;
use super::bench::OpenBench;
use super::exit::Exit;
use super::output::Printer;
use super::trouble::Trouble;
use super::{data, evidence, records};

/// The station on an open bench.
pub(super) fn place(global: &Global, bench: &OpenBench, shift: Shift) -> Result<Place, Trouble> {
    let wall = WallClock::of_system(bench.clock.clone());
    Ok(Place {
        station: global.station.clone(),
        boot: data::boot_id()?,
        program_version: env!("CARGO_PKG_VERSION").to_owned(),
        bench_name: global.bench.to_string(),
        session: bench.session(wall.stamp().wall_ms),
        bench: Rc::clone(&bench.bench),
        wall,
        shift,
    })
}

/// The clock, seen beside the newest record. One that was set back is told: runs go on, as all that counts for them is in
/// order, and their records say that their times cannot be trusted.
pub(super) fn known_clock(wall: WallClock, history: &History, printer: &Printer) -> WallClock {
    let newest = history.newest_ms();
    if let Some(newest) = newest.filter(|newest| wall.is_behind(*newest)) {
        let at =
            |ms| jiff::Timestamp::from_millisecond(ms).map_or_else(|_| "-".to_owned(), |at| at.to_string());
        printer.told(&Told {
            code: "station.clock-set-back".to_owned(),
            message: format!(
                "the clock shows {}, and the newest record is of {}: it was set back, or was wrong before",
                at(wall.stamp().wall_ms),
                at(newest)
            ),
            help: "Set the clock. Work goes on, nothing is lost, and what is recorded now says that its times cannot be \
                   trusted."
                .to_owned(),
            blame: Blame::Station,
        });
    }
    wall.after_record(newest)
}

/// The first Ctrl-C asks, the second ends the process.
pub(super) fn stop_on_ctrl_c(cancel: &Cancel, printer: Printer, stopping: &'static str) {
    let cancel = cancel.clone();
    tokio::task::spawn_local(async move {
        lineside_link::asked_to_stop().await;
        printer.note(stopping);
        cancel.ask();
        lineside_link::asked_to_stop().await;
        printer.note("stopped at once: run the same command again to go on");
        stop_process();
    });
}

#[expect(
    clippy::exit,
    reason = "a second Ctrl-C means now; a kill at any moment is safe by design"
)]
fn stop_process() -> ! {
    std::process::exit(Exit::Stopped as i32)
}

/// How it went.
pub(super) struct End<'a> {
    /// Everything that was asked for is so and is recorded.
    pub(super) is_good: bool,
    pub(super) is_cancelled: bool,
    /// What the journal said when it failed.
    pub(super) store_error: Option<&'a Told>,
}

/// Closes the journal, brings the view up to date, and says how the command exits.
pub(super) fn close(keeper: Keeper, folder: &Path, end: &End<'_>, printer: &Printer) -> Exit {
    // Everything is durable; a journal that failed has said so.
    drop(keeper.close());
    evidence::checkpoint_after_work(folder, printer);
    // The view is for looking; when it cannot be made now it is made when somebody looks.
    if let Err(trouble) = records::open_view(folder) {
        printer.note(&format!(
            "note: the view was not brought up to date: {}",
            trouble.told
        ));
    }
    if let Some(error) = end.store_error {
        printer.told(error);
        return Exit::Station;
    }
    match (end.is_cancelled, end.is_good) {
        (true, _) => Exit::Stopped,
        (false, true) => Exit::Good,
        (false, false) => Exit::NotGood,
    }
}
