//! What no public source tells of the REST interface, in the order of appearance in `device-rest-api.md`. Where
//! two answers are thinkable and matter to a client the item is an enum, so that the simulator can be switched and
//! the client shown to survive either; the others are constants.
//!
//! Some are built into the types of bodies and have no item here:
//!
//! * **REST-A59** (1.4, 3.2): the general key of old firmware is the last key of the security state.
//! * **REST-A60** (3.3): installing without a body means that applications start.
//! * **REST-A61** (9): `realTimeCore` stands before `state` in answers about real-time applications.
//! * **REST-A62** (3.4): certificate types are read in any case.
//! * **REST-A63** (3.6): `clientIdentity` stands before `rootCaCertStoreIdentifier`, both last in a network.
//! * **REST-A64** (3.6): the misspelt `targetScan` of the vendor's clients is passed over.
//! * **REST-A65** (3.5): the proxy is read with its keys in the order in which setting it answers them.
//!
//! Guesses about the link itself are in [`crate::assume`]. Ids are never given out anew.

use std::time::Duration;

use lineside_terms::{Capability, ImageType, ManufacturingState};

use super::status::AbiVersions;
use super::{ApiVersion, ErrorCode};

/// A status with the code in its body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// The code in `{"error":…}`.
    pub code: ErrorCode,
}

const fn refusal(status: u16, code: ErrorCode) -> Refusal {
    Refusal { status, code }
}

// ---- Transport, section 1 ----

/// **REST-A01** (1.2): which versions of TLS a device offers, and that it needs no server name and asks for no
/// client certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum TlsOffer {
    /// 1.2 and 1.3.
    #[default]
    Both,
    /// 1.2 only.
    Only12,
}

/// **REST-A02** (1.3): what an unknown path answers; for unknown interface names it is tested. A query makes a
/// path unknown.
pub const UNKNOWN_PATH: Refusal = refusal(404, ErrorCode::INVALID_REQUEST_URI);

/// **REST-A03** (1.3, 9): what a known path answers to a wrong method, and any path to `HEAD` and `OPTIONS`. The
/// catalogue has [`ErrorCode::INVALID_REQUEST_METHOD`], which the vendor's clients do not know.
pub const WRONG_METHOD: Refusal = refusal(404, ErrorCode::INVALID_REQUEST_URI);

/// **REST-A04** (1.3): the status of an answer to content that is too large. The code is known:
/// [`ErrorCode::INVALID_CONTENT_LENGTH`].
pub const STATUS_OF_TOO_LARGE: u16 = 400;

/// **REST-A05** (1.4): the interface version of OS 20.05. It has the additions of 3.1.0, not those of 4.1.0, and
/// still shows the general key that 4.0.0 took away; on the other hand it reads the capability header of 4.0.0.
pub const API_OF_OS_20_05: ApiVersion = ApiVersion::new(3, 1, 0);

/// **REST-A06** (1.4): the version that first had the proxy. No history tells; OS 20.05 does not have it.
pub const API_OF_PROXY: ApiVersion = ApiVersion::new(4, 0, 0);

// ---- Authorization, section 2 ----

/// **REST-A07** (2.1): which rights open a complete device again. That some do is told, the exact set is not.
pub const RIGHTS_THAT_UNLOCK: [Capability; 2] = [Capability::FIELD_SERVICING, Capability::APP_DEVELOPMENT];

/// **REST-A08** (2.2, 9): the body of the common authorizer's 403.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum RefusalBody {
    /// `{"error":10485778}`: what the catalogue has for exactly this, but the vendor's clients do not know it.
    #[default]
    CommandAuthorizationFailed,
    /// `{"error":13}`, whose text in the vendor's clients fits.
    AccessDenied,
    /// No body at all.
    Empty,
}

