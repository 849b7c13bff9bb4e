//! Applications that a simulated device can run.
//!
//! The chip has no ARM core, so an application that is to do something is written as a text in place of the ELF: the
//! file that `EntryPoint` names begins with the line [`FIRST_LINE`], and each further line says one thing.
//!
//! | line | meaning |
//! |---|---|
//! | `listen 11000` | answers on this TCP port, which must be among `AllowedTcpServerPorts`; once |
//! | `measure supply_voltage 3.30 V noise 0.02` | a measurement: name, value, unit (`-` for none), half width of the noise; several |
//! | `crash after 500ms` | ends this long after each start |
//! | `loop` | ends at every start, before it listens |
//! | `hang` | takes connections and never answers |
//! | `wrong-nonce` | answers with another nonce than it was asked with |
//! | `garbage` | answers with bytes that mean nothing |
//!
//! Empty lines and lines that begin with `#` mean nothing. Any other file, a real program, runs and listens nowhere.
//!
//! The dialogue on the port is one JSON object per line. Asked `{"lineside":1,"nonce":"6f3a","measure":"supply_voltage"}`
//! the application answers `{"lineside":1,"nonce":"6f3a","measure":"supply_voltage","value":3.31,"unit":"V"}`, or
//! `{"lineside":1,"nonce":"6f3a","error":"…"}`.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::seed::Draws;

/// What the file of a simulated application begins with.
pub(crate) const FIRST_LINE: &str = "#!lineside-simulated-application 1";

/// Longest question in bytes; more without a line end is not one.
pub(crate) const LINE_LIMIT: usize = 4096;

/// What an application does.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Program {
    pub(crate) port: Option<u16>,
    measures: Vec<Measure>,
    pub(crate) crash_after: Option<Duration>,
    manner: Manner,
}

#[derive(Debug, Clone, PartialEq)]
struct Measure {
    name: String,
    value: f64,
    unit: Option<String>,
    noise: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Manner {
    #[default]
    Answers,
    Hangs,
    WrongNonce,
    Garbage,
}

#[derive(Deserialize)]
struct Question {
    lineside: u32,
    nonce: String,
    measure: String,
}

#[derive(Serialize)]
struct Answer<'a> {
    lineside: u32,
    nonce: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    measure: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unit: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
}

impl Program {
    /// Reads the file that `EntryPoint` names. `None` when it begins as a simulated application and is none: the
    /// device cannot run it.
    pub(crate) fn read(file: &[u8]) -> Option<Self> {
        let Some(text) = std::str::from_utf8(file)
            .ok()
            .filter(|text| text.lines().next() == Some(FIRST_LINE))
        else {
            return Some(Self::default());
        };
        let mut program = Self::default();
        for line in text.lines().skip(1) {
            let words: Vec<&str> = line.split_whitespace().collect();
            match words[..] {
                [] => {}
                [first, ..] if first.starts_with('#') => {}
                ["listen", port] => program.port = Some(port.parse().ok().filter(|port| *port != 0)?),
                ["measure", name, value, unit] => {
                    program.measures.push(Measure::read(name, value, unit, "0")?)
                }
                ["measure", name, value, unit, "noise", noise] => {
                    program.measures.push(Measure::read(name, value, unit, noise)?);
                }
                ["crash", "after", time] => {
                    program.crash_after = Some(Duration::from_millis(time.strip_suffix("ms")?.parse().ok()?));
                }
                ["loop"] => program.crash_after = Some(Duration::ZERO),
                ["hang"] => program.manner = Manner::Hangs,
                ["wrong-nonce"] => program.manner = Manner::WrongNonce,
                ["garbage"] => program.manner = Manner::Garbage,
                _ => return None,
            }
        }
        Some(program)
    }

    /// What it answers to one line, with its line end; nothing when it hangs.
    pub(crate) fn answer(&self, line: &[u8], draws: &mut Draws) -> Vec<u8> {
        match self.manner {
            Manner::Hangs => return Vec::new(),
            Manner::Garbage => {
                let mut bytes = vec![0; 40];
                draws.fill(&mut bytes);
                bytes.push(b'\n');
                return bytes;
            }
            Manner::Answers | Manner::WrongNonce => {}
        }
        let Ok(question) = serde_json::from_slice::<Question>(line) else {
            return told(&Answer::error("", "that is no question"));
        };
        let nonce = match self.manner {
            Manner::WrongNonce => hex::encode(draws.sixteen()),
            _ => question.nonce,
        };
        if question.lineside != 1 {
            return told(&Answer::error(&nonce, "only version 1 is spoken here"));
        }
        let Some(measure) = self
            .measures
            .iter()
            .find(|measure| measure.name == question.measure)
        else {
            return told(&Answer::error(&nonce, "no such measurement"));
        };
        let value = measure.value + measure.noise * draws.signed_unit();
        told(&Answer {
            lineside: 1,
            nonce: &nonce,
            measure: Some(&measure.name),
            // More digits than any converter has would only look like precision.
            value: Some((value * 10_000.0).round() / 10_000.0),
            unit: measure.unit.as_deref(),
            error: None,
        })
    }
}

