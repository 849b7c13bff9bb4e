//! How reset and recovery strap are driven: which channel gets which bit mode and which byte, in which order.
//!
//! The two wirings are those of `chip-to-pc-and-recovery.md` 1.4; how long a line is held is said by whoever asks for
//! it. Leaving bit-bang releases every line, so that nothing stays asserted that nobody holds.

use super::{BitMode, Channel};
use crate::Line;

/// Which pins are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Wiring {
    /// R1: the strap by channel A, reset by channel B. The recovery UART stays one.
    KeepConsole,
    /// R2: both by channel D, whose UART says nothing meanwhile.
    SinglePort,
}

/// CTS# of channel A, wired straight to the strap (`chip-to-pc-and-recovery.md` 1.2).
const STRAP_ON_A: u8 = 0x08;
/// DCD# of channel B, one copy of reset.
const RESET_ON_B: u8 = 0x40;
/// DSR# of channel D, the strap.
const STRAP_ON_D: u8 = 0x20;
/// DCD# of channel D, the other copy of reset.
const RESET_ON_D: u8 = 0x40;

/// What is asserted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Asserted {
    /// The chip is held in reset: its line is low.
    pub reset: bool,
    /// The strap says recovery: it is high.
    pub strap: bool,
}

impl Asserted {
    /// What it becomes when a line changes.
    pub const fn with(self, line: Line, asserted: bool) -> Self {
        match line {
            Line::Reset => Self {
                reset: asserted,
                ..self
            },
            Line::RecoveryStrap => Self {
                strap: asserted,
                ..self
            },
        }
    }

    /// True when nothing is driven.
    pub const fn is_nothing(self) -> bool {
        !self.reset && !self.strap
    }
}

/// One thing to do with a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Change its bit mode.
    Mode(Channel, BitMode, u8),
    /// Put a byte on its pins.
    Pins(Channel, u8),
}

/// What leads from one state of the lines to another. Nothing when they are equal.
pub fn steps(wiring: Wiring, from: Asserted, to: Asserted) -> Vec<Step> {
    match wiring {
        Wiring::KeepConsole => keep_console(from, to),
        Wiring::SinglePort => single_port(from, to),
    }
}

fn keep_console(from: Asserted, to: Asserted) -> Vec<Step> {
    use Step::{Mode, Pins};
    let mut steps = Vec::new();
    // The strap is sampled when reset is released: it is driven before, and let go of after.
    if to.strap && !from.strap {
        steps.push(Mode(Channel::A, BitMode::AsyncBitBang, STRAP_ON_A));
        steps.push(Pins(Channel::A, STRAP_ON_A));
    }
    if to.reset && !from.reset {
        steps.push(Mode(Channel::B, BitMode::AsyncBitBang, RESET_ON_B));
        steps.push(Pins(Channel::B, 0));
    }
    if from.reset && !to.reset {
        steps.push(Pins(Channel::B, RESET_ON_B));
        steps.push(Mode(Channel::B, BitMode::Uart, 0));
    }
    if from.strap && !to.strap {
        steps.push(Mode(Channel::A, BitMode::Uart, 0));
    }
    steps
}

fn single_port(from: Asserted, to: Asserted) -> Vec<Step> {
    use Step::{Mode, Pins};
    const BOTH: u8 = STRAP_ON_D | RESET_ON_D;
    let strap = |asserted: Asserted| if asserted.strap { STRAP_ON_D } else { 0 };
    let mut steps = Vec::new();
    if from == to {
        return steps;
    }
    if to.reset {
        if !from.reset {
            steps.push(Mode(Channel::D, BitMode::AsyncBitBang, BOTH));
        }
        steps.push(Pins(Channel::D, strap(to)));
    } else {
        if from.reset {
            // The strap stays while reset is let go of, whatever it is to be next.
            steps.push(Pins(Channel::D, strap(from) | RESET_ON_D));
        }
        if to.strap && !from.reset {
            // The strap alone: reset must not be touched.
            steps.push(Mode(Channel::D, BitMode::AsyncBitBang, STRAP_ON_D));
            steps.push(Pins(Channel::D, STRAP_ON_D));
        }
        if !to.strap {
            steps.push(Mode(Channel::D, BitMode::Uart, 0));
        }
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;
    use Step::{Mode, Pins};

    const NOTHING: Asserted = Asserted {
        reset: false,
        strap: false,
    };

    /// The steps for a sequence of `set_line`, from nothing.
    fn sequence(wiring: Wiring, lines: &[(Line, bool)]) -> Vec<Vec<Step>> {
        let mut now = NOTHING;
        let mut all = Vec::new();
        for (line, asserted) in lines {
            let next = now.with(*line, *asserted);
            all.push(steps(wiring, now, next));
            now = next;
        }
        all
    }

    const RESET: [(Line, bool); 3] = [
        (Line::RecoveryStrap, false),
        (Line::Reset, true),
        (Line::Reset, false),
    ];
    const RECOVER: [(Line, bool); 4] = [
        (Line::RecoveryStrap, true),
        (Line::Reset, true),
        (Line::Reset, false),
        (Line::RecoveryStrap, false),
    ];

    #[test]
    fn golden_r1() {
        let reset = [
            vec![
                Mode(Channel::B, BitMode::AsyncBitBang, 0x40),
                Pins(Channel::B, 0x00),
            ],
            vec![Pins(Channel::B, 0x40), Mode(Channel::B, BitMode::Uart, 0)],
        ];
        let told = sequence(Wiring::KeepConsole, &RESET);
        assert_eq!((&told[0], &told[1..]), (&vec![], &reset[..]));
        let told = sequence(Wiring::KeepConsole, &RECOVER);
        assert_eq!(
            told[0],
            [
                Mode(Channel::A, BitMode::AsyncBitBang, 0x08),
                Pins(Channel::A, 0x08)
            ]
        );
        assert_eq!(&told[1..3], &reset);
        assert_eq!(told[3], [Mode(Channel::A, BitMode::Uart, 0)]);
    }

    #[test]
    fn golden_r2() {
        let told = sequence(Wiring::SinglePort, &RECOVER);
        assert_eq!(
            told[0],
            [
                Mode(Channel::D, BitMode::AsyncBitBang, 0x20),
                Pins(Channel::D, 0x20)
            ]
        );
        assert_eq!(
            told[1],
            [
                Mode(Channel::D, BitMode::AsyncBitBang, 0x60),
                Pins(Channel::D, 0x20)
            ]
        );
        assert_eq!(told[2], [Pins(Channel::D, 0x60)]);
        assert_eq!(told[3], [Mode(Channel::D, BitMode::Uart, 0)]);
        let told = sequence(Wiring::SinglePort, &RESET);
        assert_eq!(
            told[1],
            [
                Mode(Channel::D, BitMode::AsyncBitBang, 0x60),
                Pins(Channel::D, 0x00)
            ]
        );
        assert_eq!(
            told[2],
            [Pins(Channel::D, 0x40), Mode(Channel::D, BitMode::Uart, 0)]
        );
    }
}
