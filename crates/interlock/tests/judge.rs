//! The ready-to-ship check, one fact at a time: a device that is as it must be passes, and whatever differs is told.

use std::collections::{BTreeMap, BTreeSet};

use lineside_interlock::*;
use lineside_terms::*;

const STATE: ManufacturingState = ManufacturingState::Module1Complete;
const DEBUGGER: ComponentId = FORBIDDEN[1].0;

fn component(n: u128) -> ComponentId {
    ComponentId::from_u128(n)
}

fn image(n: u128) -> ImageId {
    ImageId::from_u128(n)
}

fn pair(n: u128) -> Pair {
    Pair {
        component: component(n),
        image: image(n + 100),
    }
}

fn release(name: &str, pairs: &[u128]) -> OsRelease {
    OsRelease {
        name: name.into(),
        pairs: pairs.iter().map(|n| pair(*n)).collect(),
    }
}

fn held(n: u128, image_type: ImageType) -> ComponentFact {
    ComponentFact {
        component: component(n),
        image_type,
        image: Some(image(n + 100)),
        is_update_staged: false,
        name: format!("part-{n}"),
    }
}

/// A device with an OS of the components 1 and 2 and the application 10.
fn facts() -> Facts {
    Facts {
        device: DeviceId::from_bytes([1; 64]),
        epoch: Epoch(1),
        session: SessionTag::from_bytes([0xab; 16]),
        writes: 0,
        uptime_first_s: 10,
        uptime_last_s: 11,
        security: Reading::Read(SecurityState::Secure),
        state: Reading::Read(STATE),
        capabilities: Reading::Read(vec![]),
        os_version: Reading::Read("24.06".into()),
        images: Reading::Read(ImageFacts {
            components: vec![
                held(1, ImageType::NORMAL_WORLD_KERNEL),
                held(2, ImageType::ROOT_FS),
                held(10, ImageType::APPLICATION),
            ],
            is_update_in_progress: false,
            has_staged_updates: false,
            is_restart_required: false,
        }),
        wifi: Reading::Read(vec![]),
        certificates: Reading::Read(vec![]),
        proxy: Reading::Read(None),
        taken_at: Instant::ZERO,
    }
}

fn expectation() -> Expectation {
    Expectation {
        images: BTreeMap::from([(component(10), image(110))]),
        ..Expectation::bare(STATE, vec!["24.06".into()], vec![release("24.06", &[1, 2])])
    }
}

fn judged(expected: &Expectation, facts: &Facts) -> Judgement {
    let run = RunFacts {
        run: RunId::from_bytes([7; 16]),
        plan: Digest::ZERO,
        is_every_needed_step_passed: true,
    };
    judge(expected, facts, &run, None)
}

/// The checks that did not pass, with what was found.
fn wrong(expected: &Expectation, facts: &Facts) -> Vec<(CheckName, String)> {
    let judgement = judged(expected, facts);
    let wrong: Vec<_> = judgement
        .checks
        .iter()
        .filter(|check| check.outcome != Outcome::Pass)
        .map(|check| (check.name, check.found.clone()))
        .collect();
    assert_eq!(judgement.proof.is_some(), wrong.is_empty());
    wrong
}

fn of(name: CheckName, expected: &Expectation, facts: &Facts) -> (Outcome, String) {
    let judgement = judged(expected, facts);
    let check = judgement.checks.into_iter().find(|check| check.name == name);
    check.map_or((Outcome::Unknown, "no such check".into()), |check| {
        (check.outcome, check.found)
    })
}

fn images_of(facts: &mut Facts) -> &mut ImageFacts {
    match &mut facts.images {
        Reading::Read(images) => images,
        _ => unreachable!("the device of this file tells its images"),
    }
}

const NO_CHANGE: [(CheckName, String); 0] = [];

#[test]
fn a_device_that_is_as_it_must_be_passes() {
    assert_eq!(wrong(&expectation(), &facts()), NO_CHANGE);
}

