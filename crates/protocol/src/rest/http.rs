//! The words and numbers of HTTP that are special to these devices (`device-rest-api.md` 1.1 to 1.3).
//!
//! Each end reads and writes HTTP/1.1 by itself; only constants are shared.

/// The header of every answer that tells the interface version, `MAJOR.MINOR.PATCH`.
pub const VERSION_HEADER: &str = "REST-API-Version";

/// The request header that carries a capability file in base64 for this one request. Senders pad the value with
/// blanks: trim it (6.3).
pub const CAPABILITIES_HEADER: &str = "AZSPHERE-CAPABILITIES";

/// The `Host` of every request, literally with the star; the name that a device's certificate must carry (1.2).
pub const HOST: &str = "*.devices.sphere.azure.local";

/// `Content-Type` of JSON bodies. Readers accept parameters after it.
pub const JSON: &str = "application/json";

/// `Content-Type` of image packages, logs and telemetry. The vendor's client compares it with parameters and all.
pub const OCTETS: &str = "application/octet-stream";

/// Where a device answers on its own wire (`chip-to-pc-and-recovery.md` 2.2).
pub const DEVICE_ADDRESS: [u8; 4] = [192, 168, 35, 2];

/// The PC's end of the wire.
pub const HOST_ADDRESS: [u8; 4] = [192, 168, 35, 1];

/// Bits of the network part of both addresses.
pub const PREFIX_BITS: u8 = 24;

/// TCP port of this interface.
pub const PORT: u16 = 443;

/// TCP port of what a debugged application prints, while its state is `debugging`.
pub const APPLICATION_OUTPUT_PORT: u16 = 2342;

/// TCP port of the debugger, while the state of an application is `debugging`.
pub const DEBUGGER_PORT: u16 = 2345;

/// Baud rate of the service UART: 8 data bits, no parity, 1 stop bit, RTS/CTS.
pub const SERVICE_BAUD: u32 = 921_600;

/// The name of the interface that is this wire.
pub const SERVICE_INTERFACE: &str = "azspheresvc";

/// How long things may be, in bytes of UTF-8 unless said otherwise.
pub mod limit {
    use std::ops::RangeInclusive;

    /// PEM of a certificate.
    pub const PUBLIC_CERT: usize = 8192;
    /// PEM of a private key.
    pub const PRIVATE_KEY: usize = 8192;
    /// Password of a private key.
    pub const KEY_PASSWORD: usize = 256;
    /// Room in an empty certificate store, as the device tells it (3.4).
    pub const CERT_STORE: u64 = 24_514;
    /// Id of a certificate: letters, digits, `.`, `-`, `_`.
    pub const CERT_ID: usize = 16;
    /// SSID of a Wi-Fi network, at least one byte.
    pub const SSID: usize = 32;
    /// PSK of a Wi-Fi network.
    pub const PSK: RangeInclusive<usize> = 8..=63;
    /// Name of a Wi-Fi configuration.
    pub const CONFIG_NAME: usize = 16;
    /// EAP identity.
    pub const CLIENT_IDENTITY: usize = 254;
    /// Address of a proxy.
    pub const PROXY_ADDRESS: usize = 255;
    /// User name, and password, of a proxy.
    pub const PROXY_CREDENTIAL: RangeInclusive<usize> = 1..=63;
    /// A MAC address as text, `aa:bb:cc:dd:ee:ff`.
    pub const MAC_TEXT: usize = 17;
    /// Subject and issuer of a certificate in answers; longer ones are cut.
    pub const CERT_NAME: usize = 300;
}
