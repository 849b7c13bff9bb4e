//! Showing a run while it goes on: a table that is redrawn for people, lines for everything else.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use lineside_device::Progress;
use lineside_flow::{Event, Picture, SlotPicture, Standing};
use lineside_terms::{Outcome, SlotPath};

use super::output::{Printer, Tone, table};
use super::run::line_of;
use super::slots::Names;

/// People cannot read faster than this.
const REDRAW: Duration = Duration::from_millis(100);

/// What is shown of a run.
#[derive(Debug)]
pub(crate) struct Live {
    printer: Printer,
    names: Names,
    is_continuous: bool,
    picture: Option<Picture>,
    progress: BTreeMap<SlotPath, Progress>,
    drawn_lines: usize,
    drawn_at: Option<Instant>,
}

impl Live {
    pub(crate) const fn new(printer: Printer, names: Names, is_continuous: bool) -> Self {
        Self {
            printer,
            names,
            is_continuous,
            picture: None,
            progress: BTreeMap::new(),
            drawn_lines: 0,
            drawn_at: None,
        }
    }

    pub(crate) fn event(&mut self, event: &Event) {
        if !self.printer.is_live()
            && !self.printer.is_json()
            && let Some(line) = line_of(event)
        {
            self.printer.note(&line);
        }
    }

    pub(crate) fn picture(&mut self, picture: &Picture) {
        if self.printer.is_live() {
            self.picture = Some(picture.clone());
            self.draw(false);
        }
    }

    pub(crate) fn progress(&mut self, slot: &SlotPath, progress: Progress) {
        if self.printer.is_live() {
            self.progress.insert(slot.clone(), progress);
            self.draw(false);
        }
    }

    /// The last picture stays on the screen.
    pub(crate) fn end(&mut self) {
        self.draw(true);
    }

    fn draw(&mut self, is_last: bool) {
        let Some(picture) = &self.picture else { return };
        if !is_last && self.drawn_at.is_some_and(|at| at.elapsed() < REDRAW) {
            return;
        }
        let rows = picture.slots.iter();
        // A tile clears when its board is unplugged.
        let rows: Vec<_> = rows
            .filter(|slot| slot.is_present || !self.is_continuous)
            .map(|slot| self.row(slot))
            .collect();
        let text = table(&["slot", "device", "serial", "step", "", ""], &rows) + "\n";
        self.printer.redraw(self.drawn_lines, &text);
        self.drawn_lines = text.lines().count();
        self.drawn_at = Some(Instant::now());
    }

    fn row(&self, slot: &SlotPicture) -> Vec<(String, Tone)> {
        let (word, tone) = standing(slot);
        let step = match &slot.step {
            Some((label, place, total)) => format!("{place}/{total} {label}"),
            None => String::new(),
        };
        let progress = self
            .progress
            .get(&slot.slot)
            .filter(|progress| progress.total > 0);
        let bytes = progress
            .map(|p| format!("{} %", p.done * 100 / p.total))
            .unwrap_or_default();
        vec![
            (self.names.show(&slot.slot), Tone::Plain),
            (
                slot.device
                    .map(|device| device.short())
                    .unwrap_or_else(|| "-".to_owned()),
                Tone::Faint,
            ),
            (
                slot.serial
                    .as_ref()
                    .map_or_else(|| "-".to_owned(), ToString::to_string),
                Tone::Plain,
            ),
            (step, Tone::Plain),
            (bytes, Tone::Faint),
            (word, tone),
        ]
    }
}

/// The word for what stands about a slot, and its colour.
pub(crate) fn standing(slot: &SlotPicture) -> (String, Tone) {
    match slot.standing {
        Standing::Waiting => ("waiting".to_owned(), Tone::Faint),
        Standing::Working => ("working".to_owned(), Tone::Plain),
        Standing::NotRecorded => ("done, not recorded".to_owned(), Tone::Unclear),
        Standing::Ended(outcome) => {
            let tone = match outcome {
                Outcome::Pass | Outcome::Marginal => Tone::Good,
                Outcome::Unknown | Outcome::Skipped => Tone::Unclear,
                Outcome::Fail | Outcome::Error => Tone::Bad,
            };
            (outcome.to_string().to_uppercase(), tone)
        }
        Standing::Complete => {
            let run = slot.run.map(|run| run.short()).unwrap_or_default();
            (format!("complete (run {run})"), Tone::Good)
        }
        Standing::Held => ("HELD".to_owned(), Tone::Bad),
        Standing::Unresponsive => ("UNRESPONSIVE".to_owned(), Tone::Bad),
        Standing::Interrupted => ("INTERRUPTED".to_owned(), Tone::Unclear),
        Standing::Gone => ("GONE".to_owned(), Tone::Unclear),
    }
}
