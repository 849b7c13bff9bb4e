//! Applications that run, crash and are restarted (`device-rest-api.md` 3.3, 5.4).

use std::collections::BTreeSet;
use std::time::Duration;

use lineside_image::AppManifest;
use lineside_protocol::rest::application::{
    AppState, AppStatus, ControlRequest, MemoryFigures, MemoryStats, Quota, Trigger,
};
use lineside_protocol::rest::http::{APPLICATION_OUTPUT_PORT, DEBUGGER_PORT};
use lineside_protocol::rest::{ErrorCode, assume};
use lineside_terms::{Capability, ComponentId, ImageType, Instant};

use super::Firmware;
use super::images::GDBSERVER;
use super::program::{LINE_LIMIT, Program};
use super::reply::{Refused, json, read, refused};
use super::sideload::component_of;
use crate::assume::{DEBUGGER_RULES, GPIO_IN_USE, PERIPHERAL_IN_USE};
use crate::chip::Response;
use crate::seed::Draws;

/// Memory of one application in bytes, for statistics that nobody can check.
const MEMORY_PER_APPLICATION: u64 = 98_304;

/// An application that was started since the last boot.
#[derive(Debug, Clone)]
pub(super) struct Process {
    life: Life,
    /// Counts starts, so that two of them never look the same.
    starts: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Life {
    Stopped,
    Running {
        since: Instant,
    },
    /// It ended by itself; the OS will start it again.
    Ended {
        restart_at: Instant,
    },
    Debugging,
}

/// A TCP port that something on the device serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct OpenPort {
    /// The port.
    pub(crate) port: u16,
    /// The application behind it.
    pub(crate) component: ComponentId,
    /// Which start of it: connections do not outlive the process.
    pub(crate) start: u64,
}

/// One side of the dialogue between a host and an application.
#[derive(Debug)]
pub(crate) struct Dialogue {
    program: Program,
    draws: Draws,
    line: Vec<u8>,
}

impl Dialogue {
    /// Takes bytes from the host and returns what the application says to them. `None` when it wants no more of
    /// this connection.
    pub(crate) fn take(&mut self, bytes: &[u8]) -> Option<Vec<u8>> {
        let mut said = Vec::new();
        for &byte in bytes {
            if byte == b'\n' {
                said.extend(self.program.answer(&self.line, &mut self.draws));
                self.line.clear();
            } else if self.line.len() >= LINE_LIMIT {
                return None;
            } else {
                self.line.push(byte);
            }
        }
        Some(said)
    }
}

impl Firmware {
    /// Starts every application, as boot does. One that cannot start stays stopped.
    pub(super) fn start_all(&mut self, now: Instant) {
        let applications: Vec<_> = self
            .flash
            .images
            .iter()
            .filter(|(_, i)| i.application.is_some())
            .map(|(c, _)| *c)
            .collect();
        for component in applications {
            let _ = self.start(component, now + self.config.times.boot_applications);
        }
    }

    /// Starts one application, unless somebody who runs has what it wants.
    pub(super) fn start(&mut self, component: ComponentId, now: Instant) -> Result<(), Refused> {
        let Some(application) = self
            .flash
            .images
            .get(&component)
            .and_then(|i| i.application.as_ref())
        else {
            return Ok(());
        };
        let process = self.ram.processes.get(&component);
        let starts = process.map_or(0, |process| process.starts) + 1;
        if process.is_some_and(|process| matches!(process.life, Life::Running { .. })) {
            return Ok(());
        }
        if let Some(code) = self.conflict(component, &application.manifest) {
            let stopped = Process {
                life: Life::Stopped,
                starts,
            };
            self.ram.processes.insert(component, stopped);
            return Err(refused(assume::status_of(code), code));
        }
        let since = now + self.config.times.application_start;
        self.ram.processes.insert(
            component,
            Process {
                life: Life::Running { since },
                starts,
            },
        );
        Ok(())
    }

