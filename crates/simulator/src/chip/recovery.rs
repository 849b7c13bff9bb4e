//! A chip that was reset with the strap high: ROM, recovery bootloader and recovery application, on its recovery UART.

use std::sync::Arc;

use lineside_image::{CapabilityRecord, Package, RecoveryEntry, RecoveryManifest, Verdict};
use lineside_link::LineSettings;
use lineside_protocol::recovery::ErrorCode;
use lineside_protocol::recovery::device::{Act, Device, Options, Stage, SwitchFault, Trouble, Verifier};
use lineside_protocol::recovery::host::Uart;
use lineside_terms::{DeviceId, ImageType, Instant, ManufacturingState};

use super::{Chip, Power};
use crate::OsProfile;
use crate::assume::RECOVERY_RUNTIME;
use crate::faults::{RecoveryStage, What};
use crate::trust::Trust;

/// What fills the last XMODEM block, at most one block of it.
const PADDING: u8 = 0x1A;
const LONGEST_PADDING: usize = 1024;

/// More images than this no manifest lists.
const MOST_IMAGES: usize = 256;

/// A recovery that is under way.
pub(super) struct Recovery {
    machine: Device<Judge>,
    stage: Option<Stage>,
    /// One byte in so many is damaged, in both directions; 0 for none.
    noise: u64,
}

impl Chip {
    /// Starts the ROM.
    pub(super) fn begin_recovery(&mut self, now: Instant) {
        self.power = Power::Recovery;
        let faults = self.faults.at_recovery();
        let mut trouble = Trouble::default();
        let mut noise = 0;
        for what in &faults {
            match what {
                What::RecoveryError { code } => {
                    trouble.raise = Trouble::raising(ErrorCode::recovery(*code)).raise;
                    self.count_fault(what);
                }
                What::RecoverySwitchFails => {
                    trouble.switch = SwitchFault::Off;
                    self.count_fault(what);
                }
                What::RecoveryNoise { one_in } => {
                    noise = *one_in;
                    self.count_fault(what);
                }
                _ => {}
            }
        }
        let options = Options {
            id: self.firmware.reported_id(),
            times: self.times().recovery,
            manners: self.config.firmware.assumptions.recovery,
            trouble,
        };
        let judge = Judge {
            trust: Arc::clone(&self.config.firmware.trust),
            device: self.firmware.id(),
            is_complete: self.firmware.state() == ManufacturingState::DeviceComplete,
            has_capability: false,
            entries: Vec::new(),
            image: Vec::new(),
            os: None,
        };
        self.recovery = Some(Recovery {
            machine: Device::new(options, judge, now),
            stage: None,
            noise,
        });
        self.firmware.counters_mut().recoveries_begun += 1;
        for what in faults {
            self.suffer_in_recovery(&what, now, true);
        }
    }

    /// Bytes that came in on the recovery wire.
    pub fn receive_console(&mut self, bytes: &[u8], now: Instant) {
        let Some(recovery) = &mut self.recovery else {
            return;
        };
        if recovery.noise == 0 {
            recovery.machine.input(bytes, now);
        } else {
            let mut bytes = bytes.to_vec();
            for byte in &mut bytes {
                if self.draws.number().is_multiple_of(recovery.noise) {
                    *byte ^= 0x10;
                }
            }
            recovery.machine.input(&bytes, now);
        }
    }

    /// Speed and flow control of the recovery UART.
    pub fn console_settings(&self) -> LineSettings {
        self.console_settings
    }

    /// Lets a recovery go on. True when something happened.
    pub(super) fn pass_recovery(&mut self, now: Instant) -> bool {
        let Some(recovery) = &mut self.recovery else {
            return false;
        };
        let mut out = Vec::new();
        recovery.machine.output(now, &mut out);
        if recovery.noise != 0 {
            for byte in &mut out {
                if self.draws.number().is_multiple_of(recovery.noise) {
                    *byte ^= 0x10;
                }
            }
        }
        let mut moved = !out.is_empty();
        let mut acts = Vec::new();
        while let Some(act) = recovery.machine.next_act() {
            acts.push(act);
        }
        let stage = recovery.machine.stage();
        let is_new_stage = recovery.stage.replace(stage) != Some(stage);
        let os = recovery.machine.verifier().os;
        self.console.extend(out);
        for act in acts {
            moved = true;
            tracing::debug!(device = %self.firmware.id().short(), ?act, "recovery");
            match act {
                Act::Configure(Uart { baud, rts_cts }) => {
                    self.console_settings = LineSettings { baud, rts_cts }
                }
                Act::EraseBegins => self.firmware.erase(),
                Act::Recovered => {
                    // The manifest was taken, so it is one of these.
                    if let Some(os) = os {
                        self.firmware.install_os(os);
                    }
                }
                Act::Failed(_) => self.firmware.counters_mut().recoveries_failed += 1,
                Act::Started | Act::Aborted => {}
            }
        }
        if is_new_stage && let Some(stage) = RecoveryStage::of(stage) {
            moved = true;
            for what in self.faults.at_recovery_stage(stage) {
                self.suffer_in_recovery(&what, now, false);
            }
        }
        moved
    }

    pub(super) fn recovery_wake_at(&self) -> Option<Instant> {
        self.recovery
            .as_ref()
            .and_then(|recovery| recovery.machine.next_wake())
    }

