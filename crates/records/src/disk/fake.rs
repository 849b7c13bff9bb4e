//! A disk in memory that behaves as badly as a real one may: it keeps what was synced and nothing else for sure.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

use super::dice::Dice;
use super::{Disk, DiskFile};

/// A disk in memory with faults on demand. Handles are cheap to clone and show the same disk.
///
/// It tells apart what a reader sees and what would survive a loss of power. [`FakeDisk::crash`] loses power: writes
/// that were not synced are then dropped, reordered and torn at any byte. A failed sync is modelled as the worst
/// that real systems do: the bytes stay readable but are never written, unless they are written again.
#[derive(Debug, Clone, Default)]
pub struct FakeDisk {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// What readers see.
    visible: BTreeMap<String, Vec<u8>>,
    /// What survives.
    durable: BTreeMap<String, Vec<u8>>,
    /// What was asked for since, in order.
    pending: Vec<(String, Change)>,
    /// Grows with every crash, so that files opened before fail.
    life: u64,
    faults: Faults,
    counts: DiskCounts,
}

#[derive(Debug, Clone)]
enum Change {
    Create,
    Write { at: usize, bytes: Vec<u8> },
    End { at: usize },
}

#[derive(Debug, Default)]
struct Faults {
    room: Option<u64>,
    write: Option<u64>,
    sync: Option<u64>,
    power: Option<u64>,
    is_off: bool,
    is_read_only: bool,
    is_held: bool,
    held: usize,
}

/// What was asked of the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DiskCounts {
    /// Appends, failed ones included.
    pub writes: u64,
    /// Syncs, failed ones included.
    pub syncs: u64,
}

impl FakeDisk {
    /// An empty disk without faults.
    pub fn new() -> Self {
        Self::default()
    }

    /// What was asked of it since it was made.
    pub fn counts(&self) -> DiskCounts {
        self.lock().counts
    }

    /// Has room for this many more bytes; then it is full.
    pub fn fill_after(&self, bytes: u64) {
        self.lock().faults.room = Some(bytes);
    }

    /// The `nth` write from now (1 is the next) fails half-way with an input/output error.
    pub fn fail_write(&self, nth: u64) {
        self.lock().faults.write = Some(nth);
    }

    /// The `nth` sync from now (1 is the next) fails with an input/output error, and what it should have written is
    /// forgotten although it can still be read.
    pub fn fail_sync(&self, nth: u64) {
        self.lock().faults.sync = Some(nth);
    }

    /// Power goes just before the `nth` sync from now (1 is the next) does anything: it and all that is asked of the
    /// disk afterwards fails, until [`FakeDisk::crash`] says what has survived.
    pub fn cut_power_at_sync(&self, nth: u64) {
        self.lock().faults.power = Some(nth);
    }

    /// Refuses every change from now on.
    pub fn make_read_only(&self) {
        self.lock().faults.is_read_only = true;
    }

    /// Lets every sync wait from now on, until [`FakeDisk::heal`].
    pub fn hold_syncs(&self) {
        self.lock().faults.is_held = true;
    }

    /// Returns when a sync is waiting.
    pub fn wait_for_a_held_sync(&self) {
        let mut state = self.lock();
        while state.faults.held == 0 {
            state = self
                .shared
                .changed
                .wait(state)
                .expect("no holder of this lock panics");
        }
    }

    /// Ends all faults.
    pub fn heal(&self) {
        let mut state = self.lock();
        let held = state.faults.held;
        state.faults = Faults {
            held,
            ..Faults::default()
        };
        self.shared.changed.notify_all();
    }

    /// Bytes that were written and not synced.
    pub fn pending_bytes(&self) -> usize {
        self.lock().pending.iter().map(|(_, change)| change.size()).sum()
    }

    /// Loses power. Of what was not synced any part may survive, in any order, torn at any byte; `seed` decides.
    /// Files that were open are of no use afterwards, and faults are gone.
    pub fn crash(&self, seed: u64) {
        let mut state = self.lock();
        let mut dice = Dice::new(seed);
        let mut pending = std::mem::take(&mut state.pending);
        dice.shuffle(&mut pending);
        for (name, change) in pending {
            state.survive(&name, change, &mut dice);
        }
        state.restart();
        self.shared.changed.notify_all();
    }

