//! What a person is told of a device in hand: its refusals, with what it needs, and what to do in the words of this command.

use lineside_device::DeviceError;
use lineside_protocol::rest::{Authorizer, HandlerNeed};
pub(super) use lineside_runner::by_hand::Hand;
use lineside_runner::by_hand::HandError;
use lineside_terms::{Blame, Told};

/// What stands against it.
pub(super) fn of_hand(error: HandError) -> Told {
    let help = match &error {
        HandError::NoApplication => "Install one with `lineside device sideload deploy`.",
        HandError::WhichApplication { .. } => {
            "Name one with --component; `lineside device images` lists them."
        }
        HandError::Device(error) => return explain(error.clone()),
        _ => return error.into(),
    };
    Told {
        help: help.to_owned(),
        ..error.into()
    }
}

/// A device's refusal, with what it needs as the protocol's table has it.
pub(super) fn explain(error: DeviceError) -> Told {
    let plain = Told::of(&error);
    let DeviceError::Status {
        operation,
        status: 403,
        ..
    } = error
    else {
        return plain;
    };
    let spec = operation.spec();
    let help = match (spec.authorizer, spec.handler) {
        (Authorizer::AppDevelopment, _) | (_, HandlerNeed::AppDevelopment) => {
            "This needs appDevelopment: name a capability file for this device with --capability."
        }
        (Authorizer::RestAllowed, _) => {
            "The device is locked: name a fieldServicing or appDevelopment file for it with --capability."
        }
        (Authorizer::Open, _) => return plain,
    };
    Told {
        help: help.to_owned(),
        ..plain
    }
}

pub(super) fn told(code: &str, message: String, help: &str, blame: Blame) -> Told {
    Told {
        code: code.to_owned(),
        message,
        help: help.to_owned(),
        blame,
    }
}