impl RefusalBody {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::CommandAuthorizationFailed, Self::AccessDenied, Self::Empty];

    /// The code in the body, or `None` for no body.
    pub const fn code(self) -> Option<ErrorCode> {
        match self {
            Self::CommandAuthorizationFailed => Some(ErrorCode::COMMAND_AUTHORIZATION_FAILED),
            Self::AccessDenied => Some(ErrorCode::ACCESS_DENIED),
            Self::Empty => None,
        }
    }
}

/// **REST-A09** (2.2): what starting, stopping or debugging answers without appDevelopment.
pub const CONTROL_REFUSED: Refusal = refusal(403, ErrorCode::DEVICE_NOT_DEV_UNLOCKED);

/// **REST-A10** (2.2, 9): what deleting answers when the policy refuses it, OS components first of all.
pub const DELETE_REFUSED: Refusal = refusal(400, ErrorCode::IMAGE_PERMISSION_DENIED);

/// **REST-A11** (2.2): what staging answers when the image is not trusted.
pub const STAGE_UNTRUSTED: Refusal = refusal(400, ErrorCode::IMAGE_VERIFICATION_FAILED);

/// **REST-A12** (2.2): what installing answers when it fails.
pub const INSTALL_FAILED: Refusal = refusal(400, ErrorCode::IMAGE_INSTALL_FAILED);

/// **REST-A13** (2.2, and the vendor's guide for factory floors): who may delete an application from a device that
/// is not complete. OS components can never be deleted; with appDevelopment any application can.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum DeletePolicy {
    /// Anyone, any application.
    #[default]
    All,
    /// Anyone, but only applications that are marked as temporary; others need appDevelopment.
    TemporaryOnly,
    /// Nobody without appDevelopment.
    NeedsAppDevelopment,
}

impl DeletePolicy {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::All, Self::TemporaryOnly, Self::NeedsAppDevelopment];
}

/// **REST-A14** (2.3): capabilities are listed in ascending order.
pub fn listed(mut capabilities: Vec<Capability>) -> Vec<Capability> {
    capabilities.sort_unstable();
    capabilities.dedup();
    capabilities
}

// ---- Endpoints, section 3 ----

/// **REST-A15** (3): the code with which a wrong media type is refused. The status is known.
pub const WRONG_MEDIA_TYPE: Refusal = refusal(415, ErrorCode::INVALID_JSON_REQUEST);

/// **REST-A16** (3): what a path answers whose component id is not 8-4-4-4-12 hex digits. The catalogue has
/// [`ErrorCode::CANNOT_PARSE_COMPONENT_ID`], which the vendor's clients do not know.
pub const BAD_COMPONENT_ID: Refusal = refusal(400, ErrorCode::INVALID_JSON_REQUEST);

/// **REST-A17** (3.2, 9): which manufacturing states can be set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Transitions {
    /// Any that lies ahead.
    #[default]
    AnyForward,
    /// The next one only.
    OneStep,
}

impl Transitions {
    /// Whether a device in state `from` can be set to `to`. Setting a state again is told to succeed, but for
    /// Blank.
    pub fn allow(self, from: ManufacturingState, to: ManufacturingState) -> bool {
        use ManufacturingState::{Blank, DeviceComplete, Module1Complete};
        match (from, to) {
            (Module1Complete, Module1Complete) | (DeviceComplete, DeviceComplete) => true,
            (Blank, Module1Complete) | (Module1Complete, DeviceComplete) => true,
            (Blank, DeviceComplete) => self == Self::AnyForward,
            _ => false,
        }
    }
}

/// **REST-A18** (2.2, 3.2, 9): what setting a state answers that cannot be set.
pub const TRANSITION_REFUSED: Refusal = refusal(400, ErrorCode::INVALID_JSON_REQUEST);

/// **REST-A19** (9): when a device locks that was set to DeviceComplete. RF test mode leaves the list of
/// capabilities at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum LockTime {
    /// With the answer.
    #[default]
    AtOnce,
    /// With the next start.
    AtRestart,
}

