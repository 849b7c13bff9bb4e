//! The folder `evidence` beside the journal: the station's key, its checkpoints, and where they were brought.

use std::fs;
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use lineside_image::SigningKey;
use lineside_records::{
    Checkpoint, Head, RealDisk, SealKey, Sealer, Signature, parse_checkpoints, point_at, tip,
};
use lineside_terms::Blame;

use crate::cli::data;
use crate::cli::exit::Exit;
use crate::cli::output::Printer;
use crate::cli::trouble::Trouble;

/// The files of a data folder that are evidence and not journal.
pub(crate) struct Store {
    data: PathBuf,
    folder: PathBuf,
}

impl Store {
    pub(crate) fn of(data: &Path) -> Self {
        Self {
            data: data.to_owned(),
            folder: data.join("evidence"),
        }
    }

    fn key_file(&self) -> PathBuf {
        self.folder.join("station-key.pem")
    }

    /// The public half, for those who check: written beside the key when that is made.
    pub(crate) fn public_key_file(&self) -> PathBuf {
        self.folder.join("station-key.pub.pem")
    }

    pub(crate) fn checkpoint_file(&self) -> PathBuf {
        self.folder.join("checkpoints.txt")
    }

    pub(crate) fn others_file(&self) -> PathBuf {
        self.folder.join("other-stations.txt")
    }

    pub(crate) fn anchored_file(&self) -> PathBuf {
        self.folder.join("anchored.txt")
    }

    /// The station's public key, if it has one.
    pub(crate) fn public_key(&self) -> Option<SealKey> {
        SealKey::from_text(&fs::read_to_string(self.public_key_file()).ok()?).ok()
    }

    /// The key of this station, made at its first use.
    pub(crate) fn key(&self, printer: &Printer) -> Result<FileKey, Trouble> {
        let path = self.key_file();
        let failed = |error: &dyn std::fmt::Display| {
            Trouble::station(
                "station.key-file",
                &format!("the station's key {} cannot be used", path.display()),
                error,
            )
        };
        match fs::read_to_string(&path) {
            Ok(pem) => SigningKey::from_pem(&pem)
                .map(FileKey)
                .map_err(|error| failed(&error)),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                fs::create_dir_all(&self.folder).map_err(|error| failed(&error))?;
                let key = new_key()?;
                lineside_link::write_private(&path, key.to_pem().as_bytes())
                    .map_err(|error| failed(&error))?;
                let key = FileKey(key);
                fs::write(self.public_key_file(), key.key().to_pem()).map_err(|error| failed(&error))?;
                printer.note(&format!(
                    "note: made the key {} of this station; it lives in {}",
                    key.key().short(),
                    key.kept_in()
                ));
                Ok(key)
            }
            Err(error) => Err(failed(&error)),
        }
    }

    /// The checkpoints of this station, oldest first. A line that a crash left unfinished is passed over.
    pub(crate) fn checkpoints(&self) -> Result<Vec<Checkpoint>, Trouble> {
        let text = read_if_any(&self.checkpoint_file())?;
        Ok(parse_checkpoints(&text, true)?)
    }

    /// Signs the journal's point at this event, or at its end, and writes the checkpoint down. One that is there
    /// already is given again. `None` before the first event.
    pub(crate) fn checkpoint(
        &self,
        at: Option<u64>,
        printer: &Printer,
    ) -> Result<Option<Checkpoint>, Trouble> {
        let disk = RealDisk::read_only(&data::journal_folder(&self.data))?;
        let Some((station, end)) = tip(&disk)? else {
            return Ok(None);
        };
        let point = match at {
            Some(sequence) => point_at(&disk, sequence)?,
            None => Some(end),
        };
        let Some(point) = point.filter(|point| *point != Head::ORIGIN) else {
            return Ok(None);
        };
        let key = self.key(printer)?;
        let earlier = self.checkpoints()?;
        if let Some(same) = earlier
            .into_iter()
            .rfind(|known| known.point == point && known.key == key.key())
        {
            return Ok(Some(same));
        }
        let checkpoint = Checkpoint::sign(&station, point, Timestamp::now(), &key)
            .map_err(|error| cannot_write(&self.folder, &error))?;
        append_line(&self.checkpoint_file(), &checkpoint.to_string())?;
        Ok(Some(checkpoint))
    }

    /// Checkpoints of two histories must not lie in one place: nobody could say later which of them was the station's.
    pub(crate) fn check_place(&self, file: &Path, ours: &Checkpoint) -> Result<(), Trouble> {
        let disk = RealDisk::read_only(&data::journal_folder(&self.data))?;
        for there in parse_checkpoints(&read_if_any(file)?, true)? {
            let is_ours = match there.point.sequence > ours.point.sequence {
                true => false,
                false => point_at(&disk, there.point.sequence)? == Some(there.point),
            };
            if there.station != ours.station || !is_ours {
                return Err(Trouble::new(
                    Exit::Refused,
                    Blame::Station,
                    "evidence.two-stations",
                    &format!(
                        "{} holds a checkpoint of event {} that is not of this journal: another station has the name {}",
                        file.display(),
                        there.point.sequence,
                        ours.station
                    ),
                    "Give each station a name of its own with --station. If this station's records were lost or restored, \
                     keep that file as it is, it says what is missing, and bring checkpoints to another folder.",
                ));
            }
        }
        Ok(())
    }

    /// Notes where the journal is fixed outside, up to an event.
    pub(crate) fn note_anchor(&self, checkpoint: &Checkpoint, place: &str) -> Result<(), Trouble> {
        let place: String = place.chars().filter(|c| !c.is_control()).collect();
        let line = format!(
            "{} {} {} {place}",
            checkpoint.point.sequence,
            checkpoint.point.hash,
            Timestamp::now()
        );
        append_line(&self.anchored_file(), &line)
    }
}

