//! The functions of FTDI's driver, and the only code that calls them (`windows.md` 3).
#![expect(
    unsafe_code,
    reason = "the functions of a C library that is loaded at run time"
)]

use std::ffi::{c_char, c_void};
use std::fmt;
use std::sync::Arc;

use crate::LinkError;
use crate::error::DriverProblem;

/// How FTDI's driver is called.
pub const DRIVER: &str = if cfg!(windows) {
    "ftd2xx.dll"
} else {
    "libftd2xx.so"
};

/// Bytes of a serial number in [`DeviceNode`], with the zero that ends it.
pub const NODE_SERIAL: usize = 16;
/// Bytes of a description in [`DeviceNode`], with the zero that ends it.
pub const NODE_DESCRIPTION: usize = 64;

/// `FT_OPEN_BY_LOCATION`.
const OPEN_BY_LOCATION: u32 = 4;
/// `FT_PURGE_RX`, `FT_PURGE_TX`.
const PURGE_RECEIVED: u32 = 1;
const PURGE_UNSENT: u32 = 2;
/// `FT_FLOW_RTS_CTS`.
const FLOW_RTS_CTS: u16 = 0x0100;
/// `FT_BITS_8`, `FT_STOP_BITS_1`, `FT_PARITY_NONE`.
const EIGHT_N_ONE: (u8, u8, u8) = (8, 0, 0);

/// `FT_DEVICE_LIST_INFO_NODE`: what the driver tells of one channel.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct DeviceNode {
    /// Bit 0: somebody has it open.
    pub flags: u32,
    /// Kind of chip.
    pub kind: u32,
    /// USB vendor id above product id.
    pub id: u32,
    /// Where it sits.
    pub location: u32,
    /// Text that ends with a zero.
    pub serial: [c_char; NODE_SERIAL],
    /// Text that ends with a zero.
    pub description: [c_char; NODE_DESCRIPTION],
    /// What the driver calls it.
    pub handle: *mut c_void,
}

impl DeviceNode {
    /// A node that tells nothing.
    pub const EMPTY: Self = Self {
        flags: 0,
        kind: 0,
        id: 0,
        location: 0,
        serial: [0; NODE_SERIAL],
        description: [0; NODE_DESCRIPTION],
        handle: std::ptr::null_mut(),
    };
}

impl fmt::Debug for DeviceNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeviceNode")
            .field("flags", &self.flags)
            .field("id", &format_args!("{:08x}", self.id))
            .field("location", &format_args!("{:x}", self.location))
            .finish_non_exhaustive()
    }
}

/// What the driver calls an open channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Handle(*mut c_void);

// SAFETY: a handle is a name that only the driver looks behind, and its functions may be called from any thread
// (D2XX Programmer's Guide: one handle is not used by two threads at once, which `&mut` and locks above see to).
unsafe impl Send for Handle {}

