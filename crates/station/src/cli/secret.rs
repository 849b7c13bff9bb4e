//! Secrets come from a file, the environment or standard input, never from the command line, where everybody on this
//! computer could read them.

use std::fmt;
use std::io::Read as _;
use std::path::PathBuf;
use std::str::FromStr;

use clap::error::{ContextKind, ContextValue};
use lineside_protocol::rest::Secret;

use super::trouble::Trouble;

/// Longer than any secret that a device takes.
const LONGEST: u64 = 64 * 1024;

/// Where a secret is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SecretFrom {
    File(PathBuf),
    Environment(String),
    Input,
}

/// What was given names no place where a secret is. It may be the secret itself: nobody repeats it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NoPlace {
    /// The terminal would be a place, too.
    pub(crate) or_tty: bool,
}

impl fmt::Display for NoPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tty = if self.or_tty { "`tty`, " } else { "" };
        write!(
            f,
            "say where it is: {tty}`file:PATH`, `env:NAME`, or `-` for standard input"
        )
    }
}

impl std::error::Error for NoPlace {}

/// What the parser of the command line says about an argument, without what was typed when that may be a secret.
pub(crate) fn without_secret(mut error: clap::Error) -> clap::Error {
    let is_secret = std::error::Error::source(&error).is_some_and(|source| source.is::<NoPlace>());
    if is_secret {
        let unsaid = ContextValue::String("(not repeated)".into());
        error.insert(ContextKind::InvalidValue, unsaid);
    }
    error
}

impl FromStr for SecretFrom {
    type Err = NoPlace;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once(':') {
            _ if text == "-" => Ok(Self::Input),
            Some(("file", path)) if !path.is_empty() => Ok(Self::File(path.into())),
            Some(("env", name)) if !name.is_empty() => Ok(Self::Environment(name.to_owned())),
            _ => Err(NoPlace { or_tty: false }),
        }
    }
}

impl SecretFrom {
    /// Fetches it, without the line end that editors leave.
    pub(crate) fn fetch(&self, what: &str) -> Result<Secret, Trouble> {
        let refused = |cause: &str| {
            Trouble::usage(
                "station.secret",
                &format!("{what} cannot be had: {cause}"),
                "Name where it is: `file:PATH`, `env:NAME`, or `-` for standard input.",
            )
        };
        let text = match self {
            Self::File(path) => std::fs::read_to_string(path).map_err(|error| error.to_string()),
            Self::Environment(name) => {
                std::env::var(name).map_err(|_| format!("the environment has no `{}`", name.escape_default()))
            }
            Self::Input => {
                let mut text = String::new();
                let read = std::io::stdin().lock().take(LONGEST).read_to_string(&mut text);
                read.map(|_| text).map_err(|error| error.to_string())
            }
        };
        let text = text.map_err(|cause| refused(&cause))?;
        let text = text.strip_suffix('\n').unwrap_or(&text);
        Ok(Secret::new(text.strip_suffix('\r').unwrap_or(text)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_itself_is_not_taken_and_not_repeated() {
        assert_eq!("-".parse(), Ok(SecretFrom::Input));
        assert_eq!("env:A".parse(), Ok(SecretFrom::Environment("A".into())));
        assert_eq!("file:a:b".parse(), Ok(SecretFrom::File("a:b".into())));
        for bad in ["planted-secret", "file:", "env:", "", "planted:secret"] {
            let error = bad.parse::<SecretFrom>().unwrap_err().to_string();
            assert!(!error.contains("planted"), "{error}");
        }
    }

    #[test]
    fn one_line_end_is_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("psk");
        for (written, meant) in [
            ("a b", "a b"),
            ("a b\n", "a b"),
            ("a b\r\n", "a b"),
            ("a\n\n", "a\n"),
        ] {
            std::fs::write(&path, written).unwrap();
            let secret = SecretFrom::File(path.clone()).fetch("the key").unwrap();
            assert_eq!(secret.reveal(), meant);
        }
        let missing = SecretFrom::File(folder.path().join("none"))
            .fetch("the key")
            .unwrap_err();
        assert_eq!(missing.told.code, "station.secret");
    }
}
