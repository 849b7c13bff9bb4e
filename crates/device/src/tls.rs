//! TLS as these devices need it: exactly one pinned certificate, no names of our own, nothing kept between
//! connections (`device-rest-api.md` 1.2).
//!
//! The client offers TLS 1.2 and 1.3, sends no server name, no client certificate, no early data, and never resumes.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use lineside_protocol::rest::http::HOST;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ClientConnection, Resumption, verify_server_cert_signed_by_trust_anchor};
use rustls::crypto::{CryptoProvider, ring};
use rustls::server::ParsedCertificate;
use rustls::time_provider::TimeProvider;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

/// The certificate that the vendor's own clients pin, `CN=Azure Sphere Device`, valid from 2018-05-22 to 2038-05-17
/// (`device-rest-api.md` 1.2). Every device's certificate is signed with its key.
pub const AZURE_SPHERE_DEVICE_PEM: &str = include_str!("azure_sphere_device.pem");

/// A name that the TLS library accepts where the device's own is a literal wildcard. It is not sent, and the
/// certificate is judged by [`check_certificate`] alone.
const PLACEHOLDER_NAME: &str = "device.devices.sphere.azure.local";

/// What a device's certificate is checked against: one pinned certificate.
#[derive(Clone)]
pub struct TrustAnchor {
    roots: Arc<RootCertStore>,
}

impl fmt::Debug for TrustAnchor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TrustAnchor(one pinned certificate)")
    }
}

/// Text that is not exactly one certificate in PEM.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the trust anchor is not one certificate in PEM: {reason}")]
pub struct TrustAnchorError {
    reason: String,
}

impl lineside_terms::Explain for TrustAnchorError {
    fn code(&self) -> &'static str {
        "device.bad-trust-anchor"
    }
    fn help(&self) -> String {
        "Give the file with the one certificate that these devices are to be checked against: `ca.pem` of a \
         simulated bench, nothing at all for real boards."
            .to_owned()
    }
    fn blame(&self) -> lineside_terms::Blame {
        lineside_terms::Blame::Station
    }
}

impl TrustAnchor {
    /// The anchor of real devices.
    pub fn azure_sphere() -> Self {
        Self::from_pem(AZURE_SPHERE_DEVICE_PEM).expect("a test reads the built-in certificate")
    }

    /// Another anchor, for simulated devices.
    ///
    /// # Errors
    /// When the text does not hold exactly one certificate.
    pub fn from_pem(pem: &str) -> Result<Self, TrustAnchorError> {
        let fail = |reason: &dyn fmt::Display| TrustAnchorError {
            reason: reason.to_string(),
        };
        let mut certificates = CertificateDer::pem_slice_iter(pem.as_bytes());
        let certificate = match certificates.next() {
            Some(certificate) => certificate.map_err(|error| fail(&error))?,
            None => return Err(fail(&"there is none")),
        };
        if certificates.next().is_some() {
            return Err(fail(&"there are several"));
        }
        let mut roots = RootCertStore::empty();
        roots.add(certificate).map_err(|error| fail(&error))?;
        Ok(Self {
            roots: Arc::new(roots),
        })
    }
}

/// Why no secure connection came about, or why it broke.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TlsFault {
    /// The certificate was not signed by the pinned one.
    #[error("its certificate is not signed by the pinned one")]
    UnknownIssuer,
    /// The certificate carries another name.
    #[error("its certificate is for another name than `{HOST}`")]
    WrongName,
    /// The certificate is not valid at the time that this PC's clock shows.
    #[error("its certificate is not valid at the time that this PC's clock shows")]
    NotValidNow,
    /// The certificate cannot be used for another reason.
    #[error("its certificate cannot be used: {0}")]
    BadCertificate(String),
    /// The device ended the handshake or the connection with an alert.
    #[error("it broke off with the TLS alert {0}")]
    Alert(String),
    /// What came is not TLS, or not TLS as agreed.
    #[error("TLS failed: {0}")]
    Protocol(String),
}

