//! The command line of `lineside recover`.

use std::path::PathBuf;

use clap::Args;
use lineside_link::Address;
use lineside_runner::image_sets::SetName;
use lineside_terms::SlotPath;

/// Arguments of `recover`.
#[derive(Debug, Args)]
#[command(
    after_help = "Everything on a device is erased: OS, software, Wi-Fi, certificates. The set is looked through
before, and a device is answered only when it is the one that was there before and nobody protects it.

Exit codes: 0 every board runs the new OS; 1 one does not; 3 the station is in trouble; 4 the set or
a capability file was refused, nothing was touched; 130 stopped. Ctrl-C leaves boards alone that are
not erased yet and finishes the others; a second one stops at once.

Examples:
  lineside recover --images mt3620an.zip --all
  lineside recover --images sets/24.06 --slot 1113 --trace board.trace
  lineside recover --images set:0123456789ab --slot 1113 --capability device.cap"
)]
pub(crate) struct RecoverArgs {
    /// The recovery set: a folder, a ZIP, or `set:HASH` once it was imported
    #[arg(long, value_name = "SET")]
    pub(crate) images: SetName,
    /// The board in this slot; may be repeated
    #[arg(long, value_name = "SLOT", conflicts_with = "all")]
    pub(crate) slot: Vec<SlotPath>,
    /// The board behind this address, 192.168.35.N; may be repeated
    #[arg(long, value_name = "IP", conflicts_with = "all")]
    pub(crate) ip: Vec<Address>,
    /// Every attached board
    #[arg(long)]
    pub(crate) all: bool,
    /// A device's capability file, which a complete device needs; may be repeated
    #[arg(long, value_name = "FILE")]
    pub(crate) capability: Vec<PathBuf>,
    /// Devices that are never written to [default: protected.txt in the data folder, if it is there]
    #[arg(long, value_name = "FILE", env = "LINESIDE_PROTECTED")]
    pub(crate) protected: Option<PathBuf>,
    /// Send images at 115200 baud: takes ten minutes, and works where 3 Mbaud does not
    #[arg(long)]
    pub(crate) low_speed: bool,
    /// Seconds to wait for a device to boot afterwards
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    pub(crate) boot_timeout: u64,
    /// Record what goes over the recovery UART of one board, without capability files
    #[arg(long, value_name = "FILE")]
    pub(crate) trace: Option<PathBuf>,
    /// Ask devices to tell more, for the trace
    #[arg(long, short)]
    pub(crate) verbose: bool,
    /// Pseudonymous id of the operator, for the record
    #[arg(long, env = "LINESIDE_OPERATOR", value_name = "ID")]
    pub(crate) operator: Option<String>,
}
