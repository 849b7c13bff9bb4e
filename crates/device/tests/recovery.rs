//! Writing an OS against the device's side as a pure machine, on a board that is nothing but two lines and a wire, under
//! a clock moved by hand. The simulator is not between them: what it might forgive is seen here.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::cell::{Cell, RefCell};
use std::future::{Future, pending, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use futures::executor::LocalPool;
use futures::task::LocalSpawnExt as _;
use lineside_device::recovery::{Admitted, Broken, Recovery, RecoveryCell, write_os};
use lineside_image::{ImageSet, Package, RecoveryManifest, SetFiles};
use lineside_interlock::{EraseRule, EraseTarget, Erasure, Protected, Receipt};
use lineside_link::memory::{self, MemoryWire};
use lineside_link::{Board, Clock, Line, LinkError, Port, Wire, run_simulated};
use lineside_protocol::recovery::ErrorCode;
use lineside_protocol::recovery::device::{
    Act, Device, Manners, Moment, Options, SwitchFault, Times, Trouble, Verifier,
};
use lineside_simulator::{OsProfile, Seed, SetSize, Supplies};
use lineside_terms::{Blame, DeviceId, Instant, SlotPath, Told};

/// How many seeds of trouble are gone through.
const SEEDS: u64 = 500;

/// No recovery of a small set lasts so long, whatever goes wrong: the machine gives up far earlier.
const LONGEST: Duration = Duration::from_secs(1800);

fn id() -> DeviceId {
    DeviceId::from_bytes([0x5C; 64])
}

fn other() -> DeviceId {
    DeviceId::from_bytes([0x77; 64])
}

fn set() -> Arc<ImageSet> {
    let supplies = Supplies::new(&Seed::new(1)).unwrap();
    let files = supplies.image_set(OsProfile::V24_06, SetSize::Small).unwrap();
    let files = files.into_iter().map(|(name, bytes)| (name, Arc::from(bytes)));
    let files = SetFiles::from_listing(files).unwrap();
    Arc::new(ImageSet::read(&files, supplies.trust_list()).unwrap())
}

/// A device that takes the set byte for byte or gives up.
#[derive(Debug)]
struct Strict {
    set: Arc<ImageSet>,
    image: Vec<u8>,
    names: Vec<String>,
}

impl Strict {
    fn is(&self, name: &str, bytes: &[u8], code: u32) -> Result<(), ErrorCode> {
        let is_it = self.set.asked_for(name).is_some_and(|file| **file == *bytes);
        is_it.then_some(()).ok_or(ErrorCode::recovery(code))
    }
}

impl Verifier for Strict {
    fn bootloader(&mut self, bytes: &[u8]) -> bool {
        bytes.starts_with(self.set.boot_loader())
    }

    fn capability(&mut self, _: &[u8]) -> Result<(), ErrorCode> {
        Err(ErrorCode::recovery(4))
    }

    fn runtime(&mut self, bytes: &[u8]) -> Result<(), ErrorCode> {
        self.is("recovery-runtime.bin", bytes, 3)
    }

    fn may_recover(&self) -> bool {
        true
    }

    fn manifest(&mut self, bytes: &[u8]) -> Result<Vec<(String, u32)>, ErrorCode> {
        self.is("recovery.imagemanifest", bytes, 1)?;
        let package = Package::parse(bytes).map_err(|_| ErrorCode::recovery(1))?;
        let manifest = RecoveryManifest::parse(package.body()).map_err(|_| ErrorCode::recovery(1))?;
        let files: Vec<_> = manifest
            .entries
            .iter()
            .map(|entry| (entry.file_name(), entry.file_size))
            .collect();
        self.names = files.iter().map(|(name, _)| name.clone()).collect();
        Ok(files)
    }

    fn write(&mut self, _: usize, piece: &[u8]) {
        self.image.extend_from_slice(piece);
    }

    fn written(&mut self, image: usize) -> Result<(), ErrorCode> {
        let bytes = std::mem::take(&mut self.image);
        let name = self.names[image].clone();
        self.is(&name, &bytes, 5)
    }
}

/// What happened to the chip and what it was told, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seen {
    Recovery,
    OrdinaryBoot,
    /// The gate was asked, and this was its answer.
    Gate(bool),
    Erased,
    Recovered,
    GaveUp(u32),
}

