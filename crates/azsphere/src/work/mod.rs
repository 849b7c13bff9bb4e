//! What commands do. Each answers with JSON, as the new generations print it; layouts make text of it.

mod application;
mod attached;
mod certificate;
mod device;
mod each;
mod files;
mod hold;
mod journal;
mod network;
mod note;
mod recover;
mod state;
mod wifi;

use lineside_terms::Blame;
use serde_json::Value;

use crate::grammar::Command;
use crate::layout::fill;
use crate::parse::Values;
use crate::profile::{Format, Profile};
use crate::station::Station;
use crate::trouble::{Failure, Kind};
use hold::Target;

/// What a command does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is named after its command")]
pub(crate) enum Action {
    ListAttached,
    ShowAttached,
    OsVersion,
    Restart,
    Recover,
    Capabilities,
    SelectCapability,
    UpdateCapability,
    State,
    SetState,
    Deploy,
    Delete,
    SetTimeout,
    Timeout,
    AppStart,
    AppStop,
    AppStatus,
    AppQuota,
    Memory,
    Images,
    WifiAdd,
    WifiList,
    WifiShow,
    WifiEnable,
    WifiDisable,
    WifiForget,
    WifiStatus,
    WifiScan,
    WifiReload,
    Interfaces,
    NetStatus,
    Firewall,
    Diagnostics,
    InterfaceUp,
    InterfaceDown,
    InterfaceAddress,
    ProxyShow,
    ProxyApply,
    ProxyDelete,
    ProxyEnable,
    ProxyDisable,
    CertificateAdd,
    Certificates,
    CertificateShow,
    CertificateDelete,
    CertificateSpace,
    PackageShow,
    PackApplication,
    PackBoardConfig,
    ShowVersion,
    Settings,
    /// Done by the security service.
    Cloud,
    /// Not done at all.
    NotHere,
}

/// A command with its values and its surroundings.
pub(crate) struct Job<'a> {
    pub(crate) profile: &'static Profile,
    pub(crate) command: &'static Command,
    pub(crate) values: &'a Values,
    pub(crate) station: &'a Station,
    pub(crate) form: Format,
}

impl Job<'_> {
    /// The line of a stage, where the answer will be text as well.
    fn stage(&self, name: &str, values: &Value) -> Option<String> {
        let line = self.command.stage(self.profile.of, name)?;
        (self.form == Format::Text).then(|| fill(line, values))
    }
}

/// What came of it.
pub(crate) struct Done {
    pub(crate) answer: Value,
    /// What is told beside it, when somebody wants to hear more.
    pub(crate) notes: Vec<String>,
}

impl From<Value> for Done {
    fn from(answer: Value) -> Self {
        Self {
            answer,
            notes: Vec::new(),
        }
    }
}

/// Does what is wanted.
pub(crate) fn run(job: &Job<'_>) -> Result<Done, Failure> {
    // Also for what never asks a device: nothing is done once for each board that was not meant so.
    each::target(job)?;
    match job.command.action {
        Action::PackageShow => files::show(job).map(Done::from),
        Action::PackApplication => files::pack(job).map(Done::from),
        Action::PackBoardConfig => files::preset(job).map(Done::from),
        Action::ShowVersion => Ok(files::version(job).into()),
        Action::Settings => Ok(serde_json::json!([{ "name": "no_color", "value": true }]).into()),
        Action::SetTimeout => application::set_timeout(job).map(Done::from),
        Action::Timeout => application::timeout(job).map(Done::from),
        Action::SelectCapability => device::select_capability(job).map(Done::from),
        Action::Cloud => Err(cloud(job)),
        Action::SetState => on_host_thread(state::set(job))?,
        Action::Recover => on_host_thread(recover::os(job))?,
        Action::NotHere => Err(elsewhere()),
        _ => on_host_thread(on_device(job))?,
    }
}

async fn on_device(job: &Job<'_>) -> Result<Done, Failure> {
    let prepared = Prepared::of(job)?;
    let target = match each::target(job)? {
        Some(one) => one,
        None => Target::of(job)?,
    };
    let bench = crate::bench::open(job.station).await?;
    if job.command.action == Action::ListAttached {
        return attached::list(job.station, &bench).await.map(Done::from);
    }
    let mut held = hold::take(job, &bench, &target).await?;
    let note = note::begin(job, &bench, &held)?;
    let answer = match (prepared, job.command.action) {
        (Prepared::Package(package), _) => application::deploy(job, &mut held, package).await,
        (Prepared::Capability(file), _) => device::store_capability(&mut held, file).await,
        (Prepared::Network(network), _) => wifi::add(&mut held, &network).await,
        (Prepared::Certificate(certificate), _) => certificate::add(&mut held, &certificate).await,
        (Prepared::Proxy(proxy), _) => network::set_proxy(&mut held, &proxy).await,
        (Prepared::Nothing, action) => match group(action) {
            Group::Device => device::perform(action, &mut held).await,
            Group::Application => application::perform(job, action, &mut held).await,
            Group::Wifi => wifi::perform(job, action, &mut held).await,
            Group::Network => network::perform(job, action, &mut held).await,
            Group::Certificate => certificate::perform(job, action, &mut held).await,
        },
    };
    let notes = std::mem::take(&mut held.notes);
    if let Some(note) = note {
        note::end(note, job, answer.as_ref().err());
    }
    held.hand.done().await;
    Ok(Done {
        answer: answer?,
        notes,
    })
}

