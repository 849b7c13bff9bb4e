use super::*;
use crate::{pty, read_some, write_all};
use futures::FutureExt;
use std::io::{Read, Write};

/// Runs a test in a runtime whose I/O works.
fn run<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()
        .unwrap();
    runtime.block_on(test)
}

#[test]
fn every_byte_passes_both_ways_as_it_is() {
    run(async {
        let (mut far, path) = pty::pair();
        let mut wire = SerialWire::open(&path, LineSettings::SERVICE, &Clock::precise()).unwrap();
        let all: Vec<u8> = (0..=255).collect();
        write_all(&mut wire, &all).await.unwrap();
        let mut there = [0; 256];
        far.read_exact(&mut there).unwrap();
        assert_eq!(there, *all);

        far.write_all(&all).unwrap();
        let mut back = Vec::new();
        let mut buffer = [0; 100];
        while back.len() < all.len() {
            let count = read_some(&mut wire, &mut buffer).await.unwrap();
            back.extend_from_slice(&buffer[..count]);
        }
        assert_eq!(back, all);
    });
}

#[test]
fn a_port_belongs_to_one_until_dropped() {
    run(async {
        let (_far, path) = pty::pair();
        let clock = Clock::precise();
        let wire = SerialWire::open(&path, LineSettings::CONSOLE, &clock).unwrap();
        let refused = SerialWire::open(&path, LineSettings::CONSOLE, &clock).map(drop);
        assert_eq!(refused, Err(LinkError::PortOpen));
        drop(wire);
        SerialWire::open(&path, LineSettings::CONSOLE, &clock).unwrap();
    });
}

#[test]
fn what_was_received_before_is_not_read() {
    run(async {
        let (mut far, path) = pty::pair();
        let clock = Clock::precise();
        let wire = SerialWire::open(&path, LineSettings::CONSOLE, &clock).unwrap();
        far.write_all(b"old").unwrap();
        drop(wire);
        let mut wire = SerialWire::open(&path, LineSettings::CONSOLE, &clock).unwrap();
        far.write_all(b"new").unwrap();
        let mut buffer = [0; 8];
        let count = read_some(&mut wire, &mut buffer).await.unwrap();
        assert_eq!(&buffer[..count], b"new");
    });
}

#[test]
fn a_port_whose_other_end_goes_has_departed() {
    run(async {
        let (mut far, path) = pty::pair();
        let mut wire = SerialWire::open(&path, LineSettings::CONSOLE, &Clock::precise()).unwrap();
        far.write_all(b"bye").unwrap();
        drop(far);
        let mut buffer = [0; 8];
        // A pseudo-terminal may or may not keep its last words.
        let mut read = read_some(&mut wire, &mut buffer).await;
        if read.is_ok() {
            read = read_some(&mut wire, &mut buffer).await;
        }
        assert_eq!(read, Err(LinkError::Departed));
        assert_eq!(write_all(&mut wire, b"x").await, Err(LinkError::Departed));
        assert_eq!(wire.configure(LineSettings::SERVICE), Err(LinkError::Departed));
    });
}

#[test]
fn what_is_no_port_is_told() {
    run(async {
        let missing = SerialWire::open(
            Path::new("/dev/no-such-port"),
            LineSettings::CONSOLE,
            &Clock::precise(),
        );
        let missing = missing.map(drop).unwrap_err();
        assert_eq!(
            missing.to_string(),
            "could not open /dev/no-such-port: No such file or directory (os error 2)"
        );
        let file = tempfile::NamedTempFile::new().unwrap();
        let plain = SerialWire::open(file.path(), LineSettings::CONSOLE, &Clock::precise()).map(drop);
        assert!(matches!(plain, Err(LinkError::Io { .. })), "{plain:?}");
    });
}

fn speed(wire: &SerialWire) -> u32 {
    wire.tty.speed()
}

#[test]
fn settings_change_only_after_what_was_taken_has_left() {
    run(async {
        let (_far, path) = pty::pair();
        let (clock, hands) = Clock::by_hand();
        let mut wire = SerialWire::open(&path, LineSettings::CONSOLE, &clock).unwrap();
        // 1152 bytes at 115200 baud take 100 ms.
        write_all(&mut wire, &[0x55; 1152]).await.unwrap();
        wire.configure(LineSettings {
            baud: 3_000_000,
            rts_cts: true,
        })
        .unwrap();
        let mut buffer = [0; 8];
        hands.move_to(Instant::ZERO + Duration::from_millis(99));
        assert_eq!(read_some(&mut wire, &mut buffer).now_or_never(), None);
        assert_eq!(write_all(&mut wire, b"fast").now_or_never(), None);
        assert_eq!(speed(&wire), 115_200);
        hands.move_to(Instant::ZERO + Duration::from_millis(100));
        write_all(&mut wire, b"fast").await.unwrap();
        assert_eq!(speed(&wire), 3_000_000);
    });
}

#[test]
fn settings_change_at_once_when_nothing_is_under_way() {
    run(async {
        let (_far, path) = pty::pair();
        let mut wire = SerialWire::open(&path, LineSettings::CONSOLE, &Clock::by_hand().0).unwrap();
        wire.configure(LineSettings::SERVICE).unwrap();
        assert_eq!(speed(&wire), 921_600);
    });
}

#[test]
fn a_full_port_takes_more_only_when_somebody_reads() {
    run(async {
        let (mut far, path) = pty::pair();
        let mut wire = SerialWire::open(&path, LineSettings::SERVICE, &Clock::precise()).unwrap();
        let mut sent = 0;
        // As much as the kernel keeps; the writing loop stops when nothing is taken any more.
        loop {
            let taken = std::future::poll_fn(|cx| match wire.poll_write(cx, &[7; 4096]) {
                Poll::Ready(taken) => Poll::Ready(Some(taken)),
                Poll::Pending => Poll::Ready(None),
            });
            match taken.await {
                Some(count) => sent += count.unwrap(),
                None => break,
            }
        }
        let reader = std::thread::spawn(move || {
            let mut buffer = vec![0; sent + 1];
            far.read_exact(&mut buffer).unwrap();
            (far, buffer)
        });
        write_all(&mut wire, &[7]).await.unwrap();
        let (_far, got) = reader.join().unwrap();
        assert!(got.iter().all(|byte| *byte == 7));
    });
}
