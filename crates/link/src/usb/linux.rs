//! Boards as the kernel tells of them.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use futures::future::LocalBoxFuture;
use lineside_terms::SlotPath;

use super::board::{self, UsbBoard};
use super::sysfs::{self, Found};
use super::{Places, holders};
use crate::ftdi::Chip;
use crate::ftdi::usb::UsbChip;
use crate::watch::{Attachments, Look};
use crate::{Board, BoardInfo, Clock, LinkError, Watch};

/// Who has leased what in this process, by the board's name in sysfs.
pub(super) type Leased = Rc<RefCell<BTreeMap<String, String>>>;

/// Opens the interface chip of a board, for its lines.
pub(super) type OpenChip = Rc<dyn Fn(&Found) -> Result<Box<dyn Chip>, LinkError>>;

pub(super) struct Inner {
    places: Places,
    clock: Clock,
    chips: OpenChip,
    attachments: RefCell<Attachments<String>>,
    leased: Leased,
}

impl Inner {
    pub(super) fn new(places: Places, clock: Clock) -> Self {
        let sysfs = places.sysfs.clone();
        let chips = move |found: &Found| -> Result<Box<dyn Chip>, LinkError> {
            let chip = UsbChip::at(&sysfs.join("bus/usb/devices").join(&found.name))?;
            Ok(Box::new(chip))
        };
        Self::with(places, clock, Rc::new(chips))
    }

    pub(super) fn with(places: Places, clock: Clock, chips: OpenChip) -> Self {
        Self {
            places,
            clock,
            chips,
            attachments: RefCell::default(),
            leased: Rc::default(),
        }
    }

    pub(super) fn list(&self) -> LocalBoxFuture<'_, Result<Vec<BoardInfo>, LinkError>> {
        Box::pin(async { self.look_now() })
    }

    pub(super) fn watch(this: &Rc<Self>) -> Watch {
        crate::watch::watch(this, &this.clock)
    }

    pub(super) fn lease(
        &self,
        slot: &SlotPath,
        holder: &str,
    ) -> LocalBoxFuture<'_, Result<Box<dyn Board>, LinkError>> {
        let (slot, holder) = (slot.clone(), holder.to_owned());
        Box::pin(async move { self.lease_now(&slot, &holder) })
    }

    fn look_now(&self) -> Result<Vec<BoardInfo>, LinkError> {
        let found = sysfs::boards(&self.places)?;
        let marks = found
            .iter()
            .map(|board| (board.slot.clone(), board.device_number.clone()));
        self.attachments.borrow_mut().note(marks.collect());
        let attachments = self.attachments.borrow();
        let boards = found.into_iter().map(|board| BoardInfo {
            attachment: attachments.count(&board.slot),
            leased_by: self.holder(&board),
            trouble: board::trouble(&board, &self.places),
            device: None,
            slot: board.slot,
            board_serial: board.serial,
        });
        Ok(boards.collect())
    }

    fn holder(&self, board: &Found) -> Option<String> {
        let ours = self.leased.borrow().get(&board.name).cloned();
        ours.or_else(|| holders::of(board.service_terminal(&self.places)?))
    }

    fn lease_now(&self, slot: &SlotPath, holder: &str) -> Result<Box<dyn Board>, LinkError> {
        let found = sysfs::boards(&self.places)?;
        let board = found
            .into_iter()
            .find(|board| board.slot == *slot || board.is_alias(slot));
        let board = board.ok_or_else(|| LinkError::NoBoard { slot: slot.clone() })?;
        let leased = || LinkError::Leased {
            slot: board.slot.clone(),
            holder: self.holder(&board).unwrap_or_else(|| "another program".into()),
        };
        let hold = board::Hold::take(&board, &self.places)?.ok_or_else(leased)?;
        self.leased
            .borrow_mut()
            .insert(board.name.clone(), holder.to_owned());
        let board = UsbBoard::new(
            hold,
            board,
            &self.places,
            &self.clock,
            Rc::clone(&self.leased),
            &self.chips,
        );
        Ok(Box::new(board))
    }
}

impl Look for Inner {
    fn look(self: Rc<Self>) -> LocalBoxFuture<'static, Result<Vec<BoardInfo>, LinkError>> {
        Box::pin(async move { self.look_now() })
    }
}
