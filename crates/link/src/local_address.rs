//! Addresses of devices as local addresses of this PC, so that other programs reach 192.168.35.N.
//!
//! The system's own tools do it (`ip` on Linux, `netsh` on Windows): they are there, they say what they refuse, and no
//! driver is needed. On Linux an address stands on the loopback interface under a label of ours, by which one that a
//! killed process left behind is known.

use std::net::Ipv4Addr;
use std::process::Command;

use lineside_terms::{Blame, Explain};

use crate::Address;

/// The network of all devices (`chip-to-pc-and-recovery.md` 2.2).
const NETWORK: &str = "192.168.35.0/24";

/// Why an address of a device cannot be one of this PC.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// The right is missing.
    #[error("this user may not give the PC the address {address}")]
    Right {
        /// Which.
        address: String,
    },
    /// Something else on this PC has the network of the devices.
    #[error("the network {NETWORK} is in use on this PC: {by}")]
    Foreign {
        /// What the system says of it.
        by: String,
    },
    /// The tool is missing or refuses.
    #[error("`{tool}` failed: {reason}")]
    Tool {
        /// Which tool.
        tool: &'static str,
        /// What it said.
        reason: String,
    },
    /// There is no way to do it on this system.
    #[error("this program gives no addresses to this system")]
    Unknown,
}

impl Explain for AddressError {
    fn code(&self) -> &'static str {
        match self {
            Self::Right { .. } => "link.address-right",
            Self::Foreign { .. } => "link.address-foreign",
            Self::Tool { .. } => "link.address-tool",
            Self::Unknown => "link.address-unknown",
        }
    }

    fn help(&self) -> String {
        match self {
            Self::Right { .. } => {
                "Run the bridge as its system service or as an administrator, or without --addresses."
            }
            Self::Foreign { .. } => {
                "End the vendor's service or the VPN that has it, or run the bridge without --addresses."
            }
            Self::Tool { .. } => "Mend that, or run the bridge without --addresses.",
            Self::Unknown => "Run the bridge without --addresses.",
        }
        .to_owned()
    }

    fn blame(&self) -> Blame {
        Blame::Station
    }
}

/// An address that is this PC's until this value is dropped.
#[derive(Debug)]
pub struct HeldAddress(Address);

impl HeldAddress {
    /// Makes the address one of this PC. One that an earlier process left behind is taken over.
    ///
    /// # Errors
    /// When the right is missing or the system refuses.
    pub fn take(address: Address) -> Result<Self, AddressError> {
        system::add(address)?;
        Ok(Self(address))
    }
}

impl Drop for HeldAddress {
    fn drop(&mut self) {
        if let Err(error) = system::remove(self.0) {
            tracing::warn!(%error, "an address stays behind");
        }
    }
}

/// Looks whether the network of the devices is free on this PC: no route leads there, and no interface has an address in
/// it but our own. What an earlier process of ours left behind is removed.
///
/// # Errors
/// [`AddressError::Foreign`], or when the system's tool fails.
pub fn claim_network() -> Result<(), AddressError> {
    system::claim()
}

impl Address {
    /// As an IP address.
    pub const fn ip(self) -> Ipv4Addr {
        Ipv4Addr::new(192, 168, 35, self.last_number())
    }
}

/// Runs a tool and gives what it wrote, or what it complained of.
#[cfg(any(target_os = "linux", windows))]
fn run(tool: &'static str, words: &[&str]) -> Result<Result<String, String>, AddressError> {
    let done = Command::new(tool)
        .args(words)
        .env("LC_ALL", "C")
        .stdin(std::process::Stdio::null())
        .output()
        .map_err(|error| AddressError::Tool {
            tool,
            reason: error.to_string(),
        })?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    Ok(match done.status.success() {
        true => Ok(text(&done.stdout)),
        false => Err([text(&done.stderr), text(&done.stdout)]
            .join(" ")
            .trim()
            .to_owned()),
    })
}

#[cfg(target_os = "linux")]
mod system {
    use super::{Address, AddressError, NETWORK, run};

    const TOOL: &str = "ip";
    /// At most 15 characters, and it must begin with the name of its interface.
    const LABEL: &str = "lo:lineside";

