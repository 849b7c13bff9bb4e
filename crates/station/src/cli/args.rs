//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use lineside_link::Address;
use lineside_runner::gate;
use lineside_terms::{ComponentId, ImageId, ManufacturingState, SlotPath, StationName};

use super::approve::ApproveCommand;
use super::bench::BenchName;
use super::bridge::BridgeArgs;
use super::bundle::BundleCommand;
use super::device::DeviceArgs;
use super::each::EachArgs;
use super::evidence::{CertificateArgs, CheckCertificateArgs, CheckpointArgs, VerifyArgs};
use super::image::ImageCommand;
use super::image_set::ImageSetCommand;
use super::install::{InstallArgs, UninstallArgs};
use super::later::Later;
use super::output::Color;
use super::people::OperatorsCommand;
use super::recover::RecoverArgs;
use super::slots::SlotsCommand;

/// Takes every attached Azure Sphere board from plugged in to ready to ship.
#[derive(Debug, Parser)]
// Named here, or it would call itself `lineside.exe` on Windows.
#[command(name = "lineside", bin_name = "lineside")]
#[command(version, propagate_version = true, max_term_width = 100)]
#[command(after_help = "Examples:
  lineside run plans/thermostat.toml --bench sim:8 --serials plans/thermostat-serials.txt
  lineside devices --watch
  lineside records list --outcome fail")]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What every command takes.
#[derive(Debug, Clone, Args)]
pub(crate) struct Global {
    /// The boards: `usb`, `sim:N[,state=S][,seed=S][,pace=fast|real]`, or `at:DIR` of another process
    #[arg(
        long,
        global = true,
        env = "LINESIDE_BENCH",
        default_value = "usb",
        value_name = "BENCH",
        help_heading = "Global options"
    )]
    pub(crate) bench: BenchName,
    /// The folder of journal and records [default: lineside-data, on Windows in %LOCALAPPDATA%; a new one
    /// in it for each run on `sim:N`]
    #[arg(
        long,
        global = true,
        env = "LINESIDE_DATA",
        value_name = "DIR",
        help_heading = "Global options"
    )]
    pub(crate) data: Option<PathBuf>,
    /// The name of this station in the records
    #[arg(
        long,
        global = true,
        env = "LINESIDE_STATION",
        default_value = "station",
        value_name = "NAME",
        help_heading = "Global options"
    )]
    pub(crate) station: StationName,
    /// One JSON object a line on standard output
    #[arg(long, global = true, help_heading = "Global options")]
    pub(crate) json: bool,
    /// When to use colour; NO_COLOR is obeyed
    #[arg(
        long,
        global = true,
        value_enum,
        default_value_t,
        value_name = "WHEN",
        help_heading = "Global options"
    )]
    pub(crate) color: Color,
    /// Somebody said which bench, on the command line or by the environment.
    #[arg(skip)]
    pub(crate) is_bench_named: bool,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Take all boards through a plan
    Run(Later<RunArgs>),
    /// Go on with the batch that was under way when the program ended
    Resume(Later<ResumeArgs>),
    /// List the boards and what their devices say
    Devices(Later<DevicesArgs>),
    /// Look into one device, try it, repair it
    Device(Later<DeviceArgs>),
    /// Check whether boards are ready to ship
    ReadyCheck(Later<ReadyCheckArgs>),
    /// Write the OS of boards anew
    Recover(Later<RecoverArgs>),
    /// Look into plans
    #[command(subcommand)]
    Plan(Later<PlanCommand>),
    /// Plans with all that they name, signed by engineering
    #[command(subcommand)]
    Bundle(Later<BundleCommand>),
    /// Leave for irreversible steps, given by named people
    #[command(subcommand)]
    Approve(Later<ApproveCommand>),
    /// Look into what is recorded
    #[command(subcommand)]
    Records(Later<RecordsCommand>),
    /// Look into image packages, and make them
    #[command(subcommand)]
    Image(Later<ImageCommand>),
    /// Look into recovery sets, and keep them
    #[command(subcommand)]
    ImageSet(Later<ImageSetCommand>),
    /// Find out what stands in the way of work, and what to do about it
    Doctor(Later<DoctorArgs>),
    /// What the fixture calls its sockets
    #[command(subcommand)]
    Slots(Later<SlotsCommand>),
    /// Let every program on this PC reach every device
    Bridge(Later<BridgeArgs>),
    /// Run an azsphere command that only reads, for every board
    Each(Later<EachArgs>),
    /// Lay out what scripts for the vendor's SDK look for
    InstallAzsphere(Later<InstallArgs>),
    /// Take away what install-azsphere laid out
    UninstallAzsphere(Later<UninstallArgs>),
    /// Run a simulated bench for other processes
    #[command(args_conflicts_with_subcommands = true)]
    Sim(Later<SimArgs>),
    /// Print completions for a shell
    #[command(after_help = "Example:\n  lineside completions bash > /etc/bash_completion.d/lineside")]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

