//! Things that go wrong on the device's side of the wire, scripted per board.
//!
//! A script is a list of faults, each with a *when* and a *what*, in any serde format. As JSON:
//!
//! ```json
//! {"faults": [
//!   {"board": 2, "when": {"request": {"operation": "PUT /device/manufacturing_state"}}, "what": "reset-after"},
//!   {"when": {"boot": {}}, "what": {"babble": {"bytes": 5000}}}
//! ]}
//! ```

use std::time::Duration;

use lineside_protocol::recovery::ErrorCode as RecoveryCode;
use lineside_protocol::recovery::device::Stage;
use lineside_protocol::rest::Operation;
use lineside_terms::Instant;
use serde::{Deserialize, Serialize};

use crate::SimulatorError;

/// Faults of a whole world.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FaultScript {
    /// In the order in which they are looked through; of several that fit one moment, all take effect.
    pub faults: Vec<Fault>,
}

/// One fault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// The board whose chip has it, counted from 0; none for all. It stays with the chip when boards are swapped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub board: Option<usize>,
    /// At which moment.
    pub when: When,
    /// What happens.
    pub what: What,
}

/// The moment of a fault. Counts begin with 1 when the fault is added; `times` is how often it happens from there,
/// 0 for ever.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum When {
    /// A request for this operation is complete.
    Request {
        /// `METHOD /path` as the table of operations has it, `PUT /update/stage`, or `*` for any.
        operation: String,
        /// Which one of them.
        #[serde(default = "one")]
        nth: u64,
        /// How often from there.
        #[serde(default = "one")]
        times: u64,
    },
    /// A connection to the REST port is made.
    Connect {
        /// Which one.
        #[serde(default = "one")]
        nth: u64,
        /// How often from there.
        #[serde(default = "one")]
        times: u64,
    },
    /// The device begins to boot; the boot that is under way when the world begins is the first.
    Boot {
        /// Which one.
        #[serde(default = "one")]
        nth: u64,
        /// How often from there.
        #[serde(default = "one")]
        times: u64,
    },
    /// The chip is reset with the strap high: it begins a recovery.
    Recovery {
        /// Which one.
        #[serde(default = "one")]
        nth: u64,
        /// How often from there.
        #[serde(default = "one")]
        times: u64,
    },
    /// A recovery comes to this stage.
    RecoveryStage {
        /// Which stage.
        stage: RecoveryStage,
        /// Which time that it comes there.
        #[serde(default = "one")]
        nth: u64,
        /// How often from there.
        #[serde(default = "one")]
        times: u64,
    },
    /// This many bytes have come in on the service wire.
    AfterBytes {
        /// How many.
        count: u64,
    },
    /// This long after the world's clock began.
    At {
        /// Milliseconds.
        ms: u64,
    },
}

/// How far a recovery has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RecoveryStage {
    /// The ROM waits for a bootloader.
    Rom,
    /// The bootloader runs.
    Bootloader,
    /// The recovery application runs, and flash is as it was.
    Application,
    /// Flash is being erased.
    Erasing,
    /// Manifest and images are fetched and written.
    Writing,
    /// The last tables are written.
    Finishing,
    /// Everything is written, and the chip waits for its reset.
    Done,
}

impl RecoveryStage {
    /// All of them, in order.
    pub const ALL: [Self; 7] = [
        Self::Rom,
        Self::Bootloader,
        Self::Application,
        Self::Erasing,
        Self::Writing,
        Self::Finishing,
        Self::Done,
    ];

    pub(crate) const fn of(stage: Stage) -> Option<Self> {
        Some(match stage {
            Stage::Rom => Self::Rom,
            Stage::Bootloader => Self::Bootloader,
            Stage::Application => Self::Application,
            Stage::Erasing => Self::Erasing,
            Stage::Writing => Self::Writing,
            Stage::Finishing => Self::Finishing,
            Stage::Done => Self::Done,
            Stage::Failed => return None,
        })
    }
}

const fn one() -> u64 {
    1
}

