//! Sockets get the names that the fixture has for them.

use crate::floor::Floor;
use crate::sim::Sim;

#[test]
fn names_are_given_shown_used_and_forgotten() {
    let floor = Floor::new();
    let _sim = Sim::start(&floor, 2);
    let run = |words: &str| floor.run(&format!("{words} --bench at:bench --data d"));
    run("slots name 1113 A1").exits(0);
    run("slots name 9993 B7").exits(0);
    run("slots name 1123 A1").fails(2, "slots.name");
    run(&format!("slots name 1123 {}", "x".repeat(25))).fails(2, "slots.name");
    let list = run("slots list --json").exits(0).objects();
    let told: Vec<_> = list
        .iter()
        .map(|slot| {
            (
                slot["slot"].as_str().unwrap(),
                slot["name"].as_str(),
                slot["is_attached"] == true,
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            ("1113", Some("A1"), true),
            ("1123", None, true),
            ("9993", Some("B7"), false)
        ]
    );
    let named = run("devices --json").exits(0).objects();
    assert_eq!((&named[0]["name"], named[1].get("name")), (&"A1".into(), None));
    for table in ["devices", "device status --all", "slots list"] {
        let shown = run(table).exits(0);
        assert!(
            shown.stdout.contains("1113 A1") || shown.stdout.contains("1113  A1"),
            "{shown:?}"
        );
    }
    // Wherever a slot is named.
    assert_eq!(
        run("device id --slot A1 --json").exits(0).object()["slot"],
        "1113"
    );
    assert_eq!(
        run("device id --slot A1 --json").exits(0).object()["slot_name"],
        "A1"
    );
    run("device id --slot A9").fails(1, "link.no-board");
    run("slots forget A9").fails(2, "slots.no-name");
    run("slots forget A1").exits(0);
    run("device id --slot A1").fails(1, "link.no-board");
    run("slots forget --all").exits(0);
    assert_eq!(run("slots list --json").exits(0).objects().len(), 2);
    floor.write("d/slots.toml", "nonsense");
    run("slots list").fails(3, "slots.file");
    run("devices").exits(0);
}

#[test]
fn a_slot_has_an_address_that_reaches_its_board() {
    let floor = Floor::new();
    let _sim = Sim::start(&floor, 2);
    let run = |words: &str| floor.run(&format!("{words} --bench at:bench --data d"));
    for (words, kind) in [("devices --json", "device"), ("slots list --json", "slot")] {
        let told: Vec<_> = run(words)
            .exits(0)
            .objects()
            .iter()
            .filter(|object| object["kind"] == kind)
            .map(|object| (object["slot"].clone(), object["ip"].clone()))
            .collect();
        let expected = [
            ("1113".into(), "192.168.35.2".into()),
            ("1123".into(), "192.168.35.3".into()),
        ];
        assert_eq!(told, expected, "{words}");
    }
    let of = |ip: &str| run(&format!("device id --ip {ip} --json"));
    assert_eq!(of("192.168.35.3").exits(0).object()["slot"], "1123");
    of("192.168.35.9").fails(1, "slots.no-such-address");
    of("192.168.36.2").exits(2);
    run("ready-check --ip 192.168.35.9").fails(1, "slots.no-such-address");
    run("device identify --via-console --ip 192.168.35.3").exits(0);
    // A board that is the only one is at .2, whatever its slot has.
    drop(_sim);
    let _sim = Sim::start(&floor, 1);
    floor.write(
        "d/addresses.toml",
        "[[address]]\nslot = \"1113\"\nip = \"192.168.35.7\"\n",
    );
    assert_eq!(of("192.168.35.2").exits(0).object()["slot"], "1113");
    assert_eq!(of("192.168.35.7").exits(0).object()["slot"], "1113");
    floor.write("d/addresses.toml", "nonsense");
    of("192.168.35.2").fails(3, "slots.addresses");
    run("devices").exits(0);
}

#[test]
fn a_socket_is_learned_by_plugging_a_board_in() {
    let floor = Floor::new();
    floor.write(
        "faults.json",
        r#"{"faults": [{"board": 1, "when": {"request": {"operation": "GET /images"}},
            "what": {"unplug": {"replug_after_ms": 200}}}]}"#,
    );
    let _sim = Sim::start_with(&floor, 2, "--faults faults.json");
    floor
        .run("slots learn A1 A1 --bench at:bench --data d")
        .fails(2, "slots.name");
    let mut learning = floor.start("slots learn A2 --bench at:bench --data d --json");
    assert!(learning.says("plug a board into A2"));
    // This request takes the board away, and soon it is back.
    floor
        .run("device images --slot 1123 --bench at:bench --timeout 1")
        .exits(1);
    let learned = learning.done().exits(0).object();
    assert_eq!(
        (&learned["slot"], &learned["name"]),
        (&"1123".into(), &"A2".into())
    );
    floor
        .run("slots learn A3 --timeout 1 --bench at:bench --data d")
        .fails(1, "slots.nothing-plugged-in");
    let list = floor.run("slots list --bench at:bench --data d").exits(0);
    assert!(
        list.stdout.contains("1123  A2") && !list.stdout.contains("A3"),
        "{list:?}"
    );
}

