//! `lineside slots learn|list|name|forget|cables`: what the fixture calls its sockets. Names stand in `slots.toml` in the data
//! folder; they are for people, records keep the connection path.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Subcommand;
use futures::StreamExt as _;
use lineside_link::{Address, BenchEvent, BoardInfo};
use lineside_terms::{Blame, SlotPath};
use serde::{Deserialize, Serialize};

use super::args::Global;
use super::cables::{self, CablesArgs};
use super::exit::Exit;
use super::output::{Printer, Tone, table};
use super::trouble::Trouble;
use super::{addresses, bench, on_host_thread};

/// The name of the file.
const FILE: &str = "slots.toml";

/// What stands above the names.
const HEAD: &str =
    "# What the fixture calls its sockets: connection path = name. `lineside slots` writes this file.\n";

/// Longer names would push everything else out of the tables.
const LONGEST_NAME: usize = 24;

/// Subcommands of `slots`.
#[derive(Debug, Subcommand)]
pub(crate) enum SlotsCommand {
    /// Give names one by one: to each socket that a board is plugged into next
    #[command(
        after_help = "Begin with no board in the sockets that are to be learned. A socket that is unplugged and plugged in
again is taken as well.

Example:
  lineside slots learn A1 A2 A3 A4"
    )]
    Learn {
        /// The names, in the order in which boards will be plugged in
        #[arg(required = true)]
        names: Vec<SlotPath>,
        /// Seconds to wait for each board
        #[arg(long, value_name = "SECONDS", default_value_t = 120, value_parser = clap::value_parser!(u64).range(1..=3600))]
        timeout: u64,
    },
    /// List sockets: those with a name, and those that hold a board
    #[command(after_help = "Example:\n  lineside slots list")]
    List,
    /// Try whether the cables of each socket go to one device
    Cables(CablesArgs),
    /// Name one socket
    #[command(after_help = "Example:\n  lineside slots name 1113 A1")]
    Name {
        /// Its connection path
        slot: SlotPath,
        /// At most 24 letters, digits, `-`, `_`, `.` or `:`
        name: SlotPath,
    },
    /// Forget names
    #[command(after_help = "Examples:\n  lineside slots forget A1\n  lineside slots forget --all")]
    Forget {
        /// Connection paths or names
        #[arg(required_unless_present = "all")]
        slots: Vec<SlotPath>,
        /// All of them
        #[arg(long, conflicts_with = "slots")]
        all: bool,
    },
}

pub(crate) fn run(global: &Global, command: &SlotsCommand, printer: &Printer) -> Result<Exit, Trouble> {
    let mut names = Names::read(&folder(global))?;
    match command {
        SlotsCommand::Cables(args) => cables::run(global, args, printer),
        SlotsCommand::List => on_host_thread(list(global, &names, printer))?,
        SlotsCommand::Name { slot, name } => {
            names.give(slot, name)?;
            names.write(&folder(global))?;
            tell(slot, Some(name.as_str()), None, None, printer);
            printer.result(&format!("{slot} is called {name}"));
            Ok(Exit::Good)
        }
        SlotsCommand::Forget { slots, all } => {
            for slot in slots {
                if names.0.remove(names.resolve(slot).as_str()).is_none() {
                    return Err(Trouble::usage(
                        "slots.no-name",
                        &format!("no socket with a name is called {slot}"),
                        "`lineside slots list` shows all names.",
                    ));
                }
            }
            if *all {
                names.0.clear();
            }
            names.write(&folder(global))?;
            Ok(Exit::Good)
        }
        SlotsCommand::Learn { names: new, timeout } => on_host_thread(learn(
            global,
            &mut names,
            new,
            Duration::from_secs(*timeout),
            printer,
        ))?,
    }
}

fn folder(global: &Global) -> PathBuf {
    global.data.clone().unwrap_or_else(lineside_link::data_folder)
}

/// What a fixture calls its sockets, by connection path.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(transparent)]
pub(crate) struct Names(BTreeMap<String, String>);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    slots: Names,
}

impl Names {
    /// For showing and finding boards: where the file cannot be read nothing has a name; `lineside slots` says why.
    pub(crate) fn of_station(global: &Global) -> Self {
        Self::read(&folder(global)).unwrap_or_default()
    }

