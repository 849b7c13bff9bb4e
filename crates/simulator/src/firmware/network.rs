//! `/net/…` (`device-rest-api.md` 3.5).

use std::net::Ipv4Addr;

use lineside_protocol::rest::assume;
use lineside_protocol::rest::http::{DEVICE_ADDRESS, SERVICE_INTERFACE, limit};
use lineside_protocol::rest::network::{
    ChangeInterfaceRequest, Interface, Interfaces, IpAssignment, NetStatus, Proxy, ProxyAuthentication,
    ProxyStatus, Ruleset, Rulesets, TimeSync,
};
use lineside_terms::Instant;

use super::Firmware;
use super::reply::{Refused, json, read};
use crate::chip::Response;

const LOOPBACK: &str = "lo";
const WIFI: &str = "wlan0";
const HOOKS: [&str; 5] = ["PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"];

impl Firmware {
    pub(super) fn get_net_status(&self) -> Response {
        let proxy = match &self.flash.proxy {
            Some(proxy) if proxy.enabled == Some(true) => ProxyStatus::Enabled,
            _ => ProxyStatus::Disabled,
        };
        json(&NetStatus {
            device_authentication_is_ready: self.ram.had_internet,
            network_time_sync: if self.ram.had_internet {
                TimeSync::Complete
            } else {
                TimeSync::Incomplete
            },
            proxy,
        })
    }

    pub(super) fn get_interfaces(&self) -> Response {
        let interfaces = [SERVICE_INTERFACE, LOOPBACK, WIFI];
        json(&Interfaces {
            interfaces: interfaces
                .into_iter()
                .filter_map(|name| self.interface(name))
                .collect(),
        })
    }

    pub(super) fn get_interface(&self, name: &str) -> Result<Response, Refused> {
        let interface = self.interface(name).ok_or(assume::UNKNOWN_PATH)?;
        Ok(json(&interface))
    }

    fn interface(&self, name: &str) -> Option<Interface> {
        let local = |address: Ipv4Addr| Interface {
            interface_name: name.to_owned(),
            interface_up: true,
            connected_to_network: false,
            ip_acquired: false,
            connected_to_internet: false,
            hardware_address: None,
            ip_assignment: None,
            ip_addresses: Some(vec![address.to_string()]),
        };
        match name {
            SERVICE_INTERFACE => Some(local(DEVICE_ADDRESS.into())),
            LOOPBACK => Some(local(Ipv4Addr::LOCALHOST)),
            WIFI => {
                let address = self.wifi_address();
                Some(Interface {
                    interface_name: name.to_owned(),
                    interface_up: self.ram.wifi_is_up,
                    connected_to_network: self.is_associated(),
                    ip_acquired: address.is_some(),
                    connected_to_internet: self.has_internet(),
                    hardware_address: Some(self.wifi_mac()),
                    ip_assignment: Some(IpAssignment::Dynamic),
                    ip_addresses: address.map(|address| vec![address]),
                })
            }
            _ => None,
        }
    }

    pub(super) fn change_interface(
        &mut self,
        name: &str,
        body: &[u8],
        now: Instant,
    ) -> Result<Response, Refused> {
        if ![SERVICE_INTERFACE, LOOPBACK, WIFI].contains(&name) {
            return Err(assume::NO_SUCH_INTERFACE.into());
        }
        let change: ChangeInterfaceRequest = read(body)?;
        if let Some(address) = &change.hardware_address {
            if !is_mac(address) {
                return Err(assume::BAD_MAC_ADDRESS.into());
            }
            // Only Ethernet takes one, and this board has none.
            return Err(assume::INTERFACE_NOT_PERMITTED.into());
        }
        match change.interface_up {
            Some(up) if name == WIFI => self.switch_wifi(up, now),
            Some(_) => return Err(assume::INTERFACE_NOT_PERMITTED.into()),
            None => {}
        }
        Ok(Response::empty())
    }

    pub(super) fn get_proxy(&self) -> Response {
        let stored = self.flash.proxy.clone().unwrap_or_default();
        json(&Proxy {
            password: None,
            ..stored
        })
    }

    /// Stores the proxy and repeats it, the password too.
    pub(super) fn set_proxy(&mut self, body: &[u8]) -> Result<Response, Refused> {
        let mut proxy: Proxy = read(body)?;
        let is_credential =
            |text: Option<&str>| text.is_some_and(|text| limit::PROXY_CREDENTIAL.contains(&text.len()));
        let has_address = proxy
            .address
            .as_deref()
            .is_some_and(|text| (1..=limit::PROXY_ADDRESS).contains(&text.len()));
        let is_sound = has_address
            && proxy.enabled.is_some()
            && proxy.port.is_some()
            && match proxy.authentication_type {
                Some(ProxyAuthentication::Anonymous) => true,
                Some(ProxyAuthentication::Basic) => {
                    is_credential(proxy.username.as_deref())
                        && is_credential(
                            proxy
                                .password
                                .as_ref()
                                .map(lineside_protocol::rest::Secret::reveal),
                        )
                }
                Some(ProxyAuthentication::Unknown) | None => false,
            };
        if !is_sound {
            return Err(assume::BAD_PROXY.into());
        }
        proxy.no_proxy_addresses.get_or_insert_default();
        let answer = json(&proxy);
        self.flash.proxy = Some(proxy);
        Ok(answer)
    }

    pub(super) fn delete_proxy(&mut self) -> Response {
        self.flash.proxy = None;
        Response::empty()
    }

    /// Every hook, none in use: what the rules of a real device are is not published.
    pub(super) fn get_firewall(&self) -> Response {
        let ruleset = |hook: &str| Ruleset {
            hook: hook.to_owned(),
            is_valid: false,
            rules: Vec::new(),
        };
        json(&Rulesets {
            rulesets: HOOKS.into_iter().map(ruleset).collect(),
        })
    }
}

fn is_mac(text: &str) -> bool {
    text.len() == limit::MAC_TEXT
        && text.split(':').count() == 6
        && text
            .split(':')
            .all(|part| part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_hexdigit()))
}
