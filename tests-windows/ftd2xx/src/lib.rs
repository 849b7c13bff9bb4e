//! For tests only: the functions of FTDI's driver that Lineside uses, over simulated boards.
//!
//! Each function does what the real driver does with a chip: it turns calls into USB requests and transfers, computes
//! divisors, strips status bytes, waits as long as it was told. What they mean is for the simulated interface chip to
//! judge. It knows nothing of Lineside and shares no code with it.
//!
//! Requests and transfers go out as lines of text, each answered by one (`lineside_simulator::ftdi`). As a DLL it
//! reaches whoever serves them at the address in the environment variable `LINESIDE_FTDI` (`127.0.0.1:1234`, or the
//! path of the file `usb.txt` of `lineside sim --ftdi`); in process a test [connects](connect) it to anything.
#![expect(unsafe_code, reason = "functions with the types of a C library")]
#![allow(non_snake_case, reason = "the names are the driver's")]
#![allow(
    missing_docs,
    clippy::missing_safety_doc,
    reason = "what they do and ask for is told by the driver's guide"
)]

mod usb;

use std::collections::{BTreeMap, VecDeque};
use std::ffi::{c_char, c_void};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use usb::{Listed, Refusal, Usb};

pub use usb::Line;

const OK: u32 = 0;
const INVALID_HANDLE: u32 = 1;
const DEVICE_NOT_FOUND: u32 = 2;
const DEVICE_NOT_OPENED: u32 = 3;
const IO_ERROR: u32 = 4;
const INVALID_PARAMETER: u32 = 6;
const INVALID_BAUD_RATE: u32 = 7;

/// FT4232H
const KIND: u32 = 7;
const IDS: u32 = 0x0403_6011;
const BY_LOCATION: u32 = 4;

/// Between two tries of a call that waits.
const TRY_AGAIN: Duration = Duration::from_micros(200);

struct Open {
    claim: u32,
    /// From 1, as in requests.
    channel: u16,
    received: VecDeque<u8>,
    status: [u8; 2],
    timeouts: [Duration; 2],
}

struct State {
    usb: Option<Usb>,
    listed: Vec<Listed>,
    open: BTreeMap<usize, Open>,
    opened: usize,
}

static STATE: Mutex<State> = Mutex::new(State {
    usb: None,
    listed: Vec::new(),
    open: BTreeMap::new(),
    opened: 0,
});

fn state() -> MutexGuard<'static, State> {
    STATE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Connects the functions of this process to simulated boards; everything that was open is forgotten.
pub fn connect(line: Line) {
    let mut state = state();
    state.usb = Some(Usb::over(line));
    state.listed.clear();
    // Handles are never used again: who still has one of before finds it invalid.
    state.open.clear();
}

impl State {
    fn usb(&mut self) -> Result<&mut Usb, u32> {
        if self.usb.is_none() {
            self.usb = Some(Usb::by_environment().map_err(|_| IO_ERROR)?);
        }
        self.usb.as_mut().ok_or(IO_ERROR)
    }

    fn with<T>(
        &mut self,
        handle: *mut c_void,
        act: impl FnOnce(&mut Usb, &mut Open) -> Result<T, Refusal>,
    ) -> Result<T, u32> {
        self.usb()?;
        let (Some(usb), Some(open)) = (self.usb.as_mut(), self.open.get_mut(&handle.addr())) else {
            return Err(INVALID_HANDLE);
        };
        act(usb, open).map_err(status_of)
    }
}

fn status_of(refusal: Refusal) -> u32 {
    match refusal {
        Refusal::NotFound => DEVICE_NOT_FOUND,
        Refusal::Busy => DEVICE_NOT_OPENED,
        Refusal::Stall => INVALID_PARAMETER,
        Refusal::Gone => IO_ERROR,
    }
}

fn done(result: Result<(), u32>) -> u32 {
    result.err().unwrap_or(OK)
}

fn tell(handle: *mut c_void, request: u8, value: u16, above: u16) -> u32 {
    done(state().with(handle, |usb, open| {
        usb.tell(open.claim, request, value, above << 8 | open.channel)
    }))
}

impl Open {
    fn fetch(&mut self, usb: &mut Usb) -> Result<(), Refusal> {
        /// What the driver keeps before it leaves bytes in the chip.
        const KEPT: usize = 64 * 1024;
        while self.received.len() < KEPT {
            let Some(transfer) = usb.receive(self.claim)? else {
                break;
            };
            for packet in transfer.chunks(512) {
                if let Some((status, bytes)) = packet.split_first_chunk::<2>() {
                    self.status = *status;
                    self.received.extend(bytes);
                }
            }
        }
        Ok(())
    }
}

/// What the driver tells of a channel.
#[repr(C)]
#[derive(Debug)]
pub struct Node {
    flags: u32,
    kind: u32,
    id: u32,
    location: u32,
    serial: [c_char; 16],
    description: [c_char; 64],
    handle: *mut c_void,
}

fn text<const N: usize>(text: &str) -> [c_char; N] {
    let mut field = [0; N];
    for (to, byte) in field[..N - 1].iter_mut().zip(text.bytes()) {
        *to = byte as c_char;
    }
    field
}

