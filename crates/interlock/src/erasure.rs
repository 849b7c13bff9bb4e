//! The leave to erase a device in order to write its OS anew.
//!
//! Erasing is destructive, not irreversible: what was on the device is gone, and the device works again once the recovery
//! is through. So it takes no proof and can be repeated, but the same care with the target. A device in recovery says who
//! it is; before it is answered [`Erasure::judge`] looks whether the run is for it, whether it is protected, and whether it
//! is complete and nobody brought its capability file. Only then, and only when the journal holds that it may be erased
//! from now on, is there an [`ErasePermit`], without which `device` answers nothing.

use lineside_terms::{Blame, DeviceId, Explain};

use crate::permit::Receipt;
use crate::protected::{Protected, ProtectedId};

/// Which device a recovery is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EraseTarget {
    /// The one that was recognised before, or that somebody named.
    Exactly(DeviceId),
    /// Whatever is in the socket: it said nothing before.
    Any,
}

/// What is asked of a device before it may be erased.
#[derive(Debug, Clone, Copy)]
pub struct EraseRule<'a> {
    /// Which device the recovery is for.
    pub target: EraseTarget,
    /// Devices that nobody may write to.
    pub protected: &'a Protected,
    /// The device is known to be complete, by its own word or by the records.
    pub is_complete: bool,
    /// The device that the capability file at hand names, if there is one.
    pub capability: Option<DeviceId>,
}

/// Why a device is not erased. Nothing was answered to it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EraseRefusal {
    /// Another device is in the socket than the recovery is for.
    #[error("device {} is in the socket, the recovery is for {}", found.short(), expected.short())]
    OtherDevice {
        /// The device that it is for.
        expected: Box<DeviceId>,
        /// The device that is there.
        found: Box<DeviceId>,
    },
    /// The device is protected.
    #[error(transparent)]
    Protected(#[from] ProtectedId),
    /// The device is complete, and there is no capability file for it.
    #[error("device {} is complete, and no capability file for it was given", device.short())]
    Complete {
        /// The device.
        device: Box<DeviceId>,
    },
    /// The capability file is for another device.
    #[error("the capability file is for device {}, not for {}", named.short(), found.short())]
    OtherCapability {
        /// The device that it names.
        named: Box<DeviceId>,
        /// The device that is there.
        found: Box<DeviceId>,
    },
    /// The journal does not hold the intent.
    #[error("that device {} may be erased is not durable", device.short())]
    NotDurable {
        /// The device.
        device: Box<DeviceId>,
    },
}

impl Explain for EraseRefusal {
    fn code(&self) -> &'static str {
        match self {
            Self::OtherDevice { .. } => "interlock.erase-other-device",
            Self::Protected(source) => source.code(),
            Self::Complete { .. } => "interlock.erase-complete",
            Self::OtherCapability { .. } => "interlock.erase-capability",
            Self::NotDurable { .. } => "interlock.erase-not-durable",
        }
    }

    fn help(&self) -> String {
        match self {
            Self::OtherDevice { .. } => {
                "Do not change boards during a recovery. Nothing was erased on this device.".into()
            }
            Self::Protected(source) => source.help(),
            Self::Complete { .. } => {
                "Give the capability file of this device with --capability, or take the device off the line. Nothing was \
                 erased."
                    .into()
            }
            Self::OtherCapability { .. } => {
                "Give the capability file of the device that is in the socket. Nothing was erased.".into()
            }
            Self::NotDurable { .. } => "Mend the disk, then start the recovery again. Nothing was erased.".into(),
        }
    }

    fn blame(&self) -> Blame {
        match self {
            Self::OtherDevice { .. } => Blame::Board,
            Self::Protected(source) => source.blame(),
            Self::Complete { .. } | Self::OtherCapability { .. } => Blame::Supply,
            Self::NotDurable { .. } => Blame::Station,
        }
    }
}

/// The finding that a device may be erased, to be written down. It lives only in memory and cannot be copied.
#[derive(Debug)]
#[must_use = "nothing may be erased before this is durable"]
pub struct Erasure {
    device: DeviceId,
}

