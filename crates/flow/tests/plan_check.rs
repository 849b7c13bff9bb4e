//! What `check` refuses, one plan for each code, and what it lets pass.

mod plan_text;

use std::collections::BTreeSet;

use lineside_flow::plan::{Finding, Given, Severity, check, parse, position_of};
use lineside_terms::{ComponentId, ImageType};
use plan_text::{SAMPLE, Text, given};
use proptest::prelude::*;

fn codes(findings: &[Finding]) -> BTreeSet<&'static str> {
    findings.iter().map(|finding| finding.code).collect()
}

fn errors(text: &Text, given: &Given) -> BTreeSet<&'static str> {
    let mut findings = check(&text.plan(), given);
    findings.retain(|finding| finding.severity == Severity::Error);
    codes(&findings)
}

/// A step that writes the OS.
const UPDATE: &str = "id = \"update\"\ndo = \"update-os\"\nimages = \"sets/24.06\"";

/// The plan, and all codes that it must be refused with: no fewer and no more.
#[test]
fn every_impossible_plan_is_refused_for_its_own_reason() {
    let sample = Text::sample;
    let blank = || sample().head("\"Module1Complete\"", "\"Blank\"");
    let module = || {
        sample()
            .head("kind = \"device\"", "kind = \"module\"")
            .head("final = \"DeviceComplete\"", "final = \"Module1Complete\"")
            .without("lock")
            .without("final-look")
    };
    let cases: Vec<(Text, &[&str])> = vec![
        // The head.
        (
            sample().head("attempt-limit = 3", "attempt-limit = 0"),
            &["plan.no-attempts"],
        ),
        (
            sample().head(
                "attempt-limit = 3",
                "approvals = { nowhere = { role = \"quality\" } }",
            ),
            &["plan.approval-step"],
        ),
        (
            sample().head(
                "attempt-limit = 3",
                "approvals = { lock = { role = \"quality\", people = 3 } }",
            ),
            &["plan.approval-role"],
        ),
        (sample().head("[\"24.06\"]", "[]"), &["plan.no-os-versions"]),
        (
            sample().head("[\"24.06\"]", "[\"24.06\", \"99.01\"]"),
            &["plan.os-not-listed"],
        ),
        (
            sample().head("[\"Module1Complete\"]", "[]"),
            &["plan.no-incoming"],
        ),
        (
            sample().head("\"Module1Complete\"", "\"Unknown\""),
            &["plan.state-unknown"],
        ),
        (
            sample().head(
                "[\"Module1Complete\"]",
                "[\"Module1Complete\", \"DeviceComplete\"]",
            ),
            &["plan.incoming-locked"],
        ),
        (
            module()
                .head("[\"Module1Complete\"]", "[\"Module1Complete\"]")
                .head("final = \"Module1Complete\"", "final = \"Blank\""),
            &["plan.final-behind"],
        ),
        (blank(), &["plan.rf-incoming"]),
        (
            sample().head("\"supplier\"", "\"here\""),
            &["plan.rf-incoming", "plan.rf-not-done"],
        ),
        (blank().head("\"supplier\"", "\"here\""), &["plan.rf-not-done"]),
        (
            sample().head(
                "allowed-components = []",
                "allowed-components = [\"508eddf2-b8c3-4a99-93d9-a045d9a060eb\"]",
            ),
            &["plan.allows-forbidden"],
        ),
        // Names.
        (
            sample().step("application", "image = \"application\"", "image = \"aplication\""),
            &["plan.unknown-image", "plan.image-not-loaded"],
        ),
        (
            sample().step("os", "do =", "instruments = [\"scope\"]\ndo ="),
            &["plan.unknown-instrument"],
        ),
        (
            sample().step("restart", "do =", "needs = [\"wiffi\"]\ndo ="),
            &["plan.unknown-step"],
        ),
        (
            sample().step("restart", "\"restart\"\ndo", "\"wifi\"\ndo"),
            &["plan.step-twice"],
        ),
        (
            sample().step("os", "do =", "needs = [\"restart\"]\ndo ="),
            &["plan.needs-in-a-circle"],
        ),
        (
            sample().step("os", "do =", "needs = [\"os\"]\ndo ="),
            &["plan.needs-in-a-circle"],
        ),
        // Parameters.
        (
            sample().step("lock", "do =", "retries = 1\ndo ="),
            &["plan.retry-irreversible"],
        ),
        (
            sample().step("wifi", "do =", "retries = 11\ndo ="),
            &["plan.too-many-retries"],
        ),
        (
            sample().step("wifi", "do =", "timeout = \"30s\"\ndo ="),
            &["plan.timeout-too-short"],
        ),
        (
            sample().step("functional-test", "sensor_temperature", "supply_voltage"),
            &["plan.measured-twice"],
        ),
        (
            sample().step("functional-test", "11000", "11001"),
            &["plan.port-not-open"],
        ),
        (
            sample().step(
                "functional-test",
                "image = \"test-application\"",
                "image = \"board-config\"",
            ),
            &["plan.not-an-application"],
        ),
        // What is on the device.
        (
            sample().without("test-application"),
            &["plan.not-resident", "plan.removes-what-is-not-there"],
        ),
        (
            sample().without("remove-test-application"),
            &["plan.temporary-left", "plan.pin-conflict"],
        ),
        (sample().without("application"), &["plan.image-not-loaded"]),
        (sample().without("board-config"), &["plan.image-not-loaded"]),
        (
            sample().before(
                "wifi",
                "id = \"oops\"\ndo = \"remove-image\"\nimage = \"application\"",
            ),
            &["plan.image-not-loaded"],
        ),
        (
            sample().before(
                "functional-test",
                "id = \"early\"\ndo = \"remove-image\"\nimage = \"test-application\"",
            ),
            &["plan.not-resident"],
        ),
        (
            sample().before(
                "test-application",
                "id = \"early\"\ndo = \"load-image\"\nimage = \"application\"",
            ),
            &["plan.pin-conflict"],
        ),
        (
            sample().step("wifi", "do =", "keep = true\ndo ="),
            &["plan.wifi-left"],
        ),
        (
            sample().head("wifi = []", "wifi = [\"lineside-test\"]"),
            &["plan.wifi-missing"],
        ),
        (
            sample()
                .step("wifi", "do =", "keep = true\ndo =")
                .head("wifi = []", "wifi = [\"lineside-test\"]")
                .before(
                    "restart",
                    "id = \"again\"\ndo = \"wifi-test\"\nssid = \"lineside-test\"\nsecurity = \"open\"",
                ),
            &["plan.wifi-stored-twice"],
        ),
        // Writing the OS.
        (
            sample().before("board-config", &format!("{UPDATE}\nneeds = [\"os\"]")),
            &["plan.os-version-before-update"],
        ),
        (
            sample().without("os").before("test-application", UPDATE),
            &["plan.update-os-late", "plan.image-not-loaded"],
        ),
        (
            sample()
                .before("os", UPDATE)
                .before("os", &UPDATE.replace("update\"", "again\"")),
            &["plan.update-os-twice"],
        ),
        // Locking.
        (sample().without("ready"), &["plan.no-ready-check"]),
        (
            sample().before("lock", "id = \"late\"\ndo = \"restart\""),
            &["plan.proof-voided"],
        ),
        (
            sample().before(
                "lock",
                "id = \"late\"\ndo = \"wifi-test\"\nssid = \"x\"\nsecurity = \"open\"",
            ),
            &["plan.proof-voided"],
        ),
        (
            sample().before("lock", "id = \"late\"\ndo = \"final-look\""),
            &["plan.proof-voided", "plan.final-look-early"],
        ),
        (
            sample().at_end("id = \"late\"\ndo = \"ready-check\""),
            &["plan.reads-locked"],
        ),
        (
            sample().at_end("id = \"late\"\ndo = \"restart\""),
            &["plan.lock-not-last"],
        ),
        (
            sample().at_end("id = \"late\"\ndo = \"functional-test\"\nimage = \"application\"\nport = 1"),
            &["plan.reads-locked", "plan.port-not-open"],
        ),
        (
            sample().at_end("id = \"late\"\ndo = \"load-image\"\nimage = \"application\""),
            &["plan.lock-not-last"],
        ),
        (
            sample().at_end("id = \"twice\"\ndo = \"set-state\"\nto = \"DeviceComplete\""),
            &["plan.state-not-forward", "plan.proof-voided"],
        ),
        (sample().without("lock"), &["plan.final-not-reached"]),
        (
            sample().step("lock", "DeviceComplete", "Module1Complete"),
            &[
                "plan.state-not-final",
                "plan.state-not-forward",
                "plan.final-not-reached",
            ],
        ),
        (
            sample().step("lock", "DeviceComplete", "Unknown"),
            &[
                "plan.state-not-final",
                "plan.state-not-forward",
                "plan.final-not-reached",
            ],
        ),
        (
            sample().step("lock", "DeviceComplete", "Blank"),
            &[
                "plan.state-not-final",
                "plan.state-not-forward",
                "plan.final-not-reached",
            ],
        ),
        (
            module().at_end("id = \"lock\"\ndo = \"set-state\"\nto = \"DeviceComplete\""),
            &["plan.module-locked", "plan.state-not-final"],
        ),
        (
            sample().head("kind = \"device\"", "kind = \"module\""),
            &["plan.module-locked"],
        ),
        (
            module().at_end("id = \"lock\"\ndo = \"set-state\"\nto = \"Module1Complete\""),
            &["plan.state-not-forward"],
        ),
        // What the order leaves open.
        (
            sample().step("lock", "do =", "needs = [\"os\"]\ndo ="),
            &["plan.order-open"],
        ),
        (
            sample().step("application", "do =", "needs = []\ndo ="),
            &["plan.order-open"],
        ),
        (
            sample().step("restart", "do =", "needs = []\ndo ="),
            &["plan.order-open"],
        ),
    ];
    for (place, (text, wanted)) in cases.into_iter().enumerate() {
        let found = errors(&text, &given());
        assert_eq!(
            found,
            wanted.iter().copied().collect(),
            "case {place}: {:#?}",
            check(&text.plan(), &given())
        );
    }
}

