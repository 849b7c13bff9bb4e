//! The operating system of one device, written anew. What is done, and to which device it may be done, is the runner's
//! recovery: the same that `lineside recover` has.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use lineside_device::recovery::{Capability, FIRST_BOOT, Recovery, RecoveryProgress};
use lineside_flow::{RecoveryOutcome, Shift};
use lineside_image::ImageSet;
use lineside_protocol::recovery::host::Phase;
use lineside_runner::image_sets::{self, ImageSets, SetName};
use lineside_runner::recover::{FIRST_LOOK, Notice, Order, recover};
use lineside_runner::{Cancel, by_hand};
use lineside_terms::{Blame, DeviceId};
use serde_json::{Value, json};

use super::hold::{self, Target};
use super::{Done, Job, files, journal};
use crate::trouble::{Failure, Kind};
use crate::{bench, screen};

/// Writes the OS of the device that is meant anew.
pub(super) async fn os(job: &Job<'_>) -> Result<Done, Failure> {
    let target = Target::of(job)?;
    let name = set_name(job)?;
    let capabilities = capability(job)?;
    let bench = bench::open(job.station).await?;
    let (trust, _) = bench.supplies()?;
    let set = ImageSets::in_data(&job.station.folder).set(&name, &trust)?;
    let protected = job.station.protected()?;
    let (chosen, notes) = hold::choose(job, &bench, &target).await?;
    let order = Order {
        os: set.os().map(str::to_owned),
        releases: image_sets::releases_beside(&set),
        slots: vec![chosen.board.slot],
        recovery: Recovery::new(Arc::new(set.clone())),
        capabilities,
        protected,
        first_look: FIRST_LOOK,
        boot_ceiling: FIRST_BOOT,
        trace: None,
    };
    let shift = Shift {
        operator: Some(journal::operator()),
        ..Shift::default()
    };
    let mut journal = journal::open(job, &bench, shift)?;
    let cancel = Cancel::default();
    stop_on_ctrl_c(&cancel);
    let teller = RefCell::new(Teller::new(job, &set));
    teller.borrow_mut().tell("begun", &json!({}));
    let summary = recover(
        journal.place,
        order,
        journal.history,
        &mut journal.keeper,
        &cancel,
        |notice| match notice {
            Notice::Durable(_) => {}
            Notice::Progress(_, progress) => teller.borrow_mut().progress(progress),
            Notice::Ended(ended) if ended.outcome == RecoveryOutcome::Recovered => teller.borrow_mut().all(),
            Notice::Ended(_) => {}
        },
    )
    .await?;
    // Everything is durable; a journal that failed has said so.
    drop(journal.keeper.close());
    if let Some(told) = summary.store_error {
        return Err(Failure::told(told));
    }
    let Some(ended) = summary.boards.into_iter().next() else {
        return Err(nothing_came_of_it());
    };
    match (ended.outcome, ended.error, ended.device) {
        (RecoveryOutcome::Recovered, None, Some(device)) => Ok(Done {
            answer: json!({
                "deviceIdentifier": device.to_string().to_uppercase(),
                "osversion": ended.os,
            }),
            notes,
        }),
        (_, Some(told), _) => Err(Failure::told(told)),
        _ => Err(nothing_came_of_it()),
    }
}

fn nothing_came_of_it() -> Failure {
    Failure::new(
        Kind::Failed,
        Blame::Station,
        "run.cancelled",
        "somebody asked to stop",
        "Run the same command again. `lineside recover` tells which devices need recovery.",
    )
}

/// The set that is named, or the station's. Nothing is fetched: the vendor's server is not there for ever.
fn set_name(job: &Job<'_>) -> Result<SetName, Failure> {
    let named = job.values.get("images");
    let usual = job.station.configuration.recovery_images.as_deref();
    let Some(name) = named.or(usual) else {
        return Err(Failure::new(
            Kind::Failed,
            Blame::Station,
            "azsphere.no-images",
            "Unable to download recovery images for chip 'mt3620an'",
            "Nothing is fetched from a network here. Name the folder or the ZIP of the images with --images, or one for good as \
             `recovery-images` in azsphere.toml.",
        ));
    };
    let set = name.parse::<SetName>().map_err(|error| {
        Failure::usage(
            "azsphere.parameter",
            format!("`{}` names no images: {error}", name.escape_default()),
            "Name a folder, a ZIP, or `set:` with the first digits of a set's hash.",
        )
    })?;
    Ok(match set {
        // In the configuration it stands beside that file.
        SetName::Path(path) if named.is_none() => SetName::Path(job.station.folder.join(path)),
        other => other,
    })
}