/// What happens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum What {
    /// The link is dead until the next reset.
    Silent,
    /// Noise on the wire instead of packets, until the next reset.
    Babble {
        /// How many bytes of it.
        bytes: u64,
    },
    /// The REST port stays refused until the next boot.
    HalfBoot,
    /// The board is unplugged.
    Unplug {
        /// It comes back after this many milliseconds, or never.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        replug_after_ms: Option<u64>,
    },
    /// The chips of this board and another change places, as if somebody swapped two boards.
    Swap {
        /// The other board, counted from 0.
        with: usize,
    },
    /// The recovery cables of this board's slot and another's change places: reset, strap and recovery UART of each
    /// interface board go to the other's chip. They stay with the slots when boards are swapped.
    CrossCables {
        /// The other board, counted from 0.
        with: usize,
    },
    /// The recovery cable of this board's slot hangs loose: reset, strap and recovery UART reach no chip.
    LooseCable,
    /// The connection gets a certificate that another CA signed.
    WrongCertificate,
    /// The connection gets a certificate whose time is over: or the clock of the station is wrong.
    ExpiredCertificate,
    /// The answer is followed by this many bytes of blanks and says so.
    HugeAnswer {
        /// How many.
        bytes: usize,
    },
    /// The answer ends in the middle, and so does the connection.
    TruncatedAnswer,
    /// The answer is text that is no JSON.
    NotJson,
    /// The request is refused with this, and nothing is done.
    Refuse {
        /// HTTP status.
        status: u16,
        /// The number in `{"error":…}`.
        code: u32,
    },
    /// 500 without a body, and nothing is done.
    Http500,
    /// The answer comes later by this.
    Delay {
        /// Milliseconds.
        ms: u64,
    },
    /// The supply fails before the request has any effect: a reset.
    ResetBefore,
    /// The supply fails when the request has taken effect, before its answer: a reset.
    ResetAfter,
    /// The request takes effect, then the link is dead until the next reset.
    AnswerLost,
    /// From now on the device tells another id.
    ChangeId,
    /// From now on the device tells the id of another board's chip.
    DuplicateId {
        /// The other board, counted from 0.
        of: usize,
    },
    /// A recovery is given up with this error of category 39 (`chip-to-pc-and-recovery.md` 5.8): at the beginning of a
    /// recovery this means when a device may notice it, at a stage at once. 117 is not fatal.
    RecoveryError {
        /// The number.
        code: u32,
    },
    /// At the beginning of a recovery: the device's high speed is another than it says.
    RecoverySwitchFails,
    /// The recovery hangs: nothing more is said until the next reset.
    RecoveryHang,
    /// From now on the line of the recovery damages one byte in so many, in both directions, until the next reset.
    RecoveryNoise {
        /// In how many; 0 for none.
        one_in: u64,
    },
    /// An OS update from the cloud begins: sideloading is refused until the next restart.
    UpdateInProgress,
}

impl FaultScript {
    /// A script with one fault, for the chip of one board.
    pub fn one(board: usize, when: When, what: What) -> Self {
        Self {
            faults: vec![Fault {
                board: Some(board),
                when,
                what,
            }],
        }
    }

    /// Checks what the types do not: operations exist, and boards do.
    ///
    /// # Errors
    /// With the first fault that cannot be meant.
    pub fn check(&self, boards: usize) -> Result<(), SimulatorError> {
        self.faults.iter().try_for_each(|fault| fault.check(boards))
    }
}

impl Fault {
    pub(crate) fn check(&self, boards: usize) -> Result<(), SimulatorError> {
        if let When::Request { operation, .. } = &self.when {
            let is_known =
                operation == "*" || Operation::ALL.iter().any(|known| known.to_string() == *operation);
            if !is_known {
                return Err(SimulatorError::BadConfig {
                    reason: format!(
                        "a fault waits for `{}`, which is no operation; write it as `PUT /update/stage`",
                        operation.escape_default()
                    ),
                });
            }
        }
        if let What::RecoveryError { code } = self.what
            && RecoveryCode::recovery(code).name().is_none()
        {
            return Err(SimulatorError::BadConfig {
                reason: format!("no device gives up a recovery with 39.{code}"),
            });
        }
        let named = match self.what {
            What::Swap { with } | What::CrossCables { with } => Some(with),
            What::DuplicateId { of } => Some(of),
            _ => None,
        };
        match self.board.into_iter().chain(named).find(|board| *board >= boards) {
            Some(board) => Err(SimulatorError::NoSuchBoard { board, boards }),
            None => Ok(()),
        }
    }
}

impl When {
    /// At the first request for an operation.
    pub fn request(operation: Operation) -> Self {
        Self::Request {
            operation: operation.to_string(),
            nth: 1,
            times: 1,
        }
    }

    /// At every request for an operation.
    pub fn every(operation: Operation) -> Self {
        Self::Request {
            operation: operation.to_string(),
            nth: 1,
            times: 0,
        }
    }
}

/// The faults of one chip, and how far each has come.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    armed: Vec<Armed>,
}

#[derive(Debug)]
struct Armed {
    when: When,
    what: What,
    /// How often its moment has come.
    seen: u64,
}

impl Armed {
    /// Counts a moment and tells whether the fault is due at it.
    fn is_due(&mut self, nth: u64, times: u64) -> bool {
        self.seen += 1;
        self.seen >= nth.max(1) && (times == 0 || self.seen < nth.max(1).saturating_add(times))
    }
}

