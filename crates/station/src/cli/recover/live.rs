//! Showing boards while they are written, to people who are looking.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use lineside_device::recovery::RecoveryProgress;
use lineside_runner::recover::Ended;
use lineside_terms::SlotPath;

use super::{tone, word};
use crate::cli::output::{Printer, Tone, table};
use crate::cli::slots::Names;

/// People cannot read faster than this.
const REDRAW: Duration = Duration::from_millis(100);

/// What is shown.
#[derive(Debug)]
pub(super) struct Live {
    printer: Printer,
    names: Names,
    boards: BTreeMap<SlotPath, Board>,
    drawn_lines: usize,
    drawn_at: Option<Instant>,
}

#[derive(Debug, Default)]
struct Board {
    progress: RecoveryProgress,
    ended: Option<Ended>,
}

impl Live {
    pub(super) fn new(printer: Printer, names: Names, slots: &[SlotPath]) -> Self {
        Self {
            printer,
            names,
            boards: slots
                .iter()
                .map(|slot| (slot.clone(), Board::default()))
                .collect(),
            drawn_lines: 0,
            drawn_at: None,
        }
    }

    pub(super) fn progress(&mut self, slot: &SlotPath, progress: RecoveryProgress) {
        if let Some(board) = self.boards.get_mut(slot) {
            board.progress = progress;
        }
        self.draw(false);
    }

    pub(super) fn ended(&mut self, ended: &Ended) {
        if let Some(board) = self.boards.get_mut(&ended.slot) {
            board.ended = Some(ended.clone());
        }
        self.draw(false);
    }

    /// The last picture stays on the screen.
    pub(super) fn end(&mut self) {
        self.draw(true);
    }

    fn draw(&mut self, is_last: bool) {
        let is_early = self.drawn_at.is_some_and(|at| at.elapsed() < REDRAW);
        if !self.printer.is_live() || (is_early && !is_last) {
            return;
        }
        let rows: Vec<_> = self
            .boards
            .iter()
            .map(|(slot, board)| board.row(self.names.show(slot)))
            .collect();
        let text = table(&["slot", "device", "", ""], &rows) + "\n";
        self.printer.redraw(self.drawn_lines, &text);
        self.drawn_lines = text.lines().count();
        self.drawn_at = Some(Instant::now());
    }
}

impl Board {
    fn row(&self, slot: String) -> Vec<(String, Tone)> {
        let slot = (slot, Tone::Plain);
        match &self.ended {
            Some(ended) => vec![
                slot,
                (
                    ended.device.map(|device| device.short()).unwrap_or_default(),
                    Tone::Faint,
                ),
                (String::new(), Tone::Faint),
                (word(ended.outcome).to_owned(), tone(ended.outcome)),
            ],
            None => {
                let RecoveryProgress {
                    phase,
                    bytes,
                    total_bytes,
                    ..
                } = self.progress;
                let percent = (bytes * 100)
                    .checked_div(total_bytes)
                    .map_or_else(String::new, |percent| format!("{percent} %"));
                vec![
                    slot,
                    (String::new(), Tone::Faint),
                    (percent, Tone::Faint),
                    (phase.to_string(), Tone::Plain),
                ]
            }
        }
    }
}
