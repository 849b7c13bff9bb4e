//! The certificate of one unit: what this station knows of it, for the one who gets the unit.
//!
//! It is a JSON text that the station seals ([`crate::seal`]). It says nothing about people: not even pseudonymous ids
//! of operators leave the factory with it.

use std::fmt::Write as _;

use lineside_flow::Measurement;
use lineside_flow::interlock::{Check, Verdict};
use lineside_terms::{
    ClockTrust, DeviceId, Digest, ManufacturingState, Outcome, RunId, StationName, StepId, UnitSerial,
};
use serde::{Deserialize, Serialize};

use crate::chain::Head;
use crate::checkpoint::Checkpoint;
use crate::seal::{SealError, Unsealed};
use crate::view::RunRecord;

const KIND: &str = "unit-certificate";
const VERSION: u32 = 1;

/// What is certified of one unit. Fields are added, never changed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Certificate {
    kind: String,
    version: u32,
    /// The station that took the unit through the plan.
    pub station: StationName,
    /// When this was written: RFC 3339, UTC.
    pub issued: String,
    /// The device: its public key, as hex digits.
    pub device: DeviceId,
    /// The unit that contains it.
    pub serial: UnitSerial,
    /// The product, if the plan is in the journal.
    pub product: Option<String>,
    /// Hash of the plan with all that it refers to.
    pub plan: Digest,
    /// Hash of the imported bundle that the plan came from, if it came from one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bundle: Option<Digest>,
    /// The run that finished the unit.
    pub run: RunId,
    /// When it began.
    pub started: String,
    /// When it ended.
    pub ended: String,
    /// How far these times can be believed.
    pub clock: ClockTrust,
    /// How it ended: pass.
    pub outcome: Outcome,
    /// The state that the device was brought to and seen in, if the plan locks.
    pub state: Option<ManufacturingState>,
    /// The last try of every step.
    pub steps: Vec<CertificateStep>,
    /// What the device was compared with before it was locked.
    pub checks: Vec<CertificateCheck>,
    /// A signed point of the journal that all of this lies before.
    pub checkpoint: String,
}

/// One step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CertificateStep {
    /// Its name in the plan.
    pub step: StepId,
    /// What it does.
    pub label: Option<String>,
    /// How it ended.
    pub outcome: Option<Outcome>,
    /// What was measured.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub measurements: Vec<Measurement>,
}

/// One check before locking.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CertificateCheck {
    /// What was checked.
    pub name: String,
    /// How.
    pub outcome: Outcome,
    /// What was expected.
    pub expected: String,
    /// What was found.
    pub found: String,
}

impl Certificate {
    /// Of a run that passed and was not undone since; `None` for any other: nothing is certified of a unit that did not
    /// pass, or whose software is gone. `bundle` is the one that the run's plan came from.
    pub fn of(
        run: &RunRecord,
        bundle: Option<Digest>,
        issued: String,
        checkpoint: &Checkpoint,
    ) -> Option<Self> {
        let about = &run.summary;
        let outcome = about.outcome.filter(|outcome| outcome.is_good())?;
        if about.undone.is_some() {
            return None;
        }
        let mut steps: Vec<CertificateStep> = Vec::new();
        for step in &run.steps {
            let latest = CertificateStep {
                step: step.step.clone(),
                label: step.label.clone(),
                outcome: step.outcome,
                measurements: step.measurements.clone(),
            };
            match steps.iter_mut().find(|earlier| earlier.step == step.step) {
                Some(earlier) => *earlier = latest,
                None => steps.push(latest),
            }
        }
        let confirmed = run
            .intents
            .iter()
            .filter(|intent| intent.verdict == Some(Verdict::Confirmed));
        let of_check = |check: &Check| CertificateCheck {
            name: check.name.to_string(),
            outcome: check.outcome,
            expected: check.expected.clone(),
            found: check.found.clone(),
        };
        Some(Self {
            kind: KIND.to_owned(),
            version: VERSION,
            station: checkpoint.station.clone(),
            issued,
            device: about.device,
            serial: about.serial.clone(),
            product: about.product.clone(),
            plan: about.plan,
            bundle,
            run: about.run,
            started: about.started.clone(),
            ended: about.ended.clone()?,
            clock: about.clock,
            outcome,
            state: confirmed.map(|intent| intent.key.target).max(),
            steps,
            checks: run
                .judgements
                .last()
                .map(|judgement| judgement.checks.iter().map(of_check).collect())
                .unwrap_or_default(),
            checkpoint: checkpoint.to_string(),
        })
    }

    /// As text to be sealed.
    pub fn to_text(&self) -> String {
        serde_json::to_string_pretty(self).expect("every field has a JSON form") + "\n"
    }

