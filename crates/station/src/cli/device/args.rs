//! The command line of `lineside device`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use lineside_link::Address;
use lineside_terms::{ComponentId, ManufacturingState, SlotPath, UnitSerial};

use super::super::secret::SecretFrom;

/// Arguments of `device`.
#[derive(Debug, Args)]
#[command(
    after_help = "Which device: the only one that is attached, or those named with --slot, --id or --ip, or
with --all every one; what changes a device is never done to all. A capability file goes with every
request of the command and leaves no trace on the device.

Exit codes: 0 every device did it; 1 one did not, or is not there; 2 the command line is wrong;
3 the station is in trouble; 4 a file or the station's policy stands against it, and nothing was
done.

Examples:
  lineside device status
  lineside device images --all --json
  lineside device app stop --slot 1113 --capability development.cap"
)]
pub(crate) struct DeviceArgs {
    #[command(flatten)]
    pub(super) target: Target,
    #[command(subcommand)]
    pub(super) verb: Verb,
}

/// Which devices, and how they are asked.
#[derive(Debug, Args)]
pub(crate) struct Target {
    /// The board in this slot; may be repeated
    #[arg(long, value_name = "SLOT", global = true, help_heading = "Which device")]
    pub(super) slot: Vec<SlotPath>,
    /// The device with this id, or whose id alone begins or ends so; may be repeated
    #[arg(long, value_name = "ID", global = true, help_heading = "Which device")]
    pub(super) id: Vec<String>,
    /// The device behind this address, 192.168.35.N, as `slots list` shows it; .2 is the only one attached; may be
    /// repeated
    #[arg(long, value_name = "IP", global = true, help_heading = "Which device")]
    pub(super) ip: Vec<Address>,
    /// Every attached device, side by side; only for what changes nothing
    #[arg(
        long,
        global = true,
        conflicts_with_all = ["slot", "id", "ip"],
        help_heading = "Which device"
    )]
    pub(super) all: bool,
    /// A capability file for this device, in force for this command
    #[arg(long, value_name = "FILE", global = true, help_heading = "Which device")]
    pub(super) capability: Option<PathBuf>,
    /// Devices that are never written to [default: protected.txt in the data folder, if it is there]
    #[arg(
        long,
        value_name = "FILE",
        global = true,
        env = "LINESIDE_PROTECTED",
        help_heading = "Which device"
    )]
    pub(super) protected: Option<PathBuf>,
    /// Seconds to wait for a device that does not answer
    #[arg(
        long,
        value_name = "SECONDS",
        global = true,
        default_value_t = 8,
        value_parser = clap::value_parser!(u64).range(1..=3600),
        help_heading = "Which device"
    )]
    pub(super) timeout: u64,
}

/// What to ask or to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// What the device says of itself in a few lines, locked or not
    #[command(after_help = "Example:\n  lineside device status --all")]
    Status,
    /// Its id
    #[command(after_help = "Example:\n  lineside device id --slot 1113")]
    Id,
    /// Its id, also without a working operating system
    #[command(
        after_help = "With --via-console the chip is reset, and what runs on it runs anew; nothing is written.

