//! Bad plans, lists and packages are refused before anything runs, each with a code and a remedy; and the one secret
//! that a plan has is in no error, no event, no picture and no debug output.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::rc::Rc;

use lineside_flow::plan::Severity;
use lineside_image::{
    ApplicationSource, BoardConfigSource, Signer, SigningKey, TemporaryFlags, pack_application,
    pack_board_config,
};
use lineside_link::Clock;
use lineside_protocol::rest::assume::DeletePolicy;
use lineside_runner::{Program, RunnerError, check, program};
use lineside_simulator::{AccessPoint, Assumptions, World, WorldConfig};
use lineside_terms::{Blame, ComponentId, Explain, ImageId, SlotPath};
use support::plans::{self, PlanFolder};
use support::{Floor, judge, told};

/// Everything that somebody is shown of an error.
fn shown(error: &RunnerError) -> String {
    let mut text = format!("{} {error} {error:?} {}", error.code(), error.help());
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text.push_str(&format!(" {cause} {cause:?}"));
        source = cause.source();
    }
    text
}

#[track_caller]
fn refused(plan: &PlanFolder, code: &str) -> String {
    let Err(error) = plan.load() else {
        panic!("it was not refused with {code}")
    };
    assert_eq!(error.code(), code, "{}", shown(&error));
    assert!(error.help().len() > 20, "{}", shown(&error));
    shown(&error)
}

/// A package of the test application, signed by `signer`.
fn package(signer: &Signer, temporary: Option<TemporaryFlags>) -> Vec<u8> {
    let manifest =
        std::fs::read(plans::folder().join("thermostat/test-application/app_manifest.json")).unwrap();
    let app = std::fs::read(plans::folder().join("thermostat/test-application/bin/app")).unwrap();
    let files = [("/bin/app".to_owned(), app)];
    let source = ApplicationSource {
        manifest: &manifest,
        files: &files,
        executables: &[],
        image: ImageId::from_bytes_le([7; 16]),
        built: 1_767_225_600,
        runtime_version: 5,
        temporary,
    };
    pack_application(&source, signer).unwrap()
}

/// The plan with the test application as a package instead of a tree.
fn with_package(bytes: &[u8]) -> PlanFolder {
    PlanFolder::new().write("test.imagepackage", bytes).edit(
        "tree = \"thermostat/test-application\"",
        "file = \"test.imagepackage\"",
    )
}

fn production() -> Signer {
    plans::keys(1).0.signer
}

#[test]
fn packages_that_are_none_or_not_signed_for_production_are_refused() {
    let good = package(&production(), None);
    with_package(&good).load().unwrap();

    refused(&with_package(b""), "image.malformed");
    refused(
        &with_package(b"this is no package at all, only some text that somebody gave the wrong name"),
        "image.malformed",
    );
    for cut in [1, 4, 40, good.len() / 2] {
        refused(&with_package(&good[..good.len() - cut]), "image.malformed");
    }
    // One bit of the body: well-formed, and no longer what was signed.
    let mut changed = good.clone();
    changed[good.len() / 3] ^= 1;
    let error = with_package(&changed).load().expect_err("a changed package");
    assert!(
        ["run.image-refused", "image.malformed"].contains(&error.code()),
        "{}",
        shown(&error)
    );
    // Signed for development.
    let (clock, _hands) = Clock::by_hand();
    let world = World::new(
        WorldConfig {
            boards: 0,
            ..WorldConfig::default()
        },
        clock,
    )
    .unwrap();
    let development = world.supplies().development_key().clone();
    let told = refused(&with_package(&package(&development, None)), "run.image-refused");
    assert!(told.contains("evelopment"), "{told}");
    // A board configuration in the place of an application.
    let source = BoardConfigSource {
        name: "board-config",
        body: b"opaque",
        component: ComponentId::from_bytes_le([3; 16]),
        image: ImageId::from_bytes_le([4; 16]),
        built: 1_767_225_600,
        temporary: None,
    };
    let wrong = pack_board_config(&source, &production()).unwrap();
    assert!(refused(&with_package(&wrong), "plan.findings").contains("plan.wrong-image-type"));
}

#[test]
fn a_signature_that_only_the_device_can_judge_is_judged_by_it() {
    // No list of keys is whole, so a signer that nobody knows may be a good one; these devices do not know it either.
    let stranger = Signer::without_certificate(SigningKey::from_secret(&[9; 32]).unwrap());
    let plan = with_package(&package(&stranger, None));
    let mut floor = Floor::with_program(
        WorldConfig {
            boards: 1,
            ..WorldConfig::default()
        },
        plan.program(),
    );
    let summary = floor.start().summary();
    let error = summary.picture.slots[0].error.clone().unwrap();
    assert_eq!(
        (error.code.as_str(), error.blame),
        ("device.http-400", Blame::Supply),
        "{}",
        told(&summary.picture)
    );
    assert!(error.help.contains("signature"), "{error:?}");
    assert_eq!(floor.truth(0).counters.irreversible_asked, 0);
}

