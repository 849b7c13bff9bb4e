//! The keys and certificates of a simulated world, made from its seed: nothing of the vendor's is in them.

use std::sync::Arc;

use p256::ecdsa::signature::Signer as _;
use p256::ecdsa::{Signature, SigningKey};
use p256::pkcs8::EncodePrivateKey as _;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, DnValue, IsCa, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256, PublicKeyData, SanType, SignatureAlgorithm, date_time_ymd,
};
use rustls::ServerConfig;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use lineside_protocol::rest::assume::TlsOffer;
use lineside_protocol::rest::http::HOST;

use crate::SimulatorError;
use crate::seed::Seed;

/// Who vouches for the simulated devices on the wire: a CA of this world alone, the leaf that every device serves,
/// and a stranger's leaf for the fault of that name.
#[derive(Debug, Clone)]
pub struct Authority {
    ca_pem: Arc<str>,
    served: Arc<ServerConfig>,
    foreign: Arc<ServerConfig>,
    expired: Arc<ServerConfig>,
}

impl Authority {
    /// The authority of the world with this seed: the same seed gives the same certificates to the byte.
    ///
    /// # Errors
    /// When the certificate library refuses, which no seed should make it do.
    pub fn new(seed: &Seed, offer: TlsOffer) -> Result<Self, SimulatorError> {
        let (ca_pem, served) = chain(&seed.branch("authority"), offer, LAST_YEAR)?;
        let (_, foreign) = chain(&seed.branch("foreign authority"), offer, LAST_YEAR)?;
        let (_, expired) = chain(&seed.branch("authority"), offer, LONG_AGO)?;
        Ok(Self {
            ca_pem: ca_pem.into(),
            served,
            foreign,
            expired,
        })
    }

    /// The CA certificate that clients must pin, as PEM.
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// What a device serves.
    pub(crate) fn served(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.served)
    }

    /// A leaf with the right name and CA whose time is over.
    pub(crate) fn expired(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.expired)
    }

    /// A leaf with the right name that another CA signed.
    pub(crate) fn foreign(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.foreign)
    }
}

/// Until when certificates last, and until when one did that has expired.
const LAST_YEAR: i32 = 2099;
const LONG_AGO: i32 = 2020;

/// A CA and its leaf with the wildcard name of `device-rest-api.md` 1.2, as a configuration of the TLS server.
fn chain(seed: &Seed, offer: TlsOffer, until: i32) -> Result<(String, Arc<ServerConfig>), SimulatorError> {
    let refused = |error: &dyn std::fmt::Display| SimulatorError::Certificate {
        reason: error.to_string(),
    };
    let mut ca = CertificateParams::default();
    ca.distinguished_name.push(DnType::CommonName, "Simulated Device");
    ca.distinguished_name
        .push(DnType::OrganizationName, "Lineside simulated bench");
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    ca.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    (ca.not_before, ca.not_after) = (date_time_ymd(2018, 1, 1), date_time_ymd(2099, 1, 1));
    let ca = CertifiedIssuer::self_signed(ca, CertificateKey::new(seed.branch("ca").key()))
        .map_err(|e| refused(&e))?;

    let leaf_key = seed.branch("leaf").key();
    let mut leaf = CertificateParams::default();
    leaf.distinguished_name
        .push(DnType::CommonName, DnValue::Utf8String(HOST.into()));
    leaf.subject_alt_names
        .push(SanType::DnsName(HOST.try_into().map_err(|e| refused(&e))?));
    leaf.use_authority_key_identifier_extension = true;
    (leaf.not_before, leaf.not_after) = (date_time_ymd(2018, 1, 1), date_time_ymd(until, 1, 1));
    let pkcs8 = leaf_key.to_pkcs8_der().map_err(|e| refused(&e))?;
    let leaf = leaf
        .signed_by(&CertificateKey::new(leaf_key), &ca)
        .map_err(|e| refused(&e))?;

    let chain: Vec<CertificateDer<'static>> = vec![leaf.der().clone()];
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(pkcs8.as_bytes().to_vec()));
    let versions: &[_] = match offer {
        TlsOffer::Both => &[&rustls::version::TLS13, &rustls::version::TLS12],
        TlsOffer::Only12 => &[&rustls::version::TLS12],
    };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .map_err(|e| refused(&e))?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|e| refused(&e))?;
    // A restart ends everything: no session outlives its connection.
    config.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok((ca.pem(), Arc::new(config)))
}

/// A key that signs the same bytes always the same, so that certificates are a function of the seed.
struct CertificateKey {
    key: SigningKey,
    point: Box<[u8]>,
}

impl CertificateKey {
    fn new(key: SigningKey) -> Self {
        let point = key.verifying_key().to_sec1_point(false).as_bytes().into();
        Self { key, point }
    }
}

impl PublicKeyData for CertificateKey {
    fn der_bytes(&self) -> &[u8] {
        &self.point
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_ECDSA_P256_SHA256
    }
}

impl rcgen::SigningKey for CertificateKey {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        let signature: Signature = self.key.sign(message);
        Ok(signature.to_der().as_bytes().to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_certificate_and_another_seed_another() {
        let pem = |number| {
            Authority::new(&Seed::new(number), TlsOffer::Both)
                .unwrap()
                .ca_pem()
                .to_owned()
        };
        assert_eq!(pem(1), pem(1));
        assert_ne!(pem(1), pem(2));
        assert!(pem(1).starts_with("-----BEGIN CERTIFICATE-----"));
    }
}
