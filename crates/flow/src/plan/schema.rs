//! The JSON Schema of plans, by which editors complete and check them.

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::Plan;
use super::action::{
    FinalLook, FunctionalTest, Kind, LoadImage, OsVersion, ReadyCheck, RemoveImage, Restart, SetState,
    UpdateOs, WifiTest,
};
use super::parse::{MOST_STEPS, StepKeys, VERSION};

/// The schema. It is made of the types that read plans, so both allow the same keys; what only holds between keys
/// is left to [`parse`](super::parse) and [`check`](super::check). JSON for people and editors, ending in a new line.
pub fn schema() -> String {
    let mut text = serde_json::to_string_pretty(&value()).expect("JSON is JSON");
    text.push('\n');
    text
}

fn value() -> Value {
    let mut generator = SchemaSettings::draft2020_12().into_generator();
    let mut root = object(Plan::json_schema(&mut generator));
    let steps: Vec<Value> = Kind::ALL
        .into_iter()
        .map(|kind| step(kind, &mut generator))
        .collect();
    let properties = part(&mut root, "properties");
    properties.insert(
        "steps".to_owned(),
        json!({
            "type": "array",
            "description": "What is done, in the order of the file.",
            "minItems": 1,
            "maxItems": MOST_STEPS,
            "items": { "oneOf": steps }
        }),
    );
    properties.insert(
        "version".to_owned(),
        json!({ "const": VERSION, "description": "Version of the format." }),
    );
    require(&mut root, "steps");
    root.insert(
        "$schema".to_owned(),
        json!("https://json-schema.org/draft/2020-12/schema"),
    );
    root.insert("title".to_owned(), json!("Lineside plan"));
    root.insert(
        "$defs".to_owned(),
        Value::Object(generator.take_definitions(true)),
    );
    Value::Object(root)
}

/// One kind of step: the keys of every step and its own in one object, so that editors complete both.
fn step(kind: Kind, generator: &mut SchemaGenerator) -> Value {
    let own = object(match kind {
        Kind::OsVersion => OsVersion::json_schema(generator),
        Kind::UpdateOs => UpdateOs::json_schema(generator),
        Kind::LoadImage => LoadImage::json_schema(generator),
        Kind::FunctionalTest => FunctionalTest::json_schema(generator),
        Kind::RemoveImage => RemoveImage::json_schema(generator),
        Kind::WifiTest => WifiTest::json_schema(generator),
        Kind::Restart => Restart::json_schema(generator),
        Kind::ReadyCheck => ReadyCheck::json_schema(generator),
        Kind::SetState => SetState::json_schema(generator),
        Kind::FinalLook => FinalLook::json_schema(generator),
    });
    let mut all = object(StepKeys::json_schema(generator));
    all.insert("title".to_owned(), json!(kind));
    all.insert(
        "description".to_owned(),
        json!(format!("Effect: {}.", kind.effect())),
    );
    let properties = part(&mut all, "properties");
    properties.insert(
        "do".to_owned(),
        json!({ "const": kind, "description": "The kind of step." }),
    );
    if let Some(Value::Object(more)) = own.get("properties") {
        properties.extend(more.clone());
    }
    for key in own
        .get("required")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        require(&mut all, key.as_str().unwrap_or_default());
    }
    Value::Object(all)
}

fn object(schema: Schema) -> Map<String, Value> {
    match schema.to_value() {
        Value::Object(map) => map,
        // Only the schemas "everything" and "nothing" are no objects.
        _ => Map::new(),
    }
}

fn part<'a>(map: &'a mut Map<String, Value>, key: &str) -> &'a mut Map<String, Value> {
    map.entry(key)
        .or_insert_with(|| Value::Object(Map::new()))
        .as_object_mut()
        .expect("schemars writes an object there")
}

fn require(map: &mut Map<String, Value>, key: &str) {
    let list = map.entry("required").or_insert_with(|| json!([]));
    if let Some(list) = list.as_array_mut() {
        list.push(json!(key));
    }
}
