//! What a device says when it refuses: one number, made of a category and an id (`device-rest-api.md` 4).

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};

pub use super::code_table::KnownCode;
use super::code_table::{CLIENT_CODES, FIRMWARE_CODES, category_name};

/// The number in `{"error":…}`: `category << 20 | id`.
///
/// Prints as the vendor's tool does, with the name where one is known: `14.12 RestAppError::AppNotPresent`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct ErrorCode(pub u32);

/// The body of every refusal: `{"error":<code>}` (`device-rest-api.md` 3). Old firmware also ends some successes
/// with `{"error":0}` (1.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorBody {
    /// What went wrong.
    pub error: ErrorCode,
}

macro_rules! named {
    ($($(#[$doc:meta])* $name:ident = $category:literal, $id:literal;)*) => {
        impl ErrorCode {
            $($(#[$doc])* pub const $name: Self = Self::new($category, $id);)*
        }
    };
}

named! {
    /// Not an error: what old firmware ends a success with.
    NONE = 0, 0;
    /// Permission denied, probably for want of the appDevelopment capability.
    ACCESS_DENIED = 0, 13;
    /// Starting and stopping need the appDevelopment capability.
    DEVICE_NOT_DEV_UNLOCKED = 1, 20;
    /// Two applications want one pin.
    PINS_ALREADY_USED = 1, 25;
    /// The application is on the device already.
    APP_ALREADY_EXISTS = 3, 1;
    /// Debugging without the debugger component.
    NO_DEBUGGER_AVAILABLE = 3, 10;
    /// The signature of an image is not trusted.
    IMAGE_VERIFICATION_FAILED = 7, 15;
    /// An image could not be staged: not a valid package.
    IMAGE_STAGING_FAILED = 7, 18;
    /// Installing failed.
    IMAGE_INSTALL_FAILED = 7, 24;
    /// This image may not be staged, installed or deleted with the rights in force.
    IMAGE_PERMISSION_DENIED = 7, 37;
    /// The device updates itself just now.
    OTA_UPDATE_IN_PROGRESS = 7, 39;
    /// An image with a component id that cannot be one.
    INVALID_COMPONENT_ID = 7, 47;
    /// The JSON or a parameter in it is bad.
    INVALID_JSON_REQUEST = 10, 1;
    /// Busy with something else.
    INTERFACE_IS_BUSY = 10, 5;
    /// Internal error.
    INTERNAL_ERROR = 10, 6;
    /// Id of the client certificate too long.
    CLIENT_CERT_ID_TOO_LONG = 10, 12;
    /// Name of a Wi-Fi configuration too long.
    CONFIG_NAME_TOO_LONG = 10, 16;
    /// The common authorizer refuses: the device is locked.
    COMMAND_AUTHORIZATION_FAILED = 10, 18;
    /// A bad Wi-Fi request.
    WIFI_REQUEST_FAILED = 13, 1;
    /// The same network is configured already.
    NETWORK_ALREADY_EXISTS = 13, 2;
    /// No network with this id.
    NETWORK_NOT_FOUND = 13, 3;
    /// Bad properties of a network.
    INVALID_NETWORK_PROPERTIES = 13, 8;
    /// Not in the list of configured networks.
    NOT_A_CONFIGURED_NETWORK = 13, 11;
    /// SSID longer than 32 bytes.
    SSID_TOO_LONG = 13, 15;
    /// PSK longer than 63 characters.
    PSK_TOO_LONG = 13, 16;
    /// The Wi-Fi interface still starts.
    WIFI_TRY_AGAIN = 13, 17;
    /// The Wi-Fi interface is down.
    WIFI_DISABLED = 13, 18;
    /// No room to store one more network.
    WIFI_NO_SPACE = 13, 19;
    /// Too many networks.
    NETWORK_LIMIT_REACHED = 13, 22;
    /// The configuration name is taken.
    CONFIG_NAME_NOT_UNIQUE = 13, 23;
    /// EAP-TLS without a client certificate.
    CLIENT_CERT_ID_MISSING = 13, 24;
    /// PSK shorter than 8 characters.
    PSK_TOO_SHORT = 13, 25;
    /// No such component.
    APP_NOT_PRESENT = 14, 12;
    /// The component id in the path is not one.
    CANNOT_PARSE_COMPONENT_ID = 14, 15;
    /// Committing failed: not trusted.
    CANNOT_COMMIT_IMAGE = 14, 17;
    /// No room for the image.
    NOT_ENOUGH_FREE_SPACE = 14, 18;
    /// This path does not take this method.
    INVALID_REQUEST_METHOD = 15, 1;
    /// No such path, or no such interface.
    INVALID_REQUEST_URI = 15, 2;
    /// The content is too large.
    INVALID_CONTENT_LENGTH = 15, 4;
    /// Not a MAC address.
    INVALID_MAC_ADDRESS = 30, 6;
    /// No such interface.
    INVALID_INTERFACE = 30, 14;
    /// Not on this interface.
    INTERFACE_NOT_PERMITTED = 30, 15;
    /// Certificate id with letters that it may not have.
    CERT_ID_INVALID = 37, 2;
    /// Certificate content that is empty or no PEM.
    CERT_CONTENT_INVALID = 37, 3;
    /// Certificate id too long.
    CERT_ID_TOO_LONG = 37, 4;
    /// No such certificate.
    CERT_NOT_FOUND = 37, 7;
    /// The certificate store is full.
    CERT_OUT_OF_SPACE = 37, 11;
    /// Neither client nor root CA.
    CERT_TYPE_INVALID = 37, 12;
    /// Public part missing or invalid.
    PUBLIC_CERT_INVALID = 37, 13;
    /// Public part too long.
    PUBLIC_CERT_TOO_LONG = 37, 14;
    /// Private key invalid.
    PRIVATE_KEY_INVALID = 37, 15;
    /// Private key too long.
    PRIVATE_KEY_TOO_LONG = 37, 16;
    /// A root CA has no private key here.
    PRIVATE_KEY_NOT_ALLOWED = 37, 17;
    /// Password too long.
    KEY_PASSWORD_TOO_LONG = 37, 18;
    /// A root CA has no password here.
    KEY_PASSWORD_NOT_ALLOWED = 37, 19;
    /// The private key belongs to another certificate.
    CERT_KEY_MISMATCH = 37, 20;
    /// A password for a key that is not encrypted.
    KEY_PASSWORD_NOT_REQUIRED = 37, 21;
}

impl ErrorCode {
    /// From its two parts. `id` has 20 bits; what is above them is cut off.
    pub const fn new(category: u16, id: u32) -> Self {
        Self((category as u32) << 20 | (id & 0xF_FFFF))
    }

    /// The part of the firmware that the error comes from.
    pub const fn category(self) -> u16 {
        // 12 bits are left, so nothing is cut.
        (self.0 >> 20) as u16
    }

    /// The number within the category.
    pub const fn id(self) -> u32 {
        self.0 & 0xF_FFFF
    }

    /// All that is known of the code, or `None` for a code that no source tells of.
    pub fn known(self) -> Option<&'static KnownCode> {
        [CLIENT_CODES.as_slice(), FIRMWARE_CODES.as_slice()]
            .into_iter()
            .find_map(|table| {
                table
                    .binary_search_by_key(&self, |row| Self::new(row.category, row.id))
                    .ok()
                    .map(|at| &table[at])
            })
    }

    /// The firmware's name of the category, where known.
    pub const fn category_name(self) -> Option<&'static str> {
        category_name(self.category())
    }

    /// The firmware's name of the error, where known.
    pub fn name(self) -> Option<&'static str> {
        self.known().map(|row| row.name).filter(|name| !name.is_empty())
    }

    /// What the error means in a few words, where known.
    pub fn meaning(self) -> Option<&'static str> {
        self.known().map(|row| row.meaning)
    }

    /// Every code that a source tells of: first the 107 that the vendor's clients know, then those that only the
    /// firmware's catalogue has.
    pub fn all_known() -> impl Iterator<Item = (Self, &'static KnownCode)> {
        CLIENT_CODES
            .iter()
            .chain(&FIRMWARE_CODES)
            .map(|row| (Self::new(row.category, row.id), row))
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.category(), self.id())?;
        match (self.category_name(), self.known()) {
            (Some(category), Some(row)) if !row.name.is_empty() => write!(f, " {category}::{}", row.name),
            (Some(category), Some(row)) => write!(f, " {category} ({})", row.meaning),
            (Some(category), None) => write!(f, " {category}"),
            (None, _) => Ok(()),
        }
    }
}

