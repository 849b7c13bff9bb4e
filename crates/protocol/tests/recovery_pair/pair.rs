//! Host and device of a recovery, joined by a line under a clock that is moved by hand.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use lineside_protocol::recovery::device::{self, Act, Device, Verifier};
use lineside_protocol::recovery::host::{self, Failure, Flash, Host, Supply, Uart, Want, Wanted};
use lineside_protocol::recovery::{ErrorCode, MANIFEST, RUNTIME};
use lineside_terms::{DeviceId, Instant};

/// Draws the same numbers for the same seed.
#[derive(Debug, Clone)]
pub(crate) struct Draws(u64);

impl Draws {
    pub(crate) fn new(seed: u64) -> Self {
        Self((seed + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 11
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }
}

/// The files of a set.
#[derive(Debug)]
pub(crate) struct Files {
    pub(crate) bootloader: Arc<[u8]>,
    pub(crate) runtime: Arc<[u8]>,
    pub(crate) manifest: Arc<[u8]>,
    pub(crate) capability: Option<Arc<[u8]>>,
    pub(crate) images: Vec<(String, Arc<[u8]>)>,
}

impl Files {
    pub(crate) fn new(bootloader: usize, runtime: usize, images: &[usize]) -> Self {
        let mut draws = Draws::new(7);
        let mut blob = |length: usize| (0..length).map(|_| draws.next() as u8).collect::<Arc<[u8]>>();
        Self {
            bootloader: blob(bootloader),
            runtime: blob(runtime),
            manifest: blob(188 + 76 * images.len()),
            capability: Some(blob(392)),
            images: images
                .iter()
                .enumerate()
                .map(|(nth, length)| (format!("{nth:032x}.bin"), blob(*length)))
                .collect(),
        }
    }

    pub(crate) fn small() -> Self {
        Self::new(1024, 700, &[1500, 1, 1024])
    }

    fn supply(&self, wanted: &Wanted) -> Supply {
        let file = match wanted {
            Wanted::Capability => self.capability.as_ref(),
            Wanted::File(name) if name == RUNTIME => Some(&self.runtime),
            Wanted::File(name) if name == MANIFEST => Some(&self.manifest),
            Wanted::File(name) => self
                .images
                .iter()
                .find_map(|(known, file)| (known == name).then_some(file)),
        };
        file.map_or(Supply::Missing, |file| Supply::File(Arc::clone(file)))
    }
}

/// Compares everything with what was to be sent.
#[derive(Debug)]
pub(crate) struct Compare {
    files: Arc<Files>,
    image: Vec<u8>,
    pub(crate) may_recover: bool,
    pub(crate) written: usize,
}

impl Compare {
    pub(crate) fn new(files: &Arc<Files>) -> Self {
        Self {
            files: Arc::clone(files),
            image: Vec::new(),
            may_recover: true,
            written: 0,
        }
    }
}

fn same(found: &[u8], expected: &[u8], code: u32) -> Result<(), ErrorCode> {
    (found == expected).then_some(()).ok_or(ErrorCode::recovery(code))
}

impl Verifier for Compare {
    fn bootloader(&mut self, bytes: &[u8]) -> bool {
        bytes.starts_with(&self.files.bootloader)
    }

    fn capability(&mut self, bytes: &[u8]) -> Result<(), ErrorCode> {
        same(bytes, self.files.capability.as_deref().unwrap_or_default(), 4)
    }

    fn runtime(&mut self, bytes: &[u8]) -> Result<(), ErrorCode> {
        same(bytes, &self.files.runtime, 2)
    }

    fn may_recover(&self) -> bool {
        self.may_recover
    }

    fn manifest(&mut self, bytes: &[u8]) -> Result<Vec<(String, u32)>, ErrorCode> {
        same(bytes, &self.files.manifest, 1)?;
        let images = self.files.images.iter();
        Ok(images
            .map(|(name, file)| (name.clone(), file.len() as u32))
            .collect())
    }

    fn write(&mut self, _image: usize, piece: &[u8]) {
        self.image.extend_from_slice(piece);
    }

    fn written(&mut self, image: usize) -> Result<(), ErrorCode> {
        let found = std::mem::take(&mut self.image);
        self.written += 1;
        same(&found, &self.files.images[image].1, 5)
    }
}

/// What a line does to what it carries: one in so many, 0 for never.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Noise {
    pub(crate) lost: u64,
    pub(crate) doubled: u64,
    pub(crate) changed: u64,
    /// Whole pieces, as they were written.
    pub(crate) piece_lost: u64,
    pub(crate) piece_doubled: u64,
    /// Pieces are cut in two.
    pub(crate) cut: u64,
    /// From then to then nothing gets through.
    pub(crate) silence: Option<(Instant, Instant)>,
}

fn hits(draws: &mut Draws, one_in: u64) -> bool {
    one_in != 0 && draws.below(one_in) == 0
}

/// One direction of the line.
#[derive(Debug, Default)]
struct Way {
    noise: Noise,
    /// Bytes that arrive then, and the speed at which they were sent.
    under_way: VecDeque<(Instant, Uart, Vec<u8>)>,
    free_at: Instant,
    carried: u64,
    busy: Duration,
}

impl Way {
    fn send(&mut self, bytes: &[u8], uart: Uart, pace: Option<u64>, now: Instant, draws: &mut Draws) {
        if bytes.is_empty() {
            return;
        }
        let time = match pace {
            Some(bits) => {
                Duration::from_nanos(bytes.len() as u64 * bits * 1_000_000_000 / u64::from(uart.baud))
            }
            None => Duration::ZERO,
        };
        self.free_at = self.free_at.max(now) + time;
        self.carried += bytes.len() as u64;
        self.busy += time;
        let noise = self.noise;
        let is_silent = noise
            .silence
            .is_some_and(|(from, to)| (from..to).contains(&self.free_at));
        if is_silent || hits(draws, noise.piece_lost) {
            return;
        }
        let mut carried = Vec::with_capacity(bytes.len());
        if noise.lost | noise.doubled | noise.changed == 0 {
            carried.extend_from_slice(bytes);
        } else {
            for byte in bytes {
                if hits(draws, noise.lost) {
                    continue;
                }
                let is_changed = hits(draws, noise.changed);
                carried.push(if is_changed {
                    byte ^ 1 << draws.below(8)
                } else {
                    *byte
                });
                if hits(draws, noise.doubled) {
                    carried.push(*byte);
                }
            }
        }
        if hits(draws, noise.piece_doubled) {
            self.under_way.push_back((self.free_at, uart, carried.clone()));
        }
        if hits(draws, noise.cut) {
            let tail = carried.split_off(draws.below(carried.len() as u64) as usize);
            self.under_way.push_back((self.free_at, uart, carried));
            self.free_at = self.free_at + Duration::from_micros(draws.below(3000));
            carried = tail;
        }
        self.under_way.push_back((self.free_at, uart, carried));
    }

