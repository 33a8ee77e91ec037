//! All containers of a root directory, each in a [place](Places) of its own.

use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use runtime::message::Listener;

use super::state::{Record, Status};
use super::{Id, OciError};
use crate::places::{self, Places};

/// The containers of a root directory.
#[derive(Debug, Clone)]
pub struct Store {
    places: Places,
}

/// A container's directory, in its supervisor's hands.
#[derive(Debug)]
pub(super) struct Place {
    places: Places,
    path: PathBuf,
    pub(super) record: Record,
}

/// A container somebody asks about.
#[derive(Debug)]
pub(super) struct Found {
    places: Places,
    path: PathBuf,
    pub(super) record: Record,
    /// A connection to its supervisor, while there is one.
    pub(super) supervisor: Option<OwnedFd>,
}

impl Store {
    /// Those below a directory, which is made when the first container is.
    #[must_use]
    pub const fn of(root: PathBuf) -> Self {
        Self {
            places: Places::below(root),
        }
    }

    /// Makes a container's directory, and listens there. To be called on a tokio runtime.
    pub(super) fn claim(&self, record: Record) -> Result<(Place, Listener), OciError> {
        let claimed = self.places.claim(record.state.id.as_str(), &record)?;
        let Some((path, listener)) = claimed else {
            return Err(OciError::Taken {
                id: record.state.id,
            });
        };
        let places = self.places.clone();
        let place = Place {
            places,
            path,
            record,
        };
        Ok((place, listener))
    }

    /// The container of this id.
    pub(super) fn find(&self, id: &Id) -> Result<Found, OciError> {
        let path = self.places.path(id.as_str());
        // In this order: a supervisor that ends in between has written down the end.
        let supervisor = match places::connect(&path) {
            // A queue of connections that is full is somebody's who lives.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                return Err(OciError::system("reach the container's supervisor")(error));
            }
            result => result.ok(),
        };
        let Some(record) = places::read::<Record>(&path)? else {
            return Err(OciError::NoSuchContainer { id: id.clone() });
        };
        let record = match supervisor {
            Some(_) => record,
            None => record.without_supervisor(),
        };
        Ok(Found {
            places: self.places.clone(),
            path,
            record,
            supervisor,
        })
    }

    /// Removes whatever is left of a container whose supervisor is gone.
    pub(super) fn remove(&self, id: &Id) -> Result<(), OciError> {
        self.places.remove(&self.places.path(id.as_str()))?;
        Ok(())
    }

    /// Removes what crashes have left.
    pub(super) fn tidy(&self) {
        self.places.tidy();
    }
}

impl Found {
    /// What it is.
    pub(super) const fn status(&self) -> Status {
        self.record.state.status
    }

    /// Removes what is left of it; whether it was still there.
    pub(super) fn remove(&self) -> Result<bool, OciError> {
        Ok(self.places.remove(&self.path)?)
    }
}

impl Place {
    /// Writes down that the container is this far.
    pub(super) fn advance(&mut self, status: Status, pid: Option<i32>) -> Result<(), OciError> {
        self.record.state.status = status;
        self.record.state.pid = pid;
        Ok(places::write(&self.path, &self.record)?)
    }

    /// Forgets the container.
    pub(super) fn remove(&self) -> Result<(), OciError> {
        self.places.remove(&self.path)?;
        Ok(())
    }
}
