use super::*;
use crate::profile::{PROFILES, named};
use crate::work::Action;

fn parsed(profile: &str, line: &str) -> Result<(Action, Values), String> {
    let profile = named(profile).unwrap();
    let tokens: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
    match parse(profile, &tokens) {
        Ok(Wanted::Do(command, values)) => Ok((command.action, values)),
        Ok(other) => Err(format!("{other:?}")),
        Err(misuse) => Err(misuse.told(profile, &tokens)),
    }
}

#[test]
fn each_generation_has_its_spelling() {
    for (profile, line) in [
        (
            "g1",
            "device sideload deploy --imagepackage f.imagepackage --manualstart",
        ),
        ("g1", "DEV SL deploy -p f.imagepackage -m"),
        (
            "g1-2019",
            "-v device sideload deploy --ImagePackage f.imagepackage --manual-start",
        ),
        (
            "g2",
            "device sideload deploy --image-package f.imagepackage --manual-start",
        ),
        (
            "g2",
            "device sideload deploy --image-package=f.imagepackage --manual -o json",
        ),
        ("g2", "device -o json sideload deploy -pf.imagepackage -m"),
        (
            "g3",
            "device sideload deploy --image-package f.imagepackage -m --subscription x",
        ),
    ] {
        let (action, values) = parsed(profile, line).unwrap();
        assert_eq!(action, Action::Deploy, "{line}");
        assert_eq!(values.get("package"), Some("f.imagepackage"), "{line}");
        assert!(values.has("manual"), "{line}");
    }
}

#[test]
fn what_an_option_means_depends_on_the_generation() {
    let (_, values) = parsed(
        "g1",
        "pkg pack-application -i dir -o out -h board.json -s 5+Beta2004",
    )
    .unwrap();
    assert_eq!(values.get("into"), Some("out"));
    assert_eq!(values.get("hardware"), Some("board.json"));
    let (_, values) = parsed("g2", "device wifi show -i 3 -o json -d 192.168.35.3").unwrap();
    assert_eq!(values.get("output"), Some("json"));
    assert_eq!(values.get("device"), Some("192.168.35.3"));
    let (_, values) = parsed("g1", "device wifi show -i 3 -ip 192.168.35.3 -l 1113").unwrap();
    assert_eq!(
        (values.get("ip"), values.get("slot")),
        (Some("192.168.35.3"), Some("1113"))
    );
}

#[test]
fn arguments_of_another_generation_are_refused_with_its_name() {
    let told = parsed("g2", "device sideload deploy --imagepackage f").unwrap_err();
    assert!(told.contains("taken by: g1-2019, g1."), "{told}");
    let told = parsed("g1", "device list-attached -o json").unwrap_err();
    assert!(told.contains("taken by: g2, g3."), "{told}");
    let told = parsed("g1", "device wifi delete -i 0").unwrap_err();
    assert!(
        told.contains("'delete' is not a valid value for the 'Operation'"),
        "{told}"
    );
    assert!(told.contains("taken by: g1-2019."), "{told}");
    let told = parsed("g2", "device wifi nonsense").unwrap_err();
    assert!(!told.contains("taken by"), "{told}");
}

#[test]
fn what_is_missing_or_wrong_is_named() {
    for (line, said) in [
        (
            "device wifi show",
            "the following arguments are required: --id/-i",
        ),
        ("device wifi show --id", "argument --id/-i: expected one argument"),
        ("device wifi show --id 1 2", "unrecognized arguments: 2"),
        (
            "device manufacturing-state update --state Blank",
            "invalid choice: 'Blank' (choose from 'DeviceComplete', 'Module1Complete')",
        ),
        (
            "device wifi add -s a --c x",
            "ambiguous option: --c could be several",
        ),
        (
            "device wifi",
            "the following arguments are required: one of 'add'",
        ),
        ("device list-attached --verbose=1", "takes no value"),
    ] {
        let told = parsed("g2", line).unwrap_err();
        assert!(told.contains(said), "{line}: {told}");
    }
    let (_, values) = parsed("g2", "device manufacturing-state update -s devicecomplete").unwrap();
    assert_eq!(values.get("state"), Some("DeviceComplete"));
}

#[test]
fn cloud_commands_take_everything() {
    for line in [
        "tenant select -t 1",
        "device claim --force",
        "product device-group list --product x",
    ] {
        assert_eq!(parsed("g2", line).unwrap().0, Action::Cloud, "{line}");
    }
}

#[test]
fn global_options_are_taken_by_every_command() {
    for profile in &PROFILES {
        for command in commands::all() {
            for name in command.names_in(profile.of) {
                let line = if profile.globals.iter().any(|opt| opt.key == "query") {
                    format!("{name} --verbose --device 1113 --only-show-errors -o json")
                } else {
                    format!("{name} --verbose -l 1113")
                };
                if let Err(told) = parsed(profile.name, &line) {
                    assert!(told.contains("are required"), "{line}: {told}");
                }
            }
        }
    }
}

/// Two options of one command that are written alike, or a name that begins another one, would never be reached.
#[test]
fn no_name_hides_another() {
    for profile in &PROFILES {
        let mut names: Vec<&str> = Vec::new();
        for command in commands::all() {
            names.extend(command.names_in(profile.of));
            let options = command.options.iter().filter(|opt| opt.of.has(profile.of));
            let mut spellings: Vec<(String, &str)> = options
                .flat_map(|opt| opt.names.iter().map(|name| (spelling(profile, name), opt.key)))
                .collect();
            spellings.sort();
            let is_global = |opt: &&Opt| profile.globals.iter().any(|global| global.key == opt.key);
            let own = command.options.iter().find(is_global);
            assert!(own.is_none(), "{own:?} would be taken for the global one");
            for pair in spellings.windows(2) {
                assert!(
                    pair[0].0 != pair[1].0 || pair[0].1 == pair[1].1,
                    "{pair:?} of {:?}",
                    command.names
                );
            }
        }
        for one in &names {
            let same = names.iter().filter(|other| *other == one).count();
            assert_eq!(same, 1, "{one} stands twice in {}", profile.name);
            let hidden = names
                .iter()
                .find(|other| other.strip_prefix(*one).is_some_and(|rest| rest.starts_with(' ')));
            assert_eq!(hidden, None, "{one} hides it in {}", profile.name);
        }
    }
}
