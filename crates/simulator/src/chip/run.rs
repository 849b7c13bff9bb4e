//! What a chip does while it runs: connections, requests, applications, and the faults that hit them.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use lineside_protocol::rest::ErrorCode;
use lineside_protocol::rest::http::PORT;
use lineside_terms::Instant;

use super::http::{BodyKind, Request, Response};
use super::session::{Job, Session, Wish};
use super::stack::ConnectionId;
use super::{AppConnection, Chip, ChipEvent, Power};
use crate::faults::What;
use crate::firmware::Then;

/// Longest answer that the fault of that name makes, in bytes.
const HUGE_LIMIT: usize = 64 * 1024 * 1024;

/// Bytes taken from a connection to an application at once.
const READ_AT_ONCE: usize = 2048;

impl Chip {
    /// Packets, connections, requests and applications. True when something moved.
    pub(super) fn move_bytes(&mut self, now: Instant) -> bool {
        if self.is_link_dead {
            return false;
        }
        let Some(stack) = &mut self.stack else {
            return false;
        };
        let mut moved = stack.poll(now);
        moved |= self.accept(now);
        moved |= self.serve_requests(now);
        moved |= self.serve_applications(now);
        if let Some(stack) = &mut self.stack {
            // What sessions said goes out before what is over is forgotten.
            moved |= stack.poll(now);
            stack.sweep();
            self.sessions.retain(|session| !session.is_over(stack));
            self.applications.retain(|connection| stack.knows(connection.id));
        }
        moved
    }

    /// Takes in new connections.
    fn accept(&mut self, now: Instant) -> bool {
        let mut moved = false;
        while let Some((id, port)) = self.stack.as_mut().and_then(super::stack::Stack::accept) {
            moved = true;
            if port == PORT {
                self.accept_rest(id, now);
            } else if let Some(dialogue) = self.served.get(&port).copied().and_then(|open| {
                self.dialogues_begun += 1;
                Some((open, self.firmware.dialogue(open, self.dialogues_begun)?))
            }) {
                let (port, dialogue) = dialogue;
                self.applications.push(AppConnection {
                    id,
                    port,
                    dialogue,
                    out: VecDeque::new(),
                });
            } else if let Some(stack) = &mut self.stack {
                stack.abort(id);
            }
        }
        moved
    }

    fn accept_rest(&mut self, id: ConnectionId, now: Instant) {
        let faults = self.faults.at_connect();
        let mut config = self.config.authority.served();
        for what in &faults {
            match what {
                What::WrongCertificate => config = self.config.authority.foreign(),
                What::ExpiredCertificate => config = self.config.authority.expired(),
                _ => {}
            }
            self.suffer(what, now);
        }
        match Session::new(id, config, self.times().handshake) {
            Some(session) if matches!(self.power, Power::Up) => self.sessions.push(session),
            _ => {
                if let Some(stack) = &mut self.stack {
                    stack.abort(id);
                }
            }
        }
    }

    fn serve_requests(&mut self, now: Instant) -> bool {
        let mut moved = false;
        let mut index = 0;
        while index < self.sessions.len() {
            let Some(stack) = &mut self.stack else { return true };
            let (progressed, wish) = self.sessions[index].progress(stack, now);
            moved |= progressed;
            match wish {
                Wish::Nothing => {}
                Wish::Shaken { is_complete: true } => self.firmware.counters_mut().handshakes += 1,
                Wish::Shaken { is_complete: false } => self.firmware.counters_mut().failed_handshakes += 1,
                Wish::Arrived(request) => self.arrived(index, request, now),
                Wish::Due(job) => self.due(index, &job, now),
                Wish::Unreadable { status, code } => {
                    self.firmware.counters_mut().foreign_requests += 1;
                    self.answer(index, &Response::error(status, code), true, &[]);
                }
            }
            index += 1;
        }
        moved
    }

    /// A request is complete. What hits it before it has any effect hits it here.
    fn arrived(&mut self, index: usize, request: Request, now: Instant) {
        if !matches!(self.power, Power::Up) {
            // The chip is leaving: what comes now is never seen.
            return;
        }
        let (operation, mut takes) = self.firmware.arrive(&request);
        tracing::debug!(device = %self.firmware.id().short(), ?request, "request");
        let faults = self.faults.at_request(operation);
        for what in &faults {
            match what {
                What::Delay { ms } => takes += Duration::from_millis(*ms),
                What::ResetAfter | What::AnswerLost => {}
                _ => self.suffer(what, now),
            }
        }
        if let Some(session) = self.sessions.get_mut(index) {
            session.begin(Job {
                request,
                done_at: now + takes,
                faults,
            });
        }
    }

    /// A request is due: it takes effect and is answered.
    fn due(&mut self, index: usize, job: &Job, now: Instant) {
        for what in &job.faults {
            let refusal = match what {
                What::Refuse { status, code } => Response::error(*status, ErrorCode(*code)),
                What::Http500 => Response {
                    status: 500,
                    kind: BodyKind::Json,
                    body: Vec::new(),
                },
                _ => continue,
            };
            self.answer(index, &refusal, job.request.is_last, &[]);
            return;
        }
        let (response, then) = self.firmware.perform(&job.request, now);
        for what in &job.faults {
            match what {
                What::ResetAfter => {
                    self.count_fault(what);
                    self.boot(now);
                    return;
                }
                What::AnswerLost => {
                    self.count_fault(what);
                    self.cut_link();
                    return;
                }
                _ => {}
            }
        }
        let is_leaving = then == Then::Restart;
        self.answer(index, &response, job.request.is_last || is_leaving, &job.faults);
        if is_leaving {
            self.leave(index, now);
        }
    }

