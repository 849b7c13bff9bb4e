//! The ready-to-ship check, before and after the lock, in the vendor's spelling and in ours.

use crate::command::Done;
use crate::floor::{Floor, OS_LIST, SERIALS, assert_said};
use crate::sim::Sim;

#[test]
fn a_device_is_ready_or_it_is_not() {
    let floor = Floor::new();
    let load = floor.plan_of("load", &["application"]);
    floor.edit(&load, r#"kind = "device""#, r#"kind = "module""#);
    floor.edit(
        &load,
        r#"final = "DeviceComplete""#,
        r#"final = "Module1Complete""#,
    );
    let sim = Sim::start(&floor, 1);
    floor
        .run(&format!(
            "run {load} --bench at:bench --data modules --serials {SERIALS} --expect 1"
        ))
        .exits(0);
    let image = sim.ask()[0]["images"][0]["image"].as_str().unwrap().to_owned();
    let component = sim.ask()[0]["images"][0]["component"]
        .as_str()
        .unwrap()
        .to_owned();
    let check = |words: &str| -> Done { floor.run(&format!("ready-check --bench at:bench {words}")) };
    let in_short = |done: &Done| {
        done.stdout
            .replace(&image, "[image]")
            .replace(&component, "[component]")
    };
    let ours = format!("--os 24.06 -j {OS_LIST} -e Module1Complete");

    let ready = check(&format!("{ours} --images {image}")).exits(0);
    assert_said!(in_short(&ready), @r"
    1113  8578d362  PASS
      pass manufacturing-state
      pass security-state
      pass capabilities
      pass os
      pass components
      pass images
      pass wifi
      pass certificates
      pass proxy
      pass pending
      pass uptime
    ");
    assert_eq!(ready.stderr, "");
    // The vendor's words, as its documents and scripts spell them.
    let vendors =
        format!("--os 20.05 24.06 --os_components_json_file {OS_LIST} --expected_mfg_state Module1Complete");
    let told = check(&format!("{vendors} --images {image} --verbose")).exits(0);
    assert_said!(in_short(&told), @r"
    1113  8578d362  PASS
      pass manufacturing-state: expected Module1Complete, found Module1Complete
      pass security-state: expected SECURE, found SECURE
      pass capabilities: expected none, found none
      pass os: expected 20.05 or 24.06, found 24.06
      pass components: expected OS, customer and allowed components only, found 18 components
      pass images: expected [component]=[image], found exactly these
      pass wifi: expected none, found none
      pass certificates: expected none, found none
      pass proxy: expected none, found none
      pass pending: expected nothing, found nothing
      pass uptime: expected no restart while reading, found [time]
    ");
    check(&format!("{ours} --images {component}={image} --all")).exits(0);
    check(&format!("{ours} --images {image} --slot 1113")).exits(0);
    let object = check(&format!("{ours} --images {image} --json"))
        .exits(0)
        .object();
    assert_eq!(
        (&object["kind"], &object["is_ready"]),
        (&"ready-check".into(), &true.into())
    );

    let no_images = check(&ours).exits(1);
    assert_said!(in_short(&no_images), @r"
    1113  8578d362  FAIL
      pass manufacturing-state
      pass security-state
      pass capabilities
      pass os
      pass components
      fail images: expected none, found not expected: [component]
      pass wifi
      pass certificates
      pass proxy
      pass pending
      pass uptime
    ");
    let other = check(&format!("{ours} --images 11111111-2222-3333-4444-555555555555")).exits(1);
    assert_said!(in_short(&other), @r"
    1113  8578d362  FAIL
      pass manufacturing-state
      pass security-state
      pass capabilities
      pass os
      pass components
      fail images: expected 11111111-2222-3333-4444-555555555555=11111111-2222-3333-4444-555555555555, found missing: 11111111-2222-3333-4444-555555555555; not expected: [component]
      pass wifi
      pass certificates
      pass proxy
      pass pending
      pass uptime
    ");
    let no_os = check(&format!("-e Module1Complete --images {image}")).exits(1);
    assert!(
        no_os
            .stdout
            .contains("fail os: expected an allowed version (none is named)"),
        "{no_os:?}"
    );
    let old_os = check(&format!(
        "--os 20.05 -j {OS_LIST} -e Module1Complete --images {image}"
    ))
    .exits(1);
    assert!(
        old_os.stdout.contains("fail os: expected 20.05, found 24.06"),
        "{old_os:?}"
    );
    let state = check(&format!("--os 24.06 -j {OS_LIST} --images {image}")).exits(1);
    assert!(
        state
            .stdout
            .contains("fail manufacturing-state: expected DeviceComplete, found Module1Complete"),
        "{state:?}"
    );
    check("--os 24.06").fails(4, "run.file");
    check(&format!("--os 24.06 -j {SERIALS}")).fails(4, "run.os-list");

    let lock = floor.short_plan();
    floor
        .run(&format!(
            "run {lock} --bench at:bench --data d --serials {SERIALS} --expect 1"
        ))
        .exits(0);
    let locked = format!("--os 24.06 -j {OS_LIST} --images {image}");
    let unknown = check(&format!("{locked} --data nowhere")).exits(1);
    assert_said!(in_short(&unknown), @r"
    1113  8578d362  FAIL
      pass manufacturing-state
      pass security-state
      pass capabilities
      pass os
      unknown components: expected OS, customer and allowed components only, found the device refuses to say
      unknown images: expected [image]=[image], found the device refuses to say
      unknown wifi: expected none, found the device refuses to say
      unknown certificates: expected none, found the device refuses to say
      unknown proxy: expected none, found the device refuses to say
      unknown pending: expected nothing, found the device refuses to say
      pass uptime
    ");
    let proven = check(&format!("{locked} --data d")).exits(0);
    assert_said!(in_short(&proven), @r"
    1113  8578d362  PASS
      pass manufacturing-state
      pass security-state
      pass capabilities
      pass os
      pass components (proven before by run [run])
      pass images (proven before by run [run])
      pass wifi (proven before by run [run])
      pass certificates (proven before by run [run])
      pass proxy (proven before by run [run])
      pass pending (proven before by run [run])
      pass uptime
    ");
    check(&format!("{locked} --data nowhere --allow-skipped")).exits(0);
    // A proof covers what it proved, and nothing else.
    let more = check(&format!("{locked} 11111111-2222-3333-4444-555555555555 --data d")).exits(1);
    assert!(more.stdout.contains("unknown images"), "{more:?}");
    check(&format!("{locked} -e Module1Complete --data d")).exits(1);
    check(&format!(
        "{locked} -e Module1Complete --data nowhere --allow-skipped"
    ))
    .exits(1);
    sim.assert_locked_once(0);
}

#[test]
fn a_developers_board_is_not_ready() {
    let floor = Floor::new();
    let _sim = Sim::start_with(&floor, 1, "--development");
    let check = floor
        .run(&format!(
            "ready-check --bench at:bench --os 24.06 -j {OS_LIST} -e Module1Complete"
        ))
        .exits(1);
    assert_said!(check.stdout, @r"
    1113  8578d362  FAIL
      pass manufacturing-state
      pass security-state
      fail capabilities: expected none, found appDevelopment
      pass os
      fail components: expected OS, customer and allowed components only, found forbidden: 4128b5d8-abc2-4155-9a33-8a1f31ed67ec (FirmwareConfig, fw_config); forbidden: 8548b129-b16f-4f84-8dbe-d2c847862e78 (Applications, gdbserver)
      pass images
      pass wifi
      pass certificates
      pass proxy
      pass pending
      pass uptime
    ");
}
