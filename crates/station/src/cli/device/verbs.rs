//! What each verb asks of a device that is in hand. Answers are the device's own, as its interface words them.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;

use lineside_protocol::rest::application::Trigger;
use lineside_protocol::rest::image::AppControlMode;
use lineside_protocol::rest::network::Proxy;
use lineside_protocol::rest::wifi::{ChangeNetworkRequest, ChangeWifiInterfaceRequest, ConfigState, Network};
use lineside_terms::{Blame, ComponentId, Told};
use serde::Serialize;
use serde_json::{Value, json};

use super::args::AppVerb;
use super::hand::{Hand, explain, of_hand, told};
use super::task::{CertificateTask, NetworkTask, PackageFile, Task, WifiTask};

/// Does what the command line asked for.
pub(super) async fn perform(hand: &mut Hand, task: &Task<'_>) -> Result<Value, Told> {
    match task {
        Task::Status => status(hand).await,
        Task::Id => Ok(json!({ "device": hand.id() })),
        Task::OsVersion => answer(hand.device()?.os_version().await),
        Task::SecurityState => Ok(json!({ "securityState": hand.device()?.security() })),
        Task::Images { full } => images(hand, *full).await,
        Task::Abi => answer(hand.device()?.abi_versions().await),
        Task::Capabilities => capabilities(hand).await,
        Task::ManufacturingState => {
            let state = hand.device()?.manufacturing_state().await.map_err(explain)?;
            Ok(json!({ "manufacturingState": state }))
        }
        Task::Deploy {
            package,
            manual_start,
        } => deploy(hand, package, *manual_start).await,
        Task::Delete {
            component,
            everything,
            except,
        } => delete(hand, component, *everything, except).await,
        Task::App(verb) => app(hand, verb).await,
        Task::Wifi(task) => wifi(hand, task).await,
        Task::Network(task) => network(hand, task).await,
        Task::Certificate(task) => certificate(hand, task).await,
        Task::SaveLog(out) => save(out, &hand.device()?.log().await.map_err(explain)?),
        Task::SaveReports(out) => save(out, &hand.device()?.telemetry().await.map_err(explain)?),
        Task::ClearReports => done(hand.device()?.clear_telemetry().await, "cleared"),
        Task::Restart => {
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
    let images = hand.images().await.map_err(of_hand)?;
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
    let bytes = package.bytes.clone().into();
    let deployed = hand.deploy(bytes, (package.component, package.image), mode).await;
    let is_restarting = deployed.map_err(of_hand)?;
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
    let images = hand.images().await.map_err(of_hand)?;
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
        let is_restarting = was_there && hand.delete(component).await.map_err(of_hand)?;
        deleted.push(json!({ "component": component, "wasThere": was_there, "restarted": is_restarting }));
    }
    Ok(json!({ "deleted": deleted }))
}

async fn app(hand: &mut Hand, verb: &AppVerb) -> Result<Value, Told> {
    let (which, trigger) = match verb {
        AppVerb::Memory => return answer(hand.device()?.memory().await),
        AppVerb::Status(which) | AppVerb::Quota(which) => {
            let mut applications = Vec::new();
            for component in hand.applications(which.component).await.map_err(of_hand)? {
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
    let component = hand.application(which.component).await.map_err(of_hand)?;
    let mut told = answer(hand.device()?.control_app(component, trigger).await)?;
    told["component"] = json!(component);
    Ok(told)
}

async fn wifi(hand: &mut Hand, task: &WifiTask<'_>) -> Result<Value, Told> {
    match task {
        WifiTask::List => answer(hand.device()?.wifi_networks().await),
        WifiTask::Scan => answer(hand.device()?.wifi_scan().await),
        WifiTask::Status => answer(hand.device()?.wifi_interface().await),
        WifiTask::Diagnostics => answer(hand.device()?.wifi_diagnostics().await),
        WifiTask::Add(network) => answer(hand.device()?.wifi_add(network).await),
        WifiTask::Reload => {
            let change = ChangeWifiInterfaceRequest {
                reload_config: Some(true),
                enable_power_savings: None,
            };
            done(hand.device()?.change_wifi_interface(&change).await, "reloaded")
        }
        WifiTask::Delete(which) => {
            let network = network_called(hand, which).await?;
            hand.device()?.wifi_delete(network.id).await.map_err(explain)?;
            Ok(json!({ "done": "deleted", "id": network.id, "ssid": network.ssid }))
        }
        WifiTask::Switch(which, state) => switch(hand, which, *state).await,
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

async fn network(hand: &mut Hand, task: &NetworkTask<'_>) -> Result<Value, Told> {
    match task {
        NetworkTask::Status => answer(hand.device()?.net_status().await),
        NetworkTask::Interfaces => answer(hand.device()?.net_interfaces().await),
        NetworkTask::Firewall => {
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
        NetworkTask::ShowProxy => {
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
        NetworkTask::DeleteProxy => done(hand.device()?.delete_proxy().await, "deleted"),
        NetworkTask::SetProxy(proxy) => done(hand.device()?.set_proxy(proxy).await, "set"),
        NetworkTask::Change(name, change) => {
            let device = hand.device()?;
            device.change_net_interface(name, change).await.map_err(explain)?;
            answer(device.net_interface(name).await)
        }
    }
}

async fn certificate(hand: &mut Hand, task: &CertificateTask<'_>) -> Result<Value, Told> {
    match task {
        CertificateTask::List => answer(hand.device()?.certificates().await),
        CertificateTask::Space => answer(hand.device()?.certificate_space().await),
        CertificateTask::Show(id) => answer(hand.device()?.certificate(id).await),
        CertificateTask::Delete(id) => done(hand.device()?.delete_certificate(id).await, "deleted"),
        CertificateTask::Add(id, request) => {
            let device = hand.device()?;
            device.add_certificate(id, request).await.map_err(explain)?;
            answer(device.certificate(id).await)
        }
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
