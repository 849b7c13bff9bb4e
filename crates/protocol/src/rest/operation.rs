//! The 42 operations: what both ends agree on for each, how its path is built and found, and who may call it.

use std::fmt;

use lineside_terms::{Blame, Capability, Effect, Explain, ManufacturingState};

use super::ApiVersion;
use super::assume::{API_OF_PROXY, RIGHTS_THAT_UNLOCK};
pub use super::table::Operation;

/// All that both ends agree on about one operation (`device-rest-api.md` 3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spec {
    /// The operation that this speaks of.
    pub operation: Operation,
    /// The HTTP method.
    pub verb: Verb,
    /// The path, with `{…}` where an item is named.
    pub path: &'static str,
    /// The check before the handler.
    pub authorizer: Authorizer,
    /// What the handler itself asks for beyond that (2.2).
    pub handler: HandlerNeed,
    /// What it does, hence what may be done after a crash.
    pub effect: Effect,
    /// The version that first has it as described here, where known. The published specification rules where the
    /// vendor's clients ask for less.
    pub since: Option<ApiVersion>,
    /// The status of success.
    pub success: u16,
    /// The statuses of failure that the specification lists. 403 is listed nowhere: it comes from the authorizer.
    pub errors: &'static [u16],
    /// What is sent.
    pub request: Payload,
    /// What comes back on success.
    pub answer: Payload,
    /// What it is for, in a few words, without a full stop.
    pub summary: &'static str,
}

/// An HTTP method that some operation has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "each is the method that it is named after")]
pub enum Verb {
    Get,
    Post,
    Put,
    Patch,
    Delete,
}

impl Verb {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Get, Self::Post, Self::Put, Self::Patch, Self::Delete];

    /// The method as it stands in a request.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }

    /// The verb that stands in a request, or `None` for a method that no operation has. Case matters in HTTP.
    pub fn from_method(method: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|verb| verb.as_str() == method)
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The check that a device makes before it runs the handler of an operation (`device-rest-api.md` 2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Authorizer {
    /// None: works in every state.
    Open,
    /// Not once the device is complete, unless fieldServicing or appDevelopment is in force.
    RestAllowed,
    /// Only with appDevelopment.
    AppDevelopment,
}

/// What the handler of an operation asks for beyond the common authorizer (`device-rest-api.md` 2.2, 3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HandlerNeed {
    /// Nothing.
    Nothing,
    /// appDevelopment, for starting, stopping and debugging.
    AppDevelopment,
    /// An image whose signature is trusted; one that is signed for development needs appDevelopment too.
    TrustedImage,
    /// What [`DeletePolicy`](super::assume::DeletePolicy) says.
    DeletePolicy,
    /// A manufacturing state that lies ahead.
    ForwardState,
    /// A Wi-Fi interface that is up (3.6).
    WifiUp,
}

/// What kind of body there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Payload {
    /// None.
    None,
    /// JSON.
    Json,
    /// JSON, or none at all.
    OptionalJson,
    /// Raw bytes.
    Octets,
}

/// What kind of item a path names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Item {
    /// A component id, in either case.
    Component,
    /// The id of a certificate.
    Certificate,
    /// The name of a network interface.
    Interface,
    /// The number of a Wi-Fi network.
    Network,
}

/// A path that cannot be built.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// The operation is about one item, and none was named.
    #[error("{0} needs to know which item is meant")]
    ItemMissing(Operation),
    /// The operation is not about an item, but one was named.
    #[error("{0} is not about one item")]
    ItemNotTaken(Operation),
    /// The item's name cannot stand in a path: it is empty, `.` or `..`.
    #[error("{0} cannot be asked about an item that is called nothing, `.` or `..`")]
    ItemUnnameable(Operation),
}

impl Explain for PathError {
    fn code(&self) -> &'static str {
        match self {
            Self::ItemMissing(_) => "rest.item-missing",
            Self::ItemNotTaken(_) => "rest.item-not-taken",
            Self::ItemUnnameable(_) => "rest.item-unnameable",
        }
    }
    fn help(&self) -> String {
        match self {
            Self::ItemMissing(_) => "Name the component, certificate, interface or network.",
            Self::ItemNotTaken(_) => "Leave the item out.",
            Self::ItemUnnameable(_) => "Give the item's name as the device lists it.",
        }
        .to_owned()
    }
    fn blame(&self) -> Blame {
        Blame::Plan
    }
}

/// A request that is for none of the 42 operations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RouteError {
    /// No operation has this path.
    #[error("no operation has this path")]
    NotFound,
    /// The path exists, but not with this method.
    #[error("this path has no such method")]
    WrongVerb,
}

