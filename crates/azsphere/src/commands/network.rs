//! Interfaces, proxy, certificates (reference 4.8). No text of these was ever captured.

use crate::grammar::{Command, Opt, flag, many, one};
use crate::layout::Layout::{self, Each, One};
use crate::profile::In;
use crate::work::Action;

const INTERFACE: Opt = one(
    "interface",
    &["--interface", "-i"],
    "The interface, for instance eth0",
)
.needed();

const CERTIFICATE: Opt = one("certificate", &["--certificate", "-c"], "The certificate's id").of(In::NEW);
const CERTIFICATE_OLD: Opt = one("certificate", &["--cert-id"], "The certificate's id");

const INTERFACE_TEXT: &str = "Interface name      : {interfaceName}\nInterface up        : {interfaceUp|bool}\n\
                              Connected to network: {connectedToNetwork|bool}\n\
                              IP acquired         : {ipAcquired|bool}\n\
                              Connected to internet: {connectedToInternet|bool}\n\
                              IP addresses        : {ipAddresses|list}\n\
                              Hardware address    : {hardwareAddress}\nIP assignment       : {ipAssignment}";

const INTERFACES: &[(In, Layout)] = &[(
    In::ALL,
    Each {
        none: "No interfaces found.",
        head: "",
        each: INTERFACE_TEXT,
        between: "\n",
    },
)];

const CERTIFICATE_TEXT: &[(In, Layout)] = &[(
    In::ALL,
    One(
        "Certificate ID      : {id}\nSubject name        : {subjectName}\nIssuer name         : {issuerName}\n\
         Not before          : {notBefore}\nNot after           : {notAfter}",
    ),
)];

const PROXY_TEXT: &[(In, Layout)] = &[(
    In::ALL,
    One(
        "{!address}No proxy is configured.\n{?address}Address             : {address}\n\
         {?address}Port                : {port}\n{?address}Enabled             : {enabled|bool}\n\
         {?address}Authentication type : {authenticationType}\n{?username}User name           : {username}\n\
         {?address}No proxy addresses  : {noProxyAddresses|list}",
    ),
)];