    fn read(folder: &Path) -> Result<Self, Trouble> {
        let path = folder.join(FILE);
        let refused = |cause: &dyn std::fmt::Display| {
            Trouble::new(
                Exit::Station,
                Blame::Station,
                "slots.file",
                &format!("{}: {cause}", path.display()),
                "Correct or remove the file.",
            )
        };
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(refused(&error)),
        };
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
        let File { slots } = toml::from_str(text).map_err(|error| refused(&error.to_string().trim_end()))?;
        let mut checked = Self::default();
        for (slot, name) in &slots.0 {
            let parsed = (SlotPath::new(slot.as_str()), SlotPath::new(name.as_str()));
            let (Ok(slot), Ok(name)) = parsed else {
                return Err(refused(&"a slot or a name has characters that none may have"));
            };
            checked
                .give(&slot, &name)
                .map_err(|trouble| refused(&trouble.told.message))?;
        }
        Ok(checked)
    }

    /// Written beside and moved, so that it is whole at any moment.
    fn write(&self, folder: &Path) -> Result<(), Trouble> {
        let mut text = format!("{HEAD}\n[slots]\n");
        for (slot, name) in &self.0 {
            // Neither has a character that TOML would take for something else.
            text.push_str(&format!("\"{slot}\" = \"{name}\"\n"));
        }
        let new = folder.join(format!("{FILE}.new"));
        fs::create_dir_all(folder)
            .and_then(|()| fs::write(&new, text))
            .and_then(|()| fs::rename(&new, folder.join(FILE)))
            .map_err(|error| Trouble::station("slots.file", "the names cannot be written", &error))
    }

    fn give(&mut self, slot: &SlotPath, name: &SlotPath) -> Result<(), Trouble> {
        let refused = |message: String| Trouble::usage("slots.name", &message, "Give it another name.");
        if name.as_str().len() > LONGEST_NAME {
            return Err(refused(format!("a name has at most {LONGEST_NAME} characters")));
        }
        let holder = self.0.iter().find(|(_, of)| *of == name.as_str());
        if let Some((other, _)) = holder.filter(|(other, _)| *other != slot.as_str()) {
            return Err(refused(format!("{name} is the name of slot {other} already")));
        }
        self.0.insert(slot.as_str().to_owned(), name.as_str().to_owned());
        Ok(())
    }

    /// The name of a slot, if it has one.
    pub(crate) fn of(&self, slot: &SlotPath) -> Option<&str> {
        self.0.get(slot.as_str()).map(String::as_str)
    }

    /// A slot as people see it: `1113 A1`.
    pub(crate) fn show(&self, slot: &SlotPath) -> String {
        match self.0.get(slot.as_str()) {
            Some(name) => format!("{slot} {name}"),
            None => slot.to_string(),
        }
    }

    /// The slot that is meant by a connection path or a name. Who is no name is a path.
    pub(crate) fn resolve(&self, text: &SlotPath) -> SlotPath {
        let named = self.0.iter().find(|(_, name)| *name == text.as_str());
        let slot = named.and_then(|(slot, _)| SlotPath::new(slot.as_str()).ok());
        slot.unwrap_or_else(|| text.clone())
    }

    /// Connection paths by name.
    pub(crate) fn by_name(&self) -> BTreeMap<String, SlotPath> {
        let path =
            |(slot, name): (&String, &String)| Some((name.clone(), SlotPath::new(slot.as_str()).ok()?));
        self.0.iter().filter_map(path).collect()
    }

    /// [`Self::resolve`] for all of them.
    pub(crate) fn resolve_all(&self, texts: &[SlotPath]) -> Vec<SlotPath> {
        texts.iter().map(|text| self.resolve(text)).collect()
    }
}

/// One object of `--json`.
#[derive(Serialize)]
struct Object<'a> {
    version: u32,
    kind: &'static str,
    slot: &'a SlotPath,
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ip: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    is_attached: Option<bool>,
}

fn tell(
    slot: &SlotPath,
    name: Option<&str>,
    ip: Option<Address>,
    is_attached: Option<bool>,
    printer: &Printer,
) {
    printer.object(&Object {
        version: 1,
        kind: "slot",
        slot,
        name,
        ip: ip.map(|ip| ip.to_string()),
        is_attached,
    });
}