/// Everything that is read before a device is asked.
enum Prepared {
    Nothing,
    Package(application::PackageFile),
    Capability(device::CapabilityFile),
    Network(lineside_protocol::rest::wifi::AddNetworkRequest),
    Certificate(Box<certificate::Stored>),
    Proxy(lineside_protocol::rest::network::Proxy),
}

impl Prepared {
    fn of(job: &Job<'_>) -> Result<Self, Failure> {
        Ok(match job.command.action {
            Action::Deploy => Self::Package(application::package(job)?),
            Action::UpdateCapability => Self::Capability(device::capability_file(job)?),
            Action::WifiAdd => Self::Network(wifi::network(job)?),
            Action::CertificateAdd => Self::Certificate(Box::new(certificate::stored(job)?)),
            Action::ProxyApply => Self::Proxy(network::proxy(job)?),
            _ => Self::Nothing,
        })
    }
}

enum Group {
    Device,
    Application,
    Wifi,
    Network,
    Certificate,
}

const fn group(action: Action) -> Group {
    match action {
        Action::Delete
        | Action::AppStart
        | Action::AppStop
        | Action::AppStatus
        | Action::AppQuota
        | Action::Memory
        | Action::Images => Group::Application,
        Action::WifiList
        | Action::WifiShow
        | Action::WifiEnable
        | Action::WifiDisable
        | Action::WifiForget
        | Action::WifiStatus
        | Action::WifiScan
        | Action::WifiReload => Group::Wifi,
        Action::Interfaces
        | Action::NetStatus
        | Action::Firewall
        | Action::Diagnostics
        | Action::InterfaceUp
        | Action::InterfaceDown
        | Action::InterfaceAddress
        | Action::ProxyShow
        | Action::ProxyDelete
        | Action::ProxyEnable
        | Action::ProxyDisable => Group::Network,
        Action::Certificates
        | Action::CertificateShow
        | Action::CertificateDelete
        | Action::CertificateSpace => Group::Certificate,
        _ => Group::Device,
    }
}

fn cloud(job: &Job<'_>) -> Failure {
    let _ = job;
    Failure::new(
        Kind::Failed,
        Blame::Station,
        "azsphere.no-service",
        "this command needs a security service, and no `service` is set in azsphere.toml",
        "This version has no client of a service: do it with the vendor's own tool where there is a network.",
    )
}

fn elsewhere() -> Failure {
    Failure::new(
        Kind::Failed,
        Blame::Station,
        "azsphere.not-here",
        "this command is not done here",
        "Do it with the vendor's own tool.",
    )
}

fn on_host_thread<T>(work: impl Future<Output = T>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| {
            Failure::station(
                "station.no-runtime",
                "the system gave no resources to begin with",
                &error,
            )
        })?;
    Ok(tokio::task::LocalSet::new().block_on(&runtime, work))
}

/// A device's answer as it came.
fn answer<T: serde::Serialize>(answer: Result<T, lineside_device::DeviceError>) -> Result<Value, Failure> {
    Ok(serde_json::to_value(&answer?).expect("answers came as JSON"))
}

/// An id in the form of a UUID.
fn id_of<T: std::str::FromStr>(text: &str, what: &str) -> Result<T, Failure> {
    text.trim().parse().map_err(|_| {
        Failure::usage(
            "azsphere.parameter",
            format!("`{}` is no id of a {what}", text.escape_default()),
            "An id looks like 25025d2c-66da-4448-bae1-ac26fcdd3627.",
        )
    })
}

/// The number of a Wi-Fi network.
fn number_of(text: &str) -> Result<i32, Failure> {
    text.parse().map_err(|_| {
        Failure::usage(
            "azsphere.parameter",
            format!("`{}` is no number of a network", text.escape_default()),
            "`device wifi list` shows them.",
        )
    })
}

/// Lengths are counted in bytes, as devices do. What it is may be a secret: it is not shown.
fn within(what: &str, text: &str, least: usize, most: usize) -> Result<(), Failure> {
    let length = text.len();
    if (least..=most).contains(&length) {
        return Ok(());
    }
    let allowed = if least == most {
        format!("{most}")
    } else {
        format!("{least} to {most}")
    };
    Err(Failure::usage(
        "azsphere.parameter",
        format!("{what} has {length} bytes; a device takes {allowed}"),
        "Correct it; nothing was sent.",
    ))
}
