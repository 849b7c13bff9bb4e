//! The two ways to a simulated board's interface chip: below a USB library, and below the functions of FTDI's driver.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lineside_link::LinkError;
use lineside_link::ftdi::d2xx::{Calls, D2xxChip, DeviceNode, Driver};
use lineside_link::ftdi::usb::{Pipes, UsbTransport};
use lineside_link::ftdi::{Channel, Chip, FtdiBoard, Request, Transport};
use lineside_simulator::World;
use lineside_simulator::ftdi::{Answer, ClaimError, Claimed, Gone, Setup, UsbLines, UsbPort};

/// What a USB library would be.
pub(crate) struct Usb(pub UsbPort);

struct SimulatedPipes(Claimed);

fn gone(Gone: Gone) -> LinkError {
    LinkError::Departed
}

fn stalled() -> LinkError {
    LinkError::Io {
        doing: "ask".into(),
        reason: "stalled".into(),
    }
}

impl SimulatedPipes {
    fn control(&mut self, request: Request) -> Result<Answer, LinkError> {
        let Request {
            request,
            value,
            index,
        } = request;
        let answer = self
            .0
            .control(Setup {
                request,
                value,
                index,
            })
            .map_err(gone)?;
        if answer == Answer::Stall {
            Err(stalled())
        } else {
            Ok(answer)
        }
    }
}

impl Pipes for SimulatedPipes {
    fn tell(&mut self, request: Request) -> Result<(), LinkError> {
        self.control(request).map(drop)
    }

    fn ask(&mut self, request: Request, into: &mut [u8]) -> Result<usize, LinkError> {
        let Answer::Data(bytes) = self.control(request)? else {
            return Ok(0);
        };
        let count = bytes.len().min(into.len());
        into[..count].copy_from_slice(&bytes[..count]);
        Ok(count)
    }

    fn receive(&mut self) -> Result<Option<Vec<u8>>, LinkError> {
        self.0.bulk_in().map_err(gone)
    }

    fn send(&mut self, bytes: &[u8]) -> Result<usize, LinkError> {
        self.0.bulk_out(bytes).map_err(gone)
    }

    fn flush(&mut self, _patience: Duration) -> Result<bool, LinkError> {
        // What was taken is with the chip.
        Ok(true)
    }
}

impl Chip for Usb {
    fn open(&self, channel: Channel) -> Result<Box<dyn Transport>, LinkError> {
        let claimed = self
            .0
            .claim(usize::from(channel.interface()))
            .map_err(|error| match error {
                ClaimError::Busy => LinkError::PortOpen,
                ClaimError::Gone | ClaimError::NoSuchChannel => LinkError::Departed,
            })?;
        Ok(Box::new(UsbTransport::new(SimulatedPipes(claimed), channel)))
    }
}

/// The driver's functions as this process has them. They are one set for all tests, which take turns.
pub(crate) struct D2xx {
    pub driver: Driver,
    _turn: MutexGuard<'static, ()>,
}

static TURN: Mutex<()> = Mutex::new(());

unsafe extern "system" fn get_list(nodes: *mut DeviceNode, count: *mut u32) -> u32 {
    // SAFETY: both types are the driver's own node, byte for byte.
    unsafe { ftd2xx::FT_GetDeviceInfoList(nodes.cast(), count) }
}

pub(crate) fn calls() -> Calls {
    Calls {
        create_list: ftd2xx::FT_CreateDeviceInfoList,
        get_list,
        open_ex: ftd2xx::FT_OpenEx,
        close: ftd2xx::FT_Close,
        set_baud: ftd2xx::FT_SetBaudRate,
        set_data: ftd2xx::FT_SetDataCharacteristics,
        set_flow: ftd2xx::FT_SetFlowControl,
        set_latency: ftd2xx::FT_SetLatencyTimer,
        set_transfers: ftd2xx::FT_SetUSBParameters,
        set_characters: ftd2xx::FT_SetChars,
        set_timeouts: ftd2xx::FT_SetTimeouts,
        set_bit_mode: ftd2xx::FT_SetBitMode,
        get_bit_mode: ftd2xx::FT_GetBitMode,
        read: ftd2xx::FT_Read,
        write: ftd2xx::FT_Write,
        queued: ftd2xx::FT_GetQueueStatus,
        purge: ftd2xx::FT_Purge,
        modem_status: ftd2xx::FT_GetModemStatus,
        read_eeprom: ftd2xx::FT_ReadEE,
    }
}

impl D2xx {
    pub(crate) fn on(world: &World) -> Self {
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let mut lines = UsbLines::new(world);
        ftd2xx::connect(Box::new(move |line| Ok(lines.answer(line))));
        Self {
            // SAFETY: the functions keep the driver's contracts, and lock what they share.
            driver: unsafe { Driver::with(calls()) },
            _turn: turn,
        }
    }

    pub(crate) fn chip(&self, world: &World, board: usize) -> D2xxChip {
        let service = u32::from_str_radix(world.slot(board).unwrap().as_str(), 16).unwrap();
        D2xxChip::at(self.driver.clone(), service & !0xF)
    }
}

/// Does the same over both transports, each time in a world of its own.
pub(crate) fn over_both(world: impl Fn() -> World, test: impl Fn(&World, &dyn Fn() -> Box<dyn Chip>)) {
    let usb = world();
    test(&usb, &|| Box::new(Usb(usb.usb_port(0).unwrap())));
    let other = world();
    let d2xx = D2xx::on(&other);
    test(&other, &|| Box::new(d2xx.chip(&other, 0)));
}

/// The board, leased.
pub(crate) fn board(world: &World, chip: Box<dyn Chip>) -> FtdiBoard {
    let service = chip.open(Channel::C).unwrap();
    FtdiBoard::new(world.slot(0).unwrap().clone(), chip, service)
}
