//! What several tests need: the files from outside, and keys made on the spot.
#![allow(clippy::unwrap_used, reason = "a test may panic")]
#![allow(dead_code, unreachable_pub, reason = "every test takes what it needs")]

use std::path::PathBuf;

use lineside_image::{Composer, Signer, SigningKey, TemporaryFlags, TrustList};
use lineside_terms::ImageType;

/// A file of `../shared/data/images`, seen from the workspace root.
pub fn real(name: &str) -> Vec<u8> {
    let path = workspace().join("../shared/data/images").join(name);
    std::fs::read(&path).unwrap_or_else(|error| {
        panic!(
            "this test needs the real file {}, which is missing ({error}); see ../shared/data/README.md",
            path.display()
        )
    })
}

pub fn blink() -> Vec<u8> {
    real("azure_sphere_blink.imagepackage")
}

pub fn workspace() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A key of its own for each number.
pub fn signer(number: u8) -> Signer {
    Signer::without_certificate(SigningKey::from_secret(&[number; 32]).unwrap())
}

pub fn trusting(signer: &Signer) -> TrustList {
    let mut trust = TrustList::new();
    trust.add_signer(signer);
    trust
}

/// A package with the five sections that the SDK writes.
pub fn sample(body: &[u8], signer: &Signer) -> Vec<u8> {
    composer().compose(body, signer).unwrap()
}

pub fn composer() -> Composer {
    Composer::new(
        ImageType::APPLICATION,
        "01234567-89ab-cdef-0123-456789abcdef".parse().unwrap(),
        "fedcba98-7654-3210-fedc-ba9876543210".parse().unwrap(),
    )
    .build("sample", 1_700_000_000)
    .temporary(TemporaryFlags::UNDER_DEVELOPMENT)
    .depends(vec![lineside_image::AbiVersion::application_runtime(12)])
}

pub fn sha256(bytes: &[u8]) -> String {
    hex::encode(ring::digest::digest(&ring::digest::SHA256, bytes))
}

/// n − s, where n is the order of P-256.
pub fn twin_of(s: &[u8; 32]) -> [u8; 32] {
    let n = hex::decode("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551").unwrap();
    let mut out = [0; 32];
    let mut borrow = 0;
    for at in (0..32).rev() {
        let difference = i16::from(n[at]) - i16::from(s[at]) - borrow;
        borrow = i16::from(difference < 0);
        out[at] = difference.rem_euclid(256) as u8;
    }
    out
}
