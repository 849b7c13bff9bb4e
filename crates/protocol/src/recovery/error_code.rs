//! What a device reports when a recovery fails (`chip-to-pc-and-recovery.md` 5.8).

use std::fmt;

/// The category of recovery among the vendor's common errors.
const CATEGORY: u32 = 39;

/// A common error: category and number in one. Those of recovery have names; others are kept as they are.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ErrorCode(pub u32);

/// Numbers of category 39 with their names, in order.
const NAMES: [(u32, &str); 43] = [
    (1, "BadImageManifestFormat"),
    (2, "BadImage"),
    (3, "UnsupportedVersion"),
    (4, "UntrustedCertificate"),
    (5, "BadSignature"),
    (6, "BadComponentUid"),
    (7, "BadImageUid"),
    (8, "BadImageFileSize"),
    (9, "BadImageType"),
    (10, "ReceiveBufferTooSmall"),
    (11, "TooManyImages"),
    (12, "StreamSyncFailed"),
    (13, "UnsupportedProtocolVersion"),
    (14, "UnsupportedRecoveryMode"),
    (50, "GetServerResponseTimedOut"),
    (51, "InvalidServerResponse"),
    (52, "SendRequestPacketFailed"),
    (100, "GenericRecoveryError"),
    (101, "FlashWriteFailed"),
    (102, "ImageNotPageAligned"),
    (103, "FlashEraseFailed"),
    (104, "OutOfMemory"),
    (105, "BadState"),
    (107, "FileTransferFailed"),
    (108, "ErasureCodingFailed"),
    (109, "DataHashingFailed"),
    (110, "BackupMismatch"),
    (111, "DuplicateEntry"),
    (112, "NoReceiver"),
    (113, "DoubleImage"),
    (114, "PartitionOffsetNotFound"),
    (115, "PartitionLayoutNotFound"),
    (116, "TransferConfigFatal"),
    (117, "TransferConfigNonfatal"),
    (150, "ImageNotFound"),
    (151, "UnauthorizedAccess"),
    (152, "UnknownServerError"),
    (200, "BaudrateNotSupported"),
    (202, "FrameCrcFailed"),
    (203, "FrameTimeout"),
    (204, "ReadPayloadTooSmall"),
    (205, "XmodemBadStart"),
    (206, "XmodemBufferTooSmall"),
];

impl ErrorCode {
    /// The error of recovery with this number.
    pub const fn recovery(number: u32) -> Self {
        Self(CATEGORY << 20 | number & 0xF_FFFF)
    }

    /// The category, as the vendor's tools print it before the dot.
    pub const fn category(self) -> u32 {
        self.0 >> 20
    }

    /// The number within the category.
    pub const fn number(self) -> u32 {
        self.0 & 0xF_FFFF
    }

    /// Its name, if it is a known error of recovery.
    pub fn name(self) -> Option<&'static str> {
        let at = NAMES
            .binary_search_by_key(&self.number(), |(number, _)| *number)
            .ok()?;
        (self.category() == CATEGORY).then_some(NAMES[at].1)
    }

    /// Every error of recovery that has a name.
    pub fn named() -> impl Iterator<Item = Self> {
        NAMES.iter().map(|(number, _)| Self::recovery(*number))
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.category(), self.number())?;
        match self.name() {
            Some(name) => write!(f, " ({name})"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ErrorCode({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_told_as_the_vendor_tells_them() {
        let bad_signature = ErrorCode(0x0270_0005);
        assert_eq!(bad_signature, ErrorCode::recovery(5));
        assert_eq!(bad_signature.to_string(), "39.5 (BadSignature)");
        assert_eq!(ErrorCode(0x0270_0000 + 999).to_string(), "39.999");
        assert_eq!(
            ErrorCode(5).to_string(),
            "0.5",
            "another category has other names"
        );
    }

    #[test]
    fn every_named_code_is_found_by_its_number() {
        assert!(NAMES.is_sorted_by(|one, other| one.0 < other.0));
        assert!(ErrorCode::named().all(|code| code.name().is_some()));
        assert_eq!(ErrorCode::named().count(), NAMES.len());
    }
}