pub(super) const COMMANDS: &[Command] = &[
    Command::new(
        Action::Interfaces,
        &[(In::ALL, "device network list-interfaces")],
        "List the interfaces",
        &[],
        INTERFACES,
    ),
    Command::new(
        Action::NetStatus,
        &[(In::ALL, "device network show-status")],
        "Tell how the network is",
        &[],
        &[(
            In::ALL,
            One(
                "Device authentication is ready : {deviceAuthenticationIsReady|bool}\n\
                 Network time sync              : {networkTimeSync}\n\
                 Proxy                          : {proxy}",
            ),
        )],
    ),
    Command::new(
        Action::Firewall,
        &[(In::ALL, "device network list-firewall-rules")],
        "List the firewall's rules",
        &[],
        &[],
    ),
    Command::new(
        Action::Diagnostics,
        &[(In::ALL, "device network show-diagnostics")],
        "Tell why Wi-Fi networks do not connect",
        &[
            one("id", &["--network", "-n"], "The number of the network").of(In::NEW),
            one("id", &["--id", "-i"], "The number of the network").of(In::G1),
        ],
        &[(
            In::ALL,
            Each {
                none: "No diagnostics.",
                head: "",
                each: "Timestamp           : {timestamp}\nNetwork ID          : {networkId}\n\
                       SSID                : {ssid}\nConfiguration state : {configState}\n\
                       Connection state    : {connectionState}\nError               : {error}",
                between: "\n",
            },
        )],
    ),
    Command::new(
        Action::InterfaceUp,
        &[(In::ALL, "device network enable")],
        "Bring an interface up",
        &[INTERFACE],
        INTERFACES,
    ),
    Command::new(
        Action::InterfaceDown,
        &[(In::ALL, "device network disable")],
        "Bring an interface down",
        &[INTERFACE],
        INTERFACES,
    ),
    Command::new(
        Action::InterfaceAddress,
        &[(In::ALL, "device network update-interface")],
        "Set the hardware address of an Ethernet interface",
        &[
            one(
                "interface",
                &["--interface", "--interface-name", "-i"],
                "The interface",
            )
            .needed(),
            one("address", &["--hardware-address", "-a"], "The hardware address").needed(),
        ],
        INTERFACES,
    ),
    Command::new(
        Action::ProxyShow,
        &[(In::NEW, "device network proxy show")],
        "Show the proxy",
        &[],
        PROXY_TEXT,
    ),
    Command::new(
        Action::ProxyApply,
        &[(In::NEW, "device network proxy apply")],
        "Set the proxy",
        &[
            one("address", &["--address", "-a"], "Its address").needed(),
            one("port", &["--port", "-r"], "Its port").needed(),
            one("authentication", &["--authentication", "-t"], "How to log in")
                .needed()
                .among(&["anonymous", "basic"]),
            one("username", &["--username", "-u"], "The user"),
            one("password", &["--password", "-p"], "The password"),
            many(
                "direct",
                &["--no-proxy-addresses", "-n"],
                "Addresses that are reached without it",
            ),
            flag("enable", &["--enable"], "Use it at once, as without"),
            flag("disable", &["--disable"], "Store it and do not use it"),
        ],
        PROXY_TEXT,
    ),
    Command::new(
        Action::ProxyDelete,
        &[(In::NEW, "device network proxy delete")],
        "Delete the proxy",
        &[],
        &[(In::ALL, One("Successfully deleted the proxy."))],
    ),
    Command::new(
        Action::ProxyEnable,
        &[(In::G3, "device network proxy enable")],
        "Use the proxy",
        &[],
        PROXY_TEXT,
    ),
    Command::new(
        Action::ProxyDisable,
        &[(In::G3, "device network proxy disable")],
        "Do not use the proxy",
        &[],
        PROXY_TEXT,
    ),
    Command::new(
        Action::CertificateAdd,
        &[(In::ALL, "device certificate add")],
        "Store a certificate",
        &[
            CERTIFICATE,
            CERTIFICATE_OLD,
            one("type", &["--cert-type", "-t"], "What it is")
                .needed()
                .among(&["client", "rootca"]),
            one(
                "public",
                &["--public-key-file", "--pub-key-file-path", "-p"],
                "The certificate, in PEM",
            )
            .needed(),
            one(
                "private",
                &["--private-key-file", "--priv-key-file-path"],
                "The private key, in PEM",
            ),
            one(
                "password",
                &["--private-key-password", "--priv-key-password", "-w"],
                "The private key's pass-phrase",
            ),
        ],
        CERTIFICATE_TEXT,
    ),
    Command::new(
        Action::Certificates,
        &[(In::ALL, "device certificate list")],
        "List the stored certificates",
        &[],
        &[(
            In::ALL,
            Each {
                none: "No certificates found.",
                head: "",
                each: "{id}",
                between: "",
            },
        )],
    ),
    Command::new(
        Action::CertificateShow,
        &[(In::ALL, "device certificate show")],
        "Show a stored certificate",
        &[CERTIFICATE, CERTIFICATE_OLD],
        CERTIFICATE_TEXT,
    ),
    Command::new(
        Action::CertificateDelete,
        &[(In::ALL, "device certificate delete")],
        "Delete a stored certificate",
        &[CERTIFICATE, CERTIFICATE_OLD],
        &[(In::ALL, One("Successfully deleted certificate '{id}'."))],
    ),
    Command::new(
        Action::CertificateSpace,
        &[(In::ALL, "device certificate show-quota")],
        "Tell how much room is left for certificates",
        &[],
        &[(In::ALL, One("Available space     : {AvailableSpace} bytes"))],
    ),
];
