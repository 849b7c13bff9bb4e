//! What a device asks and does, one thing after the other (`chip-to-pc-and-recovery.md` 5.6).

use std::time::Duration;

use lineside_terms::Instant;

use super::machine::{Question, State, Then};
use super::{Act, Device, Moment, Stage, SwitchFault, Verifier};
use crate::recovery::assume::{BAD, DEVICE_PATIENCE, LONGEST_FILES};
use crate::recovery::host::Uart;
use crate::recovery::{BANNER, CHIP, ErrorCode, Event, FromDevice, FromHost, GOOD, Refusal};
use crate::xmodem::Receiver;

impl<V: Verifier> Device<V> {
    /// Something that takes time is done. `at` is when, which is not later than `now`.
    pub(super) fn done(&mut self, then: Then, at: Instant, now: Instant) {
        self.state = State::Over;
        match then {
            Then::RomBegins => {
                self.say_bytes(format!("{BANNER}\r\n{CHIP}\r\n").into_bytes(), now);
                self.rom_asks(now);
            }
            Then::RomJudges => {
                let bootloader = std::mem::take(&mut self.bootloader);
                if self.verifier.bootloader(&bootloader) {
                    self.say_bytes(format!("{GOOD}\r\n").into_bytes(), now);
                    self.busy_from(at, self.options.times.bootloader / 2, Then::BootloaderBegins);
                } else {
                    if self.options.manners.says_bad {
                        self.say_bytes(format!("{BAD}\r\n").into_bytes(), now);
                    }
                    self.rom_asks(now);
                }
            }
            Then::BootloaderBegins => {
                self.stage = Stage::Bootloader;
                self.acts.push_back(Act::Started);
                self.say_bytes(b"[1BL] BOOT: 380a0300/00000001/02000000\r\n".to_vec(), now);
                self.ask(Question::Hello, now);
            }
            Then::ApplicationBegins => {
                self.stage = Stage::Application;
                self.ask(Question::ApplicationLog, now);
            }
            Then::Switch => self.switched(now),
            Then::SwitchFailed => self.stays(now),
            Then::Erased => {
                if self.is_trouble(Moment::Erase, now) {
                    return;
                }
                self.stage = Stage::Writing;
                self.tell(Event::RA_ERASE_FLASH_COMPLETE, now);
                self.ask(Question::Manifest, now);
            }
            Then::Written(image, end) => self.written(image, end, now),
            Then::Finished => {
                if self.is_trouble(Moment::Finish, now) {
                    return;
                }
                let [.., complete] = self.options.manners.unseen_events;
                self.tell(Event(complete), now);
                self.say(&FromDevice::RecoveryComplete, now);
                self.stage = Stage::Done;
                self.acts.push_back(Act::Recovered);
            }
        }
    }

    pub(super) fn unanswered(&mut self, question: Question, now: Instant) {
        match question {
            Question::Status if self.options.manners.falls_back => {
                self.acts.push_back(Act::Configure(Uart::LOW));
                self.say(&FromDevice::RecoveryError(ErrorCode::recovery(117)), now);
                self.erase(now);
            }
            Question::Status => {
                self.acts.push_back(Act::Configure(Uart::LOW));
                self.raise(116, now);
            }
            _ => self.raise(50, now),
        }
    }