/// The capability file, for the device that it names and no other.
fn capability(job: &Job<'_>) -> Result<BTreeMap<DeviceId, Capability>, Failure> {
    let mut all = BTreeMap::new();
    if let Some(file) = job.values.get("capability") {
        let path = Path::new(file);
        let bytes = files::read(path, "the capability file")?;
        let device = by_hand::capability(&bytes)
            .map(|(_, device)| device)
            .map_err(|told| files::wrong(path, Failure::told(told)))?;
        all.insert(device, Capability(bytes.into()));
    }
    Ok(all)
}

/// The first Ctrl-C leaves a board alone that is not erased yet, and finishes one that is. The second ends the process.
fn stop_on_ctrl_c(cancel: &Cancel) {
    let cancel = cancel.clone();
    tokio::task::spawn_local(async move {
        lineside_link::asked_to_stop().await;
        cancel.ask();
        lineside_link::asked_to_stop().await;
        stop_process();
    });
}

#[expect(
    clippy::exit,
    reason = "a second Ctrl-C means now; a kill at any moment is safe by design"
)]
fn stop_process() -> ! {
    std::process::exit(INTERRUPTED)
}

/// How a command ends that was interrupted.
const INTERRUPTED: i32 = 130;

/// Prints the lines of the stages, each once and in order, whatever was not seen of them.
struct Teller<'a> {
    job: &'a Job<'a>,
    sizes: Vec<u64>,
    /// How many of [`ORDER`] were told.
    stages: usize,
    /// Images of which it was told that they are sent, and that they begin.
    sent: usize,
    begun: usize,
}

/// What is told before the first image, with the phase that it belongs to.
const ORDER: [(&str, Phase); 3] = [
    ("found", Phase::Booting),
    ("erasing", Phase::Erasing),
    ("sending", Phase::Writing),
];

impl<'a> Teller<'a> {
    fn new(job: &'a Job<'a>, set: &ImageSet) -> Self {
        let entries = &set.manifest().entries;
        Self {
            job,
            sizes: entries.iter().map(|entry| u64::from(entry.file_size)).collect(),
            stages: 0,
            sent: 0,
            begun: 0,
        }
    }

    fn tell(&mut self, stage: &str, values: &Value) {
        if let Some(line) = self.job.stage(stage, values) {
            screen::result(&line);
        }
    }

    fn progress(&mut self, progress: RecoveryProgress) {
        self.up_to(progress.phase);
        if progress.phase >= Phase::Writing {
            self.images(usize::try_from(progress.images).unwrap_or(usize::MAX));
        }
    }

    fn up_to(&mut self, phase: Phase) {
        while let Some((stage, _)) = ORDER.get(self.stages).filter(|(_, of)| phase >= *of) {
            self.stages += 1;
            self.tell(stage, &self.values(0));
        }
    }

    /// So many images are done.
    fn images(&mut self, done: usize) {
        let count = self.sizes.len();
        while self.begun < count.min(done + 1) {
            self.begun += 1;
            self.tell("image", &self.values(self.begun));
            if self.begun > 1 {
                self.sent_one();
            }
        }
        while self.sent < count.min(done) {
            self.sent_one();
        }
    }

    fn sent_one(&mut self) {
        self.sent += 1;
        self.tell("sent", &self.values(self.sent));
    }

    /// Everything is written.
    fn all(&mut self) {
        self.up_to(Phase::Over);
        self.images(self.sizes.len());
        self.tell("written", &json!({}));
    }

    fn values(&self, k: usize) -> Value {
        let bytes: u64 = self.sizes.iter().sum();
        let sent: u64 = self.sizes.iter().take(k).sum();
        json!({ "k": k, "images": self.sizes.len(), "bytes": bytes, "rest": bytes - sent })
    }
}
