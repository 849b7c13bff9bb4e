//! All boards that a station can see.

use std::pin::Pin;

use futures::Stream;
use futures::future::LocalBoxFuture;
use lineside_terms::{DeviceId, SlotPath};
use serde::{Deserialize, Serialize};

use crate::{Board, LinkError};

/// A board as a bench lists it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BoardInfo {
    /// The socket it sits in.
    pub slot: SlotPath,
    /// Counts how often something was attached at this slot while the bench was watched; another number means
    /// that the board was gone in between.
    pub attachment: u64,
    /// Serial number of the interface board, if it has one. Old boards share one: never a key.
    pub board_serial: Option<String>,
    /// Who has leased it: a short text for people, `None` when it is free.
    pub leased_by: Option<String>,
    /// Why it could not be opened although it is free, for instance missing permission.
    pub trouble: Option<String>,
    /// The device that answered there on a verified connection since this board was attached, if whoever lends the
    /// bench asked it. Told, not proven: who acts on a device verifies it again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<DeviceId>,
}

/// A change that a bench saw.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BenchEvent {
    /// A board is there.
    Attached(BoardInfo),
    /// The board at this slot is gone.
    Detached(SlotPath),
}

/// Changes in the order in which they happened. It begins with [`BenchEvent::Attached`] for every board that is
/// there, and ends when the bench is gone.
pub type Watch = Pin<Box<dyn Stream<Item = BenchEvent>>>;

/// All boards that a station can see through one backend.
pub trait Bench {
    /// The boards that are there now, in order of their slots.
    fn list(&self) -> LocalBoxFuture<'_, Result<Vec<BoardInfo>, LinkError>>;

    /// Follows changes from now on.
    fn watch(&self) -> Watch;

    /// Leases the board at a slot. The lease ends when the returned value is dropped; when the whole process dies,
    /// the kernel ends it.
    ///
    /// `holder` is the short text that others see in [`BoardInfo::leased_by`].
    fn lease(&self, slot: &SlotPath, holder: &str) -> LocalBoxFuture<'_, Result<Box<dyn Board>, LinkError>>;
}
