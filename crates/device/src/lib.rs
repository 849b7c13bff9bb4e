//! One device: the channel to it, named operations with documented effects, and the only code that sends something
//! irreversible.
//!
//! From the wire up, each layer without I/O until the last:
//!
//! * `stack`: SLIP, IPv4 and TCP. Every device has the same address on its own wire.
//! * `tls`: one pinned certificate.
//! * `http`: one request, one answer, limits.
//! * `channel`: the three joined: bytes, time and a request in; bytes, an answer and the next wake-up out. It is not
//!   public: whoever had it could send anything.
//! * [`Session`]: the small driver that owns wire, channel and clock.
//! * [`Verified`]: a connection whose device is known. Operations are its methods; when the connection ends they all
//!   fail, and nothing reconnects by itself. [`Verified::finalize`] is the only door to an irreversible request and takes
//!   a [`Permit`](lineside_interlock::Permit).
//! * [`Carrier`]: plain TCP for other programs over a wire that we do not use ourselves.
//! * [`boot`]: resetting a device and waiting until it answers.
//! * [`recovery`]: writing its OS anew; the only door to an erase takes an
//!   [`ErasePermit`](lineside_interlock::ErasePermit).

#![forbid(unsafe_code)]

mod assume;
pub mod boot;
mod carrier;
mod channel;
mod console;
mod entropy;
mod error;
#[doc(hidden)]
pub mod fuzzing;
mod http;
mod pump;
pub mod recovery;
mod session;
mod stack;
pub mod timeouts;
mod tls;
mod verified;

pub use carrier::{Call, CallState, Calls, Carrier, Place};
pub use channel::{Progress, ProgressCell};
pub use console::identify_by_console;
pub use entropy::Entropy;
pub use error::{DeviceError, DialogueFault, Lost};
pub use http::{HttpFault, MOST_HEAD};
pub use session::{Session, SessionConfig};
pub use stack::StackCounters;
pub use timeouts::Timeouts;
pub use tls::{AZURE_SPHERE_DEVICE_PEM, TlsFault, TrustAnchor, TrustAnchorError};
pub use verified::{Act, Dialogue, NotSent, Scope, Verified};
