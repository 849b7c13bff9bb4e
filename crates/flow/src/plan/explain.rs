//! What a plan will do, in plain words.

use std::fmt;

use lineside_terms::{Effect, StepId};
use serde::Serialize;

use super::{Action, ImageSource, Kind, Plan, Product, RfPolicy, Role, Step, UpdateWhen, WifiSecurity};

/// What a plan will do. `Display` is the text for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Explanation {
    /// The product.
    pub product: String,
    /// What holds for every device, one sentence each.
    pub about: Vec<String>,
    /// The steps, in the order of the file.
    pub steps: Vec<ExplainedStep>,
}

/// What one step will do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct ExplainedStep {
    /// Its name.
    pub id: StepId,
    /// Its kind.
    pub kind: Kind,
    /// What it does, one sentence each.
    pub does: Vec<String>,
    /// What it does to the device.
    pub effect: Effect,
    /// What that effect means after a crash.
    pub after_a_crash: &'static str,
    /// What must be so for it to work.
    pub needs: Vec<String>,
    /// What it undoes of earlier steps.
    pub voids: Vec<String>,
    /// How long one attempt may take, how often it is tried again, what it waits for.
    pub rules: Vec<String>,
}

/// Tells what a plan will do. It tells what the plan says; whether that is sound is for `check` to say.
pub fn explain(plan: &Plan) -> Explanation {
    Explanation {
        product: plan.product.clone(),
        about: about(plan),
        steps: plan
            .steps
            .iter()
            .enumerate()
            .map(|(place, step)| explained(plan, place, step))
            .collect(),
    }
}

fn about(plan: &Plan) -> Vec<String> {
    let mut about = Vec::new();
    let what = match plan.kind {
        Product::Module => "Modules, to be sold to makers of devices; they are never locked",
        Product::Device => "Devices, to be shipped",
    };
    about.push(format!("{what}."));
    about.push(format!(
        "A device may arrive in {} and leaves in {}; one that arrives in another state is stopped at connect.",
        alternatives(&plan.incoming),
        plan.final_state
    ));
    about.push(match plan.rf.policy {
        RfPolicy::Here => "The radio is tested here.".to_owned(),
        RfPolicy::Supplier => {
            "The radio was tested by the supplier of the module; no RF step is done.".to_owned()
        }
        RfPolicy::None => {
            format!(
                "No radio is tested, because: {}",
                plan.rf.because.as_deref().unwrap_or_default()
            )
        }
    });
    about.push(format!(
        "The OS must be {}, as `{}` describes it.",
        alternatives(&plan.os.versions),
        plan.os.list
    ));
    for (name, image) in &plan.images {
        let role = match image.role {
            Role::BoardConfig => "board configuration",
            Role::Application => "application that is shipped",
            Role::Temporary => "test application that is removed again",
        };
        let source = match &image.source {
            ImageSource::File(file) => format!("package `{file}`"),
            ImageSource::Tree(file) => format!("packed from `{file}/` for the simulated bench"),
            ImageSource::Body(file) => format!("packed from `{file}` for the simulated bench"),
        };
        about.push(format!("Image `{name}`: {role}, {source}."));
    }
    if plan.is_for_simulated_benches() {
        about.push("It runs on simulated benches only: images are packed and signed on the spot.".to_owned());
    }
    let extras = [
        (
            "Wi-Fi networks",
            plan.expect
                .wifi
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>(),
        ),
        ("certificates", plan.expect.certificates.iter().cloned().collect()),
        (
            "proxy",
            plan.expect
                .proxy
                .iter()
                .map(|proxy| format!("{}:{}", proxy.address, proxy.port))
                .collect(),
        ),
        (
            "further components",
            plan.expect
                .allowed_components
                .iter()
                .map(ToString::to_string)
                .collect(),
        ),
    ];
    let extras: Vec<String> = extras
        .into_iter()
        .filter(|(_, names)| !names.is_empty())
        .map(|(what, names)| format!("{what} ({})", names.join(", ")))
        .collect();
    about.push(if extras.is_empty() {
        "A finished device holds nothing beyond its OS and these images.".to_owned()
    } else {
        format!("A finished device also holds: {}.", extras.join(", "))
    });
    if let Some(file) = &plan.protected {
        about.push(format!("Devices that `{file}` lists are never written to."));
    }
    for (name, instrument) in &plan.instruments {
        about.push(format!("Instrument `{name}`: {}.", instrument.description));
    }
    about.push(match plan.attempt_limit {
        1 => "A unit is tried once.".to_owned(),
        limit => format!("A unit is tried at most {limit} times."),
    });
    about
}