/// A chip on the table: reset, strap and the far end of its recovery UART.
struct Chip {
    options: Options,
    set: Arc<ImageSet>,
    machine: Option<Device<Strict>>,
    is_strapped: bool,
    is_held: bool,
    /// Of so many bytes one is lost on its way; 0 for none.
    lost_one_in: u64,
    draws: u64,
    wire: Option<MemoryWire>,
    baud: u32,
    seen: Rc<RefCell<Vec<Seen>>>,
    /// Wakes whoever lives its life when a line has moved.
    moved: Option<std::task::Waker>,
    clock: Clock,
}

impl Chip {
    fn draw(&mut self) -> u64 {
        // xorshift
        self.draws ^= self.draws << 13;
        self.draws ^= self.draws >> 7;
        self.draws ^= self.draws << 17;
        self.draws
    }

    fn line(&mut self, line: Line, asserted: bool) {
        match line {
            Line::RecoveryStrap => self.is_strapped = asserted,
            Line::Reset if asserted => {
                self.is_held = true;
                self.machine = None;
            }
            Line::Reset if self.is_held => {
                self.is_held = false;
                let strict = Strict {
                    set: Arc::clone(&self.set),
                    image: Vec::new(),
                    names: Vec::new(),
                };
                let seen = if self.is_strapped {
                    self.machine = Some(Device::new(self.options.clone(), strict, self.clock.now()));
                    Seen::Recovery
                } else {
                    Seen::OrdinaryBoot
                };
                self.seen.borrow_mut().push(seen);
            }
            Line::Reset => {}
        }
        if let Some(moved) = self.moved.take() {
            moved.wake();
        }
    }

    fn filtered(&mut self, bytes: &[u8]) -> Vec<u8> {
        let one_in = self.lost_one_in;
        let mut kept = Vec::with_capacity(bytes.len());
        for byte in bytes {
            if one_in == 0 || !self.draw().is_multiple_of(one_in) {
                kept.push(*byte);
            }
        }
        kept
    }

    /// Everything that is due now; when to come back.
    fn turn(&mut self, cx: &mut std::task::Context<'_>) -> Option<Instant> {
        self.moved = Some(cx.waker().clone());
        let now = self.clock.now();
        loop {
            let mut bytes = [0; 512];
            let read = match self.wire.as_mut().map(|wire| wire.poll_read(cx, &mut bytes)) {
                Some(Poll::Ready(Ok(read))) => read,
                _ => 0,
            };
            let is_understood = self
                .wire
                .as_ref()
                .is_some_and(|wire| wire.peer_settings().baud == self.baud);
            let heard = if is_understood {
                self.filtered(&bytes[..read])
            } else {
                Vec::new()
            };
            let mut said = Vec::new();
            if let Some(machine) = &mut self.machine {
                machine.input(&heard, now);
                machine.output(now, &mut said);
                while let Some(act) = machine.next_act() {
                    let seen = match act {
                        Act::Configure(uart) => {
                            self.baud = uart.baud;
                            continue;
                        }
                        Act::Started | Act::Aborted => continue,
                        Act::EraseBegins => Seen::Erased,
                        Act::Recovered => Seen::Recovered,
                        Act::Failed(code) => Seen::GaveUp(code.number()),
                    };
                    self.seen.borrow_mut().push(seen);
                }
            }
            let said = self.filtered(&said);
            if let Some(wire) = &mut self.wire
                && wire.peer_settings().baud == self.baud
            {
                let mut rest = &said[..];
                while !rest.is_empty() {
                    let Poll::Ready(Ok(taken)) = wire.poll_write(cx, rest) else {
                        break;
                    };
                    rest = &rest[taken..];
                }
            }
            if read == 0 && said.is_empty() {
                return self.machine.as_ref().and_then(Device::next_wake);
            }
        }
    }
}

