//! Boards lent from one end of a socket to the other, both ends on one thread.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test may fail by panicking"
)]

mod toy;

use std::future::poll_fn;
use std::task::Poll;

use futures::future::{join_all, poll_immediate};
use futures::{FutureExt, StreamExt};
use lineside_link::remote::WINDOW;
use lineside_link::{
    Bench, BenchEvent, Line, LineSettings, LinkError, Port, Wire, WireHealth, read_some, write_all,
};
use toy::{ToyBench, connect, lend, on_a_local_set, slot, token_file, until, way_in};

fn bytes(length: usize, seed: usize) -> Vec<u8> {
    (0..length)
        .map(|index| (index * 31 + index / 251 + seed) as u8)
        .collect()
}

async fn read_exactly(wire: &mut dyn Wire, length: usize) -> Vec<u8> {
    let mut got = vec![0; length];
    let mut filled = 0;
    while filled < length {
        filled += read_some(wire, &mut got[filled..]).await.unwrap();
    }
    got
}

fn boards_are_listed_leased_and_given_back(loopback: bool) {
    on_a_local_set(async {
        let dir = tempfile::tempdir().unwrap();
        let bench = ToyBench::new(3, 64);
        let _serving = lend(dir.path(), &bench, loopback);
        let (first, second) = (connect(dir.path()).await, connect(dir.path()).await);

        let listed = first.list().await.unwrap();
        assert_eq!(listed, bench.list().await.unwrap());

        let board = first.lease(&slot(1), "run 7").await.unwrap();
        assert_eq!(board.slot(), &slot(1));
        assert_eq!(
            second.list().await.unwrap()[1].leased_by.as_deref(),
            Some("run 7")
        );
        let refused = second.lease(&slot(1), "run 8").await.map(drop).unwrap_err();
        assert_eq!(
            refused,
            LinkError::Leased {
                slot: slot(1),
                holder: "run 7".into()
            }
        );
        let missing = second.lease(&slot(9), "run 8").await.map(drop).unwrap_err();
        assert_eq!(missing, LinkError::NoBoard { slot: slot(9) });

        drop(board);
        // The same client gets it back at once: its wish stands behind its own release.
        drop(first.lease(&slot(1), "run 9").await.unwrap());
        until(|| bench.leased() == 0).await;
        drop(second.lease(&slot(1), "run 8").await.unwrap());
    });
}

#[test]
fn boards_are_listed_leased_and_given_back_by_unix_socket() {
    boards_are_listed_leased_and_given_back(false);
}

#[test]
fn boards_are_listed_leased_and_given_back_by_loopback() {
    boards_are_listed_leased_and_given_back(true);
}

#[test]
fn a_client_without_the_token_gets_nothing() {
    on_a_local_set(async {
        let dir = tempfile::tempdir().unwrap();
        let bench = ToyBench::new(1, 64);
        let _serving = lend(dir.path(), &bench, true);
        let file = token_file(dir.path());
        let right = std::fs::read_to_string(&file).unwrap();
        let wrong: String = right
            .trim_end()
            .chars()
            .map(|digit| if digit == '0' { '1' } else { '0' })
            .collect();
        std::fs::write(&file, wrong).unwrap();
        let refused = lineside_link::remote::RemoteBench::connect(dir.path())
            .await
            .unwrap_err();
        assert!(matches!(refused, LinkError::NoBench { .. }), "{refused:?}");
        std::fs::write(&file, right).unwrap();
        assert_eq!(connect(dir.path()).await.list().await.unwrap().len(), 1);
    });
}

#[test]
fn a_watch_tells_what_is_there_what_changes_and_the_end() {
    on_a_local_set(async {
        let dir = tempfile::tempdir().unwrap();
        let bench = ToyBench::new(2, 64);
        let serving = lend(dir.path(), &bench, false);
        let client = connect(dir.path()).await;
        let mut events = client.watch();
        for number in 0..2 {
            let Some(BenchEvent::Attached(info)) = events.next().await else {
                panic!("nothing is there")
            };
            assert_eq!(info.slot, slot(number));
        }
        bench.tell(BenchEvent::Detached(slot(1)));
        assert_eq!(events.next().await, Some(BenchEvent::Detached(slot(1))));

        let other = client.watch();
        until(|| bench.watchers() == 2).await;
        drop(other);
        until(|| bench.watchers() == 1).await;

        serving.stop();
        assert_eq!(events.next().await, None);
        assert_eq!(client.list().await, Err(LinkError::Departed));
        assert_eq!(client.watch().next().await, None);
    });
}

