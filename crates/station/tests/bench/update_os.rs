//! A plan that writes the OS, through a kill in the middle of it.

use crate::floor::Floor;
use crate::sim::Sim;

const PLAN: &str = "plans/thermostat-update.toml";

#[test]
fn a_kill_in_the_middle_is_gone_on_from_by_itself() {
    let floor = Floor::new();
    let check = format!("plan check {PLAN} --bench sim:1");
    floor.run(&check).exits(4);
    floor
        .run("sim make-image-set --size small --out plans/sets/24.06")
        .exits(0);
    floor.run(&check).exits(0);
    floor.write("serials.txt", "SAMPLE-1\nSAMPLE-2\n");
    let sim = Sim::start_with(&floor, 2, "--os-profile 22.09");
    let run = format!("run {PLAN} --bench at:bench --data d --serials serials.txt --json");
    let mut first = floor.start(&run);
    assert!(first.says("recovery-begun"));
    first.kill();
    for board in 0..2 {
        sim.until_free(board);
    }
    let done = floor.run(&run).exits(0).objects();
    let ended = done
        .iter()
        .filter(|object| object["kind"] == "recovery-ended")
        .count();
    assert!(ended >= 1, "{done:?}");
    for board in 0..2 {
        sim.assert_locked_once(board);
        assert!(sim.count(board, "recoveries") >= 1);
        assert_eq!(sim.ask()[board]["os"], "24.06");
    }
    floor.run("records verify --data d").exits(0);
}
