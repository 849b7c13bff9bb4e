//! What a host answers to each message (`chip-to-pc-and-recovery.md` 5.7).

use std::sync::Arc;

use lineside_terms::{DeviceId, Instant};

use super::machine::{Identity, Mode, Piece, Request, Speed};
use super::{Failure, Flash, Host, Note, Phase, Supply, Uart, Want, Wanted};
use crate::recovery::assume::{COMPLETE_WITHIN, IDLE, SWITCH_TRIES, SWITCH_UNHEARD};
use crate::recovery::{ErrorCode, Event, FromDevice, FromHost, MANIFEST, RUNTIME, Refusal, VERSION};
use crate::xmodem::Sender;

impl Host {
    pub(super) fn take_message(&mut self, message: &[u8], now: Instant) {
        // A message that nobody described is none: whoever wants an answer asks again.
        let Ok(message) = FromDevice::parse(message) else {
            return;
        };
        if matches!(self.mode, Mode::Over(_)) {
            return;
        }
        // Whoever speaks in messages is not receiving: it never began, or has given up.
        self.mode = Mode::Listening;
        if self.phase < Phase::Starting {
            self.phase = Phase::Starting;
        }
        self.fault = None;
        self.heard(now, self.usual_patience());
        if let FromDevice::Initialization { version, device } = message {
            return self.announced(version, device);
        }
        match message {
            FromDevice::LogEntry(line) => self.log(&line),
            FromDevice::RecoveryError(code) => self.device_error(code),
            // Nothing is answered to who was not admitted.
            _ if self.device().is_none() => {}
            FromDevice::Initialization { .. } => {}
            FromDevice::StatusRequest => self.status_requested(),
            FromDevice::LogConfigQuery => self.send(FromHost::SimpleQueryAck(self.options.verbose)),
            FromDevice::BaudrateSwitchQuery => self.switch_asked(),
            FromDevice::ImageRequestCapability { start, most } => {
                self.requested(Wanted::Capability, start, most, now)
            }
            FromDevice::ImageRequestManifest { start, most } => {
                self.requested(Wanted::File(MANIFEST.to_owned()), start, most, now);
            }
            FromDevice::ImageRequestRecoveryApp { start, most } => {
                self.requested(Wanted::File(RUNTIME.to_owned()), start, most, now);
            }
            FromDevice::ImageRequestByFilename { start, most, name } => {
                // No name may lead anywhere but to the image set.
                if is_plain(&name) {
                    self.requested(Wanted::File(name), start, most, now);
                } else {
                    self.send(FromHost::ImageRequestError(Refusal::UNAUTHORIZED));
                }
            }
            FromDevice::ProgressUpdate {
                images_left,
                images,
                bytes_left,
                bytes,
            } => {
                self.erased(Phase::Writing);
                self.progress.images = images.saturating_sub(images_left);
                self.progress.total_images = Some(images);
                self.progress.total_bytes = Some(u64::from(bytes));
                self.bytes_before = u64::from(bytes.saturating_sub(bytes_left));
                self.progress.file = (0, 0);
                if images_left == 0 {
                    self.phase = Phase::Finishing;
                }
            }
            FromDevice::RecoveryEvent(event) => self.happened(event, now),
            FromDevice::RecoveryComplete if self.phase >= Phase::Writing => self.finish(Ok(())),
            FromDevice::RecoveryComplete => self.finish(Err(Failure::OutOfPlace { phase: self.phase })),
        }
    }

    fn announced(&mut self, version: u32, device: DeviceId) {
        if version != VERSION {
            self.send(FromHost::AbortRecovery);
            return self.finish(Err(Failure::UnsupportedVersion { version }));
        }
        match self.identity {
            Identity::Unknown => {
                self.identity = Identity::Announced(device);
                self.phase = Phase::Announced;
                self.wants.push_back(Want::Admit(device));
            }
            // Somebody changed the board while the driver was thinking: it must not answer for the other one.
            Identity::Announced(known) | Identity::Admitted(known) if known != device => {
                let (admitted, announced) = (known, device);
                self.finish(Err(Failure::AnotherDevice { admitted, announced }));
            }
            Identity::Announced(_) => {}
            // The acknowledgement was lost, or the bootloader started anew: nothing has happened yet.
            Identity::Admitted(_) if self.phase <= Phase::Preparing => self.send(FromHost::InitializationAck),
            Identity::Admitted(_) => self.finish(Err(Failure::Restarted { phase: self.phase })),
        }
    }

    fn log(&mut self, line: &str) {
        let line: String = line.chars().filter(|c| !c.is_control()).collect();
        self.note(Note::Log(line));
    }

    fn device_error(&mut self, code: ErrorCode) {
        // The switch failed and the device goes on as before.
        if code == ErrorCode::recovery(117) {
            if let Speed::Trying { .. } = self.speed {
                self.fall_back();
            }
            return;
        }
        // These say that the switch failed, so the erase behind it was never begun.
        let is_before_erase = [12, 116, 200].map(ErrorCode::recovery).contains(&code);
        if self.phase == Phase::Switching && is_before_erase {
            self.flash = Flash::Untouched;
        }
        self.finish(Err(Failure::Device {
            code,
            phase: self.phase,
        }));
    }

