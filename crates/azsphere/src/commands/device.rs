//! Who is attached, what it is, what it may (reference 4.1, 4.3, 4.4).

use crate::grammar::{Command, Stages, flag, one};
use crate::layout::Layout::{Each, One};
use crate::profile::In;
use crate::work::Action;

const ATTACHED: crate::layout::Layout = Each {
    none: "No attached devices",
    head: "{#} device{s} attached:",
    each: "--> Device ID: {deviceIdentifier}\n  --> Is responsive: {isResponsive|yesno}\n  \
           --> IP address: {ipAddress}\n  --> Connection path: {connectionPath}",
    between: "",
};

/// Up to 19.x (reference 5.3, R1).
const RECOVERY_2019: Stages = &[
    (
        "begun",
        "Starting device recovery. Please note that this may take up to 10 minutes.",
    ),
    ("found", "Board found. Sending recovery bootloader."),
    ("erasing", "Erasing flash."),
    ("sending", "Sending images."),
    ("image", "Sending image {k} of {images}."),
    ("written", "Finished writing images; rebooting board."),
];

/// From 20.01 on (reference 5.3, R2).
const RECOVERY: Stages = &[
    (
        "begun",
        "Starting device recovery. Please note that this may take up to 10 minutes.",
    ),
    ("found", "Board found. Sending recovery bootloader."),
    ("erasing", "Erasing flash."),
    ("sending", "Sending {images} images. ({bytes} bytes to send)"),
    (
        "sent",
        "Sent {k} of {images} images. ({rest} of {bytes} bytes remaining)",
    ),
    ("written", "Finished writing images; rebooting board."),
];

pub(super) const COMMANDS: &[Command] = &[
    Command::new(
        Action::ListAttached,
        &[(In::ALL, "device list-attached")],
        "List the devices that are attached",
        &[],
        &[(In::ALL, ATTACHED)],
    ),
    Command::new(
        Action::ListAttached,
        &[(In::ALL, "device rescan-attached")],
        "List the devices that are attached; nothing needs to be looked for anew",
        &[],
        &[(In::ALL, ATTACHED)],
    ),
    Command::new(
        Action::ShowAttached,
        &[(In::ALL, "device show-attached")],
        "Tell which device is attached",
        &[],
        &[(
            In::ALL,
            One("Device ID: {deviceIdentifier}\nIP address: {ipAddress}\nConnection path: {connectionPath}"),
        )],
    ),
    Command::new(
        Action::OsVersion,
        &[(In::ALL, "device show-os-version")],
        "Tell the version of the device's operating system",
        &[],
        &[(
            In::ALL,
            One("Your device is running Azure Sphere OS version {osversion}."),
        )],
    ),
    Command::new(
        Action::Restart,
        &[(In::ALL, "device restart")],
        "Restart the device and wait until it is back",
        &[],
        &[(In::ALL, One("Restarting device.\nDevice restarted successfully."))],
    ),
    Command::new(
        Action::Recover,
        &[(In::ALL, "device recover")],
        "Write the operating system anew",
        &[
            one("images", &["--images"], "The folder of the images, or their ZIP"),
            one("capability", &["--capability", "-c"], "A capability file"),
        ],
        &[(
            In::ALL,
            One("Device ID: {deviceIdentifier}\nDevice recovered successfully."),
        )],
    )
    .telling(&[(In::G1_2019, RECOVERY_2019), (In::ALL, RECOVERY)])
    .failing("Device recovery failed: {error}"),
    Command::new(
        Action::Capabilities,
        &[(In::ALL, "device capability show-attached")],
        "List the capabilities of the device",
        &[],
        &[(
            In::ALL,
            Each {
                none: "No device capabilities.",
                head: "Device capabilities:",
                each: "    {}",
                between: "",
            },
        )],
    ),
    Command::new(
        Action::SelectCapability,
        &[
            (In::ALL, "device capability select"),
            (In::G3, "device capability apply"),
        ],
        "Use a capability file for what comes next, or none any more",
        &[
            one("file", &["--capability-file", "-p"], "The capability file"),
            one("file", &["--filepath", "-f"], "The capability file").of(In::G1),
            flag("none", &["--none", "-n"], "Use none any more"),
        ],
        &[(
            In::ALL,
            One(
                "{?file}The capability file '{file}' is used for device ID '{device}'.\n{!file}No capability file is used.",
            ),
        )],
    ),
    Command::new(
        Action::UpdateCapability,
        &[(In::ALL, "device capability update")],
        "Store a capability file on the device, until another one is stored",
        &[
            one("file", &["--capability-file", "-p"], "The capability file")
                .of(In::NEW)
                .needed(),
            one("file", &["--filepath", "-f"], "The capability file").of(In::G1).needed(),
        ],
        &[(
            In::ALL,
            One(
                "Applying device capability configuration to device.\nSuccessfully applied device capability configuration \
                 to device.\n{?rebooting}The device is rebooting.",
            ),
        )],
    )
    .failing("The device did not accept the device capability configuration. {error}"),
    Command::new(
        Action::State,
        &[(In::ALL, "device manufacturing-state show")],
        "Tell the device's manufacturing state",
        &[],
        &[(In::ALL, One("Manufacturing state: {manufacturingState}"))],
    ),
    Command::new(
        Action::SetState,
        &[(In::ALL, "device manufacturing-state update")],
        "Bring the device to another manufacturing state: this cannot be undone",
        &[one("state", &["--state", "-s"], "The state to bring it to")
            .needed()
            .among(&["DeviceComplete", "Module1Complete"])],
        &[(In::ALL, One("Manufacturing state: {manufacturingState}"))],
    ),
];