fn explained(plan: &Plan, place: usize, step: &Step) -> ExplainedStep {
    let mut rules = vec![format!("may take {}", step.timeout)];
    if step.retries > 0 {
        rules.push(format!("is tried {} more if it goes wrong", times(step.retries)));
    }
    let follows_the_file = match place.checked_sub(1) {
        None => step.needs.is_empty(),
        Some(before) => step.needs.len() == 1 && step.needs.contains(&plan.steps[before].id),
    };
    if !follows_the_file {
        rules.push(if step.needs.is_empty() {
            "waits for no other step".to_owned()
        } else {
            format!("waits for {}", quoted(&step.needs))
        });
    }
    if !step.instruments.is_empty() {
        rules.push(format!("holds {} while it runs", quoted(&step.instruments)));
    }
    ExplainedStep {
        id: step.id.clone(),
        kind: step.action.kind(),
        does: does(plan, &step.action),
        effect: step.action.effect(),
        after_a_crash: match step.action.effect() {
            Effect::Reads => "changes nothing; after a crash it is done again",
            Effect::Repeatable => "doing it twice equals doing it once; after a crash it is done again",
            Effect::LookFirst => "after a crash the device is looked at first",
            Effect::Irreversible => "cannot be undone; asked for once, and only with a permit",
        },
        needs: step.action.needs().iter().map(ToString::to_string).collect(),
        voids: step.action.voids().iter().map(ToString::to_string).collect(),
        rules,
    }
}

fn does(plan: &Plan, action: &Action) -> Vec<String> {
    match action {
        Action::OsVersion(_) => vec![format!(
            "Reads the OS version, or finds it by the images that the device holds; it must be {}.",
            alternatives(&plan.os.versions)
        )],
        Action::UpdateOs(update) => {
            let when = match update.when {
                UpdateWhen::OsDiffers => "Unless the device runs it already, writes the OS of",
                UpdateWhen::Always => "Writes the OS of",
            };
            let speed = if update.low_speed { ", at 115 200 baud" } else { "" };
            vec![
                format!(
                    "{when} the recovery set `{}` anew{speed}; everything else on the device is erased.",
                    update.images
                ),
                format!("Then the device has {} to boot.", update.boot_timeout),
            ]
        }
        Action::LoadImage(load) => vec![format!(
            "Loads `{}`; an application starts by itself.",
            load.image
        )],
        Action::FunctionalTest(test) => {
            let mut does = vec![format!(
                "Asks `{}` on TCP port {} for measurements that are made for this run.",
                test.image, test.port
            )];
            does.extend(test.measure.iter().map(|limit| format!("Passes with {limit}.")));
            does
        }
        Action::RemoveImage(remove) => vec![format!("Removes `{}`.", remove.image)],
        Action::WifiTest(test) => {
            let key = match (test.security, &test.psk_env, &test.psk_file) {
                (WifiSecurity::Open, _, _) => "which is open".to_owned(),
                (WifiSecurity::Psk, Some(name), _) => format!("with the key from the variable `{name}`"),
                (WifiSecurity::Psk, None, Some(file)) => format!("with the key from the file `{file}`"),
                (WifiSecurity::Psk, None, None) => "with a key".to_owned(),
            };
            let internet = if test.expect_internet {
                "The device must reach the internet."
            } else {
                "The device must not reach the internet at any moment."
            };
            let end = if test.keep {
                "The network stays stored."
            } else {
                "Then the network is removed again."
            };
            vec![
                format!(
                    "Connects to the Wi-Fi network `{}`, {key}, within {}.",
                    test.ssid, test.connect_timeout
                ),
                internet.to_owned(),
                end.to_owned(),
            ]
        }
        Action::Restart(_) => vec!["Restarts the device.".to_owned()],
        Action::ReadyCheck(_) => {
            vec!["Compares everything that the device tells with what a finished device must be.".to_owned()]
        }
        Action::SetState(set) => vec![format!("Sets the manufacturing state to {}, for good.", set.to)],
        Action::FinalLook(_) => vec![format!(
            "Resets the device by its reset line and looks: same device, {}, nothing open that must be closed.",
            plan.final_state
        )],
    }
}

fn times(count: u32) -> String {
    if count == 1 {
        "once".to_owned()
    } else {
        format!("{count} times")
    }
}

fn alternatives<T: ToString>(items: impl IntoIterator<Item = T>) -> String {
    let items: Vec<String> = items.into_iter().map(|item| item.to_string()).collect();
    if items.is_empty() {
        "(none is named)".to_owned()
    } else {
        items.join(" or ")
    }
}

fn quoted<T: fmt::Display>(items: impl IntoIterator<Item = T>) -> String {
    items
        .into_iter()
        .map(|item| format!("`{item}`"))
        .collect::<Vec<_>>()
        .join(", ")
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.product)?;
        for sentence in &self.about {
            writeln!(f, "  {sentence}")?;
        }
        for (number, step) in self.steps.iter().enumerate() {
            writeln!(f)?;
            writeln!(f, "{:>2}. {} ({})", number + 1, step.id, step.kind)?;
            for sentence in &step.does {
                writeln!(f, "    {sentence}")?;
            }
            writeln!(f, "    effect: {} ({})", step.effect, step.after_a_crash)?;
            for (what, items) in [
                ("needs", &step.needs),
                ("voids", &step.voids),
                ("rules", &step.rules),
            ] {
                if !items.is_empty() {
                    writeln!(f, "    {what}: {}", items.join("; "))?;
                }
            }
        }
        Ok(())
    }
}
