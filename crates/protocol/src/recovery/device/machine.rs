//! The machine: bytes and time in; bytes and acts out.

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use lineside_terms::Instant;

use super::{Act, Options, Stage, Verifier};
use crate::recovery::assume::{DEVICE_PATIENCE, LONGEST_BOOTLOADER};
use crate::recovery::frame::{Finder, encode_into};
use crate::recovery::{ErrorCode, Event, FromDevice, MANIFEST, RUNTIME, VERSION};
use crate::xmodem::Receiver;

/// As many bytes as there are.
const ALL: u32 = u32::MAX;

/// A question, in the order in which they are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Question {
    /// Here I am: may I begin?
    Hello,
    /// Shall the bootloader tell more?
    BootloaderLog,
    Capability,
    Runtime,
    /// Shall the application tell more?
    ApplicationLog,
    Switch,
    /// Is somebody there at the new speed?
    Status,
    Manifest,
    /// A piece of this image, from there on.
    Image(usize, u32),
}

/// What is done when time has passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
    RomBegins,
    RomJudges,
    BootloaderBegins,
    ApplicationBegins,
    Switch,
    SwitchFailed,
    Erased,
    Written(usize, u32),
    Finished,
}

#[derive(Debug)]
pub(super) enum State {
    /// The ROM takes a bootloader.
    Rom(Receiver),
    /// Busy; it hears nothing.
    Busy { until: Instant, then: Then },
    /// Waiting for an answer.
    Asking {
        question: Question,
        /// When it is asked again.
        again: Instant,
        /// When it is given up.
        until: Instant,
    },
    /// A file comes.
    Receiving {
        question: Question,
        receiver: Receiver,
        until: Instant,
    },
    /// It is over, one way or the other.
    Over,
}

/// The device's side of one recovery. See the [module](super) for its use.
pub struct Device<V> {
    pub(super) options: Options,
    pub(super) verifier: V,
    pub(super) state: State,
    pub(super) stage: Stage,
    pub(super) finder: Finder,
    /// What is said, and when it goes out.
    pub(super) said: VecDeque<(Instant, Vec<u8>)>,
    pub(super) acts: VecDeque<Act>,
    pub(super) bootloader: Vec<u8>,
    pub(super) images: Vec<(String, u32)>,
    /// Bytes of the images that are whole.
    pub(super) bytes_done: u64,
}

impl<V> fmt::Debug for Device<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Device")
            .field("id", &self.options.id.short())
            .field("stage", &self.stage)
            .finish_non_exhaustive()
    }
}

impl<V: Verifier> Device<V> {
    /// A chip whose reset was let go of with the strap high.
    pub fn new(mut options: Options, verifier: V, now: Instant) -> Self {
        // Asking for nothing would never come to an end.
        options.manners.piece = options.manners.piece.max(1);
        let until = now + options.times.rom;
        Self {
            options,
            verifier,
            state: State::Busy {
                until,
                then: Then::RomBegins,
            },
            stage: Stage::Rom,
            finder: Finder::new(),
            said: VecDeque::new(),
            acts: VecDeque::new(),
            bootloader: Vec::new(),
            images: Vec::new(),
            bytes_done: 0,
        }
    }

    /// Where it is.
    pub const fn stage(&self) -> Stage {
        self.stage
    }

    /// Who looks at its blobs.
    pub const fn verifier(&self) -> &V {
        &self.verifier
    }

    /// Who looks at its blobs, to be told something.
    pub const fn verifier_mut(&mut self) -> &mut V {
        &mut self.verifier
    }

    /// Gives up with this code, whatever is under way.
    pub fn give_up(&mut self, code: ErrorCode, now: Instant) {
        if !matches!(self.state, State::Over) {
            self.raise_code(code, now);
        }
    }

    /// What happens to the chip around it, oldest first.
    pub fn next_act(&mut self) -> Option<Act> {
        self.acts.pop_front()
    }

    /// Takes bytes that came in.
    pub fn input(&mut self, mut bytes: &[u8], now: Instant) {
        self.pass_time(now);
        while !bytes.is_empty() {
            let taken = match &mut self.state {
                State::Rom(receiver) => receiver.input(bytes, now),
                State::Receiving { receiver, until, .. } => {
                    *until = now + DEVICE_PATIENCE;
                    receiver.input(bytes, now)
                }
                State::Asking { .. } => {
                    if let Some(message) = self.finder.push(bytes[0]) {
                        self.answered(&message, now);
                    }
                    1
                }
                // Nobody listens.
                State::Busy { .. } | State::Over => return,
            };
            bytes = &bytes[taken..];
            self.see_transfer(now);
        }
    }

    /// Appends what goes out now. Call it whenever time has passed, too.
    pub fn output(&mut self, now: Instant, out: &mut Vec<u8>) {
        self.pass_time(now);
        while let Some((at, bytes)) = self.said.front()
            && *at <= now
        {
            out.extend_from_slice(bytes);
            self.said.pop_front();
        }
    }

    /// When to ask for output again although nothing came in; `None` when it waits for nothing.
    pub fn next_wake(&self) -> Option<Instant> {
        let state = match &self.state {
            State::Rom(receiver) => receiver.next_wake(),
            State::Receiving { receiver, until, .. } => {
                let wake = receiver.next_wake().unwrap_or(*until);
                Some(wake.min(*until))
            }
            State::Busy { until, .. } => Some(*until),
            State::Asking { again, until, .. } => Some(*again.min(until)),
            State::Over => None,
        };
        let said = self.said.front().map(|(at, _)| *at);
        state
            .into_iter()
            .chain(said)
            .min()
            .filter(|at| *at != Instant::FAR)
    }

