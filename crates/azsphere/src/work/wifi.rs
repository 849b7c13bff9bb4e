//! Wi-Fi networks.

use lineside_protocol::rest::Secret;
use lineside_protocol::rest::http::limit;
use lineside_protocol::rest::wifi::{
    AddNetworkRequest, ChangeNetworkRequest, ChangeWifiInterfaceRequest, ConfigState, WifiSecurity,
};
use serde_json::{Value, json};

use super::hold::Held;
use super::{Action, Job, answer, number_of, within};
use crate::trouble::Failure;

/// A network as it was described. Lengths are checked here: what a device refuses it refuses with a number only.
pub(super) fn network(job: &Job<'_>) -> Result<AddNetworkRequest, Failure> {
    let get = |key: &str| job.values.get(key).map(str::to_owned);
    let ssid = get("ssid").unwrap_or_default();
    within("the SSID", &ssid, 1, limit::SSID)?;
    let psk = get("psk");
    if let Some(psk) = &psk {
        within("the pre-shared key", psk, *limit::PSK.start(), *limit::PSK.end())?;
    }
    for (key, what, most) in [
        ("config-name", "the name", limit::CONFIG_NAME),
        ("client-id", "the identity", limit::CLIENT_IDENTITY),
        ("client-cert", "the id of the certificate", limit::CERT_ID),
        ("root-ca", "the id of the certificate", limit::CERT_ID),
    ] {
        if let Some(text) = job.values.get(key) {
            within(what, text, 1, most)?;
        }
    }
    let has_certificate = job.values.has("client-cert") || job.values.has("root-ca");
    let security_state = match (&psk, has_certificate) {
        (_, true) => WifiSecurity::EapTls,
        (Some(_), false) => WifiSecurity::Psk,
        (None, false) => WifiSecurity::Open,
    };
    Ok(AddNetworkRequest {
        ssid,
        security_state,
        config_state: Some(ConfigState::Enabled),
        config_name: get("config-name"),
        targeted_scan: Some(job.values.has("targeted")),
        psk: psk.map(Secret::new),
        client_cert_store_identifier: get("client-cert"),
        root_ca_cert_store_identifier: get("root-ca"),
        client_identity: get("client-id"),
    })
}

pub(super) async fn add(held: &mut Held, network: &AddNetworkRequest) -> Result<Value, Failure> {
    answer(held.hand.device()?.wifi_add(network).await)
}

pub(super) async fn perform(job: &Job<'_>, action: Action, held: &mut Held) -> Result<Value, Failure> {
    let device = held.hand.device()?;
    match action {
        Action::WifiList => values(answer(device.wifi_networks().await)?),
        Action::WifiScan => values(answer(device.wifi_scan().await)?),
        Action::WifiStatus => answer(device.wifi_interface().await),
        Action::WifiReload => {
            let change = ChangeWifiInterfaceRequest {
                reload_config: Some(true),
                enable_power_savings: None,
            };
            device.change_wifi_interface(&change).await?;
            Ok(json!({}))
        }
        _ => {
            let id = number_of(job.values.get("id").unwrap_or_default())?;
            match action {
                Action::WifiForget => {
                    device.wifi_delete(id).await?;
                    Ok(json!({ "id": id }))
                }
                Action::WifiEnable => {
                    let change = switched(ConfigState::Enabled);
                    answer(device.wifi_change(id, &change).await)
                }
                Action::WifiDisable => {
                    let change = switched(ConfigState::Disabled);
                    answer(device.wifi_change(id, &change).await)
                }
                _ => answer(device.wifi_network(id).await),
            }
        }
    }
}

const fn switched(state: ConfigState) -> ChangeNetworkRequest {
    ChangeNetworkRequest {
        config_state: Some(state),
        psk: None,
    }
}

/// What stands in a list's only field.
pub(super) fn values(mut answer: Value) -> Result<Value, Failure> {
    Ok(answer.get_mut("values").map(Value::take).unwrap_or(answer))
}
