//! All containers of a data directory, each in a [place](Places) of its own with the log of its command beside:
//!
//! ```text
//! containers/ NAME/ state.json, control
//!                   log, log.1      what the command wrote
//! ```
//! What is on disk of a supervisor that was killed says `dead`.

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use runtime::message::Listener;

use super::record::{Record, Stage, Status};
use super::{DoorError, Name};
use crate::places::{self, Places};

/// Ended containers that nobody has given a name are kept up to this many.
const KEPT: usize = 100;

/// The containers of a data directory.
#[derive(Debug, Clone)]
pub struct Containers {
    places: Places,
}

/// A container's directory, in its supervisor's hands.
#[derive(Debug)]
pub(super) struct Place {
    containers: Containers,
    pub(super) path: PathBuf,
    pub(super) record: Record,
}

/// A container somebody asks about.
#[derive(Debug, Clone)]
pub struct Found {
    /// Its directory.
    pub(super) path: PathBuf,
    /// What is written down of it.
    pub record: Record,
    /// What it is at this moment.
    pub status: Status,
}

impl Containers {
    /// Those in an agent's data directory.
    #[must_use]
    pub fn of(data: &Path) -> Self {
        Self {
            places: Places::below(data.join("containers")),
        }
    }

    /// Makes a container's directory under its name, and listens there. To be called on a tokio runtime.
    pub(super) fn claim(&self, record: Record) -> Result<(Place, Listener), DoorError> {
        let claimed = self.places.claim(record.name.as_str(), &record)?;
        let Some((path, listener)) = claimed else {
            return Err(DoorError::NameTaken { name: record.name });
        };
        let place = Place {
            containers: self.clone(),
            path,
            record,
        };
        Ok((place, listener))
    }

    /// The container of this name, or the only one nobody has named whose name begins so.
    ///
    /// # Errors
    /// When there is none, or several.
    pub fn find(&self, text: &str) -> Result<Found, DoorError> {
        let none = || DoorError::NoSuchContainer {
            name: text.to_owned(),
        };
        if let Ok(name) = text.parse::<Name>()
            && let Some(found) = self.look(&name)?
        {
            return Ok(found);
        }
        if text.is_empty() || !places::is_hex(text) {
            return Err(none());
        }
        let mut fitting = self.names()?.into_iter().filter(|name| {
            let begins = name.as_str().starts_with(text);
            name.is_random() && begins
        });
        match (fitting.next(), fitting.next()) {
            (Some(name), None) => self.look(&name)?.ok_or_else(none),
            (Some(_), Some(_)) => Err(DoorError::Ambiguous {
                text: text.to_owned(),
            }),
            (None, _) => Err(none()),
        }
    }

    /// All of them, the newest first.
    ///
    /// # Errors
    /// When the data directory cannot be read.
    pub fn all(&self) -> Result<Vec<Found>, DoorError> {
        let mut all = Vec::new();
        for name in self.names()? {
            // One may have been removed meanwhile.
            all.extend(self.look(&name)?);
        }
        all.sort_by_key(|found| std::cmp::Reverse(found.record.created));
        Ok(all)
    }

    /// Removes what is left of a container that is over.
    ///
    /// # Errors
    /// When it cannot be removed. That somebody else was faster is none.
    pub fn remove(&self, found: &Found) -> Result<(), DoorError> {
        self.places.remove(&found.path)?;
        Ok(())
    }

    /// Forgets the oldest of the ended containers that nobody has named, when there are many, and what crashes have left.
    pub(super) fn tidy(&self) {
        let mut ended = self.all().unwrap_or_default();
        ended.retain(|found| {
            let over = matches!(found.status, Status::Exited | Status::Dead);
            over && found.record.name.is_random()
        });
        for found in ended.iter().skip(KEPT) {
            let _ = self.remove(found);
        }
        self.places.tidy();
    }

    fn names(&self) -> Result<Vec<Name>, DoorError> {
        let names = self.places.names()?;
        Ok(names
            .into_iter()
            .filter_map(|name| name.parse().ok())
            .collect())
    }