    /// Loses power at an exact point: of what was not synced, the first `bytes` bytes survive, in order.
    pub fn crash_keeping(&self, bytes: usize) {
        let mut state = self.lock();
        let mut left = bytes;
        for (name, change) in std::mem::take(&mut state.pending) {
            match change {
                Change::Write { at, bytes } => {
                    let keep = bytes.len().min(left);
                    left -= keep;
                    put(state.durable.entry(name).or_default(), at, &bytes[..keep]);
                }
                Change::Create => drop(state.durable.entry(name).or_default()),
                Change::End { at } if left > 0 => state.durable.entry(name).or_default().resize(at, 0),
                Change::End { .. } => {}
            }
        }
        state.restart();
        self.shared.changed.notify_all();
    }

    /// Changes what is stored, as a bad sector or a person with an editor would. An unknown name is a new file.
    pub fn meddle(&self, name: &str, change: impl FnOnce(&mut Vec<u8>)) {
        let mut state = self.lock();
        let mut bytes = state.visible.get(name).cloned().unwrap_or_default();
        change(&mut bytes);
        state.pending.retain(|(other, _)| other != name);
        state.durable.insert(name.to_owned(), bytes.clone());
        state.visible.insert(name.to_owned(), bytes);
    }

    /// Takes a file away. Unknown names are ignored.
    pub fn remove(&self, name: &str) {
        let mut state = self.lock();
        state.pending.retain(|(other, _)| other != name);
        state.durable.remove(name);
        state.visible.remove(name);
    }

    /// A second disk with the same content, all of it durable, without faults.
    pub fn copy(&self) -> Self {
        let visible = self.lock().visible.clone();
        let state = State {
            durable: visible.clone(),
            visible,
            ..State::default()
        };
        Self {
            shared: Arc::new(Shared {
                state: Mutex::new(state),
                changed: Condvar::new(),
            }),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().expect("no holder of this lock panics")
    }

    fn open(&self, state: &State, name: &str) -> Box<dyn DiskFile> {
        Box::new(FakeFile {
            disk: self.clone(),
            name: name.to_owned(),
            life: state.life,
        })
    }
}

impl Change {
    fn size(&self) -> usize {
        match self {
            Self::Write { bytes, .. } => bytes.len(),
            Self::Create | Self::End { .. } => 0,
        }
    }

    fn apply(self, bytes: &mut Vec<u8>) {
        match self {
            Self::Create => {}
            Self::Write { at, bytes: new } => put(bytes, at, &new),
            Self::End { at } => bytes.resize(at, 0),
        }
    }
}

impl State {
    /// After a loss of power: what survived is all there is.
    fn restart(&mut self) {
        self.visible = self.durable.clone();
        self.life += 1;
        self.faults = Faults {
            held: self.faults.held,
            ..Faults::default()
        };
    }

    /// Lets an unsynced change survive as the dice fall.
    fn survive(&mut self, name: &str, change: Change, dice: &mut Dice) {
        let fate = dice.below(6);
        let Change::Write { at, bytes } = change else {
            if fate < 3 {
                change.apply(self.durable.entry(name.to_owned()).or_default());
            }
            return;
        };
        if fate == 0 {
            return;
        }
        let file = self.durable.entry(name.to_owned()).or_default();
        match fate {
            1 => put(file, at, &bytes),
            2 => put(file, at, &bytes[..dice.below(bytes.len() + 1)]),
            3 => {
                // The length was written, the content was not: what stood there before is anybody's guess.
                let old = file.len();
                file.resize(old.max(at + bytes.len()), 0);
                if dice.below(2) == 0 {
                    file[old..].fill_with(|| dice.byte());
                }
            }
            _ => {
                let mut from = 0;
                while from < bytes.len() {
                    let to = bytes.len().min(from + 1 + dice.below(bytes.len()));
                    if dice.below(2) == 0 {
                        put(file, at + from, &bytes[from..to]);
                    }
                    from = to;
                }
            }
        }
    }

    fn check_power(&self) -> io::Result<()> {
        if self.faults.is_off {
            Err(power_lost())
        } else {
            Ok(())
        }
    }

