//! HTTP/1.1 as these devices speak it (`device-rest-api.md` 1.3), without I/O: one request, then one answer.
//!
//! A body has a length that is told before it, or lasts until the device closes the connection in an orderly way.
//! Anything else, and anything longer than the operation allows, is refused.

use std::cmp::Ordering;
use std::fmt;

use bytes::Bytes;
use lineside_protocol::rest::http::{CAPABILITIES_HEADER, HOST, JSON, OCTETS, VERSION_HEADER};
use lineside_protocol::rest::{ApiVersion, Payload, Secret, Verb};

/// The longest head of an answer in bytes. Real ones are a few hundred.
pub const MOST_HEAD: usize = 8 * 1024;

/// The most header lines of an answer.
const MOST_HEADERS: usize = 32;

/// One request.
#[derive(Clone)]
pub(crate) struct Request {
    /// The method.
    pub verb: Verb,
    /// The path, escaped.
    pub path: String,
    /// What kind of body it has.
    pub payload: Payload,
    /// The body, empty for none.
    pub body: Bytes,
    /// A capability file in base64 for this request, if any.
    pub capability: Option<Secret>,
    /// The longest body in bytes that the answer may have.
    pub most_body: usize,
}

impl fmt::Debug for Request {
    /// Bodies may hold keys and pass-phrases: only their length is told.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Request({} {}, {} bytes)",
            self.verb,
            self.path,
            self.body.len()
        )
    }
}

impl Request {
    /// All that goes before the body.
    pub(crate) fn head(&self) -> Vec<u8> {
        let mut head = format!(
            "{} {} HTTP/1.1\r\nHost: {HOST}\r\nAccept: {JSON}\r\nConnection: keep-alive\r\n",
            self.verb, self.path
        );
        if let Some(capability) = &self.capability {
            head.push_str(&format!("{CAPABILITIES_HEADER}: {}\r\n", capability.reveal()));
        }
        let content_type = match self.payload {
            Payload::None => None,
            Payload::OptionalJson if self.body.is_empty() => None,
            Payload::Json | Payload::OptionalJson => Some(JSON),
            Payload::Octets => Some(OCTETS),
        };
        if let Some(content_type) = content_type {
            head.push_str(&format!("Content-Type: {content_type}\r\n"));
        }
        // Without a body no type, but a length unless the method never has a body.
        if self.verb != Verb::Get {
            head.push_str(&format!("Content-Length: {}\r\n", self.body.len()));
        }
        head.push_str("\r\n");
        head.into_bytes()
    }
}

/// One whole answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    /// The HTTP status, 200 to 599.
    pub status: u16,
    /// The interface version, if the answer told one that can be read.
    pub version: Option<ApiVersion>,
    /// The body.
    pub body: Vec<u8>,
    /// True when the device closes the connection after it.
    pub is_last: bool,
}

/// Why what came is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HttpFault {
    /// Not HTTP.
    #[error("it is not HTTP: {0}")]
    NotHttp(&'static str),
    /// The head is longer than [`MOST_HEAD`].
    #[error("its head is longer than {MOST_HEAD} bytes")]
    HeadTooLong,
    /// The body is longer than this operation ever answers.
    #[error("its body is longer than {most} bytes")]
    BodyTooLong {
        /// The most that was allowed.
        most: usize,
    },
    /// The body's length is told twice, unreadably, in pieces, or not at all.
    #[error("the length of its body is not told in a way that we read")]
    NoLength,
    /// The connection ended within the answer.
    #[error("the connection ended after {got} bytes of it")]
    Truncated {
        /// How many bytes of head or body had come.
        got: usize,
    },
    /// More came than was asked for.
    #[error("bytes came that nobody asked for")]
    Unasked,
}

enum Framing {
    Length(usize),
    UntilClosed,
}

struct Head {
    status: u16,
    version: Option<ApiVersion>,
    framing: Framing,
    is_last: bool,
}

/// Reads one answer as its bytes come.
pub(crate) struct AnswerReader {
    most_body: usize,
    /// The head while it is incomplete, then the body.
    bytes: Vec<u8>,
    head: Option<Head>,
}

impl fmt::Debug for AnswerReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AnswerReader")
            .field("has_head", &self.head.is_some())
            .field("bytes", &self.bytes.len())
            .finish_non_exhaustive()
    }
}

impl AnswerReader {
    /// For an answer with a body of at most `most_body` bytes. No method that these devices know has answers whose
    /// length tells something else (as `HEAD` has).
    pub(crate) const fn new(most_body: usize) -> Self {
        Self {
            most_body,
            bytes: Vec::new(),
            head: None,
        }
    }

