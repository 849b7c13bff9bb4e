//! `functional-test`: an application on the device measures, for this run, and stays up.
//!
//! Reads. The application is asked over its own TCP port, on the wire of the verified connection, one line of JSON
//! each way. Every question carries a nonce drawn for this attempt, so an answer cannot come from before. The
//! connection is then held for [`STEADY`] and used once more: an application that ends, or ends and is started again
//! by the OS, closes it.

use std::time::Duration;

use lineside_device::{DeviceError, DialogueFault};
use lineside_flow::plan::FunctionalTest;
use lineside_flow::{Measurement, Report};
use lineside_protocol::rest::application::AppState;
use lineside_terms::Outcome;
use serde::{Deserialize, Serialize};

use super::{At, Trouble};
use crate::error::UnitFault;

/// How long an application may take from being installed to answering. No source tells; the OS starts it at once and
/// simple applications listen within a second, so ten are patient.
const START: Duration = Duration::from_secs(10);

/// Between two tries to reach an application that is starting.
const PAUSE: Duration = Duration::from_millis(250);

/// For one answer: measuring may take its time.
const ANSWER: Duration = Duration::from_secs(10);

/// How long the application must stay up after its last measurement. An application that crashes does so soon after it
/// has touched its hardware.
const STEADY: Duration = Duration::from_secs(2);

/// The longest line that is read, in bytes.
const LINE: usize = 4096;

#[derive(Serialize)]
struct Question<'a> {
    lineside: u32,
    nonce: &'a str,
    measure: &'a str,
}

#[derive(Deserialize)]
struct Answer {
    lineside: u32,
    nonce: String,
    measure: Option<String>,
    value: Option<f64>,
    unit: Option<String>,
    error: Option<String>,
}

pub(super) async fn perform(at: &mut At<'_>, test: &FunctionalTest) -> Result<Report, Trouble> {
    let component = at
        .program
        .image(&test.image)
        .ok_or(UnitFault::PlanUnknown)?
        .component;
    let nonce = hex::encode(at.hands.draw());
    let mut measurements = Vec::new();
    let until = at.hands.now() + START;
    loop {
        at.heed_stop()?;
        let is_late = at.hands.now() >= until;
        let device = at.device()?;
        let state = device.app_status(component).await?.state;
        if !matches!(state, AppState::Running) {
            if is_late || matches!(state, AppState::NotPresent) {
                return Err(UnitFault::AppNotRunning {
                    state: format!("{state:?}").to_lowercase(),
                }
                .into());
            }
        } else {
            measurements.clear();
            match measure(at, test, &nonce, &mut measurements).await {
                Ok(()) => break,
                // It may still be starting; what was measured must come from one connection.
                Err(Ended::NotReached(_)) if !is_late => {}
                Err(ended) => return Err(ended.into_trouble(test.port).with(measurements)),
            }
        }
        at.device()?.wait(PAUSE).await?;
    }
    let state = at.device()?.app_status(component).await?.state;
    if !matches!(state, AppState::Running) {
        return Err(Trouble::from(UnitFault::AppEnded).with(measurements));
    }
    let bad: Vec<&str> = measurements
        .iter()
        .filter(|m| !m.outcome.is_good())
        .map(|m| m.name.as_str())
        .collect();
    if !bad.is_empty() {
        let names = bad.join(", ");
        return Err(Trouble::from(UnitFault::OutOfLimits { names }).with(measurements));
    }
    let outcome = measurements
        .iter()
        .map(|m| m.outcome)
        .max()
        .unwrap_or(Outcome::Pass);
    Ok(Report {
        outcome,
        measurements,
        ..Report::passed()
    })
}

/// Why a dialogue ended.
enum Ended {
    /// It never began.
    NotReached(DeviceError),
    /// It broke off.
    BrokeOff,
    /// The verified connection itself is in trouble.
    Device(DeviceError),
    /// What was said is wrong.
    Fault(Box<UnitFault>),
}

impl Ended {
    fn of(fault: UnitFault) -> Self {
        Self::Fault(Box::new(fault))
    }

