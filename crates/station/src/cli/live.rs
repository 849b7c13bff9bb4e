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
            // What nothing may follow on is drawn at once: a board that came or went, and how a run stands.
            let is_news = self
                .picture
                .as_ref()
                .is_none_or(|before| is_news(before, picture));
            self.picture = Some(picture.clone());
            self.draw(is_news);
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

    fn draw(&mut self, is_urgent: bool) {
        let Some(picture) = &self.picture else { return };
        if !is_urgent && self.drawn_at.is_some_and(|at| at.elapsed() < REDRAW) {
            return;
        }
        let rows: Vec<_> = tiles(picture, self.is_continuous)
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

/// The slots that are shown: where boards come and go, a tile clears when its board is unplugged.
fn tiles(picture: &Picture, is_continuous: bool) -> impl Iterator<Item = &SlotPicture> {
    let slots = picture.slots.iter();
    slots.filter(move |slot| slot.is_present || !is_continuous)
}

/// True when a board came or went, or a run stands otherwise than before.
fn is_news(before: &Picture, now: &Picture) -> bool {
    let stands = |picture: &Picture| -> Vec<_> {
        let slots = picture.slots.iter();
        slots
            .map(|slot| (slot.slot.clone(), slot.is_present, slot.standing))
            .collect()
    };
    stands(before) != stands(now)
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
        Standing::Interrupted if slot.waits_for_leave() => ("WAITS FOR APPROVAL".to_owned(), Tone::Unclear),
        Standing::Interrupted => ("INTERRUPTED".to_owned(), Tone::Unclear),
        Standing::Gone => ("GONE".to_owned(), Tone::Unclear),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lineside_terms::Epoch;

    fn picture(is_present: &[bool]) -> Picture {
        let slot = |(number, is_present): (usize, &bool)| SlotPicture {
            slot: SlotPath::new(format!("11{number}3")).unwrap(),
            epoch: Epoch(0),
            is_present: *is_present,
            device: None,
            serial: None,
            run: None,
            attempt: 1,
            standing: Standing::Ended(Outcome::Pass),
            step: None,
            steps_passed: 1,
            error: None,
            took: None,
        };
        Picture {
            slots: is_present.iter().enumerate().map(slot).collect(),
            is_store_up: true,
            expected: None,
            passed_units: 0,
        }
    }

    #[test]
    fn a_tile_clears_when_its_board_is_unplugged_and_that_is_drawn_at_once() {
        let (both, one) = (picture(&[true, true]), picture(&[true, false]));
        assert_eq!(tiles(&both, true).count(), 2);
        let left: Vec<_> = tiles(&one, true).map(|slot| slot.slot.to_string()).collect();
        assert_eq!(left, ["1103"]);
        // A batch of boards that stay keeps them to its end.
        assert_eq!(tiles(&one, false).count(), 2);
        assert!(is_news(&both, &one) && is_news(&one, &both) && !is_news(&one, &one));
    }
}