    /// Takes the next bytes, not more than a few records at once; the answer, when they complete it.
    ///
    /// # Errors
    /// When what came is no answer. The connection is of no use any more then.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Result<Option<Answer>, HttpFault> {
        // The end of the head may lie across the seam.
        let searched = self.bytes.len().saturating_sub(3);
        self.bytes.extend_from_slice(bytes);
        if self.head.is_none() {
            let end = find_end_of_head(&self.bytes[searched..]).map(|end| searched + end);
            if end.unwrap_or(self.bytes.len()) > MOST_HEAD {
                return Err(HttpFault::HeadTooLong);
            }
            let Some(end) = end else { return Ok(None) };
            self.head = Some(read_head(&self.bytes[..end])?);
            self.bytes.drain(..end);
        }
        let most = self.most_body;
        let length = match self.head {
            Some(Head {
                framing: Framing::Length(length),
                ..
            }) => length,
            _ if self.bytes.len() > most => return Err(HttpFault::BodyTooLong { most }),
            _ => return Ok(None),
        };
        match self.bytes.len().cmp(&length) {
            // Told before anything is waited for.
            _ if length > most => Err(HttpFault::BodyTooLong { most }),
            Ordering::Less => Ok(None),
            Ordering::Equal => Ok(self.take()),
            Ordering::Greater => Err(HttpFault::Unasked),
        }
    }

    /// The connection ended; the answer, when that completes it.
    ///
    /// # Errors
    /// When it ended too early. `is_orderly` tells that the device said goodbye: only then a body without a length is
    /// known to be whole.
    pub(crate) fn end(&mut self, is_orderly: bool) -> Result<Answer, HttpFault> {
        let got = self.bytes.len();
        let is_whole = is_orderly
            && matches!(
                self.head,
                Some(Head {
                    framing: Framing::UntilClosed,
                    ..
                })
            );
        let answer = if is_whole { self.take() } else { None };
        answer.ok_or(HttpFault::Truncated { got })
    }

    fn take(&mut self) -> Option<Answer> {
        let head = self.head.take()?;
        let body = std::mem::take(&mut self.bytes);
        Some(Answer {
            status: head.status,
            version: head.version,
            body,
            is_last: head.is_last,
        })
    }
}

fn find_end_of_head(bytes: &[u8]) -> Option<usize> {
    bytes
        .windows(4)
        .position(|window| window == b"\r\n\r\n")
        .map(|at| at + 4)
}

fn read_head(bytes: &[u8]) -> Result<Head, HttpFault> {
    let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
    let mut response = httparse::Response::new(&mut headers);
    match response.parse(bytes) {
        Ok(httparse::Status::Complete(_)) => {}
        Ok(httparse::Status::Partial) => return Err(HttpFault::NotHttp("the head is cut")),
        Err(httparse::Error::TooManyHeaders) => return Err(HttpFault::NotHttp("there are too many headers")),
        Err(_) => return Err(HttpFault::NotHttp("the head cannot be read")),
    }
    let status = response.code.unwrap_or(0);
    if !(200..600).contains(&status) {
        return Err(HttpFault::NotHttp("the status is none of an answer"));
    }
    // HTTP/1.0 closes unless it says otherwise.
    let mut is_last = response.version == Some(0);
    let mut length = None;
    let mut version = None;
    for header in response.headers.iter() {
        let is = |name: &str| header.name.eq_ignore_ascii_case(name);
        let value = || {
            std::str::from_utf8(header.value)
                .map(str::trim)
                .unwrap_or_default()
        };
        if is("Content-Length") {
            let told = content_length(value()).ok_or(HttpFault::NoLength)?;
            if length.replace(told).is_some_and(|earlier| earlier != told) {
                return Err(HttpFault::NoLength);
            }
        } else if is("Transfer-Encoding") || is("Content-Encoding") {
            return Err(HttpFault::NoLength);
        } else if is("Connection") {
            is_last = value()
                .split(',')
                .any(|word| word.trim().eq_ignore_ascii_case("close"));
        } else if is(VERSION_HEADER) {
            version = value().parse().ok();
        }
    }
    let framing = match length {
        Some(length) => Framing::Length(length),
        None if status == 204 => Framing::Length(0),
        None if is_last => Framing::UntilClosed,
        None => return Err(HttpFault::NoLength),
    };
    Ok(Head {
        status,
        version,
        framing,
        is_last,
    })
}

fn content_length(text: &str) -> Option<usize> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if is_number { text.parse().ok() } else { None }
}
