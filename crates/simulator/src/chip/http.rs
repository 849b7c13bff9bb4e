//! HTTP/1.1 as the device speaks it (`device-rest-api.md` 1.3): requests out of a stream of bytes, answers into one.

use lineside_protocol::rest::http::{CAPABILITIES_HEADER, JSON, OCTETS, VERSION_HEADER};
use lineside_protocol::rest::{ApiVersion, ErrorCode};

/// Longest request line with headers, in bytes. A capability file takes 524 of them.
const HEAD_LIMIT: usize = 8 * 1024;

/// Most headers of a request.
const HEADER_COUNT: usize = 48;

/// A request, complete with its body.
#[derive(Clone, PartialEq, Eq)]
pub struct Request {
    /// The method as it stands in the request.
    pub method: String,
    /// The path as it stands in the request.
    pub target: String,
    /// `Content-Type` without parameters, in lower case.
    pub content_type: Option<String>,
    /// The capability file of this request, in base64 as it came.
    pub capabilities: Option<String>,
    /// True when the client wants no further request on this connection.
    pub is_last: bool,
    /// The body.
    pub body: Vec<u8>,
}

impl std::fmt::Debug for Request {
    /// Without body and capability file: they may hold secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} {} ({} bytes)",
            self.method,
            self.target.escape_debug(),
            self.body.len()
        )
    }
}

impl Request {
    /// A request without a body, for calls past the wire.
    pub fn new(method: &str, target: &str) -> Self {
        Self {
            method: method.to_owned(),
            target: target.to_owned(),
            content_type: None,
            capabilities: None,
            is_last: false,
            body: Vec::new(),
        }
    }

    /// The same request with this JSON.
    #[must_use]
    pub fn with_json(mut self, body: &str) -> Self {
        self.content_type = Some(JSON.to_owned());
        self.body = body.as_bytes().to_vec();
        self
    }

    /// The same request with these bytes.
    #[must_use]
    pub fn with_octets(mut self, body: Vec<u8>) -> Self {
        self.content_type = Some(OCTETS.to_owned());
        self.body = body;
        self
    }
}

/// What kind of body an answer has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyKind {
    /// JSON text.
    Json,
    /// Raw bytes.
    Octets,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// The HTTP status.
    pub status: u16,
    /// What the body is.
    pub kind: BodyKind,
    /// The body.
    pub body: Vec<u8>,
}

impl Response {
    /// 200 with JSON text.
    pub fn ok(json: impl Into<Vec<u8>>) -> Self {
        Self {
            status: 200,
            kind: BodyKind::Json,
            body: json.into(),
        }
    }

    /// 200 with `{}`: success without a word.
    pub fn empty() -> Self {
        Self::ok("{}")
    }

    /// A refusal with its number.
    pub fn error(status: u16, code: ErrorCode) -> Self {
        Self {
            status,
            kind: BodyKind::Json,
            body: format!("{{\"error\":{}}}", code.0.cast_signed()).into_bytes(),
        }
    }

    /// True for a status that the vendor's clients take for success.
    pub const fn is_success(&self) -> bool {
        matches!(self.status, 200 | 201)
    }

    /// As it goes over the wire. `claimed_length` differs from the body only for faults.
    pub(crate) fn encode(&self, version: ApiVersion, is_last: bool, claimed_length: usize) -> Vec<u8> {
        let kind = match self.kind {
            BodyKind::Json => JSON,
            BodyKind::Octets => OCTETS,
        };
        let connection = if is_last { "close" } else { "keep-alive" };
        let mut bytes = format!(
            "HTTP/1.1 {} {}\r\nContent-Type: {kind}\r\nContent-Length: {claimed_length}\r\n{VERSION_HEADER}: {version}\r\n\
             Connection: {connection}\r\n\r\n",
            self.status,
            reason(self.status),
        )
        .into_bytes();
        bytes.extend_from_slice(&self.body);
        bytes
    }
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        201 => "Created",
        400 => "Bad Request",
        403 => "Forbidden",
        404 => "Not Found",
        409 => "Conflict",
        415 => "Unsupported Media Type",
        _ => "Internal Server Error",
    }
}

/// A request that cannot be read. The connection is of no more use after the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unreadable(pub(crate) ErrorCode);

#[derive(Debug)]
struct Head {
    request: Request,
    length: usize,
}

/// Reads requests out of a stream of bytes, one after the other.
#[derive(Debug)]
pub(crate) struct Reader {
    bytes: Vec<u8>,
    head: Option<Head>,
    body_limit: usize,
}

impl Reader {
    /// A reader that takes bodies of at most `body_limit` bytes.
    pub(crate) fn new(body_limit: usize) -> Self {
        Self {
            bytes: Vec::new(),
            head: None,
            body_limit,
        }
    }

