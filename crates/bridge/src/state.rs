//! What attendants write and everybody reads.

use std::cell::RefCell;
use std::collections::BTreeMap;

use lineside_terms::SlotPath;
use tokio::sync::watch;

use crate::picture::{BoardPicture, Picture};

/// The boards as they stand, and a bell for those who wait for a change.
#[derive(Debug)]
pub(crate) struct Shared {
    boards: RefCell<BTreeMap<SlotPath, BoardPicture>>,
    changes: watch::Sender<u64>,
}

impl Shared {
    pub(crate) fn new() -> Self {
        Self {
            boards: RefCell::default(),
            changes: watch::Sender::new(0),
        }
    }

    pub(crate) fn picture(&self) -> Picture {
        Picture {
            boards: self.boards.borrow().values().cloned().collect(),
        }
    }

    pub(crate) fn board(&self, slot: &SlotPath) -> Option<BoardPicture> {
        self.boards.borrow().get(slot).cloned()
    }

    pub(crate) fn subscribe(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    pub(crate) fn insert(&self, board: BoardPicture) {
        self.boards.borrow_mut().insert(board.slot.clone(), board);
        self.ring();
    }

    pub(crate) fn remove(&self, slot: &SlotPath) {
        self.boards.borrow_mut().remove(slot);
        self.ring();
    }

    /// Changes one board. A board that is gone is not changed any more.
    pub(crate) fn change(&self, slot: &SlotPath, change: impl FnOnce(&mut BoardPicture)) {
        let mut boards = self.boards.borrow_mut();
        let Some(board) = boards.get_mut(slot) else {
            return;
        };
        let before = board.clone();
        change(board);
        let has_changed = *board != before;
        drop(boards);
        if has_changed {
            self.ring();
        }
    }

    /// Tells how much was carried. Only another number of connections rings.
    pub(crate) fn carried(&self, slot: &SlotPath, connections: usize, to_device: u64, from_device: u64) {
        let mut boards = self.boards.borrow_mut();
        let Some(board) = boards.get_mut(slot) else {
            return;
        };
        board.to_device += to_device;
        board.from_device += from_device;
        let has_changed = board.connections != connections;
        board.connections = connections;
        drop(boards);
        if has_changed {
            self.ring();
        }
    }

    fn ring(&self) {
        self.changes.send_modify(|count| *count += 1);
    }
}