#[test]
fn a_crossed_cable_is_found_by_resetting_and_listening() {
    let floor = Floor::new();
    floor.write(
        "faults.json",
        r#"{"faults": [
            {"board": 0, "when": {"boot": {}}, "what": {"cross-cables": {"with": 1}}},
            {"board": 2, "when": {"boot": {}}, "what": "loose-cable"},
            {"board": 4, "when": {"boot": {"times": 0}}, "what": "silent"}]}"#,
    );
    let sim = Sim::start_with(&floor, 5, "--faults faults.json");
    let run = |words: &str| floor.run(&format!("{words} --bench at:bench --data d --timeout 1"));
    let ids: Vec<_> = run("device identify --via-console --all --json")
        .exits(1)
        .objects()
        .iter()
        .map(|board| board["device"].clone())
        .collect();
    floor.run("slots name 1123 A2 --data d").exits(0);
    let found = run("slots cables --json").exits(1).objects();
    let told: Vec<_> = found
        .iter()
        .map(|socket| {
            (
                socket["slot"].as_str().unwrap(),
                socket["finding"]["is"].as_str().unwrap(),
                socket["reset"].as_array().unwrap().len(),
                socket["error"]["code"].as_str(),
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            ("1113", "crossed", 1, Some("slots.cables-crossed")),
            ("1123", "crossed", 1, Some("slots.cables-crossed")),
            ("1133", "not-connected", 0, Some("slots.no-recovery-cable")),
            ("1143", "right", 1, None),
            ("1153", "no-service", 0, Some("slots.no-service")),
        ]
    );
    // Each line resets the other's device, whose id comes by the other's service cable.
    assert_eq!(found[0]["finding"]["with"], "1123");
    assert_eq!(found[0]["reset"][0], "1123");
    assert_eq!(found[0]["recovery"], found[1]["service"]);
    assert_eq!(found[1]["recovery"], found[0]["service"]);
    assert_eq!(found[3]["recovery"], found[3]["service"]);
    for at in [0, 1, 3, 4] {
        assert_eq!(found[at]["recovery"], ids[at]);
    }
    let shown = run("slots cables --slot 1113 --slot 1143").exits(1);
    assert!(shown.stdout.contains("crossed with 1123 A2"), "{shown:?}");
    run("slots cables --slot 1143").exits(0);
    run("slots cables --slot 9993").fails(1, "link.no-board");
    // Nobody's work is cut off, and nobody is reset who must not be touched.
    let boots = sim.count(1, "boots") + sim.count(3, "boots");
    let protected = found[1]["service"].as_str().unwrap();
    floor.write("protected.txt", format!("{protected} the line's own\n"));
    run("slots cables --slot 1143 --protected protected.txt").fails(4, "slots.protected");
    assert_eq!(sim.count(1, "boots") + sim.count(3, "boots"), boots);
}
