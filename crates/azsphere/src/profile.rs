//! What differs between the generations of the vendor's command, as data. Nothing else asks which one it is.
//!
//! | profile | stands for |
//! |---|---|
//! | `g1-2019` | the classic `azsphere` up to 19.x, with its trailer after every command |
//! | `g1` | the classic `azsphere` of 20.01 to 22.02 |
//! | `g2` | `azsphere` from 20.11 on, "CLI v2" |
//! | `g3` | `az sphere`, the extension of the Azure CLI |

use crate::grammar::{Opt, flag, one};

/// A set of profiles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct In(pub(crate) u8);

impl In {
    pub(crate) const G1_2019: Self = Self(1);
    pub(crate) const G1_2020: Self = Self(2);
    pub(crate) const G1: Self = Self(3);
    pub(crate) const G2: Self = Self(4);
    pub(crate) const G3: Self = Self(8);
    /// Those with an output format.
    pub(crate) const NEW: Self = Self(12);
    pub(crate) const OLDEST_AND_NEW: Self = Self(13);
    pub(crate) const ALL: Self = Self(15);

    pub(crate) const fn has(self, one: Self) -> bool {
        self.0 & one.0 != 0
    }
}

/// How an answer is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// Lines for people, as the command has them; a table when it has none.
    Text,
    Json,
    Jsonc,
    Table,
    Tsv,
    Yaml,
    None,
}

impl Format {
    /// The word of `-o`. `yamlc` is `yaml` in colour, and colour is never used.
    pub(crate) fn of(word: &str) -> Option<Self> {
        Some(match word {
            "json" => Self::Json,
            "jsonc" => Self::Jsonc,
            "table" => Self::Table,
            "tsv" => Self::Tsv,
            "yaml" | "yamlc" => Self::Yaml,
            "none" => Self::None,
            _ => return None,
        })
    }
}

/// How tables are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TableStyle {
    /// Dashes above, below and between rows, `=` under the headers.
    Ruled,
    /// Headers, dashes, rows.
    Simple,
}

/// How names of options are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Spelling {
    /// `--imagepackage`, in any case; with hyphens too.
    OneWord,
    /// `--image-package`; a beginning that only one option has is enough.
    Kebab,
}

/// When `Command completed …` is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trailer {
    Always,
    WhenVerbose,
    Never,
}

/// Where errors go, and what they begin with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Errors {
    pub(crate) prefix: &'static str,
    pub(crate) warning: &'static str,
    /// On standard output, where the wrappers of that time read them.
    pub(crate) on_stdout: bool,
}

/// Exit codes. Zero is success in all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Exits {
    pub(crate) failure: u8,
    pub(crate) not_responding: u8,
    pub(crate) usage: u8,
    /// What was to be shown is not there.
    pub(crate) missing: u8,
}

/// One generation.
#[derive(Debug)]
pub(crate) struct Profile {
    pub(crate) name: &'static str,
    pub(crate) of: In,
    /// How scripts call it.
    pub(crate) program: &'static str,
    pub(crate) about: &'static str,
    pub(crate) spelling: Spelling,
    /// Short names of command groups.
    pub(crate) aliases: &'static [(&'static str, &'static str)],
    pub(crate) globals: &'static [Opt],
    pub(crate) format: Format,
    pub(crate) table: TableStyle,
    pub(crate) trailer: Trailer,
    pub(crate) errors: Errors,
    pub(crate) exits: Exits,
    /// What is said of a device that does not answer.
    pub(crate) not_responding: &'static str,
    /// The version that `show-version` tells unless the station says another one.
    pub(crate) sdk_version: &'static str,
    /// How a wrong word among the commands is told, and an option that is missing or unknown.
    pub(crate) usage: UsageStyle,
}

/// How wrong arguments are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum UsageStyle {
    /// `'x' is not a valid value for the 'Operation' command line option.`
    Operation,
    /// `azsphere device: error: …`
    Argparse,
}

const ALIASES: &[(&str, &str)] = &[
    ("dev", "device"),
    ("dg", "device-group"),
    ("img", "image"),
    ("pkg", "image-package"),
    ("prd", "product"),
    ("hwd", "hardware-definition"),
    ("sl", "sideload"),
    ("edv", "enable-development"),
    ("ect", "enable-cloud-test"),
    ("cap", "capability"),
    ("mfg", "manufacturing-state"),
    ("dep", "deployment"),
];

const GLOBALS_OLD: &[Opt] = &[
    flag("help", &["--help", "-?"], "Show this text"),
    flag("verbose", &["--verbose", "-v"], "Tell more"),
    flag("verbose", &["-diag"], "Tell even more"),
    one("ip", &["--deviceip", "-ip"], "The device with this IP address"),
    one(
        "slot",
        &["--devicelocation", "-l"],
        "The device at this connection path",
    ),
];

const GLOBALS_NEW: &[Opt] = &[
    flag("help", &["--help", "-h"], "Show this text"),
    flag("version", &["--version"], "Show the version"),
    flag("verbose", &["--verbose"], "Tell more on standard error"),
    flag("verbose", &["--debug"], "Tell even more on standard error"),
    flag("quiet", &["--only-show-errors"], "No warnings"),
    one(
        "output",
        &["--output", "-o"],
        "json, jsonc, none, table, tsv, yaml or yamlc",
    ),
    one(
        "query",
        &["--query"],
        "A JMESPath expression over the JSON answer",
    ),
    one(
        "device",
        &["--device", "-d"],
        "A device: its id, IP address or connection path",
    ),
];