/// The chip's life, for ever.
async fn live(chip: Rc<RefCell<Chip>>) {
    let clock = chip.borrow().clock.clone();
    let mut sleep: Option<Pin<Box<dyn Future<Output = ()>>>> = None;
    poll_fn(|cx| {
        loop {
            let wake = chip.borrow_mut().turn(cx);
            let Some(at) = wake else {
                sleep = None;
                return Poll::<()>::Pending;
            };
            let clock = clock.clone();
            let due = sleep.insert(Box::pin(async move { clock.sleep_until(at).await }));
            if due.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
        }
    })
    .await;
}

/// The board as the PC has it.
struct Table {
    chip: Rc<RefCell<Chip>>,
    slot: SlotPath,
}

impl Board for Table {
    fn slot(&self) -> &SlotPath {
        &self.slot
    }

    fn open(&mut self, port: Port) -> Result<Box<dyn Wire>, LinkError> {
        assert_eq!(port, Port::Recovery, "nothing else is asked for");
        let (ours, theirs) = memory::pair(1 << 16);
        self.chip.borrow_mut().wire = Some(theirs);
        Ok(Box::new(ours))
    }

    fn set_line(&mut self, line: Line, asserted: bool) -> Result<(), LinkError> {
        self.chip.borrow_mut().line(line, asserted);
        Ok(())
    }
}

/// How the gate answers.
#[derive(Clone, Copy)]
enum Gate {
    Opens,
    Refuses,
    /// It hands over a permit for another device.
    Mistakes,
}

struct Course {
    result: Result<DeviceId, Broken>,
    seen: Vec<Seen>,
}

/// One recovery, until it ends.
fn course(set: &Arc<ImageSet>, options: Options, lost_one_in: u64, seed: u64, gate: Gate) -> Course {
    let (clock, hands) = Clock::by_hand();
    let mut pool = LocalPool::new();
    let seen = Rc::new(RefCell::new(Vec::new()));
    let chip = Rc::new(RefCell::new(Chip {
        options,
        set: Arc::clone(set),
        machine: None,
        is_strapped: false,
        is_held: false,
        lost_one_in,
        draws: seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1,
        wire: None,
        baud: lineside_link::LineSettings::CONSOLE.baud,
        seen: Rc::clone(&seen),
        moved: None,
        clock: clock.clone(),
    }));
    pool.spawner().spawn_local(live(Rc::clone(&chip))).unwrap();
    let mut table = Table {
        chip,
        slot: SlotPath::new("1").unwrap(),
    };
    let recovery = Recovery::new(Arc::clone(set));
    let told = Rc::clone(&seen);
    let is_asked = Cell::new(0);
    let open = async |device: DeviceId| {
        is_asked.set(is_asked.get() + 1);
        told.borrow_mut().push(Seen::Gate(!matches!(gate, Gate::Refuses)));
        if matches!(gate, Gate::Refuses) {
            return Err(Told {
                code: "test.refused".to_owned(),
                message: "not this one".to_owned(),
                help: String::new(),
                blame: Blame::Station,
            });
        }
        let rule = EraseRule {
            target: EraseTarget::Any,
            protected: &Protected::default(),
            is_complete: false,
            capability: None,
        };
        let device = if matches!(gate, Gate::Mistakes) {
            other()
        } else {
            device
        };
        let erasure = Erasure::judge(device, &rule).unwrap();
        let permit = erasure.permit(1, &Receipt::issued_by_the_journal(1)).unwrap();
        Ok(Admitted {
            permit,
            capability: None,
        })
    };
    let began = clock.now();
    let result = {
        let cell = RecoveryCell::default();
        let writing = write_os(&mut table, &clock, &recovery, open, &cell, pending(), None);
        run_simulated(&hands, &mut pool, 20_000_000, writing).expect("a recovery comes to an end")
    };
    assert!(clock.now() - began < LONGEST, "it took {:?}", clock.now() - began);
    assert!(is_asked.get() <= 1, "a permit is for one announcement");
    let seen = seen.borrow().clone();
    Course { result, seen }
}

