//! Colour, pipes and secrets: what goes out, and what never does.

use crate::command::Lineside;
use crate::floor::{Floor, SERIALS};
use crate::sim::Sim;

/// How every colour begins.
const ESCAPE: &str = "\u{1b}[";

#[test]
fn colour_is_for_people() {
    let floor = Floor::new();
    let _sim = Sim::start(&floor, 1);
    let words = "devices --bench at:bench";
    floor.run(words).exits(0).never_says(ESCAPE);
    floor
        .run(&format!("{words} --color never"))
        .exits(0)
        .never_says(ESCAPE);
    floor
        .lineside(words)
        .env("NO_COLOR", "1")
        .done()
        .exits(0)
        .never_says(ESCAPE);
    let always = floor.run(&format!("{words} --color always")).exits(0);
    assert!(always.stdout.contains(ESCAPE), "{always:?}");
    let asked_for = floor
        .lineside(&format!("{words} --color always"))
        .env("NO_COLOR", "1")
        .done()
        .exits(0);
    assert_eq!(asked_for.stdout, always.stdout, "who asks for it gets it");
    floor
        .run(&format!("{words} --json --color always"))
        .exits(0)
        .never_says(ESCAPE);
    let error = floor.run("plan check nowhere.toml --color always").exits(4);
    assert!(error.stderr.contains(ESCAPE), "{error:?}");
    floor.run("plan check nowhere.toml").exits(4).never_says(ESCAPE);
}

#[test]
fn nobody_has_to_listen() {
    let floor = Floor::new();
    let _sim = Sim::start(&floor, 2);
    let head = Lineside::script(floor.path(), r#""$0" plan schema | head -n 1"#)
        .done()
        .exits(0);
    assert_eq!((head.stdout.as_str(), head.stderr.as_str()), ("{\n", ""));
    for (words, code) in [
        ("--help", 0),
        ("run --help", 0),
        ("plan schema", 0),
        ("sim os-list", 0),
        ("completions bash", 0),
        ("devices --bench at:bench", 0),
        ("devices --bench at:bench --json", 0),
        ("devices --bench sim:0", 1),
        ("devices --bench nonsense", 2),
        ("plan check nowhere.toml --json", 4),
    ] {
        let status = floor.lineside(words).into_closed_pipes();
        assert_eq!(status.code(), Some(code), "{words}");
    }
    // A run goes on: what it does is recorded, whoever listens.
    let plan = floor.short_plan();
    for (json, data) in [("", "a"), ("--json", "b")] {
        let words = format!("run {plan} --bench sim:1 --data {data} --serials {SERIALS} --expect 1 {json}");
        assert_eq!(
            floor.lineside(&words).into_closed_pipes().code(),
            Some(0),
            "{words}"
        );
        let list = floor
            .run(&format!("records list --data {data} --outcome pass --json"))
            .exits(0);
        assert_eq!(list.object()["serial"], "SAMPLE-0001");
    }
}

/// A key that opens nothing.
const PLANTED: &str = "planted-and-never-told";

#[test]
fn a_wrong_key_is_not_told_either() {
    let floor = Floor::new();
    floor.write("plans/sample-psk.txt", PLANTED);
    let plan = floor.plan_of("wifi", &["wifi", "ready", "lock"]);
    floor.edit(&plan, r#"connect-timeout = "30s""#, r#"connect-timeout = "1s""#);
    let sim = Sim::start(&floor, 1);
    let words = format!("--bench at:bench --data d --serials {SERIALS} --expect 1");
    let run = floor.run(&format!("run {plan} {words} --json")).exits(1);
    assert_eq!(
        run.objects().last().unwrap()["slots"][0]["error"]["code"],
        "unit.wifi-not-connected",
        "{run:?}"
    );
    let people = floor.run(&format!("run {plan} {words}")).exits(1);
    let env = floor.plan_of("env", &["wifi", "ready", "lock"]);
    floor.edit(&env, r#"psk-file = "sample-psk.txt""#, r#"psk-env = "PLANTED""#);
    floor.edit(&env, r#"connect-timeout = "30s""#, r#"connect-timeout = "1s""#);
    let by_env = floor.lineside(&format!(
        "run {env} --bench at:bench --data e --serials {SERIALS} --expect 1"
    ));
    let by_env = by_env.env("PLANTED", PLANTED).done().exits(1);
    let mut said = vec![run, people, by_env];
    for words in [
        "plan explain",
        "plan explain --json",
        "plan check --bench sim:1",
        "plan check --bench sim:1 --json",
    ] {
        said.push(floor.run(&format!("{words} {plan}")));
    }
    for words in [
        "list",
        "list --json",
        "show SAMPLE-0001",
        "show SAMPLE-0001 --json",
        "export runs",
        "export devices",
    ] {
        said.push(floor.run(&format!("records {words} --data d")).exits(0));
    }
    // A key in clear text is refused, and not repeated.
    floor.edit(
        &plan,
        r#"psk-file = "sample-psk.txt""#,
        &format!(r#"psk = "{PLANTED}""#),
    );
    said.push(
        floor
            .run(&format!("plan check {plan}"))
            .fails(4, "plan.secret-in-clear"),
    );
    said.push(
        floor
            .run(&format!("run {plan} {words}"))
            .fails(4, "plan.secret-in-clear"),
    );
    said.push(floor.run("sim ask --dir bench --json").exits(0));
    for done in &said {
        done.never_says(PLANTED);
    }
    let found: Vec<_> = ["d", "e", "bench"]
        .iter()
        .flat_map(|folder| floor.files_with(folder, PLANTED))
        .collect();
    assert!(found.is_empty(), "{found:?}");
    sim.assert_untouched(0, "Module1Complete");
}