impl Erasure {
    /// Looks whether the device that announced itself may be erased.
    ///
    /// # Errors
    /// See [`EraseRefusal`]; the order is that of the reasons there.
    pub fn judge(announced: DeviceId, rule: &EraseRule<'_>) -> Result<Self, EraseRefusal> {
        let found = || Box::new(announced);
        match rule.target {
            EraseTarget::Exactly(expected) if expected != announced => {
                return Err(EraseRefusal::OtherDevice {
                    expected: Box::new(expected),
                    found: found(),
                });
            }
            EraseTarget::Exactly(_) | EraseTarget::Any => {}
        }
        rule.protected.check(&announced)?;
        match rule.capability {
            Some(named) if named != announced => Err(EraseRefusal::OtherCapability {
                named: Box::new(named),
                found: found(),
            }),
            None if rule.is_complete => Err(EraseRefusal::Complete { device: found() }),
            _ => Ok(Self { device: announced }),
        }
    }

    /// The device.
    pub const fn device(&self) -> &DeviceId {
        &self.device
    }

    /// The leave to erase it, once the event with this sequence number, which says that it may be erased from now on, is
    /// durable.
    ///
    /// # Errors
    /// [`EraseRefusal::NotDurable`] when the receipt does not reach so far.
    pub fn permit(self, written_as: u64, receipt: &Receipt) -> Result<ErasePermit, EraseRefusal> {
        if receipt.through() >= written_as {
            Ok(ErasePermit { device: self.device })
        } else {
            Err(EraseRefusal::NotDurable {
                device: Box::new(self.device),
            })
        }
    }
}

/// The leave to erase one device, made only by [`Erasure::permit`]; it cannot be copied, stored or made up:
///
/// ```compile_fail
/// fn twice(permit: lineside_interlock::ErasePermit) -> (lineside_interlock::ErasePermit, lineside_interlock::ErasePermit) {
///     (permit.clone(), permit)
/// }
/// ```
/// ```compile_fail
/// fn forge(device: lineside_terms::DeviceId) -> lineside_interlock::ErasePermit {
///     lineside_interlock::ErasePermit { device }
/// }
/// ```
#[derive(Debug)]
#[must_use = "a permit that is not used leaves a device that the records say may be erased"]
pub struct ErasePermit {
    device: DeviceId,
}

impl ErasePermit {
    /// The only device that it is for.
    pub const fn device(&self) -> &DeviceId {
        &self.device
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: DeviceId = DeviceId::from_bytes([0xAB; 64]);
    const OTHER: DeviceId = DeviceId::from_bytes([0xCD; 64]);

    fn judged(change: impl FnOnce(&mut EraseRule<'_>)) -> Result<(), &'static str> {
        let protected = Protected::parse(&format!("{OTHER} golden")).unwrap();
        let mut rule = EraseRule {
            target: EraseTarget::Any,
            protected: &protected,
            is_complete: false,
            capability: None,
        };
        change(&mut rule);
        Erasure::judge(HERE, &rule)
            .map(|_| ())
            .map_err(|refusal| refusal.code())
    }

    #[test]
    fn each_reason_stops_it() {
        assert_eq!(judged(|_| {}), Ok(()));
        assert_eq!(judged(|rule| rule.target = EraseTarget::Exactly(HERE)), Ok(()));
        let other = judged(|rule| rule.target = EraseTarget::Exactly(OTHER));
        assert_eq!(other, Err("interlock.erase-other-device"));
        let here = Protected::parse(&format!("{HERE} golden")).unwrap();
        let rule = EraseRule {
            target: EraseTarget::Exactly(HERE),
            protected: &here,
            is_complete: false,
            capability: Some(HERE),
        };
        assert_eq!(
            Erasure::judge(HERE, &rule).unwrap_err().code(),
            "interlock.protected"
        );
        assert_eq!(
            judged(|rule| rule.is_complete = true),
            Err("interlock.erase-complete")
        );
        assert_eq!(
            judged(|rule| rule.capability = Some(OTHER)),
            Err("interlock.erase-capability")
        );
        let complete = judged(|rule| {
            rule.is_complete = true;
            rule.capability = Some(HERE);
        });
        assert_eq!(complete, Ok(()));
    }

    #[test]
    fn without_a_receipt_there_is_no_permit() {
        let erasure = || {
            let rule = EraseRule {
                target: EraseTarget::Any,
                protected: &Protected::default(),
                is_complete: false,
                capability: None,
            };
            Erasure::judge(HERE, &rule).unwrap()
        };
        let receipt = Receipt::issued_by_the_journal(7);
        assert!(erasure().permit(8, &receipt).is_err());
        assert_eq!(erasure().permit(7, &receipt).unwrap().device(), &HERE);
    }
}
