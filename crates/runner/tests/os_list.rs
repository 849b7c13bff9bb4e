//! The OS list beside the sample plan is the one that fits the simulated devices.

mod support;

use support::plans;

#[test]
fn the_list_beside_the_sample_plan_is_up_to_date() {
    let path = plans::folder().join("simulated-os.json");
    let made = lineside_simulator::list_json();
    if std::env::var_os("LINESIDE_UPDATE").is_some() {
        std::fs::write(&path, &made).unwrap();
    }
    assert_eq!(
        std::fs::read_to_string(&path).unwrap_or_default(),
        made,
        "plans/simulated-os.json is old: LINESIDE_UPDATE=1 cargo test -p lineside-runner --test os_list"
    );
}
