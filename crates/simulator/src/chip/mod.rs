//! One chip: its firmware behind SLIP, IP, TLS and HTTP, with power, boot and faults.
//!
//! A [`Chip`] has no clock and no wire. It is fed with what happens to it ([`Chip::receive`], [`Chip::set_reset`]), is
//! told the time by [`Chip::poll`], answers when it wants to be told again, and leaves what it says in
//! [`Chip::output`]. The same inputs at the same times give the same plaintext; only the TLS library draws randomness
//! of its own.

mod console;
mod http;
mod recovery;
mod run;
mod session;
mod stack;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use lineside_link::LineSettings;
use lineside_protocol::rest::http::PORT;
use lineside_terms::{DeviceId, Instant, ManufacturingState};

use crate::authority::Authority;
use crate::faults::{Fault, Faults, What};
use crate::firmware::{Dialogue, Firmware, FirmwareConfig, OpenPort};
use crate::pace::DeviceTimes;
use crate::seed::{Draws, Seed};
use crate::supplies::Supplies;
use crate::trust::Trust;
use crate::{Air, Assumptions, OsProfile, SimulatorError};

pub use http::{BodyKind, Request, Response};
use recovery::Recovery;
use session::Session;
use stack::{ConnectionId, Stack};

/// How often a chip goes round in one call before it lets others have a turn.
const ROUNDS: usize = 64;

/// Noise that is prepared at once, in bytes.
const NOISE_AT_ONCE: u64 = 1024;

/// What a chip is made of.
#[derive(Debug, Clone)]
pub struct ChipConfig {
    /// Its software and what is stored in it.
    pub firmware: FirmwareConfig,
    /// Who signed its certificate.
    pub authority: Authority,
    /// The ids of all chips of the world in the order of their boards, for the fault of double ids.
    pub neighbours: Arc<[DeviceId]>,
}

impl ChipConfig {
    /// A chip alone: bought module, newest OS, fast pace, no access point. For tests of one chip without a world.
    ///
    /// # Errors
    /// When no certificate can be made, which no seed should cause.
    pub fn alone(seed: u64) -> Result<Self, SimulatorError> {
        let seed = Seed::new(seed);
        let assumptions = Assumptions::default();
        let authority = Authority::new(&seed, assumptions.tls)?;
        let supplies = Supplies::new(&seed)?;
        let firmware = FirmwareConfig {
            seed: seed.branch("chips/0"),
            os: OsProfile::default(),
            state: ManufacturingState::Module1Complete,
            development: false,
            times: DeviceTimes::FAST,
            assumptions: Arc::new(assumptions),
            trust: Arc::new(Trust::new(supplies.trust_list().clone())),
            air: Air::default(),
        };
        Ok(Self {
            firmware,
            authority,
            neighbours: Arc::new([]),
        })
    }
}

/// What happens to the board around the chip by a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChipEvent {
    /// Somebody pulls the plug, and may put it back after a while.
    Unplug {
        /// How long after.
        replug_after: Option<Duration>,
    },
    /// Somebody plugs this slot's recovery cable into another board's chip, and that one's into this.
    CrossCables {
        /// The other board, from 0.
        with: usize,
    },
    /// Somebody pulls this slot's recovery cable off the chip.
    LooseCable,
    /// Somebody swaps this board's chip with that of another board.
    Swap {
        /// The other board, from 0.
        with: usize,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Power {
    /// Held in reset, or without supply.
    Held,
    /// Booting; nothing on the wire yet.
    Silent { until: Instant },
    /// IP answers, the REST port is refused.
    Refusing { until: Instant },
    /// Up.
    Up,
    /// The answer to a restart is on its way; nothing new is begun.
    Leaving { until: Instant, after: ConnectionId },
    /// ROM, recovery bootloader or recovery application: only the recovery UART is heard.
    Recovery,
}

/// What a chip was started for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BootMode {
    /// It is held in reset, or has no supply.
    Held,
    /// An ordinary boot.
    Normal,
    /// The strap was high when reset was let go of: recovery.
    Recovery,
}

/// A connection to an application.
#[derive(Debug)]
struct AppConnection {
    id: ConnectionId,
    port: OpenPort,
    dialogue: Dialogue,
    out: VecDeque<u8>,
}