    /// Reads what was sealed, and checks that its checkpoint is of the same station and key.
    ///
    /// # Errors
    /// [`SealError::Content`] when it is no certificate or one of a newer form; what [`Checkpoint::parse`] says.
    pub fn from_sealed(sealed: &Unsealed<'_>) -> Result<(Self, Checkpoint), SealError> {
        let content = || SealError::Content {
            expected: "certificate of a unit",
        };
        let found: Self = serde_json::from_str(sealed.text).map_err(|_| content())?;
        if found.kind != KIND || found.version != VERSION || !found.outcome.is_good() {
            return Err(content());
        }
        let checkpoint = Checkpoint::parse(&found.checkpoint)?;
        if checkpoint.station != found.station || checkpoint.key != sealed.key {
            return Err(content());
        }
        Ok((found, checkpoint))
    }

    /// The page for printing. `sealed` is the sealed text, which stands at its end; `code` an SVG or text of a code to
    /// scan, put in as it is.
    pub fn to_html(&self, point: Head, key: &str, sealed: &str, code: &str) -> String {
        let mut page = String::with_capacity(8_192 + sealed.len() * 2);
        page.push_str(HEAD);
        let mut facts = vec![
            ("Unit", self.serial.to_string()),
            ("Product", self.product.clone().unwrap_or_else(|| "-".to_owned())),
            ("Device id", self.device.to_string()),
            ("Outcome", self.outcome.to_string()),
            ("Began", self.started.clone()),
            ("Ended", self.ended.clone()),
            ("Station", self.station.to_string()),
            ("Run", self.run.to_string()),
            ("Plan", self.plan.to_string()),
        ];
        if let Some(bundle) = self.bundle {
            facts.push(("Bundle", bundle.to_string()));
        }
        if let Some(state) = self.state {
            facts.insert(4, ("State", state.to_string()));
        }
        let _ = write!(
            page,
            "<h1>Certificate of unit {}</h1>\n<table class=facts>\n",
            escaped(self.serial.as_str())
        );
        for (name, value) in facts {
            let _ = writeln!(page, "<tr><th>{name}<td>{}", escaped(&value));
        }
        page.push_str("</table>\n<h2>What was checked before it was locked</h2>\n<table>\n");
        page.push_str("<tr><th>check<th>outcome<th>expected<th>found\n");
        for check in &self.checks {
            let CertificateCheck {
                name,
                outcome,
                expected,
                found,
            } = check;
            let (name, expected, found) = (escaped(name), escaped(expected), escaped(found));
            let _ = writeln!(page, "<tr><td>{name}<td>{outcome}<td>{expected}<td>{found}");
        }
        page.push_str("</table>\n<h2>What was done and measured</h2>\n<table>\n");
        page.push_str("<tr><th>step<th>outcome<th>measured<th>limits\n");
        for step in &self.steps {
            let outcome = step
                .outcome
                .map_or_else(|| "-".to_owned(), |outcome| outcome.to_string());
            let name = escaped(step.step.as_str());
            let _ = writeln!(page, "<tr><td>{name}<td>{outcome}<td><td>");
            for m in &step.measurements {
                let number = |value: Option<f64>| value.map_or_else(String::new, |value| value.to_string());
                let (name, unit) = (escaped(&m.name), escaped(&m.unit));
                let (value, min, max) = (number(m.value), number(m.min), number(m.max));
                let _ = writeln!(
                    page,
                    "<tr><td><td>{}<td>{name} {value} {unit}<td>{min} … {max}",
                    m.outcome
                );
            }
        }
        let _ = write!(
            page,
            "</table>\n<h2>How to check it</h2>\n<p>This page is for reading; the signed file is what counts. It was \
             signed with the key <b>{}</b>, and the journal that it is from is fixed at event {} with hash \
             <code>{}</code>.\n<div class=code>{code}</div>\n<details><summary>The signed file</summary><pre>{}</pre></details>\n",
            escaped(key),
            point.sequence,
            point.hash,
            escaped(sealed),
        );
        page
    }
}

