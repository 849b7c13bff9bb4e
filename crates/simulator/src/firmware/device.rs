//! `/device/…`, `/status`, `/osversion`, `/abi_versions` (`device-rest-api.md` 3.2, 2.3, 6.3).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lineside_image::{CapabilityRecord, Package, Verdict};
use lineside_protocol::rest::assume::{self, LockTime};
use lineside_protocol::rest::device::{Manufacturing, Security};
use lineside_protocol::rest::status::{OsVersion, Status};
use lineside_terms::{Capability, ImageType, Instant, ManufacturingState, SecurityState};

use super::Firmware;
use super::reply::{Refused, json, read};
use crate::OsProfile;
use crate::chip::{Request, Response};

impl Firmware {
    pub(super) fn get_status(&self, now: Instant) -> Response {
        json(&Status {
            uptime: self.uptime(now).as_secs(),
        })
    }

    pub(super) fn get_os_version(&self) -> Response {
        json(&OsVersion {
            osversion: self.config.os.name().to_owned(),
        })
    }

    pub(super) fn get_abi_versions(&self) -> Response {
        json(&self.config.os.abi())
    }

    pub(super) fn get_security_state(&self) -> Response {
        let id = self.reported_id;
        // Firmware before 4.0.0 has one key more (`device-rest-api.md` 1.4).
        let general = (self.config.os == OsProfile::V20_05)
            .then(|| super::device_id(&self.config.seed.branch("general")).to_string());
        json(&Security {
            security_state: SecurityState::Secure,
            device_identifier: id,
            device_identity_public_key: Some(id),
            general_public_key: general,
        })
    }

    pub(super) fn get_manufacturing_state(&self) -> Response {
        json(&Manufacturing {
            manufacturing_state: self.flash.state,
        })
    }

    /// States only move forward; the state it has already is answered with success and changes nothing.
    pub(super) fn set_manufacturing_state(&mut self, body: &[u8]) -> Result<Response, Refused> {
        let result = read::<Manufacturing>(body).and_then(|wanted| {
            let (from, to) = (self.flash.state, wanted.manufacturing_state);
            if !self.config.assumptions.transitions.allow(from, to) {
                return Err(assume::TRANSITION_REFUSED.into());
            }
            self.flash.state = to;
            if self.config.assumptions.lock_time == LockTime::AtOnce {
                self.ram.state_in_force = to;
            }
            Ok(to != from)
        });
        match result {
            Ok(true) => self.counters.irreversible_applied += 1,
            Ok(false) | Err(_) => self.counters.irreversible_refused += 1,
        }
        result.map(|_| Response::empty())
    }

    /// Those of a session, those stored, and RF test mode while the device is Blank; ascending.
    pub(super) fn capabilities_in_force(&self, session: &[Capability]) -> Vec<Capability> {
        let mut all: Vec<_> = self.flash.capabilities.iter().chain(session).copied().collect();
        if self.ram.state_in_force == ManufacturingState::Blank {
            all.push(Capability::RF_TEST_MODE);
        }
        assume::listed(all)
    }

    /// What the capability file in the request's header grants. A header that does not hold a trusted file for this
    /// device is as good as none.
    pub(super) fn session_capabilities(&self, request: &Request) -> Vec<Capability> {
        let Some(text) = &request.capabilities else {
            return Vec::new();
        };
        let Ok(file) = STANDARD.decode(text.trim()) else {
            return Vec::new();
        };
        let Ok(package) = Package::parse(&file) else {
            return Vec::new();
        };
        let is_trusted = self.config.trust.verdict(&package) == Verdict::ProductionVerified;
        if is_trusted {
            self.granted_by(&package)
        } else {
            Vec::new()
        }
    }

    /// What a capability file grants this device: nothing when it names another.
    pub(super) fn granted_by(&self, package: &Package<'_>) -> Vec<Capability> {
        if package.image_type() != ImageType::FIRMWARE_CONFIG {
            return Vec::new();
        }
        match CapabilityRecord::parse(package.body()) {
            Ok(record) if record.device == self.id => record.capabilities,
            _ => Vec::new(),
        }
    }
}
