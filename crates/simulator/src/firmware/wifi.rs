//! Wi-Fi: configured networks, the radio that connects to them, and its quirks (`device-rest-api.md` 3.6).

use lineside_protocol::rest::http::limit;
use lineside_protocol::rest::wifi::{
    AddNetworkRequest, ChangeNetworkRequest, ChangeWifiInterfaceRequest, ConfigState, ConnectionState,
    Diagnosis, Diagnostics, Network, Networks, PowerSavings, Scan, ScannedNetwork, WifiInterface,
    WifiSecurity,
};
use lineside_protocol::rest::{ApiVersion, ErrorCode, Secret, assume};
use lineside_terms::Instant;

use super::Firmware;
use super::radio::Radio;
use super::reply::{Refused, json, read, refused};
use crate::chip::Response;

/// The first version that tells about power savings.
const POWER_SAVINGS_SINCE: ApiVersion = ApiVersion::new(4, 6, 0);
/// The channel of every access point in MHz.
const CHANNEL_MHZ: u32 = 5220;

/// A network in flash.
#[derive(Debug, Clone)]
pub(super) struct StoredNetwork {
    pub(super) ssid: String,
    pub(super) security: WifiSecurity,
    pub(super) state: ConfigState,
    name: Option<String>,
    pub(super) targeted_scan: bool,
    pub(super) psk: Option<Secret>,
    client_cert: Option<String>,
    client_identity: Option<String>,
    root_ca: Option<String>,
    /// Why it does not connect, one word.
    pub(super) trouble: Option<&'static str>,
}

impl Firmware {
    pub(super) fn get_networks(&self) -> Result<Response, Refused> {
        self.need_wifi()?;
        Ok(json(&Networks {
            values: self
                .flash
                .networks
                .keys()
                .filter_map(|id| self.network(*id))
                .collect(),
        }))
    }

    pub(super) fn get_network(&self, item: &str) -> Result<Response, Refused> {
        self.need_wifi()?;
        let network = network_id(item).and_then(|id| self.network(id));
        Ok(json(&network.ok_or(refused(404, ErrorCode::NETWORK_NOT_FOUND))?))
    }

    pub(super) fn add_network(&mut self, body: &[u8], now: Instant) -> Result<Response, Refused> {
        self.need_wifi()?;
        let wanted: AddNetworkRequest = read(body)?;
        self.check_new(&wanted)?;
        let id = assume::next_network_id(self.flash.networks.keys().copied());
        let is_psk = wanted.security_state == WifiSecurity::Psk;
        let network = StoredNetwork {
            ssid: wanted.ssid,
            security: wanted.security_state,
            state: wanted.config_state.unwrap_or(ConfigState::Enabled),
            name: wanted.config_name,
            targeted_scan: wanted.targeted_scan.unwrap_or(false),
            psk: wanted.psk.filter(|_| is_psk),
            client_cert: wanted.client_cert_store_identifier,
            client_identity: wanted.client_identity,
            root_ca: wanted.root_ca_cert_store_identifier,
            trouble: None,
        };
        self.flash.networks.insert(id, network);
        self.look_around(now);
        let mut told = self.network(id).ok_or(refused(500, ErrorCode::INTERNAL_ERROR))?;
        // Only this one answer does not know.
        told.connection_state = ConnectionState::Unknown;
        Ok(Response {
            status: 201,
            ..json(&told)
        })
    }

