//! Any bytes on a simulated chip's service wire, and any request to its firmware.
#![no_main]

use std::sync::OnceLock;
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use lineside_simulator::{Chip, ChipConfig, Firmware, Request};
use lineside_terms::Instant;

fn config() -> ChipConfig {
    static CONFIG: OnceLock<ChipConfig> = OnceLock::new();
    CONFIG
        .get_or_init(|| ChipConfig::alone(1).expect("a seed makes a chip"))
        .clone()
}

fn at(ms: u64) -> Instant {
    Instant::ZERO + Duration::from_millis(ms)
}

fuzz_target!(|data: &[u8]| {
    let Some((&kind, data)) = data.split_first() else {
        return;
    };
    if kind & 1 == 0 {
        let mut chip = Chip::new(config());
        chip.power_on(at(0));
        for now in [0, 40, 60] {
            chip.poll(at(now));
        }
        for (number, piece) in data.chunks(97).enumerate() {
            chip.receive(piece);
            chip.poll(at(60 + number as u64));
            chip.output().clear();
        }
    } else {
        // Method, path and body, apart by line ends.
        let mut parts = data.splitn(3, |byte| *byte == b'\n');
        let mut text = || String::from_utf8_lossy(parts.next().unwrap_or_default()).into_owned();
        let (method, path) = (text(), text());
        let body = parts.next().unwrap_or_default().to_vec();
        let mut firmware = Firmware::new(config().firmware);
        let response = firmware.call(&Request::new(&method, &path).with_octets(body), at(1000));
        assert!(!response.body.is_empty());
    }
});