/// **REST-A20** (3.2, 9): the runtime versions of OS 24.06. Only the application runtime of the vendor's test
/// images, 12, is known to be accepted.
pub const ABI_OF_OS_24_06: AbiVersions = AbiVersions {
    secure_world_runtime: 2,
    os_runtime: 3,
    application_runtime: 12,
};

/// **REST-A21** (3.2, 9): the runtime versions of OS 20.05, of the time of packages that ask for 5.
pub const ABI_OF_OS_20_05: AbiVersions = AbiVersions {
    secure_world_runtime: 1,
    os_runtime: 2,
    application_runtime: 5,
};

/// **REST-A22** (3.3, 9): what staging answers to bytes that are no package.
pub const STAGE_MALFORMED: Refusal = refusal(400, ErrorCode::IMAGE_STAGING_FAILED);

/// **REST-A23** (3.3): what staging answers to a package with a component id that cannot be one.
pub const STAGE_BAD_COMPONENT: Refusal = refusal(400, ErrorCode::INVALID_COMPONENT_ID);

/// **REST-A24** (3.3, 9): what staging answers when there is no room.
pub const STAGE_NO_SPACE: Refusal = refusal(400, ErrorCode::NOT_ENOUGH_FREE_SPACE);

/// **REST-A25** (3.3, 9): what staging and installing answer while the device updates itself.
pub const OTA_IN_PROGRESS: Refusal = refusal(409, ErrorCode::OTA_UPDATE_IN_PROGRESS);

/// **REST-A26** (3.3): what debugging answers without the debugger. The code is known.
pub const NO_DEBUGGER: Refusal = refusal(409, ErrorCode::NO_DEBUGGER_AVAILABLE);

/// **REST-A27** (9): what an unknown trigger answers. The true code, 14.9, is not known to the vendor's clients.
pub const UNKNOWN_TRIGGER: Refusal = refusal(400, ErrorCode::INVALID_JSON_REQUEST);

/// **REST-A28** (3.4): the status of all refusals to store a certificate. The codes are known.
pub const STATUS_OF_BAD_CERT: u16 = 400;

/// **REST-A29** (3.4, 9): bytes that one entry of the certificate store takes beyond the text of its PEMs.
pub const CERT_ENTRY_OVERHEAD: u64 = 62;

/// **REST-A30** (3.5): what changing an interface answers when that is not permitted on it.
pub const INTERFACE_NOT_PERMITTED: Refusal = refusal(400, ErrorCode::INTERFACE_NOT_PERMITTED);

/// **REST-A31** (3.5): what changing an interface answers to a bad MAC address.
pub const BAD_MAC_ADDRESS: Refusal = refusal(400, ErrorCode::INVALID_MAC_ADDRESS);

/// **REST-A32** (3.5): what changing an unknown interface answers; *reading* one is tested to answer otherwise.
pub const NO_SUCH_INTERFACE: Refusal = refusal(404, ErrorCode::INVALID_INTERFACE);

/// **REST-A33** (3.5): what a bad field of the proxy answers. The true codes are not known to the vendor's clients.
pub const BAD_PROXY: Refusal = refusal(400, ErrorCode::INVALID_JSON_REQUEST);

/// **REST-A34** (3.5): the user in a firewall rule that stands for any.
pub const ANY_USER: u32 = u32::MAX;

/// **REST-A35** (3.6): what diagnostics of an unknown network answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum DiagnosticsOfUnknown {
    /// Code 13.11, whose text in the vendor's clients fits.
    #[default]
    NotConfigured,
    /// Code 13.3, as the configuration answers.
    NotFound,
}

impl DiagnosticsOfUnknown {
    /// The answer.
    pub const fn refusal(self) -> Refusal {
        match self {
            Self::NotConfigured => refusal(404, ErrorCode::NOT_A_CONFIGURED_NETWORK),
            Self::NotFound => refusal(404, ErrorCode::NETWORK_NOT_FOUND),
        }
    }
}

