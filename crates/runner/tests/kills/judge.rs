//! The judge: it has the devices, starts the program, says *go* at its boundaries or kills it there.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use lineside_flow::Event;
use lineside_link::Clock;
use lineside_link::remote::Lending;
use lineside_records::{Head, RealDisk, Replay};
use lineside_simulator::{World, WorldConfig, WritesExpected};
use tempfile::TempDir;
use tokio::sync::oneshot;

use super::disk::{Loss, Platter};
use super::support::judge::{is_finished, is_safe, records_agree_with};
use super::support::plans;
use super::{BOOT, CHILD, DATA, SEED};

/// A boundary by its name: its kind, and the step of the plan that was under way.
pub(crate) type Boundary = (String, String);

/// What the judge says at a boundary.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Word {
    Go,
    /// It dies here, or so long after it was told to go.
    Kill(Option<Duration>),
}

/// How a start of the program ended.
#[derive(Debug)]
pub(crate) enum End {
    Killed,
    Over { is_pass: bool, told: String },
}

/// Devices, the folder of a station, and the bench between them.
pub(crate) struct Court {
    pub world: World,
    folder: TempDir,
    platter: Platter,
    starts: u8,
    bench: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
}

impl Court {
    pub(crate) fn new(boards: usize) -> Self {
        let folder = TempDir::new().unwrap();
        std::fs::create_dir(folder.path().join("journal")).unwrap();
        let config = WorldConfig {
            boards,
            seed: SEED,
            ..WorldConfig::default()
        };
        let world = World::new(config, Clock::precise()).unwrap();
        for board in 0..boards {
            let device = world.truth(board).unwrap().device_id;
            world.expect_writes(board, WritesExpected::Only(device)).unwrap();
        }
        std::fs::write(folder.path().join("ca.pem"), world.ca_pem()).unwrap();
        let (stop, stopped) = oneshot::channel();
        let (ready, is_ready) = std::sync::mpsc::channel();
        let (lent, dir) = (world.clone(), folder.path().to_owned());
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let set = tokio::task::LocalSet::new();
            set.block_on(&runtime.unwrap(), async move {
                let lending = Lending::bind(&dir).unwrap();
                ready.send(()).unwrap();
                tokio::select! {
                    _ = stopped => {}
                    () = lending.serve(Rc::new(lent.bench())) => {}
                    never = lent.run() => match never {},
                }
            });
        });
        is_ready.recv().unwrap();
        Self {
            world,
            folder,
            platter: Platter::default(),
            starts: 0,
            bench: Some((stop, thread)),
        }
    }

    /// The folder of the station, in which the bench is lent as well.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn journal(&self) -> PathBuf {
        self.folder.path().join("journal")
    }

    /// Starts the program and lets `word` decide at each of its boundaries.
    pub(crate) fn start(&mut self, mut word: impl FnMut(&Boundary) -> Word) -> End {
        self.starts += 1;
        let mut program = Program::start(&self.folder, self.starts);
        while let Some(line) = program.line() {
            let words: Vec<&str> = line.split(' ').collect();
            match words[..] {
                ["@", kind, step] => match word(&(kind.to_owned(), step.to_owned())) {
                    Word::Go => program.go(),
                    Word::Kill(after) => {
                        if let Some(after) = after {
                            program.go();
                            std::thread::sleep(after);
                        }
                        for line in program.kill() {
                            self.note(&line);
                        }
                        return End::Killed;
                    }
                },
                ["over", how, ..] => {
                    let (is_pass, told) = (how == "pass", line.clone());
                    program.end();
                    return End::Over { is_pass, told };
                }
                _ => self.note(&line),
            }
        }
        panic!("the program ended and did not say how");
    }

    fn note(&mut self, line: &str) {
        if let [word @ ("durable" | "ends"), name, length] = line.split(' ').collect::<Vec<_>>()[..] {
            self.platter.note(word, name, length.parse().unwrap());
        }
    }

    /// With the program, the PC has lost its power.
    pub(crate) fn lose_power(&mut self, dice: u64) -> Loss {
        let journal = self.journal();
        self.platter.lose_power(&journal, dice)
    }

    /// What the disk holds now.
    pub(crate) fn history(&self) -> Vec<Event> {
        let disk = RealDisk::read_only(&self.journal()).unwrap();
        let replay = Replay::of(Arc::new(disk), Head::ORIGIN).unwrap();
        replay.map(|stored| stored.unwrap().event).collect()
    }

    /// What holds at every moment.
    pub(crate) fn check(&self, context: &str) {
        for board in 0..self.world.board_count() {
            is_safe(&self.world.truth(board).unwrap(), context);
        }
    }

    /// What holds in the end.
    pub(crate) fn check_finished(&self, context: &str) {
        let (program, _) = plans::sample(SEED);
        let truths = (0..self.world.board_count()).map(|board| self.world.truth(board).unwrap());
        for truth in truths {
            is_safe(&truth, context);
            is_finished(&truth, &program, context);
        }
        self.records_agree(context);
    }

    /// The records are whole and say what the devices say.
    pub(crate) fn records_agree(&self, context: &str) {
        let truths = (0..self.world.board_count()).map(|board| self.world.truth(board).unwrap());
        let disk = RealDisk::read_only(&self.journal()).unwrap();
        records_agree_with(&disk, self.history(), truths, context);
    }
}

impl Drop for Court {
    fn drop(&mut self) {
        if let Some((stop, thread)) = self.bench.take() {
            let _ = stop.send(());
            let _ = thread.join();
        }
    }
}

/// The program as a process.
struct Program {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Program {
    fn start(folder: &TempDir, boot: u8) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([CHILD, "--exact", "--ignored", "--nocapture"])
            .env(DATA, folder.path())
            .env(BOOT, boot.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        Self {
            input: child.stdin.take().unwrap(),
            output: BufReader::new(child.stdout.take().unwrap()),
            child,
        }
    }

    /// The next line that it says; none when it is gone.
    fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        let count = self.output.read_line(&mut line).unwrap();
        (count > 0).then(|| line.trim_end().to_owned())
    }

    fn go(&mut self) {
        // It may have died of a mistake of its own: then its output ends too.
        let _ = self.input.write_all(b"go\n");
    }

    /// Kills it. What it had said by then.
    fn kill(mut self) -> Vec<String> {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        std::iter::from_fn(|| self.line()).collect()
    }

    fn end(mut self) {
        // Its last threads may stop at boundaries still.
        drop(self.input);
        let _ = self.child.kill();
        self.child.wait().unwrap();
    }
}
