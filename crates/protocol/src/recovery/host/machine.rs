//! The machine: bytes, time and answers in; bytes and wants out.

use std::collections::VecDeque;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use lineside_terms::{DeviceId, Instant};

use super::console::{Console, Heard};
use super::{Failure, Flash, Note, Options, Phase, Progress, Want, Wanted};
use crate::recovery::assume::{
    BAD, COMPLETE_WITHIN, ERASE, FIRST_WORD, IDLE, REPORT_WITHIN, ROM_ASKS_AGAIN, ROM_SPEAKS_WITHIN,
    SWITCH_GIVEN_UP, TOTAL,
};
use crate::recovery::frame::{Finder, encode_into};
use crate::recovery::{BANNER, FromHost, GOOD};
use crate::xmodem::{CANCEL, Fault, Sender};

/// The bootloader's name in messages for people.
const BOOTLOADER: &str = "the recovery bootloader";

/// A file, or a piece of one, as it is sent.
pub(super) struct Piece {
    pub(super) data: Arc<[u8]>,
    pub(super) range: Range<usize>,
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.data[self.range.clone()]
    }
}

impl fmt::Debug for Piece {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Piece({:?})", self.range)
    }
}

/// What comes in now.
#[derive(Debug)]
pub(super) enum Mode {
    /// Text and messages.
    Listening,
    /// Answers of XMODEM; messages tell that the device never began it.
    Sending(Sender<Piece>),
    Over(Result<(), Failure>),
}

/// Who the device is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Identity {
    Unknown,
    Announced(DeviceId),
    Admitted(DeviceId),
}

/// A request for a file that the driver has not answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) wanted: Wanted,
    pub(super) start: u32,
    pub(super) most: u32,
}

/// The speed, from the device's question on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Speed {
    /// As at the beginning, or settled.
    Steady,
    /// The host is at high speed and waits to hear the device there.
    Trying { until: Option<Instant>, asked: u32 },
}

/// The host's side of one recovery. See the [module](super) for its use.
pub struct Host {
    pub(super) options: Options,
    pub(super) mode: Mode,
    pub(super) phase: Phase,
    pub(super) flash: Flash,
    pub(super) identity: Identity,
    pub(super) request: Option<Request>,
    /// The file that was supplied last: pieces of it are asked for one after the other.
    pub(super) supplied: Option<(Wanted, Arc<[u8]>)>,
    /// What is being sent: its name, where the piece begins, how long the file is.
    pub(super) sending: (Wanted, u32, u32),
    pub(super) console: Console,
    pub(super) finder: Finder,
    pub(super) out: Vec<u8>,
    /// What is to be sent once the settings are changed; `None` when nothing waits for that.
    pub(super) after: Option<Vec<u8>>,
    pub(super) wants: VecDeque<Want>,
    pub(super) speed: Speed,
    pub(super) switches: u32,
    pub(super) is_fast: bool,
    pub(super) progress: Progress,
    /// Bytes of images before the file that is under way.
    pub(super) bytes_before: u64,
    pub(super) rom_asked: u32,
    /// Text of a usual boot was heard, and nothing of the ROM since.
    has_booted: bool,
    /// The last transfer failed; the device may say more about it.
    pub(super) fault: Option<(Wanted, Fault)>,
    /// The device has said that it is complete, in an event.
    pub(super) is_complete: bool,
    pub(super) heard_at: Instant,
    /// How long silence is borne from then on.
    pub(super) patience: Duration,
    pub(super) begun_at: Instant,
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Host")
            .field("phase", &self.phase)
            .field("mode", &self.mode)
            .field("flash", &self.flash)
            .field("progress", &self.progress)
            .finish_non_exhaustive()
    }
}