    /// Suffers what hits a chip in recovery; what is built into the recovery from its beginning is so already then.
    fn suffer_in_recovery(&mut self, what: &What, now: Instant, is_beginning: bool) {
        match what {
            What::RecoveryError { .. } | What::RecoverySwitchFails | What::RecoveryNoise { .. }
                if is_beginning => {}
            What::RecoveryError { code } => {
                self.count_fault(what);
                if let Some(recovery) = &mut self.recovery {
                    recovery.machine.give_up(ErrorCode::recovery(*code), now);
                }
            }
            What::RecoveryNoise { one_in } => {
                self.count_fault(what);
                if let Some(recovery) = &mut self.recovery {
                    recovery.noise = *one_in;
                }
            }
            What::RecoveryHang => {
                self.count_fault(what);
                self.recovery = None;
            }
            What::RecoverySwitchFails => {}
            // A reset at every beginning would never come to an end.
            What::ResetBefore | What::ResetAfter if is_beginning => {}
            _ => self.suffer(what, now),
        }
    }
}

/// Decides as a device does, by the keys that it trusts.
#[derive(Debug)]
struct Judge {
    trust: Arc<Trust>,
    device: DeviceId,
    is_complete: bool,
    has_capability: bool,
    entries: Vec<RecoveryEntry>,
    image: Vec<u8>,
    /// Which OS the manifest lists.
    os: Option<OsProfile>,
}

const BAD_MANIFEST: ErrorCode = ErrorCode::recovery(1);
const BAD_IMAGE: ErrorCode = ErrorCode::recovery(2);
const UNTRUSTED: ErrorCode = ErrorCode::recovery(4);
const BAD_SIGNATURE: ErrorCode = ErrorCode::recovery(5);
const BAD_COMPONENT: ErrorCode = ErrorCode::recovery(6);
const BAD_IMAGE_ID: ErrorCode = ErrorCode::recovery(7);
const BAD_SIZE: ErrorCode = ErrorCode::recovery(8);
const BAD_TYPE: ErrorCode = ErrorCode::recovery(9);
const TOO_MANY: ErrorCode = ErrorCode::recovery(11);
const DUPLICATE: ErrorCode = ErrorCode::recovery(111);
const UNAUTHORIZED: ErrorCode = ErrorCode::recovery(151);

impl Judge {
    /// A package that somebody signed whom the device trusts.
    fn open<'a>(&self, bytes: &'a [u8]) -> Result<Package<'a>, ErrorCode> {
        let package = Package::parse(bytes).map_err(|_| BAD_IMAGE)?;
        match self.trust.verdict(&package) {
            Verdict::ProductionVerified => Ok(package),
            Verdict::Tampered => Err(BAD_SIGNATURE),
            _ => Err(UNTRUSTED),
        }
    }

    fn typed<'a>(&self, bytes: &'a [u8], image_type: ImageType) -> Result<Package<'a>, ErrorCode> {
        let package = self.open(bytes)?;
        (package.image_type() == image_type)
            .then_some(package)
            .ok_or(BAD_TYPE)
    }
}

impl Verifier for Judge {
    fn bootloader(&mut self, bytes: &[u8]) -> bool {
        let padding = bytes.iter().rev().take_while(|byte| **byte == PADDING).count();
        (0..=padding.min(LONGEST_PADDING)).any(|padding| {
            let bytes = &bytes[..bytes.len() - padding];
            self.typed(bytes, ImageType::ONE_BL).is_ok()
        })
    }

    fn capability(&mut self, bytes: &[u8]) -> Result<(), ErrorCode> {
        let package = self.open(bytes)?;
        let record = CapabilityRecord::of(&package).map_err(|_| BAD_TYPE)?;
        if record.device != self.device {
            return Err(UNAUTHORIZED);
        }
        self.has_capability = true;
        Ok(())
    }

    fn runtime(&mut self, bytes: &[u8]) -> Result<(), ErrorCode> {
        self.typed(bytes, RECOVERY_RUNTIME).map(drop)
    }

    fn may_recover(&self) -> bool {
        !self.is_complete || self.has_capability
    }

    fn manifest(&mut self, bytes: &[u8]) -> Result<Vec<(String, u32)>, ErrorCode> {
        let package = self.typed(bytes, ImageType::RECOVERY_MANIFEST)?;
        let manifest = RecoveryManifest::parse(package.body()).map_err(|_| BAD_MANIFEST)?;
        let entries = manifest.entries;
        if entries.len() > MOST_IMAGES {
            return Err(TOO_MANY);
        }
        for (nth, entry) in entries.iter().enumerate() {
            let is_same =
                |other: &RecoveryEntry| (other.image, other.partition) == (entry.image, entry.partition);
            if entries[..nth].iter().any(is_same) {
                return Err(DUPLICATE);
            }
        }
        // Which OS of this world it is: every part of it has to be there.
        let is_listed = |os: &OsProfile| {
            let parts = os.components().iter();
            parts
                .map(|part| part.image)
                .all(|image| entries.iter().any(|entry| entry.image == image))
        };
        self.os = Some(OsProfile::ALL.into_iter().find(is_listed).ok_or(BAD_IMAGE_ID)?);
        let files = entries.iter().map(|entry| (entry.file_name(), entry.file_size));
        let files = files.collect();
        self.entries = entries;
        Ok(files)
    }

    fn write(&mut self, image: usize, piece: &[u8]) {
        if self.image.is_empty() {
            self.image.reserve_exact(self.entries[image].file_size as usize);
        }
        self.image.extend_from_slice(piece);
    }

    fn written(&mut self, image: usize) -> Result<(), ErrorCode> {
        let bytes = std::mem::take(&mut self.image);
        let entry = &self.entries[image];
        if bytes.len() != entry.file_size as usize {
            return Err(BAD_SIZE);
        }
        let package = self.typed(&bytes, entry.image_type)?;
        if package.image() != entry.image {
            return Err(BAD_IMAGE_ID);
        }
        if package.component() != entry.component {
            return Err(BAD_COMPONENT);
        }
        Ok(())
    }
}
