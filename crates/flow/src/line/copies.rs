//! Copies of an engine, for searches that try what can happen in every order. The feature is off in every product: two
//! engines that go on from one state could each give a permit for the same act.

use super::Effect;
use super::react::Due;

impl Clone for Due {
    fn clone(&self) -> Self {
        match self {
            Self::Ready(effect) => Self::Ready(copy_of(effect)),
            Self::Act { slot, run, key } => Self::Act {
                slot: slot.clone(),
                run: *run,
                key: *key,
            },
        }
    }
}

fn copy_of(effect: &Effect) -> Effect {
    match effect {
        Effect::Identify { slot, epoch, cause } => Effect::Identify {
            slot: slot.clone(),
            epoch: *epoch,
            cause: *cause,
        },
        Effect::Reset { slot, epoch } => Effect::Reset {
            slot: slot.clone(),
            epoch: *epoch,
        },
        Effect::Perform {
            slot,
            epoch,
            run,
            device,
            step,
            attempt,
            is_again,
        } => Effect::Perform {
            slot: slot.clone(),
            epoch: *epoch,
            run: *run,
            device: *device,
            step: *step,
            attempt: *attempt,
            is_again: *is_again,
        },
        Effect::ReadFacts { slot, epoch, run } => Effect::ReadFacts {
            slot: slot.clone(),
            epoch: *epoch,
            run: *run,
        },
        Effect::Stop { slot } => Effect::Stop { slot: slot.clone() },
        Effect::Release { slot } => Effect::Release { slot: slot.clone() },
        Effect::Act { .. } | Effect::NotActed { .. } => {
            unreachable!("these are made when the receipt is there, and given away at once")
        }
    }
}
