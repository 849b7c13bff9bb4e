//! `lineside each -- <azsphere arguments>`: a command that only reads, for every board at once, in one table.
//!
//! It starts the `azsphere` command once for each board, side by side; which board is meant goes by the environment, so
//! every profile and every spelling of its arguments is good. Whether a command may be done to all is judged there, by
//! what it does and not by how it is written (`crates/azsphere`, `work/each.rs`).

use std::convert::Infallible;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use clap::Args;
use lineside_terms::{Blame, SlotPath};
use serde::Serialize;

use super::args::Global;
use super::bench;
use super::exit::Exit;
use super::on_host_thread;
use super::output::{Printer, Tone, table};
use super::trouble::Trouble;

/// Arguments of `each`.
#[derive(Debug, Args)]
#[command(
    after_help = "Starts the azsphere command once for each board, side by side, and puts the answers into one table. A command
that writes anything is refused before any board is touched.

Examples:
  lineside each -- device show-os-version
  lineside each --json -- device wifi show-status"
)]
pub(crate) struct EachArgs {
    /// The azsphere command [default: the one beside this program]
    #[arg(long, value_name = "FILE")]
    pub(crate) program: Option<PathBuf>,
    /// Seconds that it may take for a board
    #[arg(long, value_name = "SECONDS", default_value_t = 120, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub(crate) timeout: u64,
    /// Its arguments, without a device
    #[arg(last = true, required = true, value_name = "ARGUMENTS")]
    pub(crate) arguments: Vec<std::ffi::OsString>,
}

/// Processes at once: they wait for devices most of the time, and each is small.
const SIDE_BY_SIDE: usize = 16;

/// The variable by which the other command knows which board is meant.
const EACH: &str = "LINESIDE_EACH";

/// What one board answered.
#[derive(Debug, Serialize)]
struct Answered {
    version: u32,
    kind: &'static str,
    slot: SlotPath,
    exit: Option<i32>,
    stdout: String,
    stderr: String,
}

pub(crate) fn run(global: &Global, args: &EachArgs, printer: &Printer) -> Result<Exit, Trouble> {
    let program = match &args.program {
        Some(program) => program.clone(),
        None => azsphere()?,
    };
    let slots = on_host_thread(async {
        let opened = bench::open(&global.bench).await?;
        let boards = opened.bench.list().await?;
        Ok::<_, Trouble>(boards.into_iter().map(|board| board.slot).collect::<Vec<_>>())
    })??;
    if slots.is_empty() {
        return Err(Trouble::no_board());
    }
    let answers = ask_all(global, args, &program, &slots)?;
    let is_good = answers.iter().all(|answer| answer.exit == Some(0));
    let mut rows = Vec::new();
    for answer in &answers {
        printer.object(answer);
        let (text, tone) = match answer.exit {
            Some(0) => (&answer.stdout, Tone::Good),
            _ => (&answer.stderr, Tone::Bad),
        };
        let exit = answer
            .exit
            .map_or_else(|| "-".to_owned(), |exit| exit.to_string());
        let lines: Vec<&str> = text
            .lines()
            .map(str::trim_end)
            .filter(|line| !line.is_empty())
            .collect();
        rows.push(vec![
            (answer.slot.to_string(), Tone::Plain),
            (exit, tone),
            (lines.join(" · "), Tone::Plain),
        ]);
    }
    printer.result(&table(&["slot", "exit", "answer"], &rows));
    Ok(if is_good { Exit::Good } else { Exit::NotGood })
}

/// The command that lies beside this one.
pub(super) fn azsphere() -> Result<PathBuf, Trouble> {
    let name = format!("azsphere{}", std::env::consts::EXE_SUFFIX);
    let missing = |cause: &dyn std::fmt::Display| {
        Trouble::station(
            "azsphere.missing",
            "the azsphere command is not beside this one",
            cause,
        )
    };
    let beside = std::env::current_exe()
        .map_err(|error| missing(&error))?
        .with_file_name(name);
    match beside.is_file() {
        true => Ok(beside),
        false => Err(missing(&beside.display())),
    }
}

