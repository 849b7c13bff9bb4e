//! `device manufacturing-state update`: the only way by hand, and it is the same door as a plan's (design 6).
//!
//! What the station's policy allows is one run of one device through the plan that the policy names: it proves the
//! device, writes the intent down, asks once, looks, and keeps all of it. Who did it and why stand in every event.

use std::path::Path;
use std::rc::Rc;

use futures::StreamExt as _;
use futures::future::LocalBoxFuture;
use lineside_flow::Shift;
use lineside_flow::interlock::Protected;
use lineside_link::{Bench, BenchEvent, Board, BoardInfo, LinkError, Watch};
use lineside_runner::survey::{Survey, look};
use lineside_runner::{Program, Serials};
use lineside_terms::{Blame, ManufacturingState, SlotPath, Told, UnitSerial};

use super::super::args::Global;
use super::super::bench::OpenBench;
use super::super::exit::Exit;
use super::super::output::Printer;
use super::super::policy::{self, StateChange};
use super::super::trouble::Trouble;
use super::super::{data, run};
use super::args::Update;

/// How many digits of the id have to be typed.
const DIGITS: usize = 8;

fn refused(code: &str, message: &str, help: &str) -> Trouble {
    Trouble::new(Exit::Refused, Blame::Station, code, message, help)
}

/// The plan that the policy names, if it allows anything at all.
pub(super) fn profile(global: &Global) -> Result<std::path::PathBuf, Trouble> {
    let folder = global.data.clone().unwrap_or_else(lineside_link::data_folder);
    match policy::state_change(&folder)? {
        StateChange::ReadyCheck(profile) => Ok(profile),
        StateChange::Refuse => Err(refused(
            "device.manual-refused",
            "this station does not bring devices to another manufacturing state by hand",
            "Let a plan do it: it proves the device first and keeps the proof. The station's policy in station.toml can \
             allow it by hand.",
        )),
    }
}

/// What is wanted of one device, and what stands around it.
pub(super) struct Wanted<'a> {
    pub(super) update: &'a Update,
    pub(super) profile: &'a Path,
    pub(super) survey: Survey,
    pub(super) protected: &'a Protected,
}

/// Takes the one device through that plan.
pub(super) async fn finish(
    global: &Global,
    wanted: Wanted<'_>,
    bench: OpenBench,
    boards: Vec<BoardInfo>,
    printer: &Printer,
) -> Result<Exit, Trouble> {
    let Wanted {
        update,
        profile,
        survey,
        protected,
    } = wanted;
    let program = Program::load(profile, &bench.trust, bench.supplies.as_ref())?;
    let to = program.plan().final_state;
    if to != update.state {
        return Err(refused(
            "device.profile-state",
            &format!(
                "the plan that the policy names ends in {to}, not in {}",
                update.state
            ),
            "Name that state, or correct `profile` in station.toml.",
        ));
    }
    let [board] = &boards[..] else {
        return Err(refused(
            "device.not-for-all",
            "what cannot be undone is done to one device at a time",
            "Name one device with --slot or --id.",
        ));
    };
    let slot = board.slot.clone();
    let mut found = look(&bench.bench, &bench.clock, boards.clone(), &survey).await;
    let facts = found.remove(0).facts.map_err(|told| Trouble {
        told,
        exit: Exit::NotGood,
    })?;
    protected.check(&facts.device).map_err(|error| Trouble {
        told: Told::of(&error),
        exit: Exit::NotGood,
    })?;
    let id = facts.device.to_string();
    if update.confirm.len() != DIGITS || !id.ends_with(&update.confirm.to_ascii_lowercase()) {
        // The right digits are not told: they are to be read off the device that is meant.
        return Err(refused(
            "device.not-confirmed",
            &format!("the id of the device at slot {slot} does not end with the digits that were typed"),
            "Make sure that this is the device you mean, and give the last 8 digits of its id. Nothing was sent.",
        ));
    }
    let by_slot = update
        .serial
        .iter()
        .map(|serial: &UnitSerial| (slot.clone(), serial.clone()));
    let serials = Serials {
        by_slot: by_slot.collect(),
        count: 1,
        rest: Vec::new(),
    };
    let shift = Shift {
        operator: Some(update.who.clone()),
        shift: None,
        work_order: Some(format!("by hand: {}", update.why)),
    };
    printer.note(&format!(
        "{} of device {} is brought to {} by hand, by {}: {}",
        slot,
        facts.device.short(),
        update.state,
        update.who,
        update.why
    ));
    let bench = OpenBench {
        bench: Rc::new(OneBoard {
            bench: Rc::clone(&bench.bench),
            slot,
            attachment: board.attachment,
        }),
        ..bench
    };
    let work = run::Work {
        program: Rc::new(program),
        serials,
        expected: Some(1),
        shift,
        gate: None,
        only: Some(facts.device),
        folder: data::folder_for_run(global),
    };
    run::on_bench(global, bench, work, printer).await
}

