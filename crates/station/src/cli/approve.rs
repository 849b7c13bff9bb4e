//! `lineside approve make|grant|list`: leave for irreversible steps, given by named people.
//!
//! Who may approve stands in the administrator's file, never in the data folder. A grant is signed where its approver
//! is; at the station it is checked and becomes an event.

use std::fs;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use jiff::Timestamp;
use lineside_flow::interlock::{Grant, Protected};
use lineside_flow::{Input, Line, Shift};
use lineside_image::SigningKey;
use lineside_records::{SealError, Sealer as _, seal, unseal};
use lineside_runner::{History, store};
use lineside_terms::{Blame, ClockTrust, Digest, Explain as _, Instant, Stamp, StationName, StepId};
use serde::{Deserialize, Serialize};

use super::args::Global;
use super::evidence::{self, FileKey};
use super::exit::Exit;
use super::output::{Printer, Tone, table};
use super::people::People;
use super::trouble::Trouble;
use super::{data, desk, passphrase};
use lineside_runner::policy::{self, Provisioned};

/// Subcommands of `approve`.
#[derive(Debug, Subcommand)]
pub(crate) enum ApproveCommand {
    /// Sign an approval, wherever the approver is
    #[command(after_help = "A unit that waits says which plan, step and role it waits for.

Example:
  lineside approve make --station line-3 --plan 9f0c… --step lock --role quality --by qa-1 --units 16
      --hours 10 --why 'first batch of revision 7' --key qa-1.pem -o batch-1.approval")]
    Make(MakeArgs),
    /// Become an approver with a pass-phrase instead of a key file
    #[command(
        after_help = "Writes a credential, in which nothing is secret: the administrator adds it to the station's file
and says the roles, and the approver keeps a copy. The key that signs is made from the pass-phrase
each time (Argon2id).

Example:
  lineside approve enrol --by qa-1 -o qa-1.approver"
    )]
    Enrol {
        /// Who: a pseudonymous id
        #[arg(long, value_name = "ID")]
        by: String,
        /// Where the pass-phrase is: `tty`, `file:PATH`, `env:NAME`, or `-` for standard input
        #[arg(long, value_name = "WHERE", default_value = "tty")]
        passphrase: passphrase::From,
        /// The file to write
        #[arg(long, short, value_name = "FILE")]
        output: PathBuf,
    },
    /// Take approvals into the records of this station
    #[command(
        after_help = "Each counts once. While a run is going it takes them, and units that wait go on. Refused unless the administrator's file names the approver, the key and the role.

Example:
  lineside approve grant batch-1.approval"
    )]
    Grant {
        /// What was signed
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// List what is left of approvals
    #[command(after_help = "Example:\n  lineside approve list")]
    List,
}

/// Arguments of `approve make`.
#[derive(Debug, Args)]
pub(crate) struct MakeArgs {
    /// The plan: its hash
    #[arg(long, value_name = "HASH")]
    plan: Digest,
    /// The irreversible step
    #[arg(long, value_name = "STEP")]
    step: StepId,
    /// In which role
    #[arg(long, value_name = "ROLE")]
    role: String,
    /// Who: the id in the administrator's file
    #[arg(long, value_name = "ID")]
    by: String,
    /// For how many units
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    units: u32,
    /// For how many hours
    #[arg(long, value_name = "N", default_value_t = 12, value_parser = clap::value_parser!(u32).range(1..=720))]
    hours: u32,
    /// Why
    #[arg(long, value_name = "TEXT")]
    why: String,
    /// The approver's secret key
    #[arg(long, value_name = "FILE", required_unless_present = "credential")]
    key: Option<PathBuf>,
    /// The credential of an approver with a pass-phrase
    #[arg(long, value_name = "FILE", conflicts_with = "key")]
    credential: Option<PathBuf>,
    /// Where the pass-phrase is: `tty`, `file:PATH`, `env:NAME`, or `-` for standard input
    #[arg(long, value_name = "WHERE", default_value = "tty", requires = "credential")]
    passphrase: passphrase::From,
    /// The file to write
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,
}

const KIND: &str = "approval";

/// What is signed.
#[derive(Serialize, Deserialize)]
struct Document {
    kind: String,
    version: u32,
    #[serde(flatten)]
    grant: Grant,
}

