//! Running the command: with time-outs, with every line told as it comes, and ended for sure.

use std::ffi::{OsStr, OsString};
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

/// How long anything may take on a machine that is busy with other things. Whoever waits so long has failed.
const PATIENCE: Duration = Duration::from_secs(120);

/// The program that is tested, unless it is the one that was built together with this: sessions are the same on every
/// system.
const PROGRAM: &str = "PROGRAM_UNDER_TEST";

/// What ends a process of that program at once, if this system cannot: it is given the number by which the program
/// knows itself.
const KILLER: &str = "KILLER_UNDER_TEST";

/// Whether a kill is done when it has been asked for.
pub(crate) fn kills_at_once() -> bool {
    std::env::var_os(KILLER).is_none()
}

/// Whether the program is one of another system than this: it cannot start what this one can.
pub(crate) fn is_foreign() -> bool {
    std::env::var_os(PROGRAM).is_some()
}

fn program() -> OsString {
    std::env::var_os(PROGRAM).unwrap_or_else(|| env!("CARGO_BIN_EXE_lineside").into())
}

/// How soon [`until`] asks again.
const AGAIN: Duration = Duration::from_millis(10);

/// Asks again and again until there is an answer.
#[track_caller]
pub(crate) fn until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(began.elapsed() < PATIENCE, "waited in vain until {what}");
        thread::park_timeout(AGAIN);
    }
}

/// One `lineside …` that is about to be started.
pub(crate) struct Lineside {
    command: Command,
}

impl Lineside {
    /// With these words after `lineside`, in this folder, and without what the environment of the tests may say.
    pub(crate) fn new<S: AsRef<OsStr>>(folder: &Path, words: impl IntoIterator<Item = S>) -> Self {
        let words: Vec<OsString> = words.into_iter().map(|word| word.as_ref().to_owned()).collect();
        let command = Self::of(Command::new(program()), folder);
        let is = |word: &OsString, wanted: &str| word.to_string_lossy().starts_with(wanted);
        let writes_notes = words.first().is_some_and(|word| word == "device");
        let has_folder = words.iter().any(|word| is(word, "--data"));
        // On Windows the usual folder belongs to the user, and stories that run side by side would share it.
        let is_shared =
            is_foreign() && writes_notes && !has_folder && words.iter().any(|word| is(word, "at:"));
        let command = command.words(words);
        match is_shared {
            true => command.words(["--data", "lineside-data"]),
            false => command,
        }
    }

    /// A shell script in which `"$0"` is `lineside`.
    pub(crate) fn script(folder: &Path, script: &str) -> Self {
        let words = [OsString::from("-c"), script.into(), program()];
        Self::of(Command::new("sh"), folder).words(words)
    }

    fn of(mut command: Command, folder: &Path) -> Self {
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy();
            if name.starts_with("LINESIDE_") || name.contains("COLOR") {
                command.env_remove(&*name);
            }
        }
        command
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        Self { command }
    }

    fn words<S: AsRef<OsStr>>(mut self, words: impl IntoIterator<Item = S>) -> Self {
        self.command.args(words);
        self
    }

    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    /// With this file as standard input.
    pub(crate) fn input(mut self, file: &Path) -> Self {
        self.command.stdin(std::fs::File::open(file).unwrap());
        self
    }

    pub(crate) fn start(mut self) -> Running {
        let shown = format!("{:?}", self.command);
        let number_file = number_file(&self.command);
        let former_number = number_file.as_deref().and_then(read_number);
        let mut child = self
            .command
            .spawn()
            .unwrap_or_else(|error| panic!("{shown}: {error}"));
        let (heard, lines) = channel();
        listen(child.stdout.take().unwrap(), heard.clone(), Line::Out);
        listen(child.stderr.take().unwrap(), heard, Line::Err);
        Running {
            shown,
            number_file,
            former_number,
            child,
            lines,
            passed: Vec::new(),
            stdout: String::new(),
            stderr: String::new(),
        }
    }

    /// With nobody who listens: both pipes are closed before it can say anything.
    pub(crate) fn into_closed_pipes(mut self) -> ExitStatus {
        let mut child = self.command.spawn().unwrap();
        drop((child.stdout.take(), child.stderr.take()));
        until("it ends with its pipes closed", || child.try_wait().unwrap())
    }

    /// Waits for its end.
    #[track_caller]
    pub(crate) fn done(self) -> Done {
        self.start().done()
    }
}