/// True for a state that devices can be brought to.
pub(super) const fn is_target(state: ManufacturingState) -> bool {
    matches!(
        state,
        ManufacturingState::Module1Complete | ManufacturingState::DeviceComplete
    )
}

/// A bench of which one board is seen and no other can be reached: the one whose device was confirmed. Once it was
/// unplugged it is another one, whatever sits in its slot.
struct OneBoard {
    bench: Rc<dyn Bench>,
    slot: SlotPath,
    attachment: u64,
}

impl OneBoard {
    fn is_it(&self, board: &BoardInfo) -> bool {
        (&board.slot, board.attachment) == (&self.slot, self.attachment)
    }
}

impl Bench for OneBoard {
    fn list(&self) -> LocalBoxFuture<'_, Result<Vec<BoardInfo>, LinkError>> {
        Box::pin(async {
            let mut boards = self.bench.list().await?;
            boards.retain(|board| self.is_it(board));
            Ok(boards)
        })
    }

    fn watch(&self) -> Watch {
        let (slot, attachment) = (self.slot.clone(), self.attachment);
        Box::pin(self.bench.watch().filter(move |change| {
            std::future::ready(match change {
                BenchEvent::Attached(board) => (&board.slot, board.attachment) == (&slot, attachment),
                BenchEvent::Detached(of) => *of == slot,
            })
        }))
    }

    fn lease(&self, slot: &SlotPath, holder: &str) -> LocalBoxFuture<'_, Result<Box<dyn Board>, LinkError>> {
        let (slot, holder) = (slot.clone(), holder.to_owned());
        Box::pin(async move {
            if self.list().await?.iter().any(|board| board.slot == slot) {
                self.bench.lease(&slot, &holder).await
            } else {
                Err(LinkError::NoBoard { slot })
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    /// Two boards, of which the first is unplugged and plugged in again now and then.
    #[derive(Default)]
    struct Fake(Cell<u64>);

    impl Bench for Fake {
        fn list(&self) -> LocalBoxFuture<'_, Result<Vec<BoardInfo>, LinkError>> {
            let board = |slot: &str, attachment| BoardInfo {
                device: None,
                slot: SlotPath::new(slot).unwrap(),
                attachment,
                board_serial: None,
                leased_by: None,
                trouble: None,
            };
            Box::pin(std::future::ready(Ok(vec![
                board("113", self.0.get()),
                board("123", 0),
            ])))
        }

        fn watch(&self) -> Watch {
            Box::pin(futures::stream::empty())
        }

        fn lease(&self, _: &SlotPath, _: &str) -> LocalBoxFuture<'_, Result<Box<dyn Board>, LinkError>> {
            Box::pin(std::future::ready(Err(LinkError::Departed)))
        }
    }

    #[test]
    fn only_the_confirmed_board_is_reached_and_only_until_it_is_unplugged() {
        let fake = Rc::new(Fake::default());
        let slot = SlotPath::new("113").unwrap();
        let bench = OneBoard {
            bench: Rc::clone(&fake) as Rc<dyn Bench>,
            slot: slot.clone(),
            attachment: 0,
        };
        let lease = |slot: &SlotPath| futures::executor::block_on(bench.lease(slot, "test")).map(drop);
        assert_eq!(
            lease(&slot),
            Err(LinkError::Departed),
            "the bench itself was asked"
        );
        let other = SlotPath::new("123").unwrap();
        assert_eq!(lease(&other), Err(LinkError::NoBoard { slot: other.clone() }));
        fake.0.set(1);
        assert_eq!(lease(&slot), Err(LinkError::NoBoard { slot: slot.clone() }));
        assert_eq!(futures::executor::block_on(bench.list()), Ok(vec![]));
    }
}
