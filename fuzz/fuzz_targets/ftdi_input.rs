//! Any bytes from an interface chip or from FTDI's driver: transfers, the content of an EEPROM, the driver's list.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lineside_link::ftdi::d2xx::{DeviceNode, boards, path_of_system};
use lineside_link::ftdi::{Channel, Eeprom, strip};

fuzz_target!(|bytes: &[u8]| {
    let mut count = 0;
    strip(bytes, |received| count += received.len());
    assert!(count <= bytes.len());

    let _ = Eeprom::parse(bytes).findings();
    let _ = std::str::from_utf8(bytes).map(path_of_system);

    let nodes: Vec<DeviceNode> = bytes
        .chunks(88)
        .map(|told| {
            let mut told = told.iter().copied();
            let mut node = DeviceNode::EMPTY;
            node.flags = u32::from(told.next().unwrap_or(0));
            node.location = u32::from_le_bytes([0; 4].map(|_: u8| told.next().unwrap_or(0)));
            if told.next().unwrap_or(0) & 1 == 1 {
                node.id = 0x0403_6011;
            }
            let mut fill = |field: &mut [std::ffi::c_char]| field.fill_with(|| told.next().unwrap_or(0) as _);
            fill(&mut node.serial);
            fill(&mut node.description);
            node
        })
        .collect();
    let found = boards(&nodes, &[]);
    for pair in found.windows(2) {
        assert!(pair[0].slot < pair[1].slot);
    }
    for board in &found {
        assert_ne!(board.location_of(Channel::C), Some(0));
    }
});
