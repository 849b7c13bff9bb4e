//! Any bytes as what comes from a chip in recovery: the host never panics, answers nobody whom its driver has not
//! admitted, and comes to an end.
#![no_main]

use std::sync::Arc;
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use lineside_protocol::recovery::host::{Flash, Host, Options, Supply, Want};
use lineside_terms::Instant;

fuzz_target!(|bytes: &[u8]| {
    // The first byte says how the driver is minded, the rest is heard: in pieces, with pauses now and then.
    let (mind, bytes) = bytes.split_first().unwrap_or((&0, &[]));
    let mut now = Instant::ZERO;
    let mut options = Options::new(Arc::from([9; 300]));
    options.high_speed = mind & 1 == 0;
    let mut host = Host::new(options, now);
    let mut is_admitted = false;
    let mut out = Vec::new();
    for (nth, piece) in bytes.chunks(usize::from(*mind) + 1).enumerate() {
        if nth % 5 == 4 {
            now = now + Duration::from_millis(700);
        }
        host.input(piece, now);
        turn(&mut host, *mind, now, &mut is_admitted, &mut out);
    }
    assert!(out.len() <= (bytes.len() + 40) * 400);
    let begun = now;
    while let Some(wake) = host.next_wake() {
        now = now.max(wake);
        turn(&mut host, *mind, now, &mut is_admitted, &mut out);
    }
    assert!(host.outcome().is_some() && now - begun <= Duration::from_secs(1900));
    assert!(is_admitted || host.device().is_none());
});

fn turn(host: &mut Host, mind: u8, now: Instant, is_admitted: &mut bool, out: &mut Vec<u8>) {
    let before = host.flash();
    loop {
        host.output(now, out);
        let Some(want) = host.next_want() else {
            break;
        };
        match want {
            Want::Configure(_) if mind & 2 == 0 => host.configured(now),
            Want::Admit(_) if mind & 4 == 0 => {
                *is_admitted = true;
                host.admit(true, now);
            }
            Want::Admit(_) => host.admit(false, now),
            Want::Supply(_) if mind & 8 == 0 => host.supply(Supply::File(Arc::from([3; 200])), now),
            Want::Supply(_) => host.supply(Supply::Missing, now),
            Want::Configure(_) | Want::Note(_) | Want::Finish(_) => {}
        }
    }
    assert!(host.progress().bytes <= host.progress().total_bytes.unwrap_or(0));
    // What was lost is only got back by the device's own word that it never began.
    assert!(before == Flash::Untouched || host.flash() == Flash::AtRisk || host.outcome().is_some());
}