#[unsafe(no_mangle)]
pub unsafe extern "system" fn FT_CreateDeviceInfoList(count: *mut u32) -> u32 {
    let mut state = state();
    let listed = state.usb().and_then(|usb| usb.list().map_err(status_of));
    match listed {
        Err(status) => status,
        Ok(listed) => {
            // SAFETY: the caller hands over a place for one number.
            unsafe { count.write(listed.len() as u32 * 4) };
            state.listed = listed;
            OK
        }
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "system" fn FT_GetDeviceInfoList(nodes: *mut Node, count: *mut u32) -> u32 {
    let state = state();
    let channels = state
        .listed
        .iter()
        .flat_map(|listed| (0..4).map(move |channel| (listed, channel)));
    let mut written = 0;
    for (listed, channel) in channels {
        let letter = char::from(b'A' + channel as u8);
        let node = Node {
            flags: 2 | u32::from(listed.claimed[channel]),
            kind: KIND,
            id: IDS,
            location: listed.location | (channel as u32 + 1),
            serial: text(&format!("{}{letter}", listed.serial)),
            description: text(&format!("{} {letter}", listed.product)),
            handle: std::ptr::null_mut(),
        };
        // SAFETY: the caller has room for as many nodes as the last list counted.
        unsafe { nodes.add(written).write(node) };
        written += 1;
    }
    // SAFETY: the caller hands over a place for one number.
    unsafe { count.write(written as u32) };
    OK
}

#[unsafe(no_mangle)]
pub unsafe extern "system" fn FT_OpenEx(argument: *mut c_void, how: u32, handle: *mut *mut c_void) -> u32 {
    let location = argument.addr() as u32;
    if how != BY_LOCATION {
        return INVALID_PARAMETER;
    }
    let mut state = state();
    let claim = state.usb().and_then(|usb| usb.claim(location).map_err(status_of));
    match claim {
        Err(status) => status,
        Ok(claim) => {
            state.opened += 1;
            let name = state.opened;
            let open = Open {
                claim,
                channel: (location & 0xF) as u16,
                received: VecDeque::new(),
                status: [0x11, 0x60],
                timeouts: [Duration::from_secs(5); 2],
            };
            state.open.insert(name, open);
            // SAFETY: the caller hands over a place for one handle.
            unsafe { handle.write(std::ptr::without_provenance_mut(name)) };
            OK
        }
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "system" fn FT_Close(handle: *mut c_void) -> u32 {
    let mut state = state();
    match state.open.remove(&handle.addr()) {
        None => INVALID_HANDLE,
        Some(open) => done(
            state
                .usb()
                .and_then(|usb| usb.release(open.claim).map_err(status_of)),
        ),
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "system" fn FT_SetBaudRate(handle: *mut c_void, baud: u32) -> u32 {
    if !(1_000..=12_000_000).contains(&baud) {
        return INVALID_BAUD_RATE;
    }
    // The nearest eighth of 12 MHz: whole part below, the eighth as one of these codes above, and the faster clock.
    let eighths = (f64::from(12_000_000 * 8) / f64::from(baud)).round() as u32;
    let code = [0, 3, 2, 4, 1, 5, 6, 7][(eighths % 8) as usize];
    let divisor = eighths / 8 + code * 0x4000 + 0x2_0000;
    tell(
        handle,
        0x03,
        (divisor % 0x1_0000) as u16,
        (divisor / 0x1_0000) as u16,
    )
}

#[unsafe(no_mangle)]
pub unsafe extern "system" fn FT_SetDataCharacteristics(
    handle: *mut c_void,
    bits: u8,
    stop: u8,
    parity: u8,
) -> u32 {
    tell(
        handle,
        0x04,
        u16::from(bits) | u16::from(parity) << 8 | u16::from(stop) << 11,
        0,
    )
}

#[unsafe(no_mangle)]
pub unsafe extern "system" fn FT_SetFlowControl(handle: *mut c_void, kind: u16, xon: u8, xoff: u8) -> u32 {
    tell(handle, 0x02, u16::from(xon) | u16::from(xoff) << 8, kind >> 8)
}

#[unsafe(no_mangle)]
pub unsafe extern "system" fn FT_SetLatencyTimer(handle: *mut c_void, milliseconds: u8) -> u32 {
    tell(handle, 0x09, u16::from(milliseconds), 0)
}

#[unsafe(no_mangle)]
pub unsafe extern "system" fn FT_SetUSBParameters(handle: *mut c_void, input: u32, output: u32) -> u32 {
    let is_right = input.is_multiple_of(64) && output.is_multiple_of(64);
    if is_right && state().open.contains_key(&handle.addr()) {
        OK
    } else {
        INVALID_PARAMETER
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "system" fn FT_SetChars(
    handle: *mut c_void,
    event: u8,
    is_event: u8,
    error: u8,
    is_error: u8,
) -> u32 {
    let first = tell(handle, 0x06, u16::from(event) | u16::from(is_event != 0) << 8, 0);
    if first != OK {
        return first;
    }
    tell(handle, 0x07, u16::from(error) | u16::from(is_error != 0) << 8, 0)
}

#[unsafe(no_mangle)]
pub unsafe extern "system" fn FT_SetTimeouts(handle: *mut c_void, read: u32, write: u32) -> u32 {
    match state().open.get_mut(&handle.addr()) {
        None => INVALID_HANDLE,
        Some(open) => {
            open.timeouts = [read, write].map(|milliseconds| Duration::from_millis(milliseconds.into()));
            OK
        }
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "system" fn FT_SetBitMode(handle: *mut c_void, mask: u8, mode: u8) -> u32 {
    tell(handle, 0x0B, u16::from(mode) << 8 | u16::from(mask), 0)
}

fn ask(handle: *mut c_void, request: u8) -> Result<Vec<u8>, u32> {
    state().with(handle, |usb, open| usb.ask(open.claim, request, 0, open.channel))
}

#[unsafe(no_mangle)]
pub unsafe extern "system" fn FT_GetBitMode(handle: *mut c_void, pins: *mut u8) -> u32 {
    match ask(handle, 0x0C).map(|answer| answer.first().copied()) {
        Ok(Some(level)) => {
            // SAFETY: the caller hands over a place for one byte.
            unsafe { pins.write(level) };
            OK
        }
        Ok(None) => IO_ERROR,
        Err(status) => status,
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "system" fn FT_GetModemStatus(handle: *mut c_void, status: *mut u32) -> u32 {
    match ask(handle, 0x05) {
        Ok(answer) if answer.len() == 2 => {
            // SAFETY: the caller hands over a place for one number.
            unsafe { status.write(u32::from(answer[0] & 0xF0) | u32::from(answer[1]) << 8) };
            OK
        }
        Ok(_) => IO_ERROR,
        Err(status) => status,
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "system" fn FT_GetQueueStatus(handle: *mut c_void, count: *mut u32) -> u32 {
    let queued = state().with(handle, |usb, open| {
        open.fetch(usb)?;
        Ok(open.received.len())
    });
    match queued {
        Ok(queued) => {
            // SAFETY: the caller hands over a place for one number.
            unsafe { count.write(queued as u32) };
            OK
        }
        Err(status) => status,
    }
}

/// Waits for all that is asked for, as long as the time-out lets it.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn FT_Read(
    handle: *mut c_void,
    into: *mut c_void,
    wanted: u32,
    came: *mut u32,
) -> u32 {
    // SAFETY: the caller has room for as many bytes.
    let into = unsafe { std::slice::from_raw_parts_mut(into.cast::<u8>(), wanted as usize) };
    let began = Instant::now();
    let mut count = 0;
    loop {
        let read = state().with(handle, |usb, open| {
            open.fetch(usb)?;
            let more = open.received.len().min(into.len() - count);
            for (to, byte) in into[count..].iter_mut().zip(open.received.drain(..more)) {
                *to = byte;
            }
            count += more;
            Ok(count == into.len() || began.elapsed() >= open.timeouts[0])
        });
        // SAFETY: the caller hands over a place for one number.
        unsafe { came.write(count as u32) };
        match read {
            Ok(true) => return OK,
            Ok(false) => std::thread::sleep(TRY_AGAIN),
            Err(status) => return status,
        }
    }
}

/// Waits until all is taken, as long as the time-out lets it.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn FT_Write(
    handle: *mut c_void,
    from: *mut c_void,
    all: u32,
    taken: *mut u32,
) -> u32 {
    // SAFETY: the caller hands over as many bytes.
    let from = unsafe { std::slice::from_raw_parts(from.cast::<u8>(), all as usize) };
    let began = Instant::now();
    let mut count = 0;
    loop {
        let written = state().with(handle, |usb, open| {
            count += usb.send(open.claim, &from[count..])?.min(from.len() - count);
            Ok(count == from.len() || began.elapsed() >= open.timeouts[1])
        });
        // SAFETY: the caller hands over a place for one number.
        unsafe { taken.write(count as u32) };
        match written {
            Ok(true) => return OK,
            Ok(false) => std::thread::sleep(TRY_AGAIN),
            Err(status) => return status,
        }
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "system" fn FT_Purge(handle: *mut c_void, what: u32) -> u32 {
    if what & 1 != 0 {
        let purged = state().with(handle, |usb, open| {
            usb.tell(open.claim, 0x00, 2, open.channel)?;
            open.fetch(usb)?;
            open.received.clear();
            Ok(())
        });
        if let Err(status) = purged {
            return status;
        }
    }
    if what & 2 != 0 {
        tell(handle, 0x00, 1, 0)
    } else {
        OK
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "system" fn FT_ReadEE(handle: *mut c_void, address: u32, word: *mut u16) -> u32 {
    let read = state().with(handle, |usb, open| usb.ask(open.claim, 0x90, 0, address as u16));
    match read {
        Ok(answer) if answer.len() == 2 => {
            // SAFETY: the caller hands over a place for one word.
            unsafe { word.write(u16::from_le_bytes([answer[0], answer[1]])) };
            OK
        }
        Ok(_) => IO_ERROR,
        Err(status) => status,
    }
}
