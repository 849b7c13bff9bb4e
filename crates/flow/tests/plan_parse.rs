//! Text to plan.

use lineside_flow::plan::{Kind, parse};

const SAMPLE: &str = include_str!("../../../plans/thermostat.toml");

#[test]
fn the_sample_is_read() {
    let plan = parse(SAMPLE).unwrap();
    let kinds: Vec<Kind> = plan.steps.iter().map(|step| step.action.kind()).collect();
    use Kind::*;
    assert_eq!(
        kinds,
        [
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
            FinalLook
        ]
    );
}
