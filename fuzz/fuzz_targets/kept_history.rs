//! Any bytes as what was kept of a journal: what is read can be looked at, gone on with, and kept again as it was.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lineside_flow::{Line, Past, Shift};
use lineside_terms::{BootId, ClockTrust, Instant, Stamp, StationName};

fuzz_target!(|bytes: &[u8]| {
    let Ok(past) = serde_json::from_slice::<Past>(bytes) else {
        return;
    };
    let kept = serde_json::to_string(&past).expect("it was read from JSON");
    let again: Past = serde_json::from_str(&kept).expect("what was kept can be read back");
    assert_eq!(serde_json::to_string(&again).ok(), Some(kept));
    let _ = past.open_runs();
    let station = StationName::new("line-1").expect("a name");
    let boot = BootId::from_bytes([1; 16]);
    let mut line = Line::after(station, boot, Default::default(), Shift::default(), past);
    let _ = line.picture();
    let at = Stamp {
        mono: Instant::ZERO,
        wall_ms: 0,
        trust: ClockTrust::Unverified,
    };
    assert!(!line.start("1", "sim:1", at).is_empty());
    let _ = line.picture();
});