    /// A message came while a question is open. What is no answer to it is from before, or none.
    pub(super) fn answered(&mut self, message: &[u8], now: Instant) {
        let (Ok(answer), State::Asking { question, .. }) = (FromHost::parse(message), &self.state) else {
            return;
        };
        let question = *question;
        match (question, answer) {
            (_, FromHost::AbortRecovery) => {
                self.state = State::Over;
                self.stage = Stage::Failed;
                self.acts.push_back(Act::Aborted);
            }
            (Question::Hello, FromHost::InitializationAck) => {
                if self.is_trouble(Moment::Start, now) {
                    return;
                }
                self.tell(Event::BL_INITIALIZATION_COMPLETE, now);
                self.ask(Question::BootloaderLog, now);
            }
            (Question::BootloaderLog, FromHost::SimpleQueryAck(_)) => self.ask(Question::Capability, now),
            (Question::ApplicationLog, FromHost::SimpleQueryAck(is_verbose)) => {
                if is_verbose {
                    self.say(&FromDevice::LogEntry("recovery application".to_owned()), now);
                }
                self.tell(Event::RA_BOOT_COMPLETE, now);
                self.ask(Question::Switch, now);
            }
            (Question::Switch, FromHost::SimpleQueryAck(is_high)) => self.switch(is_high, now),
            (Question::Status, FromHost::ServerReady) => self.erase(now),
            (Question::Capability, FromHost::ImageRequestError(_)) => self.prepared(now),
            (
                Question::Runtime | Question::Manifest | Question::Image(..),
                FromHost::ImageRequestError(why),
            ) => {
                let number = match why {
                    Refusal::NOT_FOUND => 150,
                    Refusal::UNAUTHORIZED => 151,
                    _ => 152,
                };
                self.raise(number, now);
            }
            (_, FromHost::ImageRequestAck { start, length, total }) => {
                self.announced(question, start, length, total, now);
            }
            _ => {}
        }
    }

    /// A file is announced: it is received if it is the one that was asked for.
    fn announced(&mut self, question: Question, start: u32, length: u32, total: u32, now: Instant) {
        let [capability, runtime, manifest] = LONGEST_FILES;
        let is_whole = start == 0 && length == total;
        let refused = match question {
            Question::Capability => (!is_whole || length > capability).then_some(10),
            Question::Runtime => (!is_whole || length > runtime).then_some(10),
            Question::Manifest => (!is_whole || length > manifest).then_some(10),
            Question::Image(image, from) => {
                let size = self.images[image].1;
                let expected = self.options.manners.piece.min(size - from);
                if start != from {
                    // An answer to an earlier request.
                    return;
                }
                (total != size || length != expected).then_some(8)
            }
            _ => return,
        };
        if let Some(code) = refused {
            return self.raise(code, now);
        }
        let receiver =
            Receiver::new(length as usize, now).taking_long_blocks(self.options.manners.takes_long_blocks);
        self.state = State::Receiving {
            question,
            receiver,
            until: now + DEVICE_PATIENCE,
        };
        self.see_transfer(now);
    }

    pub(super) fn received(&mut self, question: Question, bytes: &[u8], now: Instant) {
        match question {
            Question::Capability => {
                self.tell(Event::BL_CAPABILITY_IMAGE_RECEIVED, now);
                if let Err(code) = self.verifier.capability(bytes) {
                    return self.raise_code(code, now);
                }
                self.tell(Event::BL_CAPABILITY_IMAGE_LOADED, now);
                self.prepared(now);
            }
            Question::Runtime => {
                if self.is_trouble(Moment::Runtime, now) {
                    return;
                }
                if let Err(code) = self.verifier.runtime(bytes) {
                    return self.raise_code(code, now);
                }
                if self.options.manners.tells_of_runtime {
                    let [received, loaded, ..] = self.options.manners.unseen_events;
                    self.tell(Event(received), now);
                    self.tell(Event(loaded), now);
                }
                self.busy(self.options.times.application, Then::ApplicationBegins, now);
            }
            Question::Manifest => {
                self.tell(Event::RA_MANIFEST_RECEIVED, now);
                if self.is_trouble(Moment::Manifest, now) {
                    return;
                }
                match self.verifier.manifest(bytes) {
                    Ok(images) => self.images = images,
                    Err(code) => return self.raise_code(code, now),
                }
                let [_, _, processed, _] = self.options.manners.unseen_events;
                self.tell(Event(processed), now);
                self.progress(0, now);
                self.next_image(0, now);
            }
            Question::Image(image, start) => {
                self.verifier.write(image, bytes);
                let end = start + bytes.len() as u32;
                self.busy(self.options.times.piece, Then::Written(image, end), now);
            }
            _ => {}
        }
    }

    /// Whether there is a capability is known.
    fn prepared(&mut self, now: Instant) {
        if self.is_trouble(Moment::Capability, now) {
            return;
        }
        if self.options.manners.complete_refuses && !self.verifier.may_recover() {
            return self.raise(151, now);
        }
        self.ask(Question::Runtime, now);
    }

