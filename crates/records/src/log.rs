//! The journal as bytes: opens it, mends its end, appends groups and makes them durable. It knows no event.

use std::sync::Arc;

use lineside_terms::StationName;

use crate::chain::{self, Head, Walk};
use crate::disk::{Disk, DiskFile};
use crate::error::{Damage, DamageKind, RecordsError, TornTail};
use crate::segment::{self, Frame, Header, MAX_EVENT_BYTES};

/// A segment that has reached this size is followed by a new one. Small enough to be read whole and to spread over
/// all cores, large enough that a year of work makes a few hundred files.
pub const SEGMENT_BYTES: u64 = 8 << 20;

/// An open log.
#[derive(Debug)]
pub(crate) struct Log {
    disk: Arc<dyn Disk>,
    station: StationName,
    segment_bytes: u64,
    state: State,
    /// Up to here everything is durable.
    durable: Head,
    /// Up to here everything is durable or in `group`.
    head: Head,
    /// Frames that wait for the next commit.
    group: Vec<u8>,
    syncs: u64,
}

#[derive(Debug)]
enum State {
    Open {
        name: String,
        file: Box<dyn DiskFile>,
        length: u64,
    },
    /// A write or sync failed: what is in the file is anybody's guess.
    Broken { since: String },
}

impl Log {
    /// Opens the log in a folder, or begins one. Reads the last segment, cuts off what a crash left unfinished, and
    /// makes the rest durable, whoever wrote it.
    pub(crate) fn open(
        disk: Arc<dyn Disk>,
        station: StationName,
        segment_bytes: u64,
    ) -> Result<(Self, Option<TornTail>), RecordsError> {
        let names = segments(disk.as_ref())?;
        let (end, torn) = match names.split_last() {
            None => (End::begin(disk.as_ref(), &station, Head::ORIGIN)?, None),
            Some((last, earlier)) => End::mend(disk.as_ref(), &station, last, earlier)?,
        };
        let log = Self {
            disk,
            station,
            segment_bytes,
            state: State::Open {
                name: end.name,
                file: end.file,
                length: end.length,
            },
            durable: end.head,
            head: end.head,
            group: Vec::new(),
            syncs: 1,
        };
        Ok((log, torn))
    }

    pub(crate) fn disk(&self) -> &Arc<dyn Disk> {
        &self.disk
    }

    pub(crate) fn station(&self) -> &StationName {
        &self.station
    }

    pub(crate) fn durable(&self) -> Head {
        self.durable
    }

    pub(crate) fn head(&self) -> Head {
        self.head
    }

    pub(crate) fn group_bytes(&self) -> usize {
        self.group.len()
    }

    pub(crate) fn syncs(&self) -> u64 {
        self.syncs
    }

    pub(crate) fn segment_bytes(&self) -> u64 {
        self.segment_bytes
    }

    /// Fails when an earlier write or sync failed.
    pub(crate) fn check(&self) -> Result<(), RecordsError> {
        match &self.state {
            State::Open { .. } => Ok(()),
            State::Broken { since } => Err(RecordsError::Broken { since: since.clone() }),
        }
    }

    /// Adds an event to the group that the next commit writes.
    pub(crate) fn append(&mut self, json: &[u8]) -> Result<(), RecordsError> {
        self.check()?;
        let sequence = self.head.sequence + 1;
        if json.is_empty() || json.len() > MAX_EVENT_BYTES {
            return Err(RecordsError::TooLarge {
                sequence,
                size: json.len(),
                limit: MAX_EVENT_BYTES,
            });
        }
        let mut body = Vec::with_capacity(32 + json.len());
        body.extend_from_slice(self.head.hash.as_bytes());
        body.extend_from_slice(json);
        let is_group_start = self.group.is_empty();
        Frame::encode(&mut self.group, is_group_start, &body);
        self.head = self.head.after(&body);
        Ok(())
    }

    /// Takes back what was appended after this point, which must not be older than the last commit.
    pub(crate) fn take_back(&mut self, mark: &Mark) {
        self.group.truncate(mark.group);
        self.head = mark.head;
    }

    /// For [`Log::take_back`].
    pub(crate) fn mark(&self) -> Mark {
        Mark {
            group: self.group.len(),
            head: self.head,
        }
    }

    /// Writes the group and returns once it is durable. One sync; one more when a new segment begins.
    pub(crate) fn commit(&mut self) -> Result<Head, RecordsError> {
        self.check()?;
        if self.group.is_empty() {
            return Ok(self.durable);
        }
        let result = self.write_group();
        if let Err(error) = &result {
            let told = lineside_terms::Told::of(error).message;
            self.state = State::Broken { since: told };
            self.group = Vec::new();
            self.head = self.durable;
        }
        result
    }

    fn write_group(&mut self) -> Result<Head, RecordsError> {
        if matches!(&self.state, State::Open { length, .. } if *length >= self.segment_bytes) {
            let end = End::begin(self.disk.as_ref(), &self.station, self.durable)?;
            self.syncs += 1;
            self.state = State::Open {
                name: end.name,
                file: end.file,
                length: end.length,
            };
        }
        let State::Open { name, file, length } = &mut self.state else {
            unreachable!("a broken log was refused before");
        };
        file.append(&self.group)
            .map_err(|e| RecordsError::of_disk(format!("writing {name}"), e))?;
        self.syncs += 1;
        file.sync()
            .map_err(|e| RecordsError::of_disk(format!("syncing {name}"), e))?;
        *length += self.group.len() as u64;
        self.group.clear();
        self.durable = self.head;
        Ok(self.durable)
    }
}