enum Line {
    Out(String),
    Err(String),
}

impl Line {
    fn text(&self) -> &str {
        match self {
            Self::Out(text) | Self::Err(text) => text,
        }
    }
}

/// A thread for each pipe: nothing else tells of lines and their end on every system.
fn listen(pipe: impl Read + Send + 'static, heard: Sender<Line>, of: fn(String) -> Line) {
    thread::spawn(move || {
        let mut pipe = BufReader::new(pipe);
        let mut line = Vec::new();
        while pipe.read_until(b'\n', &mut line).is_ok_and(|length| length > 0) {
            let text = String::from_utf8(std::mem::take(&mut line)).expect("it speaks UTF-8");
            if heard.send(of(text)).is_err() {
                return;
            }
        }
    });
}

/// The number of a process, if it is written down whole.
fn read_number(file: &Path) -> Option<String> {
    let number = std::fs::read_to_string(file).ok()?;
    number.parse::<u32>().is_ok().then_some(number)
}

/// Where a command writes down the number of its process: with the lock that it holds.
fn number_file(command: &Command) -> Option<PathBuf> {
    let folder = command.get_current_dir()?;
    let words: Vec<&OsStr> = command.get_args().collect();
    let value = |option: &str| {
        let at = words.iter().position(|word| *word == option)?;
        words.get(at + 1).map(|value| folder.join(value))
    };
    match words.first()?.to_str()? {
        "sim" => Some(value("--dir")?.join("bench.holder")),
        "run" | "resume" | "recover" => Some(value("--data")?.join("journal/owner")),
        _ => None,
    }
}

/// One that runs. It is killed when it is dropped.
pub(crate) struct Running {
    shown: String,
    number_file: Option<PathBuf>,
    /// What stood there before it began: the number of another process by now, if it is one of any.
    former_number: Option<String>,
    child: Child,
    lines: Receiver<Line>,
    /// What was said and not yet waited for.
    passed: Vec<Line>,
    stdout: String,
    stderr: String,
}

impl Running {
    /// The next line of either pipe, `None` when it has closed both.
    #[track_caller]
    fn line(&mut self) -> Option<Line> {
        match self.lines.recv_timeout(PATIENCE) {
            Ok(line) => {
                match &line {
                    Line::Out(text) => self.stdout.push_str(text),
                    Line::Err(text) => self.stderr.push_str(text),
                }
                Some(line)
            }
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => {
                panic!(
                    "{} says nothing more after\n{}\n{}",
                    self.shown, self.stdout, self.stderr
                )
            }
        }
    }

    /// Waits for a line like this; false when it ends without one. Lines of one pipe come in their order. Which pipe's
    /// line comes first is chance: what one pipe said while the other was waited for can still be waited for.
    #[track_caller]
    pub(crate) fn hears(&mut self, mut is_wanted: impl FnMut(&str) -> bool) -> bool {
        if let Some(found) = self.passed.iter().position(|line| is_wanted(line.text())) {
            self.forget_up_to(found);
            return true;
        }
        while let Some(line) = self.line() {
            let is_found = is_wanted(line.text());
            self.passed.push(line);
            if is_found {
                self.forget_up_to(self.passed.len() - 1);
                return true;
            }
        }
        false
    }

    /// What the pipe of this line said until then is done with.
    fn forget_up_to(&mut self, found: usize) {
        let is_out = matches!(self.passed[found], Line::Out(_));
        let mut index = 0;
        self.passed.retain(|line| {
            index += 1;
            index > found + 1 || matches!(line, Line::Out(_)) != is_out
        });
    }

    /// Waits for a line that contains this; false when it ends without one.
    #[track_caller]
    pub(crate) fn says(&mut self, wanted: &str) -> bool {
        self.hears(|line| line.contains(wanted))
    }

