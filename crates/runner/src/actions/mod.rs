//! What a step does: one exhaustive match, one file per kind.
//!
//! Each file documents what it sends, what it leaves on the device, and what it does when it may have been done
//! already.

mod final_look;
mod functional_test;
mod load_image;
mod os_version;
mod remove_image;
mod restart;
pub(crate) mod update_os;
mod wifi_test;

use lineside_device::{DeviceError, Verified};
use lineside_flow::plan::Action;
use lineside_flow::{Measurement, Report};
use lineside_terms::{Outcome, SlotPath, Told};

use crate::error::UnitFault;
use crate::program::Program;
use crate::slot::{Common, Hands, Stop};

/// What an action has at hand.
pub(crate) struct At<'a> {
    /// The board, with a verified connection to the device that the step is for.
    pub(crate) hands: &'a mut Hands,
    /// The socket.
    pub(crate) path: &'a SlotPath,
    /// What all slots share.
    pub(crate) common: &'a Common,
    /// The plan and its bytes.
    pub(crate) program: &'a Program,
    /// Which step of the plan.
    pub(crate) step: usize,
    /// Set when somebody asked to stop.
    pub(crate) stop: &'a Stop,
}

impl At<'_> {
    /// The connection to the device.
    pub(crate) fn device(&mut self) -> Result<&mut Verified, Trouble> {
        self.hands
            .verified()
            .ok_or_else(|| UnitFault::NotConnected.into())
    }

    /// Ends an action early when somebody asked to stop. Called where nothing is left half done.
    pub(crate) fn heed_stop(&self) -> Result<(), Trouble> {
        if self.stop.is_asked() {
            Err(UnitFault::Stopped.into())
        } else {
            Ok(())
        }
    }
}

/// Why an action did not come to its good end.
#[derive(Debug)]
pub(crate) struct Trouble {
    pub(crate) outcome: Outcome,
    pub(crate) told: Told,
    pub(crate) is_link_over: bool,
    pub(crate) measurements: Vec<Measurement>,
}

impl From<DeviceError> for Trouble {
    fn from(error: DeviceError) -> Self {
        // Whatever leaves the state of the connection in doubt ends it; only clear answers keep it.
        let is_link_over = !matches!(
            error,
            DeviceError::Status { .. }
                | DeviceError::Unreadable(_)
                | DeviceError::NotServed { .. }
                | DeviceError::NotDone { .. }
                | DeviceError::Path(_)
                | DeviceError::Dialogue { .. }
        );
        Self {
            outcome: Outcome::Error,
            told: Told::of(&error),
            is_link_over,
            measurements: Vec::new(),
        }
    }
}

impl From<UnitFault> for Trouble {
    fn from(fault: UnitFault) -> Self {
        let outcome = match fault {
            UnitFault::TimeOut { .. }
            | UnitFault::Stopped
            | UnitFault::PlanUnknown
            | UnitFault::NotConnected
            | UnitFault::OtherDevice { .. } => Outcome::Error,
            _ => Outcome::Fail,
        };
        let is_link_over = matches!(fault, UnitFault::TimeOut { .. } | UnitFault::NotConnected);
        Self {
            outcome,
            told: fault.into(),
            is_link_over,
            measurements: Vec::new(),
        }
    }
}

impl Trouble {
    /// The connection is over, whatever it was.
    pub(crate) const fn of(outcome: Outcome, told: Told) -> Self {
        Self {
            outcome,
            told,
            is_link_over: true,
            measurements: Vec::new(),
        }
    }

    /// The same with what was measured until then.
    pub(crate) fn with(mut self, measurements: Vec<Measurement>) -> Self {
        self.measurements = measurements;
        self
    }

    /// As the engine is told.
    pub(crate) fn report(self) -> Report {
        Report {
            measurements: self.measurements,
            ..Report::failed(self.outcome, self.told, self.is_link_over)
        }
    }
}

/// A good end with something to say.
pub(crate) fn passed(note: impl Into<String>) -> Report {
    Report {
        note: Some(note.into()),
        ..Report::passed()
    }
}

/// Does one step. It is never dropped halfway except by its time-out, after which the connection is given up.
pub(crate) async fn perform(mut at: At<'_>) -> Result<Report, Trouble> {
    match &at.program.plan().steps[at.step].action {
        Action::OsVersion(_) => os_version::perform(&mut at).await,
        Action::UpdateOs(update) => update_os::perform(&mut at, update).await,
        Action::LoadImage(load) => load_image::perform(&mut at, load).await,
        Action::FunctionalTest(test) => functional_test::perform(&mut at, test).await,
        Action::RemoveImage(remove) => remove_image::perform(&mut at, remove).await,
        Action::WifiTest(test) => wifi_test::perform(&mut at, test).await,
        Action::Restart(_) => restart::perform(&mut at).await,
        Action::FinalLook(_) => final_look::perform(&mut at).await,
        // The engine does these itself, from facts and by permit; they never come here.
        Action::ReadyCheck(_) | Action::SetState(_) => Err(UnitFault::PlanUnknown.into()),
    }
}