    /// What another application that runs has already.
    fn conflict(&self, component: ComponentId, wanted: &AppManifest) -> Option<ErrorCode> {
        let others = self
            .ram
            .processes
            .iter()
            .filter(|(other, process)| **other != component && process.life != Life::Stopped)
            .filter_map(|(other, _)| self.flash.images.get(other)?.application.as_ref());
        for other in others {
            let (ours, theirs) = (&wanted.capabilities, &other.manifest.capabilities);
            if ours.gpio.iter().any(|pin| theirs.gpio.contains(pin)) {
                return Some(GPIO_IN_USE);
            }
            // One serial block can be only one of these at a time, whichever way it is asked for.
            let blocks = |c: &lineside_image::Capabilities| {
                [&c.uart, &c.i2c_master, &c.spi_master, &c.pwm, &c.adc]
                    .into_iter()
                    .flatten()
                    .cloned()
                    .collect::<Vec<String>>()
            };
            let theirs = blocks(theirs);
            if blocks(ours).iter().any(|block| theirs.contains(block)) {
                return Some(PERIPHERAL_IN_USE);
            }
        }
        None
    }

    /// Ends what crashes, restarts what has ended.
    pub(super) fn tick_applications(&mut self, now: Instant) {
        let times = self.config.times;
        for (component, process) in &mut self.ram.processes {
            let Some(program) = self
                .flash
                .images
                .get(component)
                .and_then(|i| i.application.as_ref())
                .map(|a| &a.program)
            else {
                continue;
            };
            // Several ends and starts may lie between two ticks; only the last of them can be seen.
            for _ in 0..2 {
                match process.life {
                    Life::Running { since } => {
                        if let Some(end) = crash_at(since, program).filter(|end| *end <= now) {
                            process.life = Life::Ended {
                                restart_at: end + times.application_restart,
                            };
                        }
                    }
                    Life::Ended { restart_at } if restart_at <= now => {
                        process.starts += 1;
                        process.life = Life::Running {
                            since: now + times.application_start,
                        };
                    }
                    _ => {}
                }
            }
        }
    }

    /// When an application will end, listen or be restarted.
    pub(super) fn applications_wake_at(&self) -> Option<Instant> {
        self.ram
            .processes
            .iter()
            .filter_map(|(component, process)| {
                let program = &self.flash.images.get(component)?.application.as_ref()?.program;
                match process.life {
                    Life::Running { since } => crash_at(since, program),
                    Life::Ended { restart_at } => Some(restart_at),
                    Life::Stopped | Life::Debugging => None,
                }
            })
            .min()
    }

    /// The ports that applications serve now, and when more will be: an application listens a while after it
    /// was started.
    pub(crate) fn open_ports(&self, now: Instant) -> (Vec<OpenPort>, Option<Instant>) {
        let mut open = Vec::new();
        let mut later: Option<Instant> = None;
        for (component, process) in &self.ram.processes {
            let Life::Running { since } = process.life else {
                continue;
            };
            let Some(application) = self
                .flash
                .images
                .get(component)
                .and_then(|i| i.application.as_ref())
            else {
                continue;
            };
            let Some(port) = application.program.port else {
                continue;
            };
            let is_allowed = application
                .manifest
                .capabilities
                .allowed_tcp_server_ports
                .contains(&port);
            // `loop` ends before it listens.
            if !is_allowed || application.program.crash_after == Some(Duration::ZERO) {
                continue;
            }
            if since <= now {
                open.push(OpenPort {
                    port,
                    component: *component,
                    start: process.starts,
                });
            } else {
                later = Some(later.map_or(since, |at| at.min(since)));
            }
        }
        (open, later)
    }

    /// The ports on which running applications may take datagrams. A simulated application sends each one back.
    pub(crate) fn datagram_ports(&self, now: Instant) -> BTreeSet<u16> {
        let is_running = |process: &Process| matches!(process.life, Life::Running { since } if since <= now);
        let running = self
            .ram
            .processes
            .iter()
            .filter(|(_, process)| is_running(process));
        running
            .filter_map(|(component, _)| self.flash.images.get(component)?.application.as_ref())
            .flat_map(|application| &application.manifest.capabilities.allowed_udp_server_ports)
            .copied()
            .collect()
    }

    /// A new connection to an application; `number` keeps the noise of several apart.
    pub(crate) fn dialogue(&self, port: OpenPort, number: u64) -> Option<Dialogue> {
        let program = self
            .flash
            .images
            .get(&port.component)?
            .application
            .as_ref()?
            .program
            .clone();
        let draws = self
            .config
            .seed
            .branch(&format!("dialogue/{}/{number}", port.port))
            .draws();
        Some(Dialogue {
            program,
            draws,
            line: Vec::new(),
        })
    }