    fn happened(&mut self, event: Event, now: Instant) {
        self.note(Note::Event(event));
        match event {
            Event::RA_ERASE_FLASH_STARTED => {
                self.erased(Phase::Erasing);
                self.heard(now, self.usual_patience());
            }
            Event::RA_ERASE_FLASH_COMPLETE | Event::RA_MANIFEST_RECEIVED | Event::RA_MANIFEST_PROCESSED => {
                self.erased(Phase::Writing);
                self.heard(now, IDLE);
            }
            Event::RA_RECOVERY_COMPLETE if self.phase >= Phase::Writing => {
                self.phase = Phase::Finishing;
                self.is_complete = true;
                self.heard(now, COMPLETE_WITHIN);
            }
            _ => {}
        }
    }

    /// The device says something that it says only after its flash was erased.
    fn erased(&mut self, phase: Phase) {
        self.flash = Flash::AtRisk;
        self.speed = Speed::Steady;
        self.phase = self.phase.max(phase);
    }

    fn switch_asked(&mut self) {
        self.switches += 1;
        let is_high = self.options.high_speed && self.switches <= SWITCH_TRIES;
        if self.options.high_speed && !is_high {
            self.note(Note::SwitchFailed);
        }
        self.send(FromHost::SimpleQueryAck(is_high));
        // From now on the device asks for nothing that it must have before it erases.
        self.flash = Flash::AtRisk;
        self.phase = self.phase.max(Phase::Switching);
        self.is_fast = is_high;
        self.patience = self.usual_patience();
        self.speed = if is_high {
            Speed::Trying {
                until: None,
                asked: 0,
            }
        } else {
            Speed::Steady
        };
        self.configure(if is_high { Uart::HIGH } else { Uart::LOW });
    }

    fn status_requested(&mut self) {
        if let Speed::Trying { asked, .. } = self.speed {
            let asked = asked + 1;
            // It was heard, so the new speed works, unless it never stops asking.
            self.speed = Speed::Trying { until: None, asked };
            if asked >= SWITCH_UNHEARD {
                return self.fall_back();
            }
        }
        self.send(FromHost::ServerReady);
    }

    /// Goes back to the old speed, as the device does.
    pub(super) fn fall_back(&mut self) {
        self.speed = Speed::Steady;
        self.is_fast = false;
        self.note(Note::SwitchFailed);
        self.configure(Uart::LOW);
    }

    fn configure(&mut self, uart: Uart) {
        // What waits for an earlier change waits for this one.
        self.after.get_or_insert_default();
        self.wants.retain(|want| !matches!(want, Want::Configure(_)));
        self.wants.push_back(Want::Configure(uart));
    }

    fn requested(&mut self, wanted: Wanted, start: u32, most: u32, now: Instant) {
        if matches!(&wanted, Wanted::File(name) if name != RUNTIME) {
            self.erased(Phase::Writing);
        }
        let request = Request { wanted, start, most };
        if self.request.as_ref() == Some(&request) {
            return;
        }
        let known = self
            .supplied
            .as_ref()
            .filter(|(wanted, _)| *wanted == request.wanted);
        if let Some((_, data)) = known {
            let data = Arc::clone(data);
            return self.begin(request, data, now);
        }
        self.supplied = None;
        self.wants.retain(|want| !matches!(want, Want::Supply(_)));
        self.wants.push_back(Want::Supply(request.wanted.clone()));
        self.request = Some(request);
    }

    /// Answers [`Want::Supply`].
    pub fn supply(&mut self, supply: Supply, now: Instant) {
        let Some(request) = self.request.take() else {
            return;
        };
        self.heard_at = now;
        match supply {
            Supply::File(data) => self.begin(request, data, now),
            Supply::Missing => self.send(FromHost::ImageRequestError(Refusal::NOT_FOUND)),
            Supply::Withheld => self.send(FromHost::ImageRequestError(Refusal::UNAUTHORIZED)),
        }
    }

    fn begin(&mut self, request: Request, data: Arc<[u8]>, now: Instant) {
        let Request { wanted, start, most } = request;
        let Some(total) = u32::try_from(data.len()).ok().filter(|total| start <= *total) else {
            return self.send(FromHost::ImageRequestError(Refusal::NOT_FOUND));
        };
        let length = most.min(total - start);
        self.send(FromHost::ImageRequestAck { start, length, total });
        self.progress.file = (u64::from(start), u64::from(total));
        self.sending = (wanted.clone(), start, total);
        let range = start as usize..(start + length) as usize;
        let piece = Piece {
            data: Arc::clone(&data),
            range,
        };
        self.supplied = Some((wanted, data));
        self.request = None;
        self.mode = Mode::Sending(Sender::new(piece, self.options.block, IDLE, now));
    }
}

/// A name that cannot lead out of a folder, nor to a device of an operating system.
fn is_plain(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with('.')
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'))
}