impl Host {
    /// A host that waits for the ROM, from `now` on, at [`Uart::FIRST`](super::Uart::FIRST).
    pub fn new(options: Options, now: Instant) -> Self {
        Self {
            is_fast: options.high_speed,
            options,
            mode: Mode::Listening,
            phase: Phase::Entering,
            flash: Flash::Untouched,
            identity: Identity::Unknown,
            request: None,
            supplied: None,
            sending: (Wanted::File(BOOTLOADER.to_owned()), 0, 0),
            console: Console::new(now),
            finder: Finder::new(),
            out: Vec::new(),
            after: None,
            wants: VecDeque::new(),
            speed: Speed::Steady,
            switches: 0,
            progress: Progress::default(),
            bytes_before: 0,
            rom_asked: 0,
            has_booted: false,
            fault: None,
            is_complete: false,
            heard_at: now,
            patience: FIRST_WORD,
            begun_at: now,
        }
    }

    /// Takes bytes that came in.
    pub fn input(&mut self, bytes: &[u8], now: Instant) {
        for byte in bytes {
            self.take(*byte, now);
        }
    }

    fn take(&mut self, byte: u8, now: Instant) {
        match &mut self.mode {
            Mode::Over(_) => return,
            Mode::Listening => {
                if let Some(heard) = self.console.push(byte, now) {
                    self.hear(heard, now);
                }
            }
            Mode::Sending(sender) => {
                let before = sender.acknowledged();
                sender.input(&[byte], now);
                if sender.acknowledged() != before {
                    self.heard_at = now;
                    let (_, start, total) = self.sending;
                    let sent = u64::from(start) + sender.acknowledged() as u64;
                    self.progress.file = (sent, u64::from(total));
                }
                self.see_transfer(now);
            }
        }
        if let Some(message) = self.finder.push(byte) {
            self.take_message(&message, now);
        }
    }

    /// Text came.
    fn hear(&mut self, heard: Heard, now: Instant) {
        match heard {
            Heard::Asked if self.phase == Phase::Entering => {
                self.phase = Phase::Booting;
                let data = Arc::clone(&self.options.bootloader);
                let total = u32::try_from(data.len()).unwrap_or(u32::MAX);
                self.sending = (Wanted::File(BOOTLOADER.to_owned()), 0, total);
                let range = 0..data.len();
                let mut sender = Sender::new(Piece { data, range }, self.options.block, IDLE, now);
                sender.input(b"C", now);
                self.mode = Mode::Sending(sender);
                self.heard(now, IDLE);
            }
            Heard::Asked if self.phase == Phase::Checking => {
                self.rom_asked += 1;
                if self.rom_asked >= ROM_ASKS_AGAIN {
                    self.finish(Err(Failure::BootloaderRefused));
                }
            }
            Heard::Asked => {}
            Heard::Line(line) => {
                let has_booted = line.starts_with("D=") || line.starts_with("[PLUTON]");
                if self.phase == Phase::Entering {
                    self.hear_of_boot(has_booted, line == BANNER, now);
                } else if self.phase == Phase::Checking && line == GOOD {
                    self.phase = Phase::Starting;
                    self.heard(now, IDLE);
                } else if self.phase == Phase::Checking && line == BAD {
                    self.finish(Err(Failure::BootloaderRefused));
                } else if self.phase > Phase::Booting && (line == BANNER || has_booted) {
                    self.finish(Err(Failure::Restarted { phase: self.phase }));
                }
                // Behind the question of speed it is noise as often as text.
                if self.phase < Phase::Switching {
                    self.note(Note::Console(line));
                }
            }
        }
    }

    /// Before the ROM asks: a usual boot may be news of what was before the reset.
    fn hear_of_boot(&mut self, has_booted: bool, is_rom: bool, now: Instant) {
        if is_rom {
            self.has_booted = false;
            self.heard(now, FIRST_WORD);
        } else if has_booted && !std::mem::replace(&mut self.has_booted, true) {
            self.heard(now, ROM_SPEAKS_WITHIN);
        }
    }