#[test]
fn much_data_crosses_all_wires_both_ways_unchanged() {
    const BOARDS: usize = 4;
    const LENGTH: usize = 10 * WINDOW as usize + 17;
    on_a_local_set(async {
        let dir = tempfile::tempdir().unwrap();
        let bench = ToyBench::new(BOARDS, 1000);
        let _serving = lend(dir.path(), &bench, false);
        let client = connect(dir.path()).await;
        let work = (0..BOARDS).map(|number| {
            let (client, bench) = (&client, &bench);
            async move {
                let mut board = client.lease(&slot(number), "test").await.unwrap();
                let mut near = board.open(Port::Service).unwrap();
                let mut far = bench.far_end(&slot(number), Port::Service).await;
                let (there, back) = (bytes(LENGTH, number), bytes(LENGTH, 100 + number));
                for (from, to, data) in [(true, false, &there), (false, true, &back)] {
                    assert_ne!(from, to);
                    let (sender, receiver): (&mut dyn Wire, &mut dyn Wire) = if from {
                        (near.as_mut(), &mut far)
                    } else {
                        (&mut far, near.as_mut())
                    };
                    let send = write_all(sender, data).map(Result::unwrap);
                    let ((), got) = futures::join!(send, read_exactly(receiver, LENGTH));
                    assert!(got == *data, "board {number} got something else");
                }
            }
        });
        join_all(work).await;
    });
}

#[test]
fn a_stalled_wire_blocks_no_other_one() {
    on_a_local_set(async {
        let dir = tempfile::tempdir().unwrap();
        let bench = ToyBench::new(2, 100);
        let _serving = lend(dir.path(), &bench, false);
        let client = connect(dir.path()).await;
        let mut board = client.lease(&slot(1), "test").await.unwrap();

        // Nobody reads the far end of this one, and nobody reads what the far end of that one sends.
        let mut deaf = board.open(Port::Recovery).unwrap();
        let mut stuffed = 0;
        poll_fn(|cx| {
            loop {
                match deaf.poll_write(cx, &[0; 4096]) {
                    Poll::Ready(count) => stuffed += count.unwrap(),
                    // All that both ends may keep, and not a byte more.
                    Poll::Pending if stuffed == WINDOW as usize + 100 => return Poll::Ready(()),
                    Poll::Pending if stuffed > WINDOW as usize + 100 => panic!("{stuffed} bytes are kept"),
                    Poll::Pending => return Poll::Pending,
                }
            }
        })
        .now_or_never();
        let _unread = board.open(Port::Debug).unwrap();
        let mut babbling = bench.far_end(&slot(1), Port::Debug).await;
        let babble = tokio::task::spawn_local(async move {
            let _ = write_all(&mut babbling, &bytes(10 * WINDOW as usize, 0)).await;
        });

        let mut near = board.open(Port::Service).unwrap();
        let mut far = bench.far_end(&slot(1), Port::Service).await;
        let data = bytes(3 * WINDOW as usize, 5);
        let send = write_all(near.as_mut(), &data).map(Result::unwrap);
        let ((), got) = futures::join!(send, read_exactly(&mut far, data.len()));
        assert!(got == data);
        assert!(stuffed >= WINDOW as usize && !babble.is_finished());
    });
}

