//! The only place that writes to standard output and standard error.

use std::io::{BufRead as _, IsTerminal as _, Write as _};

use crate::layout::fill;
use crate::profile::{Profile, Trailer};
use crate::trouble::{Failure, Kind};

/// How much is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Voice {
    pub(crate) is_verbose: bool,
    pub(crate) is_quiet: bool,
}

/// A result. Whoever reads it may be gone already: that is no failure.
pub(crate) fn result(text: &str) {
    if !text.is_empty() {
        let _ = writeln!(std::io::stdout().lock(), "{text}");
    }
}

/// Something beside results.
pub(crate) fn aside(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// Asks a person, where one is there: what he types.
pub(crate) fn asked(question: &str) -> Option<String> {
    if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        return None;
    }
    let mut screen = std::io::stderr().lock();
    let _ = write!(screen, "{question}");
    let _ = screen.flush();
    let mut line = String::new();
    let _ = std::io::stdin().lock().read_line(&mut line);
    Some(line)
}

/// A warning, in the way of the profile: only for who wants to hear more, since others take it for a failure.
pub(crate) fn warning(profile: &Profile, voice: Voice, text: &str) {
    if !voice.is_verbose || voice.is_quiet {
        return;
    }
    let line = format!("{}{text}", profile.errors.warning);
    if profile.errors.on_stdout {
        result(&line);
    } else {
        aside(&line);
    }
}

/// A failure, in the words of the profile, with what to do about it.
pub(crate) fn failure(profile: &Profile, sentence: &str, failure: &Failure) {
    let told = &failure.told;
    let short = match (failure.kind, failure.device) {
        (Kind::NotResponding, _) => profile.not_responding.to_owned(),
        (_, Some(code)) => format!("Device error {}.{}.", code.category(), code.id()),
        _ => sentence_of(&told.message),
    };
    // A sentence that names what this failure is not about would have a gap.
    let head = if sentence.contains("{component}") && failure.component.is_none() {
        short.clone()
    } else {
        fill(
            sentence,
            &serde_json::json!({ "error": short, "component": failure.component }),
        )
    };
    let mut text = format!("{}{head}", profile.errors.prefix);
    if short != sentence_of(&told.message) {
        text.push_str(&format!("\n  {}", told.message));
    }
    text.push_str(&format!("\n  remedy: {}\n  code:   {}", told.help, told.code));
    complaint(profile, &text);
}

/// What went wrong. Where it belongs to the results it is told beside them, too, unless somebody would read it twice.
pub(crate) fn complaint(profile: &Profile, text: &str) {
    if profile.errors.on_stdout {
        result(text);
        if std::io::stdout().is_terminal() {
            return;
        }
    }
    aside(text);
}

/// The trailer of the classic command.
pub(crate) fn trailer(profile: &Profile, voice: Voice, took: std::time::Duration, is_good: bool) {
    let seconds = took.as_secs();
    let time = format!(
        "{:02}:{:02}:{:02}.{:06}",
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60,
        took.subsec_micros()
    );
    let word = match (profile.trailer, is_good) {
        (Trailer::Never, _) => return,
        (Trailer::WhenVerbose, _) if !voice.is_verbose => return,
        (_, false) => "error: Command failed",
        (Trailer::Always, true) => "Command completed successfully",
        (Trailer::WhenVerbose, true) => "Command completed",
    };
    result(&format!("{word} in {time}."));
}

/// A message with a capital and a full stop.
fn sentence_of(message: &str) -> String {
    let mut chars = message.chars();
    let Some(first) = chars.next() else {
        return String::new();
    };
    let end = if message.ends_with('.') { "" } else { "." };
    format!("{}{}{end}", first.to_uppercase(), chars.as_str())
}
