//! Text to plan.

mod plan_text;

use std::collections::BTreeSet;

use lineside_flow::plan::{Action, Kind, PlanError, Position, WifiSecurity, parse, position_of};
use lineside_terms::{Effect, Explain, ManufacturingState, Told};
use plan_text::{SAMPLE, Text};
use proptest::prelude::*;

#[test]
fn the_sample_is_read() {
    use Kind::*;
    let plan = parse(SAMPLE).unwrap();
    let kinds: Vec<Kind> = plan.steps.iter().map(|step| step.action.kind()).collect();
    let wanted = [
        OsVersion,
        LoadImage,
        LoadImage,
        FunctionalTest,
        RemoveImage,
        LoadImage,
        WifiTest,
        Restart,
        ReadyCheck,
        SetState,
        FinalLook,
    ];
    assert_eq!(kinds, wanted);
    assert_eq!(
        plan.incoming,
        BTreeSet::from([ManufacturingState::Module1Complete])
    );
    assert_eq!(plan.final_state, ManufacturingState::DeviceComplete);
    assert_eq!(plan.files().len(), 4);
    assert!(plan.is_for_simulated_benches());

    let Action::WifiTest(wifi) = &plan.step(&"wifi".parse().unwrap()).unwrap().action else {
        panic!()
    };
    assert_eq!(wifi.security, WifiSecurity::Psk);
    assert!(!wifi.expect_internet && !wifi.keep);
    let lock = plan.step(&"lock".parse().unwrap()).unwrap();
    assert_eq!(lock.action.effect(), Effect::Irreversible);
}

#[test]
fn defaults_are_filled_in() {
    let plan = Text::sample()
        .head("attempt-limit = 3\n", "")
        .step("wifi", "connect-timeout = \"30s\"\n", "")
        .plan();
    assert_eq!(plan.attempt_limit, 3);
    assert!(plan.steps[0].needs.is_empty());
    for pair in plan.steps.windows(2) {
        assert_eq!(
            pair[1].needs,
            BTreeSet::from([pair[0].id.clone()]),
            "a step needs the one before it"
        );
    }
    for step in &plan.steps {
        assert_eq!(step.timeout, step.action.default_timeout());
        assert_eq!(step.retries, u32::from(step.id.as_str() == "functional-test"));
    }
    let wifi = plan.step(&"wifi".parse().unwrap()).unwrap();
    assert_eq!(wifi.timeout.to_string(), "1m");

    let open = Text::sample()
        .step("wifi", "do = ", "timeout = \"2m\"\nneeds = []\ndo = ")
        .plan();
    let wifi = open.step(&"wifi".parse().unwrap()).unwrap();
    assert!(wifi.needs.is_empty());
    assert_eq!(wifi.timeout.to_string(), "2m");
}

