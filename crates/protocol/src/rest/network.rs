//! `/net/…`: interfaces, proxy, firewall (`device-rest-api.md` 3.5).

use serde::{Deserialize, Serialize};

use super::Secret;

/// Answer of `GET /net/status`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NetStatus {
    /// True when the device could prove itself to the cloud.
    pub device_authentication_is_ready: bool,
    /// Whether the clock was set from the network.
    pub network_time_sync: TimeSync,
    /// Whether the proxy can be used.
    pub proxy: ProxyStatus,
}

/// Whether the clock was set from the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum TimeSync {
    /// It was.
    Complete,
    /// Not yet.
    Incomplete,
    /// It never will.
    Disabled,
    /// The device said a word that we do not know.
    #[serde(other)]
    Unknown,
}

/// Whether the proxy can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ProxyStatus {
    /// None is configured, or it is switched off.
    Disabled,
    /// Switched on.
    Enabled,
    /// Its address is being looked up.
    ResolvingProxyName,
    /// In use.
    Ready,
    /// The device said a word that we do not know.
    #[serde(other)]
    Unknown,
}

/// Answer of `GET /net/interfaces`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Interfaces {
    /// All of them.
    pub interfaces: Vec<Interface>,
}

/// One network interface: answer of `GET /net/interfaces/{name}`, and an entry of [`Interfaces`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Interface {
    /// `azspheresvc` is the wire to the PC; `lo`, `wlan0`, `eth0` are what they are elsewhere.
    pub interface_name: String,
    /// Switched on.
    pub interface_up: bool,
    /// A cable is plugged, an access point took us.
    pub connected_to_network: bool,
    /// It has an address.
    pub ip_acquired: bool,
    /// The internet can be reached through it.
    pub connected_to_internet: bool,
    /// MAC address, of `wlan0` and `eth0` only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hardware_address: Option<String>,
    /// How it gets its address, for `wlan0` and `eth0` only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip_assignment: Option<IpAssignment>,
    /// Its addresses, left out when it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip_addresses: Option<Vec<String>>,
}

/// How an interface gets its address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum IpAssignment {
    /// By DHCP.
    Dynamic,
    /// It is configured.
    Static,
    /// The device said a word that we do not know.
    #[serde(other)]
    Unknown,
}

/// Request of `PATCH /net/interfaces/{name}`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ChangeInterfaceRequest {
    /// Switch it on or off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interface_up: Option<bool>,
    /// Set its MAC address, Ethernet only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hardware_address: Option<String>,
}

/// The proxy: request and answer of `POST /net/proxy`, answer of `GET`. All is left out when none is configured;
/// only the answer to `POST` holds the password.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Proxy {
    /// Host name or IP address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// Switched on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// TCP port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// How the device proves itself to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authentication_type: Option<ProxyAuthentication>,
    /// For basic authentication.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// For basic authentication.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<Secret>,
    /// Addresses that are reached without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub no_proxy_addresses: Option<Vec<String>>,
}

impl Proxy {
    /// True when a device that answers this has no proxy configured.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

/// How a device proves itself to a proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ProxyAuthentication {
    /// Not at all.
    Anonymous,
    /// By user name and password.
    Basic,
    /// A word that is neither.
    #[serde(other)]
    Unknown,
}

/// Answer of `GET /net/firewall/rulesets`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Rulesets {
    /// One for each hook.
    pub rulesets: Vec<Ruleset>,
}

/// The rules of one hook of the firewall.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Ruleset {
    /// Where packets are looked at: `PREROUTING`, `INPUT`, `FORWARD`, `OUTPUT`, `POSTROUTING`.
    pub hook: String,
    /// False for a hook that is not used.
    pub is_valid: bool,
    /// In the order in which they are tried.
    pub rules: Vec<Rule>,
}

/// One rule of the firewall, told and never interpreted here: words and flags stay as the device writes them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rule {
    /// Address that packets come from.
    #[serde(rename = "sourceIP")]
    pub source_ip: String,
    /// Which bits of it matter.
    pub source_mask: String,
    /// Address that packets go to.
    #[serde(rename = "destinationIP")]
    pub destination_ip: String,
    /// Which bits of it matter.
    pub destination_mask: String,
    /// Number of the application's user; all ones for any.
    pub uid: u32,
    /// `drop` or `accept`.
    pub action: String,
    /// Interface that packets come in by.
    pub interface_in_name: String,
    /// Interface that packets go out by.
    pub interface_out_name: String,
    /// `none`, `established` or `related`.
    pub state: String,
    /// TCP flags that are looked at.
    pub tcp_mask: Vec<String>,
    /// TCP flags that must be set.
    pub tcp_cmp: Vec<String>,
    /// The opposite is meant.
    pub tcp_inv: bool,
    /// `any`, `icmp`, `igmp`, `tcp` or `udp`.
    pub protocol: String,
    /// Ports that packets come from.
    pub source_port_range: PortRange,
    /// Ports that packets go to.
    pub destination_port_range: PortRange,
    /// Packets that it met.
    pub packets: u64,
    /// Bytes that it met.
    pub bytes: u64,
}

/// Ports from `min` to `max`, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortRange {
    /// The lowest.
    pub min: u16,
    /// The highest.
    pub max: u16,
}