/// Arguments of `run`.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes: 0 every expected unit passed and is recorded; 1 a unit did not; 3 the station is in
trouble; 4 the plan was refused; 130 stopped. Ctrl-C stops in a told state; a second one at once.
With --continuous Ctrl-C is the end: 0 when nothing failed.

Examples:
  lineside run plans/thermostat.toml --bench sim:8 --serials plans/thermostat-serials.txt
  lineside run line.toml --serials today.txt --expect 16 --json > run.jsonl
  lineside run line.toml --continuous --start scan --hook ask-mes.exe"
)]
pub(crate) struct RunArgs {
    /// The plan: a file, or `bundle:NAME` for the plan of an imported bundle
    pub(crate) plan: PathBuf,
    /// Unit serials: one a line in the order of the slots, or `SLOT SERIAL`
    #[arg(long, value_name = "FILE")]
    pub(crate) serials: Option<PathBuf>,
    /// How many units must pass [default: every board, and every serial of the list]
    #[arg(long, value_name = "N")]
    pub(crate) expect: Option<u32>,
    /// Pseudonymous id of the operator, for the record
    #[arg(long, env = "LINESIDE_OPERATOR", value_name = "ID")]
    pub(crate) operator: Option<String>,
    /// Shift, for the record
    #[arg(long, env = "LINESIDE_SHIFT", value_name = "NAME")]
    pub(crate) shift: Option<String>,
    /// Work order, for the record
    #[arg(long, env = "LINESIDE_WORK_ORDER", value_name = "ID")]
    pub(crate) work_order: Option<String>,
    /// Go on with every board that is plugged in, until Ctrl-C
    #[arg(long)]
    pub(crate) continuous: bool,
    /// What starts a board
    #[arg(
        long,
        value_enum,
        default_value_t,
        value_name = "WHAT",
        requires = "continuous"
    )]
    pub(crate) start: Start,
    /// Seconds for which a board must tell the same device id before it starts
    #[arg(long, value_name = "SECONDS", default_value_t = gate::STABLE.as_secs(), requires = "continuous", value_parser = clap::value_parser!(u64).range(0..=3600))]
    pub(crate) stable: u64,
    /// A slot takes no more boards after so many failures in a row; 0: never stop
    #[arg(long, value_name = "N", default_value_t = gate::FAILURES, requires = "continuous")]
    pub(crate) stop_after: u32,
    /// A program that is asked before each run and told after it: `PROGRAM may-start`, `PROGRAM result`
    #[arg(long, env = "LINESIDE_HOOK", value_name = "PROGRAM")]
    pub(crate) hook: Option<PathBuf>,
    /// Seconds that it has for each
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=600))]
    pub(crate) hook_timeout: u64,
    /// Seconds for which a disk that fails may come back before the run ends
    #[arg(long, value_name = "SECONDS", default_value_t = 600, value_parser = clap::value_parser!(u64).range(0..=86_400))]
    pub(crate) disk_patience: u64,
    /// Seconds for which the run goes on waiting when nothing but an approval is missing
    #[arg(long, value_name = "SECONDS", default_value_t = 0, value_parser = clap::value_parser!(u64).range(0..=86_400))]
    pub(crate) approval_patience: u64,
}