#[test]
fn what_is_asked_of_a_board_is_done_in_order() {
    on_a_local_set(async {
        let dir = tempfile::tempdir().unwrap();
        let bench = ToyBench::new(2, 100);
        bench.allow(100);
        let _serving = lend(dir.path(), &bench, false);
        let client = connect(dir.path()).await;
        let mut board = client.lease(&slot(1), "test").await.unwrap();
        let mut wire = board.open(Port::Service).unwrap();
        assert_eq!(board.open(Port::Service).map(drop), Err(LinkError::PortOpen));
        let mut other = board.open(Port::Recovery).unwrap();
        write_all(wire.as_mut(), b"one").await.unwrap();
        wire.configure(LineSettings::CONSOLE).unwrap();
        wire.set_packet_boundary(Some(0xc0));
        write_all(wire.as_mut(), b"two").await.unwrap();
        write_all(other.as_mut(), b"three").await.unwrap();
        board.set_line(Line::Reset, true).unwrap();
        write_all(other.as_mut(), b"four").await.unwrap();
        board.set_line(Line::Reset, false).unwrap();
        drop(wire);
        let mut wire = board.open(Port::Service).unwrap();
        write_all(wire.as_mut(), b"five").await.unwrap();
        wire.configure(LineSettings::SERVICE).unwrap();
        // The wire answers its settings: by then everything before has been done.
        read_exactly(wire.as_mut(), 1).await;
        until(|| wire.health() == WireHealth { overruns: 7 }).await;
        drop(board);
        assert_eq!(read_some(wire.as_mut(), &mut [0]).await, Err(LinkError::Departed));
        assert_eq!(write_all(wire.as_mut(), b"six").await, Err(LinkError::Departed));
        until(|| bench.leased() == 0).await;

        let log = bench.log();
        let at = |event: &str| {
            log.iter()
                .position(|line| line == event)
                .unwrap_or_else(|| panic!("{event}: {log:?}"))
        };
        let in_order = |events: &[&str]| {
            assert!(events.is_sorted_by_key(|event| at(event)), "{log:?}");
        };
        in_order(&[
            "open Service",
            "Service takes one",
            "Service at 115200",
            "Service boundary Some(192)",
            "Service takes two",
            "Reset true",
            "Reset false",
            "Service closed",
            "Service takes five",
            "Service at 921600",
            "released",
        ]);
        in_order(&[
            "Recovery takes three",
            "Reset true",
            "Recovery takes four",
            "Reset false",
        ]);
        assert_eq!(
            log.last().unwrap(),
            "released",
            "wires end before their board: {log:?}"
        );
    });
}

#[test]
fn a_board_whose_wire_is_stuck_can_still_be_reset_and_then_goes_on() {
    on_a_local_set(async {
        let dir = tempfile::tempdir().unwrap();
        let bench = ToyBench::new(2, 100);
        bench.allow(3);
        let _serving = lend(dir.path(), &bench, false);
        let client = connect(dir.path()).await;
        let mut board = client.lease(&slot(1), "test").await.unwrap();
        let mut wire = board.open(Port::Service).unwrap();
        write_all(wire.as_mut(), b"stuck").await.unwrap();
        board.set_line(Line::Reset, true).unwrap();
        board.set_line(Line::Reset, false).unwrap();
        write_all(wire.as_mut(), b"later").await.unwrap();
        until(|| bench.log().contains(&"Reset false".into())).await;
        bench.allow(100);
        until(|| bench.log().contains(&"Service takes later".into())).await;
        let log = bench.log();
        let expected = [
            "open Service",
            "Service takes stu",
            "Reset true",
            "Reset false",
            "Service takes ck",
            "Service takes later",
        ];
        assert_eq!(log, expected);
    });
}

#[test]
fn what_the_lender_refuses_is_told_by_the_wire_or_the_next_call() {
    on_a_local_set(async {
        let dir = tempfile::tempdir().unwrap();
        let bench = ToyBench::new(1, 64);
        let _serving = lend(dir.path(), &bench, false);
        let client = connect(dir.path()).await;
        let mut board = client.lease(&slot(0), "test").await.unwrap();

        let mut wire = board.open(Port::Debug).unwrap();
        let lacking = Err(LinkError::Lacking { what: "such port" });
        assert_eq!(read_some(wire.as_mut(), &mut [0]).await, lacking);
        assert_eq!(write_all(wire.as_mut(), b"x").await, lacking.map(drop));

        board.set_line(Line::RecoveryStrap, true).unwrap();
        // An answer that was asked for later: the refusal is here by then.
        client.list().await.unwrap();
        let refused = board.set_line(Line::Reset, true);
        assert_eq!(refused, Err(LinkError::Lacking { what: "reset line" }));
        board.set_line(Line::Reset, true).unwrap();
    });
}

