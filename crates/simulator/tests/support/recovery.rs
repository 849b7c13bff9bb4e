//! A driver of the host's machine for the tests: the least that will do.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use lineside_link::{Board, Clock, Line, LineSettings, LinkError, Port, Wire, write_all};
use lineside_protocol::recovery::host::{Failure, Host, Options, Supply, Uart, Want, Wanted};
use lineside_simulator::{OsProfile, SetSize, World};
use lineside_terms::DeviceId;

/// What a driver has at hand.
#[derive(Clone)]
pub struct Set {
    pub files: BTreeMap<String, Arc<[u8]>>,
    pub capability: Option<Arc<[u8]>>,
    pub is_fast: bool,
    pub event_character: Option<u8>,
}

impl Set {
    pub fn of(world: &World, os: OsProfile, size: SetSize) -> Self {
        let files = world.supplies().image_set(os, size).unwrap();
        Self {
            files: files
                .into_iter()
                .map(|(name, bytes)| (name, bytes.into()))
                .collect(),
            capability: None,
            is_fast: true,
            event_character: None,
        }
    }

    pub fn options(&self) -> Options {
        Options {
            high_speed: self.is_fast,
            ..Options::new(Arc::clone(&self.files["recovery-1bl-rtm.bin"]))
        }
    }

    pub fn supply(&self, wanted: &Wanted) -> Supply {
        let file = match wanted {
            Wanted::Capability => self.capability.as_ref(),
            Wanted::File(name) => self.files.get(name),
        };
        file.map_or(Supply::Missing, |file| Supply::File(Arc::clone(file)))
    }
}

/// Resets the chip with the strap as said.
pub async fn strapped_reset(board: &mut dyn Board, clock: &Clock, strap: bool) -> Result<(), LinkError> {
    board.set_line(Line::RecoveryStrap, strap)?;
    board.set_line(Line::Reset, true)?;
    clock.sleep(Duration::from_millis(20)).await;
    board.set_line(Line::Reset, false)
}

/// One recovery, from entering to the machine's last word. When it succeeded the chip is reset.
pub async fn recover(
    board: &mut dyn Board,
    clock: &Clock,
    set: &Set,
    expected: DeviceId,
) -> (Result<(), Failure>, Host) {
    let mut wire = board.open(Port::Recovery).unwrap();
    wire.configure(LineSettings::CONSOLE).unwrap();
    wire.set_packet_boundary(set.event_character);
    let host = Host::new(set.options(), clock.now());
    strapped_reset(board, clock, true).await.unwrap();
    let ended = drive(wire.as_mut(), clock, set, expected, host).await;
    drop(wire);
    let _ = board.set_line(Line::RecoveryStrap, false);
    if ended.0.is_ok() {
        // The board may be gone by now.
        let _ = lineside_link::reset(board, clock).await;
    }
    ended
}

async fn drive(
    wire: &mut dyn Wire,
    clock: &Clock,
    set: &Set,
    expected: DeviceId,
    mut host: Host,
) -> (Result<(), Failure>, Host) {
    let mut bytes = [0; 4096];
    loop {
        loop {
            let mut out = Vec::new();
            host.output(clock.now(), &mut out);
            if write_all(wire, &out).await.is_err() {
                host.stop();
            }
            let Some(want) = host.next_want() else {
                break;
            };
            match want {
                Want::Configure(Uart { baud, rts_cts }) => {
                    if wire.configure(LineSettings { baud, rts_cts }).is_ok() {
                        host.configured(clock.now());
                    }
                }
                Want::Admit(id) => host.admit(id == expected, clock.now()),
                Want::Supply(wanted) => host.supply(set.supply(&wanted), clock.now()),
                Want::Note(_) => {}
                Want::Finish(outcome) => return (outcome, host),
            }
        }
        let wake = host.next_wake().expect("it goes on");
        let mut sleep = pin!(clock.sleep_until(wake));
        let read = poll_fn(|cx| {
            if let Poll::Ready(read) = wire.poll_read(cx, &mut bytes) {
                return Poll::Ready(Some(read));
            }
            sleep.as_mut().poll(cx).map(|()| None)
        });
        match read.await {
            Some(Ok(count)) => host.input(&bytes[..count], clock.now()),
            Some(Err(_)) => host.stop(),
            None => {}
        }
    }
}
