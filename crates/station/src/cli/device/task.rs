//! What is to be done, with every file and secret that it needs: nothing is read later, and what cannot be meant is
//! refused before any device is asked.

use std::fs;
use std::path::{Path, PathBuf};

use lineside_image::Package;
use lineside_protocol::rest::certificate::{AddCertRequest, CertType};
use lineside_protocol::rest::http::limit;
use lineside_protocol::rest::network::{ChangeInterfaceRequest, Proxy, ProxyAuthentication};
use lineside_protocol::rest::wifi::{AddNetworkRequest, ConfigState, WifiSecurity};
use lineside_protocol::rest::{Operation, Secret};
use lineside_terms::{ComponentId, Effect, ImageId, Told};

use super::super::exit::Exit;
use super::super::trouble::Trouble;
use super::args::{
    AppVerb, CertificateVerb, NetworkVerb, ProxyVerb, ReportVerb, SideloadVerb, StateVerb, Update, Verb,
    WifiAdd, WifiVerb,
};

/// What a command line asks for: by hand, or through the one door to a later state.
pub(super) enum Asked<'a> {
    Task(Task<'a>),
    Update(&'a Update),
}

/// What is to be done at a device, with all that it takes: none can be done with what was read for another.
pub(super) enum Task<'a> {
    Status,
    Id,
    OsVersion,
    SecurityState,
    Images {
        full: bool,
    },
    Abi,
    Capabilities,
    ManufacturingState,
    Deploy {
        package: PackageFile,
        manual_start: bool,
    },
    Delete {
        component: &'a [ComponentId],
        everything: bool,
        except: &'a [ComponentId],
    },
    App(&'a AppVerb),
    Wifi(WifiTask<'a>),
    Network(NetworkTask<'a>),
    Certificate(CertificateTask<'a>),
    SaveLog(&'a Path),
    SaveReports(&'a Path),
    ClearReports,
    Restart,
}

/// … with Wi-Fi networks.
pub(super) enum WifiTask<'a> {
    List,
    Add(Box<AddNetworkRequest>),
    Delete(&'a str),
    Switch(&'a str, ConfigState),
    Scan,
    Status,
    Diagnostics,
    Reload,
}

/// … with interfaces and the proxy.
pub(super) enum NetworkTask<'a> {
    Status,
    Interfaces,
    Change(&'a str, ChangeInterfaceRequest),
    Firewall,
    ShowProxy,
    SetProxy(Box<Proxy>),
    DeleteProxy,
}

/// … with certificates.
pub(super) enum CertificateTask<'a> {
    Add(&'a str, Box<AddCertRequest>),
    List,
    Show(&'a str),
    Delete(&'a str),
    Space,
}

/// An image package that may be sent.
pub(super) struct PackageFile {
    pub(super) bytes: Vec<u8>,
    pub(super) component: ComponentId,
    pub(super) image: ImageId,
    pub(super) name: String,
}

/// The operation that a verb is about, as the protocol's table has it.
pub(super) const fn operation(verb: &Verb) -> Operation {
    match verb {
        Verb::Status => Operation::GetStatus,
        Verb::Id | Verb::Identify { .. } | Verb::SecurityState => Operation::GetSecurityState,
        Verb::OsVersion => Operation::GetOsVersion,
        Verb::Images { .. } => Operation::GetImages,
        Verb::Abi => Operation::GetAbiVersions,
        Verb::Capabilities => Operation::GetCapabilities,
        Verb::ManufacturingState(StateVerb::Show) => Operation::GetManufacturingState,
        Verb::ManufacturingState(StateVerb::Update(_)) => Operation::SetManufacturingState,
        Verb::Sideload(SideloadVerb::Deploy { .. }) => Operation::Install,
        Verb::Sideload(SideloadVerb::Delete { .. }) => Operation::DeleteImage,
        Verb::App(AppVerb::Status(_)) => Operation::GetAppStatus,
        Verb::App(AppVerb::Start(_) | AppVerb::Stop(_) | AppVerb::Debug(_)) => Operation::ControlApp,
        Verb::App(AppVerb::Quota(_)) => Operation::GetAppQuota,
        Verb::App(AppVerb::Memory) => Operation::GetMemoryStats,
        Verb::Wifi(WifiVerb::List) => Operation::GetWifiNetworks,
        Verb::Wifi(WifiVerb::Add(_)) => Operation::AddWifiNetwork,
        Verb::Wifi(WifiVerb::Delete(_)) => Operation::DeleteWifiNetwork,
        Verb::Wifi(WifiVerb::Enable(_) | WifiVerb::Disable(_)) => Operation::ChangeWifiNetwork,
        Verb::Wifi(WifiVerb::Scan) => Operation::GetWifiScan,
        Verb::Wifi(WifiVerb::Status) => Operation::GetWifiInterface,
        Verb::Wifi(WifiVerb::Diagnostics) => Operation::GetWifiDiagnostics,
        Verb::Wifi(WifiVerb::Reload) => Operation::ChangeWifiInterface,
        Verb::Network(NetworkVerb::Status) => Operation::GetNetStatus,
        Verb::Network(NetworkVerb::Interfaces) => Operation::GetInterfaces,
        Verb::Network(NetworkVerb::Change { .. }) => Operation::ChangeInterface,
        Verb::Network(NetworkVerb::Firewall) => Operation::GetFirewall,
        Verb::Network(NetworkVerb::Proxy(ProxyVerb::Show)) => Operation::GetProxy,
        Verb::Network(NetworkVerb::Proxy(ProxyVerb::Set { .. })) => Operation::SetProxy,
        Verb::Network(NetworkVerb::Proxy(ProxyVerb::Delete)) => Operation::DeleteProxy,
        Verb::Certificate(CertificateVerb::Add { .. }) => Operation::AddCert,
        Verb::Certificate(CertificateVerb::List) => Operation::GetCerts,
        Verb::Certificate(CertificateVerb::Show { .. }) => Operation::GetCert,
        Verb::Certificate(CertificateVerb::Delete { .. }) => Operation::DeleteCert,
        Verb::Certificate(CertificateVerb::Space) => Operation::GetCertSpace,
        Verb::Log { .. } => Operation::GetLog,
        Verb::ErrorReport(ReportVerb::Get { .. }) => Operation::GetTelemetry,
        Verb::ErrorReport(ReportVerb::Clear) => Operation::ClearTelemetry,
        Verb::Restart => Operation::Restart,
    }
}

/// What the verb does to a device.
pub(super) const fn effect(verb: &Verb) -> Effect {
    operation(verb).spec().effect
}

/// What the records call a verb that writes.
pub(super) const fn words(verb: &Verb) -> &'static str {
    match verb {
        Verb::Sideload(SideloadVerb::Deploy { .. }) => "sideload deploy",
        Verb::Sideload(SideloadVerb::Delete { .. }) => "sideload delete",
        Verb::App(AppVerb::Start(_)) => "app start",
        Verb::App(AppVerb::Stop(_)) => "app stop",
        Verb::App(AppVerb::Debug(_)) => "app debug",
        Verb::Wifi(WifiVerb::Add(_)) => "wifi add",
        Verb::Wifi(WifiVerb::Delete(_)) => "wifi delete",
        Verb::Wifi(WifiVerb::Enable(_)) => "wifi enable",
        Verb::Wifi(WifiVerb::Disable(_)) => "wifi disable",
        Verb::Wifi(WifiVerb::Reload) => "wifi reload",
        Verb::Network(NetworkVerb::Change { .. }) => "network change",
        Verb::Network(NetworkVerb::Proxy(ProxyVerb::Set { .. })) => "network proxy set",
        Verb::Network(NetworkVerb::Proxy(ProxyVerb::Delete)) => "network proxy delete",
        Verb::Certificate(CertificateVerb::Add { .. }) => "certificate add",
        Verb::Certificate(CertificateVerb::Delete { .. }) => "certificate delete",
        Verb::ErrorReport(ReportVerb::Clear) => "error-report clear",
        Verb::Restart => "restart",
        _ => operation(verb).spec().path,
    }
}

/// True when several requests make it up.
pub(super) const fn takes_many(verb: &Verb) -> bool {
    matches!(verb, Verb::Sideload(_))
}

/// The file that an answer goes to: one device, one file.
pub(super) const fn out(verb: &Verb) -> Option<&PathBuf> {
    match verb {
        Verb::Log { out } | Verb::ErrorReport(ReportVerb::Get { out }) => Some(out),
        _ => None,
    }
}

/// Reads what a verb needs and checks what can be checked here.
pub(super) fn prepare(verb: &Verb) -> Result<Asked<'_>, Trouble> {
    if let Some(path) = out(verb).filter(|path| path.exists()) {
        return Err(Trouble::usage(
            "station.file-exists",
            &format!("{} is there already", path.display()),
            "Name another file: none is overwritten.",
        ));
    }
    Ok(Asked::Task(match verb {
        Verb::Status => Task::Status,
        Verb::Id | Verb::Identify { .. } => Task::Id,
        Verb::OsVersion => Task::OsVersion,
        Verb::SecurityState => Task::SecurityState,
        Verb::Images { full } => Task::Images { full: *full },
        Verb::Abi => Task::Abi,
        Verb::Capabilities => Task::Capabilities,
        Verb::ManufacturingState(StateVerb::Show) => Task::ManufacturingState,
        Verb::ManufacturingState(StateVerb::Update(update)) => return Ok(Asked::Update(update)),
        Verb::Sideload(SideloadVerb::Deploy {
            package,
            manual_start,
        }) => Task::Deploy {
            package: package_file(package)?,
            manual_start: *manual_start,
        },
        Verb::Sideload(SideloadVerb::Delete {
            component,
            everything,
            except,
        }) => Task::Delete {
            component,
            everything: *everything,
            except,
        },
        Verb::App(verb) => Task::App(verb),
        Verb::Wifi(verb) => Task::Wifi(wifi(verb)?),
        Verb::Network(verb) => Task::Network(on_network(verb)?),
        Verb::Certificate(verb) => Task::Certificate(certificate(verb)?),
        Verb::Log { out } => Task::SaveLog(out),
        Verb::ErrorReport(ReportVerb::Get { out }) => Task::SaveReports(out),
        Verb::ErrorReport(ReportVerb::Clear) => Task::ClearReports,
        Verb::Restart => Task::Restart,
    }))
}

fn wifi(verb: &WifiVerb) -> Result<WifiTask<'_>, Trouble> {
    Ok(match verb {
        WifiVerb::List => WifiTask::List,
        WifiVerb::Add(add) => WifiTask::Add(Box::new(network(add)?)),
        WifiVerb::Delete(which) => WifiTask::Delete(&which.network),
        WifiVerb::Enable(which) => WifiTask::Switch(&which.network, ConfigState::Enabled),
        WifiVerb::Disable(which) => WifiTask::Switch(&which.network, ConfigState::Disabled),
        WifiVerb::Scan => WifiTask::Scan,
        WifiVerb::Status => WifiTask::Status,
        WifiVerb::Diagnostics => WifiTask::Diagnostics,
        WifiVerb::Reload => WifiTask::Reload,
    })
}

fn on_network(verb: &NetworkVerb) -> Result<NetworkTask<'_>, Trouble> {
    Ok(match verb {
        NetworkVerb::Status => NetworkTask::Status,
        NetworkVerb::Interfaces => NetworkTask::Interfaces,
        NetworkVerb::Firewall => NetworkTask::Firewall,
        NetworkVerb::Proxy(ProxyVerb::Show) => NetworkTask::ShowProxy,
        NetworkVerb::Proxy(ProxyVerb::Delete) => NetworkTask::DeleteProxy,
        NetworkVerb::Change {
            interface,
            up,
            down,
            hardware_address,
        } => {
            if let Some(address) = hardware_address {
                within("the hardware address", address, limit::MAC_TEXT, limit::MAC_TEXT)?;
            }
            let change = ChangeInterfaceRequest {
                interface_up: (*up || *down).then_some(*up),
                hardware_address: hardware_address.clone(),
            };
            NetworkTask::Change(interface, change)
        }
        NetworkVerb::Proxy(ProxyVerb::Set {
            address,
            port,
            username,
            password_from,
            no_proxy,
            disabled,
        }) => {
            within("the address of the proxy", address, 1, limit::PROXY_ADDRESS)?;
            let (least, most) = (*limit::PROXY_CREDENTIAL.start(), *limit::PROXY_CREDENTIAL.end());
            if let Some(name) = username {
                within("the user name", name, least, most)?;
            }
            let password = password_from
                .as_ref()
                .map(|from| from.fetch("the password"))
                .transpose()?;
            if let Some(password) = &password {
                within("the password", password.reveal(), least, most)?;
            }
            NetworkTask::SetProxy(Box::new(Proxy {
                address: Some(address.clone()),
                enabled: Some(!disabled),
                port: Some(*port),
                authentication_type: Some(if username.is_some() {
                    ProxyAuthentication::Basic
                } else {
                    ProxyAuthentication::Anonymous
                }),
                username: username.clone(),
                password,
                no_proxy_addresses: Some(no_proxy.clone()),
            }))
        }
    })
}

fn certificate(verb: &CertificateVerb) -> Result<CertificateTask<'_>, Trouble> {
    Ok(match verb {
        CertificateVerb::List => CertificateTask::List,
        CertificateVerb::Space => CertificateTask::Space,
        CertificateVerb::Show { certificate: id } => {
            certificate_id(id)?;
            CertificateTask::Show(id)
        }
        CertificateVerb::Delete { certificate: id } => {
            certificate_id(id)?;
            CertificateTask::Delete(id)
        }
        CertificateVerb::Add {
            certificate: id,
            root_ca,
            public,
            key,
            passphrase_from,
        } => {
            certificate_id(id)?;
            let public_cert = text(public, "the certificate")?;
            within("the certificate", &public_cert, 1, limit::PUBLIC_CERT)?;
            let key = key.as_ref().map(|key| text(key, "the private key")).transpose()?;
            if let Some(key) = &key {
                within("the private key", key, 1, limit::PRIVATE_KEY)?;
            }
            let password = passphrase_from
                .as_ref()
                .map(|from| from.fetch("the pass-phrase"))
                .transpose()?;
            if let Some(password) = &password {
                within("the pass-phrase", password.reveal(), 1, limit::KEY_PASSWORD)?;
            }
            let request = AddCertRequest {
                cert_type: if *root_ca {
                    CertType::RootCa
                } else {
                    CertType::Client
                },
                public_cert: Some(public_cert),
                private_key: key.map(Secret::new),
                password,
            };
            CertificateTask::Add(id, Box::new(request))
        }
    })
}

fn network(add: &WifiAdd) -> Result<AddNetworkRequest, Trouble> {
    within("the SSID", &add.ssid, 1, limit::SSID)?;
    if let Some(name) = &add.name {
        within("the name", name, 1, limit::CONFIG_NAME)?;
    }
    if let Some(id) = &add.client_id {
        within("the EAP identity", id, 1, limit::CLIENT_IDENTITY)?;
    }
    for id in [&add.client_cert, &add.root_ca].into_iter().flatten() {
        certificate_id(id)?;
    }
    let psk = add
        .psk_from
        .as_ref()
        .map(|from| from.fetch("the pre-shared key"))
        .transpose()?;
    if let Some(psk) = &psk {
        within(
            "the pre-shared key",
            psk.reveal(),
            *limit::PSK.start(),
            *limit::PSK.end(),
        )?;
    }
    let security_state = match (&psk, add.client_cert.is_some() || add.root_ca.is_some()) {
        (_, true) => WifiSecurity::EapTls,
        (Some(_), false) => WifiSecurity::Psk,
        (None, false) => WifiSecurity::Open,
    };
    Ok(AddNetworkRequest {
        ssid: add.ssid.clone(),
        security_state,
        config_state: Some(ConfigState::Enabled),
        config_name: add.name.clone(),
        targeted_scan: Some(add.targeted_scan),
        psk,
        client_cert_store_identifier: add.client_cert.clone(),
        root_ca_cert_store_identifier: add.root_ca.clone(),
        client_identity: add.client_id.clone(),
    })
}

/// Lengths are counted in bytes, as devices do. What it is may be a secret: it is not shown.
fn within(what: &str, text: &str, least: usize, most: usize) -> Result<(), Trouble> {
    let length = text.len();
    if (least..=most).contains(&length) {
        return Ok(());
    }
    let allowed = if least == most {
        format!("{most}")
    } else {
        format!("{least} to {most}")
    };
    Err(Trouble::usage(
        "device.parameter",
        &format!("{what} has {length} bytes; a device takes {allowed}"),
        "Correct it; nothing was sent.",
    ))
}

fn certificate_id(id: &str) -> Result<(), Trouble> {
    within("the id of the certificate", id, 1, limit::CERT_ID)?;
    let is_fine = id
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte));
    if is_fine && !matches!(id, "." | "..") {
        return Ok(());
    }
    Err(Trouble::usage(
        "device.parameter",
        &format!("`{}` is no id of a certificate", id.escape_default()),
        "Take letters, digits, `.`, `-` and `_`; nothing was sent.",
    ))
}

fn unreadable(path: &Path, what: &str, cause: &dyn std::fmt::Display) -> Trouble {
    Trouble::new(
        Exit::Station,
        lineside_terms::Blame::Station,
        "station.file",
        &format!("{what} {} cannot be read: {cause}", path.display()),
        "Check the name and the rights of the file; nothing was sent.",
    )
}

fn text(path: &Path, what: &str) -> Result<String, Trouble> {
    fs::read_to_string(path).map_err(|error| unreadable(path, what, &error))
}

pub(super) fn bytes(path: &Path, what: &str) -> Result<Vec<u8>, Trouble> {
    fs::read(path).map_err(|error| unreadable(path, what, &error))
}

/// A file that a device could never take is not sent.
fn package_file(path: &Path) -> Result<PackageFile, Trouble> {
    let bytes = bytes(path, "the package")?;
    let wrong = |told: Told| Trouble {
        told: Told {
            message: format!("{}: {}", path.display(), told.message),
            ..told
        },
        exit: Exit::Refused,
    };
    let package = Package::parse(&bytes).map_err(|error| wrong(Told::of(&error)))?;
    if !package.image_type().is_customers() {
        return Err(wrong(Told {
            code: "device.not-for-sideload".to_owned(),
            message: format!(
                "it is no application and no board configuration, but {}",
                package.image_type()
            ),
            help: "Load the operating system by recovery; a capability file goes with --capability."
                .to_owned(),
            blame: lineside_terms::Blame::Supply,
        }));
    }
    let (component, image) = (package.component(), package.image());
    let name = package
        .build()
        .map_or_else(String::new, |build| build.name().to_string());
    Ok(PackageFile {
        component,
        image,
        name,
        bytes,
    })
}
