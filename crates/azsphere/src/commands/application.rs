//! Loading software and what runs of it (reference 4.5, 4.6).

use super::{COMPONENT, EXCEPT};
use crate::grammar::{Command, flag, one};
use crate::layout::Layout::{Each, One};
use crate::profile::In;
use crate::work::Action;

pub(super) const COMMANDS: &[Command] = &[
    Command::new(
        Action::Deploy,
        &[(In::ALL, "device sideload deploy")],
        "Load an image package into the device",
        &[
            one("package", &["--image-package", "-p"], "The image package").needed(),
            flag("manual", &["--manual-start", "-m"], "Do not start it"),
            flag("force", &["--force"], "Taken, and of no effect: nothing is asked"),
        ],
        &[(
            In::ALL,
            One("Deploying '{package}' to the attached device.\n\
                 Image package '{package}' has been deployed to the attached device.\n\
                 {?manual}The application was not started automatically. To start it, use 'azsphere device app start'."),
        )],
    )
    .failing("Could not deploy application to device: {error}"),
    Command::new(
        Action::Delete,
        &[(In::ALL, "device sideload delete")],
        "Delete what was loaded: one component, or all",
        &[COMPONENT, EXCEPT],
        &[(
            In::ALL,
            Each {
                none: "No components to delete.",
                head: "",
                each: "Component '{componentId}' deleted.",
                between: "",
            },
        )],
    ),
    Command::new(
        Action::SetTimeout,
        &[(In::NEW, "device sideload set-deployment-timeout")],
        "Set how long loading may take",
        &[one("value", &["--value", "-v"], "Seconds").needed()],
        &[(In::ALL, One("The deployment timeout is {timeoutInSeconds} seconds."))],
    ),
    Command::new(
        Action::Timeout,
        &[(In::NEW, "device sideload show-deployment-timeout")],
        "Tell how long loading may take",
        &[],
        &[(In::ALL, One("The deployment timeout is {timeoutInSeconds} seconds."))],
    ),
    Command::new(
        Action::AppStart,
        &[(In::ALL, "device app start")],
        "Start an application",
        &[
            COMPONENT,
            flag("debug", &["--debug-mode"], "Start it under the debugger"),
            flag("debug", &["--debug"], "Start it under the debugger").of(In::G1),
        ],
        STATUS,
    )
    .failing("Could not start component '{component}': {error}"),
    Command::new(
        Action::AppStop,
        &[(In::ALL, "device app stop")],
        "Stop an application",
        &[COMPONENT],
        STATUS,
    )
    .failing("Could not stop component '{component}': {error}"),
    Command::new(
        Action::AppStatus,
        &[
            (In::ALL, "device app show-status"),
            (In::G1_2019, "device sideload show-status"),
        ],
        "Tell whether applications run",
        &[COMPONENT],
        STATUS,
    ),
    Command::new(
        Action::AppQuota,
        &[(In::ALL, "device app show-quota")],
        "Tell how much storage applications use",
        &[COMPONENT],
        &[(
            In::ALL,
            Each {
                none: "No applications are present on the device.",
                head: "",
                each: "{componentId}: Usage: {UsageKB} KB, Limit: {LimitKB} KB",
                between: "",
            },
        )],
    ),
    Command::new(
        Action::Memory,
        &[(In::ALL, "device app show-memory-stats")],
        "Tell how much memory applications use",
        &[],
        &[(
            In::ALL,
            One("Current memory usage  : {currentMemoryUsageInBytes} bytes\n\
                 User mode memory usage: {userModeMemoryUsageInBytes} bytes\n\
                 Peak user mode usage  : {peakUserModeMemoryUsageInBytes} bytes"),
        )],
    ),
    Command::new(
        Action::Images,
        &[(In::ALL, "device image list-installed")],
        "List the software of the device",
        &[
            flag("full", &["--full"], "The operating system too").of(In::G1),
            flag("full", &["--full", "-f"], "The operating system too").of(In::NEW),
            flag("full", &["--all"], "The operating system too").of(In::G3),
        ],
        &[(
            In::ALL,
            Each {
                none: "No installed images.",
                head: "Installed images:",
                each: " --> {name}\n   --> Image type:   {type}\n   --> Component ID: {componentId}\n   \
                       --> Image ID:     {imageId}",
                between: "",
            },
        )],
    ),
];

const STATUS: &[(In, crate::layout::Layout)] = &[
    (
        In::OLDEST_AND_NEW,
        Each {
            none: NO_APPLICATION,
            head: "",
            each: ONE_LINE,
            between: "",
        },
    ),
    (
        In::G1_2020,
        Each {
            none: NO_APPLICATION,
            head: "",
            each: TWO_LINES,
            between: "\n",
        },
    ),
];

const NO_APPLICATION: &str = "No applications are present on the device.";

/// A debugged application has its ports, whatever the dialect.
const ONE_LINE: &str = "{!gdbPort}{componentId}: App state: {state}\n{?gdbPort}{componentId}:\n\
                        {?gdbPort}App state   : {state}\n{?gdbPort}GDB port    : {gdbPort}\n\
                        {?gdbPort}Output port : {outPort}";

const TWO_LINES: &str = "{componentId}\n{!gdbPort}App state: {state}\n{?gdbPort}App state   : {state}\n\
                         {?gdbPort}GDB port    : {gdbPort}\n{?gdbPort}Output port : {outPort}";
