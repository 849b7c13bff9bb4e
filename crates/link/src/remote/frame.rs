//! The frames of the bench protocol: how messages become bytes. Pure.
//!
//! A frame is `kind u8 | id u32 | length u16 | body`, numbers little-endian. `id` names a call, a board or a wire:
//! the caller (the client) makes them up, counting upwards. What is frequent (data, credit) has a binary body; what
//! is rare has JSON, so that fields can be added. Kinds from [`OPTIONAL`] on may be skipped by those who do not know
//! them; any other unknown kind is an error.
//!
//! Bodies never exceed [`MAX_BODY`], so neither end can make the other one keep more than that before it is judged.

mod message;

use std::fmt;

use bytes::{BufMut, BytesMut};
use serde::{Serialize, de::DeserializeOwned};

use crate::{Line, LineSettings, Port};

pub use message::{Message, VERSION, Version, Wish};

/// The longest body.
pub const MAX_BODY: usize = 16 * 1024;
/// The longest text that a person reads (holder, reason, program), in bytes.
pub const MAX_TEXT: usize = 200;
/// Bytes before the body.
pub const HEADER: usize = 7;
/// Kinds from here on may be skipped.
pub const OPTIONAL: u8 = 0x80;

/// A hello begins with this.
const MAGIC: [u8; 4] = *b"LNSB";

/// Bytes that are no message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Malformed(pub &'static str);

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

mod kind {
    pub(super) const HELLO: u8 = 0x01;
    pub(super) const LIST: u8 = 0x10;
    pub(super) const WATCH: u8 = 0x11;
    pub(super) const UNWATCH: u8 = 0x12;
    pub(super) const LEASE: u8 = 0x13;
    pub(super) const RELEASE: u8 = 0x14;
    pub(super) const OPEN: u8 = 0x15;
    pub(super) const CLOSE: u8 = 0x16;
    pub(super) const LINE: u8 = 0x17;
    pub(super) const CONFIGURE: u8 = 0x18;
    pub(super) const BOUNDARY: u8 = 0x19;
    pub(super) const DATA: u8 = 0x20;
    pub(super) const CREDIT: u8 = 0x21;
    pub(super) const LISTED: u8 = 0x30;
    pub(super) const LIST_END: u8 = 0x31;
    pub(super) const EVENT: u8 = 0x32;
    pub(super) const WATCH_END: u8 = 0x33;
    pub(super) const LEASED: u8 = 0x34;
    pub(super) const REFUSED: u8 = 0x35;
    pub(super) const BOARD_FAULT: u8 = 0x36;
    pub(super) const READ_ENDED: u8 = 0x37;
    pub(super) const WRITE_ENDED: u8 = 0x38;
    pub(super) const HEALTH: u8 = 0x39;
    pub(super) const BYE: u8 = 0x3f;
}

/// A message as bytes.
pub fn encoded(message: &Message<'_>) -> Vec<u8> {
    let mut bytes = BytesMut::new();
    encode(message, &mut bytes);
    bytes.to_vec()
}

/// Appends a message. Texts are shortened and data is cut to what fits: callers keep within the bounds, so that
/// nothing is ever lost by this.
pub(super) fn encode(message: &Message<'_>, into: &mut BytesMut) {
    let start = into.len();
    into.put_bytes(0, HEADER);
    let (kind, id) = put_body(message, into);
    into.truncate((start + HEADER + MAX_BODY).min(into.len()));
    let length = into.len() - start - HEADER;
    let header = &mut into[start..start + HEADER];
    header[0] = kind;
    header[1..5].copy_from_slice(&id.to_le_bytes());
    header[5..7].copy_from_slice(&u16::try_from(length).expect("was cut to MAX_BODY").to_le_bytes());
}

