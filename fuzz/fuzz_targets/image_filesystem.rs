//! Any bytes as an ASXipFS body. The size and checksum are made right first, else nothing would come past them; what is
//! accepted can be listed, looked up and packed again to something that reads the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lineside_image::{Filesystem, pack_filesystem};

fuzz_target!(|bytes: &[u8]| {
    let mut body = bytes.to_vec();
    if body.len() >= 76 {
        body[..4].copy_from_slice(&0x28CD_3D45_u32.to_le_bytes());
        let size = body.len() as u32;
        body[4..8].copy_from_slice(&size.to_le_bytes());
        body[16..32].copy_from_slice(b"Compressed ROMFS");
        body[32..36].fill(0);
        let crc = crc32fast::hash(&body);
        body[32..36].copy_from_slice(&crc.to_le_bytes());
    }
    let Ok(filesystem) = Filesystem::read(&body) else {
        return;
    };
    let entries: Vec<_> = filesystem.entries().collect();
    for entry in &entries {
        assert_eq!(filesystem.file(&entry.path), entry.data);
    }
    // Trees that are deeper than a packer writes them are read all the same.
    let Ok(packed) = pack_filesystem(&entries) else {
        return;
    };
    let again = Filesystem::read(&packed).expect("what was packed can be read");
    for entry in &entries {
        assert_eq!(again.file(&entry.path), entry.data);
    }
});
