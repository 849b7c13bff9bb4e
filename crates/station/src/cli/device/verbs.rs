//! What each verb asks of a device that is in hand. Answers are the device's own, as its interface words them.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;

use lineside_protocol::rest::application::Trigger;
use lineside_protocol::rest::image::AppControlMode;
use lineside_protocol::rest::network::Proxy;
use lineside_protocol::rest::wifi::{ChangeNetworkRequest, ChangeWifiInterfaceRequest, ConfigState, Network};
use lineside_runner::UnitFault;
use lineside_terms::{Blame, ComponentId, Told};
use serde::Serialize;
use serde_json::{Value, json};

use super::args::{
    AppVerb, CertificateVerb, NetworkVerb, ProxyVerb, ReportVerb, SideloadVerb, Verb, WifiVerb,
};
use super::hand::{Hand, explain, told};
use super::task::{Input, PackageFile, Stored};

/// Does what the verb says.
pub(super) async fn perform(hand: &mut Hand, verb: &Verb, input: &Input) -> Result<Value, Told> {
    match verb {
        Verb::Status => status(hand).await,
        Verb::Id | Verb::Identify { .. } => Ok(json!({ "device": hand.id() })),
        Verb::OsVersion => answer(hand.device()?.os_version().await),
        Verb::SecurityState => Ok(json!({ "securityState": hand.device()?.security() })),
        Verb::Images { full } => images(hand, *full).await,
        Verb::Abi => answer(hand.device()?.abi_versions().await),
        Verb::Capabilities => capabilities(hand).await,
        Verb::ManufacturingState(_) => {
            let state = hand.device()?.manufacturing_state().await.map_err(explain)?;
            Ok(json!({ "manufacturingState": state }))
        }
        Verb::Sideload(SideloadVerb::Deploy { manual_start, .. }) => match input {
            Input::Package(package) => deploy(hand, package, *manual_start).await,
            _ => Ok(Value::Null),
        },
        Verb::Sideload(SideloadVerb::Delete {
            component,
            everything,
            except,
        }) => delete(hand, component, *everything, except).await,
        Verb::App(verb) => app(hand, verb).await,
        Verb::Wifi(verb) => wifi(hand, verb, input).await,
        Verb::Network(verb) => network(hand, verb, input).await,
        Verb::Certificate(verb) => certificate(hand, verb, input).await,
        Verb::Log { out } => save(out, &hand.device()?.log().await.map_err(explain)?),
        Verb::ErrorReport(ReportVerb::Get { out }) => {
            save(out, &hand.device()?.telemetry().await.map_err(explain)?)
        }
        Verb::ErrorReport(ReportVerb::Clear) => done(hand.device()?.clear_telemetry().await, "cleared"),
        Verb::Restart => {
            hand.device()?.restart().await.map_err(explain)?;
            hand.back().await?;
            answer(hand.device()?.status().await)
        }
    }
}

/// An answer as it came.
fn answer<T: Serialize>(answer: Result<T, lineside_device::DeviceError>) -> Result<Value, Told> {
    let answer = answer.map_err(explain)?;
    Ok(serde_json::to_value(&answer).expect("answers came as JSON"))
}

/// A write that answers nothing: what was done.
fn done<T>(answer: Result<T, lineside_device::DeviceError>, what: &str) -> Result<Value, Told> {
    answer.map_err(explain)?;
    Ok(json!({ "done": what }))
}

async fn status(hand: &mut Hand) -> Result<Value, Told> {
    let facts = hand.device()?.read_facts(lineside_device::Scope::OPEN).await;
    let facts = facts.map_err(explain)?;
    Ok(json!({
        "device": facts.device,
        "manufacturingState": facts.state.read(),
        "securityState": facts.security.read(),
        "osversion": facts.os_version.read(),
        "capabilities": facts.capabilities.read().map(|all| all.iter().map(ToString::to_string).collect::<Vec<_>>()),
        "uptime": facts.uptime_last_s,
    }))
}

async fn images(hand: &mut Hand, is_full: bool) -> Result<Value, Told> {
    let images = hand.images().await?;
    let listed = images
        .components
        .iter()
        .filter(|listed| is_full || listed.image_type.is_customers());
    let listed: Vec<Value> = listed
        .map(|listed| {
            json!({
                "name": listed.name,
                "type": listed.image_type.to_string(),
                "component": listed.component,
                "image": listed.image,
                "isUpdateStaged": listed.is_update_staged,
            })
        })
        .collect();
    Ok(json!({ "components": listed }))
}