/// What is wrong, where it must be found (the text that stands there), with which code, and a part of the help.
#[test]
fn every_mistake_is_told_with_its_place_and_what_is_allowed() {
    let sample = Text::sample;
    let cases: Vec<(Text, &str, &str, &str)> = vec![
        (
            sample().head("[os]", "[os"),
            "\nlist = ",
            "plan.syntax",
            "Mend the text",
        ),
        (
            sample().head("version = 1", "version = 2"),
            "2\nproduct",
            "plan.version",
            "version = 1",
        ),
        (
            sample().head("product =", "prodcut ="),
            "prodcut",
            "plan.unknown-key",
            "Did you mean `product`?",
        ),
        (
            sample().head("attempt-limit", "attempt_limit"),
            "attempt_limit",
            "plan.unknown-key",
            "`attempt-limit`?",
        ),
        (
            sample().head("[expect]\n", "[expect]\nwify = []\n"),
            "wify",
            "plan.unknown-key",
            "Did you mean `wifi`?",
        ),
        (
            sample().head("[os]", "[step]\n[os]"),
            "step]",
            "plan.unknown-key",
            "Did you mean `steps`?",
        ),
        (
            sample().step("lock", "to =", "too ="),
            "too =",
            "plan.unknown-key",
            "Did you mean `to`?",
        ),
        (
            sample().step("os", "do =", "timout = \"1s\"\ndo ="),
            "timout",
            "plan.unknown-key",
            "mean `timeout`?",
        ),
        (
            sample().step("os", "do =", "image = \"application\"\ndo ="),
            "image = \"app",
            "plan.unknown-key",
            "`needs`",
        ),
        (
            sample().step("functional-test", "unit = \"V\"\n", "units = \"V\"\n"),
            "units",
            "plan.unknown-key",
            "`unit`?",
        ),
        (
            sample().head("[images.application]\n", "[images.application]\nrolle = 1\n"),
            "rolle",
            "plan.unknown-key",
            "`role`?",
        ),
        (
            sample().head("kind = \"device\"\n", ""),
            "",
            "plan.missing-key",
            "Add `kind`",
        ),
        (
            sample().step("lock", "to = \"DeviceComplete\"\n", ""),
            "[[steps]]\nid = \"lock\"",
            "plan.missing-key",
            "Add `to`",
        ),
        (
            sample().step("os", "os-version", "os-versoin"),
            "\"os-versoin\"",
            "plan.unknown-word",
            "Did you mean `os-version`?",
        ),
        (
            sample().head("kind = \"device\"", "kind = \"devise\""),
            "\"devise\"",
            "plan.unknown-word",
            "Did you mean `device`?",
        ),
        (
            sample().head("[\"Module1Complete\"]", "[\"module\"]"),
            "\"module\"",
            "plan.unknown-word",
            "`Module1Complete`",
        ),
        (
            sample().step("functional-test", "11000", "\"eleven\""),
            "\"eleven\"",
            "plan.bad-value",
            "Correct",
        ),
        (
            sample().step("functional-test", "11000", "0"),
            "0\nretries",
            "plan.bad-value",
            "",
        ),
        (
            sample().step("functional-test", "11000", "70000"),
            "70000",
            "plan.bad-value",
            "",
        ),
        (
            sample().step("functional-test", "3.45", "nan"),
            "[[steps.measure]]",
            "plan.bad-value",
            "",
        ),
        (
            sample().step("functional-test", "min = 15\nmax = 35\n", ""),
            "[[steps.measure]]\nname = \"sensor",
            "plan.bad-value",
            "",
        ),
        (
            sample().step("wifi", "\"30s\"", "\"30\""),
            "\"30\"",
            "plan.bad-value",
            "",
        ),
        (
            sample().step("wifi", "psk-file = \"sample-psk.txt\"\n", ""),
            "[[steps]]\nid = \"wifi\"",
            "plan.bad-value",
            "",
        ),
        (
            sample().head("tree = \"thermostat/application\"", "tree = \"/application\""),
            "\"/application\"",
            "plan.bad-value",
            "",
        ),
        (
            sample().head("body = \"thermostat/board-config.bin\"\n", ""),
            "[images.board-config]",
            "plan.bad-value",
            "",
        ),
        (
            sample().head("{ policy = \"supplier\" }", "{ policy = \"none\" }"),
            "{ policy",
            "plan.bad-value",
            "",
        ),
        (
            sample().head("\"Sample thermostat\"", "\"\""),
            "\"\"",
            "plan.bad-value",
            "",
        ),
        (
            sample().step("lock", "\"lock\"", "\"l o c k\""),
            "\"l o c k\"",
            "plan.bad-value",
            "",
        ),
    ];
    for (text, place, code, help) in cases {
        let text = text.text();
        let error = parse(&text).expect_err(code);
        assert_eq!(error.code(), code, "{error} in {place}");
        assert!(
            error.help().contains(help),
            "{} does not hold {help}",
            error.help()
        );
        let at = error.position();
        let (line, column) = (at.line - 1, at.column - 1);
        let rest: String = text
            .split('\n')
            .skip(line)
            .collect::<Vec<_>>()
            .join("\n")
            .chars()
            .skip(column)
            .collect();
        assert!(rest.starts_with(place), "{code}: {error}: found at {:.30}", rest);
        assert!(
            error
                .to_string()
                .contains(&format!("line {}, column {}", at.line, at.column))
        );
    }
}

#[test]
fn a_plan_without_steps_or_with_steps_of_another_shape_is_told() {
    let head = Text::sample().head;
    assert_eq!(parse(&head).unwrap_err().code(), "plan.missing-key");
    for steps in ["[steps]\n", "[[steps]]\nid = \"a\"\n", "[[steps]]\n"] {
        assert!(parse(&format!("{head}{steps}")).is_err(), "{steps}");
    }
    assert_eq!(
        parse(&format!("steps = [1]\n{head}")).unwrap_err().code(),
        "plan.bad-value"
    );
    let many: String = (0..201)
        .map(|i| format!("[[steps]]\nid = \"s{i}\"\ndo = \"restart\"\n"))
        .collect();
    assert_eq!(
        parse(&format!("{head}{many}")).unwrap_err().code(),
        "plan.bad-value"
    );
}

