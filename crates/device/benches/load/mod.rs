//! What benchmarks of loading load, and what a wire needs for it.
#![allow(clippy::unwrap_used, reason = "a benchmark may panic")]

use lineside_image::{ApplicationSource, pack_application};
use lineside_protocol::assume::{MSS, MTU};
use lineside_simulator::{Seed, World};
use lineside_terms::ImageId;

/// Bits on the wire for one byte: 8N1.
pub(crate) const BITS_PER_BYTE: f64 = 10.0;
/// The longest plain text of a TLS record, and what TLS 1.3 adds to each: header, content type, tag.
const RECORD: usize = 16_384;
const RECORD_EXTRA: usize = 5 + 1 + 16;
/// SLIP's END before and after each packet.
const ENDS: usize = 2;

/// Bytes of so many in TLS records.
pub(crate) const fn encrypted(bytes: usize) -> usize {
    bytes + bytes.div_ceil(RECORD) * RECORD_EXTRA
}

/// Bytes that a wire needs for so many, in TLS records and packets, without SLIP's escapes.
pub(crate) const fn on_wire(bytes: usize) -> usize {
    let secret = encrypted(bytes);
    secret + secret.div_ceil(MSS) * (MTU - MSS + ENDS)
}

/// An application that the devices of this world accept, filled with so many bytes of noise.
pub(crate) fn package(world: &World, noise_bytes: usize) -> Vec<u8> {
    let mut noise = vec![0; noise_bytes];
    Seed::new(7).draws().fill(&mut noise);
    let manifest =
        br#"{"SchemaVersion":1,"Name":"large","ComponentId":"11111111-2222-3333-4444-555555555555",
        "EntryPoint":"/bin/app","CmdArgs":[],"Capabilities":{},"ApplicationType":"Default"}"#;
    let files = [
        ("/bin/app".to_owned(), b"\x7fELF and so on".to_vec()),
        ("/noise".to_owned(), noise),
    ];
    let source = ApplicationSource {
        manifest,
        files: &files,
        executables: &[],
        image: ImageId::from_u128(1),
        built: 1_767_225_600,
        runtime_version: 12,
        temporary: None,
    };
    pack_application(&source, world.signing_key()).unwrap()
}
