//! `app_manifest.json`: what an application is called, how it starts and what it may do (`image-package.md` 6.5). The
//! device reads it when it installs; here it is read before anything is sent, with the device's own error numbers
//! (section 12, category 2).

use std::collections::BTreeSet;

use lineside_terms::{Blame, ComponentId, Explain};
use serde_json::{Map, Value};

use crate::assume;
use crate::json::{Members, minify, parse_strict};

/// The name of the manifest in the root of an application.
pub(crate) const FILE_NAME: &str = "app_manifest.json";
const RUNTIME_VERSION: &str = "TargetApplicationRuntimeVersion";

/// What an application says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppManifest {
    /// Its name, of any length; packages keep 31 bytes of it.
    pub name: String,
    /// The component that it is.
    pub component: ComponentId,
    /// The path of the program inside the image, as written.
    pub entry_point: String,
    /// Arguments for the program.
    pub cmd_args: Vec<String>,
    /// What it may do.
    pub capabilities: Capabilities,
    /// High-level or real-time.
    pub application_type: ApplicationType,
    /// The interface that it was built for; set by the packer, absent in a source manifest.
    pub target_runtime_version: Option<u32>,
}

/// On which core an application runs. A manifest that does not say means [`ApplicationType::Default`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ApplicationType {
    /// High-level, on the application core.
    Default,
    /// On a real-time core.
    RealTimeCapable,
}

/// What an application asks for. Empty means: nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// GPIO numbers.
    pub gpio: Vec<u32>,
    /// UARTs, `ISU0`.
    pub uart: Vec<String>,
    /// I²C masters.
    pub i2c_master: Vec<String>,
    /// SPI masters.
    pub spi_master: Vec<String>,
    /// PWM controllers.
    pub pwm: Vec<String>,
    /// ADC controllers.
    pub adc: Vec<String>,
    /// Hosts that it may connect to.
    pub allowed_connections: Vec<String>,
    /// TCP ports on which it may listen.
    pub allowed_tcp_server_ports: Vec<u16>,
    /// UDP ports on which it may listen.
    pub allowed_udp_server_ports: Vec<u16>,
    /// Applications on other cores that it may talk to.
    pub allowed_application_connections: Vec<ComponentId>,
    /// Flash that it keeps for itself, in KiB.
    pub mutable_storage_kib: Option<u32>,
    /// Catalogue or tenant in whose name it may authenticate.
    pub device_authentication: Option<String>,
    /// Power actions that it may take.
    pub power_controls: Vec<String>,
    /// The capabilities that are simply granted (`"WifiConfig": true`), by their keys.
    pub granted: BTreeSet<String>,
    /// Keys that nobody described; a device may know more than this program.
    pub unknown: BTreeSet<String>,
}

impl AppManifest {
    /// Reads a manifest as it stands in an image.
    ///
    /// # Errors
    /// What a device would refuse, with its error number, and what could mean two things (duplicate keys).
    pub fn parse(bytes: &[u8]) -> Result<Self, ManifestError> {
        let Value::Object(manifest) =
            parse_strict(bytes).map_err(|reason| ManifestError::NotJson { reason })?
        else {
            return Err(ManifestError::NotJson {
                reason: "it is not an object".into(),
            });
        };
        match manifest
            .get("SchemaVersion")
            .ok_or(ManifestError::NoSchemaVersion)?
            .as_u64()
        {
            Some(1) => {}
            _ => return Err(ManifestError::SchemaVersion),
        }
        let text = |key: &'static str| {
            manifest
                .get(key)
                .and_then(Value::as_str)
                .filter(|text| !text.is_empty())
        };
        let name = text("Name").ok_or(ManifestError::Field {
            key: "Name",
            rule: "it must be a text",
        })?;
        let component = text("ComponentId").and_then(|text| text.parse().ok());
        let component = component.ok_or(ManifestError::Field {
            key: "ComponentId",
            rule: "it must be a GUID",
        })?;
        manifest.get("EntryPoint").ok_or(ManifestError::NoEntryPoint)?;
        let entry_point = text("EntryPoint").ok_or(ManifestError::BadEntryPoint)?;
        let cmd_args = match manifest.get("CmdArgs") {
            None => Vec::new(),
            Some(value) => texts(value).ok_or(ManifestError::CmdArgs)?,
        };
        let capabilities = match manifest.get("Capabilities") {
            Some(Value::Object(capabilities)) => Capabilities::read(capabilities)?,
            _ => return Err(ManifestError::NoCapabilities),
        };
        let application_type = match manifest.get("ApplicationType").map(Value::as_str) {
            None | Some(Some("Default")) => ApplicationType::Default,
            Some(Some("RealTimeCapable")) => ApplicationType::RealTimeCapable,
            Some(_) => return Err(ManifestError::ApplicationType),
        };
        let target_runtime_version = match manifest.get(RUNTIME_VERSION) {
            None => None,
            Some(value) => Some(number(value).ok_or(ManifestError::Field {
                key: RUNTIME_VERSION,
                rule: "it must be a small number",
            })?),
        };
        Ok(Self {
            name: name.to_owned(),
            component,
            entry_point: entry_point.to_owned(),
            cmd_args,
            capabilities,
            application_type,
            target_runtime_version,
        })
    }
}

