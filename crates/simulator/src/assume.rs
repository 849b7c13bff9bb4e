//! What no public source tells and only a simulated device has to decide. What client and device must agree on stands
//! in `lineside_protocol::rest::assume` and is taken from there.
//!
//! * `device-rest-api.md` 6.3: a capability file that is stored is listed among the images under its own component.
//! * `device-rest-api.md` 5.4 item 3: when one image is refused at installation, none is installed and all that was
//!   staged is dropped.

use std::time::Duration;

use lineside_protocol::rest::ErrorCode;
use lineside_terms::ImageType;

/// **A-28** (`chip-to-pc-and-recovery.md` 7.4): from reset the link is silent for 3 s, then IP answers and the REST
/// port is refused for 3 s more; applications start 2 s after that.
pub(crate) const BOOT_SILENT: Duration = Duration::from_secs(3);
/// See [`BOOT_SILENT`].
pub(crate) const BOOT_REFUSING: Duration = Duration::from_secs(3);
/// See [`BOOT_SILENT`].
pub(crate) const BOOT_APPLICATIONS: Duration = Duration::from_secs(2);

/// `device-rest-api.md` 1.1: of the 450 ms that a first small request was seen to take, the handshake takes most; the
/// 8.3 s and 6.7 s of staging and installing a small application go into flash.
pub(crate) const HANDSHAKE: Duration = Duration::from_millis(350);
/// See [`HANDSHAKE`].
pub(crate) const REQUEST: Duration = Duration::from_millis(40);
/// See [`HANDSHAKE`].
pub(crate) const STORE: Duration = Duration::from_millis(250);
/// See [`HANDSHAKE`].
pub(crate) const STAGE: Duration = Duration::from_millis(7500);
/// See [`HANDSHAKE`].
pub(crate) const INSTALL: Duration = Duration::from_millis(6500);

/// `device-rest-api.md` 5.4 item 5: an application that ended is started again after this time.
pub(crate) const APPLICATION_RESTART: Duration = Duration::from_secs(1);

/// `image-package.md` 14 #14: the customer's images have this many bytes of flash together.
pub(crate) const IMAGE_SPACE: u64 = 1024 * 1024;

/// `image-package.md` 9: what kind of image the program is that erases and writes flash stands nowhere; `Other` is taken.
pub(crate) const RECOVERY_RUNTIME: ImageType = ImageType(28);

/// `image-package.md` 12: of the two numbers for ABI trouble this one says that an image asks for more than the OS
/// provides.
pub(crate) const ABI_TOO_NEW: ErrorCode = ErrorCode::new(7, 40);

/// `image-package.md` 12: this number is given when a component would change its type, or when software of the OS
/// would be replaced by sideloading.
pub(crate) const COMPONENT_TYPE_MISMATCH: ErrorCode = ErrorCode::new(7, 20);

/// `device-rest-api.md` 5.4 item 3: an application that wants a GPIO of one that runs is installed, stays stopped, and
/// the installation is answered with this number.
pub(crate) const GPIO_IN_USE: ErrorCode = ErrorCode::new(5, 4);
/// `device-rest-api.md` 5.4 item 3: the same for UART, I²C, SPI, PWM and ADC blocks.
pub(crate) const PERIPHERAL_IN_USE: ErrorCode = ErrorCode::new(5, 8);

/// `device-rest-api.md` 4.2: these numbers say that the debugger itself cannot be debugged, started or stopped, in this
/// order.
pub(crate) const DEBUGGER_RULES: [ErrorCode; 3] = [
    ErrorCode::new(3, 11),
    ErrorCode::new(3, 12),
    ErrorCode::new(3, 13),
];

/// `device-rest-api.md` 3.6: the word that diagnostics use for a wrong key; the network is then disabled for a while.
pub(crate) const WRONG_KEY: &str = "AuthenticationFailed";
