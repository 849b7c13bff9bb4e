//! Command line → commands. One file per command; its module doc is its manual.

mod addresses;
mod approve;
mod args;
mod backup;
mod bench;
mod bridge;
mod bundle;
mod cables;
mod choose;
mod data;
mod desk;
mod device;
mod devices;
mod doctor;
mod each;
mod evidence;
mod exit;
mod gate;
mod hook;
mod identify;
mod image;
mod image_set;
mod install;
mod later;
mod live;
mod output;
mod passphrase;
mod people;
mod plan;
mod qr;
mod ready_check;
mod records;
mod recover;
mod resume;
mod run;
mod secret;
mod sim;
mod slots;
mod station;
mod trouble;

use clap::parser::ValueSource;
use clap::{CommandFactory, FromArgMatches};

use args::{Cli, Command};
use exit::Exit;
use later::Later;
use output::Printer;
use trouble::Trouble;

/// Reads the command line, does what it says, tells how it went.
pub(crate) fn main() -> Exit {
    let parsed = command().try_get_matches().and_then(|mut matches| {
        let source = matches.value_source("bench");
        let mut cli = Cli::from_arg_matches_mut(&mut matches)?;
        cli.global.is_bench_named = !matches!(source, None | Some(ValueSource::DefaultValue));
        Ok(cli)
    });
    let mut cli = match parsed {
        Ok(cli) => cli,
        Err(error) => {
            let error = secret::without_secret(error);
            let is_asked_for = !error.use_stderr();
            output::usage(&error.render(), is_asked_for);
            return if is_asked_for { Exit::Good } else { Exit::Usage };
        }
    };
    // Who names no bench gets the boards of a bridge, if one runs: it has them.
    if !cli.global.is_bench_named && !matches!(cli.command, Command::Bridge(_)) {
        cli.global.bench = bench::of_running_bridge().unwrap_or(cli.global.bench);
    }
    let printer = Printer::new(cli.global.json, cli.global.color);
    let done = match cli.command {
        Command::Run(Later(args)) => run::run(&cli.global, &args, &printer),
        Command::Resume(Later(args)) => resume::run(&cli.global, &args, &printer),
        Command::Devices(Later(args)) => devices::run(&cli.global, &args, &printer),
        Command::Device(Later(args)) => device::run(&cli.global, &args, &printer),
        Command::ReadyCheck(Later(args)) => ready_check::run(&cli.global, &args, &printer),
        Command::Recover(Later(args)) => recover::run(&cli.global, &args, &printer),
        Command::Plan(Later(command)) => plan::run(&cli.global, &command, &printer),
        Command::Approve(Later(command)) => approve::run(&cli.global, &command, &printer),
        Command::Bundle(Later(command)) => bundle::run(&cli.global, &command, &printer),
        Command::Records(Later(command)) => records::run(&cli.global, &command, &printer),
        Command::Image(Later(command)) => image::run(&command, &printer),
        Command::ImageSet(Later(command)) => image_set::run(&cli.global, &command, &printer),
        Command::Doctor(Later(args)) => doctor::run(&cli.global, &args, &printer),
        Command::Slots(Later(command)) => slots::run(&cli.global, &command, &printer),
        Command::Each(Later(args)) => each::run(&cli.global, &args, &printer),
        Command::InstallAzsphere(Later(args)) => install::install(&args, &printer),
        Command::UninstallAzsphere(Later(args)) => install::uninstall(&args, &printer),
        Command::Bridge(Later(args)) => bridge::run(&cli.global, &args, &printer),
        Command::Sim(Later(args)) => sim::run(&args, &printer),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut command(), "lineside", &mut script);
            printer.raw(String::from_utf8_lossy(&script).trim_end());
            Ok(Exit::Good)
        }
    };
    done.unwrap_or_else(|trouble: Trouble| {
        printer.told(&trouble.told);
        trouble.exit
    })
}

/// The whole command line, for completions and manual pages.
pub(crate) fn command() -> clap::Command {
    Cli::command()
}

/// Runs host work: one thread for all boards.
fn on_host_thread<T>(work: impl Future<Output = T>) -> Result<T, Trouble> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| {
            Trouble::station(
                "station.no-runtime",
                "the system gave no resources to begin with",
                &error,
            )
        })?;
    Ok(tokio::task::LocalSet::new().block_on(&runtime, work))
}
