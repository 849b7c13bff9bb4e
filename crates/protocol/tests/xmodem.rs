//! XMODEM: both ends against each other over a line that loses and changes bytes, and against lrzsz.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests too")]
#![expect(
    clippy::disallowed_methods,
    reason = "the foreign end is a process, read by a thread"
)]

use std::io::{Read as _, Write as _};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use lineside_protocol::recovery::assume::{BLOCK_RETRIES, ROM_ASKS_EVERY};
use lineside_protocol::xmodem::{BlockSize, Fault, Receiver, Sender};
use lineside_terms::Instant;

const PATIENCE: Duration = Duration::from_secs(30);

/// Draws the same numbers for the same seed.
struct Draws(u64);

impl Draws {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| (self.next() >> 32) as u8).collect()
    }
}

/// What the line does to a byte.
#[derive(Clone, Copy)]
struct Line {
    lost_one_in: u64,
    changed_one_in: u64,
}

const CLEAN: Line = Line {
    lost_one_in: u64::MAX,
    changed_one_in: u64::MAX,
};

impl Line {
    fn carry(self, bytes: &mut Vec<u8>, draws: &mut Draws) {
        bytes.retain(|_| !draws.next().is_multiple_of(self.lost_one_in));
        for byte in bytes.iter_mut() {
            if draws.next().is_multiple_of(self.changed_one_in) {
                *byte ^= 1 << (draws.next() % 8);
            }
        }
    }
}

/// Runs both ends to their ends; tells how the sender ended, what the receiver made of it, and when.
fn transfer(
    data: &[u8],
    size: BlockSize,
    line: Line,
    draws: &mut Draws,
) -> (Result<(), Fault>, Result<Vec<u8>, Fault>, Instant) {
    let mut now = Instant::ZERO;
    let mut sender = Sender::new(data, size, PATIENCE, now);
    let mut receiver = Receiver::new(data.len(), now);
    for _ in 0..1_000_000 {
        let mut down = Vec::new();
        sender.output(now, &mut down);
        line.carry(&mut down, draws);
        receiver.input(&down, now);
        let mut up = Vec::new();
        receiver.output(now, &mut up);
        line.carry(&mut up, draws);
        sender.input(&up, now);
        if let Some(sent) = sender.outcome() {
            // What was said last still arrives.
            let mut last = Vec::new();
            sender.output(now, &mut last);
            receiver.input(&last, now);
            let received = receiver.outcome();
            if let Some(received) = received {
                return (sent, received.map(|()| receiver.into_data()), now);
            }
            if sent.is_ok() {
                panic!("the sender is content and the receiver waits");
            }
        }
        if down.is_empty() && up.is_empty() {
            let wakes = [sender.next_wake(), receiver.next_wake()];
            match wakes.into_iter().flatten().min() {
                Some(wake) => now = wake.max(now),
                None => unreachable!("one of them has not ended"),
            }
        }
    }
    panic!("it comes to no end");
}

#[test]
fn every_length_comes_through_in_blocks_of_both_sizes() {
    let mut draws = Draws(1);
    for length in [
        0, 1, 127, 128, 129, 255, 256, 1023, 1024, 1025, 1152, 1153, 40_000,
    ] {
        let data = draws.bytes(length);
        for size in [BlockSize::Short, BlockSize::Long] {
            let (sent, received, took) = transfer(&data, size, CLEAN, &mut draws);
            assert_eq!((sent, received), (Ok(()), Ok(data.clone())), "{length} {size:?}");
            assert_eq!(took, Instant::ZERO, "nobody waited for anything");
        }
    }
}

