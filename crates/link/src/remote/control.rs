//! Questions to whoever lends boards in a directory, on a socket of their own: one line each way.
//!
//! What the lines mean is the business of both ends. A board's wires are never touched by it.

use std::path::Path;
use std::time::Duration;

use futures::StreamExt;
use futures::future::{Either, select};
use futures::stream::FuturesUnordered;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};

use super::transport::{self, Kind, Listener, Pipe, What};
use crate::{Clock, LinkError};

/// The longest line in bytes, either way.
pub const LINE_LIMIT: u64 = 16 * 1024 * 1024;

/// After so many askers that could not connect, no more are waited for: a system that refuses goes on refusing.
const MOST_FAILURES: u32 = 100;

/// Where questions come in, in one directory.
pub struct Control {
    listener: Listener,
}

impl std::fmt::Debug for Control {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Control").finish_non_exhaustive()
    }
}

impl Control {
    /// Lets askers connect. Only whoever lends in this directory may call it: it takes the place of whatever was left
    /// there. Must be called within a `tokio` runtime with I/O enabled.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn bind(dir: &Path) -> Result<Self, LinkError> {
        let listener = Listener::bind(dir, What::Control, Kind::native())
            .map_err(|error| LinkError::io(format!("take questions at {}", dir.display()), &error))?;
        Ok(Self { listener })
    }

    /// Answers questions until the returned future is dropped.
    pub async fn serve(self, answer: impl Fn(&str) -> String) {
        let mut askers = FuturesUnordered::new();
        let mut failures = 0;
        loop {
            tokio::select! {
                pipe = self.listener.accept(), if failures < MOST_FAILURES => match pipe {
                    Ok(pipe) => askers.push(attend(pipe, &answer)),
                    Err(error) => {
                        failures += 1;
                        tracing::warn!(%error, "an asker could not connect");
                    }
                },
                Some(()) = askers.next(), if !askers.is_empty() => {}
                // Nobody can ask any more; whoever serves boards beside this goes on.
                else => std::future::pending().await,
            }
        }
    }
}

/// Answers one asker until it leaves or breaks the rules.
async fn attend(mut pipe: Pipe, answer: &impl Fn(&str) -> String) {
    if pipe.admit().await.is_err() {
        return;
    }
    let mut lines = BufReader::new(pipe.reader);
    loop {
        let mut line = String::new();
        match (&mut lines).take(LINE_LIMIT).read_line(&mut line).await {
            Ok(length) if length > 0 && line.ends_with('\n') => {}
            _ => return,
        }
        let mut said = answer(line.trim_end());
        said.push('\n');
        if pipe.writer.write_all(said.as_bytes()).await.is_err() {
            return;
        }
    }
}

/// How long an answer may take: a question only looks at what the other process has in memory, but that process may be busy
/// with many boards.
const ANSWER: Duration = Duration::from_secs(60);

/// Asks whoever lends in a directory one question.
///
/// # Errors
/// [`LinkError::NoBench`] when nobody is there, [`LinkError::Foreign`] when the answer is no line or does not come within a
/// minute.
pub async fn ask(dir: &Path, question: &str) -> Result<String, LinkError> {
    ask_within(dir, question, ANSWER).await
}

async fn ask_within(dir: &Path, question: &str, limit: Duration) -> Result<String, LinkError> {
    let answer = std::pin::pin!(answer_to(dir, question));
    match select(answer, Clock::precise().sleep(limit)).await {
        Either::Left((answer, _)) => answer,
        Either::Right(_) => Err(LinkError::Foreign {
            reason: "it does not answer".to_owned(),
        }),
    }
}

async fn answer_to(dir: &Path, question: &str) -> Result<String, LinkError> {
    let io = |error: std::io::Error| LinkError::io(format!("ask at {}", dir.display()), &error);
    let mut pipe = transport::connect(dir, What::Control)
        .await
        .map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound | std::io::ErrorKind::ConnectionRefused => LinkError::NoBench {
                place: dir.display().to_string(),
            },
            _ => io(error),
        })?;
    pipe.writer
        .write_all(format!("{question}\n").as_bytes())
        .await
        .map_err(io)?;
    let mut line = String::new();
    BufReader::new(pipe.reader)
        .take(LINE_LIMIT)
        .read_line(&mut line)
        .await
        .map_err(io)?;
    match line.strip_suffix('\n') {
        Some(line) => Ok(line.to_owned()),
        None => Err(LinkError::Foreign {
            reason: "the answer ended before its line".to_owned(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_never_answers_is_not_waited_for_for_ever() {
        let dir = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        tokio::task::LocalSet::new().block_on(&runtime, async {
            // It is there, and looks at nothing that comes in.
            let _control = Control::bind(dir.path()).unwrap();
            let asked = ask_within(dir.path(), "who", Duration::from_millis(50)).await;
            // Which of the two is told depends on the system: some connect before anybody looks.
            assert!(
                matches!(asked, Err(LinkError::Foreign { .. } | LinkError::NoBench { .. })),
                "{asked:?}"
            );
        });
    }

    #[test]
    fn each_line_is_answered_and_nobody_there_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            assert!(matches!(
                ask(dir.path(), "early").await,
                Err(LinkError::NoBench { .. })
            ));
            let control = Control::bind(dir.path()).unwrap();
            let questions = async {
                assert_eq!(ask(dir.path(), "one").await.unwrap(), "heard one");
                assert_eq!(ask(dir.path(), "two").await.unwrap(), "heard two");
            };
            tokio::select! {
                () = control.serve(|line| format!("heard {line}")) => {}
                () = questions => {}
            }
        });
    }
}