    /// How much of a write goes through, and the error if it is not all.
    fn take_write(&mut self, size: usize) -> (usize, io::Result<()>) {
        self.counts.writes += 1;
        if self.faults.is_read_only {
            return (0, Err(read_only()));
        }
        if count_down(&mut self.faults.write) {
            return (size / 2, Err(io::Error::other("input/output error")));
        }
        match &mut self.faults.room {
            Some(room) if *room < size as u64 => {
                let fits = usize::try_from(*room).expect("it is smaller than a usize");
                *room = 0;
                (fits, Err(io::ErrorKind::StorageFull.into()))
            }
            Some(room) => {
                *room -= size as u64;
                (size, Ok(()))
            }
            None => (size, Ok(())),
        }
    }

    fn write(&mut self, name: &str, at: usize, bytes: &[u8]) -> io::Result<()> {
        let (size, result) = self.take_write(bytes.len());
        let change = Change::Write {
            at,
            bytes: bytes[..size].to_vec(),
        };
        self.change(name, change);
        result
    }

    fn change(&mut self, name: &str, change: Change) {
        change
            .clone()
            .apply(self.visible.entry(name.to_owned()).or_default());
        self.pending.push((name.to_owned(), change));
    }
}

/// Writes over and behind what is there; a hole is filled with zeros.
fn put(bytes: &mut Vec<u8>, at: usize, new: &[u8]) {
    if new.is_empty() {
        return;
    }
    let end = at + new.len();
    if bytes.len() < end {
        bytes.resize(end, 0);
    }
    bytes[at..end].copy_from_slice(new);
}

/// True when a fault that was ordered for later is due now.
fn count_down(fault: &mut Option<u64>) -> bool {
    match fault {
        Some(1) => {
            *fault = None;
            true
        }
        Some(left) => {
            *left -= 1;
            false
        }
        None => false,
    }
}

fn power_lost() -> io::Error {
    io::Error::other("the power was lost")
}

fn read_only() -> io::Error {
    io::ErrorKind::ReadOnlyFilesystem.into()
}

impl Disk for FakeDisk {
    fn list(&self) -> io::Result<Vec<String>> {
        let state = self.lock();
        state.check_power()?;
        Ok(state.visible.keys().cloned().collect())
    }

    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        let state = self.lock();
        state.check_power()?;
        state
            .visible
            .get(name)
            .cloned()
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        let mut state = self.lock();
        state.check_power()?;
        if state.faults.is_read_only {
            return Err(read_only());
        }
        if state.visible.contains_key(name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        state.change(name, Change::Create);
        Ok(self.open(&state, name))
    }

    fn reopen(&self, name: &str, from: u64, tail: &[u8]) -> io::Result<Box<dyn DiskFile>> {
        let from = usize::try_from(from).map_err(io::Error::other)?;
        let mut state = self.lock();
        state.check_power()?;
        if state.faults.is_read_only {
            return Err(read_only());
        }
        if !state.visible.contains_key(name) {
            return Err(io::ErrorKind::NotFound.into());
        }
        state.write(name, from, tail)?;
        state.change(
            name,
            Change::End {
                at: from + tail.len(),
            },
        );
        Ok(self.open(&state, name))
    }
}

#[derive(Debug)]
struct FakeFile {
    disk: FakeDisk,
    name: String,
    life: u64,
}

impl FakeFile {
    fn lock(&self) -> io::Result<MutexGuard<'_, State>> {
        let state = self.disk.lock();
        state.check_power()?;
        if state.life == self.life {
            Ok(state)
        } else {
            Err(power_lost())
        }
    }
}

impl DiskFile for FakeFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.lock()?;
        let at = state.visible.get(&self.name).map_or(0, Vec::len);
        state.write(&self.name, at, bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        let mut state = self.lock()?;
        state.counts.syncs += 1;
        state.faults.held += 1;
        self.disk.shared.changed.notify_all();
        while state.faults.is_held && state.life == self.life {
            state = self
                .disk
                .shared
                .changed
                .wait(state)
                .expect("no holder of this lock panics");
        }
        state.faults.held -= 1;
        if state.life != self.life {
            return Err(power_lost());
        }
        if count_down(&mut state.faults.power) {
            state.faults.is_off = true;
            return Err(power_lost());
        }
        if state.faults.is_read_only {
            return Err(read_only());
        }
        let is_failing = count_down(&mut state.faults.sync);
        for (name, change) in std::mem::take(&mut state.pending) {
            if name != self.name {
                state.pending.push((name, change));
            } else if !is_failing {
                change.apply(state.durable.entry(name).or_default());
            }
        }
        if is_failing {
            Err(io::Error::other("input/output error"))
        } else {
            Ok(())
        }
    }
}