/// Arguments of `resume`.
#[derive(Debug, Args)]
#[command(
    after_help = "Plan, serials and bench are those of the batch, as the journal tells; --bench names another one. The
plan and its files must be what they were. Says what was open and why it goes on as it does: what only
reads or may be done twice is done again, for other steps the device is looked at first, and what is
irreversible is asked for and never sent again unless the device shows that it was not done.
Exit codes are those of `run`; 2: there is nothing to resume.

Examples:
  lineside resume
  lineside resume --data line-3 --operator op-17"
)]
pub(crate) struct ResumeArgs {
    /// Pseudonymous id of the operator, for the record
    #[arg(long, env = "LINESIDE_OPERATOR", value_name = "ID")]
    pub(crate) operator: Option<String>,
    /// Shift, for the record
    #[arg(long, env = "LINESIDE_SHIFT", value_name = "NAME")]
    pub(crate) shift: Option<String>,
    /// Work order, for the record [default: that of the batch]
    #[arg(long, env = "LINESIDE_WORK_ORDER", value_name = "ID")]
    pub(crate) work_order: Option<String>,
    /// The program that is asked before each run, if the batch was begun with one
    #[arg(long, env = "LINESIDE_HOOK", value_name = "PROGRAM")]
    pub(crate) hook: Option<PathBuf>,
    /// Seconds that it has for each
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=600))]
    pub(crate) hook_timeout: u64,
    /// Seconds for which a disk that fails may come back before the run ends
    #[arg(long, value_name = "SECONDS", default_value_t = 600, value_parser = clap::value_parser!(u64).range(0..=86_400))]
    pub(crate) disk_patience: u64,
    /// Seconds for which the run goes on waiting when nothing but an approval is missing
    #[arg(long, value_name = "SECONDS", default_value_t = 0, value_parser = clap::value_parser!(u64).range(0..=86_400))]
    pub(crate) approval_patience: u64,
}

/// What starts a board of `run --continuous`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub(crate) enum Start {
    /// It is plugged in and tells the same device id for a while
    #[default]
    Attach,
    /// Its serial is read on standard input: `SERIAL` when one board waits, `SLOT SERIAL` when several do
    Scan,
    /// A line on standard input, such as Enter or a foot-switch types: empty for all boards that wait, or `SLOT`
    Key,
}

/// Arguments of `devices`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  lineside devices\n  lineside devices --watch --json")]
pub(crate) struct DevicesArgs {
    /// Go on and tell of every change
    #[arg(long)]
    pub(crate) watch: bool,
    /// Seconds to wait for a device that does not answer
    #[arg(long, value_name = "SECONDS", default_value_t = 8)]
    pub(crate) timeout: u64,
    /// Show whole device ids
    #[arg(long, short)]
    pub(crate) verbose: bool,
}

/// Arguments of `doctor`.
#[derive(Debug, Args)]
#[command(
    after_help = "Looks at the data folder and its disk, the journal, the clock, the boards, and with `--bench usb`
at the way to them: permissions, USB, the driver, other programs. Nothing is changed.

Exit codes: 0 nothing stands in the way, though there may be warnings; 1 there is a problem.

Examples:
  lineside doctor
  lineside doctor --bench at:/tmp/bench --json"
)]
pub(crate) struct DoctorArgs {
    /// Where the vendor's device service would listen
    #[arg(long, hide = true, default_value_t = lineside_link::health::SERVICE_PORT)]
    pub(crate) service_port: u16,
}

/// Arguments of `ready-check`.
#[derive(Debug, Args)]
#[command(
    after_help = "A check that the device does not let us make counts as unknown, and unknown is not ready, unless
this station's records hold the proof from before the device was locked.