macro_rules! calls {
    ($($(#[$doc:meta])* $field:ident = $symbol:literal : fn($($argument:ty),*);)*) => {
        /// The functions of the driver that are used, as plain pointers. All answer with a status, zero for success.
        #[derive(Clone, Copy)]
        #[expect(missing_debug_implementations, reason = "addresses tell nothing")]
        pub struct Calls {
            $($(#[$doc])* pub $field: unsafe extern "system" fn($($argument),*) -> u32,)*
        }

        impl Calls {
            fn of(library: &libloading::Library) -> Result<Self, LinkError> {
                Ok(Self {
                    $($field: {
                        // SAFETY: the function of this name in FTDI's driver has had this type since its first
                        // version; the pointer is used only as long as the library is loaded, which `Driver` sees to.
                        let found = unsafe {
                            library.get::<unsafe extern "system" fn($($argument),*) -> u32>(
                                concat!($symbol, "\0").as_bytes(),
                            )
                        };
                        *found.map_err(|_| LinkError::Driver {
                            problem: DriverProblem::LacksFunction { function: $symbol },
                        })?
                    },)*
                })
            }
        }
    };
}

calls! {
    /// `FT_CreateDeviceInfoList(count)`
    create_list = "FT_CreateDeviceInfoList": fn(*mut u32);
    /// `FT_GetDeviceInfoList(nodes, count)`
    get_list = "FT_GetDeviceInfoList": fn(*mut DeviceNode, *mut u32);
    /// `FT_OpenEx(argument, how, handle)`
    open_ex = "FT_OpenEx": fn(*mut c_void, u32, *mut *mut c_void);
    /// `FT_Close(handle)`
    close = "FT_Close": fn(*mut c_void);
    /// `FT_SetBaudRate(handle, baud)`
    set_baud = "FT_SetBaudRate": fn(*mut c_void, u32);
    /// `FT_SetDataCharacteristics(handle, bits, stop, parity)`
    set_data = "FT_SetDataCharacteristics": fn(*mut c_void, u8, u8, u8);
    /// `FT_SetFlowControl(handle, kind, xon, xoff)`
    set_flow = "FT_SetFlowControl": fn(*mut c_void, u16, u8, u8);
    /// `FT_SetLatencyTimer(handle, milliseconds)`
    set_latency = "FT_SetLatencyTimer": fn(*mut c_void, u8);
    /// `FT_SetUSBParameters(handle, in, out)`
    set_transfers = "FT_SetUSBParameters": fn(*mut c_void, u32, u32);
    /// `FT_SetChars(handle, event, is event used, error, is error used)`
    set_characters = "FT_SetChars": fn(*mut c_void, u8, u8, u8, u8);
    /// `FT_SetTimeouts(handle, read, write)` in milliseconds
    set_timeouts = "FT_SetTimeouts": fn(*mut c_void, u32, u32);
    /// `FT_SetBitMode(handle, mask, mode)`
    set_bit_mode = "FT_SetBitMode": fn(*mut c_void, u8, u8);
    /// `FT_GetBitMode(handle, pins)`
    get_bit_mode = "FT_GetBitMode": fn(*mut c_void, *mut u8);
    /// `FT_Read(handle, into, wanted, came)`
    read = "FT_Read": fn(*mut c_void, *mut c_void, u32, *mut u32);
    /// `FT_Write(handle, from, count, taken)`
    write = "FT_Write": fn(*mut c_void, *mut c_void, u32, *mut u32);
    /// `FT_GetQueueStatus(handle, count)`
    queued = "FT_GetQueueStatus": fn(*mut c_void, *mut u32);
    /// `FT_Purge(handle, what)`
    purge = "FT_Purge": fn(*mut c_void, u32);
    /// `FT_GetModemStatus(handle, status)`
    modem_status = "FT_GetModemStatus": fn(*mut c_void, *mut u32);
    /// `FT_ReadEE(handle, address, word)`
    read_eeprom = "FT_ReadEE": fn(*mut c_void, u32, *mut u16);
}

/// What a function of the driver answered, if not that it went well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Status(pub(super) u32);

impl Status {
    /// Statuses by number, as the driver's header has them.
    const NAMES: [&str; 20] = [
        "FT_OK",
        "FT_INVALID_HANDLE",
        "FT_DEVICE_NOT_FOUND",
        "FT_DEVICE_NOT_OPENED",
        "FT_IO_ERROR",
        "FT_INSUFFICIENT_RESOURCES",
        "FT_INVALID_PARAMETER",
        "FT_INVALID_BAUD_RATE",
        "FT_DEVICE_NOT_OPENED_FOR_ERASE",
        "FT_DEVICE_NOT_OPENED_FOR_WRITE",
        "FT_FAILED_TO_WRITE_DEVICE",
        "FT_EEPROM_READ_FAILED",
        "FT_EEPROM_WRITE_FAILED",
        "FT_EEPROM_ERASE_FAILED",
        "FT_EEPROM_NOT_PRESENT",
        "FT_EEPROM_NOT_PROGRAMMED",
        "FT_INVALID_ARGS",
        "FT_NOT_SUPPORTED",
        "FT_OTHER_ERROR",
        "FT_DEVICE_LIST_NOT_READY",
    ];
    pub(super) const NOT_FOUND: Self = Self(2);
    pub(super) const NOT_OPENED: Self = Self(3);

    /// True for what the driver says of a channel whose board was unplugged.
    pub(super) const fn is_departure(self) -> bool {
        matches!(self.0, 1 | 2 | 4)
    }

    pub(super) fn error(self, function: &'static str) -> LinkError {
        let name = usize::try_from(self.0)
            .ok()
            .and_then(|number| Self::NAMES.get(number));
        LinkError::Io {
            doing: format!("call {function} of FTDI's driver"),
            reason: format!(
                "it answered {} ({})",
                name.unwrap_or(&"something unknown"),
                self.0
            ),
        }
    }
}

fn done(status: u32) -> Result<(), Status> {
    if status == 0 { Ok(()) } else { Err(Status(status)) }
}

fn length(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

/// FTDI's driver, loaded. Clones are handles to the same one; it stays loaded as long as one is there.
#[derive(Clone)]
pub struct Driver {
    calls: Calls,
    /// Keeps the functions where they are.
    library: Option<Arc<libloading::Library>>,
}

impl fmt::Debug for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driver").finish_non_exhaustive()
    }
}

impl Driver {
    /// Loads the driver that is installed on this computer; one that lies beside the program goes first.
    ///
    /// # Errors
    /// [`LinkError::Driver`]: it is not there, built for other programs, too old, or cannot be loaded.
    pub fn load() -> Result<Self, LinkError> {
        // SAFETY: FTDI's driver does nothing when it is loaded but set itself up.
        let library = unsafe { open_library(DRIVER) };
        Self::over(library)
    }

    /// Loads a driver from a file.
    ///
    /// # Errors
    /// As [`Driver::load`].
    ///
    /// # Safety
    /// The file is FTDI's driver, or functions of the same names keep the contracts of its functions.
    pub unsafe fn load_from(file: &std::path::Path) -> Result<Self, LinkError> {
        // SAFETY: as the caller promises.
        let library = unsafe { libloading::Library::new(file) };
        Self::over(library)
    }

    fn over(library: Result<libloading::Library, libloading::Error>) -> Result<Self, LinkError> {
        let library = library.map_err(|error| LinkError::Driver {
            problem: problem(&error),
        })?;
        Ok(Self {
            calls: Calls::of(&library)?,
            library: Some(Arc::new(library)),
        })
    }

    /// Uses functions that are here already.
    ///
    /// # Safety
    /// Each keeps the contract of the driver's function of that name, from any thread.
    pub const unsafe fn with(calls: Calls) -> Self {
        Self { calls, library: None }
    }

    /// The version of the library, as its maker writes it: `3.2.14`. `None` when it does not tell.
    pub fn version(&self) -> Option<String> {
        let library = self.library.as_deref()?;
        // SAFETY: the function of this name in FTDI's driver has this type; it is called while the library is loaded.
        let ask = unsafe {
            library
                .get::<unsafe extern "system" fn(*mut u32) -> u32>(b"FT_GetLibraryVersion\0")
                .ok()?
        };
        let mut version = 0;
        // SAFETY: the function writes one number.
        done(unsafe { ask(&raw mut version) }).ok()?;
        // Two decimal digits in each byte, written as hex.
        let [_, major, minor, build] = version.to_be_bytes();
        Some(format!("{major:x}.{minor:x}.{build:x}"))
    }

    /// All channels of all chips, as the driver tells of them.
    pub(crate) fn list(&self) -> Result<Vec<DeviceNode>, LinkError> {
        let mut count = 0;
        // SAFETY: the function writes one number.
        done(unsafe { (self.calls.create_list)(&raw mut count) })
            .map_err(|status| status.error("FT_CreateDeviceInfoList"))?;
        if count == 0 {
            return Ok(Vec::new());
        }
        // No computer has more; a broken driver must not cost all memory.
        const MOST: u32 = 4096;
        let room = count.min(MOST);
        let mut nodes = vec![DeviceNode::EMPTY; room as usize];
        let mut filled = room;
        if count > MOST {
            return Err(LinkError::Io {
                doing: "call FT_CreateDeviceInfoList of FTDI's driver".into(),
                reason: format!("it tells of {count} devices"),
            });
        }
        // SAFETY: the function writes at most as many nodes as it counted, for which there is room.
        done(unsafe { (self.calls.get_list)(nodes.as_mut_ptr(), &raw mut filled) })
            .map_err(|status| status.error("FT_GetDeviceInfoList"))?;
        nodes.truncate(filled as usize);
        Ok(nodes)
    }

    pub(super) fn open_at(&self, location: u32) -> Result<Handle, Status> {
        let mut handle = std::ptr::null_mut();
        // A location id travels as the value of the pointer, and is never looked behind.
        let argument = std::ptr::without_provenance_mut(location as usize);
        // SAFETY: with this flag the first argument is a number; the function writes one handle.
        done(unsafe { (self.calls.open_ex)(argument, OPEN_BY_LOCATION, &raw mut handle) })?;
        Ok(Handle(handle))
    }

    pub(super) fn close(&self, handle: Handle) {
        // SAFETY: the handle came from this driver and is not used again: its only owner is being dropped.
        let _ = unsafe { (self.calls.close)(handle.0) };
    }

    pub(super) fn set_baud(&self, handle: Handle, baud: u32) -> Result<(), Status> {
        // SAFETY: the handle is open; numbers alone are handed over.
        done(unsafe { (self.calls.set_baud)(handle.0, baud) })
    }

    pub(super) fn set_eight_n_one(&self, handle: Handle) -> Result<(), Status> {
        let (bits, stop, parity) = EIGHT_N_ONE;
        // SAFETY: as `set_baud`.
        done(unsafe { (self.calls.set_data)(handle.0, bits, stop, parity) })
    }

    pub(super) fn set_flow(&self, handle: Handle, rts_cts: bool) -> Result<(), Status> {
        let kind = if rts_cts { FLOW_RTS_CTS } else { 0 };
        // SAFETY: as `set_baud`.
        done(unsafe { (self.calls.set_flow)(handle.0, kind, 0, 0) })
    }

    pub(super) fn set_latency(&self, handle: Handle, milliseconds: u8) -> Result<(), Status> {
        // SAFETY: as `set_baud`.
        done(unsafe { (self.calls.set_latency)(handle.0, milliseconds) })
    }

    pub(super) fn set_transfers(&self, handle: Handle, bytes: u32) -> Result<(), Status> {
        // SAFETY: as `set_baud`.
        done(unsafe { (self.calls.set_transfers)(handle.0, bytes, bytes) })
    }

    pub(super) fn set_event_character(&self, handle: Handle, byte: Option<u8>) -> Result<(), Status> {
        // SAFETY: as `set_baud`.
        done(unsafe {
            (self.calls.set_characters)(handle.0, byte.unwrap_or(0), u8::from(byte.is_some()), 0, 0)
        })
    }

    pub(super) fn set_timeouts(&self, handle: Handle, milliseconds: u32) -> Result<(), Status> {
        // SAFETY: as `set_baud`.
        done(unsafe { (self.calls.set_timeouts)(handle.0, milliseconds, milliseconds) })
    }

    pub(super) fn set_bit_mode(&self, handle: Handle, mask: u8, mode: u8) -> Result<(), Status> {
        // SAFETY: as `set_baud`.
        done(unsafe { (self.calls.set_bit_mode)(handle.0, mask, mode) })
    }

    pub(super) fn pins(&self, handle: Handle) -> Result<u8, Status> {
        let mut pins = 0;
        // SAFETY: the handle is open; the function writes one byte.
        done(unsafe { (self.calls.get_bit_mode)(handle.0, &raw mut pins) })?;
        Ok(pins)
    }

    pub(super) fn read(&self, handle: Handle, into: &mut [u8]) -> Result<usize, Status> {
        let mut count = 0;
        let room = length(into.len());
        // SAFETY: the handle is open; the function writes at most `room` bytes, and how many.
        done(unsafe { (self.calls.read)(handle.0, into.as_mut_ptr().cast(), room, &raw mut count) })?;
        Ok((count as usize).min(into.len()))
    }

    pub(super) fn write(&self, handle: Handle, from: &[u8]) -> Result<usize, Status> {
        let mut count = 0;
        let all = length(from.len());
        // SAFETY: the handle is open; the function reads `all` bytes, although its type says that it may write them,
        // and writes how many were taken.
        done(unsafe { (self.calls.write)(handle.0, from.as_ptr().cast_mut().cast(), all, &raw mut count) })?;
        Ok((count as usize).min(from.len()))
    }

    pub(super) fn queued(&self, handle: Handle) -> Result<usize, Status> {
        let mut count = 0;
        // SAFETY: the handle is open; the function writes one number.
        done(unsafe { (self.calls.queued)(handle.0, &raw mut count) })?;
        Ok(count as usize)
    }

    pub(super) fn purge(&self, handle: Handle, received: bool) -> Result<(), Status> {
        let what = if received { PURGE_RECEIVED } else { PURGE_UNSENT };
        // SAFETY: as `set_baud`.
        done(unsafe { (self.calls.purge)(handle.0, what) })
    }

    pub(super) fn modem_status(&self, handle: Handle) -> Result<u32, Status> {
        let mut status = 0;
        // SAFETY: the handle is open; the function writes one number.
        done(unsafe { (self.calls.modem_status)(handle.0, &raw mut status) })?;
        Ok(status)
    }

    pub(super) fn eeprom_word(&self, handle: Handle, address: u16) -> Result<u16, Status> {
        let mut word = 0;
        // SAFETY: the handle is open; the function writes one word.
        done(unsafe { (self.calls.read_eeprom)(handle.0, u32::from(address), &raw mut word) })?;
        Ok(word)
    }
}

/// Looks beside the program and where Windows has its own, not in the working directory or along `PATH`: a library of
/// that name there may be anybody's.
#[cfg(windows)]
unsafe fn open_library(name: &str) -> Result<libloading::Library, libloading::Error> {
    use libloading::os::windows::{
        LOAD_LIBRARY_SEARCH_APPLICATION_DIR, LOAD_LIBRARY_SEARCH_SYSTEM32, Library,
    };
    let places = LOAD_LIBRARY_SEARCH_APPLICATION_DIR | LOAD_LIBRARY_SEARCH_SYSTEM32;
    // SAFETY: as the caller promises.
    unsafe { Library::load_with_flags(name, places) }.map(Into::into)
}

#[cfg(not(windows))]
unsafe fn open_library(name: &str) -> Result<libloading::Library, libloading::Error> {
    // SAFETY: as the caller promises.
    unsafe { libloading::Library::new(name) }
}

/// Why a library could not be loaded, as far as the system tells.
fn problem(error: &libloading::Error) -> DriverProblem {
    /// `ERROR_MOD_NOT_FOUND`
    const NOT_FOUND: i32 = 126;
    /// `ERROR_BAD_EXE_FORMAT`
    const WRONG_BITS: i32 = 193;

    let source = std::error::Error::source(error);
    let system = source.and_then(|source| source.downcast_ref::<std::io::Error>());
    let text = error.to_string();
    match system.and_then(std::io::Error::raw_os_error) {
        Some(NOT_FOUND) => DriverProblem::Missing,
        Some(WRONG_BITS) => DriverProblem::WrongBits,
        None if text.contains("No such file") => DriverProblem::Missing,
        None if text.contains("wrong ELF class") || text.contains("invalid ELF header") => {
            DriverProblem::WrongBits
        }
        _ => DriverProblem::Unloadable {
            reason: system.map_or(text, ToString::to_string),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lineside_terms::Explain as _;

    /// Loads a file that is there and is no driver.
    fn loaded(content: Option<&[u8]>) -> LinkError {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join(DRIVER);
        if let Some(content) = content {
            std::fs::write(&file, content).unwrap();
        }
        // SAFETY: nothing that could run is in the file.
        unsafe { Driver::load_from(&file) }.unwrap_err()
    }

    #[test]
    fn a_driver_that_cannot_be_used_is_told_of() {
        assert_eq!(loaded(None).code(), "link.driver-missing");
        assert_eq!(loaded(Some(&[b'x'; 4096])).code(), "link.driver-bits");
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_driver_without_a_function_is_told_of() {
        // A library that is there on every such system and is no driver. SAFETY: it is loaded already.
        let error = unsafe { Driver::load_from(std::path::Path::new("libc.so.6")) }.unwrap_err();
        assert_eq!(error.code(), "link.driver-function");
        assert!(
            error.help().contains("FT_CreateDeviceInfoList"),
            "{}",
            error.help()
        );
    }

    #[test]
    fn statuses_are_told_by_name() {
        let told = Status(5).error("FT_OpenEx").to_string();
        assert!(
            told.contains("FT_OpenEx") && told.contains("FT_INSUFFICIENT_RESOURCES (5)"),
            "{told}"
        );
        assert!(
            Status(99)
                .error("FT_Read")
                .to_string()
                .contains("something unknown (99)")
        );
    }
}