#[test]
fn a_bad_line_delays_and_never_falsifies() {
    let (mut whole, mut given_up) = (0, 0);
    for seed in 1..=400 {
        let mut draws = Draws(seed * 0x9E37_79B9);
        let data = draws.bytes(3_000);
        let line = Line {
            lost_one_in: 200 + 40 * (seed % 50),
            changed_one_in: 300 + 40 * (seed % 70),
        };
        let size = if seed % 2 == 0 {
            BlockSize::Short
        } else {
            BlockSize::Long
        };
        let (sent, received, _) = transfer(&data, size, line, &mut draws);
        match received {
            Ok(received) => {
                assert_eq!(received, data, "seed {seed}");
                whole += 1;
            }
            Err(_) => {
                assert!(sent.is_err(), "seed {seed}: {sent:?}");
                given_up += 1;
            }
        }
    }
    assert!(whole > 100 && given_up > 10, "{whole} whole, {given_up} given up");
}

#[test]
fn nobody_waits_for_ever() {
    let mut sender = Sender::new(b"data", BlockSize::Short, PATIENCE, Instant::ZERO);
    let mut out = Vec::new();
    sender.output(Instant::ZERO + PATIENCE, &mut out);
    assert_eq!((sender.outcome(), out.len()), (Some(Err(Fault::NotBegun)), 0));

    // A receiver that asks and then falls silent.
    let mut now = Instant::ZERO;
    let mut sender = Sender::new(b"data", BlockSize::Short, PATIENCE, now);
    sender.input(b"C", now);
    let mut sent = Vec::new();
    while sender.outcome().is_none() {
        sender.output(now, &mut sent);
        now = sender.next_wake().unwrap_or(now);
    }
    let tries = BLOCK_RETRIES + 1;
    assert_eq!(
        sender.outcome(),
        Some(Err(Fault::TooManyTries { block: 1, tries }))
    );
    sender.output(now, &mut sent);
    assert_eq!(sent.len(), (BLOCK_RETRIES as usize + 1) * 133 + 2);
    assert_eq!(sent[sent.len() - 2..], [0x18, 0x18]);

    // A sender that never begins is asked for ever, as the ROM does.
    let mut receiver = Receiver::new(4, Instant::ZERO);
    let mut asked = Vec::new();
    let mut now = Instant::ZERO;
    for _ in 0..100 {
        receiver.output(now, &mut asked);
        now = receiver.next_wake().unwrap();
    }
    assert_eq!(asked, [b'C'; 100]);
    assert_eq!(now, Instant::ZERO + ROM_ASKS_EVERY * 100);
}

#[test]
fn either_end_may_cancel_and_a_single_cancel_is_noise() {
    let now = Instant::ZERO;
    let mut sender = Sender::new(b"data", BlockSize::Short, PATIENCE, now);
    assert_eq!(sender.input(b"C\x18x\x18\x18after", now), 5);
    assert_eq!(sender.outcome(), Some(Err(Fault::Cancelled { block: 1 })));
    let mut receiver = Receiver::new(4, now);
    assert_eq!(receiver.input(b"\x18\x18after", now), 2);
    assert_eq!(receiver.outcome(), Some(Err(Fault::Cancelled { block: 1 })));
}

#[test]
fn what_follows_the_transfer_is_left_alone() {
    let now = Instant::ZERO;
    let mut sender = Sender::new(b"data", BlockSize::Short, PATIENCE, now);
    assert_eq!(sender.input(b"C\x06\x06[1BL] BOOT: INIT\r\n", now), 3);
    assert_eq!(sender.outcome(), Some(Ok(())));
    assert_eq!(sender.acknowledged(), 4);
}