pub(crate) fn run(global: &Global, command: &ApproveCommand, printer: &Printer) -> Result<Exit, Trouble> {
    match command {
        ApproveCommand::Make(args) => make(global, args, printer),
        ApproveCommand::Enrol {
            by,
            passphrase,
            output,
        } => {
            let salt = *data::boot_id()?.as_bytes();
            let text = passphrase::enrol(by, passphrase, salt)?;
            fs::write(output, text).map_err(|error| cannot(output, &error))?;
            printer.result(&format!("wrote the credential of {by}; nothing in it is secret"));
            Ok(Exit::Good)
        }
        ApproveCommand::Grant { files } => grant(global, files, printer),
        ApproveCommand::List => list(global, printer),
    }
}

fn make(global: &Global, args: &MakeArgs, printer: &Printer) -> Result<Exit, Trouble> {
    let key = match (&args.key, &args.credential) {
        (Some(file), _) => {
            let pem = fs::read_to_string(file).map_err(|error| cannot(file, &error))?;
            FileKey(SigningKey::from_pem(&pem).map_err(|error| cannot(file, &error))?)
        }
        (None, Some(file)) => passphrase::unlock(file, &args.by, &args.passphrase)?,
        (None, None) => unreachable!("the command line asks for one of them"),
    };
    let now_ms = Timestamp::now().as_millisecond();
    let document = Document {
        kind: KIND.to_owned(),
        version: 1,
        grant: Grant {
            id: data::boot_id()?.to_string(),
            station: global.station.clone(),
            plan: args.plan,
            step: args.step.clone(),
            role: args.role.clone(),
            by: args.by.clone(),
            units: args.units,
            until_ms: now_ms + i64::from(args.hours) * 3_600_000,
            made_ms: Some(now_ms),
            why: args.why.clone(),
        },
    };
    let text = serde_json::to_string_pretty(&document).expect("every field has a JSON form");
    let sealed = seal(&text, &key).map_err(|error| cannot(&args.output, &error))?;
    fs::write(&args.output, sealed).map_err(|error| cannot(&args.output, &error))?;
    printer.result(&format!(
        "signed with the key {}: {} units of step {} at station {}",
        key.key().short(),
        args.units,
        args.step,
        global.station
    ));
    Ok(Exit::Good)
}

fn grant(global: &Global, files: &[PathBuf], printer: &Printer) -> Result<Exit, Trouble> {
    let station = policy::provisioned()?.ok_or_else(|| {
        refused(
            "approval.not-provisioned",
            "this station is not provisioned, so nobody may approve anything",
            "The administrator names approvers and their keys in the station's file.",
        )
    })?;
    let mut grants = Vec::new();
    for file in files {
        let text = fs::read_to_string(file).map_err(|error| cannot(file, &error))?;
        grants.push((admitted(&text, &station, &global.station)?, text));
    }
    let texts: Vec<String> = grants.iter().map(|(_, text)| text.clone()).collect();
    let inputs = grants
        .into_iter()
        .map(|(grant, proof)| Input::Approve { grant, proof });
    match write(global, inputs.collect(), printer) {
        // Somebody works with these records: a run takes approvals as they come.
        Err(busy) if busy.told.code == "records.locked" => {
            let folder = global.data.clone().unwrap_or_else(lineside_link::data_folder);
            for text in texts {
                desk::hand_over(&folder, &text)?;
            }
            printer.result("approved; units that wait go on");
        }
        done => {
            done?;
            printer.result("approved; units that wait go on when the plan is run again");
        }
    }
    Ok(Exit::Good)
}

/// What is signed by an approver of this station, for it, and in time.
pub(super) fn admitted(text: &str, station: &Provisioned, name: &StationName) -> Result<Grant, Trouble> {
    let grant = genuine(text, station)?;
    if grant.station != *name {
        return Err(refused(
            "approval.other-station",
            &format!("the approval is for station {}, not for {}", grant.station, name),
            "Have it approved for this station; --station names it.",
        ));
    }
    if grant.until_ms <= Timestamp::now().as_millisecond() {
        return Err(refused(
            "approval.expired",
            "the approval has expired",
            "Have it approved again. If it is new, check the clocks of both computers.",
        ));
    }
    Ok(grant)
}