    /// What has arrived, as an end with these settings sees it.
    fn arrived(&mut self, uart: Uart, now: Instant) -> Option<Vec<u8>> {
        let (at, _, _) = self.under_way.front()?;
        if *at > now {
            return None;
        }
        let (_, sent, mut bytes) = self.under_way.pop_front()?;
        if sent.baud != uart.baud {
            bytes
                .iter_mut()
                .for_each(|byte| *byte = byte.rotate_left(3) ^ 0x5A);
        }
        Some(bytes)
    }

    fn next(&self) -> Option<Instant> {
        self.under_way.front().map(|(at, ..)| *at)
    }
}

/// What somebody does to the board, once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hand {
    /// Cuts the supply, for good.
    Cut,
    /// Resets the chip with the strap high.
    Reset,
    /// Puts another board into the socket, its strap high.
    Swap,
}

/// One recovery.
#[derive(Debug)]
pub(crate) struct Pair {
    pub(crate) now: Instant,
    files: Arc<Files>,
    host: Host,
    host_uart: Uart,
    device: Option<Device<Compare>>,
    device_options: device::Options,
    device_uart: Uart,
    down: Way,
    up: Way,
    draws: Draws,
    /// Bits for one byte; none when the line takes no time.
    pub(crate) bits: Option<u64>,
    pub(crate) admits: bool,
    pub(crate) expected: DeviceId,
    pub(crate) hand: Option<(Instant, Hand)>,
    pub(crate) is_erased: bool,
    pub(crate) is_recovered: bool,
    /// A board that was not meant was touched.
    pub(crate) is_stranger_erased: bool,
    is_stranger: bool,
    pub(crate) device_failed: Option<ErrorCode>,
    outcome: Option<Result<(), Failure>>,
}

impl Pair {
    pub(crate) fn new(
        files: &Arc<Files>,
        host: host::Options,
        device: device::Options,
        noise: [Noise; 2],
        draws: Draws,
    ) -> Self {
        let now = Instant::ZERO;
        let [down, up] = noise.map(|noise| Way {
            noise,
            ..Way::default()
        });
        Self {
            now,
            files: Arc::clone(files),
            host: Host::new(host, now),
            host_uart: Uart::FIRST,
            device: Some(Device::new(device.clone(), Compare::new(files), now)),
            expected: device.id,
            device_options: device,
            device_uart: Uart::FIRST,
            down,
            up,
            draws,
            bits: None,
            admits: true,
            hand: None,
            is_erased: false,
            is_recovered: false,
            is_stranger_erased: false,
            is_stranger: false,
            device_failed: None,
            outcome: None,
        }
    }

