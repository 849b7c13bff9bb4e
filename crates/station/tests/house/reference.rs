//! The page with every command is what the commands say of themselves.

use std::fmt::Write as _;
use std::process::Command;

use crate::generated;

const PAGE: &str = "docs/src/cli.md";

/// Sections that would stand below every command; each is shown once, at the command that it belongs to.
const SHARED: [(&str, &[&str]); 2] = [("Global options:", &[]), ("Which device:", &["device"])];

/// What every command can be asked about itself.
const ASKED: [&str; 2] = ["  -h, --help", "  -V, --version"];

/// What a command says of itself in short.
fn help(words: &[String]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lineside"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("LINESIDE_") {
            command.env_remove(name);
        }
    }
    let output = command
        .args(words)
        .arg("-h")
        .env("COLUMNS", "100")
        .env("NO_COLOR", "1")
        .output()
        .unwrap();
    assert!(output.status.success(), "{words:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Help without what is shown elsewhere: a section goes from its title to the next line that is not indented.
fn own_part(help: &str, words: &[String]) -> String {
    let mut lines: Vec<&str> = Vec::new();
    let mut is_elsewhere = false;
    for line in help.lines() {
        let is_title = !line.is_empty() && !line.starts_with(' ');
        if is_title {
            let shared = SHARED.iter().find(|(title, _)| *title == line);
            is_elsewhere = shared.is_some_and(|(_, home)| *home != words);
        }
        if !is_elsewhere && !ASKED.iter().any(|asked| line.starts_with(asked)) {
            lines.push(line.trim_end());
        }
    }
    let mut text = format!("{}\n", lines.join("\n"));
    text = text.replace("Options:\n\n", "");
    while text.contains("\n\n\n") {
        text = text.replace("\n\n\n", "\n\n");
    }
    text.trim_end().to_owned()
}

/// The commands within a command, in the order in which they are listed.
fn commands(help: &str) -> Vec<String> {
    let lines = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let names = lines.take_while(|line| !line.is_empty()).filter_map(|line| {
        let name = line.strip_prefix("  ")?;
        // Further lines of a long description are indented more.
        (!name.starts_with(' ')).then(|| name.split(' ').next().unwrap_or_default().to_owned())
    });
    names.filter(|name| name != "help").collect()
}

fn write(words: &[String], page: &mut String) -> usize {
    let help = help(words);
    let within = commands(&help);
    let level = "#".repeat((words.len() + 1).clamp(2, 4));
    let title = [&["lineside".to_owned()], words].concat().join(" ");
    writeln!(
        page,
        "\n{level} {title}\n\n```text\n{}\n```",
        own_part(&help, words)
    )
    .unwrap();
    let counts = within
        .into_iter()
        .map(|name| write(&[words, &[name]].concat(), page));
    counts.sum::<usize>() + 1
}

#[test]
fn the_book_has_what_every_command_says_of_itself() {
    let mut page = String::new();
    let count = write(&[], &mut page);
    assert!(count > 50, "only {count} commands were found");
    // On Windows lines end otherwise, and nothing else differs.
    generated::check(PAGE, "<!-- commands -->\n", "", &page.replace("\r\n", "\n"));
}

#[test]
fn help_is_taken_apart() {
    let help = "About\n\nUsage: x\n\nCommands:\n  one  First\n       more\n  help  No\n\nOptions:\n  -h, --help  Print help\n\n\
                Global options:\n      --json  J\n\nExample:\n  x one\n";
    assert_eq!(commands(help), ["one"]);
    let words = ["x".to_owned()];
    assert_eq!(
        own_part(help, &words),
        "About\n\nUsage: x\n\nCommands:\n  one  First\n       more\n  help  No\n\nExample:\n  x one"
    );
    assert!(own_part(help, &[]).contains("--json"));
}