impl Capabilities {
    fn read(object: &Map<String, Value>) -> Result<Self, ManifestError> {
        let mut out = Self::default();
        for (key, value) in object {
            out.read_one(key, value)?;
        }
        Ok(out)
    }

    fn read_one(&mut self, key: &str, value: &Value) -> Result<(), ManifestError> {
        let wrong = |id, rule| ManifestError::Capability {
            key: key.to_owned(),
            rule,
            id,
        };
        let peripherals = || {
            let names = texts(value).ok_or_else(|| wrong(13, "it must be a list of peripherals"))?;
            match names.iter().find(|name| name.starts_with('$')) {
                Some(name) => Err(ManifestError::Unresolved { name: name.clone() }),
                None => Ok(names),
            }
        };
        let ports = |malformed, illegal| {
            let list = value
                .as_array()
                .ok_or_else(|| wrong(malformed, "it must be a list of ports"))?;
            let port = |value: &Value| {
                let port = value
                    .as_i64()
                    .ok_or_else(|| wrong(malformed, "it must be a list of ports"))?;
                u16::try_from(port)
                    .ok()
                    .filter(|&port| port != 0)
                    .ok_or_else(|| wrong(illegal, "ports go from 1 to 65535"))
            };
            list.iter().map(port).collect::<Result<Vec<_>, _>>()
        };
        match key {
            "Gpio" => {
                self.gpio = read_gpio(value)
                    .map_err(|error| error.unwrap_or_else(|| wrong(10, "it must be a list of numbers")))?
            }
            "Uart" => self.uart = peripherals()?,
            "I2cMaster" => self.i2c_master = peripherals()?,
            "SpiMaster" => self.spi_master = peripherals()?,
            "Pwm" => self.pwm = peripherals()?,
            "Adc" => self.adc = peripherals()?,
            "AllowedConnections" => {
                self.allowed_connections =
                    texts(value).ok_or_else(|| wrong(9, "it must be a list of hosts"))?;
            }
            "AllowedTcpServerPorts" => self.allowed_tcp_server_ports = ports(36, 38)?,
            "AllowedUdpServerPorts" => self.allowed_udp_server_ports = ports(37, 39)?,
            "AllowedApplicationConnections" => {
                let ids = texts(value).and_then(|ids| ids.iter().map(|id| id.parse().ok()).collect());
                self.allowed_application_connections =
                    ids.ok_or_else(|| wrong(43, "it must be a list of component ids"))?;
            }
            "MutableStorage" => {
                self.mutable_storage_kib = Some(read_storage(value).map_err(|(id, rule)| wrong(id, rule))?)
            }
            "DeviceAuthentication" => {
                let id = value.as_str().ok_or_else(|| wrong(24, "it must be a GUID"))?;
                if id.len() > 36 {
                    return Err(wrong(29, "it is longer than a GUID"));
                }
                id.parse::<ComponentId>()
                    .map_err(|_| wrong(28, "it must be a GUID"))?;
                self.device_authentication = Some(id.to_owned());
            }
            "PowerControls" => {
                self.power_controls = read_power_controls(value).map_err(|(id, rule)| wrong(id, rule))?
            }
            _ => match GRANTED.iter().find(|(known, _)| *known == key) {
                None => drop(self.unknown.insert(key.to_owned())),
                Some((_, id)) => {
                    if value
                        .as_bool()
                        .ok_or_else(|| wrong(*id, "it must be true or false"))?
                    {
                        self.granted.insert(key.to_owned());
                    }
                }
            },
        }
        Ok(())
    }
}

