//! Doors for fuzz targets and property tests: bytes from outside, through the parts that read them first. Nothing can
//! be sent to a device through them.

use std::time::Duration;

use bytes::Bytes;
use lineside_protocol::assume::MTU;
use lineside_protocol::rest::{Payload, Verb};
use lineside_terms::Instant;

use crate::channel::{Channel, Event, Patience};
use crate::http::{AnswerReader, Request};
use crate::pump::Machine as _;
use crate::stack::StackConfig;
use crate::tls::TrustAnchor;

/// The longest body in [`http_answer`].
pub const MOST_BODY: usize = 1024;

/// Reads bytes as an HTTP answer, cut in pieces of `cut` bytes. The status and the body's length, if they are one.
pub fn http_answer(bytes: &[u8], cut: usize) -> Option<(u16, usize)> {
    let mut reader = AnswerReader::new(MOST_BODY);
    for piece in bytes.chunks(cut.max(1)) {
        match reader.push(piece) {
            Ok(None) => {}
            Ok(Some(answer)) => return Some((answer.status, answer.body.len())),
            Err(_) => return None,
        }
    }
    reader
        .end(true)
        .ok()
        .map(|answer| (answer.status, answer.body.len()))
}

/// Feeds bytes into a channel that connects, asks when it can, and gives up after its patience. The number of bytes
/// that it would have sent.
pub fn wire_input(bytes: &[u8], cut: usize) -> usize {
    let patience = Patience {
        connect: Duration::from_secs(2),
        connect_tries: 2,
        handshake: Duration::from_secs(10),
        stall: Duration::from_secs(10),
    };
    let mut now = Instant::ZERO;
    let mut channel = Channel::new(StackConfig { mtu: MTU, seed: 1 }, patience, now);
    channel.connect(&TrustAnchor::azure_sphere(), 1_795_305_600_000, now);
    let (mut sent, mut out) = (0, Vec::new());
    for piece in bytes.chunks(cut.max(1)) {
        channel.input(piece, now);
        channel.output(now, &mut out);
        sent += out.len();
        out.clear();
        if let Some(Event::Connected) = channel.event() {
            let request = Request {
                verb: Verb::Get,
                path: "/status".to_owned(),
                payload: Payload::None,
                body: Bytes::new(),
                capability: None,
                most_body: MOST_BODY,
            };
            channel.request(&request, None);
        }
        now = now + Duration::from_millis(1);
    }
    // Whatever came, it comes to an end.
    for _ in 0..100 {
        let Some(at) = channel.next_wake(now).filter(|_| channel.event().is_none()) else {
            break;
        };
        now = at;
        channel.output(now, &mut out);
        sent += out.len();
        out.clear();
    }
    sent
}