impl Explain for RouteError {
    fn code(&self) -> &'static str {
        match self {
            Self::NotFound => "rest.no-such-path",
            Self::WrongVerb => "rest.no-such-method",
        }
    }
    fn help(&self) -> String {
        "Ask for one of the operations that the device's interface has.".to_owned()
    }
    fn blame(&self) -> Blame {
        Blame::Plan
    }
}

/// Whether the device's common authorizer lets an operation through (`device-rest-api.md` 2.1; the exact predicate
/// is assumed there, REST-A07). Handlers make finer checks of their own: see [`Spec::handler`].
///
/// `capabilities` are those in force, stored ones and those of the session together.
pub fn is_allowed(spec: &Spec, state: ManufacturingState, capabilities: &[Capability]) -> bool {
    let has = |wanted: Capability| capabilities.contains(&wanted);
    match spec.authorizer {
        Authorizer::Open => true,
        Authorizer::RestAllowed => {
            state != ManufacturingState::DeviceComplete || RIGHTS_THAT_UNLOCK.into_iter().any(has)
        }
        Authorizer::AppDevelopment => has(Capability::APP_DEVELOPMENT),
    }
}

impl Spec {
    /// What kind of item the path names, or `None` when it names none.
    pub fn item(&self) -> Option<Item> {
        let (_, name) = self.path.split_once('{')?;
        match name {
            "cid}" => Some(Item::Component),
            "name}" => Some(Item::Interface),
            _ if self.path.starts_with("/certstore") => Some(Item::Certificate),
            _ => Some(Item::Network),
        }
    }

    /// The path up to the item, with its slash, or the whole path when it names none.
    fn prefix(&self) -> &'static str {
        self.path.split_once('{').map_or(self.path, |(prefix, _)| prefix)
    }
}

impl Operation {
    /// The path with the item in it, escaped so that it stays one segment.
    ///
    /// # Errors
    /// When an item is missing, is not taken, or cannot stand in a path.
    pub fn path(self, item: Option<&str>) -> Result<String, PathError> {
        let spec = self.spec();
        match (spec.item(), item) {
            (None, None) => Ok(spec.path.to_owned()),
            (None, Some(_)) => Err(PathError::ItemNotTaken(self)),
            (Some(_), None) => Err(PathError::ItemMissing(self)),
            (Some(_), Some("" | "." | "..")) => Err(PathError::ItemUnnameable(self)),
            (Some(_), Some(item)) => {
                let mut path = spec.prefix().to_owned();
                for byte in item.bytes() {
                    if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                        path.push(char::from(byte));
                    } else {
                        const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
                        path.push('%');
                        path.push(char::from(DIGITS[usize::from(byte >> 4)]));
                        path.push(char::from(DIGITS[usize::from(byte & 15)]));
                    }
                }
                Ok(path)
            }
        }
    }

    /// The operation that a request is for, and the item that its path names, with escapes resolved.
    ///
    /// The item is text as it came: whether it is a component id, say, is for the handler to judge.
    ///
    /// # Errors
    /// When no operation has the path, or none with this method. A query or an item that is not UTF-8 makes a path
    /// that no operation has (REST-A02).
    pub fn route(method: &str, target: &str) -> Result<(Self, Option<String>), RouteError> {
        let verb = Verb::from_method(method);
        let mut found = Err(RouteError::NotFound);
        for operation in Self::ALL {
            let spec = operation.spec();
            let item = match (spec.item(), target.strip_prefix(spec.prefix())) {
                (None, Some("")) => None,
                (Some(_), Some(segment)) => match unescaped(segment) {
                    Some(item) => Some(item),
                    None => continue,
                },
                _ => continue,
            };
            if Some(spec.verb) == verb {
                return Ok((operation, item));
            }
            found = Err(RouteError::WrongVerb);
        }
        found
    }

    /// True when a device that speaks this version has the operation. Operations whose beginning no source tells
    /// are taken to have been there always, but for the proxy ([`API_OF_PROXY`]).
    pub fn is_served(self, version: ApiVersion) -> bool {
        let since = match self {
            Self::GetProxy | Self::SetProxy | Self::DeleteProxy => Some(API_OF_PROXY),
            _ => self.spec().since,
        };
        since.is_none_or(|since| since <= version)
    }
}

/// One path segment without its escapes, or `None` when it is none: empty, more than one, with a query, with bad
/// escapes, not UTF-8.
fn unescaped(segment: &str) -> Option<String> {
    if segment.is_empty() || segment.contains(['/', '?', '#']) {
        return None;
    }
    let mut bytes = Vec::with_capacity(segment.len());
    let mut rest = segment.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte == b'%' {
            let (digits, after) = rest.split_at_checked(2)?;
            bytes.push(hex::decode(digits).ok()?[0]);
            rest = after;
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

impl fmt::Display for Operation {
    /// Method and path: `GET /app/status/{cid}`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let spec = self.spec();
        write!(f, "{} {}", spec.verb, spec.path)
    }
}
