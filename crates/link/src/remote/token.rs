//! What a client on loopback must show: a random token in a file that only this user can read.
//!
//! On Unix the file stands in the directory of the bench, guarded by its mode. On Windows the rights of a file come
//! from its folder, and a bench may be lent in any: there the file stands in this user's profile, named by the port.

use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use super::transport::{What, remove};

const LENGTH: usize = 32;
/// What the file is at most: the token in hex and an end of line.
const LONGEST_FILE: u64 = 2 * LENGTH as u64 + 1;

/// Random bytes that nobody else knows.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Token([u8; LENGTH]);

impl Token {
    /// Makes a new one and writes it down, for whoever listens on this port of loopback. The file takes the place of
    /// whatever was left there, and is told.
    pub(super) fn create(dir: &Path, what: What, port: u16) -> io::Result<(Self, PathBuf)> {
        let mut token = [0; LENGTH];
        getrandom::fill(&mut token).map_err(|error| io::Error::other(error.to_string()))?;
        let file = place(dir, what, port)?;
        if let Some(folder) = file.parent() {
            fs::create_dir_all(folder)?;
        }
        // A file that is there keeps its rights, so it must be a new one.
        remove(&file)?;
        let hex: String = token.iter().map(|byte| format!("{byte:02x}")).collect();
        let mut options = fs::OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        options.open(&file)?.write_all(format!("{hex}\n").as_bytes())?;
        Ok((Self(token), file))
    }

    /// Reads the one that was written down for this port.
    pub(super) fn read(dir: &Path, what: What, port: u16) -> io::Result<Self> {
        let mut text = String::new();
        fs::File::open(place(dir, what, port)?)?
            .take(LONGEST_FILE + 1)
            .read_to_string(&mut text)?;
        Self::parse(text.trim_end()).ok_or_else(|| io::Error::other("the file holds no token"))
    }

    fn parse(hex: &str) -> Option<Self> {
        if hex.len() != 2 * LENGTH || !hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        let mut token = [0; LENGTH];
        for (index, byte) in token.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&hex[2 * index..2 * index + 2], 16).ok()?;
        }
        Some(Self(token))
    }

    pub(super) const fn bytes(&self) -> &[u8; LENGTH] {
        &self.0
    }

    /// Whether these bytes, as many as a token has, are it: in the same time wherever they differ.
    pub(super) fn is(&self, given: [u8; LENGTH]) -> bool {
        let differs = given
            .iter()
            .zip(self.0)
            .fold(0, |differs, (a, b)| differs | (a ^ b));
        differs == 0
    }
}

/// Room for what is given as a token.
pub(super) const fn blank() -> [u8; LENGTH] {
    [0; LENGTH]
}

#[cfg(unix)]
#[expect(
    clippy::unnecessary_wraps,
    reason = "on other systems there may be no such place"
)]
fn place(dir: &Path, what: What, _port: u16) -> io::Result<PathBuf> {
    Ok(dir.join(format!("{}.token", what.name())))
}

#[cfg(not(unix))]
fn place(_dir: &Path, what: What, port: u16) -> io::Result<PathBuf> {
    let own = crate::places::own_folder()
        .ok_or_else(|| io::Error::other("LOCALAPPDATA names no folder, so there is no place for a secret"))?;
    // No two programs listen on one port, so each name has one writer; a stale one is replaced when the port is.
    Ok(own.join("loopback").join(format!("{}-{port}.token", what.name())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_and_nonsense_refused() {
        let right = "0f".repeat(LENGTH);
        assert!(Token::parse(&right).is_some_and(|token| token.is([15; LENGTH]) && !token.is(blank())));
        for text in ["", "0f", &"+1".repeat(LENGTH), &format!("{right}0f")] {
            assert!(Token::parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn what_is_written_down_is_read_back_from_a_private_place() {
        let dir = tempfile::tempdir().unwrap();
        // Nobody listens on such a port.
        let (token, file) = Token::create(dir.path(), What::Bench, 1).unwrap();
        assert!(Token::read(dir.path(), What::Bench, 1).unwrap() == token);
        #[cfg(unix)]
        {
            let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&file).unwrap().permissions());
            assert_eq!(mode & 0o777, 0o600);
        }
        #[cfg(windows)]
        {
            let profile = std::env::var_os("LOCALAPPDATA").unwrap();
            assert!(file.starts_with(profile), "{file:?} is where others may look");
        }
        let (other, _) = Token::create(dir.path(), What::Bench, 1).unwrap();
        assert!(other != token, "each is new");
        remove(&file).unwrap();
        assert!(Token::read(dir.path(), What::Bench, 1).is_err());
    }
}
