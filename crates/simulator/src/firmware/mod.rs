//! What the chip's software does: its memory, and its answers. No wire, no TLS, no HTTP: requests come in as values.
//!
//! [`Firmware`] is a state machine in simulated time. [`Firmware::arrive`] notes a request, [`Firmware::perform`] does
//! it; between the two the chip may be reset, which is how a request can be lost. [`Firmware::tick`] lets time pass.

mod application;
mod certificates;
mod device;
mod diagnostics;
mod images;
mod network;
mod program;
mod radio;
mod reply;
mod sideload;
mod wifi;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use lineside_protocol::recovery::assume::STATE_SURVIVES;
use lineside_protocol::rest::assume;
use lineside_protocol::rest::network::Proxy;
use lineside_protocol::rest::{ErrorCode, Operation, Payload, RouteError, is_allowed};
use lineside_terms::{Capability, ComponentId, DeviceId, ImageId, Instant, ManufacturingState};
use serde::{Deserialize, Serialize};

use crate::air::Air;
use crate::chip::{Request, Response};
use crate::counters::Counters;
use crate::pace::DeviceTimes;
use crate::seed::Seed;
use crate::trust::Trust;
use crate::{Assumptions, OsProfile};

use application::Process;
use certificates::StoredCertificate;
use images::{Installed, Staged};
use radio::Radio;
use reply::Refused;

pub(crate) use application::{Dialogue, OpenPort};
pub use images::GDBSERVER;

/// What a device is made of before it first boots.
#[derive(Debug, Clone)]
pub struct FirmwareConfig {
    /// Everything random comes from here.
    pub seed: Seed,
    /// The OS that it runs.
    pub os: OsProfile,
    /// How far it has come.
    pub state: ManufacturingState,
    /// appDevelopment stored and the debugger installed.
    pub development: bool,
    /// How long things take.
    pub times: DeviceTimes,
    /// What no source tells.
    pub assumptions: Arc<Assumptions>,
    /// Whose signatures it trusts.
    pub trust: Arc<Trust>,
    /// The radio around it.
    pub air: Air,
}

/// Who may be written to, as the judge sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WritesExpected {
    /// Anybody: nothing is judged.
    #[default]
    Anywhere,
    /// This board is not to be written.
    Nowhere,
    /// Only the device with this id is to be written here.
    Only(DeviceId),
}

/// What the device does after its answer has left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Then {
    /// It goes on.
    Nothing,
    /// It restarts.
    Restart,
}

/// What survives a reset.
#[derive(Debug)]
struct Flash {
    state: ManufacturingState,
    capabilities: Vec<Capability>,
    images: BTreeMap<ComponentId, Installed>,
    networks: BTreeMap<i32, wifi::StoredNetwork>,
    proxy: Option<Proxy>,
    certificates: BTreeMap<String, StoredCertificate>,
    staged_kept: BTreeMap<ComponentId, Staged>,
    telemetry: Vec<u8>,
    is_power_saving: bool,
    /// It was erased, and nothing was written since.
    is_blank: bool,
}

impl Flash {
    /// What is there when nothing was ever stored.
    fn new(state: ManufacturingState) -> Self {
        Self {
            state,
            capabilities: Vec::new(),
            images: BTreeMap::new(),
            networks: BTreeMap::new(),
            proxy: None,
            certificates: BTreeMap::new(),
            staged_kept: BTreeMap::new(),
            telemetry: diagnostics::first_telemetry(),
            is_power_saving: false,
            is_blank: false,
        }
    }
}

/// What a reset clears.
#[derive(Debug)]
struct Ram {
    booted_at: Instant,
    staged: BTreeMap<ComponentId, Staged>,
    processes: BTreeMap<ComponentId, Process>,
    radio: Radio,
    wifi_is_up: bool,
    is_updating: bool,
    is_restart_required: bool,
    /// The state that decides what is allowed: that of flash, or until the next start the one before (REST-A19).
    state_in_force: ManufacturingState,
    had_internet: bool,
}

