//! What the journal costs: checking it against plain SHA-256 over the same bytes, and writing it against the disk's
//! own sync. Figures with a limit are gates: the program fails when one is missed. The others are reports.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark prints, and may panic"
)]

#[path = "../tests/support/mod.rs"]
mod support;

use std::fs::{self, File};
use std::hint::black_box;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use futures::executor::block_on;
use lineside_records::{Disk, Journal, JournalThread, RealDisk, verify};
use ring::digest::{SHA256, digest};
use support::{station, typical};

const EVENTS: u64 = 200_000;
const ROUNDS: usize = 7;
const VERIFY_LIMIT: f64 = 0.6;
const STREAMED: u64 = 100_000;
const SINGLES: u64 = 400;

fn main() {
    let is_good = [check(), stream(), single()];
    assert!(is_good.iter().all(|is_good| *is_good), "a limit is missed");
}

fn line(name: &str, figure: &str, limit: &str) {
    println!("{name:<58} {figure:>18}   {limit}");
}

fn open(folder: &Path) -> (Arc<dyn Disk>, Journal) {
    let disk: Arc<dyn Disk> = Arc::new(RealDisk::open(folder).unwrap());
    let (journal, _) = Journal::open(Arc::clone(&disk), station()).unwrap();
    (disk, journal)
}

/// Checking the chain, file reads included, against hashing the same events from memory with as many threads.
fn check() -> bool {
    let folder = tempfile::tempdir().unwrap();
    let (disk, mut journal) = open(folder.path());
    for first in (1..=EVENTS).step_by(1_000) {
        journal
            .append(&(first..first + 1_000).map(typical).collect::<Vec<_>>())
            .unwrap();
        journal.commit().unwrap();
    }
    let files: Vec<Vec<u8>> = disk
        .list()
        .unwrap()
        .iter()
        .filter(|name| name.ends_with(".journal"))
        .map(|name| disk.read(name).unwrap())
        .collect();
    let segments: Vec<Vec<&[u8]>> = files.iter().map(|file| bodies(file)).collect();
    let events: usize = segments.iter().map(Vec::len).sum();
    assert_eq!(events as u64, EVENTS);
    let bytes: usize = segments.iter().flatten().map(|body| body.len()).sum();
    let threads = verify(disk.as_ref(), None).unwrap().threads;

    // Turn and turn about, so that whatever else the machine does hits all three alike; the best of each counts.
    let mut best = [Duration::MAX; 3];
    for _ in 0..ROUNDS {
        let verified = timed(|| {
            let found = verify(disk.as_ref(), Some(journal.durable())).unwrap();
            assert!(found.damage.is_none() && found.head.sequence == EVENTS);
        });
        let by_event = timed(|| {
            shared(threads, &segments, |segment| {
                for body in segment {
                    black_box(digest(&SHA256, body));
                }
            });
        });
        let by_file = timed(|| {
            shared(threads, &files, |file| {
                black_box(digest(&SHA256, file));
            })
        });
        for (best, now) in best.iter_mut().zip([verified, by_event, by_file]) {
            *best = now.min(*best);
        }
    }
    let [verified, by_event, by_file] = best.map(|time| time.as_secs_f64());
    println!(
        "check of {EVENTS} events of {} bytes in {} segments; {threads} threads for each of the three",
        bytes / events,
        files.len()
    );
    let rate = |seconds: f64| format!("{:.0} MB/s", bytes as f64 / seconds / 1e6);
    line("  verify, from the disk's cache", &rate(verified), "");
    line("  SHA-256 of the same events, from memory", &rate(by_event), "");
    line("  SHA-256 of whole files, from memory", &rate(by_file), "");
    line(
        "  events verified a second",
        &format!("{:.2} M/s", events as f64 / verified / 1e6),
        "",
    );
    let (ratio, streamed) = (by_event / verified, by_file / verified);
    line(
        "  verify ÷ SHA-256 of the same events",
        &format!("{ratio:.2}"),
        &format!("limit ≥ {VERIFY_LIMIT}"),
    );
    line(
        "  verify ÷ SHA-256 of whole files",
        &format!("{streamed:.2}"),
        "report",
    );
    ratio >= VERIFY_LIMIT
}

