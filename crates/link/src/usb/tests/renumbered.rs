//! Boards that stay in their sockets while the system gives their numbers and names to one another, as it does when a hub
//! comes back: terminals, device numbers and the order of lists change, places do not.

use super::*;
use crate::ftdi::{Channel, Chip, Transport};
use crate::usb::linux::Inner;
use rustix::fs::{FileType, Mode};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::JoinHandle;

const SOCKETS: [&str; 3] = ["1-1", "1-2", "1-3"];
const SLOTS: [&str; 3] = ["113", "123", "133"];

/// Boards whose far ends stay the same ones, whatever they are called.
struct Hub {
    fake: Fake,
    /// Of each board and channel: the far end, and where the kernel's end is.
    ends: Vec<[(File, PathBuf); 4]>,
    /// The number that the kernel gave last.
    number: AtomicU32,
}

impl Hub {
    fn new() -> Self {
        let ends = SOCKETS.map(|_| [0; 4].map(|_| pty::pair()));
        let hub = Self {
            fake: Fake::new(),
            ends: ends.into(),
            number: AtomicU32::new(0),
        };
        hub.come_back(0);
        hub
    }

    /// All boards leave and come back, each in its own socket and with other numbers. What one was called, another is.
    fn come_back(&self, order: usize) {
        SOCKETS.iter().for_each(|socket| self.fake.unplug(socket));
        for turn in 0..SOCKETS.len() {
            let board = (turn + order) % SOCKETS.len();
            let number = self.number.fetch_add(1, Ordering::Relaxed) + 1;
            let first = turn * 4;
            for (channel, (_, terminal)) in self.ends[board].iter().enumerate() {
                let tty = format!("ttyUSB{}", first + channel);
                let node = self.fake.places().dev.join(&tty);
                let _ = fs::remove_file(&node);
                std::os::unix::fs::symlink(terminal, node).unwrap();
                let devices = self.fake.places().sysfs.join("bus/usb/devices");
                fs::create_dir_all(devices.join(format!("{}:1.{channel}/{tty}", SOCKETS[board]))).unwrap();
            }
            let number = number.to_string();
            let told = [
                ("idVendor", "0403"),
                ("idProduct", "6011"),
                ("product", "MSFT MT3620 Std Interface"),
                ("devnum", number.as_str()),
            ];
            self.fake.device(SOCKETS[board], &told);
        }
    }

    /// As [`Self::come_back`], while the next look reads what the system tells of a board: it has its numbers already.
    fn come_back_in_the_next_look(self: &Arc<Self>, board: usize, order: usize) -> JoinHandle<()> {
        let pipe = self.fake.root.path().join("pipe");
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        let devices = self.fake.places().sysfs.join("bus/usb/devices");
        // The last thing that is read.
        std::os::unix::fs::symlink(&pipe, devices.join(SOCKETS[board]).join("serial")).unwrap();
        let hub = Arc::clone(self);
        std::thread::spawn(move || {
            // Waits for who looks.
            let mut told = fs::OpenOptions::new().write(true).open(pipe).unwrap();
            hub.come_back(order);
            told.write_all(b"AS4F2K1\n").unwrap();
        })
    }

    /// What the boards received until now.
    fn received(&self) -> Vec<String> {
        let text = |ends: &[(File, PathBuf); 4]| {
            let mut all = Vec::new();
            for (far, _) in ends {
                rustix::io::ioctl_fionbio(far, true).unwrap();
                let mut bytes = [0; 4096];
                while let Ok(count @ 1..) = (&*far).read(&mut bytes) {
                    all.extend_from_slice(&bytes[..count]);
                }
            }
            String::from_utf8(all).unwrap()
        };
        self.ends.iter().map(text).collect()
    }

    /// Every board got what was meant for its socket alone.
    #[track_caller]
    fn nobody_got_what_was_another_s(&self) {
        let received = self.received();
        for (text, slot) in received.iter().zip(SLOTS) {
            let strange = text.split_inclusive(';').find(|mark| *mark != format!("{slot};"));
            assert_eq!(strange, None, "at {slot}");
        }
    }
}