Example:
  lineside device identify --via-console --all"
    )]
    Identify {
        /// Reset the chip and read its id from what it says while it boots
        #[arg(long)]
        via_console: bool,
    },
    /// Version of its operating system
    #[command(after_help = "Example:\n  lineside device os-version --all")]
    OsVersion,
    /// Whether it is a production chip
    #[command(after_help = "Example:\n  lineside device security-state --all")]
    SecurityState,
    /// Applications and board configurations that are installed
    #[command(after_help = "Example:\n  lineside device images --full")]
    Images {
        /// The components of the operating system as well
        #[arg(long)]
        full: bool,
    },
    /// Runtime versions that images may ask for
    #[command(after_help = "Example:\n  lineside device abi")]
    Abi,
    /// Capabilities in force, those of --capability included
    #[command(after_help = "Example:\n  lineside device capabilities --capability servicing.cap")]
    Capabilities,
    /// Show the manufacturing state, or bring it forward for good
    #[command(subcommand)]
    ManufacturingState(StateVerb),
    /// Put software on the device and take it off
    #[command(subcommand)]
    Sideload(SideloadVerb),
    /// Applications that run
    #[command(subcommand)]
    App(AppVerb),
    /// Wi-Fi networks
    #[command(subcommand)]
    Wifi(WifiVerb),
    /// Network interfaces, firewall and proxy
    #[command(subcommand)]
    Network(NetworkVerb),
    /// Certificates for Wi-Fi
    #[command(subcommand)]
    Certificate(CertificateVerb),
    /// Save the device's log
    #[command(after_help = "Example:\n  lineside device log --out device.log")]
    Log {
        /// The file to write; never one that is there already
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Error reports for the cloud that wait on the device
    #[command(subcommand)]
    ErrorReport(ReportVerb),
    /// Restart the device and wait until it is back
    #[command(after_help = "Example:\n  lineside device restart --slot 1113")]
    Restart,
}

/// `device manufacturing-state …`
#[derive(Debug, Subcommand)]
pub(crate) enum StateVerb {
    /// Say how far it has come
    #[command(after_help = "Example:\n  lineside device manufacturing-state show --all")]
    Show,
    /// Bring one device to a later state. There is no way back
    #[command(
        after_help = "The station's policy decides; unless it was set up otherwise it refuses: devices are locked by
a plan, which proves them first and keeps the proof.

Example:
  lineside device manufacturing-state update DeviceComplete --who 17 --why repair --confirm 2b81cb81"
    )]
    Update(Update),
}

/// Arguments of `device manufacturing-state update`.
#[derive(Debug, Args)]
pub(crate) struct Update {
    /// Module1Complete or DeviceComplete
    pub(super) state: ManufacturingState,
    /// Pseudonymous id of whoever does it
    #[arg(long, value_name = "ID", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub(super) who: String,
    /// Why it is done by hand
    #[arg(long, value_name = "TEXT", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub(super) why: String,
    /// The last 8 digits of the device's id, typed by hand; a terminal is asked for them without it
    #[arg(long, value_name = "END")]
    pub(super) confirm: Option<String>,
    /// Serial of the unit that holds the device, if the policy's plan wants one
    #[arg(long, value_name = "SERIAL")]
    pub(super) serial: Option<UnitSerial>,
}

/// `device sideload …`
#[derive(Debug, Subcommand)]
pub(crate) enum SideloadVerb {
    /// Install an image package and see that it is there
    #[command(after_help = "Example:\n  lineside device sideload deploy application.imagepackage")]
    Deploy {
        /// The package
        package: PathBuf,
        /// Do not start the application
        #[arg(long)]
        manual_start: bool,
    },
    /// Delete installed components
    #[command(after_help = "Examples:
  lineside device sideload delete --component 2f074b0f-d99d-4692-82d9-ef93a7d6463c
  lineside device sideload delete --everything --except 8548b129-b16f-4f84-8dbe-d2c847862e78")]
    Delete {
        /// This component; may be repeated
        #[arg(long, value_name = "ID", required_unless_present = "everything")]
        component: Vec<ComponentId>,
        /// All applications and board configurations
        #[arg(long, conflicts_with = "component")]
        everything: bool,
        /// But not this one; may be repeated
        #[arg(long, value_name = "ID", requires = "everything")]
        except: Vec<ComponentId>,
    },
}

/// Which application.
#[derive(Debug, Args)]
pub(crate) struct Component {
    /// The application's component [default: the only one that is installed]
    #[arg(long, value_name = "ID")]
    pub(super) component: Option<ComponentId>,
}