    fn check_new(&self, wanted: &AddNetworkRequest) -> Result<(), Refused> {
        let bad = |code| Err(refused(assume::STATUS_OF_BAD_NETWORK, code));
        if wanted.ssid.len() > limit::SSID {
            return bad(ErrorCode::SSID_TOO_LONG);
        }
        if wanted.ssid.is_empty() {
            return bad(ErrorCode::INVALID_NETWORK_PROPERTIES);
        }
        let too_long =
            |text: &Option<String>, most: usize| text.as_ref().is_some_and(|text| text.len() > most);
        if too_long(&wanted.config_name, limit::CONFIG_NAME) {
            return bad(ErrorCode::CONFIG_NAME_TOO_LONG);
        }
        if too_long(&wanted.client_cert_store_identifier, limit::CERT_ID)
            || too_long(&wanted.root_ca_cert_store_identifier, limit::CERT_ID)
        {
            return bad(ErrorCode::CLIENT_CERT_ID_TOO_LONG);
        }
        if too_long(&wanted.client_identity, limit::CLIENT_IDENTITY) {
            return bad(ErrorCode::INVALID_JSON_REQUEST);
        }
        match wanted.security_state {
            WifiSecurity::Open => {}
            WifiSecurity::Psk => check_psk(wanted.psk.as_ref().map_or("", Secret::reveal))?,
            WifiSecurity::EapTls => {
                if wanted.client_cert_store_identifier.is_none() {
                    return bad(ErrorCode::CLIENT_CERT_ID_MISSING);
                }
                let is_taken =
                    |other: &StoredNetwork| other.name.is_some() && other.name == wanted.config_name;
                if self.flash.networks.values().any(is_taken) {
                    return bad(ErrorCode::CONFIG_NAME_NOT_UNIQUE);
                }
            }
            WifiSecurity::Unknown => return bad(ErrorCode::INVALID_NETWORK_PROPERTIES),
        }
        let is_same =
            |other: &StoredNetwork| other.ssid == wanted.ssid && other.security == wanted.security_state;
        if self.flash.networks.values().any(is_same) {
            return bad(ErrorCode::NETWORK_ALREADY_EXISTS);
        }
        if self.flash.networks.len() >= self.config.assumptions.most_networks {
            return bad(ErrorCode::NETWORK_LIMIT_REACHED);
        }
        Ok(())
    }

    pub(super) fn change_network(
        &mut self,
        item: &str,
        body: &[u8],
        now: Instant,
    ) -> Result<Response, Refused> {
        self.need_wifi()?;
        let change: ChangeNetworkRequest = read(body)?;
        // The length of a key is looked at before the network is looked for.
        if let Some(psk) = &change.psk {
            check_psk(psk.reveal())?;
        }
        let not_found = refused(404, ErrorCode::NETWORK_NOT_FOUND);
        let id = network_id(item).ok_or(not_found)?;
        let network = self.flash.networks.get_mut(&id).ok_or(not_found)?;
        if let Some(state) = change.config_state {
            network.state = state;
        }
        if let Some(psk) = change.psk {
            network.psk = Some(psk);
        }
        network.trouble = None;
        if network.state != ConfigState::Enabled && self.ram.radio.busy_with() == Some(id) {
            self.ram.radio = Radio::Idle;
        }
        self.look_around(now);
        Ok(json(&self.network(id).ok_or(not_found)?))
    }

    pub(super) fn delete_network(&mut self, item: &str, now: Instant) -> Result<Response, Refused> {
        self.need_wifi()?;
        let not_found = refused(404, ErrorCode::NETWORK_NOT_FOUND);
        let id = network_id(item).ok_or(not_found)?;
        self.flash.networks.remove(&id).ok_or(not_found)?;
        if self.ram.radio.busy_with() == Some(id) {
            self.ram.radio = Radio::Idle;
        }
        self.look_around(now);
        Ok(Response::empty())
    }

    pub(super) fn get_diagnostics(&self, now: Instant) -> Result<Response, Refused> {
        self.need_wifi()?;
        let values = self
            .flash
            .networks
            .keys()
            .filter_map(|id| self.diagnosis(*id, now))
            .collect();
        Ok(json(&Diagnostics { values }))
    }

    pub(super) fn get_network_diagnostics(&self, item: &str, now: Instant) -> Result<Response, Refused> {
        self.need_wifi()?;
        let found = network_id(item).and_then(|id| self.diagnosis(id, now));
        Ok(json(&found.ok_or(
            self.config.assumptions.diagnostics_of_unknown.refusal(),
        )?))
    }

    fn diagnosis(&self, id: i32, now: Instant) -> Option<Diagnosis> {
        let network = self.flash.networks.get(&id)?;
        let up = self.uptime(now).as_secs();
        Some(Diagnosis {
            timestamp: format!(
                "2000-01-01t{:02}:{:02}:{:02}+0000",
                up / 3600 % 24,
                up / 60 % 60,
                up % 60
            ),
            network_id: id,
            ssid: network.ssid.clone(),
            error: network.trouble?.to_owned(),
            config_state: network.state,
            connection_state: self.connection_state(id),
            cert_info: None,
        })
    }