/// The capabilities that are true or false, with the device's error number for anything else.
const GRANTED: [(&str, u16); 14] = [
    ("WifiConfig", 15),
    ("SystemTime", 30),
    ("TimeSyncConfig", 40),
    ("DhcpService", 41),
    ("SntpService", 42),
    ("CertStore", 44),
    ("EnterpriseWifiConfig", 45),
    ("SystemEventNotifications", 46),
    ("SoftwareUpdateDeferral", 47),
    ("NetworkConfig", assume::UNNUMBERED_MANIFEST_ERROR),
    ("ReadNetworkProxyConfig", assume::UNNUMBERED_MANIFEST_ERROR),
    ("HardwareAddressConfig", assume::UNNUMBERED_MANIFEST_ERROR),
    ("ResetMemoryWatermarks", assume::UNNUMBERED_MANIFEST_ERROR),
    ("HeapMemStats", assume::UNNUMBERED_MANIFEST_ERROR),
];

const POWER_CONTROLS: [&str; 3] = ["ForceReboot", "ForcePowerDown", "SetPowerProfile"];

fn read_gpio(value: &Value) -> Result<Vec<u32>, Option<ManifestError>> {
    let mut pins = Vec::new();
    for value in value.as_array().ok_or(None)? {
        if let Some(name) = value.as_str().filter(|name| name.starts_with('$')) {
            return Err(Some(ManifestError::Unresolved {
                name: name.to_owned(),
            }));
        }
        let pin = number(value).ok_or(None)?;
        if pins.contains(&pin) {
            return Err(Some(ManifestError::SamePin { pin }));
        }
        pins.push(pin);
    }
    Ok(pins)
}

fn read_storage(value: &Value) -> Result<u32, (u16, &'static str)> {
    let storage = value
        .as_object()
        .ok_or((31, "it must be an object with SizeKB"))?;
    let size = storage.get("SizeKB").ok_or((32, "SizeKB is missing"))?;
    number(size)
        .filter(|&size| size > 0)
        .ok_or((33, "SizeKB must be a number above 0"))
}

fn read_power_controls(value: &Value) -> Result<Vec<String>, (u16, &'static str)> {
    let controls = texts(value).ok_or((48, "it must be a list of power actions"))?;
    if controls.is_empty() {
        return Err((49, "it must not be empty"));
    }
    if controls
        .iter()
        .any(|control| !POWER_CONTROLS.contains(&control.as_str()))
    {
        return Err((50, "it knows ForceReboot, ForcePowerDown and SetPowerProfile"));
    }
    let distinct: BTreeSet<_> = controls.iter().collect();
    if distinct.len() == controls.len() {
        Ok(controls)
    } else {
        Err((48, "an action stands twice"))
    }
}

fn number(value: &Value) -> Option<u32> {
    value.as_u64().and_then(|number| number.try_into().ok())
}

fn texts(value: &Value) -> Option<Vec<String>> {
    value
        .as_array()?
        .iter()
        .map(|item| item.as_str().map(str::to_owned))
        .collect()
}

/// Rewrites a source manifest as the packer does: white space out, key order kept, the runtime version last
/// (`image-package.md` 6.5). The bytes must have been read by [`AppManifest::parse`] before.
pub(crate) fn rewrite(source: &[u8], runtime_version: Option<u32>) -> Result<String, ManifestError> {
    let broken = |reason: String| ManifestError::NotJson { reason };
    let text = str::from_utf8(source).map_err(|_| broken("it is not UTF-8".into()))?;
    let members: Members<'_> = serde_json::from_str(text).map_err(|error| broken(error.to_string()))?;
    let mut out = Vec::new();
    for (key, value) in members.0.iter().filter(|(key, _)| key != RUNTIME_VERSION) {
        let key = serde_json::to_string(key).map_err(|error| broken(error.to_string()))?;
        out.push(format!("{key}:{}", minify(value.get())));
    }
    out.extend(runtime_version.map(|version| format!("\"{RUNTIME_VERSION}\":{version}")));
    Ok(format!("{{{}}}", out.join(",")))
}

