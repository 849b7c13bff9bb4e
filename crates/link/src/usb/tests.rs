mod lines;
mod renumbered;

use super::*;
use crate::{BenchEvent, Line, Port, pty, read_some, run_simulated, write_all};
use futures::StreamExt;
use futures::executor::{LocalPool, block_on};
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

/// A computer with USB, as far as a bench looks at it.
struct Fake {
    root: tempfile::TempDir,
}

/// A board on a [`Fake`]: the far ends of its ports A, C and D.
struct FakeBoard {
    far: Vec<File>,
}

impl Fake {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("sys/bus/usb/devices")).unwrap();
        fs::create_dir(root.path().join("dev")).unwrap();
        Self { root }
    }

    fn places(&self) -> Places {
        Places {
            sysfs: self.root.path().join("sys"),
            dev: self.root.path().join("dev"),
        }
    }

    fn bench(&self, clock: &Clock) -> UsbBench {
        UsbBench::new(self.places(), clock.clone())
    }

    fn device(&self, name: &str, attributes: &[(&str, &str)]) {
        let device = self.places().sysfs.join("bus/usb/devices").join(name);
        fs::create_dir_all(&device).unwrap();
        for (attribute, value) in attributes {
            fs::write(device.join(attribute), format!("{value}\n")).unwrap();
        }
    }

    /// Plugs a board in whose channels are the terminals `first` to `first + 3`.
    fn plug(&self, name: &str, number: u32, first: u32) -> FakeBoard {
        self.device(
            name,
            &[
                ("idVendor", "0403"),
                ("idProduct", "6011"),
                ("product", "MSFT MT3620 Std Interface"),
                ("serial", "AS4F2K1"),
                ("devnum", &number.to_string()),
            ],
        );
        let mut far = Vec::new();
        for channel in 0..4 {
            let tty = format!("ttyUSB{}", first + channel);
            let interface = self
                .places()
                .sysfs
                .join(format!("bus/usb/devices/{name}:1.{channel}"));
            fs::create_dir_all(interface.join(&tty)).unwrap();
            fs::write(interface.join("bInterfaceNumber"), format!("{channel:02}\n")).unwrap();
            let (end, path) = pty::pair();
            let _ = fs::remove_file(self.places().dev.join(&tty));
            std::os::unix::fs::symlink(path, self.places().dev.join(&tty)).unwrap();
            far.push(end);
        }
        FakeBoard { far }
    }

    fn unplug(&self, name: &str) {
        let devices = self.places().sysfs.join("bus/usb/devices");
        for entry in fs::read_dir(&devices).unwrap() {
            let entry = entry.unwrap();
            if entry.file_name().to_str().unwrap().split(':').next() == Some(name) {
                fs::remove_dir_all(entry.path()).unwrap();
            }
        }
    }
}

fn slot(text: &str) -> SlotPath {
    SlotPath::new(text).unwrap()
}

fn run<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()
        .unwrap();
    runtime.block_on(test)
}

#[test]
fn only_interface_boards_are_listed_by_their_connection_paths() {
    let fake = Fake::new();
    let _boards = (fake.plug("1-2.4", 7, 4), fake.plug("1-2.1.1", 9, 0));
    fake.device(
        "usb1",
        &[
            ("idVendor", "1d6b"),
            ("idProduct", "0002"),
            ("product", "Hub"),
            ("devnum", "1"),
        ],
    );
    // The same chip in some other product.
    let other = [
        ("idVendor", "0403"),
        ("idProduct", "6011"),
        ("product", "Quad RS232-HS"),
        ("devnum", "8"),
    ];
    fake.device("1-3", &other);
    fake.device("1-4", &[("idVendor", "0403"), ("idProduct", "6011")]);
    let listed = block_on(fake.bench(&Clock::by_hand().0).list()).unwrap();
    let board = |path: &str| BoardInfo {
        slot: slot(path),
        attachment: 1,
        board_serial: Some("AS4F2K1".into()),
        leased_by: None,
        trouble: None,
        device: None,
    };
    assert_eq!(listed, [board("12113"), board("1243")]);
}

#[test]
fn a_computer_without_usb_has_no_boards() {
    let root = tempfile::tempdir().unwrap();
    let places = Places {
        sysfs: root.path().join("sys"),
        dev: root.path().join("dev"),
    };
    assert_eq!(
        block_on(UsbBench::new(places, Clock::by_hand().0).list()),
        Ok(Vec::new())
    );
}