#[test]
fn a_secret_in_clear_text_is_refused_and_never_repeated() {
    const SECRET: &str = "hunter2-correct-horse";
    let psk = format!("psk = \"{SECRET}\"");
    let cases = [
        (
            Text::sample().step("wifi", "psk-file = \"sample-psk.txt\"", &psk),
            "plan.secret-in-clear",
        ),
        (
            Text::sample().step("wifi", "psk-file = \"sample-psk.txt\"", &psk.to_uppercase()),
            "plan.secret-in-clear",
        ),
        (
            Text::sample().head("[expect]\n", &format!("[expect]\npassword = \"{SECRET}\"\n")),
            "plan.secret-in-clear",
        ),
        (
            Text::sample().head("[expect]\n", &format!("[expect]\nproxy = {{ {psk} }}\n")),
            "plan.secret-in-clear",
        ),
        // Even when something else is wrong as well.
        (
            Text::sample().step("wifi", "do = ", &format!("{psk}\nnonsense = 1\ndo = ")),
            "plan.secret-in-clear",
        ),
        (
            Text::sample().head("version = 1", &format!("version = 7\n{psk}")),
            "plan.secret-in-clear",
        ),
        // Put into the wrong key.
        (
            Text::sample().step(
                "wifi",
                "psk-file = \"sample-psk.txt\"",
                &format!("psk-env = \"{SECRET}\""),
            ),
            "plan.bad-value",
        ),
        (
            Text::sample().step("wifi", "psk-file = \"sample-psk.txt\"", "psk-env = 8412734"),
            "plan.bad-value",
        ),
        (
            Text::sample().step(
                "wifi",
                "expect-internet = false",
                &format!("expect-internet = \"{SECRET}\""),
            ),
            "plan.bad-value",
        ),
    ];
    for (text, code) in cases {
        let error = parse(&text.text()).expect_err(code);
        assert_eq!(error.code(), code);
        let told = format!("{error} {error:?} {} {:?}", error.help(), Told::of(&error)).to_lowercase();
        assert!(!told.contains("hunter2") && !told.contains("8412734"), "{told}");
    }
}

#[test]
fn windows_line_ends_and_a_byte_order_mark_change_nothing() {
    let windows = format!("\u{feff}{}", SAMPLE.replace('\n', "\r\n"));
    assert_eq!(parse(&windows).unwrap(), parse(SAMPLE).unwrap());
}

#[test]
fn what_a_finding_is_about_is_found_in_the_text() {
    let text = "version = 1\n[images.a]\nrole = \"application\"\n[[steps]]\nid = \"x\"\nto = 1\n[[steps]]\nid = \"x.y\"\nto = 2\n";
    for (place, found) in [
        ("version", Some((1, 1))),
        ("images.a", Some((2, 9))),
        ("images.a.role", Some((3, 1))),
        ("images.a.file", Some((2, 9))),
        ("images.b", Some((2, 2))),
        ("steps.x", Some((4, 1))),
        ("steps.x.to", Some((6, 1))),
        ("steps.x.y.to", Some((9, 1))),
        ("steps.x.z", Some((4, 1))),
        ("steps.q", None),
        ("steps", Some((4, 3))),
        ("final", None),
    ] {
        let found = found.map(|(line, column)| Position { line, column });
        assert_eq!(position_of(text, place), found, "{place}");
    }
    assert_eq!(position_of("not [ toml", "version"), None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_text_is_answered(text in any::<String>(), place in any::<String>()) {
        let _ = parse(&text);
        let _ = position_of(&text, &place);
    }

    /// Close to a plan, errors come from deeper.
    #[test]
    fn any_damage_to_a_plan_is_answered(cut in 0..SAMPLE.len(), length in 0..60_usize, put in "[\\[\\]{}=\"'.,#\n0-9a-z-]{0,12}") {
        let mut text = SAMPLE.to_owned();
        let end = (cut + length).min(text.len());
        prop_assume!(text.is_char_boundary(cut) && text.is_char_boundary(end));
        text.replace_range(cut..end, &put);
        if let Err(error) = parse(&text) {
            let Position { line, column } = error.position();
            prop_assert!(line >= 1 && column >= 1 && line <= text.lines().count() + 1);
            prop_assert!(!error.help().is_empty() && !error.to_string().chars().any(|c| c.is_control() && c != '\n'));
        }
    }
}

#[test]
fn deep_nesting_ends_in_an_error() {
    let deep = format!("a = {}{}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(matches!(parse(&deep), Err(PlanError::Syntax { .. })));
}