#[test]
fn more_or_less_than_announced_is_refused() {
    let now = Instant::ZERO;
    let mut wire = Vec::new();
    let data = [7; 300];
    let mut sender = Sender::new(&data, BlockSize::Short, PATIENCE, now);
    for answer in [b"C", b"\x06", b"\x06", b"\x06"] {
        sender.input(answer, now);
        sender.output(now, &mut wire);
    }
    let mut short = Receiver::new(400, now);
    short.input(&wire, now);
    let found = 384;
    assert_eq!(
        short.outcome(),
        Some(Err(Fault::TooShort {
            found,
            announced: 400
        }))
    );
    let mut long = Receiver::new(200, now);
    long.input(&wire, now);
    assert_eq!(long.outcome(), Some(Err(Fault::TooLong { announced: 200 })));
    let mut out_of_order = Receiver::new(300, now);
    out_of_order.input(&wire[133..], now);
    let (found, expected) = (2, 1);
    assert_eq!(
        out_of_order.outcome(),
        Some(Err(Fault::OutOfOrder { found, expected }))
    );
}

/// A program of lrzsz; its standard input and output are the line.
struct Foreign {
    child: Child,
    received: mpsc::Receiver<Vec<u8>>,
}

impl Foreign {
    fn start(program: &str, words: &[&str], folder: &std::path::Path) -> Self {
        let mut child = Command::new(program)
            .args(words)
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("{program} of lrzsz: {error}; .ci/test installs it"));
        let mut stdout = child.stdout.take().unwrap();
        let (send, received) = mpsc::channel();
        std::thread::spawn(move || {
            let mut piece = [0; 4096];
            while let Ok(count @ 1..) = stdout.read(&mut piece) {
                if send.send(piece[..count].to_vec()).is_err() {
                    break;
                }
            }
        });
        Self { child, received }
    }

    fn say(&mut self, bytes: &[u8]) {
        self.child.stdin.as_mut().unwrap().write_all(bytes).unwrap();
    }

    fn hear(&self) -> Vec<u8> {
        let heard = self.received.recv_timeout(Duration::from_secs(60));
        heard.expect("lrzsz says something within a minute")
    }

    fn end(mut self) -> bool {
        drop(self.child.stdin.take());
        self.child.wait().unwrap().success()
    }
}

#[test]
fn lrzsz_receives_what_we_send() {
    for (size, length) in [
        (BlockSize::Short, 1),
        (BlockSize::Short, 16_384),
        (BlockSize::Long, 60_836),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let data = Draws(length as u64).bytes(length);
        let mut foreign = Foreign::start("rx", &["--with-crc", "--binary", "received"], folder.path());
        // Time stands still for us: lrzsz is quick, and nothing is to be sent twice.
        let now = Instant::ZERO;
        let mut sender = Sender::new(&data, size, PATIENCE, now);
        while sender.outcome().is_none() {
            let heard = foreign.hear();
            sender.input(&heard, now);
            let mut out = Vec::new();
            sender.output(now, &mut out);
            foreign.say(&out);
        }
        assert_eq!(sender.outcome(), Some(Ok(())));
        assert!(foreign.end());
        let mut received = std::fs::read(folder.path().join("received")).unwrap();
        assert!(received.len().is_multiple_of(128) && received.len() - length < 1024);
        received.truncate(length);
        assert_eq!(received, data, "{size:?} {length}");
    }
}

#[test]
fn we_receive_what_lrzsz_sends() {
    for (words, length) in [(&["--binary"][..], 16_384), (&["--binary", "--1k"][..], 60_836)] {
        let folder = tempfile::tempdir().unwrap();
        let data = Draws(length as u64).bytes(length);
        std::fs::write(folder.path().join("data"), &data).unwrap();
        let words = [words, &["data"]].concat();
        let mut foreign = Foreign::start("sx", &words, folder.path());
        let now = Instant::ZERO;
        let mut receiver = Receiver::new(length, now);
        loop {
            let mut out = Vec::new();
            receiver.output(now, &mut out);
            foreign.say(&out);
            if receiver.outcome().is_some() {
                break;
            }
            let heard = foreign.hear();
            receiver.input(&heard, now);
        }
        assert_eq!(receiver.outcome(), Some(Ok(())), "{words:?}");
        assert!(foreign.end());
        assert_eq!(receiver.into_data(), data, "{words:?}");
    }
}