impl TlsFault {
    fn of(error: &rustls::Error) -> Self {
        use CertificateError as C;
        match error {
            rustls::Error::InvalidCertificate(certificate) => match certificate {
                C::UnknownIssuer | C::BadSignature => Self::UnknownIssuer,
                C::NotValidForName | C::NotValidForNameContext { .. } => Self::WrongName,
                C::Expired | C::ExpiredContext { .. } | C::NotValidYet | C::NotValidYetContext { .. } => {
                    Self::NotValidNow
                }
                other => Self::BadCertificate(told(other)),
            },
            rustls::Error::NoCertificatesPresented => Self::BadCertificate("it showed none".to_owned()),
            rustls::Error::AlertReceived(alert) => Self::Alert(format!("{alert:?}")),
            other => Self::Protocol(told(other)),
        }
    }
}

/// The words of the TLS library, which may repeat what a device sent: short and printable.
fn told(error: &dyn fmt::Display) -> String {
    error
        .to_string()
        .chars()
        .take(200)
        .flat_map(char::escape_default)
        .collect()
}

/// The client's end of one TLS connection, without I/O: encrypted bytes in and out, plain bytes in and out.
pub(crate) struct Tls {
    connection: ClientConnection,
    fault: Option<TlsFault>,
    has_ended: bool,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls")
            .field("is_handshaking", &self.connection.is_handshaking())
            .field("fault", &self.fault)
            .finish_non_exhaustive()
    }
}

impl Tls {
    /// Begins a connection. `wall_ms` is the time in milliseconds since 1970 at which certificates are judged.
    pub(crate) fn new(anchor: &TrustAnchor, wall_ms: i64) -> Self {
        let provider = Arc::new(ring::default_provider());
        let verifier = Verifier {
            roots: Arc::clone(&anchor.roots),
            provider: Arc::clone(&provider),
        };
        let mut config = ClientConfig::builder_with_details(provider, Arc::new(StationTime(wall_ms)))
            .with_safe_default_protocol_versions()
            .expect("ring has suites for TLS 1.2 and 1.3")
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth();
        config.enable_sni = false;
        config.resumption = Resumption::disabled();
        let name = ServerName::try_from(PLACEHOLDER_NAME).expect("the placeholder is a DNS name");
        let connection =
            ClientConnection::new(Arc::new(config), name).expect("nothing in these settings is missing");
        Self {
            connection,
            fault: None,
            has_ended: false,
        }
    }

    /// True until both ends agreed on keys and the certificate was accepted.
    pub(crate) fn is_handshaking(&self) -> bool {
        self.connection.is_handshaking()
    }

    /// True after the device said that it sends no more.
    pub(crate) const fn has_ended(&self) -> bool {
        self.has_ended
    }

    /// Takes encrypted bytes and appends what they decrypt to.
    ///
    /// # Errors
    /// When the connection is broken; an alert for the device then waits in [`write`](Self::write).
    pub(crate) fn read(&mut self, mut encrypted: &[u8], plain: &mut Vec<u8>) -> Result<(), TlsFault> {
        if let Some(fault) = &self.fault {
            return Err(fault.clone());
        }
        while !encrypted.is_empty() && !self.has_ended {
            let taken = self.connection.read_tls(&mut encrypted).unwrap_or(0);
            let state = match self.connection.process_new_packets() {
                Ok(state) => state,
                Err(error) => {
                    let fault = TlsFault::of(&error);
                    self.fault = Some(fault.clone());
                    return Err(fault);
                }
            };
            let have = plain.len();
            plain.resize(have + state.plaintext_bytes_to_read(), 0);
            let mut filled = have;
            while filled < plain.len() {
                match io::Read::read(&mut self.connection.reader(), &mut plain[filled..]) {
                    Ok(0) | Err(_) => break,
                    Ok(count) => filled += count,
                }
            }
            plain.truncate(filled);
            self.has_ended |= state.peer_has_closed();
            if taken == 0 && !self.has_ended {
                let fault = TlsFault::Protocol("a message is longer than any may be".to_owned());
                self.fault = Some(fault.clone());
                return Err(fault);
            }
        }
        Ok(())
    }

    /// Encrypts the beginning of `plain`, at most one record, and tells how much. Takes nothing while an earlier
    /// record still waits in [`write`](Self::write), so memory stays small.
    pub(crate) fn encrypt(&mut self, plain: &[u8]) -> usize {
        if self.connection.is_handshaking() || self.connection.wants_write() || plain.is_empty() {
            return 0;
        }
        let record = &plain[..plain.len().min(MOST_PLAIN)];
        io::Write::write(&mut self.connection.writer(), record).unwrap_or(0)
    }