/// **REST-A36** (3.6): the network number of a Wi-Fi interface that uses none.
pub const NO_NETWORK: i32 = -1;

/// **REST-A37** (3.6, 9): reloading the configuration ends temporary disabling and connects anew; while the
/// interface is down it succeeds and does nothing.
pub const RELOAD_CONNECTS_ANEW: bool = true;

/// **REST-A38** (3.6): the number that a new network gets: one above the highest in use, 0 for the first.
pub fn next_network_id(in_use: impl IntoIterator<Item = i32>) -> i32 {
    in_use
        .into_iter()
        .max()
        .map_or(0, |highest| highest.saturating_add(1))
}

/// **REST-A39** (3.6): while the Wi-Fi interface is down, adding and changing networks is refused as reading them
/// is; the interface itself still answers.
pub const WIFI_DOWN: Refusal = refusal(500, ErrorCode::WIFI_DISABLED);

/// **REST-A40** (3.6): configuration names must differ among EAP-TLS networks only.
pub const CONFIG_NAME_UNIQUE_FOR_EAP_TLS_ONLY: bool = true;

/// **REST-A41** (3.6): the status of all refusals to add or change a network, but for those that are tested. The
/// codes are known.
pub const STATUS_OF_BAD_NETWORK: u16 = 400;

/// **REST-A42** (3.6, 9): how many networks a device can hold.
pub const MOST_NETWORKS: usize = 37;

/// **REST-A43** (9): changing a network without any known field succeeds and answers the network unchanged.
pub const EMPTY_NETWORK_CHANGE_SUCCEEDS: bool = true;

/// **REST-A44** (3.7): the first three bytes of telemetry.
pub const TELEMETRY_PREFIX: [u8; 3] = [1, 0, 0];

/// **REST-A45** (3.9): a restart drops what was staged and not installed.
pub const RESTART_DROPS_STAGED: bool = true;

/// **REST-A46** (3.9): a restart removes applications whose temporary-image metadata has the flag for it.
pub const RESTART_REMOVES_FLAGGED: bool = true;

/// **REST-A47** (3.9): a restart starts all applications, those that were stopped too.
pub const RESTART_STARTS_STOPPED: bool = true;

/// **REST-A48** (3.9): how long a simulated device is silent when it restarts, unless configured; real ones take
/// longer (A-28 in `chip-to-pc-and-recovery.md` 7.4).
pub const BOOT_TIME: Duration = Duration::from_millis(1500);

// ---- Errors and images, sections 4 and 5 ----

/// **REST-A49** (4.1, 9): the status that goes with a code for which no source tells one: 409 for what is in the
/// wrong state, 500 for what is the device's own trouble, 400 for all else.
pub fn status_of(code: ErrorCode) -> u16 {
    const CONFLICTS: [ErrorCode; 7] = [
        ErrorCode::APP_ALREADY_EXISTS,
        ErrorCode::new(3, 7),
        ErrorCode::NO_DEBUGGER_AVAILABLE,
        ErrorCode::new(4, 2),
        ErrorCode::OTA_UPDATE_IN_PROGRESS,
        ErrorCode::PINS_ALREADY_USED,
        ErrorCode::APP_NOT_PRESENT,
    ];
    const OWN_TROUBLE: [ErrorCode; 5] = [
        ErrorCode::new(1, 15),
        ErrorCode::INTERFACE_IS_BUSY,
        ErrorCode::INTERNAL_ERROR,
        ErrorCode::WIFI_TRY_AGAIN,
        ErrorCode::WIFI_DISABLED,
    ];
    if CONFLICTS.contains(&code) {
        409
    } else if OWN_TROUBLE.contains(&code) {
        500
    } else {
        400
    }
}

/// **REST-A50** (9): what an operation answers that must wait for another.
pub const BUSY: Refusal = refusal(500, ErrorCode::INTERFACE_IS_BUSY);