#[test]
fn a_test_application_that_is_marked_as_temporary_can_be_deleted_where_only_such_can() {
    let marked = with_package(&package(&production(), Some(TemporaryFlags::REMOVE_AT_BOOT)));
    let assumptions = Assumptions {
        delete_policy: DeletePolicy::TemporaryOnly,
        ..Assumptions::default()
    };
    let config = WorldConfig {
        boards: 1,
        assumptions,
        ..WorldConfig::default()
    };
    let mut floor = Floor::with_program(config, marked.program());
    let summary = floor.start().summary();
    assert!(summary.is_pass(), "{}", told(&summary.picture));
    judge::is_finished(&floor.truth(0), &floor.program, "marked as temporary");
}

#[test]
fn what_is_packed_on_the_spot_is_for_simulated_benches_only() {
    let (_, trust) = plans::keys(1);
    let path = plans::folder().join("thermostat.toml");
    let error = Program::load(&path, &trust, None).unwrap_err();
    assert_eq!(error.code(), "run.only-simulated");
}

#[test]
fn plans_that_are_none_or_would_do_harm_are_refused() {
    let typo = refused(
        &PlanFolder::new().edit("attempt-limit", "atempt-limit"),
        "plan.unknown-key",
    );
    assert!(typo.contains("line 12"), "{typo}");
    refused(
        &PlanFolder::new().write("thermostat.toml", "version = 1\nproduct = "),
        "plan.syntax",
    );
    refused(
        &PlanFolder::new().write("thermostat.toml", b"\xFF\xFE\x00"),
        "run.file",
    );
    // Locked before it is judged; the temporary application left; an image that nobody loads; nothing that locks.
    let step = |id: &str, rest: &str| format!("[[steps]]\nid = \"{id}\"\n{rest}");
    let order = [
        (step("ready", "do = \"ready-check\"\n"), String::new()),
        (
            step(
                "remove-test-application",
                "do = \"remove-image\"\nimage = \"test-application\"\n",
            ),
            String::new(),
        ),
        (
            step("application", "do = \"load-image\"\nimage = \"application\"\n"),
            String::new(),
        ),
        (
            step("lock", "do = \"set-state\"\nto = \"DeviceComplete\"\n"),
            String::new(),
        ),
    ];
    for (from, to) in order {
        let told = refused(&PlanFolder::new().edit(&from, &to), "plan.findings");
        assert!(told.contains("plan."), "{told}");
    }
}

#[test]
fn every_finding_is_shown_by_the_check() {
    let plan = PlanFolder::new().edit("[[steps]]\nid = \"ready\"\ndo = \"ready-check\"\n", "");
    let (supplies, trust) = plans::keys(1);
    let findings = check(&plan.plan(), &trust, Some(&supplies)).unwrap();
    assert!(
        findings
            .iter()
            .any(|found| found.finding.severity == Severity::Error),
        "{findings:?}"
    );
}

#[test]
fn a_check_tells_of_all_that_is_unfit_and_where_it_is_named() {
    let plan = PlanFolder::new().edit("[[steps]]\nid = \"ready\"\ndo = \"ready-check\"\n", "");
    let gone = [
        "simulated-os.json",
        "thermostat/board-config.bin",
        "sample-psk.txt",
    ];
    for name in gone {
        std::fs::remove_file(plan.path(name)).unwrap();
    }
    let plan = plan.write("thermostat/application/app_manifest.json", "{");
    let text = std::fs::read_to_string(plan.plan()).unwrap();
    let (supplies, trust) = plans::keys(1);
    let findings = check(&plan.plan(), &trust, Some(&supplies)).unwrap();
    for (place, key, code) in [
        ("os.list", "list =", "run.file"),
        ("images.board-config", "[images.board-config]", "run.file"),
        ("images.application", "[images.application]", "image."),
        ("steps.", "[[steps]]", "run.secret"),
        ("steps.", "[[steps]]", "plan.no-ready-check"),
    ] {
        let found = findings
            .iter()
            .find(|found| found.finding.place.starts_with(place) && found.finding.code.starts_with(code));
        let found = found.unwrap_or_else(|| panic!("{place} {code}: {findings:?}"));
        assert_eq!(found.finding.severity, Severity::Error);
        let line = text.lines().nth(found.line.unwrap() - 1).unwrap();
        assert!(line.starts_with(key), "{place}: {line}");
    }
    assert!(
        findings
            .iter()
            .all(|found| found.finding.code != "plan.image-unread"),
        "{findings:?}"
    );
}

#[test]
fn files_that_are_missing_are_named_with_the_key_that_names_them() {
    let cases = [
        ("simulated-os.json", "os.list"),
        ("thermostat/board-config.bin", "images.board-config"),
        ("thermostat/application/app_manifest.json", "images.application"),
    ];
    for (name, key) in cases {
        let plan = PlanFolder::new();
        std::fs::remove_file(plan.path(name)).unwrap();
        let told = refused(&plan, "run.file");
        assert!(told.contains(key), "{told}");
    }
    let plan = PlanFolder::new();
    std::fs::remove_dir_all(plan.path("thermostat/test-application")).unwrap();
    refused(&plan, "run.file");
    let plan = PlanFolder::new();
    std::fs::remove_file(plan.plan()).unwrap();
    refused(&plan, "run.file");
    let plan = PlanFolder::new();
    std::fs::remove_file(plan.path("sample-psk.txt")).unwrap();
    refused(&plan, "run.secret");
}