impl Ram {
    fn new(now: Instant, state: ManufacturingState) -> Self {
        Self {
            booted_at: now,
            staged: BTreeMap::new(),
            processes: BTreeMap::new(),
            radio: Radio::default(),
            wifi_is_up: true,
            is_updating: false,
            is_restart_required: false,
            state_in_force: state,
            had_internet: false,
        }
    }
}

/// The software of one chip with its memory.
#[derive(Debug)]
pub struct Firmware {
    config: FirmwareConfig,
    id: DeviceId,
    reported_id: DeviceId,
    flash: Flash,
    ram: Ram,
    counters: Counters,
    writes_expected: WritesExpected,
}

impl Firmware {
    /// A device as it leaves its maker, with what `config` says done to it, switched off.
    pub fn new(config: FirmwareConfig) -> Self {
        let id = device_id(&config.seed);
        let mut firmware = Self {
            id,
            reported_id: id,
            flash: Flash::new(config.state),
            ram: Ram::new(Instant::ZERO, config.state),
            counters: Counters::default(),
            writes_expected: WritesExpected::Anywhere,
            config,
        };
        if firmware.config.development {
            firmware.make_development();
        }
        firmware
    }

    /// The device's id.
    pub fn id(&self) -> DeviceId {
        self.id
    }

    /// How far it has come.
    pub fn state(&self) -> ManufacturingState {
        self.flash.state
    }

    /// True when flash was erased and holds nothing: such a device does not boot.
    pub fn is_blank(&self) -> bool {
        self.flash.is_blank
    }

    /// Flash is erased: OS, images, networks, certificates and stored capabilities are gone. The manufacturing state
    /// and everything else in fuses stays.
    pub(crate) fn erase(&mut self) {
        let state = if STATE_SURVIVES {
            self.flash.state
        } else {
            ManufacturingState::Blank
        };
        self.flash = Flash {
            is_blank: true,
            ..Flash::new(state)
        };
        self.ram = Ram::new(self.ram.booted_at, state);
        self.counters.erases += 1;
        self.count_write();
    }

    /// A recovery wrote this OS.
    pub(crate) fn install_os(&mut self, os: OsProfile) {
        self.config.os = os;
        self.flash.is_blank = false;
        self.counters.recoveries += 1;
    }

    /// The id that it tells.
    pub(crate) fn reported_id(&self) -> DeviceId {
        self.reported_id
    }

    /// Somebody writes: is it meant?
    fn count_write(&mut self) {
        let is_expected = match self.writes_expected {
            WritesExpected::Anywhere => true,
            WritesExpected::Nowhere => false,
            WritesExpected::Only(id) => id == self.id,
        };
        self.counters.wrong_target_writes += u64::from(!is_expected);
    }

    /// The OS that it runs.
    pub fn os(&self) -> OsProfile {
        self.config.os
    }

