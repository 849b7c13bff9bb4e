//! Loading software, and what runs of it.

use std::time::Duration;

use lineside_image::Package;
use lineside_protocol::rest::application::Trigger;
use lineside_protocol::rest::image::AppControlMode;
use lineside_terms::{Blame, ComponentId, ImageId, ImageType};
use serde_json::{Value, json};

use super::hold::Held;
use super::{Action, Job, answer, files, id_of};
use crate::trouble::{Failure, Kind};

/// What is told when nobody has set a time for loading: longer than the largest image takes.
const TIMEOUT_S: u64 = 600;

/// An image package that may be sent.
pub(super) struct PackageFile {
    bytes: Vec<u8>,
    component: ComponentId,
    image: ImageId,
    name: String,
}

/// A file that a device could never take is not sent.
pub(super) fn package(job: &Job<'_>) -> Result<PackageFile, Failure> {
    let name = job.values.get("package").unwrap_or_default();
    let path = std::path::Path::new(name);
    let bytes = files::read(path, "the package")?;
    let package = Package::parse(&bytes).map_err(|error| files::wrong(path, Failure::of(&error)))?;
    if !package.image_type().is_customers() {
        let message = format!(
            "it is no application and no board configuration, but {}",
            package.image_type()
        );
        let failure = Failure::new(
            Kind::Failed,
            Blame::Supply,
            "device.not-for-sideload",
            message,
            "Load the operating system by recovery; a capability file goes with `device capability select`.",
        );
        return Err(files::wrong(path, failure));
    }
    let (component, image) = (package.component(), package.image());
    Ok(PackageFile {
        component,
        image,
        name: name.to_owned(),
        bytes,
    })
}

pub(super) async fn deploy(job: &Job<'_>, held: &mut Held, package: PackageFile) -> Result<Value, Failure> {
    let is_manual = job.values.has("manual");
    let mode = if is_manual {
        AppControlMode::Manual
    } else {
        AppControlMode::Auto
    };
    let limit = Duration::from_secs(job.station.kept()?.timeout.unwrap_or(TIMEOUT_S));
    let work = held
        .hand
        .deploy(package.bytes.into(), (package.component, package.image), mode);
    tokio::time::timeout(limit, work).await.map_err(|_| {
        Failure::new(
            Kind::Failed,
            Blame::Device,
            "azsphere.deployment-timeout",
            format!("loading took more than {} s", limit.as_secs()),
            "Look what is installed with `device image list-installed`; `device sideload set-deployment-timeout` gives it more.",
        )
    })??;
    Ok(json!({
        "package": package.name,
        "componentId": package.component,
        "imageId": package.image,
        "manual": is_manual,
    }))
}

pub(super) async fn perform(job: &Job<'_>, action: Action, held: &mut Held) -> Result<Value, Failure> {
    let named = job.values.get("component").map(component).transpose()?;
    match action {
        Action::Delete => delete(job, held, named).await,
        Action::Memory => {
            let told = answer(held.hand.device()?.memory().await)?;
            Ok(told.get("memoryStats").cloned().unwrap_or(told))
        }
        Action::Images => images(held, job.values.has("full")).await,
        Action::AppStart if job.values.has("debug") && named.is_none() => Err(Failure::usage(
            "azsphere.parameter",
            "which application is to be debugged is not said",
            "Name it with --component-id.",
        )),
        Action::AppStart if job.values.has("debug") => control(held, named, Trigger::StartDebug).await,
        Action::AppStart => control(held, named, Trigger::Start).await,
        Action::AppStop => control(held, named, Trigger::Stop).await,
        _ => {
            let mut all = Vec::new();
            for component in held.hand.applications(named).await? {
                let device = held.hand.device()?;
                let mut told = if action == Action::AppQuota {
                    answer(device.app_quota(component).await)?
                } else {
                    answer(device.app_status(component).await)?
                };
                told["componentId"] = json!(component);
                all.push(told);
            }
            Ok(Value::Array(all))
        }
    }
}

/// Starts or stops one application, or all.
async fn control(held: &mut Held, named: Option<ComponentId>, trigger: Trigger) -> Result<Value, Failure> {
    let mut all = Vec::new();
    for component in held.hand.applications(named).await? {
        let about = |error: Failure| error.about(component);
        let told = held.hand.device()?.control_app(component, trigger).await;
        let mut told = answer(told).map_err(about)?;
        told["componentId"] = json!(component);
        all.push(told);
    }
    Ok(Value::Array(all))
}

/// One component, or all that a customer loads, without some.
async fn delete(job: &Job<'_>, held: &mut Held, named: Option<ComponentId>) -> Result<Value, Failure> {
    let except: Vec<ComponentId> = job
        .values
        .all("except")
        .iter()
        .flat_map(|ids| ids.split(','))
        .filter(|id| !id.is_empty())
        .map(component)
        .collect::<Result<_, _>>()?;
    let images = held.hand.images().await?;
    let wanted: Vec<ComponentId> = match named {
        Some(named) => vec![named],
        None => images
            .components
            .iter()
            .filter(|listed| listed.image_type.is_customers() && !except.contains(&listed.component))
            .map(|listed| listed.component)
            .collect(),
    };
    let mut deleted = Vec::new();
    for component in wanted {
        // Deleting what is not there is no failure to a device, and none here.
        if images.has(component) {
            held.hand.delete(component).await?;
        }
        deleted.push(json!({ "componentId": component }));
    }
    Ok(Value::Array(deleted))
}

async fn images(held: &mut Held, is_full: bool) -> Result<Value, Failure> {
    let images = held.hand.images().await?;
    let listed = images
        .components
        .iter()
        .filter(|listed| is_full || listed.image_type.is_customers());
    Ok(listed
        .map(|listed| {
            json!({
                "name": listed.name,
                "type": type_name(listed.image_type),
                "componentId": listed.component,
                "imageId": listed.image,
            })
        })
        .collect())
}

/// Kinds of image in the words of the vendor's command (reference 5.6).
pub(super) fn type_name(kind: ImageType) -> String {
    match kind {
        ImageType::APPLICATION => "Application".to_owned(),
        ImageType::CUSTOMER_BOARD_CONFIG => "Board configuration".to_owned(),
        other => format!("System software image type {}", other.0),
    }
}

fn component(text: impl AsRef<str>) -> Result<ComponentId, Failure> {
    id_of(text.as_ref(), "component")
}

pub(super) fn set_timeout(job: &Job<'_>) -> Result<Value, Failure> {
    let text = job.values.get("value").unwrap_or_default();
    let seconds: u64 = text
        .parse()
        .ok()
        .filter(|seconds| (1..=86_400).contains(seconds))
        .ok_or_else(|| {
            Failure::usage(
                "azsphere.parameter",
                format!("`{}` is no number of seconds", text.escape_default()),
                "Take a whole number from 1 to 86400.",
            )
        })?;
    let mut kept = job.station.kept()?;
    kept.timeout = Some(seconds);
    job.station.keep(&kept)?;
    Ok(json!({ "timeoutInSeconds": seconds }))
}

pub(super) fn timeout(job: &Job<'_>) -> Result<Value, Failure> {
    let seconds = job.station.kept()?.timeout.unwrap_or(TIMEOUT_S);
    Ok(json!({ "timeoutInSeconds": seconds }))
}
