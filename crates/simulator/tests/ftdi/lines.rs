//! Reset and strap.

use lineside_link::ftdi::{Asserted, BitMode, Channel, Chip, Step, Wiring, steps};
use lineside_link::{Board as _, Line, LinkError};
use lineside_simulator::ftdi::{Level, Nets};
use lineside_simulator::{BootMode, World};

use crate::hosts::{board, over_both};
use crate::{boot_mode, still};

const RELEASED: Nets = Nets {
    reset: Level::High,
    strap: Level::Low,
};

fn nets(world: &World) -> Nets {
    world
        .usb_port(0)
        .unwrap()
        .with_chip(lineside_simulator::ftdi::InterfaceChip::nets)
}

#[test]
fn a_reset_is_an_ordinary_boot() {
    over_both(still, |world, chip| {
        let mut board = board(world, chip());
        board.set_line(Line::RecoveryStrap, false).unwrap();
        assert_eq!(boot_mode(world), BootMode::Normal);
        board.set_line(Line::Reset, true).unwrap();
        assert_eq!(
            (boot_mode(world), nets(world).reset),
            (BootMode::Held, Level::Low)
        );
        board.set_line(Line::Reset, false).unwrap();
        assert_eq!((boot_mode(world), nets(world)), (BootMode::Normal, RELEASED));
    });
}

#[test]
fn with_the_strap_it_is_recovery_and_the_next_reset_is_ordinary_again() {
    over_both(still, |world, chip| {
        let mut board = board(world, chip());
        for _ in 0..2 {
            board.set_line(Line::RecoveryStrap, true).unwrap();
            assert_eq!(boot_mode(world), BootMode::Normal, "the strap alone does nothing");
            board.set_line(Line::Reset, true).unwrap();
            board.set_line(Line::Reset, false).unwrap();
            assert_eq!(
                (boot_mode(world), nets(world).strap),
                (BootMode::Recovery, Level::High)
            );
            board.set_line(Line::RecoveryStrap, false).unwrap();
            assert_eq!((boot_mode(world), nets(world)), (BootMode::Recovery, RELEASED));
            // R1 leaves the recovery UART alone.
            board.set_line(Line::Reset, true).unwrap();
            board.set_line(Line::Reset, false).unwrap();
            assert_eq!(boot_mode(world), BootMode::Normal);
        }
    });
}

#[test]
fn without_channels_a_or_b_both_lines_go_by_the_recovery_port() {
    for taken in [Channel::A, Channel::B] {
        over_both(still, |world, chip| {
            let _somebody = chip().open(taken).unwrap();
            let mut board = board(world, chip());
            board.set_line(Line::RecoveryStrap, true).unwrap();
            assert_eq!(boot_mode(world), BootMode::Normal, "the strap alone does nothing");
            board.set_line(Line::Reset, true).unwrap();
            assert_eq!(
                nets(world),
                Nets {
                    reset: Level::Low,
                    strap: Level::High
                }
            );
            board.set_line(Line::Reset, false).unwrap();
            assert_eq!(boot_mode(world), BootMode::Recovery);
            board.set_line(Line::RecoveryStrap, false).unwrap();
            assert_eq!(nets(world), RELEASED);
            board.set_line(Line::Reset, true).unwrap();
            board.set_line(Line::Reset, false).unwrap();
            assert_eq!((boot_mode(world), nets(world)), (BootMode::Normal, RELEASED));
        });
    }
}

#[test]
fn without_any_channel_it_is_said_which_one_is_taken() {
    over_both(still, |world, chip| {
        let _somebody = (chip().open(Channel::B).unwrap(), chip().open(Channel::D).unwrap());
        let mut board = board(world, chip());
        assert_eq!(board.set_line(Line::Reset, true), Err(LinkError::PortOpen));
        assert_eq!((boot_mode(world), nets(world)), (BootMode::Normal, RELEASED));
    });
}

#[test]
fn whoever_lets_go_of_the_board_lets_go_of_its_lines() {
    over_both(still, |world, chip| {
        let mut leased = board(world, chip());
        leased.set_line(Line::RecoveryStrap, true).unwrap();
        leased.set_line(Line::Reset, true).unwrap();
        drop(leased);
        assert_eq!(nets(world), RELEASED);
        assert_ne!(boot_mode(world), BootMode::Held);
        // A program that was killed let go of nothing: the next one does it.
        let mut dead = chip().open(Channel::B).unwrap();
        dead.set_bit_mode(BitMode::AsyncBitBang, 0x40).unwrap();
        dead.set_pins(0).unwrap();
        drop(dead);
        assert_eq!(boot_mode(world), BootMode::Held);
        chip().release_lines().unwrap();
        assert_eq!((boot_mode(world), nets(world)), (BootMode::Normal, RELEASED));
    });
}

#[test]
fn a_board_that_is_gone_is_told_of() {
    over_both(still, |world, chip| {
        let mut board = board(world, chip());
        board.set_line(Line::Reset, true).unwrap();
        world.unplug(0).unwrap();
        assert_eq!(board.set_line(Line::Reset, false), Err(LinkError::Departed));
        world.plug(0).unwrap();
        assert_eq!((boot_mode(world), nets(world)), (BootMode::Normal, RELEASED));
    });
}