#[test]
fn ports_are_the_channels_of_the_board() {
    run(async {
        let fake = Fake::new();
        let mut ends = fake.plug("1-1", 3, 12);
        let bench = fake.bench(&Clock::precise());
        let mut board = bench.lease(&slot("usb:1-1"), "test").await.unwrap();
        assert_eq!(*board.slot(), slot("113"));
        for (port, channel) in [(Port::Debug, 0), (Port::Service, 2), (Port::Recovery, 3)] {
            let mut wire = board.open(port).unwrap();
            assert_eq!(board.open(port).map(drop), Err(LinkError::PortOpen), "{port:?}");
            let name = format!("{port:?}").into_bytes();
            write_all(wire.as_mut(), &name).await.unwrap();
            let mut got = vec![0; name.len()];
            ends.far[channel].read_exact(&mut got).unwrap();
            assert_eq!(got, name);
            ends.far[channel].write_all(b"!").unwrap();
            assert_eq!(read_some(wire.as_mut(), &mut got).await, Ok(1));
            drop(wire);
            board.open(port).unwrap();
        }
        // The terminals are there, the USB device behind them is not.
        let lacking = LinkError::Lacking { what: NO_LINES };
        assert_eq!(board.set_line(Line::Reset, true), Err(lacking));
    });
}

#[test]
fn the_driver_is_asked_to_deliver_early() {
    run(async {
        let fake = Fake::new();
        let _ends = fake.plug("1-1", 3, 0);
        let terminal = fake.places().sysfs.join("bus/usb-serial/devices/ttyUSB3");
        fs::create_dir_all(&terminal).unwrap();
        fs::write(terminal.join("latency_timer"), "16").unwrap();
        let mut board = fake
            .bench(&Clock::precise())
            .lease(&slot("113"), "test")
            .await
            .unwrap();
        drop(board.open(Port::Recovery).unwrap());
        assert_eq!(fs::read_to_string(terminal.join("latency_timer")).unwrap(), "1\n");
        // Where the driver has no such timer the port works all the same.
        drop(board.open(Port::Service).unwrap());
    });
}

#[test]
fn a_leased_board_is_refused_to_others_who_are_told_by_whom() {
    run(async {
        let fake = Fake::new();
        let _ends = (fake.plug("1-1", 3, 0), fake.plug("1-2", 4, 4));
        let clock = Clock::precise();
        let (first, second) = (fake.bench(&clock), fake.bench(&clock));
        let board = first.lease(&slot("113"), "run 7").await.unwrap();
        let leased = |holder: String| LinkError::Leased {
            slot: slot("113"),
            holder,
        };
        assert_eq!(
            first.lease(&slot("113"), "run 8").await.map(drop),
            Err(leased("run 7".into()))
        );
        assert_eq!(first.list().await.unwrap()[0].leased_by.as_deref(), Some("run 7"));

        // Another bench has only the kernel to ask.
        let refused = second.lease(&slot("113"), "run 8").await.map(drop).unwrap_err();
        let LinkError::Leased { holder, .. } = &refused else {
            panic!("{refused:?}")
        };
        assert!(
            holder.ends_with(&format!("(process {})", std::process::id())),
            "{holder}"
        );
        assert_eq!(second.list().await.unwrap()[0].leased_by.as_ref(), Some(holder));
        assert_eq!(second.list().await.unwrap()[1].leased_by, None);

        drop(board);
        drop(second.lease(&slot("113"), "run 8").await.unwrap());
        let missing = second.lease(&slot("999"), "run 8").await.map(drop);
        assert_eq!(missing, Err(LinkError::NoBoard { slot: slot("999") }));
    });
}

#[test]
fn ten_thousand_leases_leave_no_descriptor_behind() {
    run(async {
        let fake = Fake::new();
        let _ends = fake.plug("1-1", 3, 0);
        let bench = fake.bench(&Clock::by_hand().0);
        // Counts what leads to this board: other tests open things too.
        let terminal = fs::canonicalize(fake.places().dev.join("ttyUSB2")).unwrap();
        let open = || {
            let links = fs::read_dir("/proc/self/fd").unwrap();
            links
                .filter(|link| fs::read_link(link.as_ref().unwrap().path()).is_ok_and(|to| to == terminal))
                .count()
        };
        for cycle in 0..10_000 {
            let mut board = bench.lease(&slot("113"), "test").await.unwrap();
            if cycle % 100 == 0 {
                let wire = board.open(Port::Service).unwrap();
                assert_eq!(open(), 2);
                drop(wire);
            }
        }
        assert_eq!(open(), 0);
    });
}

#[test]
fn boards_that_come_and_go_are_told_even_between_two_looks() {
    let (clock, hands) = Clock::by_hand();
    let fake = Fake::new();
    let _first = fake.plug("1-1", 3, 0);
    let bench = fake.bench(&clock);
    let mut events = bench.watch();
    let mut pool = LocalPool::new();
    let mut next = || run_simulated(&hands, &mut pool, 1, events.next());
    let attached = |event: Option<Option<BenchEvent>>| match event {
        Some(Some(BenchEvent::Attached(info))) => (info.slot.to_string(), info.attachment),
        other => panic!("{other:?}"),
    };
    assert_eq!(attached(next()), ("113".into(), 1));
    assert_eq!(clock.now(), lineside_terms::Instant::ZERO);

    let _second = fake.plug("1-2", 4, 4);
    assert_eq!(attached(next()), ("123".into(), 1));

    // Gone and back while nobody looked: only its number tells.
    fake.unplug("1-1");
    let _again = fake.plug("1-1", 5, 8);
    assert_eq!(next(), Some(Some(BenchEvent::Detached(slot("113")))));
    assert_eq!(attached(next()), ("113".into(), 2));

    fake.unplug("1-2");
    assert_eq!(next(), Some(Some(BenchEvent::Detached(slot("123")))));
    // Nothing more happens.
    assert_eq!(next(), None);
    drop(bench);
    assert_eq!(next(), Some(None));
}