/// Every board, a bounded number at once, answers in order of the slots.
fn ask_all(
    global: &Global,
    args: &EachArgs,
    program: &Path,
    slots: &[SlotPath],
) -> Result<Vec<Answered>, Trouble> {
    let next = Mutex::new(slots.iter());
    let done = Mutex::new(Vec::with_capacity(slots.len()));
    std::thread::scope(|scope| {
        for _ in 0..slots.len().min(SIDE_BY_SIDE) {
            scope.spawn(|| {
                loop {
                    let slot = lock(&next).next();
                    let Some(slot) = slot else { break };
                    let answered = ask(global, args, program, slot);
                    lock(&done).push(answered);
                }
            });
        }
    });
    let done = done.into_inner().expect("no holder of this lock panics");
    let mut answers: Vec<Answered> = done.into_iter().collect::<Result<_, _>>()?;
    answers.sort_by_key(|answer| slots.iter().position(|slot| *slot == answer.slot));
    Ok(answers)
}

fn ask(global: &Global, args: &EachArgs, program: &Path, slot: &SlotPath) -> Result<Answered, Trouble> {
    let mut command = Command::new(program);
    command
        .args(&args.arguments)
        .env(EACH, slot.as_str())
        .env("LINESIDE_BENCH", global.bench.to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    if let Some(data) = &global.data {
        command.env("LINESIDE_DATA", data);
    }
    let child = command.spawn().map_err(|error| {
        Trouble::new(
            Exit::Station,
            Blame::Station,
            "azsphere.missing",
            &format!("{} could not be started: {error}", program.display()),
            "Install both commands side by side, or name the other one with --program.",
        )
    })?;
    let limit = Duration::from_secs(args.timeout);
    let (exit, stdout, mut stderr) = ended(child, limit)
        .map_err(|error| Trouble::station("azsphere.missing", "it could not be waited for", &error))?;
    if exit.is_none() {
        stderr.push_str(&format!(
            "\nit took more than {} s and was ended",
            limit.as_secs()
        ));
    }
    Ok(Answered {
        version: 1,
        kind: "each",
        slot: slot.clone(),
        exit,
        stdout: stdout.trim_end().to_owned(),
        stderr: stderr.trim().to_owned(),
    })
}

/// How often it is looked whether a process has ended: nothing tells of that and of a time on every system.
const LOOK: Duration = Duration::from_millis(20);

/// How long the pipes of a process that has ended may stay open: what it started may have inherited them and live on,
/// and nobody waits for that.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Waits for a process so long; then it is ended. Its exit code, and what it said meanwhile.
fn ended(mut child: Child, limit: Duration) -> std::io::Result<(Option<i32>, String, String)> {
    let (out, err) = (Heard::of(child.stdout.take())?, Heard::of(child.stderr.take())?);
    let began = Instant::now();
    let exit = loop {
        if let Some(status) = child.try_wait()? {
            break status.code();
        }
        if began.elapsed() >= limit {
            // It may have ended by itself in between.
            let _ = child.kill();
            child.wait()?;
            break None;
        }
        std::thread::park_timeout(LOOK);
    };
    let until = Instant::now() + LAST_WORDS;
    Ok((exit, out.until(until), err.until(until)))
}

/// What comes through a pipe, heard by a thread of its own: pipes block, and this one may never end.
struct Heard {
    bytes: Arc<Mutex<Vec<u8>>>,
    /// Closed with the pipe.
    open: Receiver<Infallible>,
}

impl Heard {
    fn of(mut pipe: Option<impl Read + Send + 'static>) -> std::io::Result<Self> {
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let (is_open, open) = channel::<Infallible>();
        let heard = Arc::clone(&bytes);
        std::thread::Builder::new().spawn(move || {
            let _is_open = is_open;
            let mut piece = [0; 4096];
            // What was said until it broke is worth showing.
            while let Some(pipe) = &mut pipe
                && let Ok(count @ 1..) = pipe.read(&mut piece)
            {
                lock(&heard).extend_from_slice(&piece[..count]);
            }
        })?;
        Ok(Self { bytes, open })
    }

    /// What was said until the pipe closed, or until then.
    fn until(self, until: Instant) -> String {
        let _ = self
            .open
            .recv_timeout(until.saturating_duration_since(Instant::now()));
        String::from_utf8_lossy(&lock(&self.bytes)).into_owned()
    }
}

fn lock<T>(what: &Mutex<T>) -> MutexGuard<'_, T> {
    what.lock().expect("no holder of this lock panics")
}
