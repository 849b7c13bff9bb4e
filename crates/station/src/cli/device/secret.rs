//! Secrets come from a file, the environment or standard input, never from the command line, where everybody on this
//! computer could read them.

use std::io::Read as _;
use std::path::PathBuf;
use std::str::FromStr;

use lineside_protocol::rest::Secret;

use super::super::trouble::Trouble;

/// Longer than any secret that a device takes.
const LONGEST: u64 = 64 * 1024;

/// Where a secret is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SecretFrom {
    File(PathBuf),
    Environment(String),
    Input,
}

impl FromStr for SecretFrom {
    type Err = &'static str;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once(':') {
            _ if text == "-" => Ok(Self::Input),
            Some(("file", path)) if !path.is_empty() => Ok(Self::File(path.into())),
            Some(("env", name)) if !name.is_empty() => Ok(Self::Environment(name.to_owned())),
            // What was typed may be the secret itself: it is not repeated.
            _ => Err("say where it is: `file:PATH`, `env:NAME`, or `-` for standard input"),
        }
    }
}

impl SecretFrom {
    /// Fetches it, without the line end that editors leave.
    pub(super) fn fetch(&self, what: &str) -> Result<Secret, Trouble> {
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
            let error = bad.parse::<SecretFrom>().unwrap_err();
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