async fn capabilities(hand: &mut Hand) -> Result<Value, Told> {
    let all = hand.device()?.capabilities().await.map_err(explain)?;
    let all: Vec<String> = all.iter().map(ToString::to_string).collect();
    Ok(json!({ "capabilities": all }))
}

async fn deploy(hand: &mut Hand, package: &PackageFile, manual_start: bool) -> Result<Value, Told> {
    let mode = if manual_start {
        AppControlMode::Manual
    } else {
        AppControlMode::Auto
    };
    let device = hand.device()?;
    device
        .stage(package.bytes.clone().into(), None)
        .await
        .map_err(explain)?;
    let is_restarting = device.install(mode).await.map_err(explain)?.is_restarting;
    if is_restarting {
        hand.back().await?;
    }
    if !hand.images().await?.holds(package.component, package.image) {
        return Err(Told::of(&UnitFault::NotInstalled));
    }
    Ok(json!({
        "installed": package.name,
        "component": package.component,
        "image": package.image,
        "bytes": package.bytes.len(),
        "restarted": is_restarting,
    }))
}

async fn delete(
    hand: &mut Hand,
    named: &[ComponentId],
    is_everything: bool,
    except: &[ComponentId],
) -> Result<Value, Told> {
    let images = hand.images().await?;
    let customers = images
        .components
        .iter()
        .filter(|listed| listed.image_type.is_customers());
    let all: Vec<ComponentId> = customers.map(|listed| listed.component).collect();
    let wanted: Vec<ComponentId> = if is_everything {
        all.into_iter()
            .filter(|component| !except.contains(component))
            .collect()
    } else {
        named.to_vec()
    };
    let mut deleted = Vec::new();
    for component in wanted {
        let was_there = images.has(component);
        let is_restarting = was_there && hand.delete(component).await?;
        deleted.push(json!({ "component": component, "wasThere": was_there, "restarted": is_restarting }));
    }
    Ok(json!({ "deleted": deleted }))
}

async fn app(hand: &mut Hand, verb: &AppVerb) -> Result<Value, Told> {
    let (which, trigger) = match verb {
        AppVerb::Memory => return answer(hand.device()?.memory().await),
        AppVerb::Status(which) | AppVerb::Quota(which) => {
            let mut applications = Vec::new();
            for component in hand.applications(which.component).await? {
                let device = hand.device()?;
                let mut told = if matches!(verb, AppVerb::Status(_)) {
                    answer(device.app_status(component).await)?
                } else {
                    answer(device.app_quota(component).await)?
                };
                told["component"] = json!(component);
                applications.push(told);
            }
            return Ok(json!({ "applications": applications }));
        }
        AppVerb::Start(which) => (which, Trigger::Start),
        AppVerb::Stop(which) => (which, Trigger::Stop),
        AppVerb::Debug(which) => (which, Trigger::StartDebug),
    };
    let component = hand.application(which.component).await?;
    let mut told = answer(hand.device()?.control_app(component, trigger).await)?;
    told["component"] = json!(component);
    Ok(told)
}

async fn wifi(hand: &mut Hand, verb: &WifiVerb, input: &Input) -> Result<Value, Told> {
    match verb {
        WifiVerb::List => answer(hand.device()?.wifi_networks().await),
        WifiVerb::Scan => answer(hand.device()?.wifi_scan().await),
        WifiVerb::Status => answer(hand.device()?.wifi_interface().await),
        WifiVerb::Diagnostics => answer(hand.device()?.wifi_diagnostics().await),
        WifiVerb::Add(_) => match input {
            Input::Stored(stored) => match &**stored {
                Stored::Network(network) => answer(hand.device()?.wifi_add(network).await),
                _ => Ok(Value::Null),
            },
            _ => Ok(Value::Null),
        },
        WifiVerb::Reload => {
            let change = ChangeWifiInterfaceRequest {
                reload_config: Some(true),
                enable_power_savings: None,
            };
            done(hand.device()?.change_wifi_interface(&change).await, "reloaded")
        }
        WifiVerb::Delete(which) => {
            let network = network_called(hand, &which.network).await?;
            hand.device()?.wifi_delete(network.id).await.map_err(explain)?;
            Ok(json!({ "done": "deleted", "id": network.id, "ssid": network.ssid }))
        }
        WifiVerb::Enable(which) => switch(hand, &which.network, ConfigState::Enabled).await,
        WifiVerb::Disable(which) => switch(hand, &which.network, ConfigState::Disabled).await,
    }
}