    pub(super) fn get_wifi_interface(&self) -> Response {
        let id = self.ram.radio.associated();
        let network = id.and_then(|id| self.flash.networks.get(&id));
        let key_mgmt = match network.map(|network| network.security) {
            None => "UNKNOWN",
            Some(WifiSecurity::Psk) => "WPA2-PSK",
            Some(WifiSecurity::EapTls) => "WPA-EAP",
            Some(_) => "NONE",
        };
        let wpa_state = match &self.ram.radio {
            _ if !self.ram.wifi_is_up => "INTERFACE_DISABLED",
            Radio::Idle => "INACTIVE",
            Radio::Waiting { .. } => "SCANNING",
            Radio::Associating { .. } => "ASSOCIATING",
            Radio::Addressing { .. } | Radio::Connected { .. } => "COMPLETED",
        };
        let saving = if self.flash.is_power_saving {
            PowerSavings::Enabled
        } else {
            PowerSavings::Disabled
        };
        json(&WifiInterface {
            ssid: network.map(|network| network.ssid.clone()),
            config_state: network.map_or(ConfigState::Unknown, |network| network.state),
            connection_state: if id.is_some() {
                ConnectionState::Connected
            } else {
                ConnectionState::Disconnected
            },
            security_state: network.map_or(WifiSecurity::Unknown, |network| network.security),
            mode: "station".to_owned(),
            key_mgmt: key_mgmt.to_owned(),
            wpa_state: wpa_state.to_owned(),
            address: self.wifi_mac(),
            freq: id.map(|_| CHANNEL_MHZ),
            ip_address: self.wifi_address(),
            id: Some(id.unwrap_or(assume::NO_NETWORK)),
            config_name: network.and_then(|network| network.name.clone()),
            power_savings_state: (self.config.os.api() >= POWER_SAVINGS_SINCE).then_some(saving),
        })
    }

    pub(super) fn change_wifi_interface(&mut self, body: &[u8], now: Instant) -> Result<Response, Refused> {
        let change: ChangeWifiInterfaceRequest = read(body)?;
        if change.reload_config == Some(true) {
            for network in self.flash.networks.values_mut() {
                network.trouble = None;
                if network.state == ConfigState::TempDisabled {
                    network.state = ConfigState::Enabled;
                }
            }
            self.ram.radio = Radio::Idle;
            self.look_around(now);
        }
        if let Some(saving) = change.enable_power_savings {
            self.flash.is_power_saving = saving;
        }
        Ok(Response::empty())
    }

    pub(super) fn get_scan(&self) -> Result<Response, Refused> {
        self.need_wifi()?;
        let points = self.config.air.access_points().into_iter().enumerate();
        let values = points.map(|(number, point)| ScannedNetwork {
            bssid: format!("02:00:5e:00:53:{number:02x}"),
            freq: CHANNEL_MHZ,
            signal_level: point.signal_dbm,
            security_state: if point.psk.is_some() {
                WifiSecurity::Psk
            } else {
                WifiSecurity::Open
            },
            ssid: if point.is_hidden {
                "\0".to_owned()
            } else {
                point.ssid
            },
        });
        Ok(json(&Scan {
            values: values.collect(),
        }))
    }

    fn need_wifi(&self) -> Result<(), Refused> {
        if self.ram.wifi_is_up {
            Ok(())
        } else {
            Err(assume::WIFI_DOWN.into())
        }
    }

    fn connection_state(&self, id: i32) -> ConnectionState {
        if self.ram.radio.associated() == Some(id) {
            ConnectionState::Connected
        } else {
            ConnectionState::Disconnected
        }
    }

    fn network(&self, id: i32) -> Option<Network> {
        let network = self.flash.networks.get(&id)?;
        Some(Network {
            ssid: network.ssid.clone(),
            config_state: network.state,
            connection_state: self.connection_state(id),
            id,
            security_state: network.security,
            targeted_scan: network.targeted_scan,
            config_name: network.name.clone(),
            client_cert_store_identifier: network.client_cert.clone(),
            client_identity: network.client_identity.clone(),
            root_ca_cert_store_identifier: network.root_ca.clone(),
        })
    }
}

fn check_psk(psk: &str) -> Result<(), Refused> {
    match psk.len() {
        len if len < *limit::PSK.start() => Err(refused(400, ErrorCode::PSK_TOO_SHORT)),
        len if len > *limit::PSK.end() => Err(refused(400, ErrorCode::PSK_TOO_LONG)),
        _ => Ok(()),
    }
}

fn network_id(item: &str) -> Option<i32> {
    item.parse().ok()
}
