//! From the pins of the interface chip to the pins of the other (`chip-to-pc-and-recovery.md` 1.2).

/// What a net or a pin is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Logic high.
    High,
    /// Logic low.
    Low,
    /// Two drive against each other through equal resistors: neither.
    Between,
}

/// What one pin of the interface chip does: drives a level, or nothing.
pub(super) type Drive = Option<bool>;

/// The two nets that decide how the other chip starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Nets {
    /// `SYSRST_N`: low holds the chip in reset.
    pub reset: Level,
    /// `DEBUG_RTS`, which is sampled as the recovery strap when reset is released: high means recovery.
    pub strap: Level,
}

/// Pins by channel (0 is A) and bit.
const A3: (usize, u8) = (0, 3);
const B6: (usize, u8) = (1, 6);
const D5: (usize, u8) = (3, 5);
const D6: (usize, u8) = (3, 6);

const fn level(is_high: bool) -> Level {
    if is_high { Level::High } else { Level::Low }
}

impl Nets {
    /// What follows from what each pin drives.
    pub(super) fn of(drive: impl Fn(usize, u8) -> Drive) -> Self {
        let drive = |(channel, bit)| drive(channel, bit);
        Self {
            // B6 and D6 each through a resistor of their own; a weak pull-up.
            reset: match (drive(B6), drive(D6)) {
                (None, None) => Level::High,
                (Some(one), None) | (None, Some(one)) => level(one),
                (Some(one), Some(other)) if one == other => level(one),
                (Some(_), Some(_)) => Level::Between,
            },
            // A3 is wired straight to it, D5 through 2.2 kOhm; a pull-down.
            strap: match (drive(A3), drive(D5)) {
                (Some(straight), _) => level(straight),
                (None, Some(through)) => level(through),
                (None, None) => Level::Low,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nets(driven: &[((usize, u8), bool)]) -> Nets {
        Nets::of(|channel, bit| {
            driven
                .iter()
                .find(|(pin, _)| *pin == (channel, bit))
                .map(|(_, level)| *level)
        })
    }

    #[test]
    fn nets_follow_the_schematics() {
        let released = Nets {
            reset: Level::High,
            strap: Level::Low,
        };
        assert_eq!(nets(&[]), released);
        assert_eq!(nets(&[(B6, false)]).reset, Level::Low);
        assert_eq!(nets(&[(D6, false)]).reset, Level::Low);
        assert_eq!(nets(&[(B6, true), (D6, false)]).reset, Level::Between);
        assert_eq!(nets(&[(A3, true)]).strap, Level::High);
        assert_eq!(nets(&[(D5, true)]).strap, Level::High);
        assert_eq!(nets(&[(A3, false), (D5, true)]).strap, Level::Low);
        // Neighbours lead elsewhere.
        assert_eq!(
            nets(&[
                ((0, 2), true),
                ((1, 5), false),
                ((2, 6), false),
                ((3, 4), true),
                ((3, 7), false)
            ]),
            released
        );
    }
}
