//! What a history comes to can be kept and read back: it is the same, or it is refused.

use std::collections::BTreeSet;

use lineside_flow::{Body, Past};
use serde_json::Value;

use crate::dice::Dice;
use crate::history::{go_on, history};
use crate::line_kit::{recipe, resume, resume_kept, step};

fn text_of(past: &Past) -> String {
    serde_json::to_string(past).unwrap()
}

#[test]
fn what_was_kept_anywhere_and_gone_on_with_is_what_all_events_come_to() {
    for seed in 0..1_000 {
        let mut dice = Dice::new(seed);
        let events = history(&mut dice, seed);
        let kept = dice.below(events.len() + 1);
        let whole = Past::of(&events).unwrap();
        let text = text_of(&whole);
        let read: Past = serde_json::from_str(&text).unwrap();
        // Nothing is left out, and nothing depends on chance.
        assert_eq!(format!("{read:?}"), format!("{whole:?}"), "seed {seed}");
        assert_eq!(text_of(&read), text, "seed {seed}");
        let (one, other) = (resume(9, "", &events), resume_kept(9, &events, kept));
        assert_eq!(
            format!("{:?}", other.unwrap()),
            format!("{:?}", one.unwrap()),
            "seed {seed}, {kept} kept"
        );
    }
}

/// A place in the text.
fn any<'a>(dice: &mut Dice, value: &'a mut Value) -> &'a mut Value {
    let count = match &*value {
        Value::Array(all) => all.len(),
        Value::Object(all) => all.len(),
        _ => 0,
    };
    if count == 0 || dice.percent(10) {
        return value;
    }
    let at = dice.below(count);
    match value {
        Value::Array(all) => any(dice, &mut all[at]),
        Value::Object(all) => any(dice, all.values_mut().nth(at).unwrap()),
        other => other,
    }
}

fn edit(dice: &mut Dice, kept: &mut Value) {
    let other = any(dice, &mut kept.clone()).clone();
    let place = any(dice, kept);
    match (dice.below(5), &mut *place) {
        (0, Value::Number(number)) => *number = u64::MAX.into(),
        (1, Value::Number(number)) => *number = 0.into(),
        (2, Value::Array(all)) => drop(all.pop()),
        (2, Value::Object(all)) => {
            let first = all.keys().next().cloned();
            first.map(|key| all.remove(&key));
        }
        (3, _) => *place = Value::Null,
        _ => *place = other,
    }
}

#[test]
fn what_was_kept_and_edited_is_refused_or_followed_and_never_panics() {
    let (mut refused, mut followed) = (0, 0);
    for seed in 0..2_000 {
        let mut dice = Dice::new(seed);
        let events = history(&mut dice, seed % 400);
        let plan = events.iter().find_map(|event| match &event.body {
            Body::PlanAdopted { recipe } => Some((**recipe).clone()),
            _ => None,
        });
        let mut kept = serde_json::to_value(Past::of(&events).unwrap()).unwrap();
        edit(&mut dice, &mut kept);
        let ended = std::panic::catch_unwind(move || {
            let plan = plan.unwrap_or_else(|| recipe(1, vec![step("load", lineside_flow::Work::Perform)]));
            serde_json::from_value::<Past>(kept).map(|past| {
                let _ = past.open_runs();
                let mut line = lineside_flow::Line::after(
                    "station-1".parse().unwrap(),
                    lineside_terms::BootId::from_bytes([200; 16]),
                    Default::default(),
                    Default::default(),
                    past,
                );
                let _ = line.picture();
                go_on(&mut line, plan);
            })
        });
        match ended {
            Ok(Ok(())) => followed += 1,
            Ok(Err(_)) => refused += 1,
            Err(_) => panic!("what was kept and edited under seed {seed} brought it down"),
        }
    }
    assert!(
        refused > 200 && followed > 200,
        "{refused} refused, {followed} followed"
    );
}

/// The names of all fields, with those above them. Keys that are data are told as `*`.
fn fields(value: &Value, path: &str, all: &mut BTreeSet<String>) {
    match value {
        Value::Array(values) => values.iter().for_each(|value| fields(value, path, all)),
        Value::Object(values) => {
            for (key, value) in values {
                let is_name = key.chars().all(|c| c.is_ascii_lowercase() || c == '_');
                let path = format!("{path}.{}", if is_name { key } else { "*" });
                all.insert(path.clone());
                fields(value, &path, all);
            }
        }
        _ => {}
    }
}

/// When this fails, what is kept has another form: raise `LAYOUT` in `line/state.rs`, or a program would take what another
/// one kept for its own.
#[test]
fn the_form_of_what_is_kept_has_a_number() {
    let mut all = BTreeSet::new();
    for seed in 0..400 {
        let events = history(&mut Dice::new(seed), seed);
        let mut kept = serde_json::to_value(Past::of(&events).unwrap()).unwrap();
        // A plan is the journal's own, and pinned with it.
        kept["recipes"] = Value::Null;
        fields(&kept, "", &mut all);
    }
    let all: Vec<String> = all.into_iter().collect();
    insta::assert_snapshot!(format!("layout {}\n{}", Past::LAYOUT, all.join("\n")));
}