/// `device app …`
#[derive(Debug, Subcommand)]
pub(crate) enum AppVerb {
    /// Whether applications run: one, or all that are installed
    #[command(after_help = "Example:\n  lineside device app status")]
    Status(Component),
    /// Start an application; needs appDevelopment
    #[command(after_help = "Example:\n  lineside device app start --capability development.cap")]
    Start(Component),
    /// Stop an application; needs appDevelopment
    #[command(after_help = "Example:\n  lineside device app stop --capability development.cap")]
    Stop(Component),
    /// Start an application under the debugger; needs appDevelopment
    #[command(after_help = "Example:\n  lineside device app debug --capability development.cap")]
    Debug(Component),
    /// Mutable storage of applications: one, or all that are installed
    #[command(after_help = "Example:\n  lineside device app quota")]
    Quota(Component),
    /// Memory that applications use; needs appDevelopment
    #[command(after_help = "Example:\n  lineside device app memory --capability development.cap")]
    Memory,
}

/// `device wifi …`
#[derive(Debug, Subcommand)]
pub(crate) enum WifiVerb {
    /// Configured networks
    #[command(after_help = "Example:\n  lineside device wifi list")]
    List,
    /// Add a network: open, with a pre-shared key, or with certificates
    #[command(after_help = "Examples:
  lineside device wifi add guests
  lineside device wifi add factory --psk-from file:factory.psk
  lineside device wifi add office --client-cert device --root-ca radius --client-id user@example.com")]
    Add(WifiAdd),
    /// Delete a network
    #[command(after_help = "Example:\n  lineside device wifi delete factory")]
    Delete(WhichNetwork),
    /// Let a network be used
    #[command(after_help = "Example:\n  lineside device wifi enable 0")]
    Enable(WhichNetwork),
    /// Do not let a network be used
    #[command(after_help = "Example:\n  lineside device wifi disable 0")]
    Disable(WhichNetwork),
    /// Networks in reach
    #[command(after_help = "Example:\n  lineside device wifi scan")]
    Scan,
    /// State of the Wi-Fi interface
    #[command(after_help = "Example:\n  lineside device wifi status --all")]
    Status,
    /// Why networks do not connect
    #[command(after_help = "Example:\n  lineside device wifi diagnostics")]
    Diagnostics,
    /// Read the stored configuration again and reconnect
    #[command(after_help = "Example:\n  lineside device wifi reload")]
    Reload,
}

/// Which configured network.
#[derive(Debug, Args)]
pub(crate) struct WhichNetwork {
    /// Its number, or its SSID if only one has it
    pub(super) network: String,
}

/// Arguments of `device wifi add`.
#[derive(Debug, Args)]
pub(crate) struct WifiAdd {
    /// Its SSID, 1 to 32 bytes
    pub(super) ssid: String,
    /// Where the pre-shared key is, 8 to 63 characters: `file:PATH`, `env:NAME`, or `-` for standard input
    #[arg(long, value_name = "SOURCE", conflicts_with_all = ["client_cert", "root_ca"])]
    pub(super) psk_from: Option<SecretFrom>,
    /// A name for it, at most 16 characters
    #[arg(long, value_name = "NAME")]
    pub(super) name: Option<String>,
    /// Look for it by name, as hidden networks need it
    #[arg(long)]
    pub(super) targeted_scan: bool,
    /// Id of the stored certificate that proves the device, for EAP-TLS
    #[arg(long, value_name = "ID")]
    pub(super) client_cert: Option<String>,
    /// Id of the stored certificate that proves the network, for EAP-TLS
    #[arg(long, value_name = "ID")]
    pub(super) root_ca: Option<String>,
    /// EAP identity, at most 254 characters
    #[arg(long, value_name = "NAME", requires = "client_cert")]
    pub(super) client_id: Option<String>,
}

