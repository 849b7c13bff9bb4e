//! The table of the 42 operations (`device-rest-api.md` 3.1), in the order of the reference.
//!
//! Effects are our judgement, row by row. A read changes nothing. A write is *repeatable* when a second one leaves
//! the device as the first did and answers alike. It is *look first* when a second one would be refused, would hit
//! something else (a number that was given out anew), or would restart the device once more.

use lineside_terms::Effect::{Irreversible, LookFirst, Reads, Repeatable};

use super::ApiVersion;
use super::operation::Authorizer::{AppDevelopment, Open, RestAllowed};
use super::operation::HandlerNeed as Need;
use super::operation::Payload::{Json, None as Empty, Octets, OptionalJson};
use super::operation::Spec;
use super::operation::Verb::{Delete, Get, Patch, Post, Put};

const fn v(major: u16, minor: u16) -> Option<ApiVersion> {
    Some(ApiVersion::new(major, minor, 0))
}

macro_rules! operations {
    ($($name:ident = $verb:ident $path:literal $auth:ident $since:expr, $success:literal $errors:expr,
       $request:ident -> $answer:ident, $effect:ident, $need:ident, $summary:literal;)*) => {
        /// One of the 42 things that a device can be asked for.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Operation {
            $(#[doc = concat!("Asked for: ", $summary, " (`", $path, "`).")] $name,)*
        }

        impl Operation {
            /// All of them, in the order of the reference.
            pub const ALL: [Self; 42] = [$(Self::$name,)*];

            /// All that both ends agree on about it.
            pub const fn spec(self) -> &'static Spec {
                &TABLE[self as usize]
            }
        }

        static TABLE: [Spec; 42] = [$(Spec {
            operation: Operation::$name,
            verb: $verb,
            path: $path,
            authorizer: $auth,
            handler: Need::$need,
            effect: $effect,
            since: $since,
            success: $success,
            errors: &$errors,
            request: $request,
            answer: $answer,
            summary: $summary,
        },)*];
    };
}

