//! Datagrams between foreign programs and the applications of one device.
//!
//! There is no connection to follow: a program that sends to a door gets a place of its own on the wire, answers to it come
//! back from the same door, and a place that was quiet for long is given up. What there is no room for is lost, as datagrams
//! may be; nothing is kept here. Datagrams keep nobody from leasing a board.

use std::net::SocketAddr;
use std::task::{Context, Poll};
use std::time::Duration;

use lineside_device::{Calls, Place};
use lineside_terms::Instant;
use tokio::io::ReadBuf;
use tokio::net::UdpSocket;

use crate::doors::Doors;

/// How long a program's place is kept when nothing passes: what is asked of those that translate addresses (RFC 4787,
/// section 4.3: no shorter than two minutes).
pub(crate) const KEPT: Duration = Duration::from_secs(120);

/// Programs with a place on one wire; one more takes that of the quietest.
const MOST: usize = 16;

/// A program that sends to a door, and its place on the wire.
#[derive(Debug)]
struct Flow {
    program: SocketAddr,
    door: SocketAddr,
    port: u16,
    place: Place,
    last: Instant,
}

/// All programs of one wire.
#[derive(Debug, Default)]
pub(crate) struct Datagrams {
    flows: Vec<Flow>,
}

/// What was carried in one look.
#[derive(Debug, Default)]
pub(crate) struct Carried {
    pub(crate) to_device: u64,
    pub(crate) from_device: u64,
}

impl Datagrams {
    /// True when a place may have to be given up later.
    pub(crate) fn is_waiting(&self) -> bool {
        !self.flows.is_empty()
    }

    /// Moves what has come, both ways.
    pub(crate) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        doors: [&Doors; 2],
        calls: &mut Calls<'_>,
        now: Instant,
        scratch: &mut [u8],
    ) -> Carried {
        let mut carried = Carried::default();
        for (door, socket) in doors.iter().flat_map(|doors| doors.datagrams()) {
            while let Some((count, program)) = receive(socket, cx, scratch) {
                let flow = self.flow(program, door.at, door.port, calls, now);
                if calls.send_datagram(flow.place, flow.port, &scratch[..count]) {
                    flow.last = now;
                    carried.to_device += count as u64;
                }
            }
        }
        self.flows.retain_mut(|flow| {
            let socket = doors
                .iter()
                .flat_map(|doors| doors.datagrams())
                .find(|(door, _)| door.at == flow.door)
                .map(|(_, socket)| socket);
            while let Some((from, count)) = calls.receive_datagram(flow.place, scratch) {
                // A program listens to the port that it spoke to.
                if from == flow.port
                    && let Some(socket) = socket
                    && socket.try_send_to(&scratch[..count], flow.program).is_ok()
                {
                    flow.last = now;
                    carried.from_device += count as u64;
                }
            }
            let stays = socket.is_some() && now.saturating_since(flow.last) < KEPT;
            if !stays {
                calls.unbind(flow.place);
            }
            stays
        });
        carried
    }

    fn flow(
        &mut self,
        program: SocketAddr,
        door: SocketAddr,
        port: u16,
        calls: &mut Calls<'_>,
        now: Instant,
    ) -> &mut Flow {
        let known = self
            .flows
            .iter()
            .position(|flow| flow.program == program && flow.door == door);
        let at = known.unwrap_or_else(|| {
            if self.flows.len() >= MOST
                && let Some((quietest, _)) = self.flows.iter().enumerate().min_by_key(|(_, flow)| flow.last)
            {
                calls.unbind(self.flows.swap_remove(quietest).place);
            }
            self.flows.push(Flow {
                program,
                door,
                port,
                place: calls.bind(),
                last: now,
            });
            self.flows.len() - 1
        });
        &mut self.flows[at]
    }
}

/// Drops what has come while nobody may reach the board: it must not arrive later.
pub(crate) fn drop_all(doors: [&Doors; 2], cx: &mut Context<'_>, scratch: &mut [u8]) {
    for (_, socket) in doors.iter().flat_map(|doors| doors.datagrams()) {
        while receive(socket, cx, scratch).is_some() {}
    }
}

/// The next datagram of a door: how long it is and who sent it. An error is that of an earlier answer to a program that
/// is gone.
fn receive(socket: &UdpSocket, cx: &mut Context<'_>, scratch: &mut [u8]) -> Option<(usize, SocketAddr)> {
    for _ in 0..MOST {
        let mut piece = ReadBuf::new(scratch);
        match socket.poll_recv_from(cx, &mut piece) {
            Poll::Ready(Ok(program)) => return Some((piece.filled().len(), program)),
            Poll::Ready(Err(_)) => {}
            Poll::Pending => return None,
        }
    }
    None
}