Examples:
  lineside ready-check --all --os 24.06 -j mt3620an.json -e Module1Complete --images 2f074b0f-d99d-4692-82d9-ef93a7d6463c
  lineside ready-check --slot 1113 --os 24.06 -j mt3620an.json --allow-skipped"
)]
pub(crate) struct ReadyCheckArgs {
    /// Check the board in this slot
    #[arg(long, value_name = "SLOT", conflicts_with = "all")]
    pub(crate) slot: Vec<SlotPath>,
    /// Check the board behind this address, 192.168.35.N
    #[arg(long, value_name = "IP", conflicts_with = "all")]
    pub(crate) ip: Vec<Address>,
    /// Check every attached board
    #[arg(long)]
    pub(crate) all: bool,
    /// Allowed OS versions; without one nothing is ready
    #[arg(long, value_name = "VERSION", num_args = 1..)]
    pub(crate) os: Vec<String>,
    /// The OS list that says what each version consists of
    #[arg(
        short = 'j',
        long = "os_components_json_file",
        alias = "os-list",
        value_name = "FILE",
        default_value = "mt3620an.json"
    )]
    pub(crate) os_list: PathBuf,
    /// The state that the device must be in
    #[arg(
        short = 'e',
        long = "expected_mfg_state",
        alias = "state",
        value_name = "STATE",
        default_value = "DeviceComplete"
    )]
    pub(crate) state: ManufacturingState,
    /// Customer images that must be there, and no others: image ids, or COMPONENT=IMAGE
    #[arg(long, value_name = "IMAGE", num_args = 1..)]
    pub(crate) images: Vec<ImageName>,
    /// Components that may be there although no list names them
    #[arg(long, value_name = "COMPONENT", num_args = 1..)]
    pub(crate) allow: Vec<ComponentId>,
    /// Count what a locked device does not say as passed, as the vendor's script does
    #[arg(long)]
    pub(crate) allow_skipped: bool,
    /// Show what was expected and found of checks that passed, too
    #[arg(short, long)]
    pub(crate) verbose: bool,
    /// Seconds to wait for a device that does not answer
    #[arg(long, value_name = "SECONDS", default_value_t = 8)]
    pub(crate) timeout: u64,
}

/// An image that is expected: by its id, or with its component.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ImageName {
    pub(crate) component: Option<ComponentId>,
    pub(crate) image: ImageId,
}

impl std::str::FromStr for ImageName {
    type Err = lineside_terms::ParseIdError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text.split_once('=') {
            Some((component, image)) => Self {
                component: Some(component.parse()?),
                image: image.parse()?,
            },
            None => Self {
                component: None,
                image: text.parse()?,
            },
        })
    }
}

/// Subcommands of `plan`.
#[derive(Debug, Subcommand)]
pub(crate) enum PlanCommand {
    /// Check a plan and everything that it names
    #[command(after_help = "Example:\n  lineside plan check plans/thermostat.toml --bench sim:1")]
    Check {
        /// The plan
        plan: PathBuf,
    },
    /// Say in plain words what a plan does
    #[command(after_help = "Example:\n  lineside plan explain plans/thermostat.toml")]
    Explain {
        /// The plan
        plan: PathBuf,
    },
    /// Print the JSON Schema of plans, for editors
    #[command(after_help = "Example:\n  lineside plan schema > plan.schema.json")]
    Schema,
}

