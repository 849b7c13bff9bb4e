//! What no source tells and a world can be switched to, so that clients are shown to survive either answer.

use lineside_protocol::recovery::device::Manners;
use lineside_protocol::rest::assume::{
    self, DeletePolicy, DiagnosticsOfUnknown, LockTime, RefusalBody, TlsOffer, Transitions,
};

/// The answers that a simulated device gives where the references only assume. Items that are not here are constants
/// of `lineside_protocol::rest::assume`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assumptions {
    /// Longest IP packet in bytes either way: A-03 (1500, 576 or 296).
    pub mtu: usize,
    /// Versions of TLS: REST-A01.
    pub tls: TlsOffer,
    /// Body of the authorizer's 403: REST-A08.
    pub refusal_body: RefusalBody,
    /// Who may delete an application: REST-A13. Marked as temporary is an image whose metadata has RemoveAtBoot.
    pub delete_policy: DeletePolicy,
    /// Which states can be set: REST-A17.
    pub transitions: Transitions,
    /// When DeviceComplete locks: REST-A19.
    pub lock_time: LockTime,
    /// Bytes of an entry of the certificate store beside its text: REST-A29.
    pub cert_entry_overhead: u64,
    /// Diagnostics of an unknown network: REST-A35.
    pub diagnostics_of_unknown: DiagnosticsOfUnknown,
    /// How many Wi-Fi networks can be configured: REST-A42.
    pub most_networks: usize,
    /// A restart drops what is staged: REST-A45.
    pub restart_drops_staged: bool,
    /// How devices behave in recovery.
    pub recovery: Manners,
    /// Room for images of the customer in bytes; not published (`image-package.md` 14, item 14).
    pub image_space: u64,
}

impl Default for Assumptions {
    fn default() -> Self {
        Self {
            mtu: lineside_protocol::assume::MTU,
            tls: TlsOffer::default(),
            refusal_body: RefusalBody::default(),
            delete_policy: DeletePolicy::default(),
            transitions: Transitions::default(),
            lock_time: LockTime::default(),
            cert_entry_overhead: assume::CERT_ENTRY_OVERHEAD,
            diagnostics_of_unknown: DiagnosticsOfUnknown::default(),
            most_networks: assume::MOST_NETWORKS,
            restart_drops_staged: assume::RESTART_DROPS_STAGED,
            recovery: Manners::default(),
            image_space: crate::assume::IMAGE_SPACE,
        }
    }
}