impl<'de> Deserialize<'de> for ErrorCode {
    /// Reads any number of 32 bits: the interface calls it signed, the codes are not.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = i64::deserialize(deserializer)?;
        u32::try_from(number)
            .or_else(|_| i32::try_from(number).map(i32::cast_unsigned))
            .map(Self)
            .map_err(|_| serde::de::Error::custom("an error code has 32 bits"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_the_reference_are_these_codes() {
        for (number, code) in [
            (13, ErrorCode::ACCESS_DENIED),
            (1_048_596, ErrorCode::DEVICE_NOT_DEV_UNLOCKED),
            (3_145_738, ErrorCode::NO_DEBUGGER_AVAILABLE),
            (7_340_047, ErrorCode::IMAGE_VERIFICATION_FAILED),
            (7_340_050, ErrorCode::IMAGE_STAGING_FAILED),
            (7_340_056, ErrorCode::IMAGE_INSTALL_FAILED),
            (7_340_069, ErrorCode::IMAGE_PERMISSION_DENIED),
            (7_340_071, ErrorCode::OTA_UPDATE_IN_PROGRESS),
            (7_340_079, ErrorCode::INVALID_COMPONENT_ID),
            (10_485_761, ErrorCode::INVALID_JSON_REQUEST),
            (10_485_765, ErrorCode::INTERFACE_IS_BUSY),
            (10_485_778, ErrorCode::COMMAND_AUTHORIZATION_FAILED),
            (13_631_491, ErrorCode::NETWORK_NOT_FOUND),
            (13_631_506, ErrorCode::WIFI_DISABLED),
            (13_631_513, ErrorCode::PSK_TOO_SHORT),
            (14_680_076, ErrorCode::APP_NOT_PRESENT),
            (14_680_079, ErrorCode::CANNOT_PARSE_COMPONENT_ID),
            (14_680_082, ErrorCode::NOT_ENOUGH_FREE_SPACE),
            (15_728_642, ErrorCode::INVALID_REQUEST_URI),
            (15_728_644, ErrorCode::INVALID_CONTENT_LENGTH),
            (31_457_295, ErrorCode::INTERFACE_NOT_PERMITTED),
            (38_797_319, ErrorCode::CERT_NOT_FOUND),
            (38_797_333, ErrorCode::KEY_PASSWORD_NOT_REQUIRED),
        ] {
            assert_eq!(code, ErrorCode(number), "{code}");
        }
    }

    #[test]
    fn the_tables_are_complete_ascending_and_without_doubles() {
        assert!(CLIENT_CODES.is_sorted_by_key(|row| (row.category, row.id)));
        assert!(FIRMWARE_CODES.is_sorted_by_key(|row| (row.category, row.id)));
        for (code, row) in ErrorCode::all_known() {
            assert_eq!(
                code.known(),
                Some(row),
                "{code} stands in both tables or twice in one"
            );
            assert!(
                code.category_name().is_some() && !row.meaning.is_empty(),
                "{code}"
            );
            assert_eq!((code.category(), code.id()), (row.category, row.id));
        }
        assert!(
            CLIENT_CODES
                .iter()
                .all(|row| row.is_known_to_clients && !row.name.is_empty())
        );
        assert!(!FIRMWARE_CODES.iter().any(|row| row.is_known_to_clients));
    }

    #[test]
    fn codes_print_as_category_and_id() {
        assert_eq!(
            ErrorCode::APP_NOT_PRESENT.to_string(),
            "14.12 RestAppError::AppNotPresent"
        );
        assert_eq!(
            ErrorCode::new(14, 9).to_string(),
            "14.9 RestAppError (unknown trigger)"
        );
        assert_eq!(ErrorCode::new(1, 999).to_string(), "1.999 AppManagerError");
        assert_eq!(ErrorCode::new(99, 3).to_string(), "99.3");
        assert_eq!(ErrorCode(u32::MAX).to_string(), "4095.1048575");
    }

    #[test]
    fn a_body_holds_any_number_of_32_bits() {
        let read = |text: &str| serde_json::from_str::<ErrorBody>(text).map(|body| body.error);
        assert_eq!(read(r#"{"error":14680076}"#).unwrap(), ErrorCode::APP_NOT_PRESENT);
        assert_eq!(read(r#"{"error":-1,"more":[]}"#).unwrap(), ErrorCode(u32::MAX));
        assert!(read(r#"{"error":4294967296}"#).is_err());
        assert!(read(r#"{"error":-2147483649}"#).is_err());
        assert!(read(r#"{"error":"13"}"#).is_err());
        assert!(read("{}").is_err());
        assert_eq!(
            serde_json::to_string(&ErrorBody {
                error: ErrorCode::ACCESS_DENIED
            })
            .unwrap(),
            r#"{"error":13}"#
        );
    }
}