/// A point to which the group can be taken back.
#[derive(Debug)]
pub(crate) struct Mark {
    group: usize,
    head: Head,
}

/// The names of all segments, in order.
pub(crate) fn segments(disk: &dyn Disk) -> Result<Vec<String>, RecordsError> {
    let mut names = disk
        .list()
        .map_err(|e| RecordsError::of_disk("listing the data folder", e))?;
    names.retain(|name| segment::first_of(name).is_some());
    Ok(names)
}

pub(crate) fn read(disk: &dyn Disk, name: &str) -> Result<Vec<u8>, RecordsError> {
    disk.read(name)
        .map_err(|e| RecordsError::of_disk(format!("reading {name}"), e))
}

/// Fails unless a segment begins at the point where the one before ended.
pub(crate) fn check_joint(name: &str, header: &Header, before: Head) -> Result<(), Damage> {
    let damage = |kind| Damage {
        file: name.to_owned(),
        offset: 0,
        sequence: before.sequence + 1,
        kind,
    };
    if header.before.sequence != before.sequence || segment::first_of(name) != Some(before.sequence + 1) {
        return Err(damage(DamageKind::Gap));
    }
    if header.before.hash != before.hash {
        return Err(damage(DamageKind::Chain));
    }
    Ok(())
}

/// The segment that is appended to, durable as it is.
struct End {
    name: String,
    file: Box<dyn DiskFile>,
    length: u64,
    head: Head,
}

impl End {
    /// Makes a new segment.
    fn begin(disk: &dyn Disk, station: &StationName, before: Head) -> Result<Self, RecordsError> {
        let name = segment::name_of(before.sequence + 1);
        let doing = || format!("beginning {name}");
        let mut file = disk
            .create(&name)
            .map_err(|e| RecordsError::of_disk(doing(), e))?;
        let header = Header {
            station: station.clone(),
            before,
        }
        .encode();
        file.append(&header)
            .map_err(|e| RecordsError::of_disk(doing(), e))?;
        file.sync().map_err(|e| RecordsError::of_disk(doing(), e))?;
        Ok(Self {
            name,
            file,
            length: header.len() as u64,
            head: before,
        })
    }

    /// Opens the last segment, whatever the last program that wrote to it has left.
    fn mend(
        disk: &dyn Disk,
        station: &StationName,
        last: &str,
        earlier: &[String],
    ) -> Result<(Self, Option<TornTail>), RecordsError> {
        let bytes = read(disk, last)?;
        if chain::is_unborn(&bytes) {
            return Self::begin_again(disk, station, last, earlier, bytes.len());
        }
        let (header, mut walk) = Walk::start(last, &bytes, true)?;
        if header.station != *station {
            return Err(RecordsError::OtherStation {
                found: header.station,
                expected: station.clone(),
            });
        }
        check_joint(last, &header, header.before)?;
        while walk.step()?.is_some() {}
        // Nothing shows that the last group was ever synced, or that the sync did not fail: write it once more.
        let (from, to, head) = (walk.last_group(), walk.at(), walk.head());
        let file = reopen(disk, last, from, &bytes[from..to])?;
        Ok((
            Self {
                name: last.to_owned(),
                file,
                length: to as u64,
                head,
            },
            walk.torn(),
        ))
    }

    /// A crash came while a segment was begun: its header is not whole, so nothing behind it was ever durable.
    fn begin_again(
        disk: &dyn Disk,
        station: &StationName,
        last: &str,
        earlier: &[String],
        size: usize,
    ) -> Result<(Self, Option<TornTail>), RecordsError> {
        let before = match earlier.last() {
            None => Head::ORIGIN,
            Some(name) => {
                let bytes = read(disk, name)?;
                let (found, mut walk) = Walk::start(name, &bytes, false)?;
                if found.station != *station {
                    return Err(RecordsError::OtherStation {
                        found: found.station,
                        expected: station.clone(),
                    });
                }
                check_joint(name, &found, found.before)?;
                while walk.step()?.is_some() {}
                walk.head()
            }
        };
        let header = Header {
            station: station.clone(),
            before,
        };
        check_joint(last, &header, before)?;
        let bytes = header.encode();
        let file = reopen(disk, last, 0, &bytes)?;
        let sequence = before.sequence + 1;
        // An empty file holds nothing worth a word.
        let torn = (size > 0).then(|| TornTail {
            file: last.to_owned(),
            offset: 0,
            bytes: size as u64,
            sequence,
        });
        Ok((
            Self {
                name: last.to_owned(),
                file,
                length: bytes.len() as u64,
                head: before,
            },
            torn,
        ))
    }
}

fn reopen(disk: &dyn Disk, name: &str, from: usize, tail: &[u8]) -> Result<Box<dyn DiskFile>, RecordsError> {
    let doing = || format!("opening {name}");
    let mut file = disk
        .reopen(name, from as u64, tail)
        .map_err(|e| RecordsError::of_disk(doing(), e))?;
    file.sync().map_err(|e| RecordsError::of_disk(doing(), e))?;
    Ok(file)
}
