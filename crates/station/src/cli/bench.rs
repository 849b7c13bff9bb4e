//! `--bench`: which boards there are.
//!
//! | name | boards |
//! |---|---|
//! | `usb` | real ones on this PC |
//! | `sim:N[,state=S][,seed=S][,pace=fast\|real]` | N simulated ones inside this process, new each time |
//! | `at:DIR` | those that another Lineside process lends there, simulated or real |

use std::fmt;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::str::FromStr;

use lineside_device::{SessionConfig, TrustAnchor};
use lineside_image::{Signer, TrustList};
use lineside_link::remote::RemoteBench;
use lineside_link::usb::{Places, UsbBench};
use lineside_link::{Bench, Clock};
use lineside_runner::Supplies;
use lineside_simulator::{Pace, Seed, Supplies as Simulated, World, WorldConfig};
use lineside_terms::ManufacturingState;
use serde::{Deserialize, Serialize};

use super::trouble::Trouble;

/// The certificate that clients of a simulated bench pin.
pub(crate) const CA_FILE: &str = "ca.pem";

/// What other processes need to know of a simulated bench.
pub(crate) const ABOUT_FILE: &str = "simulated.json";

/// Says of a folder that its bench is simulated, and by which seed its keys were made.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct About {
    pub(crate) version: u32,
    pub(crate) seed: u64,
}

/// A bench as it is named on the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum BenchName {
    Usb,
    Sim {
        boards: usize,
        state: ManufacturingState,
        seed: u64,
        pace: Pace,
    },
    At(PathBuf),
}

impl FromStr for BenchName {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        if text == "usb" {
            return Ok(Self::Usb);
        }
        if let Some(dir) = text.strip_prefix("at:") {
            return if dir.is_empty() {
                Err("`at:` needs a folder: at:DIR".to_owned())
            } else {
                Ok(Self::At(dir.into()))
            };
        }
        let Some(sim) = text.strip_prefix("sim:") else {
            return Err("a bench is `usb`, `sim:N` or `at:DIR`".to_owned());
        };
        let mut parts = sim.split(',');
        let boards = parts.next().unwrap_or_default();
        let boards = boards
            .parse()
            .map_err(|_| "`sim:` needs a number of boards: sim:8".to_owned())?;
        let (mut state, mut seed, mut pace) = (ManufacturingState::Module1Complete, 1, Pace::Fast);
        for part in parts {
            match part.split_once('=') {
                Some(("state", word)) => state = word.parse()?,
                Some(("seed", word)) => {
                    seed = word.parse().map_err(|_| "a seed is a whole number".to_owned())?
                }
                Some(("pace", word)) => pace = pace_of(word)?,
                _ => {
                    return Err(format!(
                        "`{}` is none of state=S, seed=S, pace=fast|real",
                        part.escape_default()
                    ));
                }
            }
        }
        Ok(Self::Sim {
            boards,
            state,
            seed,
            pace,
        })
    }
}

/// `fast` or `real`.
pub(crate) fn pace_of(word: &str) -> Result<Pace, String> {
    match word {
        "fast" => Ok(Pace::Fast),
        "real" => Ok(Pace::Real),
        _ => Err("a pace is `fast` or `real`".to_owned()),
    }
}

impl fmt::Display for BenchName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usb => f.write_str("usb"),
            Self::Sim {
                boards,
                state,
                seed,
                pace,
            } => {
                let pace = if *pace == Pace::Fast { "fast" } else { "real" };
                write!(f, "sim:{boards},state={state},seed={seed},pace={pace}")
            }
            Self::At(dir) => write!(f, "at:{}", dir.display()),
        }
    }
}

/// A bench that is open, with what belongs to it.
pub(crate) struct OpenBench {
    pub(crate) bench: Rc<dyn Bench>,
    pub(crate) clock: Clock,
    /// Whom to trust on it.
    pub(crate) anchor: TrustAnchor,
    /// Whose signatures its devices trust, as far as we know.
    pub(crate) trust: TrustList,
    /// The means to pack sample images, on simulated benches only.
    pub(crate) supplies: Option<Supplies>,
    /// The certificate that was made for a bench inside this process.
    pub(crate) made_for: Option<String>,
}

