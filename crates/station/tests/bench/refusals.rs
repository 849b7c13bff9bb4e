//! What is refused before any device is touched.

use std::fs;

use lineside_image::{BoardConfigSource, pack_board_config};
use lineside_simulator::{Seed, Supplies};
use lineside_terms::{ComponentId, ImageId};

use crate::floor::{Floor, PLAN, SERIALS};
use crate::sim::Sim;

#[test]
fn lists_of_serials_are_checked_first() {
    let floor = Floor::new();
    let sim = Sim::start(&floor, 1);
    let run = |serials: &str| {
        floor.write("serials.txt", serials);
        floor.run(&format!(
            "run {PLAN} --bench at:bench --data d --serials serials.txt"
        ))
    };
    let twice = run("A-1\nA-2\nA-1\n").fails(4, "run.list");
    assert!(
        twice
            .stderr
            .contains("line 3 of serials.txt repeats the serial of line 1: A-1"),
        "{twice:?}"
    );
    run("1113 A-1\n1113 A-2\n").fails(4, "run.list");
    run("1113 A-1 extra\n").fails(4, "run.list");
    let nowhere = floor.run(&format!(
        "run {PLAN} --bench at:bench --data d --serials nowhere.txt"
    ));
    nowhere.fails(4, "run.file");
    assert!(!floor.at("d").exists(), "nothing was begun");
    assert_eq!(sim.count(0, "writes"), 0);
}

#[test]
fn a_unit_without_a_serial_is_not_begun() {
    let floor = Floor::new();
    let plan = floor.short_plan();
    let sim = Sim::start(&floor, 2);
    floor.write("serials.txt", "A-1\n");
    let run = floor
        .run(&format!(
            "run {plan} --bench at:bench --data d --serials serials.txt"
        ))
        .exits(1);
    assert!(run.stdout.contains("1 of 2 units passed"), "{run:?}");
    assert_eq!(run.stdout.matches("HELD").count(), 1, "{run:?}");
    sim.assert_locked_once(0);
    assert_eq!(sim.count(1, "writes"), 0);
}

#[test]
fn a_bench_without_boards_is_no_success() {
    let floor = Floor::new();
    let run = floor
        .run(&format!("run {PLAN} --bench sim:0 --data d --serials {SERIALS}"))
        .exits(1);
    assert_eq!(run.stdout, "no board is there\n0 of 8 units passed\n");
    let json = floor
        .run(&format!("run {PLAN} --bench sim:0 --data d --expect 0 --json"))
        .exits(1);
    assert_eq!(json.objects().last().unwrap()["is_pass"], false);
}

/// A board configuration that the signer of a simulated bench signs.
fn package(is_production: bool) -> Vec<u8> {
    let supplies = Supplies::new(&Seed::new(1)).unwrap();
    let signer = if is_production {
        supplies.signing_key()
    } else {
        supplies.development_key()
    };
    let source = BoardConfigSource {
        name: "sample",
        body: b"SAMPLE DATA",
        component: ComponentId::from_u128(1),
        image: ImageId::from_u128(2),
        built: 0,
        temporary: None,
    };
    pack_board_config(&source, signer).unwrap()
}

#[test]
fn images_must_be_fit_for_the_line() {
    let floor = Floor::new();
    floor.edit(
        PLAN,
        r#"body = "thermostat/board-config.bin""#,
        r#"file = "board-config.imagepackage""#,
    );
    let check = |package: &[u8]| {
        fs::write(floor.at("plans/board-config.imagepackage"), package).unwrap();
        floor.run(&format!("plan check {PLAN} --bench sim:1"))
    };
    let good = package(true);
    check(&good).exits(0);

    let development = check(&package(false)).exits(4);
    for part in [
        "error: images.board-config: image `board-config` must not be loaded: signed for development [run.image-refused]",
        "  at:     plans/thermostat.toml:22:9",
    ] {
        assert!(development.stdout.contains(part), "{development:?}");
    }
    let mut tampered = good.clone();
    tampered[0] ^= 1;
    let tampered = check(&tampered).exits(4);
    assert!(tampered.stdout.contains("[run.image-refused]"), "{tampered:?}");
    for wrong in [&good[..good.len() - 1], &good[..10], b"", b"not a package at all"] {
        let refused = check(wrong).exits(4);
        assert!(
            refused.stdout.contains("image `board-config` cannot be used")
                && refused.stdout.contains("remedy: "),
            "{refused:?}"
        );
    }

    // What is refused by `check` is refused by `run` as well.
    check(&package(false)).exits(4);
    floor
        .run(&format!("run {PLAN} --bench sim:1 --data d --serials {SERIALS}"))
        .fails(4, "run.image-refused");
    assert!(!floor.at("d").exists(), "nothing was begun");
}
