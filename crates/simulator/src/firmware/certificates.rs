//! `/certstore/…`: certificates that the device keeps for Wi-Fi (`device-rest-api.md` 3.4).

use lineside_protocol::rest::certificate::{AddCertRequest, Cert, CertList, CertSpace, CertType};
use lineside_protocol::rest::http::limit;
use lineside_protocol::rest::{ErrorCode, Secret, assume};
use x509_parser::pem::Pem;
use x509_parser::prelude::X509Certificate;
use x509_parser::time::ASN1Time;
use x509_parser::x509::X509Name;

use super::Firmware;
use super::reply::{Refused, json, read, refused};
use crate::chip::Response;

/// Room in the store when it is empty, in bytes: tested by the vendor's suite.
const EMPTY_SPACE: u64 = 24_514;

/// A certificate in flash. The private key is not kept: nothing here could use it.
#[derive(Debug, Clone)]
pub(super) struct StoredCertificate {
    told: Cert,
    /// Bytes that it takes.
    size: u64,
}

impl Firmware {
    pub(super) fn get_certificates(&self) -> Response {
        json(&CertList {
            identifiers: self.flash.certificates.keys().cloned().collect(),
        })
    }

    pub(super) fn get_certificate(&self, id: &str) -> Result<Response, Refused> {
        let stored = self
            .flash
            .certificates
            .get(id)
            .ok_or(refused(404, ErrorCode::CERT_NOT_FOUND))?;
        Ok(json(&stored.told))
    }

    /// Stores a certificate, in place of one with the same id.
    pub(super) fn add_certificate(&mut self, id: &str, body: &[u8]) -> Result<Response, Refused> {
        let wanted: AddCertRequest = read(body)?;
        let told = check(id, &wanted).map_err(|code| refused(assume::STATUS_OF_BAD_CERT, code))?;
        let text = |part: Option<usize>| part.unwrap_or(0) as u64;
        let size = text(wanted.public_cert.as_ref().map(String::len))
            + text(wanted.private_key.as_ref().map(|key| key.reveal().len()))
            + self.config.assumptions.cert_entry_overhead;
        let replaced = self.flash.certificates.get(id).map_or(0, |stored| stored.size);
        if size > self.space() + replaced {
            return Err(refused(assume::STATUS_OF_BAD_CERT, ErrorCode::CERT_OUT_OF_SPACE));
        }
        self.flash
            .certificates
            .insert(id.to_owned(), StoredCertificate { told, size });
        Ok(Response::empty())
    }

    pub(super) fn delete_certificate(&mut self, id: &str) -> Result<Response, Refused> {
        self.flash
            .certificates
            .remove(id)
            .ok_or(refused(404, ErrorCode::CERT_NOT_FOUND))?;
        Ok(Response::empty())
    }

    pub(super) fn get_certificate_space(&self) -> Response {
        json(&CertSpace {
            available_space: self.space(),
        })
    }

    fn space(&self) -> u64 {
        let used: u64 = self.flash.certificates.values().map(|stored| stored.size).sum();
        EMPTY_SPACE.saturating_sub(used)
    }
}

/// Looks at everything that the device looks at, in the order of the catalogue.
fn check(id: &str, wanted: &AddCertRequest) -> Result<Cert, ErrorCode> {
    if id.len() > limit::CERT_ID {
        return Err(ErrorCode::CERT_ID_TOO_LONG);
    }
    if !id
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte))
    {
        return Err(ErrorCode::CERT_ID_INVALID);
    }
    if wanted.cert_type == CertType::Unknown {
        return Err(ErrorCode::CERT_TYPE_INVALID);
    }
    let public = wanted.public_cert.as_deref().unwrap_or_default();
    match public.len() {
        0 => return Err(ErrorCode::PUBLIC_CERT_INVALID),
        len if len > limit::PUBLIC_CERT => return Err(ErrorCode::PUBLIC_CERT_TOO_LONG),
        _ => {}
    }
    let pem = one_pem(public).ok_or(ErrorCode::CERT_CONTENT_INVALID)?;
    let certificate = pem.parse_x509().map_err(|_| ErrorCode::PUBLIC_CERT_INVALID)?;
    check_key(wanted, &certificate)?;
    Ok(Cert {
        id: id.to_owned(),
        not_before: time(certificate.validity().not_before),
        not_after: time(certificate.validity().not_after),
        subject_name: name(certificate.subject()),
        issuer_name: name(certificate.issuer()),
    })
}