    fn look(&self, name: &Name) -> Result<Option<Found>, DoorError> {
        let path = self.places.path(name.as_str());
        let Some(first) = places::read::<Record>(&path)? else {
            return Ok(None);
        };
        let supervised = is_supervised(&path);
        let record = match first.stage {
            Stage::Exited { .. } => first,
            // Its end may have been written down while we asked.
            _ if !supervised => match places::read::<Record>(&path)? {
                Some(record) => record,
                None => return Ok(None),
            },
            _ => first,
        };
        Ok(Some(Found {
            path,
            status: record.status(supervised),
            record,
        }))
    }
}

impl Place {
    /// Writes down how far the container has come.
    pub(super) fn advance(&mut self, stage: Stage) -> Result<(), DoorError> {
        self.record.stage = stage;
        self.write()
    }

    /// Gives the name back; nothing of the container is left.
    pub(super) fn remove(&self) -> Result<(), DoorError> {
        self.containers.places.remove(&self.path)?;
        Ok(())
    }

    fn write(&self) -> Result<(), DoorError> {
        Ok(places::write(&self.path, &self.record)?)
    }
}

impl Found {
    /// Connects to its supervisor.
    ///
    /// # Errors
    /// When there is none any more.
    pub(super) fn connect(&self) -> Result<OwnedFd, DoorError> {
        places::connect(&self.path).map_err(|error| match error.kind() {
            io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound => DoorError::NotRunning {
                name: self.record.name.clone(),
            },
            _ => DoorError::system("reach the container's supervisor")(error),
        })
    }
}

/// A queue of connections that is full is somebody's who lives, too.
fn is_supervised(path: &Path) -> bool {
    match places::connect(path) {
        Ok(_) => true,
        Err(error) => error.kind() == io::ErrorKind::WouldBlock,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(name: &str) -> Record {
        Record {
            name: name.parse().unwrap(),
            image: "host".to_owned(),
            command: vec!["true".to_owned()],
            created: 0,
            supervisor: 1,
            ports: Vec::new(),
            stage: Stage::Preparing,
        }
    }

    #[tokio::test]
    async fn a_name_is_had_once_until_it_is_given_back() {
        let data = tempfile::tempdir().unwrap();
        let containers = Containers::of(data.path());
        let (place, listener) = containers.claim(record("web")).unwrap();
        assert!(matches!(
            containers.claim(record("web")),
            Err(DoorError::NameTaken { .. })
        ));
        assert_eq!(containers.find("web").unwrap().status, Status::Preparing);
        drop(listener);
        assert_eq!(containers.find("web").unwrap().status, Status::Dead);
        place.remove().unwrap();
        assert!(containers.find("web").is_err());
        containers.claim(record("web")).unwrap();
    }

    #[tokio::test]
    async fn a_name_nobody_chose_may_be_shortened() {
        let data = tempfile::tempdir().unwrap();
        let containers = Containers::of(data.path());
        let mut kept = Vec::new();
        for name in ["0123456789ab", "0124456789ab", "012-own"] {
            kept.push(containers.claim(record(name)).unwrap());
        }
        let found = |text: &str| {
            containers
                .find(text)
                .map(|found| found.record.name.to_string())
        };
        assert_eq!(found("0123").unwrap(), "0123456789ab");
        assert!(matches!(found("012"), Err(DoorError::Ambiguous { .. })));
        assert!(found("012-").is_err() && found("").is_err() && found("../x").is_err());
    }

    #[tokio::test]
    async fn what_nobody_has_named_is_forgotten_in_the_end() {
        let data = tempfile::tempdir().unwrap();
        let containers = Containers::of(data.path());
        let claim = |name: String, created| {
            let mut record = record(&name);
            record.created = created;
            containers.claim(record).unwrap()
        };
        let named = claim("named".to_owned(), 0);
        let running = claim("ffffffffffff".to_owned(), 0);
        for number in 0..KEPT + 2 {
            drop(claim(format!("{number:012x}"), 1 + number as u64));
        }
        containers.tidy();
        let left = containers.all().unwrap();
        assert_eq!(left.len(), KEPT + 2);
        let names: Vec<_> = left
            .iter()
            .map(|found| found.record.name.as_str())
            .collect();
        assert!(names.contains(&"named") && names.contains(&"ffffffffffff"));
        assert!(!names.contains(&"000000000001") && names.contains(&"000000000002"));
        drop((named, running));
    }
}
