//! Loading and deleting images (`device-rest-api.md` 3.3, 5.4; `image-package.md` 12).

use lineside_image::{AbiKind, Application, Finding, ImageError, Package, TemporaryFlags, Verdict};
use lineside_protocol::rest::ErrorCode;
use lineside_protocol::rest::assume::{self, DeletePolicy, does_require_restart};
use lineside_protocol::rest::image::{AppControlMode, InstallRequest};
use lineside_terms::{Capability, ComponentId, ImageType, Instant, ManufacturingState};

use super::images::{ApplicationImage, GDBSERVER, Installed, Marks, Staged};
use super::program::Program;
use super::reply::{Refused, read, refused, restarting};
use super::{Firmware, Then};
use crate::OsProfile;
use crate::assume::{ABI_TOO_NEW, COMPONENT_TYPE_MISMATCH};
use crate::chip::Response;

/// The firmware's number for a program that is none.
const CANNOT_EXEC: ErrorCode = ErrorCode::new(1, 15);

impl Firmware {
    /// Checks a package and keeps it until it is installed.
    pub(super) fn stage(&mut self, bytes: &[u8], capabilities: &[Capability]) -> Result<Response, Refused> {
        self.refuse_while_updating()?;
        let package = Package::parse(bytes).map_err(|_| Refused::from(assume::STAGE_MALFORMED))?;
        let component = package.component();
        if component.is_nil() {
            return Err(assume::STAGE_BAD_COMPONENT.into());
        }
        let is_trusted = match self.config.trust.verdict(&package) {
            Verdict::ProductionVerified => true,
            Verdict::SdkSigned => capabilities.contains(&Capability::APP_DEVELOPMENT),
            _ => false,
        };
        if !is_trusted {
            return Err(assume::STAGE_UNTRUSTED.into());
        }
        let image_type = package.image_type();
        if !image_type.is_customers() && image_type != ImageType::FIRMWARE_CONFIG {
            // The OS comes by recovery or from the cloud, never this way.
            return Err(assume::STAGE_MALFORMED.into());
        }
        let installed = self.flash.images.get(&component);
        if self.is_os_component(component)
            || installed.is_some_and(|installed| installed.image_type != image_type)
        {
            return Err(refused(
                assume::status_of(COMPONENT_TYPE_MISMATCH),
                COMPONENT_TYPE_MISMATCH,
            ));
        }
        if installed.is_some_and(|installed| installed.image == package.image()) {
            // The exact image is there already: success without effect.
            self.ram.staged.remove(&component);
            return Ok(Response::empty());
        }
        let staged: u64 = self
            .ram
            .staged
            .iter()
            .filter(|(other, _)| **other != component)
            .map(|(_, staged)| staged.package.len() as u64)
            .sum();
        // Only the customer's images are counted against this space.
        let replaced = installed.filter(|installed| installed.image_type.is_customers());
        let replaced = replaced.map_or(0, |installed| installed.size);
        if self.used_space() - replaced + staged + bytes.len() as u64 > self.config.assumptions.image_space {
            return Err(assume::STAGE_NO_SPACE.into());
        }
        self.ram.staged.insert(
            component,
            Staged {
                package: bytes.to_vec(),
            },
        );
        Ok(Response::empty())
    }

    /// Commits all that is staged, and starts it unless told otherwise. When one image is refused, none is installed
    /// and all that was staged is dropped.
    pub(super) fn install(&mut self, body: &[u8], now: Instant) -> Result<(Response, Then), Refused> {
        self.refuse_while_updating()?;
        let mode = if body.iter().all(u8::is_ascii_whitespace) {
            AppControlMode::Auto
        } else {
            read::<InstallRequest>(body)?.app_control_mode
        };
        if mode == AppControlMode::Unknown {
            return Err(refused(400, ErrorCode::INVALID_JSON_REQUEST));
        }
        let staged = std::mem::take(&mut self.ram.staged);
        let mut ready = Vec::new();
        for (component, staged) in &staged {
            ready.push((*component, self.unpack(&staged.package)?));
        }
        if ready.is_empty() {
            return Ok((self.old_success(), Then::Nothing));
        }
        self.counters.installs += 1;
        let mut restart = false;
        let mut to_start = Vec::new();
        for (component, (installed, granted)) in ready {
            restart |= does_require_restart(installed.image_type);
            if installed.image_type == ImageType::FIRMWARE_CONFIG {
                self.flash.capabilities = granted;
            }
            if installed.image_type == ImageType::APPLICATION {
                to_start.push(component);
            }
            self.commit(component, installed);
        }
        if restart {
            return Ok((restarting(true), Then::Restart));
        }
        for component in to_start {
            if mode == AppControlMode::Auto {
                self.start(component, now)?;
            }
        }
        Ok((self.old_success(), Then::Nothing))
    }

