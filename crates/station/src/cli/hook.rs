//! A program of somebody else that is asked before each run and told after it.
//!
//! It is started as `PROGRAM may-start` or `PROGRAM result`, gets one JSON object on standard input, and answers by its
//! exit code: 0 is yes, everything else is no. On standard output it may say more, in one JSON object. It has so long and
//! no longer.

use std::io::{Read, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use futures::channel::oneshot;
use futures::future::{Either, LocalBoxFuture, select};
use lineside_link::Clock;
use lineside_runner::gate::{Answer, Hook, Question};
use lineside_terms::{Blame, DeviceId, Outcome, RunId, SlotPath, StationName, Told, UnitSerial};
use serde::{Deserialize, Serialize};

use super::slots::Names;

/// How often it is looked whether it has ended.
const AGAIN: Duration = Duration::from_millis(5);

/// More than this of what it says is not read.
const LONGEST: u64 = 64 * 1024;

/// A hook that is a child process.
pub(super) struct Child {
    pub(super) program: PathBuf,
    pub(super) patience: Duration,
    pub(super) clock: Clock,
    pub(super) station: StationName,
    pub(super) operator: Option<String>,
    pub(super) shift: Option<String>,
    pub(super) work_order: Option<String>,
    pub(super) names: Names,
    /// Environment variables that it does not get: the plan finds secrets in them.
    pub(super) unsaid: Vec<String>,
}

/// What it is told.
#[derive(Serialize)]
struct Object<'a> {
    version: u32,
    kind: &'static str,
    station: &'a StationName,
    #[serde(skip_serializing_if = "Option::is_none")]
    operator: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    shift: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    work_order: Option<&'a str>,
    slot: &'a SlotPath,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    device: DeviceId,
    #[serde(skip_serializing_if = "Option::is_none")]
    serial: Option<&'a UnitSerial>,
    #[serde(skip_serializing_if = "Option::is_none")]
    run: Option<RunId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<Outcome>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a Told>,
}

/// What it may say.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct Said {
    serial: Option<UnitSerial>,
    message: Option<String>,
}

impl Hook for Child {
    fn ask(&self, question: Question) -> LocalBoxFuture<'static, Result<Answer, Told>> {
        let (word, text) = self.put(&question);
        let (program, patience, clock) = (self.program.clone(), self.patience, self.clock.clone());
        let unsaid = self.unsaid.clone();
        Box::pin(async move {
            let mut running = Running::start(&program, word, text, &unsaid)?;
            let asked = async {
                let status = running.end(&clock, &program).await?;
                // Its children may hold its output open: what was said until then is gone with the time-out.
                let said = (&mut running.said).await.unwrap_or_default();
                judge(&program, status, &said)
            };
            let late = clock.sleep(patience);
            match select(std::pin::pin!(asked), std::pin::pin!(late)).await {
                Either::Left((answer, _)) => answer,
                Either::Right(_) => Err(told(
                    "hook.timeout",
                    format!(
                        "{} {word} has not answered within {} s",
                        program.display(),
                        patience.as_secs()
                    ),
                )),
            }
        })
    }
}

impl Child {
    fn put(&self, question: &Question) -> (&'static str, String) {
        let (word, slot, device, serial, run, outcome, error) = match question {
            Question::MayStart { slot, device, serial } => {
                ("may-start", slot, device, serial, None, None, None)
            }
            Question::Result {
                slot,
                device,
                serial,
                run,
                outcome,
                error,
            } => (
                "result",
                slot,
                device,
                serial,
                Some(*run),
                Some(*outcome),
                error.as_ref(),
            ),
        };
        let object = Object {
            version: 1,
            kind: word,
            station: &self.station,
            operator: self.operator.as_deref(),
            shift: self.shift.as_deref(),
            work_order: self.work_order.as_deref(),
            slot,
            name: self.names.of(slot),
            device: *device,
            serial: serial.as_ref(),
            run,
            outcome,
            error,
        };
        let text = serde_json::to_string(&object).expect("it has no keys that are not text");
        (word, text + "\n")
    }
}

/// A child at work. It is killed when nobody waits for it any more.
struct Running {
    child: std::process::Child,
    said: oneshot::Receiver<Vec<u8>>,
}

impl Running {
    fn start(program: &Path, word: &str, text: String, unsaid: &[String]) -> Result<Self, Told> {
        let failed = |error: std::io::Error| {
            told(
                "hook.not-started",
                format!("{} cannot be started: {error}", program.display()),
            )
        };
        let mut command = Command::new(program);
        unsaid.iter().for_each(|name| _ = command.env_remove(name));
        let mut child = command
            .arg(word)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // What it has to say to people goes where ours goes.
            .stderr(Stdio::inherit())
            .spawn()
            .map_err(failed)?;
        let (send, said) = oneshot::channel();
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        let running = Self { child, said };
        // Pipes block, so each has a thread; they end when the child has, or with this process.
        let threads = std::thread::Builder::new()
            .spawn(move || {
                // Who does not read what he is told answers all the same.
                let _ = stdin.map(|mut pipe| pipe.write_all(text.as_bytes()));
            })
            .and_then(|_| {
                std::thread::Builder::new().spawn(move || {
                    let mut all = Vec::new();
                    let _ = stdout.map(|pipe| pipe.take(LONGEST).read_to_end(&mut all));
                    let _ = send.send(all);
                })
            });
        threads.map_err(failed)?;
        Ok(running)
    }

    async fn end(&mut self, clock: &Clock, program: &Path) -> Result<ExitStatus, Told> {
        loop {
            match self.child.try_wait() {
                Ok(Some(status)) => return Ok(status),
                Ok(None) => clock.sleep(AGAIN).await,
                Err(error) => {
                    return Err(told(
                        "hook.not-started",
                        format!("{} is lost: {error}", program.display()),
                    ));
                }
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Most have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn judge(program: &Path, status: ExitStatus, said: &[u8]) -> Result<Answer, Told> {
    let text = String::from_utf8_lossy(said);
    let parsed: Result<Said, String> = if text.trim().is_empty() {
        Ok(Said::default())
    } else {
        serde_json::from_str(text.trim()).map_err(|error| error.to_string())
    };
    if !status.success() {
        let message = parsed.ok().and_then(|said| said.message);
        let why = message.unwrap_or_else(|| format!("it ended with {status}"));
        let why: String = why.chars().take(300).collect();
        return Err(told(
            "hook.refused",
            format!("{} says no: {}", program.display(), why.escape_debug()),
        ));
    }
    match parsed {
        Ok(said) => Ok(Answer { serial: said.serial }),
        Err(cause) => Err(told(
            "hook.answer",
            format!("{} answers something else than JSON: {cause}", program.display()),
        )),
    }
}

fn told(code: &str, message: String) -> Told {
    let help = match code {
        "hook.refused" => "Nothing was done to the device: ask those whose program this is.",
        _ => {
            "Mend the program that --hook names; without its yes no device is taken, and no result is known there."
        }
    };
    Told {
        code: code.to_owned(),
        message,
        help: help.to_owned(),
        blame: Blame::Station,
    }
}
