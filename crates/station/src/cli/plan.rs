//! `lineside plan check|explain|schema`: looks into plans without touching a board.

use lineside_flow::plan;
use lineside_runner::{Placed, program};
use serde::Serialize;

use super::args::{Global, PlanCommand};
use super::bench;
use super::exit::Exit;
use super::output::{Printer, Tone};
use super::trouble::Trouble;

pub(crate) fn run(global: &Global, command: &PlanCommand, printer: &Printer) -> Result<Exit, Trouble> {
    match command {
        PlanCommand::Check { plan } => check(global, plan, printer),
        PlanCommand::Explain { plan } => {
            let explanation = plan::explain(&program::read_plan(plan)?);
            printer.object(&Explained {
                version: 1,
                kind: "plan-explanation",
                explanation: &explanation,
            });
            printer.result(explanation.to_string().trim_end());
            Ok(Exit::Good)
        }
        PlanCommand::Schema => {
            printer.raw(plan::schema().trim_end());
            Ok(Exit::Good)
        }
    }
}

/// The object of `explain --json`.
#[derive(Serialize)]
struct Explained<'a> {
    version: u32,
    kind: &'static str,
    #[serde(flatten)]
    explanation: &'a plan::Explanation,
}

/// The object of `check --json`.
#[derive(Serialize)]
struct Checked<'a> {
    version: u32,
    kind: &'static str,
    is_good: bool,
    findings: &'a [Placed],
}

fn check(global: &Global, path: &std::path::Path, printer: &Printer) -> Result<Exit, Trouble> {
    let (trust, supplies) = bench::supplies_of(&global.bench)?;
    let findings = lineside_runner::check(path, &trust, supplies.as_ref())?;
    let is_good = findings
        .iter()
        .all(|found| found.finding.severity != plan::Severity::Error);
    printer.object(&Checked {
        version: 1,
        kind: "plan-check",
        is_good,
        findings: &findings,
    });
    for found in &findings {
        let finding = &found.finding;
        let word = match finding.severity {
            plan::Severity::Error => Tone::Bad.paint("error:"),
            plan::Severity::Warning => Tone::Unclear.paint("warning:"),
        };
        let at = match (found.line, found.column) {
            (Some(line), Some(column)) => format!("\n  at:     {}:{line}:{column}", path.display()),
            _ => String::new(),
        };
        printer.result(&format!("{word} {finding}{at}\n  remedy: {}", finding.help));
    }
    let verdict = if is_good {
        Tone::Good.paint("the plan is good")
    } else {
        Tone::Bad.paint("the plan is refused")
    };
    printer.result(&verdict);
    Ok(if is_good { Exit::Good } else { Exit::Refused })
}
