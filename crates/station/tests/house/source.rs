//! Rust sources, taken apart far enough to tell code from comments, strings and tests.

use std::ops::Range;
use std::path::{Path, PathBuf};

use crate::tree;

/// One file. Offsets are the same in all its parts.
pub(crate) struct Source {
    /// From the root of the repository.
    pub(crate) path: PathBuf,
    /// The code: comments, the insides of strings and everything under `#[cfg(test)]` are blanked.
    pub(crate) code: String,
    /// The insides of strings outside of tests, as written.
    pub(crate) strings: Vec<(usize, String)>,
    /// The text as it is.
    pub(crate) text: String,
}

impl Source {
    /// Reads a file, named from the root of the repository.
    pub(crate) fn read(path: &Path) -> Self {
        Self::of(path, tree::text(path))
    }

    fn of(path: &Path, text: String) -> Self {
        let (mut code, mut strings) = code_and_strings(&text);
        for range in tests(&code) {
            let blank = blanked(&code[range.clone()]);
            code.replace_range(range.clone(), &blank);
            strings.retain(|(at, _)| !range.contains(at));
        }
        Self {
            path: path.to_owned(),
            code,
            strings,
            text,
        }
    }

    /// `path:line` of an offset.
    pub(crate) fn place(&self, offset: usize) -> String {
        format!(
            "{}:{}",
            self.path.display(),
            self.text[..offset].matches('\n').count() + 1
        )
    }

    /// Where a word or path stands in the code, not as a part of a longer one.
    pub(crate) fn find(&self, word: &str) -> Vec<usize> {
        let is_part = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
        self.code
            .match_indices(word)
            .map(|(at, _)| at)
            .filter(|&at| !is_part(self.code[..at].chars().next_back()))
            .filter(|&at| !is_part(self.code[at + word.len()..].chars().next()))
            .collect()
    }

    /// The range of the block that opens at or after `from`, braces and all.
    pub(crate) fn block(&self, from: usize) -> Range<usize> {
        block(&self.code, from)
    }
}

/// All sources in the `src` folders of the crates, without files that only tests use.
pub(crate) fn sources() -> Vec<Source> {
    tree::files_with("crates", "rs")
        .iter()
        .filter(|path| tree::is_in_src(path))
        .filter(|path| {
            !path
                .components()
                .any(|part| matches!(part.as_os_str().to_str(), Some("tests" | "tests.rs")))
        })
        .map(|path| Source::read(path))
        .collect()
}

fn block(code: &str, from: usize) -> Range<usize> {
    let start = from + code[from..].find('{').expect("a block opens");
    let mut depth = 0;
    for (at, c) in code[start..].char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return start..start + at + 1;
        }
    }
    start..code.len()
}

/// The ranges of items under `#[cfg(test)]`.
fn tests(code: &str) -> Vec<Range<usize>> {
    const MARK: &str = "#[cfg(test)]";
    let mut ranges: Vec<Range<usize>> = Vec::new();
    for (at, _) in code.match_indices(MARK) {
        if ranges.last().is_some_and(|last| last.contains(&at)) {
            continue;
        }
        let after = &code[at + MARK.len()..];
        let end = match after.find(['{', ';']) {
            Some(end) if after[end..].starts_with('{') => block(code, at + MARK.len()).end,
            Some(end) => at + MARK.len() + end + 1,
            None => code.len(),
        };
        ranges.push(at..end);
    }
    ranges
}

fn blanked(text: &str) -> String {
    text.bytes()
        .map(|byte| if byte == b'\n' { '\n' } else { ' ' })
        .collect()
}