    /// Deletes an image of the customer. What is not there is deleted already.
    pub(super) fn delete_image(
        &mut self,
        item: &str,
        capabilities: &[Capability],
    ) -> Result<(Response, Then), Refused> {
        let component = component_of(item)?;
        if self.is_os_component(component) {
            return Err(assume::DELETE_REFUSED.into());
        }
        let is_developer = capabilities.contains(&Capability::APP_DEVELOPMENT);
        let is_complete = self.ram.state_in_force == ManufacturingState::DeviceComplete;
        let policy = self.config.assumptions.delete_policy;
        let is_temporary = self
            .flash
            .images
            .get(&component)
            .is_none_or(|installed| installed.marks.is_temporary);
        let is_allowed = is_developer
            || component != GDBSERVER
                && !is_complete
                && match policy {
                    DeletePolicy::All => true,
                    DeletePolicy::TemporaryOnly => is_temporary,
                    DeletePolicy::NeedsAppDevelopment => false,
                };
        if !is_allowed {
            return Err(assume::DELETE_REFUSED.into());
        }
        self.ram.processes.remove(&component);
        let Some(removed) = self.flash.images.remove(&component) else {
            return Ok((Response::empty(), Then::Nothing));
        };
        self.counters.deletes += 1;
        if removed.image_type == ImageType::FIRMWARE_CONFIG {
            self.flash.capabilities.clear();
        }
        let restart = does_require_restart(removed.image_type);
        Ok((
            restarting(restart),
            if restart { Then::Restart } else { Then::Nothing },
        ))
    }

    fn refuse_while_updating(&self) -> Result<(), Refused> {
        if self.ram.is_updating {
            Err(assume::OTA_IN_PROGRESS.into())
        } else {
            Ok(())
        }
    }

    /// `{}`, which OS 20.05 wrote otherwise (`device-rest-api.md` 1.4).
    fn old_success(&self) -> Response {
        if self.config.os == OsProfile::V20_05 {
            Response::ok("{\"error\":0}")
        } else {
            Response::empty()
        }
    }

    /// What a staged package becomes when it is installed, and the capabilities that it grants.
    fn unpack(&self, bytes: &[u8]) -> Result<(Installed, Vec<Capability>), Refused> {
        let package = Package::parse(bytes).map_err(|_| Refused::from(assume::INSTALL_FAILED))?;
        let provided = self.config.os.abi();
        let is_too_new = |depends: &lineside_image::AbiVersion| {
            let available = match depends.kind {
                AbiKind::SECURE_WORLD_RUNTIME => provided.secure_world_runtime,
                AbiKind::OS_RUNTIME => provided.os_runtime,
                AbiKind::APPLICATION_RUNTIME => provided.application_runtime,
                _ => u32::MAX,
            };
            depends.version > available
        };
        if package.depends().iter().any(is_too_new) {
            return Err(refused(assume::status_of(ABI_TOO_NEW), ABI_TOO_NEW));
        }
        let application = match package.image_type() {
            ImageType::APPLICATION => Some(application(&package)?),
            _ => None,
        };
        let flags = package.temporary().unwrap_or(TemporaryFlags(0));
        let remove_at_boot = flags.contains(TemporaryFlags::REMOVE_AT_BOOT);
        let installed = Installed {
            image: package.image(),
            image_type: package.image_type(),
            name: package
                .build()
                .map(|build| build.name().into_owned())
                .unwrap_or_default(),
            size: bytes.len() as u64,
            marks: Marks {
                remove_at_boot,
                is_temporary: remove_at_boot,
            },
            application,
            storage_used_kib: 0,
        };
        Ok((installed, self.granted_by(&package)))
    }

    /// Puts an image into flash in place of an earlier one of its component, whose mutable storage it inherits.
    fn commit(&mut self, component: ComponentId, mut installed: Installed) {
        self.ram.processes.remove(&component);
        if let Some(replaced) = self.flash.images.get(&component) {
            installed.storage_used_kib = replaced.storage_used_kib;
        }
        self.flash.images.insert(component, installed);
    }
}

/// Looks into an application as the device does when it mounts it.
fn application(package: &Package<'_>) -> Result<ApplicationImage, Refused> {
    let opened = Application::open(package).map_err(|error| match error {
        ImageError::Manifest(error) => {
            let code = ErrorCode::new(2, error.app_manifest_error().into());
            refused(assume::status_of(code), code)
        }
        _ => Refused::from(assume::INSTALL_FAILED),
    })?;
    if opened
        .findings()
        .iter()
        .any(|finding| matches!(finding, Finding::ComponentDiffers { .. }))
    {
        return Err(assume::INSTALL_FAILED.into());
    }
    let cannot_run = refused(assume::status_of(CANNOT_EXEC), CANNOT_EXEC);
    let program = Program::read(opened.program()).ok_or(cannot_run)?;
    Ok(ApplicationImage {
        manifest: opened.manifest().clone(),
        program,
    })
}

/// The component that a path names.
pub(super) fn component_of(item: &str) -> Result<ComponentId, Refused> {
    let is_hyphenated = item.len() == 36;
    item.parse()
        .ok()
        .filter(|_| is_hyphenated)
        .ok_or(assume::BAD_COMPONENT_ID.into())
}