    /// Where arriving bytes are to be put.
    pub(crate) fn bytes(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// How many bytes it makes sense to hold now: what is known to be coming, and one head.
    pub(crate) fn wanted(&self) -> usize {
        self.head.as_ref().map_or(0, |head| head.length) + HEAD_LIMIT
    }

    /// The next request, once it is complete.
    pub(crate) fn next(&mut self) -> Result<Option<Request>, Unreadable> {
        if self.head.is_none() {
            let Some((head, used)) = read_head(&self.bytes)? else {
                return Ok(None);
            };
            self.bytes.drain(..used);
            if head.length > self.body_limit {
                return Err(Unreadable(ErrorCode::INVALID_CONTENT_LENGTH));
            }
            self.head = Some(head);
        }
        match self.head.take() {
            Some(mut head) if self.bytes.len() >= head.length => {
                let rest = self.bytes.split_off(head.length);
                head.request.body = std::mem::replace(&mut self.bytes, rest);
                Ok(Some(head.request))
            }
            waiting => {
                self.head = waiting;
                Ok(None)
            }
        }
    }
}

fn read_head(bytes: &[u8]) -> Result<Option<(Head, usize)>, Unreadable> {
    // Numbers of the firmware's catalogue that fit (`device-rest-api.md` 4.2).
    const PROTOCOL: Unreadable = Unreadable(ErrorCode::new(15, 3));
    const HEADER_TOO_LARGE: Unreadable = Unreadable(ErrorCode::new(15, 7));
    const LENGTH_EXPECTED: Unreadable = Unreadable(ErrorCode::new(10, 4));

    let mut headers = [httparse::EMPTY_HEADER; HEADER_COUNT];
    let mut parsed = httparse::Request::new(&mut headers);
    let used = match parsed.parse(bytes) {
        Ok(httparse::Status::Complete(used)) => used,
        Ok(httparse::Status::Partial) if bytes.len() < HEAD_LIMIT => return Ok(None),
        Ok(httparse::Status::Partial) | Err(httparse::Error::TooManyHeaders) => return Err(HEADER_TOO_LARGE),
        Err(_) => return Err(PROTOCOL),
    };
    let mut request = Request::new(parsed.method.unwrap_or_default(), parsed.path.unwrap_or_default());
    request.is_last = parsed.version == Some(0);
    let mut length = None;
    for header in parsed.headers.iter() {
        let value = String::from_utf8_lossy(header.value).trim().to_owned();
        let is = |name: &str| header.name.eq_ignore_ascii_case(name);
        if is("content-length") {
            let is_number = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
            let number = value
                .parse::<usize>()
                .ok()
                .filter(|_| is_number)
                .ok_or(LENGTH_EXPECTED)?;
            if length.replace(number).is_some_and(|before| before != number) {
                return Err(LENGTH_EXPECTED);
            }
        } else if is("transfer-encoding") {
            return Err(LENGTH_EXPECTED);
        } else if is("content-type") {
            let plain = value
                .split(';')
                .next()
                .unwrap_or_default()
                .trim()
                .to_ascii_lowercase();
            request.content_type = Some(plain).filter(|kind| !kind.is_empty());
        } else if is(CAPABILITIES_HEADER) {
            request.capabilities = Some(value);
        } else if is("connection") {
            request.is_last |= value
                .split(',')
                .any(|word| word.trim().eq_ignore_ascii_case("close"));
        }
    }
    Ok(Some((
        Head {
            request,
            length: length.unwrap_or(0),
        },
        used,
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn all(bytes: &[u8], chunk: usize) -> (Vec<Request>, Option<Unreadable>) {
        let mut reader = Reader::new(1000);
        let mut requests = Vec::new();
        for piece in bytes.chunks(chunk) {
            reader.bytes().extend_from_slice(piece);
            loop {
                match reader.next() {
                    Ok(Some(request)) => requests.push(request),
                    Ok(None) => break,
                    Err(error) => return (requests, Some(error)),
                }
            }
        }
        (requests, None)
    }

    #[test]
    fn requests_follow_each_other_however_they_are_cut() {
        let wire = b"GET /status HTTP/1.1\r\nHost: x\r\n\r\nPUT /a HTTP/1.1\r\ncontent-length: 3\r\nContent-Type: \
            application/json; charset=utf-8\r\nAZSPHERE-CAPABILITIES: QUJD    \r\n\r\nabcPOST /restart HTTP/1.1\r\n\
            Content-Length: 0\r\nConnection: close\r\n\r\n";
        for chunk in 1..wire.len() {
            let (requests, error) = all(wire, chunk);
            assert_eq!(error, None);
            let [status, put, restart] = &requests[..] else {
                panic!("{requests:?}")
            };
            assert_eq!((status.target.as_str(), status.is_last), ("/status", false));
            assert_eq!(put.body, b"abc");
            assert_eq!(put.content_type.as_deref(), Some("application/json"));
            assert_eq!(put.capabilities.as_deref(), Some("QUJD"));
            assert!(restart.is_last);
        }
    }

    #[test]
    fn what_cannot_be_read_is_told_apart() {
        let code = |wire: &str| {
            all(wire.as_bytes(), 7)
                .1
                .map(|error| (error.0.category(), error.0.id()))
        };
        assert_eq!(code("\0\0\0 nonsense\r\n\r\n"), Some((15, 3)));
        assert_eq!(
            code(&format!("GET /{} HTTP/1.1\r\n", "a".repeat(9000))),
            Some((15, 7))
        );
        assert_eq!(
            code(&format!("GET / HTTP/1.1\r\n{}", "a: b\r\n".repeat(60))),
            Some((15, 7))
        );
        assert_eq!(
            code("PUT / HTTP/1.1\r\nContent-Length: 1001\r\n\r\n"),
            Some((15, 4))
        );
        assert_eq!(
            code("PUT / HTTP/1.1\r\nContent-Length: -1\r\n\r\n"),
            Some((10, 4))
        );
        assert_eq!(
            code("PUT / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n"),
            Some((10, 4))
        );
        assert_eq!(
            code("PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"),
            Some((10, 4))
        );
    }

    proptest! {
        #[test]
        fn any_bytes_are_answered(bytes in proptest::collection::vec(any::<u8>(), 0..400), chunk in 1_usize..40) {
            all(&bytes, chunk);
        }
    }
}