    /// Hands encrypted bytes to `send`, which tells how many it took, until it takes none or nothing waits. True when
    /// nothing waits any more.
    pub(crate) fn write(&mut self, send: impl FnMut(&[u8]) -> usize) -> bool {
        let mut sink = Sink(send);
        while self.connection.wants_write() {
            match self.connection.write_tls(&mut sink) {
                Ok(0) | Err(_) => return false,
                Ok(_) => {}
            }
        }
        true
    }

    /// Tells the device that nothing more will come.
    pub(crate) fn close(&mut self) {
        self.connection.send_close_notify();
    }
}

/// The longest plain text of one record (RFC 8446 5.1).
pub(crate) const MOST_PLAIN: usize = 16_384;

struct Sink<F>(F);

impl<F: FnMut(&[u8]) -> usize> io::Write for Sink<F> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok((self.0)(bytes))
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[derive(Debug)]
struct StationTime(i64);

impl TimeProvider for StationTime {
    fn current_time(&self) -> Option<UnixTime> {
        let millis = u64::try_from(self.0).ok()?;
        Some(UnixTime::since_unix_epoch(Duration::from_millis(millis)))
    }
}

/// Judges the certificate that a device shows. All of this must hold:
///
/// * it leads to the pinned certificate by valid signatures, and may be used for a server;
/// * `now` lies within its time;
/// * it carries the DNS name `*.devices.sphere.azure.local`, literally. When it carries no alternative names at all, its
///   common name must be that text. What real devices show is in no source; the vendor's client accepts these two
///   and refuses a concrete name (`device-rest-api.md` 1.2).
///
/// Revocation is not checked: there is nobody to ask.
fn check_certificate(
    leaf: &CertificateDer<'_>,
    intermediates: &[CertificateDer<'_>],
    roots: &RootCertStore,
    provider: &CryptoProvider,
    now: UnixTime,
) -> Result<(), rustls::Error> {
    let parsed = ParsedCertificate::try_from(leaf)?;
    let algorithms = provider.signature_verification_algorithms.all;
    verify_server_cert_signed_by_trust_anchor(&parsed, roots, intermediates, now, algorithms)?;

    let (_, certificate) = X509Certificate::from_der(leaf).map_err(|_| CertificateError::BadEncoding)?;
    let names = certificate
        .subject_alternative_name()
        .map_err(|_| CertificateError::BadEncoding)?;
    let is_ours = match names {
        Some(names) => names
            .value
            .general_names
            .iter()
            .any(|name| matches!(name, GeneralName::DNSName(name) if name.eq_ignore_ascii_case(HOST))),
        None => certificate
            .subject()
            .iter_common_name()
            .any(|name| name.as_str().is_ok_and(|name| name.eq_ignore_ascii_case(HOST))),
    };
    if is_ours {
        Ok(())
    } else {
        Err(CertificateError::NotValidForName.into())
    }
}

#[derive(Debug)]
struct Verifier {
    roots: Arc<RootCertStore>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        check_certificate(leaf, intermediates, &self.roots, &self.provider, now)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(
            message,
            certificate,
            signature,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(
            message,
            certificate,
            signature,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sha2::{Digest, Sha256};

    #[test]
    fn the_built_in_certificate_is_the_published_one() {
        let der = CertificateDer::from_pem_slice(AZURE_SPHERE_DEVICE_PEM.as_bytes()).unwrap();
        let digest: String = Sha256::digest(&der)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        assert_eq!(
            digest,
            "0e61a3d4f961b6025ac0eac02b23b065490073a447c363258ccc46915260fbe5"
        );
        TrustAnchor::azure_sphere();
        let (_, certificate) = X509Certificate::from_der(&der).unwrap();
        assert_eq!(
            certificate.validity().not_after.to_datetime().to_string(),
            "2038-05-17 0:04:03.0 +00:00:00"
        );
    }

    #[test]
    fn an_anchor_is_exactly_one_certificate() {
        let twice = format!("{AZURE_SPHERE_DEVICE_PEM}{AZURE_SPHERE_DEVICE_PEM}");
        for text in [
            "",
            "no certificate",
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
            &twice,
        ] {
            assert!(TrustAnchor::from_pem(text).is_err(), "{text}");
        }
    }
}