impl Measure {
    fn read(name: &str, value: &str, unit: &str, noise: &str) -> Option<Self> {
        let number = |text: &str| text.parse::<f64>().ok().filter(|number| number.is_finite());
        Some(Self {
            name: name.to_owned(),
            value: number(value)?,
            unit: (unit != "-").then(|| unit.to_owned()),
            noise: number(noise)?,
        })
    }
}

impl<'a> Answer<'a> {
    const fn error(nonce: &'a str, error: &'a str) -> Self {
        Self {
            lineside: 1,
            nonce,
            measure: None,
            value: None,
            unit: None,
            error: Some(error),
        }
    }
}

fn told(answer: &Answer<'_>) -> Vec<u8> {
    let mut line = serde_json::to_vec(answer).expect("texts and finite numbers");
    line.push(b'\n');
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::Seed;
    use proptest::prelude::*;

    fn program(lines: &str) -> Option<Program> {
        Program::read(format!("{FIRST_LINE}\n{lines}").as_bytes())
    }

    fn ask(program: &Program, question: &str) -> String {
        String::from_utf8_lossy(&program.answer(question.as_bytes(), &mut Seed::new(1).draws())).into_owned()
    }

    #[test]
    fn an_application_measures_for_the_nonce_it_was_asked_with() {
        let program = program(
            "listen 11000\n# a comment\nmeasure supply_voltage 3.30 V noise 0.02\nmeasure keys 4 -\n",
        )
        .unwrap();
        assert_eq!(program.port, Some(11000));
        let answer = ask(
            &program,
            r#"{"lineside":1,"nonce":"6f","measure":"supply_voltage"}"#,
        );
        let value: serde_json::Value = serde_json::from_str(&answer).unwrap();
        let volts = value["value"].as_f64().unwrap();
        assert!((3.28..=3.32).contains(&volts), "{answer}");
        assert_eq!(
            answer,
            format!(
                "{{\"lineside\":1,\"nonce\":\"6f\",\"measure\":\"supply_voltage\",\"value\":{volts},\"unit\":\"V\"}}\n"
            )
        );
        assert_eq!(
            ask(&program, r#"{"lineside":1,"nonce":"6f","measure":"keys"}"#),
            "{\"lineside\":1,\"nonce\":\"6f\",\"measure\":\"keys\",\"value\":4.0}\n"
        );
        assert!(ask(&program, r#"{"lineside":1,"nonce":"6f","measure":"else"}"#).contains("no such"));
        assert!(ask(&program, "hello").contains("no question"));
    }

    #[test]
    fn misbehaviour_is_as_it_says() {
        let question = r#"{"lineside":1,"nonce":"6f","measure":"keys"}"#;
        assert_eq!(ask(&program("measure keys 4 -\nhang").unwrap(), question), "");
        let wrong = ask(&program("measure keys 4 -\nwrong-nonce").unwrap(), question);
        assert!(
            wrong.contains("\"value\":4") && !wrong.contains("\"6f\""),
            "{wrong}"
        );
        assert!(!ask(&program("garbage").unwrap(), question).contains("lineside"));
        assert_eq!(
            program("crash after 500ms").unwrap().crash_after,
            Some(Duration::from_millis(500))
        );
        assert_eq!(program("loop").unwrap().crash_after, Some(Duration::ZERO));
    }

    #[test]
    fn a_real_program_listens_nowhere_and_a_bad_text_does_not_run() {
        assert_eq!(Program::read(b"\x7fELF"), Some(Program::default()));
        assert_eq!(program("listen 0"), None);
        assert_eq!(program("sing"), None);
        assert_eq!(program("measure x NaN V"), None);
    }

    proptest! {
        #[test]
        fn any_file_and_any_line_are_taken(file in ".{0,200}", line in proptest::collection::vec(any::<u8>(), 0..200)) {
            Program::read(file.as_bytes());
            if let Some(program) = program(&file) {
                program.answer(&line, &mut Seed::new(1).draws());
            }
        }
    }
}