#[test]
fn a_board_that_goes_is_read_to_the_end_first() {
    on_a_local_set(async {
        let dir = tempfile::tempdir().unwrap();
        let bench = ToyBench::new(1, 64);
        let _serving = lend(dir.path(), &bench, false);
        let client = connect(dir.path()).await;
        let mut board = client.lease(&slot(0), "test").await.unwrap();
        let mut near = board.open(Port::Service).unwrap();
        let mut far = bench.far_end(&slot(0), Port::Service).await;
        write_all(&mut far, b"last words").await.unwrap();
        drop(far);
        assert_eq!(read_exactly(near.as_mut(), 10).await, b"last words");
        for _ in 0..2 {
            assert_eq!(read_some(near.as_mut(), &mut [0]).await, Err(LinkError::Departed));
        }
        while write_all(near.as_mut(), b"anybody there?").await.is_ok() {
            tokio::task::yield_now().await;
        }
    });
}

#[test]
fn a_lease_that_nobody_waits_for_any_more_is_taken_back() {
    on_a_local_set(async {
        let dir = tempfile::tempdir().unwrap();
        let bench = ToyBench::new(1, 64);
        let _serving = lend(dir.path(), &bench, false);
        let client = connect(dir.path()).await;
        for turns in 0..20 {
            let mut lease = client.lease(&slot(0), "impatient");
            for _ in 0..turns {
                if poll_immediate(&mut lease).await.is_some() {
                    break;
                }
                tokio::task::yield_now().await;
            }
            drop(lease);
            until(|| bench.leased() == 0).await;
            drop(client.lease(&slot(0), "patient").await.unwrap());
        }
    });
}

#[test]
fn when_the_lender_goes_everybody_is_told() {
    on_a_local_set(async {
        let dir = tempfile::tempdir().unwrap();
        let bench = ToyBench::new(1, 64);
        let serving = lend(dir.path(), &bench, false);
        let client = connect(dir.path()).await;
        let mut board = client.lease(&slot(0), "test").await.unwrap();
        let mut wire = board.open(Port::Service).unwrap();
        serving.stop();
        assert_eq!(read_some(wire.as_mut(), &mut [0]).await, Err(LinkError::Departed));
        assert_eq!(write_all(wire.as_mut(), b"x").await, Err(LinkError::Departed));
        assert_eq!(board.set_line(Line::Reset, true), Err(LinkError::Departed));
        assert_eq!(board.open(Port::Recovery).map(drop), Err(LinkError::Departed));
        assert_eq!(
            client.lease(&slot(0), "again").await.map(drop),
            Err(LinkError::Departed)
        );
        until(|| bench.leased() == 0).await;
        assert!(!way_in(dir.path()).exists());
        let nobody = lineside_link::remote::RemoteBench::connect(dir.path())
            .await
            .unwrap_err();
        assert_eq!(
            nobody,
            LinkError::NoBench {
                place: dir.path().display().to_string()
            }
        );
    });
}

#[test]
fn a_bench_that_fails_ends_the_client_that_it_failed_for_and_no_other() {
    on_a_local_set(async {
        let dir = tempfile::tempdir().unwrap();
        let bench = ToyBench::new(2, 64);
        let _serving = lend(dir.path(), &bench, false);
        let (lucky, unlucky) = (connect(dir.path()).await, connect(dir.path()).await);
        let mut board = lucky.lease(&slot(0), "test").await.unwrap();
        let _other = unlucky.lease(&slot(1), "test").await.unwrap();
        let failed = unlucky.lease(&slot(1), toy::FATAL).await.map(drop);
        assert_eq!(
            failed,
            Err(LinkError::Foreign {
                reason: "the lending program failed".into()
            })
        );
        until(|| bench.leased() == 1).await;
        board.set_line(Line::Reset, true).unwrap();
        assert_eq!(lucky.list().await.unwrap().len(), 2);
    });
}

