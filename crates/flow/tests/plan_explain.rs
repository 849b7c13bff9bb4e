//! What a plan will do, in plain words.

mod plan_text;

use lineside_flow::plan::{explain, parse};
use plan_text::{SAMPLE, Text};

#[test]
fn the_sample_is_explained() {
    insta::assert_snapshot!(explain(&parse(SAMPLE).unwrap()).to_string());
}

#[test]
fn what_is_not_usual_is_told() {
    let text = Text::sample()
        .head("{ policy = \"supplier\" }", "{ policy = \"none\", because = \"prototype without antenna\" }")
        .head("[expect]\nwifi = []", "protected = \"golden.txt\"\n[instruments.scope]\ndescription = \"oscilloscope\"\n[expect]\nwifi = [\"home\"]")
        .step("functional-test", "do =", "needs = [\"os\", \"test-application\"]\ninstruments = [\"scope\"]\ndo =")
        .step("wifi", "expect-internet = false", "expect-internet = true\nkeep = true");
    // A key after a table header belongs to the table: the top-level one goes first.
    let text = text
        .head("protected = \"golden.txt\"\n", "")
        .head("version = 1", "version = 1\nprotected = \"golden.txt\"");
    let told = explain(&text.plan()).to_string();
    for words in [
        "prototype without antenna",
        "`golden.txt`",
        "Instrument `scope`: oscilloscope.",
        "Wi-Fi networks (home)",
        "waits for `os`, `test-application`",
        "holds `scope` while it runs",
        "must reach the internet",
        "stays stored",
        "is tried once more",
    ] {
        assert!(told.contains(words), "{words} is missing in\n{told}");
    }
}
