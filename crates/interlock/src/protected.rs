//! Devices that nobody may write to: golden samples, units under analysis.

use std::collections::BTreeMap;

use lineside_terms::{Blame, DeviceId, Explain};

/// The list of protected devices, each with the reason.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Protected {
    reasons: BTreeMap<DeviceId, String>,
}

/// The device is on the list of protected devices.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("device {} is protected: {reason}", device.short())]
pub struct ProtectedId {
    /// Which device.
    pub device: DeviceId,
    /// Why it is on the list.
    pub reason: String,
}

impl Explain for ProtectedId {
    fn code(&self) -> &'static str {
        "interlock.protected"
    }
    fn help(&self) -> String {
        "Take this device off the line: it is a golden or analysis unit. Nothing was written to it.".into()
    }
    fn blame(&self) -> Blame {
        Blame::Station
    }
}

impl Protected {
    /// Reads the list: one device id a line, then an optional reason; `#` begins a comment.
    ///
    /// # Errors
    /// The number of the first line that does not begin with a device id. A list that cannot be read protects
    /// nobody, so it must stop the line instead.
    pub fn parse(text: &str) -> Result<Self, usize> {
        let mut reasons = BTreeMap::new();
        for (number, line) in text.lines().enumerate() {
            let line = line.split('#').next().unwrap_or_default().trim();
            if line.is_empty() {
                continue;
            }
            let (id, reason) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
            let id: DeviceId = id.parse().map_err(|_| number + 1)?;
            let reason = if reason.trim().is_empty() {
                "no reason given"
            } else {
                reason.trim()
            };
            reasons.insert(id, reason.to_owned());
        }
        Ok(Self { reasons })
    }

    /// Lets a device pass that may be written to.
    ///
    /// # Errors
    /// When it is on the list.
    pub fn check(&self, device: &DeviceId) -> Result<(), ProtectedId> {
        match self.reasons.get(device) {
            None => Ok(()),
            Some(reason) => Err(ProtectedId {
                device: *device,
                reason: reason.clone(),
            }),
        }
    }

    /// How many devices are protected.
    pub fn len(&self) -> usize {
        self.reasons.len()
    }

    /// True when no device is protected.
    pub fn is_empty(&self) -> bool {
        self.reasons.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listed_device_is_stopped_with_its_reason_and_a_bad_line_is_told() {
        let id = "ab".repeat(64);
        let list = Protected::parse(&format!("# golden units\n{id} reference board\n\n")).unwrap();
        let refused = list.check(&id.parse().unwrap()).unwrap_err();
        assert_eq!(refused.reason, "reference board");
        assert!(list.check(&"cd".repeat(64).parse().unwrap()).is_ok());
        assert_eq!(Protected::parse("# one\nnonsense"), Err(2));
    }
}
