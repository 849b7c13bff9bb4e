//! Drives the lines of one board through whichever of its channels can be had.

use super::lines::{Asserted, Step, Wiring, steps};
use super::pump::Open;
use super::{BitMode, Channel, Chip};
use crate::{Line, LinkError};

/// The channels of a chip, opened when they are needed.
pub(crate) struct Channels {
    chip: Box<dyn Chip>,
    open: [Option<Open>; 4],
}

impl Channels {
    pub(crate) fn new(chip: Box<dyn Chip>) -> Self {
        Self {
            chip,
            open: [const { None }; 4],
        }
    }

    /// An open channel to begin with.
    pub(super) fn keep(&mut self, channel: Channel, open: Open) {
        self.open[channel as usize] = Some(open);
    }

    pub(super) fn get(&mut self, channel: Channel) -> Result<Open, LinkError> {
        if let Some(open) = &self.open[channel as usize] {
            return Ok(open.clone());
        }
        let open = Open::new(self.chip.open(channel)?);
        self.keep(channel, open.clone());
        Ok(open)
    }

    /// Gives back what no wire needs, so that whoever else serves it can.
    fn close_unused(&mut self, channel: Channel) {
        let place = &mut self.open[channel as usize];
        if place.as_ref().is_some_and(|open| !open.is_shared()) {
            *place = None;
        }
    }
}

/// What is driven, and how. Whatever is driven is released when [`Lines::release`] is called or a step fails.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    asserted: Asserted,
    wiring: Option<Wiring>,
}

impl Lines {
    /// Drives one line.
    ///
    /// # Errors
    /// When no wiring can be had, or the board is gone; then nothing is driven.
    pub(crate) fn set(
        &mut self,
        channels: &mut Channels,
        line: Line,
        asserted: bool,
    ) -> Result<(), LinkError> {
        let to = self.asserted.with(line, asserted);
        if to == self.asserted {
            return Ok(());
        }
        let wiring = match self.wiring {
            Some(wiring) => wiring,
            None => choose(channels, to)?,
        };
        self.wiring = Some(wiring);
        for step in steps(wiring, self.asserted, to) {
            if let Err(error) = take(channels, step) {
                self.release(channels);
                return Err(error);
            }
        }
        self.asserted = to;
        if to.is_nothing() {
            self.let_go(channels, wiring);
        }
        Ok(())
    }

    /// Lets go of everything.
    pub(crate) fn release(&mut self, channels: &mut Channels) {
        let Some(wiring) = self.wiring else { return };
        for channel in used_by(wiring) {
            if channels.open[*channel as usize].is_none() {
                continue;
            }
            if let Err(error) = take(channels, Step::Mode(*channel, BitMode::Uart, 0)) {
                tracing::debug!(%error, ?channel, "a line could not be released");
            }
        }
        self.asserted = Asserted::default();
        self.let_go(channels, wiring);
    }

    fn let_go(&mut self, channels: &mut Channels, wiring: Wiring) {
        self.wiring = None;
        // Nobody else has a use for channel B, and opening it takes time.
        let wanted = used_by(wiring).iter().filter(|channel| **channel != Channel::B);
        wanted.for_each(|channel| channels.close_unused(*channel));
    }
}

fn used_by(wiring: Wiring) -> &'static [Channel] {
    match wiring {
        Wiring::KeepConsole => &[Channel::B, Channel::A],
        Wiring::SinglePort => &[Channel::D],
    }
}

/// R1 unless one of its channels cannot be had (`chip-to-pc-and-recovery.md` 1.4).
fn choose(channels: &mut Channels, to: Asserted) -> Result<Wiring, LinkError> {
    let needed: &[Channel] = if to.strap {
        &[Channel::A, Channel::B]
    } else {
        &[Channel::B]
    };
    let lacking = needed.iter().find_map(|channel| channels.get(*channel).err());
    let Some(error) = lacking else {
        return Ok(Wiring::KeepConsole);
    };
    if error == LinkError::Departed {
        return Err(error);
    }
    needed.iter().for_each(|channel| channels.close_unused(*channel));
    tracing::debug!(%error, "the lines are driven by the recovery port");
    match channels.get(Channel::D) {
        Ok(_) => Ok(Wiring::SinglePort),
        // Why the usual way is closed is what can be mended.
        Err(_) => Err(error),
    }
}

fn take(channels: &mut Channels, step: Step) -> Result<(), LinkError> {
    match step {
        Step::Mode(channel, mode, mask) => channels.get(channel)?.lock().set_bit_mode(mode, mask),
        Step::Pins(channel, levels) => channels.get(channel)?.lock().transport.set_pins(levels),
    }
}