#[test]
fn an_unknown_state_is_never_the_expected_one() {
    let mut facts = facts();
    facts.state = Reading::Read(ManufacturingState::Unknown);
    let mut expected = expectation();
    expected.state = ManufacturingState::Unknown;
    assert_eq!(
        of(CheckName::ManufacturingState, &expected, &facts).0,
        Outcome::Fail
    );
}

#[test]
fn a_blank_device_has_rf_test_mode_and_nothing_else() {
    let mut expected = expectation();
    expected.state = ManufacturingState::Blank;
    let mut facts = facts();
    facts.state = Reading::Read(ManufacturingState::Blank);
    assert_eq!(of(CheckName::Capabilities, &expected, &facts).0, Outcome::Fail);
    facts.capabilities = Reading::Read(vec![Capability::RF_TEST_MODE]);
    assert_eq!(of(CheckName::Capabilities, &expected, &facts).0, Outcome::Pass);
    facts.state = Reading::Read(STATE);
    assert_eq!(of(CheckName::Capabilities, &expected, &facts).0, Outcome::Fail);
}

#[test]
fn where_only_the_state_counts_only_the_state_is_compared() {
    let mut other = facts();
    other.wifi = Reading::Read(vec!["guest".into()]);
    images_of(&mut other).components.push(held(77, ImageType::POLICY));
    let expected = Expectation::state_alone(STATE);
    assert!(expected.is_state_alone);
    assert_eq!(wrong(&expected, &other), NO_CHANGE);
    other.state = Reading::Read(ManufacturingState::Blank);
    let found = wrong(&expected, &other);
    assert_eq!(found, [(CheckName::ManufacturingState, "Blank".to_owned())]);
    // The mark is written down where it is set, and nowhere else.
    let text = |expected: &Expectation| serde_json::to_string(expected).unwrap();
    assert!(text(&expected).contains(r#""is_state_alone":true"#));
    assert!(!text(&expectation()).contains("is_state_alone"));
    assert_eq!(
        serde_json::from_str::<Expectation>(&text(&expected)).unwrap(),
        expected
    );
}

#[test]
fn the_newest_release_of_which_all_is_held_counts() {
    let images = facts().images.read().unwrap().clone();
    let name = |releases: &[OsRelease]| release_held(releases, &images).map(|found| found.name.clone());
    assert_eq!(name(&[]), None);
    assert_eq!(name(&[release("24.09", &[])]), None, "a release without pairs");
    assert_eq!(name(&[release("24.09", &[1, 3])]), None, "one part is missing");
    let [older, newer] = [release("24.9", &[1]), release("24.10", &[2])];
    assert_eq!(name(&[older.clone(), newer.clone()]).as_deref(), Some("24.10"));
    assert_eq!(name(&[newer, older]).as_deref(), Some("24.10"));
    let same = [release("24.1-a", &[1]), release("24.1-b", &[2])];
    assert_eq!(name(&same).as_deref(), Some("24.1-b"), "then as text");
}

#[test]
fn what_the_device_says_of_its_os_must_agree_with_what_it_holds() {
    let os = |expected: &Expectation, facts: &Facts| of(CheckName::Os, expected, facts);
    let mut expected = expectation();
    expected.os_releases = vec![release("24.06", &[1, 2]), release("24.09", &[3])];
    assert_eq!(os(&expected, &facts()), (Outcome::Pass, "24.06".into()));
    // It says one release and holds another.
    let mut other = facts();
    other.os_version = Reading::Read("24.09".into());
    expected.os_versions.push("24.09".into());
    let (outcome, found) = os(&expected, &other);
    assert_eq!(
        (outcome, found.as_str()),
        (
            Outcome::Fail,
            "the device says 24.09, its images are those of 24.06"
        )
    );
    // A newer release that matches as well does not make it a liar.
    expected.os_releases = vec![release("24.06", &[1, 2]), release("24.10", &[1, 2])];
    assert_eq!(os(&expected, &facts()), (Outcome::Pass, "24.06".into()));
    // Nothing is known of what it holds: what it says counts.
    expected.os_releases.clear();
    assert_eq!(os(&expected, &facts()), (Outcome::Pass, "24.06".into()));
    let mut other = facts();
    other.os_version = Reading::Read("23.01".into());
    assert_eq!(os(&expected, &other), (Outcome::Fail, "23.01".into()));
}

#[test]
fn an_os_that_does_not_say_what_it_is_is_told_by_its_images() {
    let os = |expected: &Expectation, facts: &Facts| of(CheckName::Os, expected, facts);
    for reading in [Reading::NotAvailable, Reading::NotAsked] {
        let mut silent = facts();
        silent.os_version = reading.clone();
        let found = os(&expectation(), &silent);
        assert_eq!(found, (Outcome::Pass, "24.06 (by its images)".into()));
        let mut expected = expectation();
        expected.os_versions = vec!["24.09".into()];
        assert_eq!(os(&expected, &silent).0, Outcome::Fail);
        expected.os_releases.clear();
        let found = os(&expected, &silent);
        assert_eq!(found, (Outcome::Fail, "images of no known release".into()));
        silent.images = Reading::NotAsked;
        assert_eq!(os(&expected, &silent).0, Outcome::Unknown);
    }
    let mut silent = facts();
    silent.os_version = Reading::Refused;
    silent.images = Reading::Refused;
    assert_eq!(os(&expectation(), &silent).0, Outcome::Unknown);
}

#[test]
fn every_component_has_a_class() {
    let none = BTreeSet::new();
    let os = release("24.06", &[1, 2, 3]);
    let class = |fact: &ComponentFact| classify(fact, Some(&os), &none);
    assert_eq!(class(&held(1, ImageType::ROOT_FS)), Class::Os);
    // A capability file that is part of a release is no foreign one.
    assert_eq!(class(&held(3, ImageType::FIRMWARE_CONFIG)), Class::Os);
    assert_eq!(class(&held(9, ImageType::FIRMWARE_CONFIG)), Class::Forbidden);
    assert_eq!(class(&held(10, ImageType::APPLICATION)), Class::Customer);
    assert_eq!(class(&held(11, ImageType::POLICY)), Class::Unlisted);
    let mut other = held(1, ImageType::ROOT_FS);
    other.image = Some(image(999));
    assert_eq!(
        class(&other),
        Class::Unlisted,
        "the right part in a wrong version"
    );
    other.image = None;
    assert_eq!(class(&other), Class::Unlisted);
    let mut swapped = held(9, ImageType::ROOT_FS);
    swapped.image = Some(image(101));
    assert_eq!(class(&swapped), Class::Unlisted, "a known image of another part");
    let allowed = BTreeSet::from([component(11), DEBUGGER]);
    let fact = held(11, ImageType::POLICY);
    assert_eq!(classify(&fact, None, &allowed), Class::Allowed);
    assert_eq!(classify(&fact, None, &none), Class::Unlisted);
    let mut debugger = held(11, ImageType::APPLICATION);
    debugger.component = DEBUGGER;
    assert_eq!(classify(&debugger, None, &allowed), Class::Forbidden);
}

#[test]
fn what_must_not_be_there_is_told_by_what_it_is() {
    let mut other = facts();
    let mut fact = held(11, ImageType::POLICY);
    fact.name = "evil\u{7}name".into();
    let told = format!("in no list: {} ({}, evilname)", fact.component, ImageType::POLICY);
    images_of(&mut other).components.push(fact);
    assert_eq!(wrong(&expectation(), &other), [(CheckName::Components, told)]);
}

#[test]
fn customer_images_are_exactly_the_expected_ones() {
    let images = |expected: &Expectation, facts: &Facts| of(CheckName::Images, expected, facts);
    let mut other = facts();
    images_of(&mut other).components[2].image = Some(image(7));
    let found = images(&expectation(), &other);
    assert_eq!(found.0, Outcome::Fail);
    assert!(
        found.1.ends_with(&format!("holds image {}", image(7))),
        "{}",
        found.1
    );
    images_of(&mut other).components[2].image = None;
    assert!(
        images(&expectation(), &other)
            .1
            .contains("without one clear image")
    );
    images_of(&mut other).components.pop();
    assert!(images(&expectation(), &other).1.starts_with("missing: "));

    // Somebody else's application, unless the plan allows it; a forbidden one is told as that, not as an image.
    let mut more = facts();
    images_of(&mut more)
        .components
        .push(held(12, ImageType::APPLICATION));
    assert!(images(&expectation(), &more).1.starts_with("not expected: "));
    let mut expected = expectation();
    expected.allowed_components.insert(component(12));
    assert_eq!(images(&expected, &more), (Outcome::Pass, "exactly these".into()));
    // That a component is allowed does not mean that it may hold anything, where the plan says what it holds.
    expected.allowed_components.insert(component(10));
    assert_eq!(images(&expected, &more).0, Outcome::Pass);
    images_of(&mut more).components[2].image = Some(image(7));
    assert_eq!(images(&expected, &more).0, Outcome::Fail);
    let mut debugger = facts();
    let mut fact = held(13, ImageType::APPLICATION);
    fact.component = DEBUGGER;
    images_of(&mut debugger).components.push(fact);
    assert_eq!(images(&expectation(), &debugger).0, Outcome::Pass);
    assert_eq!(
        of(CheckName::Components, &expectation(), &debugger).0,
        Outcome::Fail
    );
}

#[test]
fn an_os_that_knows_no_proxy_has_none() {
    let mut old = facts();
    old.proxy = Reading::NotAvailable;
    assert_eq!(of(CheckName::Proxy, &expectation(), &old).0, Outcome::Pass);
    let mut expected = expectation();
    let proxy = ProxyFact {
        address: "proxy".into(),
        port: 8080,
        is_enabled: true,
    };
    expected.proxy = Some(proxy.clone());
    assert_eq!(of(CheckName::Proxy, &expected, &old).0, Outcome::Fail);
    old.proxy = Reading::Read(Some(proxy));
    assert_eq!(
        of(CheckName::Proxy, &expected, &old),
        (Outcome::Pass, "proxy:8080 (enabled)".into())
    );
    old.proxy = Reading::Refused;
    assert_eq!(of(CheckName::Proxy, &expected, &old).0, Outcome::Unknown);
}

#[test]
fn nothing_may_be_pending() {
    let pending = |change: &dyn Fn(&mut ImageFacts)| {
        let mut facts = facts();
        change(images_of(&mut facts));
        of(CheckName::Pending, &expectation(), &facts)
    };
    let staged = (Outcome::Fail, "something is staged".to_owned());
    assert_eq!(pending(&|_| ()), (Outcome::Pass, "nothing".into()));
    assert_eq!(pending(&|images| images.has_staged_updates = true), staged);
    assert_eq!(
        pending(&|images| images.components[0].is_update_staged = true),
        staged
    );
    assert_eq!(
        pending(&|images| images.is_update_in_progress = true).0,
        Outcome::Fail
    );
    assert_eq!(
        pending(&|images| images.is_restart_required = true).0,
        Outcome::Fail
    );
}

#[test]
fn facts_say_what_was_read_and_nothing_else() {
    let facts = facts();
    let images = facts.images.read().unwrap();
    assert!(images.has(component(1)) && !images.has(component(3)));
    assert!(images.holds(component(1), image(101)));
    assert!(!images.holds(component(1), image(102)) && !images.holds(component(3), image(103)));
    let mut staged = images.clone();
    staged.components[0].is_update_staged = true;
    assert!(!staged.holds(component(1), image(101)));
    let look = facts.look(EpochCause::Reset).unwrap();
    assert_eq!(
        (look.state, look.cause, look.epoch),
        (STATE, EpochCause::Reset, Epoch(1))
    );
    let silent = Facts {
        state: Reading::Refused,
        ..facts.clone()
    };
    assert_eq!(silent.look(EpochCause::Reset), None);
    assert_eq!(format!("{:?}", facts.session), "SessionTag(abababab)");
}

#[test]
fn the_record_of_a_proof_says_under_which_component_an_image_was() {
    let judgement = judged(&expectation(), &facts());
    let earlier = Earlier {
        device: DeviceId::from_bytes([1; 64]),
        run: RunId::from_bytes([7; 16]),
        checks: judgement.checks,
    };
    assert_eq!(earlier.component_of(image(110)), Some(component(10)));
    assert_eq!(earlier.component_of(image(111)), None);
    let names: Vec<String> = earlier
        .checks
        .iter()
        .map(|check| check.name.to_string())
        .collect();
    assert_eq!(
        names.join(" "),
        "manufacturing-state security-state capabilities os components images wifi certificates proxy pending uptime"
    );
}

#[test]
fn what_is_refused_says_what_to_do() {
    let step: StepId = "lock".parse().unwrap();
    let key = OnceKey {
        verb: Verb::StateChange,
        device: DeviceId::from_bytes([1; 64]),
        target: ManufacturingState::DeviceComplete,
        generation: 2,
    };
    assert_eq!(
        key.to_string(),
        format!("DeviceComplete of device {} (intent 2)", key.device.short())
    );
    let refusals = [
        (
            Refusal::Unresolved { key },
            "interlock.unresolved",
            "asked what happened",
            Blame::Device,
        ),
        (
            Refusal::Done { key },
            "interlock.done",
            "Nothing is to be done",
            Blame::Device,
        ),
        (
            Refusal::Unclear { key },
            "interlock.unclear",
            "a person decides",
            Blame::Device,
        ),
        (
            Refusal::NotForward {
                from: STATE,
                target: STATE,
            },
            "interlock.not-forward",
            "only move forward",
            Blame::Plan,
        ),
        (
            Refusal::NotDurable { key },
            "interlock.not-durable",
            "Nothing was sent",
            Blame::Station,
        ),
        (
            Refusal::Mismatch { what: "run" },
            "interlock.mismatch",
            "Nothing was sent",
            Blame::Station,
        ),
        (
            Refusal::Stale,
            "interlock.stale",
            "Nothing was sent",
            Blame::Station,
        ),
        (
            Refusal::NotApproved { step },
            "interlock.not-approved",
            "Nothing was sent",
            Blame::Station,
        ),
    ];
    for (refusal, code, help, blame) in refusals {
        assert_eq!((refusal.code(), refusal.blame()), (code, blame));
        assert!(refusal.help().contains(help), "{}", refusal.help());
    }
    let device = Box::new(key.device);
    for (refusal, help) in [
        (
            EraseRefusal::NotDurable {
                device: device.clone(),
            },
            "Mend the disk",
        ),
        (EraseRefusal::Complete { device }, "capability file"),
    ] {
        assert!(refusal.help().contains(help), "{}", refusal.help());
    }
}

#[test]
fn a_list_of_protected_devices_says_how_long_it_is_and_what_to_do() {
    let device = DeviceId::from_bytes([1; 64]);
    let none = Protected::parse("# nobody\n").unwrap();
    assert!(none.is_empty());
    assert_eq!((none.len(), Protected::default().len()), (0, 0));
    let list = Protected::parse(&format!(
        "{device} golden unit\n{} other\n",
        DeviceId::from_bytes([2; 64])
    ))
    .unwrap();
    assert!(!list.is_empty());
    assert_eq!(list.len(), 2);
    let refused = list.check(&device).unwrap_err();
    assert!(refused.help().contains("off the line"), "{}", refused.help());
}