#[test]
fn images_that_are_not_what_the_plan_takes_them_for_are_refused() {
    let plan = Text::sample();
    type Change = fn(&mut Given);
    let cases: [(Change, &[&str]); 8] = [
        (
            |given| image(given, "application").is_production_signed = false,
            &["plan.not-production-signed"],
        ),
        (
            |given| image(given, "application").image_type = ImageType::CUSTOMER_BOARD_CONFIG,
            &["plan.wrong-image-type"],
        ),
        (
            |given| image(given, "board-config").image_type = ImageType::APPLICATION,
            &["plan.wrong-image-type"],
        ),
        // It goes with the next boot, long before the check.
        (
            |given| image(given, "application").is_temporary = true,
            &["plan.would-vanish", "plan.image-not-loaded"],
        ),
        (
            |given| {
                image(given, "application").component =
                    ComponentId::from_u128(0x8548b129_b16f_4f84_8dbe_d2c847862e78)
            },
            &["plan.forbidden-component"],
        ),
        (
            |given| image(given, "application").component = ComponentId::from_u128(2),
            &["plan.component-twice"],
        ),
        (|given| given.room = Some(39_999), &["plan.no-room"]),
        (
            |given| given.releases = Some(BTreeSet::new()),
            &["plan.os-not-listed"],
        ),
    ];
    for (change, wanted) in cases {
        let mut given = given();
        change(&mut given);
        assert_eq!(errors(&plan, &given), wanted.iter().copied().collect());
    }
    let mut given = given();
    image(&mut given, "test-application").tcp_ports.insert(80);
    image(&mut given, "application").tcp_ports.insert(80);
    assert!(errors(&plan.clone().without("remove-test-application"), &given).contains("plan.port-conflict"));
}