/// What is hashed of each event, found by the layout of a segment.
fn bodies(file: &[u8]) -> Vec<&[u8]> {
    let mut at = 16 + 41 + station().as_str().len() + 4;
    let mut bodies = Vec::new();
    while at < file.len() {
        let length = u32::from_le_bytes(file[at..at + 4].try_into().unwrap()) & 0x7fff_ffff;
        let end = at + 8 + length as usize;
        bodies.push(&file[at + 8..end]);
        at = end;
    }
    bodies
}

fn timed(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

fn shared<T: Sync>(threads: usize, items: &[T], work: impl Fn(&T) + Sync) {
    let next = AtomicUsize::new(0);
    let share = || {
        while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
            work(item);
        }
    };
    thread::scope(|scope| {
        for _ in 1..threads {
            scope.spawn(share);
        }
        share();
    });
}

/// Events one by one as fast as they can be handed over: how many a second become durable.
fn stream() -> bool {
    let folder = tempfile::tempdir().unwrap();
    let (_, journal) = open(folder.path());
    let events: Vec<_> = (1..=STREAMED).map(typical).collect();
    let (handle, mut receipts) = JournalThread::start(journal).unwrap();
    let start = Instant::now();
    for event in events {
        handle.submit(vec![event]).unwrap();
    }
    while block_on(receipts.next()).unwrap().unwrap().through() < STREAMED {}
    let took = start.elapsed().as_secs_f64();
    let counts = handle.counts();
    println!("{STREAMED} events handed over one by one");
    line(
        "  durable events a second",
        &format!("{:.0}", STREAMED as f64 / took),
        "report",
    );
    line(
        "  events in a group, on average",
        &format!("{:.0}", counts.events as f64 / counts.groups as f64),
        "report",
    );
    true
}

/// One event at a time, waiting for each receipt, against the same bytes written and synced by hand.
fn single() -> bool {
    let folder = tempfile::tempdir().unwrap();
    let (_, journal) = open(folder.path());
    let mut file = File::create(folder.path().join("by-hand")).unwrap();
    let bytes = vec![b'x'; serde_json::to_vec(&typical(1)).unwrap().len() + 40];
    let (handle, mut receipts) = JournalThread::start(journal).unwrap();
    let (mut by_journal, mut by_hand) = (Vec::new(), Vec::new());
    let opened = 1;
    for sequence in 1..=SINGLES {
        let event = vec![typical(sequence)];
        by_journal.push(timed(|| {
            handle.submit(event).unwrap();
            assert_eq!(block_on(receipts.next()).unwrap().unwrap().through(), sequence);
        }));
        by_hand.push(timed(|| {
            file.write_all(&bytes).unwrap();
            file.sync_data().unwrap();
        }));
    }
    let syncs = (handle.counts().syncs - opened) as f64 / SINGLES as f64;
    println!("{SINGLES} events, each waited for; {} bytes each", bytes.len());
    for (name, times) in [
        ("journal: from event to receipt", &mut by_journal),
        ("by hand: write and sync", &mut by_hand),
    ] {
        times.sort_unstable();
        let micros = |part: f64| times[(times.len() as f64 * part) as usize].as_secs_f64() * 1e6;
        line(
            &format!("  {name}, p50 / p99"),
            &format!("{:.0} / {:.0} µs", micros(0.5), micros(0.99)),
            "report",
        );
    }
    let half = by_journal.len() / 2;
    let ratio = by_journal[half].as_secs_f64() / by_hand[half].as_secs_f64();
    line("  journal ÷ by hand, p50", &format!("{ratio:.2}"), "report");
    line("  syncs for each event", &format!("{syncs:.2}"), "limit ≤ 1");
    drop(fs::remove_file(folder.path().join("by-hand")));
    syncs <= 1.0
}
