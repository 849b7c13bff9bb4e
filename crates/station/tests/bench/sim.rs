//! `lineside sim` in a process of its own: boards that keep what was done to them, and a judge of it.

use serde_json::Value;

use crate::command::{Done, Running, until};
use crate::floor::Floor;

/// A simulated bench in the folder `bench`. It is killed when it is dropped.
pub(crate) struct Sim<'a> {
    floor: &'a Floor,
    running: Running,
}

impl<'a> Sim<'a> {
    /// With so many boards, ready to be leased.
    pub(crate) fn start(floor: &'a Floor, boards: usize) -> Self {
        Self::start_with(floor, boards, "")
    }

    /// With more words for `lineside sim`.
    #[track_caller]
    pub(crate) fn start_with(floor: &'a Floor, boards: usize, words: &str) -> Self {
        let mut running = floor.start(&format!("sim --boards {boards} --dir bench {words}"));
        assert!(running.says("ready"), "{:?}", running.done());
        Self { floor, running }
    }

    /// What its boards truly are, and what was asked of them.
    #[track_caller]
    pub(crate) fn ask(&self) -> Vec<Value> {
        self.floor.run("sim ask --dir bench --json").exits(0).objects()
    }

    /// Waits until nobody has leased a board.
    #[track_caller]
    pub(crate) fn until_free(&self, board: usize) {
        until("nobody has it", || {
            self.ask()[board]["leased_by"].is_null().then_some(())
        });
    }

    /// A counter of one board.
    #[track_caller]
    pub(crate) fn count(&self, board: usize, counter: &str) -> u64 {
        let boards = self.ask();
        boards[board]["counters"][counter]
            .as_u64()
            .unwrap_or_else(|| panic!("no {counter} in {}", boards[board]))
    }

    /// The judge's word on a board that was locked: asked for once, done once, and nothing reached the wrong device.
    #[track_caller]
    pub(crate) fn assert_locked_once(&self, board: usize) {
        let truth = &self.ask()[board];
        assert_eq!(truth["state"], "DeviceComplete", "{truth}");
        let counters = &truth["counters"];
        assert_eq!(counters["irreversible_asked"], 1, "{truth}");
        assert_eq!(counters["irreversible_applied"], 1, "{truth}");
        assert_eq!(counters["irreversible_refused"], 0, "{truth}");
        assert_eq!(counters["wrong_target_writes"], 0, "{truth}");
    }

    /// Nothing irreversible was even asked for.
    #[track_caller]
    pub(crate) fn assert_untouched(&self, board: usize, state: &str) {
        let truth = &self.ask()[board];
        assert_eq!(truth["state"], state, "{truth}");
        assert_eq!(truth["counters"]["irreversible_asked"], 0, "{truth}");
    }

    /// Asks it to end.
    pub(crate) fn stop(self) -> Done {
        self.running.terminate();
        self.running.done()
    }
}

#[test]
fn usb_takes_its_time_when_it_is_to() {
    let floor = Floor::new();
    floor.run("sim make-image-set --size small --out set").exits(0);
    let _sim = Sim::start_with(&floor, 1, "--usb-latency 1");
    let recover = "recover --images set --bench at:bench --data d --json";
    let done = floor.run(recover).exits(0).objects();
    assert!(
        done.iter().any(|object| object["outcome"] == "recovered"),
        "{done:?}"
    );
    let asked = floor.run("sim ask --dir bench").exits(0).stdout;
    let (head, row) = (asked.lines().next().unwrap(), asked.lines().nth(1).unwrap());
    assert!(head.ends_with("erased  recovered"), "{asked}");
    let cells: Vec<&str> = row.split_whitespace().rev().take(2).collect();
    assert_eq!(cells, ["1", "1"], "{asked}");
    for wrong in ["0", "256", "soon"] {
        let said = floor.run(&format!("sim --dir other --usb-latency {wrong}"));
        said.exits(2);
    }
}