impl OpenBench {
    /// How devices on it are reached, at this wall time.
    pub(crate) fn session(&self, wall_ms: i64) -> SessionConfig {
        SessionConfig {
            anchor: self.anchor.clone(),
            ..SessionConfig::new(wall_ms)
        }
    }
}

/// What plans can use that run on a bench, without opening it: enough to check a plan.
pub(crate) fn supplies_of(name: &BenchName) -> Result<(TrustList, Option<Supplies>), Trouble> {
    match name {
        BenchName::Usb => Ok((TrustList::new(), None)),
        BenchName::Sim { seed, .. } => simulated(*seed),
        BenchName::At(dir) => match about(dir)? {
            Some(about) => simulated(about.seed),
            None => Ok((TrustList::new(), None)),
        },
    }
}

fn simulated(seed: u64) -> Result<(TrustList, Option<Supplies>), Trouble> {
    let simulated = Simulated::new(&Seed::new(seed))?;
    let signer: Signer = simulated.signing_key().clone();
    Ok((simulated.trust_list().clone(), Some(Supplies { signer })))
}

/// What a folder says of a simulated bench; `None` when it holds another kind.
fn about(dir: &Path) -> Result<Option<About>, Trouble> {
    let text = match std::fs::read_to_string(dir.join(ABOUT_FILE)) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => {
            return Err(Trouble::station(
                "station.bench-folder",
                "the folder of the bench cannot be read",
                &error,
            ));
        }
    };
    serde_json::from_str(&text).map(Some).map_err(|error| {
        Trouble::station(
            "station.bench-folder",
            "the folder of the bench holds something else",
            &error,
        )
    })
}

fn anchor_of(pem: &str) -> Result<TrustAnchor, Trouble> {
    TrustAnchor::from_pem(pem)
        .map_err(|error| Trouble::station("station.bench-folder", "the bench's certificate is none", &error))
}

/// Opens a bench.
pub(crate) async fn open(name: &BenchName) -> Result<OpenBench, Trouble> {
    let (trust, supplies) = supplies_of(name)?;
    let clock = Clock::precise();
    Ok(match name {
        BenchName::Usb => OpenBench {
            bench: Rc::new(UsbBench::new(Places::default(), clock.clone())),
            clock,
            anchor: TrustAnchor::azure_sphere(),
            trust,
            supplies,
            made_for: None,
        },
        BenchName::At(dir) => {
            let bench = Rc::new(RemoteBench::connect(dir).await?);
            let anchor = match std::fs::read_to_string(dir.join(CA_FILE)) {
                Ok(pem) => anchor_of(&pem)?,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => TrustAnchor::azure_sphere(),
                Err(error) => {
                    return Err(Trouble::station(
                        "station.bench-folder",
                        "the bench's certificate cannot be read",
                        &error,
                    ));
                }
            };
            OpenBench {
                bench,
                clock,
                anchor,
                trust,
                supplies,
                made_for: None,
            }
        }
        BenchName::Sim {
            boards,
            state,
            seed,
            pace,
        } => {
            let config = WorldConfig {
                boards: *boards,
                seed: *seed,
                pace: *pace,
                state: *state,
                ..WorldConfig::default()
            };
            let world = start_world(config, clock.clone())?;
            let anchor = anchor_of(world.ca_pem())?;
            OpenBench {
                bench: Rc::new(world.bench()),
                clock,
                anchor,
                trust,
                supplies,
                made_for: Some(world.ca_pem().to_owned()),
            }
        }
    })
}

/// What [`ABOUT_FILE`] says of a bench with this seed.
pub(crate) fn about_of(seed: u64) -> String {
    serde_json::to_string(&About { version: 1, seed }).expect("two numbers are always JSON")
}

/// The boards of a bridge that runs on this PC: this user's, else the system's. What a bridge left behind that is gone
/// does not count.
pub(crate) fn of_running_bridge() -> Option<BenchName> {
    lineside_link::remote::running_bridge().map(BenchName::At)
}

/// Makes a world and lets it live on a thread of its own until the process ends.
pub(crate) fn start_world(config: WorldConfig, clock: Clock) -> Result<World, Trouble> {
    let world = World::new(config, clock)?;
    let life = world.run();
    std::thread::Builder::new()
        .name("simulator".into())
        .spawn(move || match futures::executor::block_on(life) {})
        .map_err(|error| Trouble::station("station.no-runtime", "the system gave no thread", &error))?;
    Ok(world)
}