/// One chip.
pub struct Chip {
    config: ChipConfig,
    firmware: Firmware,
    faults: Faults,
    power: Power,
    strap: bool,
    stack: Option<Stack>,
    sessions: Vec<Session>,
    applications: Vec<AppConnection>,
    /// Which start of an application each port was opened for.
    served: BTreeMap<u16, OpenPort>,
    /// A fault keeps the link dead until the next reset.
    is_link_dead: bool,
    /// A fault keeps the REST port refused until the next boot.
    is_half_boot: bool,
    /// Bytes of noise that are still to be sent.
    noise_left: u64,
    /// What is sent while there is no stack.
    noise: VecDeque<u8>,
    draws: Draws,
    console: VecDeque<u8>,
    console_settings: LineSettings,
    /// None in recovery when it hangs.
    recovery: Option<Recovery>,
    /// The boot messages of this boot are still to be made.
    has_boot_lines: bool,
    events: VecDeque<ChipEvent>,
    dialogues_begun: u64,
}

impl std::fmt::Debug for Chip {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Chip")
            .field("id", &self.firmware.id().short())
            .field("power", &self.power)
            .field("sessions", &self.sessions)
            .finish_non_exhaustive()
    }
}

impl Chip {
    /// A chip without power.
    pub fn new(config: ChipConfig) -> Self {
        let firmware = Firmware::new(config.firmware.clone());
        let draws = config.firmware.seed.branch("chip").draws();
        Self {
            firmware,
            faults: Faults::default(),
            power: Power::Held,
            strap: false,
            stack: None,
            sessions: Vec::new(),
            applications: Vec::new(),
            served: BTreeMap::new(),
            is_link_dead: false,
            is_half_boot: false,
            noise_left: 0,
            noise: VecDeque::new(),
            draws,
            console: VecDeque::new(),
            console_settings: LineSettings::CONSOLE,
            recovery: None,
            has_boot_lines: false,
            events: VecDeque::new(),
            dialogues_begun: 0,
            config,
        }
    }

    /// Adds a fault; its counts begin now.
    pub fn add_fault(&mut self, fault: &Fault) {
        self.faults.add(fault);
    }

    /// Its software.
    pub fn firmware(&self) -> &Firmware {
        &self.firmware
    }

    /// Its software, for a judge.
    pub(crate) fn firmware_mut(&mut self) -> &mut Firmware {
        &mut self.firmware
    }

    /// Supply comes on: the chip boots.
    pub fn power_on(&mut self, now: Instant) {
        self.boot(now);
    }

    /// Supply goes: everything but flash is lost.
    pub fn power_off(&mut self) {
        self.stop();
        self.power = Power::Held;
    }

    /// Drives the reset line. What is under way ends when it is asserted; the chip boots when it is released.
    pub fn set_reset(&mut self, now: Instant, is_asserted: bool) {
        if is_asserted {
            self.power_off();
        } else if self.power == Power::Held {
            self.boot(now);
        }
    }

    /// Drives the strap that is sampled when reset is released.
    pub fn set_strap(&mut self, is_asserted: bool) {
        self.strap = is_asserted;
    }

    /// What it was started for.
    pub fn boot_mode(&self) -> BootMode {
        match self.power {
            Power::Held => BootMode::Held,
            Power::Recovery => BootMode::Recovery,
            Power::Silent { .. } | Power::Refusing { .. } | Power::Up | Power::Leaving { .. } => {
                BootMode::Normal
            }
        }
    }

    /// Bytes that came in on the service wire.
    pub fn receive(&mut self, bytes: &[u8]) {
        if let (Some(stack), false) = (&mut self.stack, self.is_link_dead) {
            self.firmware.counters_mut().bytes_received += bytes.len() as u64;
            stack.receive(bytes);
        }
    }

    /// What is to go out on the service wire; whoever sends takes from the front.
    pub fn output(&mut self) -> &mut VecDeque<u8> {
        match &mut self.stack {
            Some(stack) if !self.is_link_dead => stack.output(),
            _ => {
                if self.noise.is_empty() && self.noise_left > 0 {
                    let mut noise = vec![0; self.noise_left.min(NOISE_AT_ONCE) as usize];
                    self.draws.fill(&mut noise);
                    self.noise_left -= noise.len() as u64;
                    self.noise.extend(noise);
                }
                &mut self.noise
            }
        }
    }

    /// Drops what is to go out on the service wire, because nobody listens. True when the chip may have more.
    pub(crate) fn discard_output(&mut self) -> bool {
        let is_noise = self.stack.is_none() || self.is_link_dead;
        let output = self.output();
        let had_some = !output.is_empty();
        output.clear();
        // Noise would only go on for ever.
        had_some && !is_noise
    }

    /// What is to go out on the recovery UART as boot messages.
    pub fn console(&mut self) -> &mut VecDeque<u8> {
        // Made only when somebody listens: the general key in them costs more than the rest of a boot.
        if std::mem::take(&mut self.has_boot_lines) {
            let seed = &self.config.firmware.seed;
            let lines = console::boot_lines(seed, self.firmware.id(), &mut self.draws);
            self.console.extend(lines);
        }
        &mut self.console
    }