fn code_and_strings(text: &str) -> (String, Vec<(usize, String)>) {
    let mut code = String::with_capacity(text.len());
    let mut strings = Vec::new();
    while code.len() < text.len() {
        let at = code.len();
        let rest = &text[at..];
        // Nothing but these begins a string, a comment or a character; most of a source is none of them.
        if !matches!(text.as_bytes()[at], b'"' | b'/' | b'\'' | b'b' | b'c' | b'r')
            && text.as_bytes()[at].is_ascii()
        {
            code.push(char::from(text.as_bytes()[at]));
            continue;
        }
        let follows_name = code.ends_with(|c: char| c.is_alphanumeric() || c == '_');
        if let Some((open, inside)) = string(rest).filter(|_| !follows_name || rest.starts_with('"')) {
            strings.push((at + open, rest[open..open + inside].to_owned()));
            code.push_str(&rest[..open]);
            code.push_str(&blanked(&rest[open..open + inside]));
        } else if let Some(length) = comment(rest).or_else(|| character(rest)) {
            code.push_str(&blanked(&rest[..length]));
            continue;
        }
        // One character of code, or the end of a string, which is told from the start of one by stepping over it.
        let next = text[code.len()..].chars().next().expect("not at the end");
        code.push_str(&blanked_unless_ascii(next));
    }
    (code, strings)
}

fn blanked_unless_ascii(c: char) -> String {
    if c.is_ascii() {
        c.to_string()
    } else {
        " ".repeat(c.len_utf8())
    }
}

/// How much opens the string that stands here, and how long its inside is.
fn string(rest: &str) -> Option<(usize, usize)> {
    let prefix = rest.len() - rest.trim_start_matches(['b', 'c']).len();
    let after = &rest[prefix.min(1)..];
    let prefix = prefix.min(1);
    if let Some(raw) = after.strip_prefix('r') {
        let hashes = raw.len() - raw.trim_start_matches('#').len();
        let body = raw[hashes..].strip_prefix('"')?;
        let end = format!("\"{}", "#".repeat(hashes));
        return Some((prefix + 1 + hashes + 1, body.find(&end)?));
    }
    let body = after.strip_prefix('"')?;
    let mut escaped = false;
    for (at, c) in body.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return Some((prefix + 1, at)),
            _ => {}
        }
    }
    None
}

fn comment(rest: &str) -> Option<usize> {
    if rest.starts_with("//") {
        return Some(rest.find('\n').unwrap_or(rest.len()));
    }
    rest.starts_with("/*")
        .then(|| rest.find("*/").map_or(rest.len(), |at| at + 2))
}

/// The length of the character literal that stands here; a lifetime is none.
fn character(rest: &str) -> Option<usize> {
    let inside = rest.strip_prefix('\'')?;
    let mut chars = inside.char_indices();
    let (_, first) = chars.next()?;
    if first == '\\' {
        return inside[2..].find('\'').map(|at| at + 4);
    }
    let (at, next) = chars.next()?;
    (next == '\'').then_some(at + 2)
}

#[test]
fn a_source_is_taken_apart() {
    let text = r####"use a::b; // std::fs
const A: &str = "std::net \" x"; /* std::env */
const B: &str = r#"a "quoted" thing"#;
fn f<'a>(c: char) -> bool { c == '"' || c == '\'' || c == '…' || c == 'x' }
const C: &[u8] = b"bytes"; const D: u8 = br"raw"[0];
#[cfg(test)]
mod tests { use std::fs; fn g() { "inside"; } }
fn after() {}
"####;
    let source = Source::of(Path::new("x.rs"), text.to_owned());
    assert_eq!(source.code.len(), text.len());
    for hidden in [
        "std::fs", "std::net", "std::env", "quoted", "inside", "bytes", "raw",
    ] {
        assert!(!source.code.contains(hidden), "{hidden} in {}", source.code);
    }
    for kept in ["use a::b;", "fn f<'a>(c: char)", "fn after() {}"] {
        assert!(source.code.contains(kept), "{kept} not in {}", source.code);
    }
    let strings: Vec<&str> = source.strings.iter().map(|(_, string)| string.as_str()).collect();
    assert_eq!(
        strings,
        [r#"std::net \" x"#, r#"a "quoted" thing"#, "bytes", "raw"]
    );
    assert_eq!(source.place(source.find("after")[0]), "x.rs:8");
    assert!(source.find("afte").is_empty());
}
