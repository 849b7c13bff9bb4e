//! Approvers who have a pass-phrase instead of a key file: the key that signs is made from it anew each time, by Argon2id,
//! and is written down nowhere. What is written down is public: who, the salt, and the public half of the key.
//!
//! The pass-phrase comes from the terminal, a file, the environment or standard input, never from the command line, where
//! everybody on this computer could read it.

use std::fs;
use std::path::Path;
use std::str::FromStr;

use argon2::{Algorithm, Argon2, Params, Version};
use lineside_image::SigningKey;
use lineside_protocol::rest::Secret;
use lineside_records::{SealKey, Sealer as _};
use lineside_terms::Blame;
use serde::{Deserialize, Serialize};

use super::evidence::FileKey;
use super::exit::Exit;
use super::secret::{NoPlace, SecretFrom};
use super::trouble::Trouble;

/// RFC 9106, section 4, the second recommended option: Argon2id with 3 passes, 4 lanes and 64 MiB, a salt of 16 bytes. It
/// is the one for places where 2 GiB for one pass-phrase are too much.
const MEMORY_KIB: u32 = 65_536;
const PASSES: u32 = 3;
const LANES: u32 = 4;
const SALT_BYTES: usize = 16;

/// The public half can be tried against guesses by whoever has it, so short pass-phrases are not taken.
const SHORTEST: usize = 12;

/// Where a pass-phrase is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum From {
    Terminal,
    Elsewhere(SecretFrom),
}

impl FromStr for From {
    type Err = NoPlace;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "tty" => Ok(Self::Terminal),
            _ => text
                .parse()
                .map(Self::Elsewhere)
                .map_err(|_| NoPlace { or_tty: true }),
        }
    }
}

impl From {
    /// Fetches it; the first line of what is there.
    fn fetch(&self, who: &str) -> Result<Secret, Trouble> {
        let text = match self {
            Self::Elsewhere(place) => place.fetch("the pass-phrase")?,
            Self::Terminal => rpassword::prompt_password(format!("pass-phrase of {who}: "))
                .map(Secret::new)
                .map_err(|error| {
                    Trouble::usage(
                        "station.secret",
                        &format!("the pass-phrase cannot be had: {error}"),
                        "Name where it is: `tty`, `file:PATH`, `env:NAME`, or `-` for standard input.",
                    )
                })?,
        };
        Ok(Secret::new(text.reveal().lines().next().unwrap_or_default()))
    }
}

/// What an approver with a pass-phrase gives to the administrator: nothing in it is secret.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Credential {
    pub(crate) id: String,
    /// The administrator says which.
    pub(crate) roles: Vec<String>,
    pub(crate) key: String,
    pub(crate) salt: String,
}

#[derive(Serialize, Deserialize)]
struct CredentialFile {
    approvers: Vec<Credential>,
}

/// Makes a credential from a new pass-phrase.
pub(crate) fn enrol(id: &str, from: &From, salt: [u8; SALT_BYTES]) -> Result<String, Trouble> {
    let secret = from.fetch(id)?;
    if secret.reveal().chars().count() < SHORTEST {
        return Err(refused(
            "approval.short-passphrase",
            &format!("the pass-phrase has less than {SHORTEST} characters"),
            "Take a longer one: some words that nobody would guess together.",
        ));
    }
    let salt: String = salt.iter().map(|byte| format!("{byte:02x}")).collect();
    let key = derived(&secret, &salt)?;
    let file = CredentialFile {
        approvers: vec![Credential {
            id: id.to_owned(),
            roles: Vec::new(),
            key: key.key().to_string(),
            salt,
        }],
    };
    let text = toml::to_string(&file).expect("every field has a TOML form");
    Ok(format!(
        "# Public. The administrator adds it to the station's file and says the roles; the approver keeps a copy.\n{text}"
    ))
}

/// The key of somebody with a credential, if that is the pass-phrase.
pub(crate) fn unlock(file: &Path, by: &str, from: &From) -> Result<FileKey, Trouble> {
    let unfit = |cause: &dyn std::fmt::Display| {
        Trouble::usage(
            "approval.credential",
            &format!("{}: {cause}", file.display()),
            "Name the file that `lineside approve enrol` wrote.",
        )
    };
    let text = fs::read_to_string(file).map_err(|error| unfit(&error))?;
    let found: CredentialFile = toml::from_str(&text).map_err(|error| unfit(&error.message()))?;
    let mut all = found.approvers.into_iter();
    let credential = all
        .find(|one| one.id == by)
        .ok_or_else(|| unfit(&format!("holds no credential of `{}`", by.escape_default())))?;
    let expected = SealKey::from_text(&credential.key).map_err(|error| unfit(&error))?;
    let key = derived(&from.fetch(by)?, &credential.salt)?;
    if key.key() != expected {
        return Err(refused(
            "approval.passphrase",
            &format!("that is not the pass-phrase of {by}"),
            "Try again. Whoever forgot it enrols anew, and the administrator exchanges the credential.",
        ));
    }
    Ok(key)
}

/// Salt and pass-phrase → key, always the same.
fn derived(secret: &Secret, salt: &str) -> Result<FileKey, Trouble> {
    let failed = |cause: &dyn std::fmt::Display| {
        Trouble::station(
            "approval.derive",
            "no key could be made from the pass-phrase",
            cause,
        )
    };
    let params = Params::new(MEMORY_KIB, PASSES, LANES, Some(32)).map_err(|error| failed(&error))?;
    let mut bytes = [0; 32];
    // The salt is taken as the text that stands in the credential: no other form of it has to be agreed upon.
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(secret.reveal().as_bytes(), salt.as_bytes(), &mut bytes)
        .map_err(|error| failed(&error))?;
    SigningKey::from_secret(&bytes)
        .map(FileKey)
        .map_err(|error| failed(&error))
}

fn refused(code: &str, message: &str, help: &str) -> Trouble {
    Trouble::new(Exit::Refused, Blame::Station, code, message, help)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pass_phrase_itself_is_not_taken_and_not_repeated() {
        assert_eq!("tty".parse(), Ok(From::Terminal));
        assert_eq!("-".parse(), Ok(From::Elsewhere(SecretFrom::Input)));
        assert_eq!(
            "env:A".parse(),
            Ok(From::Elsewhere(SecretFrom::Environment("A".into())))
        );
        for bad in ["planted-secret", "file:", "env:", "", "planted:secret"] {
            let error = bad.parse::<From>().unwrap_err().to_string();
            assert!(!error.contains("planted"), "{error}");
        }
    }

    #[test]
    fn pass_phrase_and_salt_say_the_key_and_each_counts() {
        let key = |secret: &str, salt: &str| derived(&Secret::new(secret), salt).unwrap().key();
        let (salt, other) = (
            "000102030405060708090a0b0c0d0e0f",
            "100102030405060708090a0b0c0d0e0f",
        );
        let ours = key("correct horse battery", salt);
        assert_eq!(ours, key("correct horse battery", salt));
        assert_ne!(ours, key("correct horse batterz", salt));
        assert_ne!(ours, key("correct horse battery", other));
    }
}