    /// Encodes an answer, spoiled as the faults say.
    fn answer(&mut self, index: usize, response: &Response, is_last: bool, faults: &[What]) {
        let version = self.firmware.os().api();
        let mut response = response.clone();
        let mut is_last = is_last;
        for what in faults {
            match what {
                What::HugeAnswer { bytes } => {
                    let longer = response.body.len() + (*bytes).min(HUGE_LIMIT);
                    response.body.resize(longer, b' ');
                }
                What::NotJson => response.body = b"<html>It works!</html>".to_vec(),
                _ => {}
            }
        }
        let length = response.body.len();
        if faults.contains(&What::TruncatedAnswer) {
            response.body.truncate(length / 2);
            is_last = true;
        }
        let bytes = response.encode(version, is_last, length);
        if let Some(session) = self.sessions.get_mut(index) {
            session.answer(bytes, is_last);
        }
    }

    /// Restarts as soon as the answer has left; every other connection ends now.
    fn leave(&mut self, index: usize, now: Instant) {
        let Some(after) = self.sessions.get(index).map(Session::id) else {
            return;
        };
        if let Some(stack) = &mut self.stack {
            stack.close_port_for_new(PORT);
            for session in self.sessions.iter_mut().filter(|session| session.id() != after) {
                session.abort(stack);
            }
            for connection in &self.applications {
                stack.abort(connection.id);
            }
        }
        self.power = Power::Leaving {
            until: now + self.times().restart_grace,
            after,
        };
    }

    /// Opens and closes the ports of applications, and carries what they say.
    fn serve_applications(&mut self, now: Instant) -> bool {
        let Some(stack) = &mut self.stack else {
            return false;
        };
        let is_up = matches!(self.power, Power::Up);
        let datagrams = match is_up {
            true => self.firmware.datagram_ports(now),
            false => BTreeSet::new(),
        };
        let mut moved = stack.echo(&datagrams);
        let open = match is_up {
            true => self.firmware.open_ports(now).0,
            false => Vec::new(),
        };
        let ended: Vec<u16> = self
            .served
            .values()
            .filter(|served| !open.contains(served))
            .map(|served| served.port)
            .collect();
        for port in ended {
            moved = true;
            stack.close_port(port);
            self.served.remove(&port);
        }
        for wanted in open {
            // Of two applications that want one port the first has it.
            if let std::collections::btree_map::Entry::Vacant(free) = self.served.entry(wanted.port) {
                moved = true;
                stack.listen(wanted.port);
                free.insert(wanted);
            }
        }
        for connection in &mut self.applications {
            if self.served.get(&connection.port.port) != Some(&connection.port) {
                stack.abort(connection.id);
                continue;
            }
            let mut bytes = Vec::new();
            if connection.out.len() < READ_AT_ONCE && stack.read(connection.id, &mut bytes, READ_AT_ONCE) > 0
            {
                moved = true;
                match connection.dialogue.take(&bytes) {
                    Some(said) => connection.out.extend(said),
                    None => stack.abort(connection.id),
                }
            }
            let (front, _) = connection.out.as_slices();
            if !front.is_empty() {
                let written = stack.write(connection.id, front);
                connection.out.drain(..written);
                moved |= written > 0;
            }
            if connection.out.is_empty() && !stack.may_read(connection.id) && stack.may_write(connection.id) {
                stack.close(connection.id);
                moved = true;
            }
        }
        moved
    }

    /// Suffers what hits the whole chip. What only spoils an answer does nothing here.
    pub(super) fn suffer(&mut self, what: &What, now: Instant) {
        self.count_fault(what);
        match what {
            What::Silent => self.cut_link(),
            What::Babble { bytes } => {
                self.cut_link();
                self.noise_left = *bytes;
            }
            What::HalfBoot => {
                self.is_half_boot = true;
                if let Some(stack) = &mut self.stack {
                    stack.close_port(PORT);
                    self.sessions.clear();
                    self.power = Power::Refusing { until: Instant::FAR };
                }
            }
            What::Unplug { replug_after_ms } => {
                let replug_after = replug_after_ms.map(Duration::from_millis);
                self.events.push_back(ChipEvent::Unplug { replug_after });
            }
            What::Swap { with } => self.events.push_back(ChipEvent::Swap { with: *with }),
            What::CrossCables { with } => self.events.push_back(ChipEvent::CrossCables { with: *with }),
            What::LooseCable => self.events.push_back(ChipEvent::LooseCable),
            What::ResetBefore | What::ResetAfter => self.boot(now),
            What::AnswerLost => self.cut_link(),
            What::ChangeId => {
                let id = self.firmware.another_id();
                self.firmware.report_id(id);
            }
            What::DuplicateId { of } => {
                if let Some(id) = self.config.neighbours.get(*of) {
                    self.firmware.report_id(*id);
                }
            }
            What::UpdateInProgress => self.firmware.begin_update(),
            // These hit recoveries, and are suffered there.
            What::RecoveryError { .. }
            | What::RecoverySwitchFails
            | What::RecoveryHang
            | What::RecoveryNoise { .. } => {}
            What::WrongCertificate
            | What::ExpiredCertificate
            | What::HugeAnswer { .. }
            | What::TruncatedAnswer
            | What::NotJson
            | What::Refuse { .. }
            | What::Http500
            | What::Delay { .. } => {}
        }
    }

    pub(super) fn count_fault(&mut self, what: &What) {
        tracing::debug!(device = %self.firmware.id().short(), ?what, "fault");
        self.firmware.counters_mut().faults += 1;
    }

    /// The link is dead until the next reset; what was being worked on is never done.
    fn cut_link(&mut self) {
        self.is_link_dead = true;
        self.sessions.clear();
        self.applications.clear();
    }
}
