//! `lineside records certificate` and `check-certificate`.

use std::path::{Path, PathBuf};

use clap::Args;
use jiff::Timestamp;
use lineside_records::{Certificate, RunRecord, Sealer as _, View, seal, unseal};
use lineside_terms::UnitSerial;
use serde::Serialize;

use super::{Store, key_of, store, told_of, write};
use crate::cli::exit::Exit;
use crate::cli::output::{Printer, Tone};
use crate::cli::qr::Code;
use crate::cli::records::{Object, open_view};
use crate::cli::trouble::Trouble;

/// Arguments of `records certificate`.
#[derive(Debug, Args)]
#[command(
    after_help = "Written to standard output unless a file is named, and sealed with the key of this station. Give
your customer the certificate, and once, on another way, the public key
(evidence/station-key.pub.pem in the data folder).

Examples:
  lineside records certificate SAMPLE-0003 > SAMPLE-0003.certificate.json
  lineside records certificate SAMPLE-0003 -o SAMPLE-0003.certificate.json --html SAMPLE-0003.html"
)]
pub(crate) struct CertificateArgs {
    /// The device: its id, how its id begins or ends, or the serial of its unit
    device: String,
    /// Write it to this file
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Also write a page for printing
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

/// Arguments of `records check-certificate`.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes: 0 it holds; 4 it does not. Nothing but the two files is needed; a script of 150 lines
that does the same stands in the documentation.

Example:
  lineside records check-certificate SAMPLE-0003.certificate.json --key line-3.pub.pem"
)]
pub(crate) struct CheckCertificateArgs {
    /// The certificate
    file: PathBuf,
    /// The station's public key, as you got it from the manufacturer
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
}

pub(crate) fn certificate(folder: &Path, args: &CertificateArgs, printer: &Printer) -> Result<Exit, Trouble> {
    let view = open_view(folder)?;
    let run = finished_run(&view, &args.device)?;
    let store = Store::of(folder);
    let no_certificate = |why: &str| {
        Trouble::usage(
            "evidence.no-certificate",
            &format!("nothing is certified of unit {}: {why}", run.summary.serial),
            "Only a unit that passed and is recorded gets one; `lineside records show` tells how it is.",
        )
    };
    if lineside_records::hand::undone(folder)?.contains(&run.summary.device) {
        return Err(no_certificate(
            "something was written to its device by hand, and another process has the records just now",
        ));
    }
    let checkpoint = store
        .checkpoint(None, printer)?
        .ok_or_else(|| no_certificate("there are no records"))?;
    let bundle = view.bundle_of(&run.summary.run)?;
    let certificate =
        Certificate::of(&run, bundle, Timestamp::now().to_string(), &checkpoint).ok_or_else(|| match &run
            .summary
            .undone
        {
            Some(at) => no_certificate(&format!(
                "its software or settings were changed at {at}, and no run has passed since"
            )),
            None => no_certificate("its latest run did not pass"),
        })?;
    let key = store.key(printer)?;
    let sealed = seal(&certificate.to_text(), &key)
        .map_err(|error| Trouble::station("station.key-file", "the station's key did not sign", &error))?;
    if let Some(html) = &args.html {
        let code = Code::of(&checkpoint.to_string())
            .map(|code| code.to_svg())
            .unwrap_or_default();
        write(
            html,
            &certificate.to_html(checkpoint.point, &key.key().short(), &sealed, &code),
        )?;
    }
    match &args.output {
        Some(file) => write(file, &sealed)?,
        None => printer.raw(sealed.trim_end()),
    }
    printer.note(&format!("unit {}: {}", certificate.serial, told_of(&key)));
    Ok(Exit::Good)
}

/// The run that finished a unit, or else its latest.
fn finished_run(view: &View, name: &str) -> Result<RunRecord, Trouble> {
    let serial: Option<UnitSerial> = name.parse().ok();
    let lower = name.to_lowercase();
    let is_meant = |device: &&lineside_records::DeviceRecord| {
        let id = device.device.to_string();
        (serial.is_some() && device.serial == serial)
            || (lower.len() >= 6 && (id.starts_with(&lower) || id.ends_with(&lower)))
    };
    let devices = view.devices()?;
    let found: Vec<_> = devices.iter().filter(is_meant).collect();
    let none = |what: &str| {
        Trouble::usage(
            "evidence.no-device",
            &format!("{what} `{}`", name.escape_default()),
            "`lineside records export devices` lists ids and serials.",
        )
    };
    let device = match found[..] {
        [device] => device,
        [] => return Err(none("no device is recorded as")),
        _ => return Err(none("several devices are recorded as")),
    };
    // What was undone since says nothing about the unit: then its latest run does.
    let finished = match device.complete_run {
        Some(run) => Some(view.run(&run)?).filter(|run| run.summary.undone.is_none()),
        None => None,
    };
    let run = match finished {
        Some(run) => return Ok(run),
        None => {
            let filter = lineside_records::RunFilter {
                device: Some(device.device.to_string()),
                limit: Some(1),
                ..Default::default()
            };
            let runs = view.runs(&filter)?;
            runs.first().ok_or_else(|| none("no run is recorded of"))?.run
        }
    };
    Ok(view.run(&run)?)
}

/// The object of `check-certificate --json`.
#[derive(Serialize)]
struct Content<'a> {
    key: String,
    certificate: &'a Certificate,
}

pub(crate) fn check_certificate(args: &CheckCertificateArgs, printer: &Printer) -> Result<Exit, Trouble> {
    let key = key_of(&args.key)?;
    let bytes = store::read(&args.file)?;
    let sealed = unseal(&bytes, Some(&key))?;
    let (certificate, checkpoint) = Certificate::from_sealed(&sealed)?;
    printer.object(&Object {
        version: 1,
        kind: "certificate-check",
        content: &Content {
            key: key.short(),
            certificate: &certificate,
        },
    });
    printer.result(&Tone::Good.paint(&format!(
        "the certificate holds: signed with the key {}",
        key.short()
    )));
    printer.result(&format!("unit     {}", certificate.serial));
    printer.result(&format!("device   {}", certificate.device));
    printer.result(&format!(
        "product  {}",
        certificate.product.as_deref().unwrap_or("-")
    ));
    if let Some(bundle) = certificate.bundle {
        printer.result(&format!("bundle   {bundle}"));
    }
    printer.result(&format!(
        "outcome  {}, {}",
        certificate.outcome, certificate.ended
    ));
    printer.result(&format!(
        "station  {}, journal fixed at event {}, hash {}",
        certificate.station, checkpoint.point.sequence, checkpoint.point.hash
    ));
    Ok(Exit::Good)
}