/// Which lines a single pin drives low or high, over all channels and bits.
#[test]
fn exactly_the_pins_of_the_schematics_drive_reset_and_strap() {
    over_both(still, |world, chip| {
        for channel in [Channel::A, Channel::B, Channel::C, Channel::D] {
            let mut open = chip().open(channel).unwrap();
            for bit in 0..8 {
                let mask = 1 << bit;
                for levels in [0, mask, !mask] {
                    open.set_bit_mode(BitMode::AsyncBitBang, mask).unwrap();
                    open.set_pins(levels).unwrap();
                    let is_high = levels & mask != 0;
                    let has_reset = matches!((channel, bit), (Channel::B | Channel::D, 6));
                    let has_strap = matches!((channel, bit), (Channel::A, 3) | (Channel::D, 5));
                    let expected = Nets {
                        reset: if has_reset && !is_high {
                            Level::Low
                        } else {
                            Level::High
                        },
                        strap: if has_strap && is_high {
                            Level::High
                        } else {
                            Level::Low
                        },
                    };
                    assert_eq!(nets(world), expected, "{channel:?}{bit} {levels:#04x}");
                    open.set_bit_mode(BitMode::Uart, 0).unwrap();
                    assert_eq!(nets(world), RELEASED);
                }
            }
        }
    });
}

/// One thing done wrong, everywhere it is done.
#[derive(Debug, Clone, Copy)]
enum Mistake {
    Channel(Channel, Channel),
    Mask(Channel, u8),
    Polarity(Channel),
    NoPins(Channel),
}

fn with(step: Step, mistake: Option<Mistake>) -> Option<Step> {
    Some(match (step, mistake) {
        (Step::Mode(channel, mode, mask), Some(Mistake::Channel(right, wrong))) if channel == right => {
            Step::Mode(wrong, mode, mask)
        }
        (Step::Pins(channel, levels), Some(Mistake::Channel(right, wrong))) if channel == right => {
            Step::Pins(wrong, levels)
        }
        (Step::Mode(channel, BitMode::AsyncBitBang, _), Some(Mistake::Mask(of, mask))) if channel == of => {
            Step::Mode(channel, BitMode::AsyncBitBang, mask)
        }
        (Step::Pins(channel, levels), Some(Mistake::Polarity(of))) if channel == of => {
            Step::Pins(channel, !levels)
        }
        (Step::Pins(channel, _), Some(Mistake::NoPins(of))) if channel == of => return None,
        (step, _) => step,
    })
}

/// Enters recovery step by step; true when the chip was held in reset, is in recovery and nothing is driven any more.
fn enters_recovery(world: &World, chip: &dyn Chip, wiring: Wiring, mistake: Option<Mistake>) -> bool {
    let mut open: Vec<_> = Channel::ALL
        .iter()
        .map(|channel| chip.open(*channel).unwrap())
        .collect();
    let mut now = Asserted::default();
    let mut was_held = false;
    let sequence = [
        (Line::RecoveryStrap, true),
        (Line::Reset, true),
        (Line::Reset, false),
        (Line::RecoveryStrap, false),
    ];
    for (line, asserted) in sequence {
        let next = now.with(line, asserted);
        for step in steps(wiring, now, next)
            .into_iter()
            .filter_map(|step| with(step, mistake))
        {
            match step {
                Step::Mode(channel, mode, mask) => open[channel as usize].set_bit_mode(mode, mask).unwrap(),
                Step::Pins(channel, levels) => open[channel as usize].set_pins(levels).unwrap(),
            }
        }
        was_held |= boot_mode(world) == BootMode::Held && next.reset;
        now = next;
    }
    was_held && boot_mode(world) == BootMode::Recovery && nets(world) == RELEASED
}

#[test]
fn a_wrong_channel_mask_or_level_does_not_enter_recovery() {
    let mistakes = |wiring| -> Vec<Mistake> {
        let (used, masks): (&[Channel], &[u8]) = match wiring {
            Wiring::KeepConsole => (&[Channel::A, Channel::B], &[0x08, 0x40]),
            Wiring::SinglePort => (&[Channel::D], &[0x60]),
        };
        let mut mistakes = Vec::new();
        for (of, right) in used.iter().zip(masks) {
            mistakes.push(Mistake::Polarity(*of));
            if *of != Channel::B {
                // A chip that was never told drives low, which is what reset wants.
                mistakes.push(Mistake::NoPins(*of));
            }
            mistakes.extend(
                (0..=255u8)
                    .filter(|mask| mask & right != *right)
                    .map(|mask| Mistake::Mask(*of, mask)),
            );
            // B and D each have a copy of reset on the same bit.
            let other = Channel::ALL
                .into_iter()
                .filter(|other| other != of && !(*of == Channel::B && *other == Channel::D));
            mistakes.extend(other.map(|other| Mistake::Channel(*of, other)));
        }
        mistakes
    };
    over_both(still, |world, chip| {
        for wiring in [Wiring::KeepConsole, Wiring::SinglePort] {
            for mistake in mistakes(wiring) {
                // Every attempt has a fresh board.
                world.unplug(0).unwrap();
                world.plug(0).unwrap();
                assert!(
                    !enters_recovery(world, chip().as_ref(), wiring, Some(mistake)),
                    "{wiring:?} {mistake:?}"
                );
            }
            world.unplug(0).unwrap();
            world.plug(0).unwrap();
            assert!(
                enters_recovery(world, chip().as_ref(), wiring, None),
                "{wiring:?}"
            );
        }
    });
}