    fn pass_time(&mut self, now: Instant) {
        // What ends in no time is followed by the next thing at once.
        while let State::Busy { until, then } = self.state
            && until <= now
        {
            self.done(then, until, now);
        }
        match &mut self.state {
            State::Rom(receiver) | State::Receiving { receiver, .. } => {
                let mut bytes = Vec::new();
                receiver.output(now, &mut bytes);
                self.say_bytes(bytes, now);
                self.see_transfer(now);
            }
            State::Busy { .. } | State::Asking { .. } | State::Over => {}
        }
        match self.state {
            State::Receiving { until, .. } if until <= now => self.raise(107, now),
            State::Asking { until, question, .. } if until <= now => self.unanswered(question, now),
            State::Asking { again, question, .. } if again <= now => {
                self.ask_again(question, now);
            }
            _ => {}
        }
    }

    /// Looks whether a transfer has come to its end.
    pub(super) fn see_transfer(&mut self, now: Instant) {
        let (State::Rom(receiver) | State::Receiving { receiver, .. }) = &mut self.state else {
            return;
        };
        let mut bytes = Vec::new();
        receiver.output(now, &mut bytes);
        let outcome = receiver.outcome();
        self.say_bytes(bytes, now);
        let Some(outcome) = outcome else {
            return;
        };
        self.finder.clear();
        match std::mem::replace(&mut self.state, State::Over) {
            State::Rom(receiver) if outcome.is_ok() => {
                self.bootloader = receiver.into_data();
                self.busy(self.options.times.bootloader / 2, Then::RomJudges, now);
            }
            State::Rom(_) => self.rom_asks(now),
            State::Receiving {
                question, receiver, ..
            } => {
                if outcome.is_ok() {
                    self.received(question, &receiver.into_data(), now);
                } else {
                    self.raise(107, now);
                }
            }
            other => self.state = other,
        }
    }

    pub(super) fn rom_asks(&mut self, now: Instant) {
        let manners = self.options.manners;
        let receiver = Receiver::up_to(LONGEST_BOOTLOADER, now)
            .taking_long_blocks(manners.takes_long_blocks)
            .asking_every(manners.rom_asks_every, now);
        self.state = State::Rom(receiver);
        self.see_transfer(now);
    }

    pub(super) fn busy(&mut self, time: Duration, then: Then, now: Instant) {
        self.busy_from(now, time, then);
    }

    pub(super) fn busy_from(&mut self, at: Instant, time: Duration, then: Then) {
        let until = at + time;
        self.state = State::Busy { until, then };
    }

    /// Asks for the first time.
    pub(super) fn ask(&mut self, question: Question, now: Instant) {
        let until = match question {
            // Who it is it tells until somebody answers.
            Question::Hello => Instant::FAR,
            Question::Status => now + self.options.manners.switch_asks.1,
            _ => now + DEVICE_PATIENCE,
        };
        self.finder.clear();
        self.state = State::Asking {
            question,
            again: now,
            until,
        };
        self.ask_again(question, now);
    }

    fn ask_again(&mut self, question: Question, now: Instant) {
        let by_name = |name: &str, start: u32, most: u32| FromDevice::ImageRequestByFilename {
            start,
            most,
            name: name.to_owned(),
        };
        let message = match question {
            Question::Hello => FromDevice::Initialization {
                version: VERSION,
                device: self.options.id,
            },
            Question::BootloaderLog | Question::ApplicationLog => FromDevice::LogConfigQuery,
            Question::Capability => FromDevice::ImageRequestCapability { start: 0, most: ALL },
            Question::Runtime => by_name(RUNTIME, 0, ALL),
            Question::Switch => FromDevice::BaudrateSwitchQuery,
            Question::Status => FromDevice::StatusRequest,
            Question::Manifest => by_name(MANIFEST, 0, ALL),
            Question::Image(image, start) => {
                by_name(&self.images[image].0, start, self.options.manners.piece)
            }
        };
        self.say(&message, now);
        let period = match question {
            Question::Status => self.options.manners.switch_asks.0,
            _ => self.options.manners.repeat_after,
        };
        if let State::Asking { again, .. } = &mut self.state {
            *again = now + period;
        }
    }

    pub(super) fn raise(&mut self, number: u32, now: Instant) {
        self.raise_code(ErrorCode::recovery(number), now);
    }

    /// One word about it, then silence.
    pub(super) fn raise_code(&mut self, code: ErrorCode, now: Instant) {
        self.say(&FromDevice::RecoveryError(code), now);
        self.state = State::Over;
        self.stage = Stage::Failed;
        self.acts.push_back(Act::Failed(code));
    }

    pub(super) fn tell(&mut self, event: Event, now: Instant) {
        self.say(&FromDevice::RecoveryEvent(event), now);
    }

    pub(super) fn say(&mut self, message: &FromDevice, now: Instant) {
        let mut wire = Vec::new();
        encode_into(&message.to_bytes(), &mut wire);
        self.say_bytes(wire, now);
    }

    pub(super) fn say_bytes(&mut self, bytes: Vec<u8>, now: Instant) {
        if bytes.is_empty() {
            return;
        }
        let at = now + self.options.times.turn_around;
        match self.said.back_mut() {
            Some((last, said)) if *last == at => said.extend(bytes),
            _ => self.said.push_back((at, bytes)),
        }
    }
}
