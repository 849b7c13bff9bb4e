//! Approvals that are brought while a run is going: `approve grant` cannot write to records that another process keeps,
//! so it lays what was signed into the folder `approvals` of the data folder, and the run that watches it answers there.
//!
//! Whoever can write there can bring something; what counts is the signature of an approver whom the administrator named.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use futures::channel::{mpsc, oneshot};
use lineside_runner::desk::{Desk, Submitted};
use lineside_runner::policy;
use lineside_terms::{Blame, StationName, Told};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::approve;
use super::exit::Exit;
use super::trouble::Trouble;

/// How often a run looks whether something was brought.
const LOOK: Duration = Duration::from_millis(500);

/// How long the one who brings something waits for the run's answer, and how often it looks.
const PATIENCE: Duration = Duration::from_secs(20);
const AGAIN: Duration = Duration::from_millis(50);

#[derive(Serialize, Deserialize)]
struct Answer {
    version: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Told>,
}

fn folder_of(data: &Path) -> PathBuf {
    data.join("approvals")
}

/// The desk of a run: it looks into the folder for as long as the run goes on.
pub(super) fn open(data: &Path, station: StationName, patience: Duration) -> Desk {
    let (send, submissions) = mpsc::unbounded();
    let folder = folder_of(data);
    tokio::task::spawn_local(async move {
        while !send.is_closed() {
            for file in brought(&folder) {
                let error = settle(&file, &station, &send).await.err();
                let answer = Answer { version: 1, error };
                let text = serde_json::to_string(&answer).expect("an answer has a JSON form");
                // What cannot be answered or taken away is looked at again, and refused then: each counts once.
                drop(lay(&file.with_extension("answer"), &text));
                drop(fs::remove_file(&file));
            }
            tokio::time::sleep(LOOK).await;
        }
    });
    Desk {
        submissions: Box::pin(submissions),
        patience,
    }
}

fn brought(folder: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(folder).into_iter().flatten().flatten();
    let files = files.map(|file| file.path());
    files
        .filter(|file| file.extension().is_some_and(|kind| kind == "approval"))
        .collect()
}

async fn settle(
    file: &Path,
    name: &StationName,
    send: &mpsc::UnboundedSender<Submitted>,
) -> Result<(), Told> {
    let told = |trouble: Trouble| trouble.told;
    let text = fs::read_to_string(file).map_err(|error| told(cannot(file, &error)))?;
    let station = policy::provisioned().map_err(|error| told(error.into()))?;
    let station = station.ok_or_else(|| told(nobody()))?;
    let grant = approve::admitted(&text, &station, name).map_err(told)?;
    let (answer, answered) = oneshot::channel();
    let submitted = Submitted {
        grant,
        proof: text,
        answer,
    };
    send.unbounded_send(submitted).map_err(|_| told(nobody()))?;
    answered.await.unwrap_or_else(|_| Err(told(nobody())))
}

/// Writes a file so that whoever looks for it finds all of it or nothing.
fn lay(path: &Path, text: &str) -> std::io::Result<()> {
    let unfinished = path.with_extension("unfinished");
    fs::write(&unfinished, text)?;
    fs::rename(&unfinished, path)
}

/// Gives what was signed to the run that keeps these records, and waits for its answer.
pub(super) fn hand_over(data: &Path, text: &str) -> Result<(), Trouble> {
    let folder = folder_of(data);
    let name: String = Sha256::digest(text.as_bytes())[..12]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let file = folder.join(format!("{name}.approval"));
    let answer = file.with_extension("answer");
    fs::create_dir_all(&folder).map_err(|error| cannot(&folder, &error))?;
    drop(fs::remove_file(&answer));
    lay(&file, text).map_err(|error| cannot(&file, &error))?;
    let began = Instant::now();
    while began.elapsed() < PATIENCE {
        if let Ok(text) = fs::read_to_string(&answer) {
            drop(fs::remove_file(&answer));
            let answer: Answer = serde_json::from_str(&text).map_err(|error| cannot(&answer, &error))?;
            return match answer.error {
                None => Ok(()),
                Some(told) => Err(Trouble {
                    told,
                    exit: Exit::Refused,
                }),
            };
        }
        std::thread::sleep(AGAIN);
    }
    drop(fs::remove_file(&file));
    Err(nobody())
}

fn nobody() -> Trouble {
    Trouble::new(
        Exit::Station,
        Blame::Station,
        "approval.nobody-takes-it",
        "another process keeps these records, and it takes no approvals",
        "Wait until it has ended, then grant again. A run takes approvals while it is going if its plan asks for some.",
    )
}

fn cannot(path: &Path, error: &dyn std::fmt::Display) -> Trouble {
    Trouble::station(
        "approval.folder",
        &format!("{} could not be used", path.display()),
        error,
    )
}
