//! The messages of a recovery (`chip-to-pc-and-recovery.md` 5.5): a type, a length, a payload; numbers little-endian.

use lineside_terms::DeviceId;

use super::ErrorCode;
use super::assume::{
    ABORT_SIZE, BUSY_SIZE, COMPLETE_SIZE, ERROR_SIZE, NOT_FOUND, PROGRESS_SIZE, UNAUTHORIZED, log_text,
};

/// Type and payload length.
const HEAD: usize = 4;

/// A device id as text, and the zero behind it.
const ID_TEXT: usize = 128;

/// What a device asks or tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FromDevice {
    /// It is there; everything begins with this, and it is repeated until it is answered.
    Initialization {
        /// The version of the protocol that it speaks.
        version: u32,
        /// Who it is.
        device: DeviceId,
    },
    /// It asks whether somebody is there.
    StatusRequest,
    /// It asks whether to go on at 3 Mbaud.
    BaudrateSwitchQuery,
    /// It asks for a capability file.
    ImageRequestCapability {
        /// The first byte that it wants.
        start: u32,
        /// How many bytes at most; all ones for all.
        most: u32,
    },
    /// It asks for the manifest without naming it; never seen.
    ImageRequestManifest {
        /// The first byte that it wants.
        start: u32,
        /// How many bytes at most.
        most: u32,
    },
    /// It asks for the recovery application without naming it; never seen.
    ImageRequestRecoveryApp {
        /// The first byte that it wants.
        start: u32,
        /// How many bytes at most.
        most: u32,
    },
    /// It asks for a file.
    ImageRequestByFilename {
        /// The first byte that it wants.
        start: u32,
        /// How many bytes at most; all ones for all.
        most: u32,
        /// The file's name. It comes from outside: nobody may take it for a path.
        name: String,
    },
    /// How far it has come.
    ProgressUpdate {
        /// Images that are still to come.
        images_left: u32,
        /// Images in all.
        images: u32,
        /// Bytes that are still to come.
        bytes_left: u32,
        /// Bytes in all.
        bytes: u32,
    },
    /// It asks whether to tell more.
    LogConfigQuery,
    /// A line for people.
    LogEntry(String),
    /// Something happened.
    RecoveryEvent(Event),
    /// It gives up.
    RecoveryError(ErrorCode),
    /// It is done.
    RecoveryComplete,
}

/// What happened on the device. Numbers that nobody named are kept, and are to be ignored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Event(pub u8);

impl Event {
    /// The bootloader is up.
    pub const BL_INITIALIZATION_COMPLETE: Self = Self(1);
    /// It has received the capability file.
    pub const BL_CAPABILITY_IMAGE_RECEIVED: Self = Self(2);
    /// It has put it in force.
    pub const BL_CAPABILITY_IMAGE_LOADED: Self = Self(3);
    /// The recovery application is up.
    pub const RA_BOOT_COMPLETE: Self = Self(6);
    /// Flash is being erased: from now on the device has no software.
    pub const RA_ERASE_FLASH_STARTED: Self = Self(7);
    /// Flash is empty.
    pub const RA_ERASE_FLASH_COMPLETE: Self = Self(8);
    /// The manifest is there.
    pub const RA_MANIFEST_RECEIVED: Self = Self(9);
    /// The manifest was understood.
    pub const RA_MANIFEST_PROCESSED: Self = Self(10);
    /// Everything is written.
    pub const RA_RECOVERY_COMPLETE: Self = Self(11);
}

/// What the PC answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FromHost {
    /// The device was recognised: it may begin.
    InitializationAck,
    /// Somebody is there.
    ServerReady,
    /// Ask again later.
    StatusBusy,
    /// Yes or no.
    SimpleQueryAck(bool),
    /// A file follows by XMODEM.
    ImageRequestAck {
        /// The first byte that follows.
        start: u32,
        /// How many follow.
        length: u32,
        /// How many the file has in all.
        total: u32,
    },
    /// The file does not come.
    ImageRequestError(Refusal),
    /// The recovery is given up.
    AbortRecovery,
}