async fn switch(hand: &mut Hand, which: &str, state: ConfigState) -> Result<Value, Told> {
    let network = network_called(hand, which).await?;
    let change = ChangeNetworkRequest {
        config_state: Some(state),
        psk: None,
    };
    answer(hand.device()?.wifi_change(network.id, &change).await)
}

/// The network that is meant: numbers are given out anew, so what has this one now is looked up first.
async fn network_called(hand: &mut Hand, which: &str) -> Result<Network, Told> {
    let networks = hand.device()?.wifi_networks().await.map_err(explain)?.values;
    let number = which.parse::<i32>().ok();
    let mut same: Vec<Network> = networks
        .iter()
        .filter(|of| Some(of.id) == number)
        .cloned()
        .collect();
    if same.is_empty() {
        same = networks.into_iter().filter(|of| of.ssid == which).collect();
    }
    match same.len() {
        1 => Ok(same.remove(0)),
        count => Err(told(
            "device.which-network",
            format!(
                "{count} configured networks are called `{}`",
                which.escape_default()
            ),
            "`lineside device wifi list` shows their numbers.",
            Blame::Station,
        )),
    }
}

async fn network(hand: &mut Hand, verb: &NetworkVerb, input: &Input) -> Result<Value, Told> {
    match verb {
        NetworkVerb::Status => answer(hand.device()?.net_status().await),
        NetworkVerb::Interfaces => answer(hand.device()?.net_interfaces().await),
        NetworkVerb::Firewall => {
            let sets = hand.device()?.firewall().await.map_err(explain)?.rulesets;
            let mut rules = Vec::new();
            for set in sets {
                for rule in set.rules {
                    let mut rule = serde_json::to_value(&rule).expect("answers came as JSON");
                    rule["hook"] = json!(set.hook);
                    rules.push(rule);
                }
            }
            Ok(json!({ "rules": rules }))
        }
        NetworkVerb::Proxy(ProxyVerb::Show) => {
            let proxy = hand.device()?.proxy().await.map_err(explain)?;
            let is_configured = !proxy.is_none();
            // No device tells it; if one did, nobody should see it.
            let proxy = Proxy {
                password: None,
                ..proxy
            };
            let mut told = answer(Ok(proxy))?;
            told["isConfigured"] = json!(is_configured);
            Ok(told)
        }
        NetworkVerb::Proxy(ProxyVerb::Delete) => done(hand.device()?.delete_proxy().await, "deleted"),
        NetworkVerb::Proxy(ProxyVerb::Set { .. }) | NetworkVerb::Change { .. } => match input {
            Input::Stored(stored) => match &**stored {
                Stored::Proxy(proxy) => done(hand.device()?.set_proxy(proxy).await, "set"),
                Stored::Interface(name, change) => {
                    let device = hand.device()?;
                    device.change_net_interface(name, change).await.map_err(explain)?;
                    answer(device.net_interface(name).await)
                }
                _ => Ok(Value::Null),
            },
            _ => Ok(Value::Null),
        },
    }
}

async fn certificate(hand: &mut Hand, verb: &CertificateVerb, input: &Input) -> Result<Value, Told> {
    match verb {
        CertificateVerb::List => answer(hand.device()?.certificates().await),
        CertificateVerb::Space => answer(hand.device()?.certificate_space().await),
        CertificateVerb::Show { certificate: id } => answer(hand.device()?.certificate(id).await),
        CertificateVerb::Delete { certificate: id } => {
            done(hand.device()?.delete_certificate(id).await, "deleted")
        }
        CertificateVerb::Add { .. } => match input {
            Input::Stored(stored) => match &**stored {
                Stored::Certificate(id, request) => {
                    let device = hand.device()?;
                    device.add_certificate(id, request).await.map_err(explain)?;
                    answer(device.certificate(id).await)
                }
                _ => Ok(Value::Null),
            },
            _ => Ok(Value::Null),
        },
    }
}

/// Writes a file that is not there yet.
fn save(path: &Path, bytes: &[u8]) -> Result<Value, Told> {
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(path)
        .and_then(|mut file| file.write_all(bytes));
    written.map_err(|error| {
        told(
            "station.file",
            format!("{} cannot be written: {error}", path.display()),
            "Name another file with --out.",
            Blame::Station,
        )
    })?;
    Ok(json!({ "file": path.display().to_string(), "bytes": bytes.len() }))
}