const GLOBALS_AZ: &[Opt] = &[
    flag("help", &["--help", "-h"], "Show this text"),
    flag("version", &["--version"], "Show the version"),
    flag("verbose", &["--verbose"], "Tell more on standard error"),
    flag("verbose", &["--debug"], "Tell even more on standard error"),
    flag("quiet", &["--only-show-errors"], "No warnings"),
    one(
        "output",
        &["--output", "-o"],
        "json, jsonc, none, table, tsv, yaml or yamlc",
    ),
    one(
        "query",
        &["--query"],
        "A JMESPath expression over the JSON answer",
    ),
    one(
        "device",
        &["--device", "-d"],
        "A device: its id, IP address or connection path",
    ),
    one("subscription", &["--subscription"], "Taken, and of no effect"),
    flag(
        "policy-token",
        &["--acquire-policy-token"],
        "Taken, and of no effect",
    ),
    one(
        "change-reference",
        &["--change-reference"],
        "Taken, and of no effect",
    ),
];

const OLD: Profile = Profile {
    name: "g1",
    of: In::G1_2020,
    program: "azsphere",
    about: "the classic azsphere of 20.01 to 22.02",
    spelling: Spelling::OneWord,
    aliases: ALIASES,
    globals: GLOBALS_OLD,
    format: Format::Text,
    table: TableStyle::Simple,
    trailer: Trailer::WhenVerbose,
    errors: Errors {
        prefix: "error: ",
        warning: "warn: ",
        on_stdout: true,
    },
    exits: Exits {
        failure: 1,
        not_responding: 2,
        usage: 1,
        missing: 1,
    },
    not_responding: NOT_RESPONDING,
    sdk_version: "22.02",
    usage: UsageStyle::Operation,
};

const NOT_RESPONDING: &str = "The device is not responding. The device may be unresponsive if it is applying an Azure \
                              Sphere operating system update; please retry in a few minutes.";

const NEW: Profile = Profile {
    name: "g2",
    of: In::G2,
    program: "azsphere",
    about: "azsphere from 20.11 on, CLI v2",
    spelling: Spelling::Kebab,
    aliases: &[],
    globals: GLOBALS_NEW,
    format: Format::Text,
    table: TableStyle::Ruled,
    trailer: Trailer::Never,
    errors: Errors {
        prefix: "ERROR: ",
        warning: "WARNING: ",
        on_stdout: false,
    },
    exits: Exits {
        failure: 1,
        not_responding: 1,
        usage: 2,
        missing: 3,
    },
    not_responding: NOT_RESPONDING,
    sdk_version: "24.3.0.0",
    usage: UsageStyle::Argparse,
};

/// All profiles, the newest last.
pub(crate) static PROFILES: [Profile; 4] = [
    Profile {
        name: "g1-2019",
        of: In::G1_2019,
        about: "the classic azsphere up to 19.x",
        trailer: Trailer::Always,
        not_responding: "Could not connect to the device.",
        sdk_version: "19.10",
        ..OLD
    },
    OLD,
    NEW,
    Profile {
        name: "g3",
        of: In::G3,
        program: "az sphere",
        about: "az sphere, the extension of the Azure CLI",
        globals: GLOBALS_AZ,
        format: Format::Json,
        table: TableStyle::Simple,
        ..NEW
    },
];

/// The names by which the program can be called, each with the profiles that are tried in turn.
const CALLED: [(&str, &[&str]); 5] = [
    ("azsphere_v1", &["g1"]),
    ("azsphere_v2", &["g2"]),
    ("az", &["g3"]),
    ("az-sphere", &["g3"]),
    // A script of either generation may have called it so.
    ("azsphere", &["g2", "g1"]),
];

/// The profile with this name.
pub(crate) fn named(name: &str) -> Option<&'static Profile> {
    PROFILES
        .iter()
        .find(|profile| profile.name.eq_ignore_ascii_case(name))
}

/// The profiles that a program of this name may mean, the likeliest first. Another name means the same as `azsphere`.
pub(crate) fn called(program: &str) -> Vec<&'static Profile> {
    let file = program.rsplit(['/', '\\']).next().unwrap_or(program);
    let lower = file.to_ascii_lowercase();
    let stem = [".exe", ".cmd"]
        .iter()
        .find_map(|end| lower.strip_suffix(end))
        .unwrap_or(&lower);
    let names = CALLED
        .iter()
        .find(|(name, _)| *name == stem)
        .unwrap_or(&CALLED[4])
        .1;
    names.iter().filter_map(|name| named(name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_chooses_the_generation() {
        let names = |program: &str| {
            let called = called(program);
            called.iter().map(|profile| profile.name).collect::<Vec<_>>()
        };
        assert_eq!(names("/opt/azurespheresdk/Links/azsphere_v1"), ["g1"]);
        assert_eq!(names("C:\\Sphere\\Tools_v2\\wbin\\AzSphere_V2.exe"), ["g2"]);
        assert_eq!(names("az.cmd"), ["g3"]);
        assert_eq!(names("azsphere"), ["g2", "g1"]);
        assert_eq!(names("renamed"), ["g2", "g1"]);
    }
}