    pub(crate) fn host(&self) -> &Host {
        &self.host
    }

    pub(crate) fn device_mut(&mut self) -> Option<&mut Device<Compare>> {
        self.device.as_mut()
    }

    /// Bytes that crossed the line, and how long it was busy with them.
    pub(crate) fn line(&self) -> (u64, Duration) {
        (self.down.carried + self.up.carried, self.down.busy + self.up.busy)
    }

    /// Runs to the end; none when it does not come to one before `limit`.
    pub(crate) fn run(&mut self, limit: Instant) -> Option<Result<(), Failure>> {
        loop {
            self.device_turn();
            self.host_turn();
            if let Some(outcome) = self.outcome.take() {
                return Some(outcome);
            }
            let device = self.device.as_ref().and_then(Device::next_wake);
            let wakes = [self.host.next_wake(), device, self.down.next(), self.up.next()];
            let hand = self.hand.map(|(at, _)| at);
            let wake = wakes.into_iter().flatten().chain(hand).min()?;
            self.now = self.now.max(wake);
            if self.now > limit {
                return None;
            }
        }
    }

    fn device_turn(&mut self) {
        if let Some((at, hand)) = self.hand
            && at <= self.now
        {
            self.hand = None;
            self.lay_hand(hand);
        }
        while let Some(bytes) = self.down.arrived(self.device_uart, self.now) {
            if let Some(device) = &mut self.device {
                device.input(&bytes, self.now);
                self.follow();
            }
        }
        if self.device.is_some() {
            self.follow();
        }
    }

    fn follow(&mut self) {
        let Some(device) = &mut self.device else {
            return;
        };
        let mut out = Vec::new();
        device.output(self.now, &mut out);
        while let Some(act) = device.next_act() {
            match act {
                Act::Configure(uart) => self.device_uart = uart,
                Act::EraseBegins => {
                    self.is_erased = true;
                    self.is_stranger_erased |= self.is_stranger;
                }
                Act::Recovered => self.is_recovered = true,
                Act::Failed(code) => self.device_failed = Some(code),
                Act::Started | Act::Aborted => {}
            }
        }
        self.up
            .send(&out, self.device_uart, self.bits, self.now, &mut self.draws);
    }

    fn lay_hand(&mut self, hand: Hand) {
        self.device_uart = Uart::FIRST;
        match hand {
            Hand::Cut => self.device = None,
            Hand::Reset | Hand::Swap => {
                if hand == Hand::Swap {
                    self.device_options.id = DeviceId::from_bytes([0xEE; 64]);
                    self.is_stranger = true;
                }
                let verifier = Compare::new(&self.files);
                self.device = Some(Device::new(self.device_options.clone(), verifier, self.now));
            }
        }
    }

    fn host_turn(&mut self) {
        while let Some(bytes) = self.up.arrived(self.host_uart, self.now) {
            self.host.input(&bytes, self.now);
            self.drive();
        }
        self.drive();
    }

    fn drive(&mut self) {
        loop {
            let mut out = Vec::new();
            self.host.output(self.now, &mut out);
            self.down
                .send(&out, self.host_uart, self.bits, self.now, &mut self.draws);
            let Some(want) = self.host.next_want() else {
                return;
            };
            match want {
                Want::Configure(uart) => {
                    self.host_uart = uart;
                    self.host.configured(self.now);
                }
                Want::Admit(id) => self.host.admit(self.admits && id == self.expected, self.now),
                Want::Supply(wanted) => {
                    let supply = self.files.supply(&wanted);
                    self.host.supply(supply, self.now);
                }
                Want::Note(_) => {}
                Want::Finish(outcome) => {
                    assert_eq!(self.host.outcome(), Some(&outcome));
                    assert_eq!(self.host.next_wake(), None, "it is over");
                    self.outcome = Some(outcome);
                }
            }
        }
    }

    /// What must hold however it ended.
    pub(crate) fn check(&self, outcome: &Result<(), Failure>, what: &str) {
        if self.is_erased {
            assert_eq!(self.host.flash(), Flash::AtRisk, "{what}: {outcome:?}");
        }
        assert!(!self.is_stranger_erased, "{what}: another board was erased");
        if outcome.is_ok() {
            assert!(self.is_recovered, "{what}: it is not recovered");
            assert!(self.device_failed.is_none(), "{what}");
        }
    }
}
