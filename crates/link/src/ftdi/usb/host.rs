//! Pipes to a real board.

use std::path::Path;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use nusb::transfer::{Buffer, Bulk, ControlIn, ControlOut, ControlType, In, Out, Recipient, TransferError};
use nusb::{Device, Endpoint, ErrorKind, Interface, MaybeFuture as _};

use super::{Pipes, UsbTransport};
use crate::LinkError;
use crate::ftdi::status::PACKET;
use crate::ftdi::{BitMode, Channel, Chip, Request, Transport};

/// How long a request on the control endpoint may take.
const REQUEST_PATIENCE: Duration = Duration::from_millis(500);
/// Bytes asked for by one bulk IN transfer.
const TRANSFER: usize = 8 * PACKET;
/// Bulk IN transfers that wait at the chip at once.
const TRANSFERS: usize = 2;
/// Bytes sent by one bulk OUT transfer.
const PIECE: usize = 8 * PACKET;

/// The interface chip of a board, opened beside the kernel's own driver: only the interfaces that are asked for are
/// taken from it, and given back when they are closed.
#[derive(Debug)]
pub struct UsbChip {
    device: Device,
}

impl UsbChip {
    /// The chip at a place in sysfs, such as `/sys/bus/usb/devices/1-2.1`.
    ///
    /// # Errors
    /// [`LinkError::Departed`] when nothing is there any more, [`LinkError::Lacking`] when this user may not.
    pub fn at(place: &Path) -> Result<Self, LinkError> {
        let name = place.file_name();
        let devices = nusb::list_devices()
            .wait()
            .map_err(|error| failure("list USB devices", &error))?;
        let found = devices
            .into_iter()
            .find(|device| device.sysfs_path().file_name() == name);
        let device = found.ok_or(LinkError::Departed)?;
        let device = device
            .open()
            .wait()
            .map_err(|error| failure("open the USB device", &error))?;
        Ok(Self { device })
    }
}

impl Chip for UsbChip {
    fn open(&self, channel: Channel) -> Result<Box<dyn Transport>, LinkError> {
        let interface = self.device.detach_and_claim_interface(channel.interface()).wait();
        let interface = interface.map_err(|error| match error.kind() {
            ErrorKind::Busy => LinkError::PortOpen,
            _ => failure("take the channel from the kernel's driver", &error),
        })?;
        let doing = "open the channel's endpoints";
        let input = interface
            .endpoint(channel.endpoint_in())
            .map_err(|error| failure(doing, &error))?;
        let output = interface
            .endpoint(channel.endpoint_out())
            .map_err(|error| failure(doing, &error))?;
        let pipes = HostPipes {
            interface,
            input,
            output,
        };
        Ok(Box::new(UsbTransport::new(pipes, channel)))
    }

    /// Needs no interface, and so takes nothing from the kernel's driver.
    fn release_lines(&self) -> Result<(), LinkError> {
        for channel in [Channel::A, Channel::B] {
            let request = Request::bit_mode(channel, BitMode::Uart, 0);
            let told = self.device.control_out(out(request), REQUEST_PATIENCE).wait();
            told.map_err(|error| transfer_failure("release the lines", error))?;
        }
        Ok(())
    }
}

struct HostPipes {
    interface: Interface,
    input: Endpoint<Bulk, In>,
    output: Endpoint<Bulk, Out>,
}

fn out(request: Request) -> ControlOut<'static> {
    ControlOut {
        control_type: ControlType::Vendor,
        recipient: Recipient::Device,
        request: request.request,
        value: request.value,
        index: request.index,
        data: &[],
    }
}

impl HostPipes {
    /// Takes what came of the transfers out, if something did.
    fn settle(&mut self, patience: Duration) -> Result<bool, LinkError> {
        while self.output.pending() > 0 {
            let Some(completion) = self.output.wait_next_complete(patience) else {
                return Ok(false);
            };
            completion
                .status
                .map_err(|error| transfer_failure("write to the channel", error))?;
        }
        Ok(true)
    }
}

impl Pipes for HostPipes {
    fn tell(&mut self, request: Request) -> Result<(), LinkError> {
        let told = self.interface.control_out(out(request), REQUEST_PATIENCE).wait();
        told.map_err(|error| transfer_failure("tell the interface chip", error))
    }

    fn ask(&mut self, request: Request, into: &mut [u8]) -> Result<usize, LinkError> {
        let question = ControlIn {
            control_type: ControlType::Vendor,
            recipient: Recipient::Device,
            request: request.request,
            value: request.value,
            index: request.index,
            length: u16::try_from(into.len()).unwrap_or(u16::MAX),
        };
        let answer = self.interface.control_in(question, REQUEST_PATIENCE).wait();
        let answer = answer.map_err(|error| transfer_failure("ask the interface chip", error))?;
        let count = answer.len().min(into.len());
        into[..count].copy_from_slice(&answer[..count]);
        Ok(count)
    }

    fn receive(&mut self) -> Result<Option<Vec<u8>>, LinkError> {
        while self.input.pending() < TRANSFERS {
            self.input.submit(Buffer::new(TRANSFER));
        }
        let mut cx = Context::from_waker(Waker::noop());
        let Poll::Ready(completion) = self.input.poll_next_complete(&mut cx) else {
            return Ok(None);
        };
        let buffer = completion.into_result();
        let buffer = buffer.map_err(|error| transfer_failure("read from the channel", error))?;
        Ok(Some(buffer.into_vec()))
    }

    fn send(&mut self, bytes: &[u8]) -> Result<usize, LinkError> {
        if bytes.is_empty() || !self.settle(Duration::ZERO)? {
            return Ok(0);
        }
        let piece = &bytes[..bytes.len().min(PIECE)];
        self.output.submit(piece.to_vec().into());
        Ok(piece.len())
    }

    fn flush(&mut self, patience: Duration) -> Result<bool, LinkError> {
        self.settle(patience)
    }
}

fn transfer_failure(doing: &str, error: TransferError) -> LinkError {
    match error {
        TransferError::Disconnected => LinkError::Departed,
        error => LinkError::Io {
            doing: doing.into(),
            reason: error.to_string(),
        },
    }
}

fn failure(doing: &str, error: &nusb::Error) -> LinkError {
    match error.kind() {
        ErrorKind::Disconnected | ErrorKind::NotFound => LinkError::Departed,
        ErrorKind::PermissionDenied => LinkError::Lacking {
            what: crate::usb::NO_ACCESS,
        },
        _ => LinkError::Io {
            doing: doing.into(),
            reason: error.to_string(),
        },
    }
}