fn put_body(message: &Message<'_>, into: &mut BytesMut) -> (u8, u32) {
    match message {
        Message::Hello(version) => {
            into.put_slice(&MAGIC);
            into.put_u16_le(version.major);
            into.put_u16_le(version.minor);
            (kind::HELLO, 0)
        }
        Message::List { call } => (kind::LIST, *call),
        Message::Watch { call } => (kind::WATCH, *call),
        Message::Unwatch { call } => (kind::UNWATCH, *call),
        Message::Lease { board, wish } => {
            let holder = shortened(&wish.holder).to_owned();
            put_json(
                &Wish {
                    slot: wish.slot.clone(),
                    holder,
                },
                into,
            );
            (kind::LEASE, *board)
        }
        Message::Release { board } => (kind::RELEASE, *board),
        Message::Open { wire, board, port } => {
            into.put_u32_le(*board);
            into.put_u8(match port {
                Port::Service => 0,
                Port::Recovery => 1,
                Port::Debug => 2,
            });
            (kind::OPEN, *wire)
        }
        Message::Close { wire } => (kind::CLOSE, *wire),
        Message::Line {
            board,
            line,
            asserted,
        } => {
            into.put_u8(match line {
                Line::Reset => 0,
                Line::RecoveryStrap => 1,
            });
            into.put_u8(u8::from(*asserted));
            (kind::LINE, *board)
        }
        Message::Configure { wire, settings } => {
            into.put_u32_le(settings.baud);
            into.put_u8(u8::from(settings.rts_cts));
            (kind::CONFIGURE, *wire)
        }
        Message::Boundary { wire, byte } => {
            into.put_slice(byte.as_slice());
            (kind::BOUNDARY, *wire)
        }
        Message::Data { wire, bytes } => {
            into.put_slice(bytes);
            (kind::DATA, *wire)
        }
        Message::Credit { wire, bytes } => {
            into.put_u32_le(*bytes);
            (kind::CREDIT, *wire)
        }
        Message::Listed { call, board } => {
            put_json(board, into);
            (kind::LISTED, *call)
        }
        Message::ListEnd { call } => (kind::LIST_END, *call),
        Message::Event { call, event } => {
            put_json(event, into);
            (kind::EVENT, *call)
        }
        Message::WatchEnd { call } => (kind::WATCH_END, *call),
        Message::Leased { board } => (kind::LEASED, *board),
        Message::Refused { call, fault } => {
            put_json(fault, into);
            (kind::REFUSED, *call)
        }
        Message::BoardFault { board, fault } => {
            put_json(fault, into);
            (kind::BOARD_FAULT, *board)
        }
        Message::ReadEnded { wire, fault } => {
            put_json(fault, into);
            (kind::READ_ENDED, *wire)
        }
        Message::WriteEnded { wire, fault } => {
            put_json(fault, into);
            (kind::WRITE_ENDED, *wire)
        }
        Message::Health { wire, overruns } => {
            into.put_u64_le(*overruns);
            (kind::HEALTH, *wire)
        }
        Message::Bye { reason } => {
            into.put_slice(shortened(reason).as_bytes());
            (kind::BYE, 0)
        }
        Message::Skipped => (OPTIONAL, 0),
    }
}

/// Takes the first message of `bytes` and tells how many bytes it was; `None` when it is not complete yet.
///
/// # Errors
/// When the bytes cannot become a message, whatever follows.
pub fn decode(bytes: &[u8]) -> Result<Option<(Message<'_>, usize)>, Malformed> {
    let Some((header, rest)) = bytes.split_first_chunk::<HEADER>() else {
        return Ok(None);
    };
    let [kind, i0, i1, i2, i3, l0, l1] = *header;
    let id = u32::from_le_bytes([i0, i1, i2, i3]);
    let length = usize::from(u16::from_le_bytes([l0, l1]));
    if length > MAX_BODY {
        return Err(Malformed("a frame is too long"));
    }
    let Some(body) = rest.get(..length) else {
        return Ok(None);
    };
    Ok(Some((message(kind, id, body)?, HEADER + length)))
}

/// True for the kinds of message that a connection may begin with.
pub(super) fn may_come_first(kind: u8) -> bool {
    matches!(kind, kind::HELLO | kind::BYE)
}