#[test]
fn a_board_without_its_driver_is_listed_with_its_trouble() {
    let fake = Fake::new();
    let board = [
        ("idVendor", "0403"),
        ("idProduct", "6011"),
        ("product", "MSFT MT3620 Std Interface"),
        ("devnum", "3"),
    ];
    fake.device("1-1", &board);
    let bench = fake.bench(&Clock::by_hand().0);
    let listed = block_on(bench.list()).unwrap();
    assert_eq!(
        listed[0].trouble.as_deref(),
        Some("the kernel offers no serial ports for it: load its driver ftdi_sio")
    );
    assert_eq!(listed[0].board_serial, None);
    let lease = block_on(bench.lease(&slot("113"), "test")).map(drop);
    assert_eq!(lease, Err(LinkError::Lacking { what: "such port" }));
}

const ROOT: &str = "LINESIDE_TEST_USB";

/// Runs `test`, one of the ignored ones below, in a process of its own on this computer.
fn other(test: &str, fake: &Fake) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    let name = format!("usb::tests::{test}");
    command
        .args([&name, "--exact", "--ignored", "--nocapture"])
        .env(ROOT, fake.root.path());
    command.stdout(Stdio::piped());
    command
}

/// The bench of the process that started this one.
fn inherited() -> Option<UsbBench> {
    let root = PathBuf::from(std::env::var_os(ROOT)?);
    Some(UsbBench::new(
        Places {
            sysfs: root.join("sys"),
            dev: root.join("dev"),
        },
        Clock::precise(),
    ))
}

#[test]
#[ignore = "the other process of a test below"]
fn prints_trouble() {
    let Some(bench) = inherited() else { return };
    println!("trouble: {:?}", block_on(bench.list()).unwrap()[0].trouble);
}

#[test]
#[ignore = "the other process of a test below"]
fn leases_until_killed() {
    let Some(bench) = inherited() else { return };
    run(async {
        let mut board = bench.lease(&slot("113"), "the doomed one").await.unwrap();
        let _wire = board.open(Port::Service).unwrap();
        println!("leased");
        std::future::pending::<()>().await;
    });
}

#[test]
fn the_lease_of_a_killed_process_ends_and_until_then_it_is_named() {
    run(async {
        let fake = Fake::new();
        let _ends = fake.plug("1-1", 3, 0);
        let mut doomed = other("leases_until_killed", &fake).spawn().unwrap();
        let output = BufReader::new(doomed.stdout.take().unwrap());
        assert!(output.lines().any(|line| line.unwrap().contains("leased")));
        let bench = fake.bench(&Clock::precise());
        let refused = bench.lease(&slot("113"), "heir").await.map(drop).unwrap_err();
        let LinkError::Leased { holder, .. } = refused else {
            panic!("{refused:?}")
        };
        assert!(
            holder.ends_with(&format!("(process {})", doomed.id())),
            "{holder}"
        );
        doomed.kill().unwrap();
        doomed.wait().unwrap();
        drop(bench.lease(&slot("113"), "heir").await.unwrap());
    });
}

#[test]
fn a_port_that_may_not_be_opened_is_told_when_listing() {
    let fake = Fake::new();
    let _ends = fake.plug("1-1", 3, 0);
    if !rustix::process::geteuid().is_root() {
        // Only root can become somebody with fewer rights; somebody else takes them from the file.
        let terminal = fs::canonicalize(fake.places().dev.join("ttyUSB2")).unwrap();
        fs::set_permissions(&terminal, std::os::unix::fs::PermissionsExt::from_mode(0o000)).unwrap();
    }
    let listed = if rustix::process::geteuid().is_root() {
        const NOBODY: u32 = 65534;
        fs::set_permissions(
            fake.root.path(),
            std::os::unix::fs::PermissionsExt::from_mode(0o755),
        )
        .unwrap();
        let output = other("prints_trouble", &fake)
            .uid(NOBODY)
            .gid(NOBODY)
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    } else {
        format!(
            "{:?}",
            block_on(fake.bench(&Clock::by_hand().0).list()).unwrap()[0].trouble
        )
    };
    assert!(listed.contains("ttyUSB2: Permission denied"), "{listed}");
    assert!(listed.contains("give this user the right"), "{listed}");
}