fn check_key(wanted: &AddCertRequest, certificate: &X509Certificate<'_>) -> Result<(), ErrorCode> {
    let key = wanted.private_key.as_ref().map(Secret::reveal);
    let password = wanted
        .password
        .as_ref()
        .map(Secret::reveal)
        .filter(|text| !text.is_empty());
    if wanted.cert_type == CertType::RootCa {
        return match (key.filter(|text| !text.is_empty()), password) {
            (Some(_), _) => Err(ErrorCode::PRIVATE_KEY_NOT_ALLOWED),
            (None, Some(_)) => Err(ErrorCode::KEY_PASSWORD_NOT_ALLOWED),
            (None, None) => Ok(()),
        };
    }
    let key = key.unwrap_or_default();
    if key.len() > limit::PRIVATE_KEY {
        return Err(ErrorCode::PRIVATE_KEY_TOO_LONG);
    }
    let pem = one_pem(key).ok_or(ErrorCode::PRIVATE_KEY_INVALID)?;
    let is_encrypted = pem.label.contains("ENCRYPTED") || key.contains("Proc-Type: 4,ENCRYPTED");
    match password {
        Some(text) if text.len() > limit::KEY_PASSWORD => return Err(ErrorCode::KEY_PASSWORD_TOO_LONG),
        Some(_) if !is_encrypted => return Err(ErrorCode::KEY_PASSWORD_NOT_REQUIRED),
        _ => {}
    }
    if is_encrypted {
        // Opening it takes more than a simulated store is worth: it is believed.
        return Ok(());
    }
    // Only keys on the curve of these devices can be compared; others are believed.
    let ours = match pem.label.as_str() {
        "PRIVATE KEY" => {
            use p256::pkcs8::DecodePrivateKey as _;
            p256::SecretKey::from_pkcs8_der(&pem.contents).ok()
        }
        "EC PRIVATE KEY" => p256::SecretKey::from_sec1_der(&pem.contents).ok(),
        _ => None,
    };
    let theirs = certificate.public_key().subject_public_key.data.as_ref();
    match ours {
        Some(ours) if ours.public_key().to_sec1_bytes().as_ref() != theirs => {
            Err(ErrorCode::CERT_KEY_MISMATCH)
        }
        _ => Ok(()),
    }
}

fn one_pem(text: &str) -> Option<Pem> {
    Pem::iter_from_buffer(text.as_bytes()).next()?.ok()
}

/// `2022-06-17T09:12:46`, UTC without a zone.
fn time(time: ASN1Time) -> String {
    let at = time.to_datetime();
    let month = u8::from(at.month());
    let (year, day, hour, minute, second) = (at.year(), at.day(), at.hour(), at.minute(), at.second());
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")
}

/// `/CN=…/O=…`, cut.
fn name(name: &X509Name<'_>) -> String {
    let mut text = String::new();
    for attribute in name.iter_attributes() {
        let kind =
            x509_parser::objects::oid2abbrev(attribute.attr_type(), x509_parser::objects::oid_registry());
        let kind = kind.map_or_else(|_| attribute.attr_type().to_id_string(), str::to_owned);
        text.push_str(&format!("/{kind}={}", attribute.as_str().unwrap_or_default()));
    }
    text.chars().take(limit::CERT_NAME).collect()
}