#[test]
fn a_connection_ends_with_the_last_who_uses_it_and_gives_everything_back() {
    on_a_local_set(async {
        let dir = tempfile::tempdir().unwrap();
        let bench = ToyBench::new(1, 64);
        let _serving = lend(dir.path(), &bench, false);
        let client = connect(dir.path()).await;
        let mut board = client.lease(&slot(0), "test").await.unwrap();
        drop(client);
        let wire = board.open(Port::Service).unwrap();
        let far = bench.far_end(&slot(0), Port::Service).await;
        drop((board, wire));
        until(|| bench.leased() == 0).await;
        drop(far);
    });
}

#[test]
fn two_lenders_cannot_share_a_place_and_what_a_dead_one_left_is_replaced() {
    on_a_local_set(async {
        let dir = tempfile::tempdir().unwrap();
        let bench = ToyBench::new(1, 64);
        let serving = lend(dir.path(), &bench, false);
        for loopback in [false, true] {
            let bind = if loopback {
                lineside_link::remote::Lending::bind_loopback(dir.path())
            } else {
                lineside_link::remote::Lending::bind(dir.path())
            };
            let taken = bind.map(drop).unwrap_err();
            assert!(matches!(taken, LinkError::BenchTaken { .. }), "{taken:?}");
        }
        // The one who lends was not disturbed by that.
        assert_eq!(connect(dir.path()).await.list().await.unwrap().len(), 1);
        serving.stop();
        until(|| !way_in(dir.path()).exists()).await;

        // What a killed lender leaves: its socket, its port file, its lock file without the lock.
        #[cfg(unix)]
        drop(std::os::unix::net::UnixListener::bind(way_in(dir.path())).unwrap());
        std::fs::write(dir.path().join("bench.port"), "nonsense").unwrap();
        let _serving = lend(dir.path(), &bench, false);
        assert_eq!(connect(dir.path()).await.list().await.unwrap().len(), 1);
    });
}

#[test]
fn a_place_with_a_long_name_will_do() {
    on_a_local_set(async {
        let dir = tempfile::tempdir().unwrap();
        let deep = dir
            .path()
            .join("a-name-that-is-much-too-long-for-the-address-of-a-socket".repeat(3));
        std::fs::create_dir(&deep).unwrap();
        let bench = ToyBench::new(1, 64);
        let _serving = lend(&deep, &bench, false);
        assert_eq!(connect(&deep).await.list().await.unwrap().len(), 1);
    });
}

#[test]
#[cfg(target_os = "linux")]
fn ten_thousand_leases_leave_no_descriptor_behind() {
    on_a_local_set(async {
        let dir = tempfile::tempdir().unwrap();
        let bench = ToyBench::new(4, 64);
        let _serving = lend(dir.path(), &bench, false);
        let client = connect(dir.path()).await;
        let descriptors = || std::fs::read_dir("/proc/self/fd").unwrap().count();
        let mut before = 0;
        for cycle in 0..10_000 {
            let mut board = client.lease(&slot(cycle % 4), "cycle").await.unwrap();
            if cycle % 100 == 0 {
                // Another process would do just this.
                let other = connect(dir.path()).await;
                drop(other.lease(&slot((cycle + 1) % 4), "other").await.unwrap());
                until(|| bench.leased() == 1).await;
            }
            if cycle % 10 == 0 {
                let mut near = board.open(Port::Service).unwrap();
                let mut far = bench.far_end(&slot(cycle % 4), Port::Service).await;
                write_all(near.as_mut(), b"ping").await.unwrap();
                read_exactly(&mut far, 4).await;
            }
            drop(board);
            if cycle == 1_000 {
                before = descriptors();
            }
        }
        until(|| bench.leased() == 0).await;
        // Connections of the others may still be closing: a few of hundreds.
        until(|| descriptors() <= before).await;
    });
}
