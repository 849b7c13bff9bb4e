//! What a judge or a saboteur asks of a world, in the simulator's own terms: one JSON object per line, one answer line
//! for each. Nothing here passes a wire of a board, so a client under test can neither see nor prevent it.
//!
//! ```text
//! {"ask":"boards"}                                → {"answer":"boards","boards":[{"board":0,"slot":"1113",…}]}
//! {"ask":"swap","board":0,"with":3}               → {"answer":"done"}
//! {"ask":"unplug","board":9}                      → {"answer":"refused","code":"simulator.no-such-board",…}
//! ```

use lineside_terms::{Capability, ComponentId, DeviceId, ImageId, ManufacturingState, SlotPath, Told};
use serde::{Deserialize, Serialize};

use crate::faults::Fault;
use crate::firmware::WritesExpected;
use crate::lane::Lateness;
use crate::{AccessPoint, Counters, OsProfile, SimulatorError, World};

/// The longest question in bytes that is read: a whole fault script fits.
pub const LINE_LIMIT: usize = 1024 * 1024;

/// What can be asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "kebab-case")]
pub enum Question {
    /// The true state and the counters of one board, or of all.
    Boards {
        /// Which one, from 0; all when left out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        board: Option<usize>,
    },
    /// Pull the plug.
    Unplug {
        /// Which one, from 0.
        board: usize,
    },
    /// Put it back.
    Plug {
        /// Which one, from 0.
        board: usize,
    },
    /// Reset the chip.
    Reset {
        /// Which one, from 0.
        board: usize,
    },
    /// Swap two boards.
    Swap {
        /// One of them, from 0.
        board: usize,
        /// The other, from 0.
        with: usize,
    },
    /// Add a fault.
    AddFault {
        /// The fault; its counts begin now.
        fault: Fault,
    },
    /// Say who may be written to in a slot.
    ExpectWrites {
        /// Which board, from 0.
        board: usize,
        /// Who.
        expected: WritesExpected,
    },
    /// Replace the access points in reach.
    SetAccessPoints {
        /// All of them.
        points: Vec<AccessPoint>,
    },
    /// What is in reach, without keys; what clients must pin; how late the simulator was.
    World,
}

/// What is answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "kebab-case")]
pub enum Answer {
    /// The boards that were asked for.
    Boards {
        /// In order of their numbers.
        boards: Vec<BoardTruth>,
    },
    /// It was done.
    Done,
    /// The world as a whole.
    World {
        /// How many boards there are.
        boards: usize,
        /// SSIDs in reach.
        access_points: Vec<String>,
        /// The CA certificate that clients must pin, as PEM.
        ca_pem: String,
        /// How late the simulator was with paced bytes.
        lateness: Lateness,
    },
    /// It was not done.
    Refused(Told),
}

/// How a board truly is, whatever its chip tells.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BoardTruth {
    /// Its number, from 0.
    pub board: usize,
    /// Its slot.
    pub slot: SlotPath,
    /// False while it is unplugged.
    pub is_plugged: bool,
    /// Who has leased it.
    pub leased_by: Option<String>,
    /// The true id of the chip that sits there.
    pub device_id: DeviceId,
    /// Its true state.
    pub state: ManufacturingState,
    /// True when it has no software: only a recovery helps.
    #[serde(default)]
    pub is_blank: bool,
    /// The OS that it runs, or ran last.
    pub os: OsProfile,
    /// Capabilities in force without any session.
    pub capabilities: Vec<Capability>,
    /// The customer's images.
    pub images: Vec<InstalledImage>,
    /// True when something is staged and not installed.
    pub has_staged: bool,
    /// SSIDs of the configured networks.
    pub networks: Vec<String>,
    /// Milliseconds since it was started.
    pub uptime_ms: u64,
    /// What was asked of the chip.
    pub counters: Counters,
}

/// An image of the customer on a chip.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstalledImage {
    /// Its component.
    pub component: ComponentId,
    /// Its build.
    pub image: ImageId,
}

impl World {
    /// Answers a question, or does what it asks for.
    pub fn ask(&self, question: Question) -> Answer {
        match self.try_ask(question) {
            Ok(answer) => answer,
            Err(error) => Answer::Refused(Told::of(&error)),
        }
    }

    /// Answers one line of the control socket with one line, without its end.
    pub fn ask_line(&self, line: &str) -> String {
        let answer = match serde_json::from_str(line) {
            Ok(question) => self.ask(question),
            Err(error) => {
                // The text of the reader may repeat what was sent, and that may be a key.
                let reason = format!("line {} column {} is no question", error.line(), error.column());
                Answer::Refused(Told::of(&SimulatorError::Control { reason }))
            }
        };
        serde_json::to_string(&answer).expect("answers have text keys")
    }

    /// How a board truly is.
    ///
    /// # Errors
    /// When there is no such board.
    pub fn truth(&self, board: usize) -> Result<BoardTruth, SimulatorError> {
        let now = self.clock().now();
        let cell = self.cell(board)?;
        let state = cell.state();
        let firmware = state.chip.firmware();
        let images = firmware.customer_images().into_iter();
        Ok(BoardTruth {
            board,
            slot: cell.slot.clone(),
            is_plugged: state.is_plugged,
            leased_by: state.lease.as_ref().map(|lease| lease.holder.clone()),
            device_id: firmware.id(),
            state: firmware.state(),
            is_blank: firmware.is_blank(),
            os: firmware.os(),
            capabilities: firmware.capabilities(),
            images: images
                .map(|(component, image)| InstalledImage { component, image })
                .collect(),
            has_staged: firmware.has_staged(),
            networks: firmware.network_names(),
            uptime_ms: u64::try_from(firmware.uptime(now).as_millis()).unwrap_or(u64::MAX),
            counters: firmware.counters().clone(),
        })
    }

    fn try_ask(&self, question: Question) -> Result<Answer, SimulatorError> {
        match question {
            Question::Boards { board } => {
                let wanted = board.map_or(0..self.board_count(), |board| board..board + 1);
                let boards = wanted.map(|board| self.truth(board)).collect::<Result<_, _>>()?;
                return Ok(Answer::Boards { boards });
            }
            Question::World => {
                return Ok(Answer::World {
                    boards: self.board_count(),
                    access_points: self
                        .air()
                        .access_points()
                        .into_iter()
                        .map(|point| point.ssid)
                        .collect(),
                    ca_pem: self.ca_pem().to_owned(),
                    lateness: self.lateness(),
                });
            }
            Question::Unplug { board } => self.unplug(board)?,
            Question::Plug { board } => self.plug(board)?,
            Question::Reset { board } => self.reset(board)?,
            Question::Swap { board, with } => self.swap(board, with)?,
            Question::AddFault { fault } => self.add_fault(&fault)?,
            Question::ExpectWrites { board, expected } => self.expect_writes(board, expected)?,
            Question::SetAccessPoints { points } => self.set_access_points(points),
        }
        Ok(Answer::Done)
    }
}

impl Answer {
    /// The error code of a refusal, for tests and tools.
    pub fn refusal(&self) -> Option<&str> {
        match self {
            Self::Refused(told) => Some(&told.code),
            _ => None,
        }
    }
}