operations! {
    GetAbiVersions = Get "/abi_versions" Open v(3, 1), 200 [500],
        Empty -> Json, Reads, Nothing, "runtime versions that images may ask for";
    GetAppStatus = Get "/app/status/{cid}" RestAllowed v(2, 0), 200 [],
        Empty -> Json, Reads, Nothing, "whether an application runs";
    // Starting what runs and stopping what is stopped succeed with the same answer.
    ControlApp = Patch "/app/status/{cid}" RestAllowed v(2, 0), 200 [400, 409, 415, 500],
        Json -> Json, Repeatable, AppDevelopment, "start, stop or debug an application";
    // Deleting what is not there succeeds.
    DeleteImage = Delete "/app/image/{cid}" RestAllowed None, 200 [400, 500],
        Empty -> Json, Repeatable, DeletePolicy, "delete an installed component";
    GetAppQuota = Get "/app/quota/{cid}" RestAllowed v(3, 1), 200 [400, 404, 500],
        Empty -> Json, Reads, Nothing, "mutable storage of an application";
    GetCerts = Get "/certstore/certs" RestAllowed None, 200 [500],
        Empty -> Json, Reads, Nothing, "list of stored certificates";
    GetCert = Get "/certstore/certs/{id}" RestAllowed None, 200 [400, 404, 500],
        Empty -> Json, Reads, Nothing, "one stored certificate";
    // The same id again replaces the entry.
    AddCert = Post "/certstore/certs/{id}" RestAllowed None, 200 [400, 415, 500],
        Json -> Json, Repeatable, Nothing, "store a certificate";
    // Deleting it again is refused with 404.
    DeleteCert = Delete "/certstore/certs/{id}" RestAllowed None, 200 [400, 404, 500],
        Empty -> Json, LookFirst, Nothing, "delete a stored certificate";
    GetCertSpace = Get "/certstore/space" RestAllowed None, 200 [500],
        Empty -> Json, Reads, Nothing, "free room in the certificate store";
    GetCapabilities = Get "/device/capabilities" Open v(3, 1), 200 [500],
        Empty -> Json, Reads, Nothing, "capabilities in force";
    GetSecurityState = Get "/device/security_state" Open None, 200 [500],
        Empty -> Json, Reads, Nothing, "device id and security state";
    GetManufacturingState = Get "/device/manufacturing_state" Open v(3, 1), 200 [500],
        Empty -> Json, Reads, Nothing, "manufacturing state";
    // States only move forward, for good.
    SetManufacturingState = Put "/device/manufacturing_state" RestAllowed v(3, 1), 200 [400, 404, 415, 500],
        Json -> Json, Irreversible, ForwardState, "set the manufacturing state for good";
    GetImages = Get "/images" RestAllowed None, 200 [500],
        Empty -> Json, Reads, Nothing, "list of installed components";
    GetLog = Get "/log" RestAllowed v(1, 2), 200 [500],
        Empty -> Octets, Reads, Nothing, "the device's log";
    GetFirewall = Get "/net/firewall/rulesets" RestAllowed v(4, 1), 200 [500],
        Empty -> Json, Reads, Nothing, "firewall rules";
    GetInterfaces = Get "/net/interfaces" RestAllowed v(3, 1), 200 [500],
        Empty -> Json, Reads, Nothing, "list of network interfaces";
    GetInterface = Get "/net/interfaces/{name}" RestAllowed v(3, 1), 200 [404, 500],
        Empty -> Json, Reads, Nothing, "one network interface";
    // The vendor's clients ask for 3.1.0 only; firmware of that version does not have it.
    ChangeInterface = Patch "/net/interfaces/{name}" RestAllowed v(4, 3), 200 [400, 404, 415, 500],
        Json -> Json, Repeatable, Nothing, "bring an interface up or down, or set its hardware address";
    GetProxy = Get "/net/proxy" RestAllowed None, 200 [500],
        Empty -> Json, Reads, Nothing, "proxy settings";
    // What is stored is replaced as a whole.
    SetProxy = Post "/net/proxy" RestAllowed None, 200 [400, 500],
        Json -> Json, Repeatable, Nothing, "set the proxy";
    // Succeeds without a proxy too.
    DeleteProxy = Delete "/net/proxy" RestAllowed None, 200 [500],
        Empty -> Json, Repeatable, Nothing, "remove the proxy";
    GetNetStatus = Get "/net/status" Open v(3, 1), 200 [500],
        Empty -> Json, Reads, Nothing, "readiness of authentication, time and proxy";
    GetOsVersion = Get "/osversion" Open v(4, 5), 200 [500],
        Empty -> Json, Reads, Nothing, "version of the operating system";
    // A second one restarts again and drops what was staged since; uptime tells whether it was done.
    Restart = Post "/restart" RestAllowed None, 200 [400, 415, 500],
        Empty -> Json, LookFirst, Nothing, "restart the device";
    // The vendor's clients ask for no version; the specification says 4.3.0.
    GetMemoryStats = Get "/stats/memory/groups/applications" AppDevelopment v(4, 3), 200 [500],
        Empty -> Json, Reads, Nothing, "memory that applications use";
    GetStatus = Get "/status" Open None, 200 [500],
        Empty -> Json, Reads, Nothing, "time since the device started";
    GetTelemetry = Get "/telemetry" RestAllowed v(3, 1), 200 [500],
        Empty -> Octets, Reads, Nothing, "error report data";
    ClearTelemetry = Delete "/telemetry" RestAllowed None, 200 [400, 500],
        Empty -> Json, Repeatable, Nothing, "discard error report data";
    // It may restart the device; the list of images tells whether it was done.
    Install = Post "/update/install" RestAllowed v(3, 0), 200 [400, 415, 500],
        OptionalJson -> Json, LookFirst, TrustedImage, "install what is staged";
    // The same component again replaces what was staged.
    Stage = Put "/update/stage" RestAllowed v(3, 0), 200 [400, 415, 500],
        Octets -> Json, Repeatable, TrustedImage, "stage an image package";
    GetWifiNetworks = Get "/wifi/config/networks" RestAllowed None, 200 [500],
        Empty -> Json, Reads, WifiUp, "list of configured Wi-Fi networks";
    // The same again is refused as a duplicate, or makes a second entry.
    AddWifiNetwork = Post "/wifi/config/networks" RestAllowed None, 201 [400, 415, 500],
        Json -> Json, LookFirst, WifiUp, "add a Wi-Fi network";
    GetWifiNetwork = Get "/wifi/config/networks/{id}" RestAllowed None, 200 [404, 500],
        Empty -> Json, Reads, WifiUp, "one configured Wi-Fi network";
    ChangeWifiNetwork = Patch "/wifi/config/networks/{id}" RestAllowed None, 200 [400, 404, 415, 500],
        Json -> Json, Repeatable, WifiUp, "change a Wi-Fi network";
    // Numbers are given out anew, so a second one may hit another network.
    DeleteWifiNetwork = Delete "/wifi/config/networks/{id}" RestAllowed v(3, 0), 200 [400, 404, 500],
        Empty -> Json, LookFirst, WifiUp, "delete a Wi-Fi network";
    GetWifiDiagnostics = Get "/wifi/diagnostics/networks" RestAllowed None, 200 [500],
        Empty -> Json, Reads, WifiUp, "why Wi-Fi networks do not connect";
    GetWifiNetworkDiagnostics = Get "/wifi/diagnostics/networks/{id}" RestAllowed None, 200 [404, 500],
        Empty -> Json, Reads, WifiUp, "why one Wi-Fi network does not connect";
    GetWifiInterface = Get "/wifi/interface" RestAllowed None, 200 [500],
        Empty -> Json, Reads, Nothing, "state of the Wi-Fi interface";
    // 4.6.0 is only needed for power savings.
    ChangeWifiInterface = Patch "/wifi/interface" RestAllowed None, 200 [400, 415, 500],
        Json -> Json, Repeatable, Nothing, "reload the Wi-Fi configuration, or switch power savings";
    GetWifiScan = Get "/wifi/scan" RestAllowed None, 200 [500],
        Empty -> Json, Reads, WifiUp, "Wi-Fi networks in reach";
}