fn image<'a>(given: &'a mut Given, name: &str) -> &'a mut lineside_flow::plan::ImageFact {
    given.images.get_mut(name).expect("the sample has this image")
}

#[test]
fn an_image_that_goes_at_boot_is_gone_after_one() {
    let mut given = given();
    image(&mut given, "test-application").is_temporary = true;
    assert_eq!(errors(&Text::sample(), &given), BTreeSet::new());
    // The boot has removed it: nothing to ask, and nothing left to remove.
    let restarted = Text::sample().before("functional-test", "id = \"early\"\ndo = \"restart\"");
    assert_eq!(errors(&restarted, &given), BTreeSet::from(["plan.not-resident"]));
    // Installing a board configuration boots the device too.
    let mut swapped = Text::sample();
    swapped.steps.swap(1, 2);
    assert_eq!(errors(&swapped, &given), BTreeSet::from(["plan.not-resident"]));
    // Without a step that removes it, the boot is enough.
    let text = Text::sample()
        .without("remove-test-application")
        .before("application", "id = \"early\"\ndo = \"restart\"");
    assert_eq!(errors(&text, &given), BTreeSet::new());
}

#[test]
fn sound_plans_pass() {
    let sample = Text::sample;
    let plans = [
        sample(),
        // Wi-Fi does not disturb loading.
        sample()
            .step("wifi", "do =", "needs = [\"board-config\"]\ndo =")
            .step("restart", "do =", "needs = [\"wifi\", \"application\"]\ndo ="),
        // Steps before the one that they need, as long as there is an order.
        {
            let mut text = sample()
                .step("os", "do =", "needs = [\"board-config\"]\ndo =")
                .step("board-config", "do =", "needs = []\ndo =");
            text = text.step("test-application", "do =", "needs = [\"os\"]\ndo =");
            text
        },
        sample()
            .step("wifi", "do =", "keep = true\ndo =")
            .head("wifi = []", "wifi = [\"lineside-test\"]"),
        // A maker that tests no radio says why.
        sample().head("\"Module1Complete\"", "\"Blank\"").head(
            "{ policy = \"supplier\" }",
            "{ policy = \"none\", because = \"Ethernet only\" }",
        ),
        // A module that keeps its state.
        sample()
            .head("kind = \"device\"", "kind = \"module\"")
            .head("final = \"DeviceComplete\"", "final = \"Module1Complete\"")
            .without("lock"),
    ];
    for (place, text) in plans.into_iter().enumerate() {
        assert_eq!(check(&text.plan(), &given()), [], "plan {place}");
    }
}