    /// What was asked of it.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    pub(crate) fn counters_mut(&mut self) -> &mut Counters {
        &mut self.counters
    }

    /// The capabilities that it lists, ascending.
    pub fn capabilities(&self) -> Vec<Capability> {
        self.capabilities_in_force(&[])
    }

    /// The customer's images: component, image.
    pub fn customer_images(&self) -> Vec<(ComponentId, ImageId)> {
        self.flash
            .images
            .iter()
            .map(|(component, installed)| (*component, installed.image))
            .collect()
    }

    /// The SSIDs of the configured networks.
    pub fn network_names(&self) -> Vec<String> {
        self.flash
            .networks
            .values()
            .map(|network| network.ssid.clone())
            .collect()
    }

    /// True when something is staged and not installed.
    pub fn has_staged(&self) -> bool {
        !self.ram.staged.is_empty()
    }

    /// Time since it was started.
    pub fn uptime(&self, now: Instant) -> Duration {
        now - self.ram.booted_at
    }

    pub(crate) fn expect_writes(&mut self, expected: WritesExpected) {
        self.writes_expected = expected;
    }

    pub(crate) fn report_id(&mut self, id: DeviceId) {
        self.reported_id = id;
    }

    /// Another id that is a point on the curve, as an id that changes would be.
    pub(crate) fn another_id(&self) -> DeviceId {
        device_id(&self.config.seed.branch("another"))
    }

    pub(crate) fn begin_update(&mut self) {
        self.ram.is_updating = true;
    }

    /// Starts anew: what is not in flash is gone.
    pub(crate) fn boot(&mut self, now: Instant) {
        let kept = !self.config.assumptions.restart_drops_staged;
        self.flash.staged_kept = if kept {
            std::mem::take(&mut self.ram.staged)
        } else {
            BTreeMap::new()
        };
        self.ram = Ram::new(now, self.flash.state);
        self.ram.staged = std::mem::take(&mut self.flash.staged_kept);
        self.counters.boots += 1;
        self.drop_temporary_images();
    }

    /// The OS is up: applications start, the radio looks for its networks.
    pub(crate) fn start_up(&mut self, now: Instant) {
        self.start_all(now);
        self.tick(now);
    }

    /// Lets time have its effect.
    pub(crate) fn tick(&mut self, now: Instant) {
        self.tick_applications(now);
        self.tick_radio(now);
    }

    /// When time alone will change something.
    pub(crate) fn wake_at(&self) -> Option<Instant> {
        self.applications_wake_at()
            .into_iter()
            .chain(self.radio_wake_at())
            .min()
    }

    /// Notes that a request has come in whole. Returns the operation that it is for and how long the device will
    /// take for it.
    pub(crate) fn arrive(&mut self, request: &Request) -> (Option<Operation>, Duration) {
        let times = self.config.times;
        let Ok((operation, _)) = self.route(request) else {
            self.counters.foreign_requests += 1;
            return (None, times.request);
        };
        self.counters.request(operation);
        if operation.spec().effect != lineside_terms::Effect::Reads {
            self.count_write();
        }
        let extra = match operation {
            Operation::Stage => times.stage,
            Operation::Install if !self.ram.staged.is_empty() => times.install,
            Operation::DeleteImage
            | Operation::AddWifiNetwork
            | Operation::DeleteWifiNetwork
            | Operation::AddCert
            | Operation::SetProxy
            | Operation::SetManufacturingState => times.store,
            _ => Duration::ZERO,
        };
        (Some(operation), times.request + extra)
    }

    /// Does what a request asks for and answers it.
    pub(crate) fn perform(&mut self, request: &Request, now: Instant) -> (Response, Then) {
        self.tick(now);
        match self.handle(request, now) {
            Ok(done) => done,
            Err(Refused {
                status,
                code: Some(code),
            }) => (Response::error(status, code), Then::Nothing),
            Err(Refused { status, code: None }) => (
                Response {
                    body: Vec::new(),
                    ..Response::error(status, ErrorCode::NONE)
                },
                Then::Nothing,
            ),
        }
    }

    /// Notes a request and does it at once: the whole device without wire, TLS and HTTP. A restart that it asks for
    /// is done at once too.
    pub fn call(&mut self, request: &Request, now: Instant) -> Response {
        self.arrive(request);
        let (response, then) = self.perform(request, now);
        if then == Then::Restart {
            self.boot(now);
            self.start_up(now);
        }
        response
    }

    fn route(&self, request: &Request) -> Result<(Operation, Option<String>), RouteError> {
        let found = Operation::route(&request.method, &request.target)?;
        if found.0.is_served(self.config.os.api()) {
            Ok(found)
        } else {
            Err(RouteError::NotFound)
        }
    }

    fn handle(&mut self, request: &Request, now: Instant) -> Result<(Response, Then), Refused> {
        let (operation, item) = self.route(request).map_err(|error| match error {
            RouteError::NotFound => Refused::from(assume::UNKNOWN_PATH),
            RouteError::WrongVerb => Refused::from(assume::WRONG_METHOD),
        })?;
        let spec = operation.spec();
        let capabilities = self.capabilities_in_force(&self.session_capabilities(request));
        if !is_allowed(spec, self.ram.state_in_force, &capabilities) {
            self.counters.irreversible_refused += u64::from(operation == Operation::SetManufacturingState);
            return Err(Refused {
                status: 403,
                code: self.config.assumptions.refusal_body.code(),
            });
        }
        if matches!(spec.request, Payload::Json | Payload::OptionalJson) {
            let is_json = request
                .content_type
                .as_deref()
                .is_none_or(|kind| kind == "application/json");
            if !is_json && !request.body.is_empty() {
                return Err(assume::WRONG_MEDIA_TYPE.into());
            }
        }
        self.dispatch(operation, item.unwrap_or_default(), request, &capabilities, now)
    }

    fn dispatch(
        &mut self,
        operation: Operation,
        item: String,
        request: &Request,
        capabilities: &[Capability],
        now: Instant,
    ) -> Result<(Response, Then), Refused> {
        use Operation as O;
        let body = request.body.as_slice();
        let response = match operation {
            O::GetStatus => self.get_status(now),
            O::GetOsVersion => self.get_os_version(),
            O::GetAbiVersions => self.get_abi_versions(),
            O::GetSecurityState => self.get_security_state(),
            O::GetCapabilities => reply::json(&lineside_protocol::rest::device::Capabilities {
                device_capabilities: capabilities.to_vec(),
            }),
            O::GetManufacturingState => self.get_manufacturing_state(),
            O::SetManufacturingState => self.set_manufacturing_state(body)?,
            O::Restart => return Ok((reply::restarting(true), Then::Restart)),

            O::GetImages => self.get_images(),
            O::Stage => self.stage(body, capabilities)?,
            O::Install => return self.install(body, now),
            O::DeleteImage => return self.delete_image(&item, capabilities),
            O::GetAppStatus => self.get_app_status(&item, now)?,
            O::ControlApp => self.control_app(&item, body, capabilities, now)?,
            O::GetAppQuota => self.get_app_quota(&item)?,
            O::GetMemoryStats => self.get_memory_stats(),

            O::GetCerts => self.get_certificates(),
            O::GetCert => self.get_certificate(&item)?,
            O::AddCert => self.add_certificate(&item, body)?,
            O::DeleteCert => self.delete_certificate(&item)?,
            O::GetCertSpace => self.get_certificate_space(),

            O::GetNetStatus => self.get_net_status(),
            O::GetInterfaces => self.get_interfaces(),
            O::GetInterface => self.get_interface(&item)?,
            O::ChangeInterface => self.change_interface(&item, body, now)?,
            O::GetProxy => self.get_proxy(),
            O::SetProxy => self.set_proxy(body)?,
            O::DeleteProxy => self.delete_proxy(),
            O::GetFirewall => self.get_firewall(),

            O::GetWifiNetworks => self.get_networks()?,
            O::AddWifiNetwork => self.add_network(body, now)?,
            O::GetWifiNetwork => self.get_network(&item)?,
            O::ChangeWifiNetwork => self.change_network(&item, body, now)?,
            O::DeleteWifiNetwork => self.delete_network(&item, now)?,
            O::GetWifiDiagnostics => self.get_diagnostics(now)?,
            O::GetWifiNetworkDiagnostics => self.get_network_diagnostics(&item, now)?,
            O::GetWifiInterface => self.get_wifi_interface(),
            O::ChangeWifiInterface => self.change_wifi_interface(body, now)?,
            O::GetWifiScan => self.get_scan()?,

            O::GetLog => self.get_log(),
            O::GetTelemetry => self.get_telemetry(),
            O::ClearTelemetry => self.clear_telemetry(),
        };
        Ok((response, Then::Nothing))
    }
}

/// The id of the chip with this seed: a real P-256 public key (`device-rest-api.md` 5.5).
pub(crate) fn device_id(seed: &Seed) -> DeviceId {
    let key = seed.branch("identity").key();
    let point = key.verifying_key().to_sec1_point(false);
    let mut id = [0; 64];
    // Uncompressed: one byte of form, then X and Y.
    id.copy_from_slice(&point.as_bytes()[1..]);
    DeviceId::from_bytes(id)
}