/// Subcommands of `records`.
#[derive(Debug, Subcommand)]
pub(crate) enum RecordsCommand {
    /// List runs
    #[command(
        after_help = "Examples:\n  lineside records list --outcome fail\n  lineside records list --serial SAMPLE-0003 --json"
    )]
    List {
        /// Only of this device
        #[arg(long, value_name = "ID")]
        device: Option<lineside_terms::DeviceId>,
        /// Only of this unit
        #[arg(long, value_name = "SERIAL")]
        serial: Option<lineside_terms::UnitSerial>,
        /// Only those that ended so
        #[arg(long, value_name = "OUTCOME")]
        outcome: Option<String>,
        /// At most so many, newest first
        #[arg(long, value_name = "N", default_value_t = 100)]
        limit: u32,
    },
    /// Show one run whole
    #[command(after_help = "Example:\n  lineside records show SAMPLE-0003")]
    Show {
        /// A run id, the beginning of one, or a unit serial (its latest run)
        run: String,
    },
    /// Write records in a form for others
    #[command(
        after_help = "Examples:\n  lineside records export devices > devices.csv\n  lineside records export runs > runs.jsonl\n  lineside records export claims --product Thermostat --group Production > claims.csv"
    )]
    Export {
        /// What to write
        #[arg(value_enum)]
        what: Export,
        /// The product that the devices are claimed into; for `claims`
        #[arg(long, value_name = "NAME", required_if_eq("what", "claims"))]
        product: Option<String>,
        /// The device group within that product; for `claims`
        #[arg(long, value_name = "NAME", required_if_eq("what", "claims"))]
        group: Option<String>,
    },
    /// List what was written to devices by hand, outside of runs
    #[command(
        after_help = "Who is the LINESIDE_OPERATOR of the command. An outcome that is unclear may have changed the device.

Example:
  lineside records hand --limit 20"
    )]
    Hand {
        /// Only to this device
        #[arg(long, value_name = "ID")]
        device: Option<lineside_terms::DeviceId>,
        /// At most so many, newest first
        #[arg(long, value_name = "N", default_value_t = 100)]
        limit: u32,
    },
    /// List irreversible acts of which nobody knows yet what became
    #[command(
        after_help = "Exit codes: 0 there is none; 1 there is one. A batch is not closed before each is resolved: any slot that
sees the device again resolves it.

Example:
  lineside records open"
    )]
    Open,
    /// Check that nothing in the journal was changed
    Verify(VerifyArgs),
    /// Sign the end of the journal, and bring that to where nobody at this station can change it
    Checkpoint(CheckpointArgs),
    /// Copy the journal to a place of its own, and check the copy
    #[command(
        after_help = "Makes DIR/STATION-EVENT, whole or not at all. The station's secret key and the names of people are
not in it.

Example:
  lineside records backup /mnt/backups"
    )]
    Backup {
        /// The folder for backups
        dir: PathBuf,
    },
    /// Put a backup back into a data folder that has no records
    #[command(
        after_help = "Open approvals are void then: nobody knows what was spent since the backup was made.

Example:
  lineside records restore /mnt/backups/line-3-1042 --data lineside-data"
    )]
    Restore {
        /// The backup
        backup: PathBuf,
    },
    /// Tell what is not yet anchored outside or backed up
    #[command(after_help = "Exit codes: 0 everything is; 1 something is not yet.

Example:
  lineside records coverage")]
    Coverage,
    /// Names of people, apart from the journal, to be forgotten when they ask
    #[command(subcommand)]
    #[command(after_help = "Example:
  lineside records operators name op-17 'A. Person'
  lineside records operators forget op-17")]
    Operators(OperatorsCommand),
    /// Make the signed certificate of a unit
    Certificate(CertificateArgs),
    /// Check a certificate; needs no records
    CheckCertificate(CheckCertificateArgs),
}

/// What can be exported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Export {
    /// Devices as CSV: id, unit serial, state, run, when they were last seen
    Devices,
    /// Finished devices as CSV, as the vendor's bulk-claim tool reads it
    Claims,
    /// Runs as JSON lines
    Runs,
}

/// Arguments of `sim`.
#[derive(Debug, Args)]
#[command(
    after_help = "Prints `ready` when its boards can be leased, and runs until it is stopped. DIR then holds the
bench socket, the control socket and `ca.pem`, the certificate that clients must pin.