const HEAD: &str = "<!doctype html>
<html lang=en><meta charset=utf-8><title>Certificate</title>
<style>
body { font: 10pt/1.4 sans-serif; margin: 2em auto; max-width: 50em; color: #000; background: #fff }
table { border-collapse: collapse; width: 100%; margin: .5em 0 }
th, td { text-align: left; vertical-align: top; padding: .2em .5em; border-bottom: 1px solid #bbb; overflow-wrap: anywhere }
.facts th { width: 8em } pre { white-space: pre-wrap; overflow-wrap: anywhere; font-size: 7pt }
code { overflow-wrap: anywhere } .code svg { width: 5cm; height: 5cm }
h1 { font-size: 16pt } h2 { font-size: 12pt; margin-top: 1.5em }
</style>
";

/// Text as HTML shows it.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seal::tests::TestKey;
    use crate::seal::{Sealer as _, seal, unseal};
    use crate::view::{RunSummary, StepRecord};

    fn run(outcome: Outcome) -> RunRecord {
        let step = |attempt, outcome| StepRecord {
            step: "functional".parse().unwrap(),
            label: Some("functional-test <all>".into()),
            attempt,
            started: None,
            ended: None,
            outcome: Some(outcome),
            measurements: vec![Measurement {
                name: "supply & co".into(),
                value: Some(3.3),
                unit: "V".into(),
                min: Some(3.2),
                max: None,
                outcome: Outcome::Pass,
            }],
            note: None,
            error: None,
        };
        RunRecord {
            summary: RunSummary {
                run: RunId::from_bytes([3; 16]),
                device: DeviceId::from_bytes([4; 64]),
                serial: "SAMPLE-0001".parse().unwrap(),
                slot: None,
                plan: Digest::from_bytes([5; 32]),
                product: Some("Sample <b>thermostat".into()),
                attempt: 1,
                predecessor: None,
                incoming: ManufacturingState::Module1Complete,
                started: "2026-11-22T20:00:00Z".into(),
                ended: Some("2026-11-22T20:01:00Z".into()),
                clock: ClockTrust::Unverified,
                outcome: Some(outcome),
                operator: Some("op-17".into()),
                shift: None,
                work_order: None,
                error: None,
                undone: None,
            },
            steps: vec![step(1, Outcome::Fail), step(2, Outcome::Pass)],
            judgements: Vec::new(),
            intents: Vec::new(),
            incidents: Vec::new(),
        }
    }

    fn checkpoint(byte: u8) -> Checkpoint {
        let point = Head {
            sequence: 40,
            hash: Digest::from_bytes([6; 32]),
        };
        let at = "2026-11-22T20:15:30Z".parse().unwrap();
        Checkpoint::sign(&"line-3".parse().unwrap(), point, at, &TestKey::new(byte)).unwrap()
    }

    #[test]
    fn a_certificate_survives_sealing_and_names_nobody() {
        let certificate = Certificate::of(
            &run(Outcome::Pass),
            None,
            "2026-11-22T20:16:00Z".into(),
            &checkpoint(7),
        )
        .unwrap();
        assert_eq!(certificate.steps.len(), 1);
        assert_eq!(certificate.steps[0].outcome, Some(Outcome::Pass));
        let key = TestKey::new(7);
        let sealed = seal(&certificate.to_text(), &key).unwrap();
        assert_eq!(
            sealed.trim_end(),
            include_str!("../tests/golden/certificate.txt").trim_end()
        );
        assert!(!sealed.contains("op-17"));
        let read = Certificate::from_sealed(&unseal(sealed.as_bytes(), Some(&key.key())).unwrap()).unwrap();
        assert_eq!(read, (certificate, checkpoint(7)));
    }

    #[test]
    fn the_bundle_that_the_plan_came_from_is_certified_and_printed() {
        let bundle = Digest::from_bytes([0xb5; 32]);
        let certificate =
            Certificate::of(&run(Outcome::Pass), Some(bundle), String::new(), &checkpoint(7)).unwrap();
        let sealed = seal(&certificate.to_text(), &TestKey::new(7)).unwrap();
        assert!(sealed.contains(&format!("\"bundle\": \"{bundle}\"")), "{sealed}");
        let (read, _) = Certificate::from_sealed(&unseal(sealed.as_bytes(), None).unwrap()).unwrap();
        assert_eq!(read.bundle, Some(bundle));
        let page = read.to_html(checkpoint(7).point, "ab12", "", "");
        assert!(page.contains(&format!("<th>Bundle<td>{bundle}")));
    }

    #[test]
    fn nothing_is_certified_of_a_unit_that_did_not_pass() {
        for outcome in [Outcome::Fail, Outcome::Error, Outcome::Unknown] {
            assert_eq!(
                Certificate::of(&run(outcome), None, String::new(), &checkpoint(7)),
                None
            );
        }
    }

    #[test]
    fn what_another_key_checkpointed_or_is_something_else_is_refused() {
        let certificate = Certificate::of(&run(Outcome::Pass), None, String::new(), &checkpoint(8)).unwrap();
        for text in [
            certificate.to_text(),
            "{\"kind\":\"other\"}".into(),
            certificate.to_text().replace("\"version\": 1", "\"version\": 2"),
        ] {
            let sealed = seal(&text, &TestKey::new(7)).unwrap();
            let error = Certificate::from_sealed(&unseal(sealed.as_bytes(), None).unwrap()).unwrap_err();
            assert!(matches!(error, SealError::Content { .. }), "{error}");
        }
    }

    #[test]
    fn the_page_shows_text_as_text() {
        let certificate = Certificate::of(&run(Outcome::Pass), None, String::new(), &checkpoint(7)).unwrap();
        let page = certificate.to_html(checkpoint(7).point, "ab12", "<script>", "");
        assert!(page.contains("Sample &lt;b&gt;thermostat") && page.contains("supply &amp; co"));
        assert!(!page.contains("<script>") && !page.contains("<b>thermostat"));
    }
}