/// Writes facts that come from people into the journal.
pub(crate) fn write(global: &Global, inputs: Vec<Input>, printer: &Printer) -> Result<(), Trouble> {
    let folder = global.data.clone().unwrap_or_else(lineside_link::data_folder);
    let (mut journal, history) = data::open_journal(&folder, global, printer)?;
    let impossible = |error: &dyn std::fmt::Display| {
        Trouble::station("station.history", "the records cannot be continued", error)
    };
    let past = history.into_past().map_err(|error| impossible(&error))?;
    let (station, boot) = (global.station.clone(), data::boot_id()?);
    let mut line = Line::after(station, boot, Protected::default(), Shift::default(), past);
    for input in inputs {
        let stamp = Stamp {
            mono: Instant::from_nanos(0),
            wall_ms: Timestamp::now().as_millisecond(),
            trust: ClockTrust::Unverified,
        };
        let events = line
            .take(input, stamp)
            .map_err(|error| refused(error.code(), &error.to_string(), &error.help()))?;
        for event in &events {
            printer.object(event);
        }
        journal.append(&events)?;
    }
    journal.commit()?;
    drop(journal);
    evidence::checkpoint_after_work(&folder, printer);
    Ok(())
}

fn list(global: &Global, printer: &Printer) -> Result<Exit, Trouble> {
    let folder = data::folder_to_read(global);
    let history = store::look(&folder)?;
    let past = history
        .past()
        .map_err(|error| Trouble::station("station.history", "the records cannot be continued", &error))?;
    let people = People::of(&folder)?;
    let rows: Vec<_> = past
        .approvals()
        .open()
        .map(|(grant, left)| {
            let until = Timestamp::from_millisecond(grant.until_ms)
                .map_or_else(|_| "-".to_owned(), |at| at.to_string());
            [
                grant.role.clone(),
                people.who(&grant.by),
                grant.step.to_string(),
                grant.plan.short(),
                format!("{left} of {}", grant.units),
                until,
                grant.why.clone(),
            ]
            .map(|cell| (cell, Tone::Plain))
            .to_vec()
        })
        .collect();
    match rows.is_empty() {
        true => printer.note("nothing is left of any approval"),
        false => printer.result(&table(
            &["role", "by", "step", "plan", "units left", "until", "why"],
            &rows,
        )),
    }
    Ok(Exit::Good)
}

/// Before a run: what the journal says was approved is what its approvers signed.
pub(crate) fn check(history: &History) -> Result<(), Trouble> {
    let now_ms = Timestamp::now().as_millisecond();
    let mut open = history
        .approvals()
        .filter(|(grant, _)| grant.until_ms > now_ms)
        .peekable();
    if open.peek().is_none() {
        return Ok(());
    }
    let station = policy::provisioned()?;
    for (grant, proof) in open {
        let signed = station.as_ref().and_then(|station| genuine(proof, station).ok());
        if signed.as_ref() != Some(grant) {
            return Err(refused(
                "approval.not-genuine",
                &format!(
                    "the records hold an approval of {} that this station's approvers did not sign",
                    grant.by
                ),
                "Find out who wrote to the records, or who was taken off the administrator's file. It ends by itself when it \
                 expires.",
            ));
        }
    }
    Ok(())
}

/// Reads an approval that one of the station's approvers signed in a role that is theirs.
fn genuine(text: &str, station: &Provisioned) -> Result<Grant, Trouble> {
    let sealed = unseal(text.as_bytes(), None)?;
    let document: Document = serde_json::from_str(sealed.text)
        .map_err(|_| Trouble::from(SealError::Content { expected: "approval" }))?;
    if document.kind != KIND || document.version != 1 {
        return Err(SealError::Content { expected: "approval" }.into());
    }
    let grant = document.grant;
    let approver = station.approvers.iter().find(|approver| approver.id == grant.by);
    let Some(approver) = approver.filter(|approver| approver.key == sealed.key) else {
        return Err(refused(
            "approval.unknown-approver",
            &format!(
                "the station knows no approver `{}` with the key {}",
                grant.by.escape_default(),
                sealed.key.short()
            ),
            "The administrator names approvers and their keys in the station's file.",
        ));
    };
    if !approver.roles.contains(&grant.role) {
        return Err(refused(
            "approval.role",
            &format!(
                "{} does not have the role `{}`",
                approver.id,
                grant.role.escape_default()
            ),
            "Have it approved by somebody who has the role.",
        ));
    }
    Ok(grant)
}

fn refused(code: &str, message: &str, help: &str) -> Trouble {
    Trouble::new(Exit::Refused, Blame::Station, code, message, help)
}

fn cannot(path: &Path, error: &dyn std::fmt::Display) -> Trouble {
    Trouble::usage(
        "approval.file",
        &format!("{} could not be used: {error}", path.display()),
        "Check the path, and whether this user may use it.",
    )
}
