//! `/certstore/…`: certificates for Wi-Fi (`device-rest-api.md` 3.4).

use std::borrow::Cow;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Secret;

/// Answer of `GET /certstore/certs`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct CertList {
    /// Ids of what is stored.
    pub identifiers: Vec<String>,
}

/// Answer of `GET /certstore/certs/{id}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Cert {
    /// Its id.
    pub id: String,
    /// Begin of validity in UTC, `2022-06-17T09:12:46`.
    pub not_before: String,
    /// End of validity in UTC, of the same form.
    pub not_after: String,
    /// Subject as `/CN=…/O=…`, cut after 300 characters.
    pub subject_name: String,
    /// Issuer, of the same form.
    pub issuer_name: String,
}

/// Request of `POST /certstore/certs/{id}`.
///
/// What may be missing or wrong is kept as it came, so that a device can refuse it with the code that fits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AddCertRequest {
    /// What it is for.
    #[serde(default)]
    pub cert_type: CertType,
    /// The certificate as PEM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_cert: Option<String>,
    /// The private key as PEM, for a client certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub private_key: Option<Secret>,
    /// The password of an encrypted private key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<Secret>,
}

/// What a certificate is for. Clients write it in lower case, the specification in another: any case is read
/// (REST-A62).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum CertType {
    /// Proves who the network is.
    RootCa,
    /// Proves who the device is.
    Client,
    /// Neither, or not told.
    #[default]
    Unknown,
}

impl Serialize for CertType {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(match self {
            Self::RootCa => "rootca",
            Self::Client => "client",
            Self::Unknown => "unknown",
        })
    }
}

impl<'de> Deserialize<'de> for CertType {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let word = Cow::<'de, str>::deserialize(deserializer)?;
        Ok(match () {
            () if word.eq_ignore_ascii_case("rootca") => Self::RootCa,
            () if word.eq_ignore_ascii_case("client") => Self::Client,
            () => Self::Unknown,
        })
    }
}

/// Answer of `GET /certstore/space`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertSpace {
    /// Free bytes; the device writes the number as text.
    #[serde(rename = "AvailableSpace", with = "decimal_text")]
    pub available_space: u64,
}

mod decimal_text {
    use super::{Cow, Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(number: &u64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(number)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        text.parse()
            .map_err(|_| serde::de::Error::custom("a number as text was expected"))
    }
}