    /// Drops boot messages, because nobody listens.
    pub(crate) fn discard_console(&mut self) {
        self.has_boot_lines = false;
        self.console.clear();
    }

    /// What happens to the board around it.
    pub fn take_event(&mut self) -> Option<ChipEvent> {
        self.events.pop_front()
    }

    /// True while somebody is connected to the REST port.
    pub fn is_connected(&self) -> bool {
        !self.sessions.is_empty()
    }

    /// Lets time pass and everything happen that can. Returns when it wants to be polled again although nothing
    /// comes in.
    pub fn poll(&mut self, now: Instant) -> Option<Instant> {
        for _ in 0..ROUNDS {
            let mut moved = self.pass_time(now);
            moved |= self.move_bytes(now);
            if !moved {
                return self.wake_at(now);
            }
        }
        Some(now + Duration::from_micros(1))
    }

    fn wake_at(&mut self, now: Instant) -> Option<Instant> {
        let power = match self.power {
            Power::Silent { until } | Power::Refusing { until } | Power::Leaving { until, .. } => Some(until),
            Power::Held | Power::Up | Power::Recovery => None,
        };
        let recovery = self.recovery_wake_at();
        let sessions = self.sessions.iter().filter_map(Session::wake_at).min();
        let is_up = matches!(self.power, Power::Up);
        let firmware = self.firmware.wake_at().filter(|_| is_up);
        let ports = self.firmware.open_ports(now).1.filter(|_| is_up);
        let stack = self
            .stack
            .as_mut()
            .filter(|_| !self.is_link_dead)
            .and_then(|stack| stack.wake_at(now));
        [
            power,
            recovery,
            sessions,
            firmware,
            ports,
            stack,
            self.faults.wake_at(),
        ]
        .into_iter()
        .flatten()
        .filter(|at| *at != Instant::FAR)
        .min()
        .map(|at| at.max(now + Duration::from_nanos(1)))
    }

    /// Power, faults and software by the clock alone.
    fn pass_time(&mut self, now: Instant) -> bool {
        let mut moved = false;
        let bytes = self.firmware.counters().bytes_received;
        for what in self.faults.by_now(bytes, now) {
            moved = true;
            self.suffer(&what, now);
        }
        moved |= self.pass_recovery(now);
        match self.power {
            Power::Silent { until } if until <= now => {
                let mtu = self.config.firmware.assumptions.mtu;
                self.stack = Some(Stack::new(mtu, self.draws.number(), now));
                let until = if self.is_half_boot {
                    Instant::FAR
                } else {
                    until + self.times().boot_refusing
                };
                self.power = Power::Refusing { until };
                moved = true;
            }
            Power::Refusing { until } if until <= now => {
                if let Some(stack) = &mut self.stack {
                    stack.listen(PORT);
                }
                self.power = Power::Up;
                self.firmware.start_up(now);
                moved = true;
            }
            Power::Leaving { until, after } => {
                let is_said = match &mut self.stack {
                    Some(stack) => {
                        let session = self.sessions.iter().find(|session| session.id() == after);
                        session.is_none_or(|session| session.is_flushed(stack))
                            && stack.is_flushed(after)
                            && stack.output().is_empty()
                    }
                    None => true,
                };
                if is_said || until <= now {
                    self.boot(now);
                    moved = true;
                }
            }
            Power::Up if self.firmware.wake_at().is_some_and(|at| at <= now) => {
                self.firmware.tick(now);
                moved = true;
            }
            _ => {}
        }
        moved
    }

    fn times(&self) -> DeviceTimes {
        self.config.firmware.times
    }

    /// Starts anew, as after any reset.
    fn boot(&mut self, now: Instant) {
        self.stop();
        self.is_half_boot = false;
        if self.strap {
            return self.begin_recovery(now);
        }
        if self.firmware.is_blank() {
            // There is nothing that it could run, not even what prints the first line.
            self.power = Power::Silent { until: Instant::FAR };
            return;
        }
        self.firmware.boot(now);
        self.has_boot_lines = true;
        self.power = Power::Silent {
            until: now + self.times().boot_silent,
        };
        for what in self.faults.at_boot() {
            // A reset at every boot would never come to an end.
            if !matches!(what, What::ResetBefore | What::ResetAfter) {
                self.suffer(&what, now);
            }
        }
    }

    fn stop(&mut self) {
        self.has_boot_lines = false;
        self.recovery = None;
        self.console.clear();
        self.console_settings = LineSettings::CONSOLE;
        self.stack = None;
        self.sessions.clear();
        self.applications.clear();
        self.served.clear();
        self.noise.clear();
        self.noise_left = 0;
        self.is_link_dead = false;
    }
}