#[test]
fn what_may_be_meant_is_a_warning() {
    let sample = Text::sample;
    let cases = [
        (sample().without("final-look"), "plan.no-final-look"),
        (
            sample().at_end("id = \"late\"\ndo = \"os-version\""),
            "plan.os-version-after-lock",
        ),
        (
            sample().head("certificates = []", "certificates = [\"root\"]"),
            "plan.expected-from-outside",
        ),
        (
            sample().head("wifi = []", "wifi = [\"home\"]"),
            "plan.expected-from-outside",
        ),
        (
            sample().before(
                "wifi",
                "id = \"again\"\ndo = \"load-image\"\nimage = \"application\"",
            ),
            "plan.loaded-twice",
        ),
        (
            sample()
                .without("test-application")
                .without("functional-test")
                .without("remove-test-application"),
            "plan.image-unused",
        ),
        (
            sample().before(
                "remove-test-application",
                "id = \"alive\"\ndo = \"functional-test\"\nimage = \"test-application\"\nport = 11000",
            ),
            "plan.nothing-measured",
        ),
        (
            sample()
                .head("final = \"DeviceComplete\"", "final = \"Module1Complete\"")
                .without("lock"),
            "plan.leaves-unlocked",
        ),
    ];
    for (text, wanted) in cases {
        let findings = check(&text.plan(), &given());
        assert_eq!(codes(&findings), BTreeSet::from([wanted]), "{findings:#?}");
        assert!(
            findings
                .iter()
                .all(|finding| finding.severity == Severity::Warning)
        );
    }
    let findings = check(&sample().plan(), &Given::default());
    assert_eq!(codes(&findings), BTreeSet::from(["plan.image-unread"]));
    assert_eq!(findings.len(), 3);
}

