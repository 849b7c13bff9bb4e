//! Files as they come from other systems and people: line ends, marks, names of every kind, folders that lie deep.

use std::fs;

use crate::command::Lineside;
use crate::floor::{Floor, SERIALS};

/// What editors on Windows begin a text with.
const MARK: &str = "\u{feff}";

/// Makes a text one that was written on Windows.
fn as_on_windows(floor: &Floor, name: &str) {
    let text = fs::read_to_string(floor.at(name)).unwrap();
    floor.write(name, format!("{MARK}{}", text.replace('\n', "\r\n")));
}

#[test]
fn texts_written_on_windows_are_the_same_texts() {
    let floor = Floor::new();
    let plan = floor.short_plan();
    let words = format!("run {plan} --bench sim:2 --serials {SERIALS} --expect 2 --json --data");
    let ours = floor.run(&format!("{words} a")).exits(0).objects();
    for text in [&plan, SERIALS, crate::floor::OS_LIST] {
        as_on_windows(&floor, text);
    }
    floor.run(&format!("plan check {plan} --bench sim:1")).exits(0);
    let theirs = floor.run(&format!("{words} b")).exits(0).objects();
    let serials = |objects: &[serde_json::Value]| {
        let started = objects
            .iter()
            .find(|object| object["kind"] == "batch-started")
            .unwrap();
        started["body"]["serials"].clone()
    };
    assert_eq!(serials(&ours), serials(&theirs));
    // Places in it are told as an editor counts them.
    floor.edit(&plan, "[[steps]]", "[[stepz]]");
    let refused = floor
        .run(&format!("plan check {plan}"))
        .fails(4, "plan.unknown-key");
    assert!(refused.stderr.contains("column 3"), "{refused:?}");
}

#[test]
fn names_of_every_kind_will_do() {
    let floor = Floor::new();
    let plan = floor.short_plan();
    let folder = "Zoë's line & co (№ 1)";
    let deep = format!(
        "{folder}/{}",
        ["a folder with a long name, as people give them"; 6].join("/")
    );
    fs::create_dir_all(floor.at(&deep)).unwrap();
    fs::rename(floor.at("plans"), floor.at(&format!("{deep}/plans"))).unwrap();
    let (plan, serials) = (format!("{deep}/{plan}"), format!("{deep}/{SERIALS}"));
    let data = format!("{deep}/données");
    let run = [
        "run",
        &plan,
        "--bench",
        "sim:1",
        "--serials",
        &serials,
        "--data",
        &data,
        "--expect",
        "1",
    ];
    Lineside::new(floor.path(), run).done().exits(0);
    let list = Lineside::new(floor.path(), ["records", "list", "--json", "--data", &data])
        .done()
        .exits(0);
    assert_eq!(list.object()["outcome"], "pass");
    Lineside::new(floor.path(), ["records", "verify", "--data", &data])
        .done()
        .exits(0);
}