    pub(super) fn add(address: Address) -> Result<(), AddressError> {
        let at = format!("{address}/32");
        match run(TOOL, &["-4", "address", "add", &at, "dev", "lo", "label", LABEL])? {
            Ok(_) => Ok(()),
            Err(reason) if reason.contains("File exists") || reason.contains("already assigned") => Ok(()),
            Err(reason) if reason.contains("not permitted") => Err(AddressError::Right {
                address: address.to_string(),
            }),
            Err(reason) => Err(AddressError::Tool { tool: TOOL, reason }),
        }
    }

    pub(super) fn remove(address: Address) -> Result<(), AddressError> {
        let at = format!("{address}/32");
        let removed = run(
            TOOL,
            &["-4", "address", "delete", &at, "dev", "lo", "label", LABEL],
        )?;
        removed
            .map(drop)
            .map_err(|reason| AddressError::Tool { tool: TOOL, reason })
    }

    pub(super) fn claim() -> Result<(), AddressError> {
        let ask =
            |words: &[&str]| run(TOOL, words)?.map_err(|reason| AddressError::Tool { tool: TOOL, reason });
        let addresses = ask(&["-4", "-o", "address", "show", "to", NETWORK])?;
        for line in addresses.lines() {
            match line
                .split(|c: char| c.is_whitespace() || c == '\\')
                .any(|word| word == LABEL)
            {
                false => return Err(foreign(line)),
                true => {
                    let number = line.split_whitespace().find_map(|word| word.split_once("/32"));
                    if let Some(Ok(address)) = number.map(|(address, _)| address.parse()) {
                        remove(address)?;
                    }
                }
            }
        }
        let routes = ask(&["-4", "route", "show", "table", "all", "to", "root", NETWORK])?;
        match routes.lines().next() {
            Some(line) => Err(foreign(line)),
            None => Ok(()),
        }
    }

    fn foreign(line: &str) -> AddressError {
        AddressError::Foreign {
            by: line.split_whitespace().collect::<Vec<_>>().join(" "),
        }
    }
}

/// Written after Windows's documents and not tried: no Windows with this network was at hand.
#[cfg(windows)]
mod system {
    use super::{Address, AddressError, run};

    const TOOL: &str = "netsh";
    /// The interface that every Windows has.
    const LOOPBACK: &str = "1";

    fn netsh(words: &[&str], address: Address) -> Result<(), AddressError> {
        match run(TOOL, words)? {
            Ok(_) => Ok(()),
            Err(reason) if reason.contains("already exists") => Ok(()),
            Err(reason) if reason.contains("elevation") || reason.contains("denied") => {
                Err(AddressError::Right {
                    address: address.to_string(),
                })
            }
            Err(reason) => Err(AddressError::Tool { tool: TOOL, reason }),
        }
    }

    pub(super) fn add(address: Address) -> Result<(), AddressError> {
        let at = address.to_string();
        let words = [
            "interface",
            "ipv4",
            "add",
            "address",
            LOOPBACK,
            &at,
            "255.255.255.255",
            "store=active",
        ];
        netsh(&words, address)
    }

    pub(super) fn remove(address: Address) -> Result<(), AddressError> {
        let at = address.to_string();
        netsh(
            &[
                "interface",
                "ipv4",
                "delete",
                "address",
                LOOPBACK,
                &at,
                "store=active",
            ],
            address,
        )
    }

    pub(super) fn claim() -> Result<(), AddressError> {
        let routes = run(TOOL, &["interface", "ipv4", "show", "route"])?
            .map_err(|reason| AddressError::Tool { tool: TOOL, reason })?;
        match routes.lines().find(|line| line.contains("192.168.35.0/24")) {
            Some(line) => Err(AddressError::Foreign {
                by: line.split_whitespace().collect::<Vec<_>>().join(" "),
            }),
            None => Ok(()),
        }
    }
}

#[cfg(not(any(target_os = "linux", windows)))]
mod system {
    use super::{Address, AddressError};

    pub(super) fn add(_: Address) -> Result<(), AddressError> {
        Err(AddressError::Unknown)
    }

    pub(super) fn remove(_: Address) -> Result<(), AddressError> {
        Err(AddressError::Unknown)
    }

    pub(super) fn claim() -> Result<(), AddressError> {
        Err(AddressError::Unknown)
    }
}
