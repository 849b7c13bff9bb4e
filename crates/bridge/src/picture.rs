//! What a bridge looks like now: plain data for screens, lists and programs.

use std::net::SocketAddr;

use lineside_link::Address;
use lineside_terms::{DeviceId, Epoch, SlotPath, Told};

/// Every board, in order of its slot.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Picture {
    /// The boards.
    pub boards: Vec<BoardPicture>,
}

/// One board.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BoardPicture {
    /// The socket it sits in.
    pub slot: SlotPath,
    /// Serial number of the interface board, if it has one.
    pub board_serial: Option<String>,
    /// The address that stands for it: that of its slot, or .2 when it is the only one. `None` when none is left.
    pub address: Option<Address>,
    /// How it stands.
    pub standing: Standing,
    /// Why its doors could not be opened.
    pub trouble: Option<Told>,
    /// The device that answered on a verified connection in [`epoch`](Self::epoch). Never one from before a link loss or
    /// before somebody else had the board.
    pub device: Option<DeviceId>,
    /// Counts how often the board was attached, given back, or lost its link while the bridge ran.
    pub epoch: Epoch,
    /// Where programs reach which port of the device.
    pub doors: Vec<Door>,
    /// Connections that are carried now.
    pub connections: usize,
    /// Bytes carried to the device since it was attached.
    pub to_device: u64,
    /// Bytes carried from the device since it was attached.
    pub from_device: u64,
}

/// How a board stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// Its device is being asked who it is.
    Identifying,
    /// Its device has said who it is; programs reach it.
    Ready,
    /// Its device does not answer, or not as it should. Programs may try.
    Silent(Told),
    /// Somebody has leased it: no other program reaches it until then.
    Leased {
        /// Who, for people.
        by: String,
    },
    /// It cannot be opened.
    Unreachable(Told),
}

/// One place where programs come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Door {
    /// Connections or datagrams.
    pub carries: Carries,
    /// The port of the device that it leads to.
    pub port: u16,
    /// Address and port on this PC.
    pub at: SocketAddr,
}

/// What goes through a door.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carries {
    /// Connections.
    Tcp,
    /// Datagrams.
    Udp,
}

impl Carries {
    /// Its usual name.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        }
    }
}

impl Standing {
    /// As a word, with who has leased the board and what is wrong.
    pub fn told(&self) -> (&'static str, Option<&str>, Option<&Told>) {
        match self {
            Self::Identifying => ("identifying", None, None),
            Self::Ready => ("ready", None, None),
            Self::Silent(error) => ("silent", None, Some(error)),
            Self::Leased { by } => ("leased", Some(by), None),
            Self::Unreachable(error) => ("unreachable", None, Some(error)),
        }
    }

    /// True when nothing is waited for any more: the first answer about this board is known.
    pub const fn is_decided(&self) -> bool {
        !matches!(self, Self::Identifying)
    }
}