    fn app_state(&self, component: ComponentId) -> AppState {
        match self.flash.images.get(&component) {
            Some(installed) if installed.image_type == ImageType::APPLICATION => {}
            _ => return AppState::NotPresent,
        }
        match self.ram.processes.get(&component).map(|process| process.life) {
            Some(Life::Running { .. }) => AppState::Running,
            Some(Life::Debugging) => AppState::Debugging,
            Some(Life::Stopped | Life::Ended { .. }) | None => AppState::Stopped,
        }
    }

    pub(super) fn get_app_status(&self, item: &str, _now: Instant) -> Result<Response, Refused> {
        Ok(json(&AppStatus::of(self.app_state(component_of(item)?))))
    }

    pub(super) fn control_app(
        &mut self,
        item: &str,
        body: &[u8],
        capabilities: &[Capability],
        now: Instant,
    ) -> Result<Response, Refused> {
        let component = component_of(item)?;
        if !capabilities.contains(&Capability::APP_DEVELOPMENT) {
            return Err(assume::CONTROL_REFUSED.into());
        }
        let trigger = read::<ControlRequest>(body)?.trigger;
        if self.app_state(component) == AppState::NotPresent {
            return Err(refused(409, ErrorCode::APP_NOT_PRESENT));
        }
        if component == GDBSERVER {
            // The debugger cannot be started, stopped or debugged (5.4 item 6).
            let [debug, start, stop] = DEBUGGER_RULES;
            let code = match trigger {
                Trigger::StartDebug => debug,
                Trigger::Start => start,
                _ => stop,
            };
            return Err(refused(409, code));
        }
        match trigger {
            Trigger::Start => {
                let is_debugging = self.app_state(component) == AppState::Debugging;
                if is_debugging {
                    self.stop(component);
                }
                self.start(component, now)?;
            }
            Trigger::Stop => self.stop(component),
            Trigger::StartDebug => {
                if !self.flash.images.contains_key(&GDBSERVER) {
                    return Err(assume::NO_DEBUGGER.into());
                }
                self.stop(component);
                self.start(component, now)?;
                if let Some(process) = self.ram.processes.get_mut(&component) {
                    process.life = Life::Debugging;
                }
            }
            Trigger::Unknown => return Err(assume::UNKNOWN_TRIGGER.into()),
        }
        let state = self.app_state(component);
        let is_debugging = state == AppState::Debugging;
        Ok(json(&AppStatus {
            gdb_port: is_debugging.then_some(DEBUGGER_PORT),
            out_port: is_debugging.then_some(APPLICATION_OUTPUT_PORT),
            ..AppStatus::of(state)
        }))
    }

    fn stop(&mut self, component: ComponentId) {
        if let Some(process) = self.ram.processes.get_mut(&component) {
            process.life = Life::Stopped;
        }
    }

    pub(super) fn get_app_quota(&self, item: &str) -> Result<Response, Refused> {
        let component = component_of(item)?;
        let installed = self
            .flash
            .images
            .get(&component)
            .filter(|installed| installed.image_type == ImageType::APPLICATION)
            .ok_or(refused(404, ErrorCode::APP_NOT_PRESENT))?;
        let limit_kb = installed
            .application
            .as_ref()
            .and_then(|a| a.manifest.capabilities.mutable_storage_kib)
            .unwrap_or(0);
        Ok(json(&Quota {
            usage_kb: installed.storage_used_kib,
            limit_kb,
        }))
    }

    pub(super) fn get_memory_stats(&self) -> Response {
        let running = self
            .ram
            .processes
            .values()
            .filter(|process| process.life != Life::Stopped)
            .count() as u64;
        let user = running * MEMORY_PER_APPLICATION;
        json(&MemoryStats {
            memory_stats: MemoryFigures {
                current_memory_usage_in_bytes: user + MEMORY_PER_APPLICATION / 2,
                peak_user_mode_memory_usage_in_bytes: user,
                user_mode_memory_usage_in_bytes: user,
                apps: None,
            },
        })
    }
}

fn crash_at(since: Instant, program: &Program) -> Option<Instant> {
    program.crash_after.map(|after| since + after)
}