async fn list(global: &Global, names: &Names, printer: &Printer) -> Result<Exit, Trouble> {
    let bench = bench::open(&global.bench).await?;
    let boards: Vec<BoardInfo> = bench.bench.list().await?;
    let mut slots: Vec<SlotPath> = boards.iter().map(|board| board.slot.clone()).collect();
    let named = names
        .0
        .keys()
        .filter_map(|slot| SlotPath::new(slot.as_str()).ok());
    slots.extend(named);
    let addresses = addresses::of_boards(global, &boards)?;
    slots.sort();
    slots.dedup();
    let mut rows = Vec::new();
    for slot in &slots {
        let name = names.0.get(slot.as_str()).map(String::as_str);
        let ip = addresses.of(slot);
        let board = boards.iter().find(|board| board.slot == *slot);
        tell(slot, name, ip, Some(board.is_some()), printer);
        let dash = || ("-".to_owned(), Tone::Faint);
        let board = board.map(|board| {
            board
                .board_serial
                .clone()
                .unwrap_or_else(|| "attached".to_owned())
        });
        rows.push(vec![
            (slot.to_string(), Tone::Plain),
            name.map_or_else(dash, |name| (name.to_owned(), Tone::Plain)),
            ip.map_or_else(dash, |ip| (ip.to_string(), Tone::Faint)),
            board.map_or_else(dash, |board| (board, Tone::Plain)),
        ]);
    }
    printer.result(&table(&["slot", "name", "address", "board"], &rows));
    Ok(Exit::Good)
}

async fn learn(
    global: &Global,
    names: &mut Names,
    new: &[SlotPath],
    patience: Duration,
    printer: &Printer,
) -> Result<Exit, Trouble> {
    let bench = bench::open(&global.bench).await?;
    let mut there: Vec<SlotPath> = bench
        .bench
        .list()
        .await?
        .into_iter()
        .map(|board| board.slot)
        .collect();
    let mut watch = bench.bench.watch();
    // Two sockets never get one name, and all is known to be fine before anybody plugs in anything.
    let mut tried = names.clone();
    for (number, name) in new.iter().enumerate() {
        let place = SlotPath::new(format!("new-{number}")).expect("it is one");
        tried.0.retain(|_, old| old != name.as_str());
        tried.give(&place, name)?;
        if new[..number].contains(name) {
            return Err(Trouble::usage(
                "slots.name",
                &format!("{name} is given twice"),
                "Give each socket a name of its own.",
            ));
        }
    }
    for name in new {
        printer.note(&format!("plug a board into {name}"));
        let slot = tokio::select! {
            slot = attached(&mut watch, &mut there) => slot,
            () = bench.clock.sleep(patience) => None,
            () = lineside_link::asked_to_stop() => return Ok(Exit::Stopped),
        };
        let Some(slot) = slot else {
            return Err(Trouble::new(
                Exit::NotGood,
                Blame::Board,
                "slots.nothing-plugged-in",
                &format!("no board was plugged into {name}"),
                "Names that were learned before are kept: begin again with this one.",
            ));
        };
        names.0.retain(|_, old| old != name.as_str());
        names.give(&slot, name)?;
        // Each at once: who stops in between has lost nothing.
        names.write(&folder(global))?;
        tell(&slot, Some(name.as_str()), None, Some(true), printer);
        printer.result(&format!("{slot} is called {name}"));
    }
    Ok(Exit::Good)
}

/// The next slot at which a board appears that was not there; `None` when the bench is gone.
async fn attached(watch: &mut lineside_link::Watch, there: &mut Vec<SlotPath>) -> Option<SlotPath> {
    loop {
        match watch.next().await? {
            BenchEvent::Detached(slot) => there.retain(|of| *of != slot),
            BenchEvent::Attached(board) if there.contains(&board.slot) => {}
            BenchEvent::Attached(board) => {
                there.push(board.slot.clone());
                return Some(board.slot);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_kept_and_each_is_one_sockets() {
        let folder = tempfile::tempdir().unwrap();
        let slot = |text: &str| SlotPath::new(text).unwrap();
        let mut names = Names::read(folder.path()).unwrap();
        names.give(&slot("1113"), &slot("A1")).unwrap();
        names.give(&slot("usb:1-2.1"), &slot("A2")).unwrap();
        assert_eq!(
            names.give(&slot("1123"), &slot("A1")).unwrap_err().told.code,
            "slots.name"
        );
        assert!(names.give(&slot("1123"), &slot(&"x".repeat(25))).is_err());
        names.write(folder.path()).unwrap();
        let names = Names::read(folder.path()).unwrap();
        assert_eq!(names.show(&slot("1113")), "1113 A1");
        assert_eq!(names.show(&slot("1123")), "1123");
        assert_eq!(names.resolve(&slot("A2")), slot("usb:1-2.1"));
        assert_eq!(names.resolve(&slot("1123")), slot("1123"));
        for bad in [
            "[slots]\n1 = 1",
            "slots = 1",
            "[slots]\na = 'b c'",
            "[slots]\na = 'x'\nb = 'x'",
            "[slot]",
        ] {
            fs::write(folder.path().join(FILE), bad).unwrap();
            assert_eq!(
                Names::read(folder.path()).unwrap_err().told.code,
                "slots.file",
                "{bad}"
            );
        }
    }
}
