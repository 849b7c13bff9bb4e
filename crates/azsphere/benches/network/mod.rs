//! A network of the benchmark's own, and a bridge in it.
#![allow(dead_code, reason = "each benchmark uses a part of this")]
#![allow(clippy::unwrap_used, reason = "a benchmark may panic")]

use std::process::Command;
use std::rc::Rc;
use std::time::Duration;

use lineside_bridge::{Bridge, Config, View, Ways};
use lineside_device::{SessionConfig, TrustAnchor};
use lineside_link::{Addresses, Bench, Clock};

/// Set in the process that has a network of its own.
const INSIDE: &str = "LINESIDE_BENCH_NETWORK";
/// 2026-11-22.
const WALL_MS: i64 = 1_795_305_600_000;

/// Starts this program anew in a network namespace of its own, in which each board can have its address, and ends with it.
/// Returns in that one; and here, with false, where no such network can be had.
pub(crate) fn in_own_network() -> bool {
    if std::env::var_os(INSIDE).is_some() {
        return true;
    }
    let status = Command::new("unshare")
        .args([
            "--map-root-user",
            "--net",
            "sh",
            "-c",
            "ip link set lo up && exec \"$0\" \"$@\"",
        ])
        .arg(std::env::current_exe().unwrap())
        .args(std::env::args_os().skip(1))
        .env(INSIDE, "yes")
        .status();
    match status {
        Ok(status) if status.success() => end(),
        _ => false,
    }
}

#[expect(clippy::exit, reason = "the other process has printed the figures")]
fn end() -> ! {
    std::process::exit(0)
}

/// A bridge over these boards: at addresses of their own, or at loopback ports.
pub(crate) fn bridge(bench: Rc<dyn Bench>, clock: Clock, ca_pem: &str, has_addresses: bool) -> Bridge {
    let anchor = TrustAnchor::from_pem(ca_pem).expect("it was just made");
    let ways = match has_addresses {
        true => Ways::Addresses,
        false => Ways::Loopback { base: None },
    };
    Bridge::new(Config {
        bench,
        clock,
        ways,
        ports: Vec::new(),
        datagram_ports: Vec::new(),
        session: Box::new(move || SessionConfig {
            anchor: anchor.clone(),
            ..SessionConfig::new(WALL_MS)
        }),
        addresses: Box::new(|boards| {
            let mut table = Addresses::default();
            for board in boards {
                let _ = table.attach(&board.slot);
            }
            table
        }),
    })
    .expect("a bridge can be had here")
}

/// Waits until so many devices have said who they are.
pub(crate) async fn all_known(view: &View, boards: usize) {
    let mut changes = view.changes();
    let known = || {
        let picture = view.picture();
        picture
            .boards
            .iter()
            .filter(|board| board.device.is_some())
            .count()
    };
    while known() < boards {
        changes.changed().await.expect("the bridge lives");
    }
}

/// Processor time of all child processes that have ended.
pub(crate) fn of_children() -> Duration {
    let text = std::fs::read_to_string("/proc/self/stat").expect("the kernel tells");
    let fields: Vec<&str> = text.rsplit(") ").next().unwrap_or_default().split(' ').collect();
    // cutime and cstime, in hundredths of a second (proc(5), fields 16 and 17; field 3 is the first here).
    let ticks: u64 = [13, 14]
        .iter()
        .filter_map(|at| fields.get(*at)?.parse::<u64>().ok())
        .sum();
    Duration::from_millis(ticks * 10)
}
