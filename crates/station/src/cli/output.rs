//! The only place that writes to standard output and standard error.
//!
//! Results go to standard output, everything else to standard error. With `--json`, standard output carries one JSON
//! object a line and nothing else. Colour follows `--color`, `NO_COLOR` and whether a person is looking.

use std::io::{IsTerminal, Write};

use anstream::stream::{AsLockedWrite, RawStream};
use anstream::{AutoStream, ColorChoice};
use anstyle::{AnsiColor, Style};
use clap::builder::StyledStr;
use lineside_terms::Told;
use serde::Serialize;

/// When to use colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub(crate) enum Color {
    /// When a person is looking and `NO_COLOR` is not set.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// Good, bad and unclear, as colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    Plain,
    Good,
    Bad,
    Unclear,
    Faint,
}

impl Tone {
    const fn style(self) -> Style {
        match self {
            Self::Plain => Style::new(),
            Self::Good => AnsiColor::Green.on_default().bold(),
            Self::Bad => AnsiColor::Red.on_default().bold(),
            Self::Unclear => AnsiColor::Yellow.on_default().bold(),
            Self::Faint => Style::new().dimmed(),
        }
    }

    /// Text in this tone.
    pub(crate) fn paint(self, text: &str) -> String {
        let style = self.style();
        format!("{style}{text}{style:#}")
    }
}

/// What was asked about the command line, or what is wrong with it: in one piece, because whoever asks waits for it.
pub(crate) fn usage(text: &StyledStr, is_asked_for: bool) {
    fn write(text: &StyledStr, stream: impl RawStream + AsLockedWrite) {
        let choice = Printer::new(false, Color::Auto).choice(stream.is_terminal());
        let text = match choice {
            ColorChoice::Never => text.to_string(),
            _ => text.ansi().to_string(),
        };
        let _ = AutoStream::new(stream, choice).write_all(text.as_bytes());
    }
    if is_asked_for {
        write(text, std::io::stdout().lock());
    } else {
        write(text, std::io::stderr().lock());
    }
}

/// Writes for people or for programs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Printer {
    is_json: bool,
    color: Color,
}

impl Printer {
    pub(crate) const fn new(is_json: bool, color: Color) -> Self {
        Self { is_json, color }
    }

    pub(crate) const fn is_json(&self) -> bool {
        self.is_json
    }

    /// True when a person sees standard error as it is written, so that it may be redrawn.
    pub(crate) fn is_live(&self) -> bool {
        !self.is_json && std::io::stderr().is_terminal() && self.color != Color::Never
    }

    fn choice(self, is_terminal: bool) -> ColorChoice {
        let is_unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        match self.color {
            Color::Always => ColorChoice::AlwaysAnsi,
            Color::Never => ColorChoice::Never,
            Color::Auto if is_unwanted || !is_terminal => ColorChoice::Never,
            Color::Auto => ColorChoice::Auto,
        }
    }

    /// A result for people; nothing with `--json`.
    pub(crate) fn result(&self, text: &str) {
        if !self.is_json {
            self.raw(text);
        }
    }

    /// A result that is the same for people and programs, such as a CSV file.
    pub(crate) fn raw(&self, text: &str) {
        let stdout = std::io::stdout();
        let choice = self.choice(stdout.is_terminal());
        // Whoever closed the pipe does not want to hear more: nothing to report to.
        let _ = writeln!(AutoStream::new(stdout.lock(), choice), "{text}");
    }

    /// A result for programs; nothing without `--json`.
    pub(crate) fn object(&self, value: &impl Serialize) {
        if self.is_json {
            let text = serde_json::to_string(value).expect("what is printed holds nothing that JSON cannot");
            self.raw(&text);
        }
    }

    /// Something worth knowing that is no result.
    pub(crate) fn note(&self, text: &str) {
        let stderr = std::io::stderr();
        let choice = self.choice(stderr.is_terminal());
        let _ = writeln!(AutoStream::new(stderr.lock(), choice), "{text}");
    }

    /// Draws over the last `lines` lines of standard error.
    pub(crate) fn redraw(&self, lines: usize, text: &str) {
        let stderr = std::io::stderr();
        let choice = self.choice(stderr.is_terminal());
        let up = if lines > 0 {
            format!("\x1b[{lines}A\x1b[J")
        } else {
            String::new()
        };
        let mut stream = AutoStream::new(stderr.lock(), choice);
        let _ = write!(stream, "{up}{text}");
        let _ = stream.flush();
    }

    /// An error: what happened, who can mend it and how.
    pub(crate) fn told(&self, told: &Told) {
        #[derive(Serialize)]
        struct Line<'a> {
            version: u32,
            kind: &'static str,
            error: &'a Told,
        }
        self.object(&Line {
            version: 1,
            kind: "error",
            error: told,
        });
        self.note(&format!(
            "{} {}\n  code:   {}\n  blame:  {}\n  remedy: {}",
            Tone::Bad.paint("error:"),
            told.message,
            told.code,
            told.blame,
            told.help
        ));
    }
}

/// Lays rows out in columns, as wide as their widest cell; the last column is not padded.
pub(crate) fn table(head: &[&str], rows: &[Vec<(String, Tone)>]) -> String {
    let mut widths: Vec<usize> = head.iter().map(|cell| cell.chars().count()).collect();
    for row in rows {
        for (width, (cell, _)) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let last = head.len().saturating_sub(1);
    let line = |cells: Vec<(&str, Tone)>| {
        let padded: Vec<String> = cells
            .into_iter()
            .zip(&widths)
            .enumerate()
            .map(|(index, ((cell, tone), width))| {
                let space = if index == last {
                    0
                } else {
                    width - cell.chars().count()
                };
                format!("{}{}", tone.paint(cell), " ".repeat(space))
            })
            .collect();
        padded.join("  ").trim_end().to_owned()
    };
    let mut lines = vec![line(head.iter().map(|cell| (*cell, Tone::Faint)).collect())];
    lines.extend(
        rows.iter()
            .map(|row| line(row.iter().map(|(cell, tone)| (cell.as_str(), *tone)).collect())),
    );
    lines.join("\n")
}