Examples:
  lineside sim --boards 8 --dir /tmp/bench
  lineside devices --bench at:/tmp/bench
  lineside sim ask --dir /tmp/bench --json"
)]
pub(crate) struct SimArgs {
    #[command(subcommand)]
    pub(crate) command: Option<SimCommand>,
    /// How many boards
    #[arg(long, value_name = "N", default_value_t = 8)]
    pub(crate) boards: usize,
    /// The folder for sockets and `ca.pem`
    #[arg(long, value_name = "DIR", required = true)]
    pub(crate) dir: Option<PathBuf>,
    /// The same seed gives the same devices and keys
    #[arg(long, value_name = "S", default_value_t = 1)]
    pub(crate) seed: u64,
    /// Which times are kept
    #[arg(long, value_name = "PACE", default_value = "fast")]
    pub(crate) pace: String,
    /// The state of the devices: Blank, Module1Complete or DeviceComplete
    #[arg(long, value_name = "STATE", default_value = "Module1Complete")]
    pub(crate) state: ManufacturingState,
    /// The OS of the devices
    #[arg(long, value_name = "VERSION", default_value = "24.06")]
    pub(crate) os_profile: String,
    /// appDevelopment in force and the debugger installed, nothing else
    #[arg(long)]
    pub(crate) development: bool,
    /// A script of faults (JSON)
    #[arg(long, value_name = "FILE")]
    pub(crate) faults: Option<PathBuf>,
    /// Let bytes from the boards take the time that USB and the interface chip take, with this latency timer: 16 after
    /// plugging in, 1 at the least. Without it nothing lies between
    #[arg(long, value_name = "MS", value_parser = clap::value_parser!(u8).range(1..))]
    pub(crate) usb_latency: Option<u8>,
    /// Also offer the boards' USB on a loopback port, for a stand-in of FTDI's driver
    #[arg(long, hide = true)]
    pub(crate) ftdi: bool,
}

/// Subcommands of `sim`.
#[derive(Debug, Subcommand)]
pub(crate) enum SimCommand {
    /// Print the OS list that fits simulated devices, in the form of mt3620an.json
    #[command(after_help = "Example:\n  lineside sim os-list > simulated-os.json")]
    OsList,
    /// Make a recovery set that simulated devices take, with the OS list beside it
    #[command(
        after_help = "The devices of a bench take sets of the same seed.\n\nExamples:\n  lineside sim make-image-set --os 24.06 --out sets/24.06\n  lineside sim make-image-set --os 22.09 --size small --seed 7 --out small"
    )]
    MakeImageSet {
        /// The OS that it holds
        #[arg(long, value_name = "VERSION", default_value = "24.06")]
        os: String,
        /// `real`: as large as a real one; `small`: for quick tests
        #[arg(long, value_name = "SIZE", default_value = "real")]
        size: String,
        /// The seed of the bench that takes it
        #[arg(long, value_name = "S", default_value_t = 1)]
        seed: u64,
        /// The folder to write to; it must be new or empty
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
    },
    /// Write the key that signs software for simulated devices, for `image pack`
    #[command(after_help = "Example:\n  lineside sim make-key --out key.pem")]
    MakeKey {
        /// The seed of the bench
        #[arg(long, value_name = "S", default_value_t = 1)]
        seed: u64,
        /// The file to write; never one that is there already
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Write a capability file for one simulated device
    #[command(
        after_help = "Example:\n  lineside sim make-capability 5c01…b81c --allow appDevelopment --out development.cap"
    )]
    MakeCapability {
        /// The device's id, whole
        device: lineside_terms::DeviceId,
        /// appDevelopment or fieldServicing; may be repeated
        #[arg(long, value_name = "WORD", required = true, value_parser = ["appDevelopment", "fieldServicing"])]
        allow: Vec<String>,
        /// The seed of the bench
        #[arg(long, value_name = "S", default_value_t = 1)]
        seed: u64,
        /// The file to write; never one that is there already
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Ask a running simulated bench for the true state of its boards and what was asked of them
    #[command(after_help = "Example:\n  lineside sim ask --dir /tmp/bench --board 0 --json")]
    Ask {
        /// The folder of the bench
        #[arg(long, value_name = "DIR")]
        dir: PathBuf,
        /// Only this board, counted from 0
        #[arg(long, value_name = "K")]
        board: Option<usize>,
    },
}