fn message(kind: u8, id: u32, body: &[u8]) -> Result<Message<'_>, Malformed> {
    let message = match kind {
        kind::HELLO => {
            // A newer program may add to its hello.
            let Some(&[m0, m1, m2, m3, a, b, c, d]) = body.first_chunk::<8>() else {
                return Err(Malformed("the hello is too short"));
            };
            if [m0, m1, m2, m3] != MAGIC {
                return Err(Malformed("that is no hello"));
            }
            let version = Version {
                major: u16::from_le_bytes([a, b]),
                minor: u16::from_le_bytes([c, d]),
            };
            return Ok(Message::Hello(version));
        }
        kind::LIST => Message::List {
            call: empty(id, body)?,
        },
        kind::WATCH => Message::Watch {
            call: empty(id, body)?,
        },
        kind::UNWATCH => Message::Unwatch {
            call: empty(id, body)?,
        },
        kind::LEASE => {
            let wish: Wish = json(body)?;
            if wish.holder.len() > MAX_TEXT {
                return Err(Malformed("the name of a holder is too long"));
            }
            Message::Lease { board: id, wish }
        }
        kind::RELEASE => Message::Release {
            board: empty(id, body)?,
        },
        kind::OPEN => {
            let [b0, b1, b2, b3, port] = exactly(body)?;
            let port = match port {
                0 => Port::Service,
                1 => Port::Recovery,
                2 => Port::Debug,
                _ => return Err(Malformed("an unknown port")),
            };
            Message::Open {
                wire: id,
                board: u32::from_le_bytes([b0, b1, b2, b3]),
                port,
            }
        }
        kind::CLOSE => Message::Close {
            wire: empty(id, body)?,
        },
        kind::LINE => {
            let [line, asserted] = exactly(body)?;
            let line = match line {
                0 => Line::Reset,
                1 => Line::RecoveryStrap,
                _ => return Err(Malformed("an unknown line")),
            };
            Message::Line {
                board: id,
                line,
                asserted: truth(asserted)?,
            }
        }
        kind::CONFIGURE => {
            let [b0, b1, b2, b3, rts_cts] = exactly(body)?;
            let settings = LineSettings {
                baud: u32::from_le_bytes([b0, b1, b2, b3]),
                rts_cts: truth(rts_cts)?,
            };
            Message::Configure { wire: id, settings }
        }
        kind::BOUNDARY => match body {
            [] => Message::Boundary { wire: id, byte: None },
            [byte] => Message::Boundary {
                wire: id,
                byte: Some(*byte),
            },
            _ => return Err(Malformed("a packet boundary is one byte")),
        },
        kind::DATA if body.is_empty() => return Err(Malformed("data without bytes")),
        kind::DATA => Message::Data {
            wire: id,
            bytes: body,
        },
        kind::CREDIT => Message::Credit {
            wire: id,
            bytes: u32::from_le_bytes(exactly(body)?),
        },
        kind::LISTED => Message::Listed {
            call: id,
            board: json(body)?,
        },
        kind::LIST_END => Message::ListEnd {
            call: empty(id, body)?,
        },
        kind::EVENT => Message::Event {
            call: id,
            event: json(body)?,
        },
        kind::WATCH_END => Message::WatchEnd {
            call: empty(id, body)?,
        },
        kind::LEASED => Message::Leased {
            board: empty(id, body)?,
        },
        kind::REFUSED => Message::Refused {
            call: id,
            fault: json(body)?,
        },
        kind::BOARD_FAULT => Message::BoardFault {
            board: id,
            fault: json(body)?,
        },
        kind::READ_ENDED => Message::ReadEnded {
            wire: id,
            fault: json(body)?,
        },
        kind::WRITE_ENDED => Message::WriteEnded {
            wire: id,
            fault: json(body)?,
        },
        kind::HEALTH => Message::Health {
            wire: id,
            overruns: u64::from_le_bytes(exactly(body)?),
        },
        kind::BYE => {
            let text = std::str::from_utf8(body).map_err(|_| Malformed("a farewell that is no text"))?;
            Message::Bye {
                reason: shortened(text).to_owned(),
            }
        }
        OPTIONAL.. => Message::Skipped,
        _ => return Err(Malformed("an unknown kind of message")),
    };
    Ok(message)
}

fn empty(id: u32, body: &[u8]) -> Result<u32, Malformed> {
    if body.is_empty() {
        Ok(id)
    } else {
        Err(Malformed("a body where none belongs"))
    }
}

fn exactly<const N: usize>(body: &[u8]) -> Result<[u8; N], Malformed> {
    body.try_into()
        .map_err(|_| Malformed("a body of the wrong length"))
}

fn truth(byte: u8) -> Result<bool, Malformed> {
    match byte {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(Malformed("neither true nor false")),
    }
}

fn json<T: DeserializeOwned>(body: &[u8]) -> Result<T, Malformed> {
    serde_json::from_slice(body).map_err(|_| Malformed("a body that cannot be understood"))
}

fn put_json<T: Serialize>(value: &T, into: &mut BytesMut) {
    serde_json::to_writer(into.writer(), value).expect("these types serialise and memory takes all");
}

/// The text, cut to what a frame may carry.
pub(super) fn shortened(text: &str) -> &str {
    &text[..text.floor_char_boundary(MAX_TEXT)]
}

#[cfg(test)]
mod tests;
