//! Interfaces, the firewall, the proxy.

use lineside_protocol::rest::Secret;
use lineside_protocol::rest::http::limit;
use lineside_protocol::rest::network::{ChangeInterfaceRequest, Proxy, ProxyAuthentication};
use serde_json::{Value, json};

use super::hold::Held;
use super::{Action, Job, answer, number_of, wifi, within};
use crate::trouble::Failure;

pub(super) async fn perform(job: &Job<'_>, action: Action, held: &mut Held) -> Result<Value, Failure> {
    let device = held.hand.device()?;
    match action {
        Action::NetStatus => answer(device.net_status().await),
        Action::Interfaces => {
            let mut all = answer(device.net_interfaces().await)?;
            Ok(all["interfaces"].take())
        }
        Action::Firewall => {
            let mut rules = Vec::new();
            for set in device.firewall().await?.rulesets {
                for rule in set.rules {
                    let mut rule = serde_json::to_value(&rule).expect("answers came as JSON");
                    rule["hook"] = json!(set.hook);
                    rules.push(rule);
                }
            }
            Ok(Value::Array(rules))
        }
        Action::Diagnostics => match job.values.get("id") {
            Some(id) => answer(device.wifi_diagnosis(number_of(id)?).await),
            None => wifi::values(answer(device.wifi_diagnostics().await)?),
        },
        Action::InterfaceUp => change(job, held, Some(true), None).await,
        Action::InterfaceDown => change(job, held, Some(false), None).await,
        Action::InterfaceAddress => {
            let address = job.values.get("address").unwrap_or_default();
            within("the hardware address", address, limit::MAC_TEXT, limit::MAC_TEXT)?;
            change(job, held, None, Some(address.to_owned())).await
        }
        Action::ProxyDelete => {
            device.delete_proxy().await?;
            Ok(json!({}))
        }
        Action::ProxyEnable => switch_proxy(held, true).await,
        Action::ProxyDisable => switch_proxy(held, false).await,
        _ => shown_proxy(held).await,
    }
}

async fn change(
    job: &Job<'_>,
    held: &mut Held,
    interface_up: Option<bool>,
    hardware_address: Option<String>,
) -> Result<Value, Failure> {
    let name = job.values.get("interface").unwrap_or_default();
    let change = ChangeInterfaceRequest {
        interface_up,
        hardware_address,
    };
    let device = held.hand.device()?;
    device.change_net_interface(name, &change).await?;
    answer(device.net_interface(name).await)
}

/// A proxy as it was described.
pub(super) fn proxy(job: &Job<'_>) -> Result<Proxy, Failure> {
    let values = job.values;
    let address = values.get("address").unwrap_or_default();
    within("the address of the proxy", address, 1, limit::PROXY_ADDRESS)?;
    let port = values.get("port").unwrap_or_default();
    let port = port.parse().ok().filter(|port| *port != 0).ok_or_else(|| {
        Failure::usage(
            "azsphere.parameter",
            format!("`{}` is no port", port.escape_default()),
            "Take a number from 1 to 65535.",
        )
    })?;
    let (least, most) = (*limit::PROXY_CREDENTIAL.start(), *limit::PROXY_CREDENTIAL.end());
    for (key, what) in [("username", "the user name"), ("password", "the password")] {
        if let Some(text) = values.get(key) {
            within(what, text, least, most)?;
        }
    }
    let direct = values.all("direct").iter().flat_map(|all| all.split(','));
    Ok(Proxy {
        address: Some(address.to_owned()),
        enabled: Some(!values.has("disable")),
        port: Some(port),
        authentication_type: Some(if values.get("authentication") == Some("basic") {
            ProxyAuthentication::Basic
        } else {
            ProxyAuthentication::Anonymous
        }),
        username: values.get("username").map(str::to_owned),
        password: values.get("password").map(Secret::new),
        no_proxy_addresses: Some(direct.map(|one| one.trim().to_owned()).collect()),
    })
}

pub(super) async fn set_proxy(held: &mut Held, proxy: &Proxy) -> Result<Value, Failure> {
    held.hand.device()?.set_proxy(proxy).await?;
    shown_proxy(held).await
}

/// A proxy that has a password cannot be written back: no device tells it.
async fn switch_proxy(held: &mut Held, is_enabled: bool) -> Result<Value, Failure> {
    let proxy = held.hand.device()?.proxy().await?;
    if proxy.is_none() || proxy.authentication_type == Some(ProxyAuthentication::Basic) {
        return Err(Failure::usage(
            "azsphere.proxy",
            "there is no proxy that could be switched without its password",
            "Set it anew with `device network proxy apply`.",
        ));
    }
    let proxy = Proxy {
        enabled: Some(is_enabled),
        ..proxy
    };
    set_proxy(held, &proxy).await
}

async fn shown_proxy(held: &mut Held) -> Result<Value, Failure> {
    let proxy = held.hand.device()?.proxy().await?;
    // No device tells it; if one did, nobody should see it.
    answer(Ok(Proxy {
        password: None,
        ..proxy
    }))
}