#[test]
fn nothing_is_erased_before_the_gate_opened_and_all_of_it_arrives() {
    let done = course(&set(), Options::new(id()), 0, 1, Gate::Opens);
    assert_eq!(done.result.unwrap(), id());
    assert_eq!(
        done.seen,
        [Seen::Recovery, Seen::Gate(true), Seen::Erased, Seen::Recovered]
    );
}

#[test]
fn a_device_that_was_not_admitted_boots_what_it_had() {
    for (gate, code) in [
        (Gate::Refuses, "test.refused"),
        (Gate::Mistakes, "recovery.not-admitted"),
    ] {
        let done = course(&set(), Options::new(id()), 0, 1, gate);
        let broken = done.result.unwrap_err();
        assert_eq!(broken.error.code, code);
        assert!(!broken.is_at_risk, "{broken:?}");
        let is_open = !matches!(gate, Gate::Refuses);
        assert_eq!(
            done.seen,
            [Seen::Recovery, Seen::Gate(is_open), Seen::OrdinaryBoot]
        );
    }
}

/// What one seed does to the device and its wire.
fn trouble_of(seed: u64) -> (Options, u64) {
    let mut options = Options::new(id());
    if seed.is_multiple_of(2) {
        options.times = Times::REAL;
    }
    let codes: Vec<ErrorCode> = ErrorCode::named().collect();
    let moments = [
        Moment::Start,
        Moment::Capability,
        Moment::Runtime,
        Moment::Switch,
        Moment::Erase,
        Moment::Manifest,
        Moment::Image(3),
        Moment::Finish,
    ];
    let nth = (seed / 5) as usize;
    let mut lost_one_in = 0;
    match seed % 5 {
        0 => lost_one_in = 400 + (seed * 37) % 4000,
        1 => options.trouble = Trouble::raising(codes[nth % codes.len()]),
        2 => options.trouble.hang = Some(moments[nth % moments.len()]),
        3 => {
            options.trouble.switch = SwitchFault::Off;
            options.manners = Manners {
                falls_back: nth.is_multiple_of(2),
                asks_after_switch: nth.is_multiple_of(3),
                ..Manners::default()
            };
        }
        _ => {
            lost_one_in = 2000;
            let code = codes[nth % codes.len()];
            options.trouble.raise = Some((moments[nth % moments.len()], code));
        }
    }
    (options, lost_one_in)
}

#[test]
fn whatever_goes_wrong_the_host_knows_what_it_left_behind() {
    let set = set();
    let (mut good, mut untouched, mut at_risk) = (0, 0, 0);
    for seed in 0..SEEDS {
        let (options, lost_one_in) = trouble_of(seed);
        let done = course(&set, options, lost_one_in, seed, Gate::Opens);
        let context = format!("seed {seed}: {:?} {:?}", done.result, done.seen);
        let is_erased = done.seen.contains(&Seen::Erased);
        let opened = done.seen.iter().position(|seen| *seen == Seen::Gate(true));
        let erased = done.seen.iter().position(|seen| *seen == Seen::Erased);
        assert!(
            erased.is_none() || opened < erased && opened.is_some(),
            "{context}"
        );
        match done.result {
            Ok(device) => {
                good += 1;
                assert_eq!(device, id(), "{context}");
                assert!(done.seen.contains(&Seen::Recovered), "{context}");
            }
            Err(broken) => {
                assert!(
                    !broken.error.code.is_empty() && !broken.error.help.is_empty(),
                    "{context}"
                );
                assert!(!is_erased || broken.is_at_risk, "{context}");
                assert!(!(broken.is_at_risk && broken.may_retry), "{context}");
                if broken.is_at_risk {
                    at_risk += 1;
                    assert_eq!(broken.device, Some(id()), "{context}");
                    assert_ne!(done.seen.last(), Some(&Seen::OrdinaryBoot), "{context}");
                } else {
                    untouched += 1;
                    assert_eq!(done.seen.last(), Some(&Seen::OrdinaryBoot), "{context}");
                }
            }
        }
    }
    println!("{SEEDS} seeds: {good} recovered, {untouched} untouched, {at_risk} need recovery");
    assert!(
        good > 10 && untouched > 10 && at_risk > 10,
        "{good}, {untouched}, {at_risk}"
    );
}
