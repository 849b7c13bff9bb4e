//! What is not done here: with the cloud, or not at all. It is known, so that it is told why (reference 4.2, 4.10).

use crate::grammar::Command;
use crate::profile::In;
use crate::work::Action;

const fn cloud(names: &'static [(In, &'static str)], about: &'static str) -> Command {
    Command::elsewhere(Action::Cloud, names, about)
}

pub(super) const COMMANDS: &[Command] = &[
    cloud(&[(In::ALL, "device claim")], "Claim the device"),
    cloud(
        &[
            (In::ALL, "device enable-development"),
            (In::G1_2019, "device prep-debug"),
        ],
        "Get and apply the capability to develop",
    ),
    cloud(
        &[
            (In::ALL, "device enable-cloud-test"),
            (In::G1_2019, "device prep-field"),
        ],
        "Give up the capability to develop",
    ),
    cloud(
        &[(In::ALL, "device capability download")],
        "Fetch a capability file",
    ),
    cloud(
        &[
            (In::ALL, "device update"),
            (In::G3, "device assign"),
            (In::G3, "device unassign"),
        ],
        "Move the device to another group",
    ),
    cloud(
        &[
            (In::ALL, "device show"),
            (In::ALL, "device list"),
            (In::NEW, "device show-count"),
            (In::G1_2019, "device show-ota-config"),
        ],
        "Tell what the cloud knows of devices",
    ),
    cloud(
        &[
            (In::ALL, "device show-deployment-status"),
            (In::G1_2019, "device show-ota-status"),
            (In::ALL, "device image list-targeted"),
        ],
        "Tell what the cloud wants on the device",
    ),
    cloud(
        &[
            (In::ALL, "image add"),
            (In::ALL, "image download"),
            (In::ALL, "image show"),
            (In::G3, "image list"),
        ],
        "Images in the cloud",
    ),
    cloud(
        &[
            (In::ALL, "tenant"),
            (In::G3, "catalog"),
            (In::NEW, "ca-certificate"),
            (In::ALL, "product"),
            (In::ALL, "device-group"),
            (In::G3, "deployment"),
            (In::ALL, "role"),
        ],
        "Everything in the cloud",
    ),
    cloud(
        &[
            (In::ALL, "login"),
            (In::ALL, "logout"),
            (In::ALL, "show-user"),
            (In::ALL, "register-user"),
        ],
        "Who is logged in",
    ),
    Command::elsewhere(
        Action::NotHere,
        &[
            (In::ALL, "get-support-data"),
            (In::ALL, "hardware-definition"),
            (In::G2, "feedback"),
            (In::G2, "interactive"),
        ],
        "Not here",
    ),
];
