//! The boards: `usb`, `at:DIR` of another process, or `sim:N[,state=S][,seed=S]` inside this one, anew each time.

use std::path::Path;
use std::rc::Rc;

use lineside_device::TrustAnchor;
use lineside_image::TrustList;
use lineside_link::remote::RemoteBench;
use lineside_link::usb::{Places, UsbBench};
use lineside_link::{Bench, Clock};
use lineside_runner::Supplies;
use lineside_simulator::{Pace, Seed, Supplies as Simulated, World, WorldConfig};
use lineside_terms::ManufacturingState;

use crate::station::Station;
use crate::trouble::Failure;

/// The certificate that clients of a simulated bench pin.
const CA_FILE: &str = "ca.pem";

/// What the folder of a simulated bench says of it.
const ABOUT_FILE: &str = "simulated.json";

/// A bench that is open, with whom to trust on it.
pub(crate) struct OpenBench {
    pub(crate) bench: Rc<dyn Bench>,
    pub(crate) clock: Clock,
    pub(crate) anchor: TrustAnchor,
    /// By which the keys of a simulated bench were made. Most commands never need those.
    seed: Option<u64>,
    /// Made for this process: nothing of it is worth keeping.
    pub(crate) is_anew: bool,
}

/// Opens a bench.
pub(crate) async fn open(station: &Station) -> Result<OpenBench, Failure> {
    let name = station.bench();
    let name = name.as_str();
    let clock = Clock::precise();
    if name == "usb" {
        return Ok(OpenBench {
            bench: Rc::new(UsbBench::new(Places::default(), clock.clone())),
            clock,
            anchor: TrustAnchor::azure_sphere(),
            seed: None,
            is_anew: false,
        });
    }
    if let Some(dir) = name.strip_prefix("at:").filter(|dir| !dir.is_empty()) {
        let dir = Path::new(dir);
        let bench = Rc::new(RemoteBench::connect(dir).await?);
        let anchor = match std::fs::read_to_string(dir.join(CA_FILE)) {
            Ok(pem) => anchor_of(&pem)?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => TrustAnchor::azure_sphere(),
            Err(error) => {
                let message = "the bench's certificate cannot be read";
                return Err(Failure::station("station.bench-folder", message, &error));
            }
        };
        return Ok(OpenBench {
            bench,
            clock,
            anchor,
            seed: seed_of(dir),
            is_anew: false,
        });
    }
    let config = name
        .strip_prefix("sim:")
        .map(simulated)
        .unwrap_or_else(|| Err("a bench is `usb`, `sim:N` or `at:DIR`".to_owned()))
        .map_err(|message| {
            Failure::usage(
                "azsphere.bench",
                message,
                "Correct LINESIDE_BENCH or `bench` in azsphere.toml.",
            )
        })?;
    let seed = Some(config.seed);
    let world = start_world(config, clock.clone())?;
    let anchor = anchor_of(world.ca_pem())?;
    Ok(OpenBench {
        bench: Rc::new(world.bench()),
        clock,
        anchor,
        seed,
        is_anew: true,
    })
}

/// The seed of a simulated bench, which its folder tells.
fn seed_of(dir: &Path) -> Option<u64> {
    let about: serde_json::Value = serde_json::from_slice(&std::fs::read(dir.join(ABOUT_FILE)).ok()?).ok()?;
    about["seed"].as_u64()
}

impl OpenBench {
    /// Whose signatures its devices trust, as far as we know, and the means to pack sample images, on simulated benches
    /// only.
    ///
    /// # Errors
    /// When keys cannot be made.
    pub(crate) fn supplies(&self) -> Result<(TrustList, Option<Supplies>), Failure> {
        let Some(seed) = self.seed else {
            return Ok((TrustList::new(), None));
        };
        let simulated = Simulated::new(&Seed::new(seed)).map_err(|error| Failure::of(&error))?;
        let signer = simulated.signing_key().clone();
        Ok((simulated.trust_list().clone(), Some(Supplies { signer })))
    }
}

fn simulated(text: &str) -> Result<WorldConfig, String> {
    let mut parts = text.split(',');
    let boards = parts.next().unwrap_or_default();
    let mut config = WorldConfig {
        boards: boards
            .parse()
            .map_err(|_| "`sim:` needs a number of boards: sim:8".to_owned())?,
        state: ManufacturingState::Module1Complete,
        ..WorldConfig::default()
    };
    for part in parts {
        match part.split_once('=') {
            Some(("state", word)) => config.state = word.parse()?,
            Some(("seed", word)) => {
                config.seed = word.parse().map_err(|_| "a seed is a whole number".to_owned())?;
            }
            Some(("pace", "fast")) => config.pace = Pace::Fast,
            Some(("pace", "real")) => config.pace = Pace::Real,
            _ => {
                return Err(format!(
                    "`{}` is none of state=S, seed=S, pace=fast|real",
                    part.escape_default()
                ));
            }
        }
    }
    Ok(config)
}

fn anchor_of(pem: &str) -> Result<TrustAnchor, Failure> {
    TrustAnchor::from_pem(pem)
        .map_err(|error| Failure::station("station.bench-folder", "the bench's certificate is none", &error))
}

/// Makes a world and lets it live on a thread of its own until the process ends.
fn start_world(config: WorldConfig, clock: Clock) -> Result<World, Failure> {
    let world = World::new(config, clock).map_err(|error| Failure::of(&error))?;
    let life = world.run();
    std::thread::Builder::new()
        .name("simulator".into())
        .spawn(move || match futures::executor::block_on(life) {})
        .map_err(|error| Failure::station("station.no-runtime", "the system gave no thread", &error))?;
    Ok(world)
}
