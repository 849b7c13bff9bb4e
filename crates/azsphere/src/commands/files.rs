//! What needs no device: image packages, versions, settings (reference 4.9, 4.10).

use crate::grammar::{Command, flag, many, one};
use crate::layout::Layout::One;
use crate::profile::In;
use crate::work::Action;

/// Keys of a section have 22 columns after four of indent. The line numbers matter: scripts count them.
const PACKAGE: &str = "Image package metadata:
  Section: Identity
    Image Type:           {Identity.ImageType}
    Component ID:         {Identity.ComponentId}
    Image ID:             {Identity.ImageId}
  Section: Signature
    Signing Type:         {Signature.SigningType}
    Cert:                 {Signature.Cert}
{?Debug}  Section: Debug
{?Debug}    Image Name:           {Debug.ImageName}
{?Debug}    Built On (UTC):       {Debug.BuiltOnUtc}
{?Debug}    Built On (Local):     {Debug.BuiltOnLocal}
{?TemporaryImage}  Section: Temporary Image
{?TemporaryImage}    Remove image at boot: {TemporaryImage.RemoveImageAtBoot|bool}
{?TemporaryImage}    Under development:    {TemporaryImage.UnderDevelopment|bool}
{?AbiDepends}  Section: ABI Depends
{?AbiDepends}    Depends on:           {AbiDepends.DependsOn|list}";

const PACKED: crate::layout::Layout =
    One("Image package '{file}' was created: component ID '{componentId}', image ID '{imageId}'.");

pub(super) const COMMANDS: &[Command] = &[
    Command::new(
        Action::PackageShow,
        &[
            (In::ALL, "image-package show"),
            (In::G1_2019, "image show-package"),
        ],
        "Show what an image package is",
        &[
            one("file", &["--image-package"], "The image package")
                .of(In::NEW)
                .needed(),
            one("file", &["--filepath", "-f"], "The image package")
                .of(In::G1)
                .needed(),
        ],
        &[(In::ALL, One(PACKAGE))],
    ),
    Command::new(
        Action::PackApplication,
        &[
            (In::ALL, "image-package pack-application"),
            (In::G1_2019, "image package-application"),
        ],
        "Make an image package of an application, signed with the station's key",
        &[
            one(
                "input",
                &["--package-directory", "--input"],
                "The folder of the application",
            )
            .of(In::NEW)
            .needed(),
            one(
                "into",
                &["--destination", "--destination-file"],
                "The file to write",
            )
            .of(In::G2)
            .needed(),
            one("into", &["--output-file", "-of"], "The file to write")
                .of(In::G3)
                .needed(),
            one("input", &["--input", "-i"], "The folder of the application")
                .of(In::G1)
                .needed(),
            one("into", &["--output", "-o"], "The file to write")
                .of(In::G1)
                .needed(),
            one("api", &["--sysroot", "-s"], "The target API set").of(In::G1),
            one("api", &["--target-api-set"], "The target API set").of(In::NEW),
            many("executables", &["--executables", "-x"], "Files that can be run"),
            one(
                "hardware",
                &["--hardware-definition", "-h"],
                "The definition of the board, or its folder",
            )
            .of(In::G1),
            many(
                "hardware",
                &["--hardware-definitions"],
                "Folders of definitions of boards",
            )
            .of(In::NEW),
            one(
                "target-hardware",
                &["--target-definition-filename"],
                "The definition of the board in them",
            )
            .of(In::NEW),
            one("manifest", &["--application-manifest", "-a"], "Another manifest").of(In::NEW),
        ],
        &[(In::ALL, PACKED)],
    ),
    Command::new(
        Action::PackBoardConfig,
        &[
            (In::ALL, "image-package pack-board-config"),
            (In::G1_2019, "image package-board-config"),
        ],
        "Give out the package of a board configuration that is kept here",
        &[
            one("preset", &["--preset"], "The name of the configuration").needed(),
            one("into", &["--destination"], "The file to write")
                .of(In::NEW)
                .needed(),
            one("into", &["--output", "-o"], "The file to write")
                .of(In::G1)
                .needed(),
        ],
        &[(In::ALL, PACKED)],
    ),
    Command::new(
        Action::ShowVersion,
        &[
            (In::G1, "show-version"),
            (In::G2, "show-version"),
            (In::G3, "show-sdk-version"),
        ],
        "Tell the version of the SDK that this stands for",
        &[],
        &[(In::G1, One("{Azure Sphere SDK}"))],
    ),
    Command::new(
        Action::Settings,
        &[(In::G2, "setting list")],
        "List the settings",
        &[],
        &[],
    ),
    Command::new(
        Action::Settings,
        &[(In::G2, "setting no-color get"), (In::G2, "setting no-color set")],
        "There is never any colour",
        &[
            flag("enable", &["--enable"], "Taken, and of no effect"),
            flag("disable", &["--disable"], "Taken, and of no effect"),
        ],
        &[],
    ),
];