/// Says to a board which socket it is meant for.
async fn mark(wire: &mut dyn crate::Wire, slot: &str) {
    let _ = write_all(wire, format!("{slot};").as_bytes()).await;
}

#[test]
fn a_board_in_hand_is_gone_when_its_numbers_are_another_s() {
    run(async {
        let hub = Hub::new();
        let bench = hub.fake.bench(&Clock::precise());
        for order in 1..=SOCKETS.len() * 2 {
            let mut boards = Vec::new();
            for name in SLOTS {
                let mut board = bench.lease(&slot(name), "a run").await.unwrap();
                let mut wire = board.open(Port::Service).unwrap();
                mark(wire.as_mut(), name).await;
                let service = &hub.ends[boards.len()][2].0;
                let mut got = [0; 4];
                (&*service).read_exact(&mut got).unwrap();
                assert_eq!(got, *format!("{name};").as_bytes());
                boards.push(board);
            }
            hub.come_back(order);
            for board in &mut boards {
                for port in [Port::Debug, Port::Service, Port::Recovery] {
                    assert_eq!(board.open(port).map(drop), Err(LinkError::Departed), "{port:?}");
                }
                assert_eq!(board.set_line(Line::Reset, true), Err(LinkError::Departed));
            }
        }
        hub.nobody_got_what_was_another_s();
    });
}

/// When a bench asked the system where a board is, the numbers change before it does anything with the answer.
#[test]
fn numbers_that_change_between_a_look_and_an_opening_lead_to_no_other_board() {
    #[derive(Debug, Clone, Copy)]
    enum Moment {
        Lease,
        Open(Port),
        Line,
    }
    let moments = [
        Moment::Lease,
        Moment::Open(Port::Debug),
        Moment::Open(Port::Service),
        Moment::Open(Port::Recovery),
        Moment::Line,
    ];
    for (turn, moment) in moments.into_iter().cycle().take(moments.len() * 2).enumerate() {
        run(async {
            let hub = Arc::new(Hub::new());
            let name = SLOTS[turn % SLOTS.len()];
            // Lines would be driven, if it came to that.
            let chips = |_: &_| -> Result<Box<dyn Chip>, LinkError> { Ok(Box::new(NoChip)) };
            let bench = Rc::new(Inner::with(hub.fake.places(), Clock::precise(), Rc::new(chips)));
            let mut board = match moment {
                Moment::Lease => None,
                _ => Some(bench.lease(&slot(name), "a run").await.unwrap()),
            };
            let meanwhile = hub.come_back_in_the_next_look(turn % SLOTS.len(), 1 + turn % 2);
            let outcome = match (&mut board, moment) {
                (None, _) => bench.lease(&slot(name), "a run").await.map(drop),
                (Some(board), Moment::Open(port)) => match board.open(port) {
                    Err(error) => Err(error),
                    Ok(mut wire) => {
                        mark(wire.as_mut(), name).await;
                        Ok(())
                    }
                },
                (Some(board), _) => board.set_line(Line::Reset, true),
            };
            meanwhile.join().unwrap();
            let expected = match moment {
                // It was opened with the lease, and is the board's own, whatever that is called now.
                Moment::Open(Port::Service) => Ok(()),
                _ => Err(LinkError::Departed),
            };
            assert_eq!(outcome, expected, "{moment:?}");
            hub.nobody_got_what_was_another_s();
        });
    }
}

/// A chip that nobody may come to ask for anything but to let its lines go.
struct NoChip;

impl Chip for NoChip {
    fn open(&self, channel: Channel) -> Result<Box<dyn Transport>, LinkError> {
        panic!("{channel:?} of a board that was another one's");
    }

    fn release_lines(&self) -> Result<(), LinkError> {
        Ok(())
    }
}
