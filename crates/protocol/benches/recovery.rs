//! What the two ends of a recovery cost the processor.
//!
//! `cargo bench -p lineside-protocol --bench recovery`. Whole recoveries of a small set, host and device in one thread
//! under a clock moved by hand, at the sizes of the simulator's small set. The device compares what it gets with what was
//! sent: signatures are no part of this, as if each verdict were known already. Then the host alone, block by block, as it
//! answers an acknowledgement.

#![allow(clippy::unwrap_used, reason = "a benchmark may panic")]
#![allow(dead_code, reason = "it uses a part of what the tests use")]

#[path = "../../device/benches/measure/mod.rs"]
mod measure;
#[path = "../tests/recovery_pair/pair.rs"]
mod pair;

use std::sync::Arc;
use std::time::Duration;

use lineside_protocol::recovery::device;
use lineside_protocol::recovery::host::{Host, Options};
use lineside_protocol::xmodem::BlockSize;
use lineside_terms::{DeviceId, Instant};
use measure::{Verdict, cpu_of, figure, median, say, threads};
use pair::{Draws, Files, Noise, Pair};

/// Whole recoveries per second of processor time.
const LEAST: f64 = 200.0;
const RECOVERIES: u32 = 400;
const ROUNDS: usize = 5;
/// Start, numbers and checksum around the data of a block.
const AROUND: usize = 5;
/// Ten bits a byte at 3 Mbaud.
const BYTE_NANOS: f64 = 10.0 / 3.0e6 * 1e9;
const BLOCKS: usize = 100_000;
/// The promise for a host with 64 boards is a twentieth of a block's time for all that it does, wire and tasks included.
const SHARE: f64 = 0.05;

fn main() {
    let mut images = vec![1024; 17];
    images[8] = 20_480;
    images[9] = 20_484;
    let files = Arc::new(Files::new(1024, 2048, &images));
    let total: usize = images.iter().sum();
    say(&format!(
        "recovery: {} images of {total} bytes in all, blocks of 128; the device compares, it checks no signatures",
        images.len()
    ));
    let mut rates: Vec<f64> = (0..ROUNDS).map(|_| recoveries(&files)).collect();
    let rate = median(&mut rates);
    figure(
        "whole recoveries, both ends, per second of processor time",
        &format!("{rate:.0}"),
        "≥ 200",
        Verdict::of(rate >= LEAST),
    );
    for (block, size) in [(BlockSize::Short, 128), (BlockSize::Long, 1024)] {
        let mut nanos: Vec<f64> = (0..ROUNDS).map(|_| block_nanos(block, size)).collect();
        let nanos = median(&mut nanos);
        let share = nanos / (BYTE_NANOS * (size + AROUND) as f64);
        figure(
            &format!("the host's machine alone, from ACK to the next block of {size}"),
            &format!("{:.3} %", share * 100.0),
            "≤ 5 %",
            Verdict::of(share <= SHARE),
        );
        say(&format!(
            "  {nanos:.0} ns; the share is that of the block's time at 3 Mbaud"
        ));
    }
    say(&format!(
        "  a host's machine takes {} bytes and what is in its buffers",
        size_of::<Host>()
    ));
}

fn cpu() -> Duration {
    cpu_of(&threads()).expect("the system tells processor time")
}

fn recoveries(files: &Arc<Files>) -> f64 {
    let before = cpu();
    for seed in 0..RECOVERIES {
        let device = device::Options::new(DeviceId::from_bytes([0x5D; 64]));
        let host = Options::new(Arc::clone(&files.bootloader));
        let noise = [Noise::default(); 2];
        let mut pair = Pair::new(files, host, device, noise, Draws::new(seed.into()));
        pair.bits = Some(10);
        assert_eq!(pair.run(Instant::FAR), Some(Ok(())));
        pair.check(&Ok(()), "benchmark");
    }
    f64::from(RECOVERIES) / (cpu() - before).as_secs_f64()
}

/// The bootloader may be as long as one likes, and goes the same way as every file.
fn block_nanos(block: BlockSize, size: usize) -> f64 {
    let options = Options {
        block,
        ..Options::new(vec![0x5A; BLOCKS * size].into())
    };
    let now = Instant::ZERO;
    let mut host = Host::new(options, now);
    host.input(b"C", now);
    let mut out = Vec::with_capacity(2048);
    let before = cpu();
    for _ in 0..BLOCKS {
        out.clear();
        host.output(now, &mut out);
        assert_eq!(out.len(), size + AROUND);
        host.input(b"\x06", now);
    }
    (cpu() - before).as_nanos() as f64 / BLOCKS as f64
}
