//! Wi-Fi networks (reference 4.7, 5.7).

use crate::grammar::{Command, Opt, flag, one};
use crate::layout::Layout::{self, Each, One};
use crate::profile::In;
use crate::work::Action;

const ID: Opt = one("id", &["--id", "-i"], "The number of the network").needed();

/// One network. Labels have twenty columns.
const NETWORK: &str = "ID                  : {id}\nSSID                : {ssid}\n\
                       Configuration state : {configState}\nConnection state    : {connectionState}\n\
                       Security state      : {securityState}\nTargeted scan       : {targetedScan|bool}";

const SHOW: &[(In, Layout)] = &[(In::ALL, One(NETWORK))];

pub(super) const COMMANDS: &[Command] = &[
    Command::new(
        Action::WifiAdd,
        &[(In::ALL, "device wifi add")],
        "Store a network",
        &[
            one("ssid", &["--ssid", "-s"], "Its SSID").needed(),
            one("psk", &["--psk", "-p"], "Its pre-shared key"),
            one("psk", &["--key"], "Its pre-shared key").of(In::G1_2019),
            flag(
                "targeted",
                &["--targeted-scan"],
                "Look for it even if it is hidden",
            ),
            one("config-name", &["--config-name"], "A name for it"),
            one(
                "client-cert",
                &["--client-cert-id"],
                "The client certificate for EAP-TLS",
            ),
            one(
                "client-id",
                &["--client-id"],
                "The identity for EAP-TLS, user@domain",
            ),
            one(
                "root-ca",
                &["--root-ca-cert-id"],
                "The root certificate for EAP-TLS",
            ),
        ],
        &[(
            In::ALL,
            One(
                "Add network succeeded:\nID                  : {id}\nSSID                : {ssid}\n\
                 Configuration state : {configState}\nConnection state    : {connectionState}\n\
                 Security state      : {securityState}\nTargeted scan       : {targetedScan|bool}\n",
            ),
        )],
    ),
    Command::new(
        Action::WifiList,
        &[(In::ALL, "device wifi list")],
        "List the stored networks",
        &[],
        &[(
            In::ALL,
            Each {
                none: "No networks found.",
                head: "",
                each: NETWORK,
                between: "\n",
            },
        )],
    ),
    Command::new(
        Action::WifiShow,
        &[(In::ALL, "device wifi show")],
        "Show one stored network",
        &[ID],
        SHOW,
    ),
    Command::new(
        Action::WifiEnable,
        &[(In::ALL, "device wifi enable")],
        "Let the device use a network",
        &[ID],
        SHOW,
    ),
    Command::new(
        Action::WifiDisable,
        &[(In::ALL, "device wifi disable")],
        "Keep the device from using a network",
        &[ID],
        SHOW,
    ),
    Command::new(
        Action::WifiForget,
        &[
            (In::ALL, "device wifi forget"),
            (In::G1_2019, "device wifi delete"),
        ],
        "Delete a network",
        &[ID],
        &[(In::ALL, One("Successfully removed network"))],
    ),
    Command::new(
        Action::WifiStatus,
        &[(In::ALL, "device wifi show-status")],
        "Tell how the Wi-Fi interface is",
        &[],
        &[(
            In::ALL,
            One(
                "SSID                : {ssid}\nConfiguration state : {configState}\n\
                 Connection state    : {connectionState}\nSecurity state      : {securityState}\n\
                 Frequency           : {freq}\nMode                : {mode}\nKey management      : {key_mgmt}\n\
                 WPA State           : {wpa_state}\nIP Address          : {ip_address}\n\
                 MAC Address         : {address}",
            ),
        )],
    ),
    Command::new(
        Action::WifiScan,
        &[(In::ALL, "device wifi scan")],
        "List the networks in reach",
        &[],
        &[(
            In::ALL,
            Each {
                none: "No networks found.",
                head: "",
                each: "SSID                : {ssid}\nSecurity state      : {securityState}\n\
                       BSSID               : {bssid}\nSignal level        : {signal_level}\n\
                       Frequency           : {freq}",
                between: "\n",
            },
        )],
    ),
    Command::new(
        Action::WifiReload,
        &[(In::ALL, "device wifi reload-config")],
        "Let the device read its Wi-Fi configuration anew",
        &[],
        &[(In::ALL, One("Successfully reloaded the Wi-Fi configuration."))],
    ),
];