/// `device network …`
#[derive(Debug, Subcommand)]
pub(crate) enum NetworkVerb {
    /// Readiness of authentication, time and proxy
    #[command(after_help = "Example:\n  lineside device network status --all")]
    Status,
    /// All network interfaces
    #[command(after_help = "Example:\n  lineside device network interfaces")]
    Interfaces,
    /// Bring an interface up or down, or set its hardware address (Ethernet)
    #[command(after_help = "Example:\n  lineside device network change eth0 --up")]
    Change {
        /// Its name
        interface: String,
        /// Bring it up
        #[arg(long, conflicts_with = "down")]
        up: bool,
        /// Bring it down
        #[arg(long)]
        down: bool,
        /// Set its hardware address: aa:bb:cc:dd:ee:ff
        #[arg(long, value_name = "MAC", required_unless_present_any = ["up", "down"])]
        hardware_address: Option<String>,
    },
    /// Firewall rules
    #[command(after_help = "Example:\n  lineside device network firewall")]
    Firewall,
    /// The proxy
    #[command(subcommand)]
    Proxy(ProxyVerb),
}

/// `device network proxy …`
#[derive(Debug, Subcommand)]
pub(crate) enum ProxyVerb {
    /// The proxy that is configured
    #[command(after_help = "Example:\n  lineside device network proxy show --all")]
    Show,
    /// Set the proxy
    #[command(after_help = "Example:\n  lineside device network proxy set proxy.example.com 3128")]
    Set {
        /// Host name or address
        address: String,
        /// TCP port
        port: u16,
        /// For basic authentication
        #[arg(long, value_name = "NAME", requires = "password_from")]
        username: Option<String>,
        /// Where its password is: `file:PATH`, `env:NAME`, or `-` for standard input
        #[arg(long, value_name = "SOURCE", requires = "username")]
        password_from: Option<SecretFrom>,
        /// An address that is reached without it; may be repeated
        #[arg(long, value_name = "ADDRESS")]
        no_proxy: Vec<String>,
        /// Store it and do not use it
        #[arg(long)]
        disabled: bool,
    },
    /// Remove the proxy
    #[command(after_help = "Example:\n  lineside device network proxy delete")]
    Delete,
}

/// `device certificate …`
#[derive(Debug, Subcommand)]
pub(crate) enum CertificateVerb {
    /// Store a certificate, in place of an earlier one with this id
    #[command(after_help = "Examples:
  lineside device certificate add radius --root-ca --public radius.pem
  lineside device certificate add device --public device.pem --key device.key --passphrase-from env:KEY_PASS")]
    Add {
        /// Its id: at most 16 letters, digits, `.`, `-`, `_`
        certificate: String,
        /// It proves the network, not the device
        #[arg(long, conflicts_with = "key")]
        root_ca: bool,
        /// The certificate in PEM
        #[arg(long, value_name = "FILE")]
        public: PathBuf,
        /// Its private key in PEM
        #[arg(long, value_name = "FILE", required_unless_present = "root_ca")]
        key: Option<PathBuf>,
        /// Where the pass-phrase of the key is: `file:PATH`, `env:NAME`, or `-` for standard input
        #[arg(long, value_name = "SOURCE", requires = "key")]
        passphrase_from: Option<SecretFrom>,
    },
    /// Ids of stored certificates
    #[command(after_help = "Example:\n  lineside device certificate list --all")]
    List,
    /// What is told of one certificate
    #[command(after_help = "Example:\n  lineside device certificate show radius")]
    Show {
        /// Its id
        certificate: String,
    },
    /// Delete a certificate
    #[command(after_help = "Example:\n  lineside device certificate delete radius")]
    Delete {
        /// Its id
        certificate: String,
    },
    /// Free room in the store
    #[command(after_help = "Example:\n  lineside device certificate space")]
    Space,
}

/// `device error-report …`
#[derive(Debug, Subcommand)]
pub(crate) enum ReportVerb {
    /// Save them
    #[command(after_help = "Example:\n  lineside device error-report get --out reports.bin")]
    Get {
        /// The file to write; never one that is there already
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Discard them
    #[command(after_help = "Example:\n  lineside device error-report clear")]
    Clear,
}