    /// Looks whether the transfer that is under way has come to its end.
    fn see_transfer(&mut self, now: Instant) {
        let Mode::Sending(sender) = &mut self.mode else {
            return;
        };
        let Some(outcome) = sender.outcome() else {
            return;
        };
        // Its last words.
        let (mut last, wanted) = (Vec::new(), self.sending.0.clone());
        sender.output(now, &mut last);
        self.mode = Mode::Listening;
        self.console = Console::new(now);
        self.send_bytes(&last);
        self.heard(now, IDLE);
        match outcome {
            Ok(()) if self.phase == Phase::Booting => {
                self.phase = Phase::Checking;
                self.patience = FIRST_WORD;
            }
            Ok(()) => {}
            Err(fault) if self.phase == Phase::Booting => {
                let file = wanted.to_string();
                self.finish(Err(Failure::Transfer { file, fault }));
            }
            Err(fault) => {
                self.fault = Some((wanted, fault));
                self.patience = REPORT_WITHIN;
            }
        }
    }

    /// Appends what is to be sent now. Call it whenever time has passed, too.
    pub fn output(&mut self, now: Instant, out: &mut Vec<u8>) {
        self.pass_time(now);
        if let Mode::Sending(sender) = &mut self.mode {
            match &mut self.after {
                Some(after) => sender.output(now, after),
                None => sender.output(now, &mut self.out),
            }
            self.see_transfer(now);
        }
        out.append(&mut self.out);
    }

    /// True while what is sent belongs to the capability file, which no trace may keep. Ask it before
    /// [`output`](Self::output).
    pub fn is_secret(&self) -> bool {
        matches!(self.mode, Mode::Sending(_)) && self.sending.0 == Wanted::Capability
    }

    fn pass_time(&mut self, now: Instant) {
        if let Speed::Trying {
            until: Some(until), ..
        } = self.speed
            && until <= now
        {
            self.fall_back();
        }
        if now >= self.deadline() && !self.is_over() {
            let phase = self.phase;
            let outcome = if now >= self.begun_at + self.limit() {
                Err(Failure::TooLong { limit: self.limit() })
            } else if self.is_complete {
                Ok(())
            } else if let Some((wanted, fault)) = self.fault.take() {
                let file = wanted.to_string();
                Err(Failure::Transfer { file, fault })
            } else if phase == Phase::Entering && self.has_booted {
                Err(Failure::BootedNormally)
            } else if phase == Phase::Entering {
                Err(Failure::NoRom { after: self.patience })
            } else {
                let after = self.patience;
                Err(Failure::Silent { phase, after })
            };
            self.finish(outcome);
        }
    }

    /// When to ask for output again although nothing came in; `None` when it is over.
    pub fn next_wake(&self) -> Option<Instant> {
        if self.is_over() {
            return None;
        }
        let transfer = match &self.mode {
            Mode::Sending(sender) => sender.next_wake(),
            Mode::Listening | Mode::Over(_) => None,
        };
        let switch = match self.speed {
            Speed::Trying { until, .. } => until,
            Speed::Steady => None,
        };
        [Some(self.deadline()), transfer, switch]
            .into_iter()
            .flatten()
            .min()
    }

    /// When it is given up if nothing more is heard.
    fn deadline(&self) -> Instant {
        let limit = self.begun_at + self.limit();
        // While the driver thinks it is not the device that is silent; a transfer counts for itself.
        let is_ours = self.request.is_some()
            || self.after.is_some()
            || matches!(self.identity, Identity::Announced(_))
            || matches!(self.mode, Mode::Sending(_));
        if is_ours {
            limit
        } else {
            limit.min(self.heard_at + self.patience)
        }
    }

    const fn limit(&self) -> Duration {
        TOTAL[if self.is_fast { 0 } else { 1 }]
    }

    /// What it wants of its driver, oldest first.
    pub fn next_want(&mut self) -> Option<Want> {
        self.wants.pop_front()
    }

    /// The UART has the settings that [`Want::Configure`] asked for.
    pub fn configured(&mut self, now: Instant) {
        let Some(mut after) = self.after.take() else {
            return;
        };
        self.out.append(&mut after);
        self.finder.clear();
        self.console = Console::new(now);
        if let Speed::Trying { until, .. } = &mut self.speed {
            *until = Some(now + SWITCH_GIVEN_UP);
        }
        self.heard_at = now;
    }