    fn into_trouble(self, port: u16) -> Trouble {
        match self {
            Self::NotReached(source) => UnitFault::AppSilent {
                port,
                source: Box::new(source),
            }
            .into(),
            Self::BrokeOff => UnitFault::AppEnded.into(),
            Self::Device(error) => error.into(),
            Self::Fault(fault) => (*fault).into(),
        }
    }
}

/// True for troubles of the application's own port, not of the verified connection.
fn is_of_application(error: &DeviceError, port: u16) -> bool {
    match error {
        DeviceError::Dialogue { .. } => true,
        DeviceError::TcpRefused { port: of } | DeviceError::TcpTimeout { port: of, .. } => *of == port,
        _ => false,
    }
}

async fn measure(
    at: &mut At<'_>,
    test: &FunctionalTest,
    nonce: &str,
    measurements: &mut Vec<Measurement>,
) -> Result<(), Ended> {
    let port = test.port;
    let device = at
        .hands
        .verified()
        .ok_or_else(|| Ended::of(UnitFault::NotConnected))?;
    let sort = |error: DeviceError| {
        if is_of_application(&error, port) {
            Ended::NotReached(error)
        } else {
            Ended::Device(error)
        }
    };
    let mut dialogue = device.dialogue(port, ANSWER).await.map_err(sort)?;
    let mut has_answered = false;
    for limit in &test.measure {
        let line = question(nonce, &limit.name.to_string());
        let answered = dialogue.exchange_line(&line, LINE, ANSWER).await;
        let answer = answered.map_err(|error| match sort(error) {
            Ended::NotReached(_) if has_answered => Ended::BrokeOff,
            other => other,
        })?;
        has_answered = true;
        let (value, unit) = read(&answer, nonce, &limit.name.to_string())?;
        measurements.push(Measurement {
            name: limit.name.to_string(),
            value: value.is_finite().then_some(value),
            outcome: limit.judge(value, &unit),
            min: limit.min,
            max: limit.max,
            unit,
        });
    }
    match dialogue.read_line(LINE, STEADY).await {
        Err(DeviceError::Dialogue {
            fault: DialogueFault::Silent,
            ..
        }) => {}
        Ok(_) => {
            return Err(Ended::of(UnitFault::AppAnswer {
                what: "without being asked",
            }));
        }
        Err(error) if is_of_application(&error, port) => return Err(Ended::BrokeOff),
        Err(error) => return Err(Ended::Device(error)),
    }
    if let Some(limit) = test.measure.first() {
        let line = question(nonce, &limit.name.to_string());
        let again = dialogue.exchange_line(&line, LINE, ANSWER).await;
        let again = again.map_err(|error| match sort(error) {
            Ended::NotReached(_) => Ended::BrokeOff,
            other => other,
        })?;
        read(&again, nonce, &limit.name.to_string())?;
    }
    Ok(())
}

fn question(nonce: &str, measure: &str) -> Vec<u8> {
    serde_json::to_vec(&Question {
        lineside: 1,
        nonce,
        measure,
    })
    .expect("three plain fields are always JSON")
}

/// The value in an answer that fits the question.
fn read(line: &[u8], nonce: &str, measure: &str) -> Result<(f64, String), Ended> {
    let wrong = |what| Ended::of(UnitFault::AppAnswer { what });
    let answer: Answer =
        serde_json::from_slice(line).map_err(|_| wrong("something that is not of the dialogue"))?;
    if answer.lineside != 1 {
        return Err(wrong("in another version of the dialogue"));
    }
    if answer.nonce != nonce {
        return Err(wrong("with another nonce than it was asked with"));
    }
    if let Some(message) = answer.error {
        let message = message
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .take(200)
            .collect();
        return Err(Ended::of(UnitFault::AppReports { message }));
    }
    if answer.measure.as_deref() != Some(measure) {
        return Err(wrong("for another measurement"));
    }
    let value = answer.value.ok_or_else(|| wrong("without a value"))?;
    Ok((value, answer.unit.unwrap_or_default()))
}