/// Why a file does not come. Other numbers than those of A-19 are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Refusal(pub u32);

impl Refusal {
    /// There is no such file.
    pub const NOT_FOUND: Self = Self(NOT_FOUND);
    /// The device has no business with it.
    pub const UNAUTHORIZED: Self = Self(UNAUTHORIZED);
}

/// Why bytes are no message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// They do not hold what their head promises.
    #[error("the message is cut short or has something behind it")]
    Length,
    /// Nobody described such a message.
    #[error("message type {0:#x} is not known")]
    Type(u16),
    /// The payload does not have the form that goes with the type.
    #[error("the payload of message type {0:#x} is not what it should be")]
    Payload(u16),
}

/// Type and payload of a message.
fn split(message: &[u8]) -> Result<(u16, &[u8]), MessageError> {
    let (head, payload) = message.split_first_chunk::<HEAD>().ok_or(MessageError::Length)?;
    let [a, b, c, d] = *head;
    if usize::from(u16::from_le_bytes([c, d])) != payload.len() {
        return Err(MessageError::Length);
    }
    Ok((u16::from_le_bytes([a, b]), payload))
}

fn join(kind: u16, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len()).expect("payloads are made here and are short");
    let mut message = Vec::with_capacity(HEAD + payload.len());
    message.extend(kind.to_le_bytes());
    message.extend(length.to_le_bytes());
    message.extend_from_slice(payload);
    message
}

fn numbers<const N: usize>(payload: &[u8]) -> Option<[u32; N]> {
    let (chunks, rest) = payload.as_chunks::<4>();
    let chunks: &[[u8; 4]; N] = chunks.try_into().ok()?;
    rest.is_empty().then(|| chunks.map(u32::from_le_bytes))
}

fn bytes_of(numbers: &[u32]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
}

/// Text with a zero behind it and nothing after that.
fn text(payload: &[u8]) -> Option<String> {
    let (zero, text) = payload.split_last()?;
    let text = std::str::from_utf8(text).ok()?;
    (*zero == 0 && !text.contains('\0')).then(|| text.to_owned())
}

impl FromDevice {
    /// Reads a message of a device.
    ///
    /// # Errors
    /// See [`MessageError`].
    pub fn parse(message: &[u8]) -> Result<Self, MessageError> {
        let (kind, payload) = split(message)?;
        Self::of(kind, payload).ok_or(match kind {
            1..=13 => MessageError::Payload(kind),
            _ => MessageError::Type(kind),
        })
    }

    fn of(kind: u16, payload: &[u8]) -> Option<Self> {
        let empty = |message: Self| payload.is_empty().then_some(message);
        let range = || numbers::<2>(payload);
        match kind {
            1 => {
                let (version, rest) = payload.split_first_chunk::<4>()?;
                let id = text(rest).filter(|id| id.len() == ID_TEXT)?;
                Some(Self::Initialization {
                    version: u32::from_le_bytes(*version),
                    device: id.parse().ok()?,
                })
            }
            2 => empty(Self::StatusRequest),
            3 => empty(Self::BaudrateSwitchQuery),
            4 => range().map(|[start, most]| Self::ImageRequestCapability { start, most }),
            5 => range().map(|[start, most]| Self::ImageRequestManifest { start, most }),
            6 => range().map(|[start, most]| Self::ImageRequestRecoveryApp { start, most }),
            7 => {
                let (range, name) = payload.split_first_chunk::<8>()?;
                let [start, most] = numbers(range)?;
                Some(Self::ImageRequestByFilename {
                    start,
                    most,
                    name: text(name)?,
                })
            }
            8 => {
                let payload: &[u8; PROGRESS_SIZE] = payload.try_into().ok()?;
                let [images_left, images, bytes_left, bytes] = numbers(payload)?;
                Some(Self::ProgressUpdate {
                    images_left,
                    images,
                    bytes_left,
                    bytes,
                })
            }
            9 => empty(Self::LogConfigQuery),
            10 => Some(Self::LogEntry(log_text(payload))),
            11 => match payload {
                [event] => Some(Self::RecoveryEvent(Event(*event))),
                _ => None,
            },
            12 => {
                let payload: &[u8; ERROR_SIZE] = payload.try_into().ok()?;
                Some(Self::RecoveryError(ErrorCode(u32::from_le_bytes(*payload))))
            }
            13 => (payload.len() == COMPLETE_SIZE).then_some(Self::RecoveryComplete),
            _ => None,
        }
    }

