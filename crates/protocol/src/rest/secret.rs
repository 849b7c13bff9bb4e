//! Text that must not be seen: pre-shared keys, passwords, private keys.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A secret on its way to a device. `Debug` is blank and there is no `Display`: only [`reveal`](Self::reveal) and
/// serialisation, which exist to send it, give it away.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Takes the secret.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The secret itself, to be checked or sent, never to be shown.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl fmt::Debug for Secret {
    /// Tells neither the text nor its length.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_is_blank_and_json_is_not() {
        let secret = Secret::from("planted-passphrase");
        assert_eq!(format!("{secret:?}"), "Secret(…)");
        assert_eq!(serde_json::to_string(&secret).unwrap(), r#""planted-passphrase""#);
        assert_eq!(
            serde_json::from_str::<Secret>(r#""planted-passphrase""#).unwrap(),
            secret
        );
    }
}