#[test]
fn findings_name_a_place_that_is_in_the_text_and_come_errors_first() {
    let text = Text::sample()
        .without("final-look")
        .without("ready")
        .head("[\"24.06\"]", "[]");
    let findings = check(&text.plan(), &given());
    let severities: Vec<Severity> = findings.iter().map(|finding| finding.severity).collect();
    assert_eq!(severities, [Severity::Error, Severity::Error, Severity::Warning]);
    for finding in findings {
        assert!(position_of(&text.text(), &finding.place).is_some(), "{finding}");
        assert!(!finding.help.is_empty());
    }
}

#[test]
fn an_open_order_is_told_once_with_the_nearest_step() {
    let text = Text::sample().step("application", "do =", "needs = []\ndo =");
    let findings = check(&text.plan(), &given());
    assert_eq!(findings.len(), 1, "{findings:#?}");
    assert_eq!(findings[0].place, "steps.application.needs");
    assert!(
        findings[0].help.contains("Add `remove-test-application`"),
        "{}",
        findings[0].help
    );
}

#[test]
fn an_empty_list_of_steps_passes_nothing() {
    let mut plan = Text::sample().plan();
    plan.steps.clear();
    assert!(codes(&check(&plan, &given())).contains("plan.no-steps"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Any steps of the sample in any order with any needs: an answer, and never a plan that locks what it must not.
    #[test]
    fn whatever_passes_locks_last_and_after_a_check(
        order in Just((0..11_usize).collect::<Vec<_>>()).prop_shuffle(),
        kept in 1..=11_usize,
        swaps in 0..3_usize,
    ) {
        let mut text = Text::sample();
        // Mostly near the sample, sometimes far away.
        if swaps == 0 {
            text.steps = order.iter().take(kept).map(|place| text.steps[*place].clone()).collect();
        } else {
            for pair in order.chunks(2).take(swaps) {
                if let [a, b] = pair { text.steps.swap(*a, *b); }
            }
        }
        let findings = check(&text.plan(), &given());
        if findings.iter().all(|finding| finding.severity == Severity::Warning) {
            let place = |id: &str| text.steps.iter().position(|(known, _)| known == id);
            let lock = place("lock").expect("without it the final state is not reached");
            for (at, (id, _)) in text.steps.iter().enumerate() {
                prop_assert!(at <= lock || id == "final-look" || id == "os");
            }
            prop_assert!(place("ready").is_some_and(|ready| ready < lock));
            let writes = ["board-config", "test-application", "remove-test-application", "application", "wifi", "restart"];
            for id in writes {
                prop_assert!(place(id).is_none_or(|at| Some(at) < place("ready")));
            }
        }
        for finding in findings {
            prop_assert!(position_of(&text.text(), &finding.place).is_some(), "{}", finding);
        }
    }
}

#[test]
fn the_sample_needs_no_warning() {
    assert_eq!(check(&parse(SAMPLE).unwrap(), &given()), []);
}

#[test]
fn a_recovery_set_must_hold_an_os_of_the_plan() {
    let plan = Text::sample().before("os", UPDATE).plan();
    assert_eq!(codes(&check(&plan, &given())), BTreeSet::new());
    for (os, code) in [
        (Some("22.09"), "plan.image-set-os"),
        (None, "plan.image-set-unnamed"),
    ] {
        let mut given = given();
        let os = os.map(str::to_owned);
        given.sets.values_mut().for_each(|fact| fact.os.clone_from(&os));
        let findings = check(&plan, &given);
        assert_eq!(codes(&findings), BTreeSet::from([code]), "{findings:#?}");
        assert!(findings.iter().all(|finding| finding.severity == Severity::Error));
    }
    let mut given = given();
    given.sets.clear();
    let findings = check(&plan, &given);
    assert_eq!(codes(&findings), BTreeSet::from(["plan.image-set-unread"]));
    assert!(
        findings
            .iter()
            .all(|finding| finding.severity == Severity::Warning)
    );
}