#[test]
fn lists_that_are_none_are_refused() {
    for bad in [
        "",
        "{}",
        "[1,2]",
        "{\"versions\":[{\"name\":\"24.06\"}]}",
        "{\"versions\":",
        "\u{0}",
    ] {
        refused(&PlanFolder::new().write("simulated-os.json", bad), "run.os-list");
    }
    let protected = PlanFolder::new().edit(
        "attempt-limit = 3",
        "attempt-limit = 3\nprotected = \"protected.txt\"",
    );
    let told = refused(
        &protected.write("protected.txt", "# golden\n\n12ab\n"),
        "run.list",
    );
    assert!(told.contains("line 3"), "{told}");
}

#[test]
fn serials_are_given_in_order_or_by_name_and_mistakes_have_a_line() {
    let slots: Vec<SlotPath> = ["1113", "1123", "1133"]
        .iter()
        .map(|slot| slot.parse().unwrap())
        .collect();
    let read = |text: &str| {
        let plan = PlanFolder::new().write("serials.txt", text);
        program::serials(&plan.path("serials.txt"), &slots, SlotPath::clone)
    };
    let given = read("# first shift\nTH-1\n1113 TH-2 # by name\n\nTH-3\n").unwrap();
    let by_slot: Vec<(String, String)> = given
        .by_slot
        .iter()
        .map(|(slot, serial)| (slot.to_string(), serial.to_string()))
        .collect();
    let pair = |slot: &str, serial: &str| (slot.to_owned(), serial.to_owned());
    assert_eq!(
        by_slot,
        [pair("1113", "TH-2"), pair("1123", "TH-1"), pair("1133", "TH-3")]
    );
    assert_eq!(given.count, 3);
    assert_eq!(
        read("TH-1\nTH-2\nTH-3\nTH-4\n").unwrap().count,
        4,
        "a serial without a board is expected too"
    );
    for (text, line) in [
        ("TH-1\nTH-1\n", "line 2"),
        ("1113 TH-1\n1113 TH-2\n", "line 2"),
        ("1113 TH-1 more\n", "line 1"),
        ("TH-1\n\n1113/ TH-2\n", "line 3"),
    ] {
        let error = read(text).unwrap_err();
        assert_eq!(error.code(), "run.list", "{text}");
        assert!(error.to_string().contains(line), "{text}: {error}");
    }
}

#[test]
fn a_secret_is_nowhere_to_be_seen() {
    const SECRET: &str = "kept-to-itself-4711";
    let everything = |texts: &[String]| {
        for text in texts {
            assert!(!text.contains(SECRET), "the pre-shared key is in: {text}");
        }
    };
    let mut texts = Vec::new();
    // Wrong in every way that a secret can be.
    for bad in [
        format!("{SECRET}{SECRET}{SECRET}{SECRET}"),
        format!("{}\n{SECRET}", "short"),
    ] {
        texts.push(refused(
            &PlanFolder::new().write("sample-psk.txt", bad),
            "run.secret",
        ));
    }
    // In clear text in the plan, and in a plan that is wrong elsewhere.
    let psk = "psk-file = \"sample-psk.txt\"";
    let clear = PlanFolder::new().edit(psk, &format!("psk = \"{SECRET}\""));
    texts.push(shown(&clear.load().expect_err("a key in clear text")));
    let file = PlanFolder::new().write("sample-psk.txt", format!("{SECRET}\n"));
    let broken = PlanFolder::new()
        .write("sample-psk.txt", SECRET)
        .edit("do = \"restart\"", "do = \"dance\"");
    texts.push(shown(&broken.load().expect_err("no such action")));

    // Good, and the access point takes it; or has another one.
    let program = file.program();
    texts.push(format!("{program:?}"));
    for key in [SECRET, "another-key"] {
        let air = vec![AccessPoint::with_key("lineside-test", key)];
        let mut floor = Floor::with_program(
            WorldConfig {
                boards: 1,
                air,
                ..WorldConfig::default()
            },
            Rc::clone(&program),
        );
        floor.keeps_shown = true;
        let summary = floor.start().summary();
        assert_eq!(summary.is_pass(), key == SECRET, "{}", told(&summary.picture));
        texts.push(format!("{summary:?}"));
        texts.extend(floor.shown.borrow().iter().cloned());
        for event in floor.history() {
            texts.push(format!("{event:?} {}", serde_json::to_string(&event).unwrap()));
        }
        texts.push(format!("{:?}", judge::fold(floor.history())));
    }
    assert!(texts.len() > 100);
    everything(&texts);
}