/// **REST-A51** (5.1): the replica type of the image that is in use, which is listed first.
pub const PRIMARY_REPLICA: u32 = 0;

/// **REST-A52** (5.1): whether installing an image of this type takes a restart. It is told for the kernel only.
pub fn does_require_restart(image_type: ImageType) -> bool {
    image_type != ImageType::APPLICATION
}

/// **REST-A53** (5.1): components that are staged only are not listed, and a component with a staged update is
/// listed with its installed image.
pub const STAGED_ONLY_IS_LISTED: bool = false;

/// **REST-A54** (5.4): staging a component again replaces what was staged of it.
pub const STAGING_REPLACES: bool = true;

/// **REST-A55** (5.4): an application that is replaced keeps its mutable storage.
pub const REPLACING_KEEPS_STORAGE: bool = true;

/// **REST-A56** (5.4): the debugger component is told as a stopped application.
pub const DEBUGGER_IS_STOPPED: bool = true;

// ---- Capabilities, section 6 ----

/// **REST-A57** (6.3): a capability file is put on for good by staging and installing it as an image, and taken off
/// by one that holds no capability.
pub const CAPABILITIES_COME_AS_IMAGES: bool = true;

/// **REST-A58** (6.3): what a session carries is in force beside what is stored, not instead of it. A header that
/// cannot be read, or whose file is for another device, counts as none.
pub const SESSION_ADDS_TO_STORED: bool = true;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_never_go_back_and_blank_is_never_set() {
        use ManufacturingState::{Blank, DeviceComplete, Module1Complete, Unknown};
        for policy in [Transitions::AnyForward, Transitions::OneStep] {
            for from in [Unknown, Blank, Module1Complete, DeviceComplete] {
                for to in [Unknown, Blank, Module1Complete, DeviceComplete] {
                    if policy.allow(from, to) {
                        assert!(from <= to && from != Unknown && to > Blank, "{from} to {to}");
                    }
                }
                assert_eq!(policy.allow(from, from), from > Blank);
            }
        }
        assert!(Transitions::AnyForward.allow(Blank, DeviceComplete));
        assert!(!Transitions::OneStep.allow(Blank, DeviceComplete));
    }

    #[test]
    fn network_numbers_follow_the_highest() {
        assert_eq!(next_network_id([]), 0);
        assert_eq!(next_network_id([0, 4, 2]), 5);
        assert_eq!(next_network_id([i32::MAX]), i32::MAX);
    }

    #[test]
    fn every_refusal_has_a_code_that_the_vendors_clients_know() {
        // The one exception is on purpose and can be switched.
        for refusal in [
            UNKNOWN_PATH,
            WRONG_METHOD,
            CONTROL_REFUSED,
            DELETE_REFUSED,
            STAGE_UNTRUSTED,
            INSTALL_FAILED,
            WRONG_MEDIA_TYPE,
            BAD_COMPONENT_ID,
            TRANSITION_REFUSED,
            STAGE_MALFORMED,
            STAGE_BAD_COMPONENT,
            STAGE_NO_SPACE,
            OTA_IN_PROGRESS,
            NO_DEBUGGER,
            UNKNOWN_TRIGGER,
            INTERFACE_NOT_PERMITTED,
            BAD_MAC_ADDRESS,
            NO_SUCH_INTERFACE,
            BAD_PROXY,
            WIFI_DOWN,
            BUSY,
            DiagnosticsOfUnknown::NotConfigured.refusal(),
            DiagnosticsOfUnknown::NotFound.refusal(),
        ] {
            assert!(
                refusal.code.known().is_some_and(|row| row.is_known_to_clients),
                "{refusal:?}"
            );
        }
        assert!(
            !ErrorCode::COMMAND_AUTHORIZATION_FAILED
                .known()
                .unwrap()
                .is_known_to_clients
        );
    }
}