/// A new key, from the system's randomness.
pub(crate) fn new_key() -> Result<SigningKey, Trouble> {
    loop {
        let mut secret = [0; 32];
        getrandom::fill(&mut secret).map_err(|error| {
            Trouble::station("station.no-randomness", "the system gave no randomness", &error)
        })?;
        // One draw in 2³² is no key.
        if let Ok(key) = SigningKey::from_secret(&secret) {
            return Ok(key);
        }
    }
}

/// A key that lives in a file.
pub(crate) struct FileKey(pub(crate) SigningKey);

impl Sealer for FileKey {
    fn key(&self) -> SealKey {
        SealKey::from_bytes(self.0.public_key().to_xy())
    }

    fn kept_in(&self) -> &str {
        "a file that only this user may read"
    }

    fn sign(&self, message: &[u8]) -> io::Result<Signature> {
        Ok(Signature(self.0.sign(message)))
    }
}

pub(crate) fn cannot_write(path: &Path, error: &dyn std::fmt::Display) -> Trouble {
    Trouble::station(
        "evidence.cannot-write",
        &format!("{} cannot be written", path.display()),
        error,
    )
}

/// The text of a file; empty when there is none.
pub(crate) fn read_if_any(path: &Path) -> Result<String, Trouble> {
    match fs::read_to_string(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(String::new()),
        read => read.map_err(|error| cannot_read(path, &error)),
    }
}

pub(crate) fn read(path: &Path) -> Result<Vec<u8>, Trouble> {
    fs::read(path).map_err(|error| cannot_read(path, &error))
}

fn cannot_read(path: &Path, error: &dyn std::fmt::Display) -> Trouble {
    Trouble::usage(
        "evidence.cannot-read",
        &format!("{} cannot be read: {error}", path.display()),
        "Check the name of the file.",
    )
}

/// Adds a line to a file and returns once it is on the disk. What a crash left of an unfinished line is cut off.
pub(crate) fn append_line(path: &Path, line: &str) -> Result<(), Trouble> {
    let append = || -> io::Result<()> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let mut file = fs::OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .open(path)?;
        let bytes = fs::read(path)?;
        let end = bytes
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |last| last + 1);
        if end < bytes.len() {
            file.set_len(end as u64)?;
        }
        file.write_all(format!("{line}\n").as_bytes())?;
        file.sync_all()
    };
    append().map_err(|error| cannot_write(path, &error))
}
