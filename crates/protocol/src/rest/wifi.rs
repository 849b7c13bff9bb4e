//! `/wifi/…`: configured networks, the interface, what is in reach (`device-rest-api.md` 3.6).

use serde::{Deserialize, Serialize};

use super::Secret;

/// Answer of `GET /wifi/config/networks`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Networks {
    /// All that are configured.
    pub values: Vec<Network>,
}

/// One configured network. Its PSK is never told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Network {
    /// Its SSID.
    pub ssid: String,
    /// Whether it may be used.
    pub config_state: ConfigState,
    /// Whether it is used just now; `Unknown` in the answer that adds it.
    pub connection_state: ConnectionState,
    /// Its number, given out by the device.
    pub id: i32,
    /// How it is protected.
    pub security_state: WifiSecurity,
    /// True when the device looks for this SSID by name, as hidden networks need it.
    pub targeted_scan: bool,
    /// A name for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_name: Option<String>,
    /// Id of the certificate that proves who the device is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_cert_store_identifier: Option<String>,
    /// EAP identity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_identity: Option<String>,
    /// Id of the certificate that proves who the network is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root_ca_cert_store_identifier: Option<String>,
}

/// Request of `POST /wifi/config/networks`. The vendor's clients misspell `targetedScan` as `targetScan`; the
/// misspelt one is passed over (REST-A64), and so is the `id` that the vendor's tool sends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AddNetworkRequest {
    /// Its SSID, 1 to 32 bytes.
    pub ssid: String,
    /// How it is protected.
    pub security_state: WifiSecurity,
    /// Whether it may be used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_state: Option<ConfigState>,
    /// A name for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_name: Option<String>,
    /// True to look for this SSID by name, as hidden networks need it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub targeted_scan: Option<bool>,
    /// The pre-shared key, 8 to 63 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub psk: Option<Secret>,
    /// Id of the certificate that proves who the device is, for EAP-TLS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_cert_store_identifier: Option<String>,
    /// Id of the certificate that proves who the network is, for EAP-TLS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root_ca_cert_store_identifier: Option<String>,
    /// EAP identity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_identity: Option<String>,
}

/// Request of `PATCH /wifi/config/networks/{id}`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ChangeNetworkRequest {
    /// Whether it may be used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_state: Option<ConfigState>,
    /// A new pre-shared key, 8 to 63 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub psk: Option<Secret>,
}

/// Whether a network may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ConfigState {
    /// It may.
    Enabled,
    /// It may not.
    Disabled,
    /// Not for a while, after it failed.
    TempDisabled,
    /// The device does not know, or said a word that we do not know.
    #[serde(other)]
    Unknown,
}

/// Whether a network is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ConnectionState {
    /// It is not.
    Disconnected,
    /// It is.
    Connected,
    /// The device does not know, or said a word that we do not know.
    #[serde(other)]
    Unknown,
}

/// How a network is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WifiSecurity {
    /// Not at all.
    Open,
    /// WPA2 with a pre-shared key.
    Psk,
    /// EAP-TLS with certificates.
    EapTls,
    /// The device does not know, or said a word that we do not know.
    #[serde(other)]
    Unknown,
}

/// Answer of `GET /wifi/diagnostics/networks`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Diagnostics {
    /// One for each network that failed.
    pub values: Vec<Diagnosis>,
}

/// Why one network does not connect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Diagnosis {
    /// When, by the device's clock: `2000-01-01t00:04:37+0000`, with a small `t`.
    pub timestamp: String,
    /// The number of the network.
    pub network_id: i32,
    /// Its SSID.
    pub ssid: String,
    /// What went wrong, one word.
    pub error: String,
    /// Whether it may be used.
    pub config_state: ConfigState,
    /// Whether it is used.
    pub connection_state: ConnectionState,
    /// What was wrong with the certificate of the network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cert_info: Option<CertInfo>,
}

/// What was wrong with the certificate of a network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CertInfo {
    /// Its subject.
    pub cert_subject: String,
    /// How many certificates above the network's own.
    pub cert_depth: i32,
    /// What was wrong.
    pub cert_error: String,
}

/// Answer of `GET /wifi/interface`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WifiInterface {
    /// SSID of the network that is used, left out when none is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ssid: Option<String>,
    /// Whether that network may be used.
    #[serde(rename = "configState")]
    pub config_state: ConfigState,
    /// Whether one is used.
    #[serde(rename = "connectionState")]
    pub connection_state: ConnectionState,
    /// How it is protected.
    #[serde(rename = "securityState")]
    pub security_state: WifiSecurity,
    /// `station`.
    pub mode: String,
    /// `UNKNOWN`, `NONE`, `WPA2-PSK` or `WPA-EAP`.
    pub key_mgmt: String,
    /// As `COMPLETED`, `SCANNING`, `INTERFACE_DISABLED`.
    pub wpa_state: String,
    /// MAC address.
    pub address: String,
    /// Channel frequency in MHz, left out when not connected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub freq: Option<u32>,
    /// IP address, left out when not connected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip_address: Option<String>,
    /// Number of the network that is used, -1 for none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<i32>,
    /// Name of its configuration.
    #[serde(rename = "configName", default, skip_serializing_if = "Option::is_none")]
    pub config_name: Option<String>,
    /// Since 4.6.0.
    #[serde(
        rename = "powerSavingsState",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub power_savings_state: Option<PowerSavings>,
}

/// Whether the radio saves power.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PowerSavings {
    /// It does.
    Enabled,
    /// It does not.
    Disabled,
    /// The device does not know, or said a word that we do not know.
    #[serde(other)]
    Unknown,
}

/// Request of `PATCH /wifi/interface`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ChangeWifiInterfaceRequest {
    /// True to read the stored configuration again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reload_config: Option<bool>,
    /// Switch power savings, since 4.6.0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enable_power_savings: Option<bool>,
}

/// Answer of `GET /wifi/scan`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Scan {
    /// What is in reach.
    pub values: Vec<ScannedNetwork>,
}

/// One network in reach.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScannedNetwork {
    /// MAC address of the access point.
    pub bssid: String,
    /// Channel frequency in MHz.
    pub freq: u32,
    /// Strength in dBm.
    pub signal_level: i32,
    /// SSID; a hidden network has one NUL.
    pub ssid: String,
    /// How it is protected.
    #[serde(rename = "securityState")]
    pub security_state: WifiSecurity,
}
