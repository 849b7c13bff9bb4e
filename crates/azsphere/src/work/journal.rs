//! The station's journal, for commands that do more than one write by hand.

use std::rc::Rc;

use lineside_flow::Shift;
use lineside_runner::{History, Keeper, Place, WallClock, store};
use lineside_terms::StationName;

use super::{Job, hold, note};
use crate::bench::OpenBench;
use crate::trouble::Failure;

/// A journal that is open, with what it tells of earlier, and where work is done.
pub(super) struct Journal {
    pub(super) place: Place,
    pub(super) history: History,
    pub(super) keeper: Keeper,
}

/// Opens the station's journal; a journal apart where the devices end with this process.
pub(super) fn open(job: &Job<'_>, bench: &OpenBench, shift: Shift) -> Result<Journal, Failure> {
    let folder = &job.station.folder;
    let records = if bench.is_anew {
        let now = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%S%6f");
        folder.join(format!("sim-{now}"))
    } else {
        folder.clone()
    };
    let station = station_name()?;
    let (journal, history) = store::open(&records, station.clone()).map_err(|error| Failure::of(&error))?;
    let keeper = Keeper::start(journal).map_err(|error| Failure::of(&error))?;
    let place = Place {
        station,
        boot: note::new_boot()?,
        program_version: env!("CARGO_PKG_VERSION").to_owned(),
        bench_name: job.station.bench(),
        session: hold::session(bench, hold::PATIENCE, None),
        bench: Rc::clone(&bench.bench),
        wall: WallClock::of_system(bench.clock.clone()),
        shift,
    };
    Ok(Journal {
        place,
        history,
        keeper,
    })
}

/// Who works here, for the records.
pub(super) fn operator() -> String {
    set_in("LINESIDE_OPERATOR").unwrap_or_else(|| "azsphere".to_owned())
}

/// What a variable says, unless it is empty.
pub(super) fn set_in(variable: &str) -> Option<String> {
    std::env::var(variable).ok().filter(|text| !text.is_empty())
}

fn station_name() -> Result<StationName, Failure> {
    const VARIABLE: &str = "LINESIDE_STATION";
    let name = set_in(VARIABLE).unwrap_or_else(|| "station".to_owned());
    StationName::new(&name).map_err(|error| {
        Failure::usage(
            "azsphere.parameter",
            format!("{VARIABLE} names no station: {error}"),
            "Correct it; nothing was sent.",
        )
    })
}