    /// Asks it to end, as Ctrl-C does.
    pub(crate) fn interrupt(&self) {
        self.signal("-INT");
    }

    /// Asks it to end, as the system does.
    pub(crate) fn terminate(&self) {
        // Other systems have no such signal: there a person asks.
        self.signal(if std::env::var_os(PROGRAM).is_some() {
            "-INT"
        } else {
            "-TERM"
        });
    }

    fn signal(&self, signal: &str) {
        let status = Command::new("kill")
            .args([signal, &self.child.id().to_string()])
            .status()
            .unwrap();
        assert!(status.success(), "kill {signal} of {}", self.shown);
    }

    /// Ends it without asking, as a power cut does, and hears what it had said.
    pub(crate) fn kill(mut self) -> Done {
        self.end();
        self.done()
    }

    fn end(&mut self) {
        let (Some(killer), Some(file)) = (std::env::var_os(KILLER), self.number_file.as_deref()) else {
            return self.child.kill().unwrap();
        };
        let number = until("it has written down its number, or ended", || {
            let own = read_number(file).filter(|number| Some(number) != self.former_number.as_ref());
            let has_ended = self.child.try_wait().unwrap().is_some();
            (has_ended || own.is_some()).then_some(own)
        });
        if let Some(number) = number {
            let killed = Command::new(killer).arg(number).output();
            assert!(
                killed.is_ok_and(|killed| killed.status.success())
                    || self.child.try_wait().unwrap().is_some(),
                "{} lives on",
                self.shown
            );
        }
    }

    /// Waits for its end.
    #[track_caller]
    pub(crate) fn done(mut self) -> Done {
        while self.line().is_some() {}
        let status = until("it ends", || self.child.try_wait().unwrap());
        let take = std::mem::take::<String>;
        Done {
            shown: take(&mut self.shown),
            status,
            stdout: take(&mut self.stdout),
            stderr: take(&mut self.stderr),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Most have ended already, and a test that panics must not panic once more.
        if matches!(self.child.try_wait(), Ok(None)) {
            if !thread::panicking() {
                self.end();
            }
            let _ = self.child.kill();
        }
        let _ = self.child.wait();
    }
}

/// What one said, and how it ended.
pub(crate) struct Done {
    shown: String,
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Done {
    /// It ended with this exit code.
    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Self {
        assert_eq!(self.status.code(), Some(code), "{self:?}");
        self
    }

    /// It ended with this exit code and told of this error, with a remedy.
    #[track_caller]
    pub(crate) fn fails(self, exit: i32, code: &str) -> Self {
        let done = self.exits(exit);
        assert!(
            done.stderr.contains("error: ") && done.stderr.contains("\n  remedy: "),
            "{done:?}"
        );
        assert!(done.stderr.contains(&format!("\n  code:   {code}\n")), "{done:?}");
        done
    }

    /// Standard output as objects, one a line and nothing else.
    #[track_caller]
    pub(crate) fn objects(&self) -> Vec<Value> {
        let objects = self
            .stdout
            .lines()
            .map(serde_json::from_str)
            .collect::<Result<Vec<Value>, _>>();
        let objects = objects.unwrap_or_else(|error| panic!("{error} in {self:?}"));
        for object in &objects {
            assert!(object["version"].is_u64(), "no version in {object}");
        }
        objects
    }

    /// The only object.
    #[track_caller]
    pub(crate) fn object(&self) -> Value {
        let [object] = self
            .objects()
            .try_into()
            .unwrap_or_else(|objects| panic!("not one object: {objects:?}"));
        object
    }

    /// Both outputs contain this text nowhere.
    #[track_caller]
    pub(crate) fn never_says(&self, text: &str) {
        assert!(
            !self.stdout.contains(text) && !self.stderr.contains(text),
            "it says {text}: {self:?}"
        );
    }
}

impl std::fmt::Debug for Done {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{}\n{}\n--- stdout\n{}\n--- stderr\n{}",
            self.shown, self.status, self.stdout, self.stderr
        )
    }
}
