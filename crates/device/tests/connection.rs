//! Connecting, identifying, asking: through SLIP, IP, TLS and HTTP against a device of the tests' own.

mod peer;

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use lineside_device::{DeviceError, Lost, Progress, Scope, TrustAnchor};
use lineside_interlock::Reading;
use lineside_terms::{Epoch, Explain, ManufacturingState, SecurityState};
use peer::{Authority, Bench, Leaf, NAME, PeerConfig, Setup, Then, healthy, id_text, json, raw};

fn verify_error(setup: Setup) -> DeviceError {
    let mut bench = Bench::new(setup);
    let session = bench.session.take().unwrap();
    bench.run(async move { session.verify(Epoch(1)).await.unwrap_err().1 })
}

#[test]
fn the_first_request_tells_who_answers() {
    let mut bench = Bench::new(Setup::default());
    let session = bench.session.take().unwrap();
    bench.run(async move {
        let mut device = session.verify(Epoch(3)).await.unwrap();
        assert_eq!(device.id().to_string(), id_text('a'));
        assert_eq!((device.epoch(), device.writes()), (Epoch(3), 0));
        assert_eq!(device.security(), SecurityState::Secure);
        assert_eq!(device.status().await.unwrap().uptime, 634);
        assert_eq!(device.os_version().await.unwrap().osversion, "24.06");
        assert_eq!(device.manufacturing_state().await.unwrap(), ManufacturingState::Module1Complete);
        assert_eq!(device.version().unwrap().to_string(), "4.6.0");
        assert_eq!(device.writes(), 0);
    });
    assert_eq!(
        bench.lines(),
        ["GET /device/security_state", "GET /status", "GET /osversion", "GET /device/manufacturing_state"]
    );
    let asked = bench.asked.borrow();
    assert_eq!(
        asked[0].head,
        format!("GET /device/security_state HTTP/1.1\r\nHost: {NAME}\r\nAccept: application/json\r\nConnection: keep-alive\r\n\r\n")
    );
}

#[test]
fn any_mtu_will_do_and_both_versions_of_tls() {
    for mtu in [296, 576, 1500] {
        for versions in [&[&rustls::version::TLS12], &[&rustls::version::TLS13]] {
            let leaf = Leaf { versions, ..Leaf::default() };
            let mut bench = Bench::new(Setup {
                peer: PeerConfig { mtu, ..PeerConfig::default() },
                authority: Rc::new(Authority::new(&leaf)),
                ..Setup::default()
            });
            let session = bench.session.take().unwrap();
            bench.run(async move {
                let mut device = session.verify(Epoch(1)).await.unwrap();
                device.stage(vec![7; 10_000].into(), None).await.unwrap();
                assert_eq!(device.images().await.unwrap().components.len(), 1);
            });
            assert_eq!(bench.asked.borrow()[1].body, vec![7; 10_000]);
        }
    }
}
