//! The version of the REST interface that a device speaks (`device-rest-api.md` 1.4).

use std::fmt;
use std::str::FromStr;

use lineside_terms::{Blame, Explain};

/// `MAJOR.MINOR.PATCH` as every answer carries it in the header `REST-API-Version`. Ordered from old to new.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ApiVersion {
    /// Raised when something stopped working as before.
    pub major: u16,
    /// Raised for additions.
    pub minor: u16,
    /// Raised for repairs.
    pub patch: u16,
}

impl ApiVersion {
    /// OS 24.06, and any OS since 22.11 (`device-rest-api.md` 1.4).
    pub const OS_24_06: Self = Self::new(4, 6, 0);
    /// OS 20.05, assumed: see [`assume::API_OF_OS_20_05`](super::assume::API_OF_OS_20_05).
    pub const OS_20_05: Self = super::assume::API_OF_OS_20_05;

    /// Brought the capability header; took the general key out of the security state.
    pub const CAPABILITY_HEADER: Self = Self::new(4, 0, 0);
    /// Brought 415 for a wrong media type.
    pub const MEDIA_TYPE_CHECK: Self = Self::new(4, 2, 0);
    /// Brought the hardware address of interfaces.
    pub const HARDWARE_ADDRESS: Self = Self::new(4, 3, 0);
    /// Brought `restartingSystem` to the answer of deleting an image.
    pub const DELETE_TELLS_RESTART: Self = Self::new(4, 4, 0);
    /// Brought power savings of the Wi-Fi interface.
    pub const POWER_SAVINGS: Self = Self::new(4, 6, 0);

    /// The version with these numbers.
    pub const fn new(major: u16, minor: u16, patch: u16) -> Self {
        Self { major, minor, patch }
    }
}

impl fmt::Display for ApiVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

/// Text that is no version of the interface.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not an interface version: it takes three numbers as 4.6.0")]
pub struct ParseVersionError {
    text: String,
}

impl Explain for ParseVersionError {
    fn code(&self) -> &'static str {
        "rest.bad-version"
    }
    fn help(&self) -> String {
        "Every answer of a device carries its interface version; check that this is an Azure Sphere device and that \
         nothing else answers on its wire."
            .to_owned()
    }
    fn blame(&self) -> Blame {
        Blame::Device
    }
}

impl FromStr for ApiVersion {
    type Err = ParseVersionError;
    /// Reads three decimal numbers; blanks around them are passed over, as header values may have them.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let number = |part: &str| {
            let digits_only = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
            if digits_only {
                part.parse::<u16>().ok()
            } else {
                None
            }
        };
        let mut parts = text.trim().split('.').map(number);
        match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some(Some(major)), Some(Some(minor)), Some(Some(patch)), None) => {
                Ok(Self { major, minor, patch })
            }
            // What came may be long and hostile: keep enough to recognise it.
            _ => Err(ParseVersionError {
                text: text.chars().take(24).flat_map(char::escape_default).collect(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn versions_compare_by_number_not_by_text() {
        let version = |text: &str| text.parse::<ApiVersion>().unwrap();
        assert!(version("4.10.0") > version("4.6.0"));
        assert!(version("4.6.0") > version("3.99.99"));
        assert_eq!(version(" 4.6.0 "), ApiVersion::OS_24_06);
        assert!(ApiVersion::OS_20_05 < ApiVersion::OS_24_06);
    }

    #[test]
    fn what_is_no_version_is_refused() {
        for text in [
            "",
            "4",
            "4.6",
            "4.6.0.1",
            "4..0",
            "+4.6.0",
            "4.6.x",
            "4.6.65536",
            "a\u{1b}[31m",
        ] {
            let error = text.parse::<ApiVersion>().unwrap_err();
            assert!(!error.to_string().contains('\u{1b}'));
        }
    }

    proptest! {
        #[test]
        fn versions_survive_text(major: u16, minor: u16, patch: u16) {
            let version = ApiVersion::new(major, minor, patch);
            prop_assert_eq!(version.to_string().parse(), Ok(version));
        }

        #[test]
        fn any_text_is_answered(text in ".{0,40}") {
            let _ = text.parse::<ApiVersion>();
        }
    }
}
