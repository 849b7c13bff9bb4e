//! The station that boards are worked on at: what a batch and a recovery have in common.

use std::rc::Rc;

use lineside_device::SessionConfig;
use lineside_flow::interlock::Protected;
use lineside_flow::{Event, Line, Shift};
use lineside_link::Bench;
use lineside_terms::{BootId, StationName};

use crate::error::RunnerError;
use crate::history::History;
use crate::wall::WallClock;

/// The station that boards are worked on at.
pub struct Place {
    /// Its name.
    pub station: StationName,
    /// This start of the program: 16 random bytes.
    pub boot: BootId,
    /// The program's version, for the record.
    pub program_version: String,
    /// The bench as it was named, for the record.
    pub bench_name: String,
    /// The boards.
    pub bench: Rc<dyn Bench>,
    /// Clock and wall time.
    pub wall: WallClock,
    /// How devices are reached and whom to trust.
    pub session: SessionConfig,
    /// Who works.
    pub shift: Shift,
}

impl Place {
    /// The engine as the journal left it, and the events of this start of the program.
    pub(crate) fn resume(
        &self,
        protected: Protected,
        history: History,
    ) -> Result<(Line, Vec<Event>), RunnerError> {
        let (station, shift) = (self.station.clone(), self.shift.clone());
        let past = history.into_past().map_err(RunnerError::History)?;
        let mut line = Line::after(station, self.boot, protected, shift, past);
        let started = line.start(&self.program_version, &self.bench_name, self.wall.stamp());
        Ok((line, started))
    }
}

impl std::fmt::Debug for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Place")
            .field("station", &self.station)
            .field("bench", &self.bench_name)
            .finish_non_exhaustive()
    }
}
