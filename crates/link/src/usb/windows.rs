//! Boards as FTDI's driver tells of them.

use std::cell::OnceCell;
use std::rc::Rc;
use std::sync::Arc;

use futures::future::LocalBoxFuture;
use futures::stream;
use lineside_terms::SlotPath;
use nusb::MaybeFuture as _;

use super::Places;
use crate::ftdi::d2xx::{D2xxBench, Driver, SystemBoard, path_of_system};
use crate::ftdi::{PRODUCT_STRING, USB_IDS};
use crate::{Bench as _, Board, BoardInfo, Clock, LinkError, Watch};

/// The driver is loaded when it is first asked for, and until it can be, so that one may be installed meanwhile.
pub(super) struct Inner {
    clock: Clock,
    bench: OnceCell<D2xxBench>,
}

impl Inner {
    pub(super) fn new(_places: Places, clock: Clock) -> Self {
        Self {
            clock,
            bench: OnceCell::new(),
        }
    }

    fn bench(&self) -> Result<&D2xxBench, LinkError> {
        if let Some(bench) = self.bench.get() {
            return Ok(bench);
        }
        let driver = Driver::load()?;
        Ok(self
            .bench
            .get_or_init(|| D2xxBench::new(driver, Arc::new(system), self.clock.clone())))
    }

    pub(super) fn list(&self) -> LocalBoxFuture<'_, Result<Vec<BoardInfo>, LinkError>> {
        Box::pin(async { self.bench()?.list().await })
    }

    pub(super) fn watch(this: &Rc<Self>) -> Watch {
        match this.bench() {
            Ok(bench) => bench.watch(),
            Err(error) => {
                // `list` says it to people.
                tracing::warn!(%error, "no boards can be seen");
                Box::pin(stream::pending())
            }
        }
    }

    pub(super) fn lease(
        &self,
        slot: &SlotPath,
        holder: &str,
    ) -> LocalBoxFuture<'_, Result<Box<dyn Board>, LinkError>> {
        let (slot, holder) = (slot.clone(), holder.to_owned());
        Box::pin(async move { self.bench()?.lease(&slot, &holder).await })
    }
}

/// Where Windows itself says that interface boards are.
fn system() -> Vec<SystemBoard> {
    let devices = match nusb::list_devices().wait() {
        Ok(devices) => devices,
        Err(error) => {
            tracing::warn!(%error, "Windows does not tell where boards are");
            return Vec::new();
        }
    };
    let boards = devices
        .into_iter()
        .filter(|device| (device.vendor_id(), device.product_id()) == USB_IDS);
    let boards = boards.filter(|device| {
        device
            .product_string()
            .is_none_or(|product| product == PRODUCT_STRING)
    });
    let places = boards.filter_map(|device| {
        let place = device
            .location_paths()
            .iter()
            .find_map(|place| path_of_system(place.to_str()?));
        Some(SystemBoard {
            serial: device.serial_number().map(ToOwned::to_owned),
            slot: place?,
        })
    });
    places.collect()
}