impl Faults {
    /// Adds a fault; its counts begin now.
    pub(crate) fn add(&mut self, fault: &Fault) {
        self.armed.push(Armed {
            when: fault.when.clone(),
            what: fault.what.clone(),
            seen: 0,
        });
    }

    /// What happens at this request; `operation` is `None` for one that fits no operation.
    pub(crate) fn at_request(&mut self, operation: Option<Operation>) -> Vec<What> {
        let name = operation.map(|operation| operation.to_string());
        self.due(|armed| match &armed.when {
            When::Request {
                operation,
                nth,
                times,
            } if operation == "*" || Some(operation.as_str()) == name.as_deref() => {
                let (nth, times) = (*nth, *times);
                armed.is_due(nth, times)
            }
            _ => false,
        })
    }

    /// What happens at this connection.
    pub(crate) fn at_connect(&mut self) -> Vec<What> {
        self.due(|armed| match armed.when {
            When::Connect { nth, times } => armed.is_due(nth, times),
            _ => false,
        })
    }

    /// What happens at this boot.
    pub(crate) fn at_boot(&mut self) -> Vec<What> {
        self.due(|armed| match armed.when {
            When::Boot { nth, times } => armed.is_due(nth, times),
            _ => false,
        })
    }

    /// What happens at this beginning of a recovery.
    pub(crate) fn at_recovery(&mut self) -> Vec<What> {
        self.due(|armed| match armed.when {
            When::Recovery { nth, times } => armed.is_due(nth, times),
            _ => false,
        })
    }

    /// What happens when a recovery comes to this stage.
    pub(crate) fn at_recovery_stage(&mut self, reached: RecoveryStage) -> Vec<What> {
        self.due(|armed| match armed.when {
            When::RecoveryStage { stage, nth, times } if stage == reached => armed.is_due(nth, times),
            _ => false,
        })
    }

    /// What happens now that so many bytes have come in and the clock shows this. Each only once.
    pub(crate) fn by_now(&mut self, bytes: u64, now: Instant) -> Vec<What> {
        self.due(|armed| match armed.when {
            When::AfterBytes { count } => bytes >= count && armed.is_due(1, 1),
            When::At { ms } => now >= Instant::ZERO + Duration::from_millis(ms) && armed.is_due(1, 1),
            _ => false,
        })
    }

    /// When the clock alone will bring the next one.
    pub(crate) fn wake_at(&self) -> Option<Instant> {
        self.armed
            .iter()
            .filter(|armed| armed.seen == 0)
            .filter_map(|armed| match armed.when {
                When::At { ms } => Some(Instant::ZERO + Duration::from_millis(ms)),
                _ => None,
            })
            .min()
    }

    fn due(&mut self, mut is_due: impl FnMut(&mut Armed) -> bool) -> Vec<What> {
        self.armed
            .iter_mut()
            .filter_map(|armed| is_due(armed).then(|| armed.what.clone()))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_reads_and_says_what_is_wrong_with_it() {
        let text = r#"{"faults":[
            {"board":1,"when":{"request":{"operation":"PUT /device/manufacturing_state","nth":2}},"what":"reset-after"},
            {"when":{"at":{"ms":50}},"what":{"unplug":{"replug_after_ms":10}}}]}"#;
        let script: FaultScript = serde_json::from_str(text).unwrap();
        assert_eq!(script.faults[0].what, What::ResetAfter);
        assert_eq!(
            serde_json::from_str::<FaultScript>(&serde_json::to_string(&script).unwrap()).unwrap(),
            script
        );
        script.check(2).unwrap();
        assert_eq!(
            script.check(1),
            Err(SimulatorError::NoSuchBoard { board: 1, boards: 1 })
        );
        let typo = When::Request {
            operation: "PUT /devices".into(),
            nth: 1,
            times: 1,
        };
        assert!(FaultScript::one(0, typo, What::Silent).check(1).is_err());
        assert!(serde_json::from_str::<FaultScript>(r#"{"fault":[]}"#).is_err());
    }

    #[test]
    fn a_fault_is_due_from_its_count_as_often_as_it_says() {
        let mut faults = Faults::default();
        let when = When::Request {
            operation: Operation::GetStatus.to_string(),
            nth: 2,
            times: 2,
        };
        faults.add(&Fault {
            board: None,
            when,
            what: What::Silent,
        });
        let due: Vec<bool> = (0..5)
            .map(|_| !faults.at_request(Some(Operation::GetStatus)).is_empty())
            .collect();
        assert_eq!(due, [false, true, true, false, false]);
        assert!(faults.at_request(Some(Operation::GetImages)).is_empty());
    }
}
