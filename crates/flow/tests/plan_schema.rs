//! The JSON Schema of plans is kept in `docs/`, and says what the parser says.

mod plan_text;

use std::path::Path;

use lineside_flow::plan::{Kind, parse, schema};
use plan_text::{SAMPLE, Text};

fn json(text: &str) -> serde_json::Value {
    let value: toml::Value = toml::from_str(text).expect("the text is TOML");
    serde_json::to_value(value).expect("it has neither NaN nor dates")
}

#[test]
fn the_kept_schema_is_that_of_the_code() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/plan.schema.json");
    let text = schema();
    if std::env::var_os("LINESIDE_UPDATE").is_some() {
        std::fs::write(&file, &text).unwrap();
    }
    let kept = std::fs::read_to_string(&file)
        .unwrap_or_default()
        .replace("\r\n", "\n");
    assert!(
        kept == text,
        "docs/plan.schema.json is old: LINESIDE_UPDATE=1 cargo test -p lineside-flow --test plan_schema"
    );
}

#[test]
fn the_sample_satisfies_it() {
    let validator = jsonschema::draft202012::new(&serde_json::from_str(&schema()).unwrap()).unwrap();
    let errors: Vec<String> = validator
        .iter_errors(&json(SAMPLE))
        .map(|error| error.to_string())
        .collect();
    assert_eq!(errors, Vec::<String>::new());
    for kind in Kind::ALL {
        assert!(schema().contains(&format!("\"const\": \"{kind}\"")), "{kind}");
    }
}

/// What the parser refuses for its form, the schema refuses too, and the other way round.
#[test]
fn schema_and_parser_agree() {
    let validator = jsonschema::draft202012::new(&serde_json::from_str(&schema()).unwrap()).unwrap();
    let sample = Text::sample;
    let texts = [
        (true, sample()),
        (true, sample().head("attempt-limit = 3\n", "")),
        (
            true,
            sample().head(
                "tree = \"thermostat/application\"",
                "file = \"application.imagepackage\"",
            ),
        ),
        (
            true,
            sample().head(
                "{ policy = \"supplier\" }",
                "{ policy = \"none\", because = \"shielded\" }",
            ),
        ),
        (
            true,
            sample().step("wifi", "psk-file = \"sample-psk.txt\"", "psk-env = \"LINE_PSK\""),
        ),
        (
            true,
            sample().step(
                "wifi",
                "do =",
                "instruments = []\ntimeout = \"1m30s\"\nneeds = [\"os\"]\ndo =",
            ),
        ),
        (
            true,
            sample().head("[expect]\n", "[expect]\nproxy = { address = \"a\", port = 1 }\n"),
        ),
        (
            true,
            sample().head(
                "[expect]\n",
                "[instruments.scope]\ndescription = \"d\"\n[expect]\n",
            ),
        ),
        (false, sample().head("version = 1", "version = 2")),
        (false, sample().head("version = 1\n", "")),
        (false, sample().head("product =", "prodcut =")),
        (false, sample().head("\"Sample thermostat\"", "\"\"")),
        (false, sample().head("attempt-limit = 3", "attempt-limit = -3")),
        (false, sample().head("kind = \"device\"", "kind = \"devise\"")),
        (
            false,
            sample().head("[\"Module1Complete\"]", "[\"Module2Complete\"]"),
        ),
        (
            false,
            sample().head("body = \"thermostat/board-config.bin\"\n", ""),
        ),
        (
            false,
            sample().head(
                "body = \"thermostat/board-config.bin\"\n",
                "body = \"a\"\nfile = \"b\"\n",
            ),
        ),
        (
            false,
            sample().head("tree = \"thermostat/application\"", "tree = \"../application\""),
        ),
        (
            false,
            sample().head("tree = \"thermostat/application\"", "tree = \"a//b\""),
        ),
        (
            false,
            sample().head("[images.application]", "[images.\"an application\"]"),
        ),
        (
            false,
            sample().head("[expect]\n", "[expect]\nwifi-networks = []\n"),
        ),
        (
            false,
            sample().head("{ policy = \"supplier\" }", "{ policy = \"suplier\" }"),
        ),
        (false, sample().step("lock", "to =", "too =")),
        (false, sample().step("lock", "to = \"DeviceComplete\"\n", "")),
        (false, sample().step("os", "os-version", "os-versions")),
        (
            false,
            sample().step("os", "do =", "image = \"application\"\ndo ="),
        ),
        (false, sample().step("functional-test", "11000", "0")),
        (false, sample().step("functional-test", "11000", "65536")),
        (false, sample().step("wifi", "\"30s\"", "\"thirty seconds\"")),
        (false, sample().step("wifi", "psk-file = ", "psk = ")),
        (false, sample().step("lock", "\"lock\"", "\"l o c k\"")),
    ];
    for (place, (is_good, text)) in texts.into_iter().enumerate() {
        let text = text.text();
        assert_eq!(
            parse(&text).is_ok(),
            is_good,
            "parser, case {place}: {:?}",
            parse(&text).err()
        );
        assert_eq!(validator.is_valid(&json(&text)), is_good, "schema, case {place}");
    }
}