    fn switch(&mut self, is_high: bool, now: Instant) {
        let trouble = self.options.trouble;
        let has_trouble = matches!(trouble.raise, Some((Moment::Switch, _)));
        if is_high && has_trouble {
            // It tries as long as it may, and then says so where it is understood.
            let manners = self.options.manners;
            return self.busy(
                manners.switch_after + manners.switch_asks.1,
                Then::SwitchFailed,
                now,
            );
        }
        if is_high && trouble.hang != Some(Moment::Switch) {
            return self.busy(self.options.manners.switch_after, Then::Switch, now);
        }
        self.stays(now);
    }

    /// It stays at the old speed, or is back at it.
    fn stays(&mut self, now: Instant) {
        self.acts.push_back(Act::Configure(Uart::LOW));
        let is_fatal = self.options.trouble.raise != Some((Moment::Switch, ErrorCode::recovery(117)));
        if is_fatal && self.is_trouble(Moment::Switch, now) {
            return;
        }
        if !is_fatal {
            self.say(&FromDevice::RecoveryError(ErrorCode::recovery(117)), now);
        }
        self.erase(now);
    }

    fn switched(&mut self, now: Instant) {
        let uart = match self.options.trouble.switch {
            SwitchFault::None => Uart::HIGH,
            SwitchFault::Off => Uart {
                baud: Uart::HIGH.baud / 2,
                ..Uart::HIGH
            },
        };
        self.acts.push_back(Act::Configure(uart));
        if self.options.manners.asks_after_switch {
            self.ask(Question::Status, now);
        } else {
            self.erase(now);
        }
    }

    fn erase(&mut self, now: Instant) {
        self.tell(Event::RA_ERASE_FLASH_STARTED, now);
        self.stage = Stage::Erasing;
        self.acts.push_back(Act::EraseBegins);
        self.busy(self.options.times.erase, Then::Erased, now);
    }

    fn written(&mut self, image: usize, end: u32, now: Instant) {
        let size = self.images[image].1;
        if end < size {
            return self.ask(Question::Image(image, end), now);
        }
        let is_last = image + 1 == self.images.len();
        if self.is_trouble(Moment::Image(image), now) || is_last && self.is_later_trouble(image, now) {
            return;
        }
        if let Err(code) = self.verifier.written(image) {
            return self.raise_code(code, now);
        }
        self.bytes_done += u64::from(size);
        self.progress(image + 1, now);
        self.next_image(image + 1, now);
    }

    fn next_image(&mut self, image: usize, now: Instant) {
        match self.images.get(image) {
            Some((_, 0)) => self.busy(Duration::ZERO, Then::Written(image, 0), now),
            Some(_) => self.ask(Question::Image(image, 0), now),
            None => {
                self.stage = Stage::Finishing;
                self.busy(self.options.times.finish, Then::Finished, now);
            }
        }
    }

    fn progress(&mut self, done: usize, now: Instant) {
        let short = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
        let bytes: u64 = self.images.iter().map(|(_, size)| u64::from(*size)).sum();
        let message = FromDevice::ProgressUpdate {
            images_left: short((self.images.len() - done) as u64),
            images: short(self.images.len() as u64),
            bytes_left: short(bytes - self.bytes_done),
            bytes: short(bytes),
        };
        self.say(&message, now);
    }

    /// Suffers what is to happen at this moment, if anything is.
    fn is_trouble(&mut self, moment: Moment, now: Instant) -> bool {
        if self.options.trouble.hang == Some(moment) {
            self.state = State::Over;
            self.stage = Stage::Failed;
            return true;
        }
        match self.options.trouble.raise {
            Some((at, code)) if at == moment => {
                self.raise_code(code, now);
                true
            }
            _ => false,
        }
    }

    /// The same for an image that this set does not have.
    fn is_later_trouble(&mut self, last: usize, now: Instant) -> bool {
        let trouble = self.options.trouble;
        let moments = [trouble.hang, trouble.raise.map(|(moment, _)| moment)];
        let later = moments
            .into_iter()
            .flatten()
            .find(|moment| matches!(moment, Moment::Image(image) if *image > last));
        later.is_some_and(|moment| self.is_trouble(moment, now))
    }
}
