//! What the two ends of a lent bench can say to each other.

use lineside_terms::SlotPath;
use serde::{Deserialize, Serialize};

use super::super::fault::Fault;
use crate::{BenchEvent, BoardInfo, Line, LineSettings, Port};

/// The version of the protocol. Ends with different `major` do not understand each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Version {
    /// Changed when old programs would misunderstand.
    pub major: u16,
    /// Changed when something was added that may be skipped.
    pub minor: u16,
}

/// What this program speaks.
pub const VERSION: Version = Version { major: 1, minor: 0 };

/// Everything that goes over the connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message<'a> {
    /// Both ways, first of all and once.
    Hello(Version),

    /// Client: list the boards. Answered by any number of [`Self::Listed`] and one [`Self::ListEnd`], or by
    /// [`Self::Refused`].
    List {
        /// Names this call.
        call: u32,
    },
    /// Client: follow changes until [`Self::Unwatch`].
    Watch {
        /// Names this call.
        call: u32,
    },
    /// Client: no more changes, please.
    Unwatch {
        /// The call that began it.
        call: u32,
    },
    /// Client: lease a board. Answered by [`Self::Leased`] or [`Self::Refused`].
    Lease {
        /// Names this call, and from then on the board.
        board: u32,
        /// Which slot for whom.
        wish: Wish,
    },
    /// Client: the lease ends, or need not begin any more.
    Release {
        /// The board.
        board: u32,
    },
    /// Client: open a port.
    Open {
        /// Names the wire from then on.
        wire: u32,
        /// The board.
        board: u32,
        /// The port.
        port: Port,
    },
    /// Client: close a wire after what was sent has left.
    Close {
        /// The wire.
        wire: u32,
    },
    /// Client: drive a line.
    Line {
        /// The board.
        board: u32,
        /// The line.
        line: Line,
        /// Whether it is to be asserted.
        asserted: bool,
    },
    /// Client: change the settings of a wire.
    Configure {
        /// The wire.
        wire: u32,
        /// The settings.
        settings: LineSettings,
    },
    /// Client: set the packet boundary of a wire.
    Boundary {
        /// The wire.
        wire: u32,
        /// The byte, if any.
        byte: Option<u8>,
    },

    /// Both ways: bytes of a wire, at most as many as there is credit.
    Data {
        /// The wire.
        wire: u32,
        /// The bytes, at least one.
        bytes: &'a [u8],
    },
    /// Both ways: the receiver has room for that many more.
    Credit {
        /// The wire.
        wire: u32,
        /// Bytes.
        bytes: u32,
    },

    /// Server: one board of a list.
    Listed {
        /// The call.
        call: u32,
        /// The board.
        board: BoardInfo,
    },
    /// Server: the list is complete.
    ListEnd {
        /// The call.
        call: u32,
    },
    /// Server: a change.
    Event {
        /// The call.
        call: u32,
        /// What changed.
        event: BenchEvent,
    },
    /// Server: the bench is gone, no more changes.
    WatchEnd {
        /// The call.
        call: u32,
    },
    /// Server: the board is leased.
    Leased {
        /// The board.
        board: u32,
    },
    /// Server: a list or lease failed.
    Refused {
        /// The call.
        call: u32,
        /// Why.
        fault: Fault,
    },
    /// Server: something that was asked of a board earlier failed.
    BoardFault {
        /// The board.
        board: u32,
        /// Why.
        fault: Fault,
    },
    /// Server: nothing more will be received from this wire.
    ReadEnded {
        /// The wire.
        wire: u32,
        /// Why.
        fault: Fault,
    },
    /// Server: nothing more can be sent over this wire.
    WriteEnded {
        /// The wire.
        wire: u32,
        /// Why.
        fault: Fault,
    },
    /// Server: how a wire is.
    Health {
        /// The wire.
        wire: u32,
        /// Bytes lost so far.
        overruns: u64,
    },

    /// Both ways: the last words before the connection is closed for a reason.
    Bye {
        /// The reason.
        reason: String,
    },
    /// Something that a newer program sends and that may be skipped.
    Skipped,
}

/// Who wants which board.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wish {
    /// The slot.
    pub slot: SlotPath,
    /// Short text for people.
    pub holder: String,
}
