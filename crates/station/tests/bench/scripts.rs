//! What scripts for the vendor's tools find: a layout that can be taken away again, and one command for every board.

use std::fs;

use crate::command::is_foreign;
use crate::floor::Floor;
use crate::sim::Sim;

/// Stands in for the azsphere command: says what it was given.
#[cfg(unix)]
fn stand_in(floor: &Floor) {
    floor.write(
        "stand-in",
        "#!/bin/sh\ncase \"$*\" in *fail*) echo broken >&2; [ \"$LINESIDE_EACH\" = 1123 ] && exit 7;; hang) exec sleep 600;; leave) sleep 600 & echo $! >left.$LINESIDE_EACH;; esac\n\
         echo \"$AZSPHERE_PROFILE[$LINESIDE_EACH] $LINESIDE_BENCH $*\"\n",
    );
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(floor.at("stand-in"), mode).unwrap();
}

#[test]
fn a_layout_is_laid_down_and_taken_away() {
    let floor = Floor::new();
    floor.write("azsphere-program", "not started here");
    let install = "install-azsphere --dir sdk --program azsphere-program";
    let done = floor.run(install).exits(0);
    assert!(done.stdout.contains("AzureSphereDefaultSDKDir="), "{done:?}");
    assert_eq!(fs::read_to_string(floor.at("sdk/VERSION")).unwrap(), "24.3.0.0\n");
    let end = if is_foreign() { ".cmd" } else { "" };
    let first = fs::read_to_string(floor.at(&format!("sdk/Tools/azsphere{end}"))).unwrap();
    assert!(
        first.contains("AZSPHERE_PROFILE=g1") && first.contains("azsphere-program"),
        "{first}"
    );
    // Again, and in another way: what is ours is replaced.
    floor.run(&format!("{install} --links g1")).exits(0);
    let link = format!("sdk/Links/azsphere{end}");
    assert!(
        fs::read_to_string(floor.at(&link))
            .unwrap()
            .contains("AZSPHERE_PROFILE=g1")
    );
    // What somebody changed is theirs.
    floor.write(&link, "mine");
    floor.run(install).fails(4, "install.foreign");
    let gone = floor.run("uninstall-azsphere --dir sdk --json").exits(0).object();
    assert_eq!(gone["kept"][0], format!("Links/azsphere{end}"), "{gone}");
    let left: Vec<_> = fs::read_dir(floor.at("sdk"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(left, ["Links"]);
    floor
        .run("uninstall-azsphere --dir sdk")
        .fails(2, "install.nothing");
    floor
        .run("uninstall-azsphere --dir nowhere")
        .fails(2, "install.nothing");
    fs::remove_dir_all(floor.at("sdk")).unwrap();
    // And a folder that is only ours goes away whole.
    floor.run(install).exits(0);
    floor.run("uninstall-azsphere --dir sdk").exits(0);
    assert!(!floor.at("sdk").exists());
    // A list that leads elsewhere takes nothing away.
    fs::create_dir(floor.at("sdk")).unwrap();
    let list = r#"{"version":1,"files":[{"path":"../azsphere-program","sha256":"0000000000000000000000000000000000000000000000000000000000000000"}]}"#;
    floor.write("sdk/lineside-installed.json", list);
    floor
        .run("uninstall-azsphere --dir sdk")
        .fails(3, "install.folder");
    assert!(floor.at("azsphere-program").exists());
    floor.run("install-azsphere --dir other --links g9").exits(2);
}

#[test]
#[cfg(unix)]
fn a_script_is_started_for_every_board() {
    // The stand-in is a script of this system.
    if is_foreign() {
        return;
    }
    let floor = Floor::new();
    let _sim = Sim::start(&floor, 3);
    stand_in(&floor);
    let each = "each --bench at:bench --program ./stand-in";
    let objects = floor
        .run(&format!("{each} --json -- device show-os-version"))
        .exits(0)
        .objects();
    let said: Vec<_> = objects
        .iter()
        .map(|object| object["stdout"].as_str().unwrap())
        .collect();
    let wanted: Vec<_> = ["1113", "1123", "1133"]
        .iter()
        .map(|slot| format!("[{slot}] at:bench device show-os-version"))
        .collect();
    assert_eq!(said, wanted);
    let done = floor.run(&format!("{each} -- fail")).exits(1);
    assert!(done.stdout.contains("1123  7     broken"), "{done:?}");
    floor.run(each).exits(2);
    floor
        .run("each --bench at:bench --program ./nothing -- x")
        .fails(3, "azsphere.missing");
    let done = floor.run(&format!("{each} --timeout 1 --json -- hang")).exits(1);
    for object in done.objects() {
        assert!(object["exit"].is_null(), "{object}");
        assert!(
            object["stderr"]
                .as_str()
                .unwrap()
                .contains("it took more than 1 s"),
            "{object}"
        );
    }
    // What it leaves behind, with its outputs in hand, is not waited for.
    let done = floor.run(&format!("{each} --json -- leave"));
    for slot in ["1113", "1123", "1133"] {
        let left = fs::read_to_string(floor.at(&format!("left.{slot}"))).unwrap();
        let ended = std::process::Command::new("kill")
            .arg(left.trim())
            .status()
            .unwrap();
        assert!(ended.success(), "{left} of {slot} has not lived on");
    }
    for object in done.exits(0).objects() {
        assert!(object["stdout"].as_str().unwrap().ends_with("leave"), "{object}");
    }
    // What is laid down starts what it should.
    floor
        .run("install-azsphere --dir sdk --program stand-in")
        .exits(0);
    let started = std::process::Command::new(floor.at("sdk/Tools_v2/azsphere"))
        .arg("words")
        .output()
        .unwrap();
    assert!(
        String::from_utf8_lossy(&started.stdout).starts_with("g2[]"),
        "{started:?}"
    );
}