/// How a manifest fails. The device's own number for it is [`ManifestError::app_manifest_error`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// The image has none.
    #[error("the application has no {FILE_NAME}")]
    Missing,
    /// Not an object in JSON, or one that could mean two things.
    #[error("{FILE_NAME} cannot be read: {reason}")]
    NotJson {
        /// Why, with line and column where there is one.
        reason: String,
    },
    /// No SchemaVersion.
    #[error("{FILE_NAME} has no SchemaVersion")]
    NoSchemaVersion,
    /// A SchemaVersion other than 1.
    #[error("{FILE_NAME} has a SchemaVersion other than 1")]
    SchemaVersion,
    /// Name, ComponentId or the runtime version is missing or wrong.
    #[error("{key} in {FILE_NAME} is missing or wrong: {rule}")]
    Field {
        /// Which.
        key: &'static str,
        /// What it must be.
        rule: &'static str,
    },
    /// No EntryPoint.
    #[error("{FILE_NAME} has no EntryPoint")]
    NoEntryPoint,
    /// The EntryPoint is not a path.
    #[error("the EntryPoint in {FILE_NAME} is not a path")]
    BadEntryPoint,
    /// The EntryPoint names nothing in the image.
    #[error("the EntryPoint `{path}` is not in the image")]
    EntryPointAbsent {
        /// What it names.
        path: String,
    },
    /// The EntryPoint names a directory.
    #[error("the EntryPoint `{path}` is a directory")]
    EntryPointNotAFile {
        /// What it names.
        path: String,
    },
    /// CmdArgs is not a list of texts.
    #[error("CmdArgs in {FILE_NAME} is not a list of texts")]
    CmdArgs,
    /// No Capabilities object, which must be there even if empty.
    #[error("{FILE_NAME} has no Capabilities object")]
    NoCapabilities,
    /// A capability of the wrong form.
    #[error("the capability {key} in {FILE_NAME} is wrong: {rule}")]
    Capability {
        /// Its key.
        key: String,
        /// What it must be.
        rule: &'static str,
        /// The device's number for this.
        id: u16,
    },
    /// A peripheral named by a hardware definition, which only the SDK resolves.
    #[error("the peripheral `{name}` in {FILE_NAME} is a name of a hardware definition, not a value")]
    Unresolved {
        /// The name, with its `$`.
        name: String,
    },
    /// Two peripherals on one pin.
    #[error("GPIO {pin} stands twice in {FILE_NAME}")]
    SamePin {
        /// Its number.
        pin: u32,
    },
    /// Neither Default nor RealTimeCapable.
    #[error("the ApplicationType in {FILE_NAME} is neither Default nor RealTimeCapable")]
    ApplicationType,
}

impl ManifestError {
    /// The id of the `AppManifestError` (category 2) that a device gives for this (`image-package.md` 12).
    pub fn app_manifest_error(&self) -> u16 {
        match self {
            Self::NotJson { .. } => 1,
            Self::Field { .. } => assume::UNNUMBERED_MANIFEST_ERROR,
            Self::NoEntryPoint => 3,
            Self::NoSchemaVersion => 4,
            Self::CmdArgs => 5,
            Self::NoCapabilities => 6,
            Self::Unresolved { .. } => 13,
            Self::BadEntryPoint => 16,
            Self::SchemaVersion => 17,
            Self::EntryPointAbsent { .. } => 22,
            Self::EntryPointNotAFile { .. } => 23,
            Self::Missing => 25,
            Self::ApplicationType => 26,
            Self::SamePin { .. } => 35,
            Self::Capability { id, .. } => *id,
        }
    }
}

impl Explain for ManifestError {
    fn code(&self) -> &'static str {
        match self {
            Self::Missing => "image.manifest-missing",
            _ => "image.manifest",
        }
    }

    fn help(&self) -> String {
        match self {
            Self::Unresolved { .. } => "Write the value itself (a number for GPIO, ISU0 for a UART).".into(),
            Self::EntryPointAbsent { .. } | Self::EntryPointNotAFile { .. } => {
                "Add the program to the application's files, or correct EntryPoint.".into()
            }
            Self::Missing => format!("Put a {FILE_NAME} into the root of the application."),
            _ => format!(
                "Correct {FILE_NAME} and pack the application again; a device would refuse it with error {}.",
                2 << 20 | u32::from(self.app_manifest_error())
            ),
        }
    }

    fn blame(&self) -> Blame {
        Blame::Supply
    }
}