    /// Answers [`Want::Admit`]. When the device is not admitted nothing is said to it, and the recovery is over.
    pub fn admit(&mut self, is_admitted: bool, now: Instant) {
        let Identity::Announced(device) = self.identity else {
            return;
        };
        if self.is_over() {
            return;
        }
        if !is_admitted {
            return self.finish(Err(Failure::NotAdmitted { device }));
        }
        self.identity = Identity::Admitted(device);
        self.phase = Phase::Preparing;
        self.send(FromHost::InitializationAck);
        self.heard(now, IDLE);
    }

    /// Stops it from outside: the device is told, and it is over when that is sent.
    pub fn stop(&mut self) {
        if self.is_over() {
            return;
        }
        if matches!(self.mode, Mode::Sending(_)) {
            self.send_bytes(&CANCEL);
        } else if matches!(self.identity, Identity::Admitted(_)) {
            self.send(FromHost::AbortRecovery);
        }
        self.finish(Err(Failure::Stopped));
    }

    /// Where it is.
    pub const fn phase(&self) -> Phase {
        self.phase
    }

    /// Whether the device can have lost its software. Once at risk it stays so, whatever the outcome.
    pub const fn flash(&self) -> Flash {
        self.flash
    }

    /// Who was admitted.
    pub const fn device(&self) -> Option<DeviceId> {
        match self.identity {
            Identity::Admitted(device) => Some(device),
            Identity::Unknown | Identity::Announced(_) => None,
        }
    }

    /// How far it has come.
    pub fn progress(&self) -> Progress {
        let is_image = self.phase == Phase::Writing && self.progress.total_images.is_some();
        let under_way = if is_image { self.progress.file.0 } else { 0 };
        let bytes = self.bytes_before + under_way;
        Progress {
            bytes: bytes.min(self.progress.total_bytes.unwrap_or(0)),
            ..self.progress
        }
    }

    /// The file that is under way or was the last.
    pub const fn file(&self) -> &Wanted {
        &self.sending.0
    }

    /// How it ended; `None` while it goes on.
    pub const fn outcome(&self) -> Option<&Result<(), Failure>> {
        match &self.mode {
            Mode::Over(outcome) => Some(outcome),
            Mode::Listening | Mode::Sending(_) => None,
        }
    }

    const fn is_over(&self) -> bool {
        matches!(self.mode, Mode::Over(_))
    }

    pub(super) fn finish(&mut self, outcome: Result<(), Failure>) {
        self.mode = Mode::Over(outcome.clone());
        self.phase = Phase::Over;
        // Nothing is asked any more.
        self.wants.retain(|want| matches!(want, Want::Note(_)));
        self.wants.push_back(Want::Finish(outcome));
    }

    pub(super) fn note(&mut self, note: Note) {
        self.wants.push_back(Want::Note(note));
    }

    /// The device is alive; it may be silent for so long from now.
    pub(super) const fn heard(&mut self, now: Instant, patience: Duration) {
        self.heard_at = now;
        self.patience = patience;
    }

    pub(super) fn send(&mut self, message: FromHost) {
        let mut wire = Vec::new();
        encode_into(&message.to_bytes(), &mut wire);
        self.send_bytes(&wire);
    }

    fn send_bytes(&mut self, bytes: &[u8]) {
        match &mut self.after {
            Some(after) => after.extend_from_slice(bytes),
            None => self.out.extend_from_slice(bytes),
        }
    }

    /// How long the device may be silent now that it has said something.
    pub(super) const fn usual_patience(&self) -> Duration {
        match self.phase {
            // The word that the erase begins may have been lost.
            Phase::Switching | Phase::Erasing => ERASE,
            _ if self.is_complete => COMPLETE_WITHIN,
            _ => IDLE,
        }
    }
}
