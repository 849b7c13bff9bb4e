//! Whole runs of the sample plan on simulated boards, in simulated time, judged by the devices and by the records.

mod support;

use support::{Floor, judge};

#[test]
fn one_board_passes() {
    let mut floor = Floor::of(1);
    let summary = floor.start().summary();
    assert!(summary.is_pass(), "{summary:#?}");
    judge::is_finished(&floor.truth(0), &floor.program, "one board");
    judge::records_agree(&floor, "one board");
}