    /// The bytes of the message, to be framed.
    pub fn to_bytes(&self) -> Vec<u8> {
        match self {
            Self::Initialization { version, device } => {
                let mut payload = version.to_le_bytes().to_vec();
                payload.extend(device.to_string().into_bytes());
                payload.push(0);
                join(1, &payload)
            }
            Self::StatusRequest => join(2, &[]),
            Self::BaudrateSwitchQuery => join(3, &[]),
            Self::ImageRequestCapability { start, most } => join(4, &bytes_of(&[*start, *most])),
            Self::ImageRequestManifest { start, most } => join(5, &bytes_of(&[*start, *most])),
            Self::ImageRequestRecoveryApp { start, most } => join(6, &bytes_of(&[*start, *most])),
            Self::ImageRequestByFilename { start, most, name } => {
                let mut payload = bytes_of(&[*start, *most]);
                payload.extend(name.as_bytes());
                payload.push(0);
                join(7, &payload)
            }
            Self::ProgressUpdate {
                images_left,
                images,
                bytes_left,
                bytes,
            } => join(8, &bytes_of(&[*images_left, *images, *bytes_left, *bytes])),
            Self::LogConfigQuery => join(9, &[]),
            Self::LogEntry(line) => join(10, line.as_bytes()),
            Self::RecoveryEvent(event) => join(11, &[event.0]),
            Self::RecoveryError(code) => join(12, &bytes_of(&[code.0])),
            Self::RecoveryComplete => join(13, &[0; COMPLETE_SIZE]),
        }
    }
}

impl FromHost {
    /// Reads an answer of a PC.
    ///
    /// # Errors
    /// See [`MessageError`].
    pub fn parse(message: &[u8]) -> Result<Self, MessageError> {
        let (kind, payload) = split(message)?;
        let wrong = MessageError::Payload(kind);
        let sized = |size: usize, message: Self| (payload.len() == size).then_some(message).ok_or(wrong);
        match kind {
            0xA0 => sized(0, Self::InitializationAck),
            0xA1 => sized(0, Self::ServerReady),
            0xA2 => sized(BUSY_SIZE, Self::StatusBusy),
            0xA3 => match payload {
                [0] => Ok(Self::SimpleQueryAck(false)),
                [1] => Ok(Self::SimpleQueryAck(true)),
                _ => Err(wrong),
            },
            0xA4 => {
                let [start, length, total] = numbers(payload).ok_or(wrong)?;
                Ok(Self::ImageRequestAck { start, length, total })
            }
            0xA5 => {
                let [why] = numbers(payload).ok_or(wrong)?;
                Ok(Self::ImageRequestError(Refusal(why)))
            }
            0xA6 => sized(ABORT_SIZE, Self::AbortRecovery),
            _ => Err(MessageError::Type(kind)),
        }
    }

    /// The bytes of the message, to be framed.
    pub fn to_bytes(self) -> Vec<u8> {
        match self {
            Self::InitializationAck => join(0xA0, &[]),
            Self::ServerReady => join(0xA1, &[]),
            Self::StatusBusy => join(0xA2, &[0; BUSY_SIZE]),
            Self::SimpleQueryAck(answer) => join(0xA3, &[u8::from(answer)]),
            Self::ImageRequestAck { start, length, total } => join(0xA4, &bytes_of(&[start, length, total])),
            Self::ImageRequestError(why) => join(0xA5, &bytes_of(&[why.0])),
            Self::AbortRecovery => join(0xA6, &[0; ABORT_SIZE]),
        }
    }
}
