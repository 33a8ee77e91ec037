//! All containers of a root directory, a directory each:
//!
//! ```text
//! ID/ state.json    the record, replaced as a whole
//!     control       the supervisor's socket: who can connect knows that the container lives
//! .gone-PID.N/      one being removed, or left by a crash
//! ```
//! There is no lock: a directory is made by its supervisor alone, and removed when that is gone.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use runtime::message::{self, Listener};

use super::state::{Record, Status};
use super::{Id, OciError};

/// Of the socket.
const CONTROL: &str = "control";
/// Of the record.
const STATE: &str = "state.json";

/// The containers of a root directory.
#[derive(Debug, Clone)]
pub struct Store {
    root: PathBuf,
}

/// A container's directory, in its supervisor's hands.
#[derive(Debug)]
pub(super) struct Place {
    path: PathBuf,
    pub(super) record: Record,
}

/// A container somebody asks about.
#[derive(Debug)]
pub(super) struct Found {
    path: PathBuf,
    pub(super) record: Record,
    /// A connection to its supervisor, while there is one.
    pub(super) supervisor: Option<OwnedFd>,
}

impl Store {
    /// Those below a directory, which is made when the first container is.
    #[must_use]
    pub const fn of(root: PathBuf) -> Self {
        Self { root }
    }

    /// Makes a container's directory, and listens there. To be called on a tokio runtime.
    pub(super) fn claim(&self, record: Record) -> Result<(Place, Listener), OciError> {
        let mut private = DirBuilder::new();
        private.mode(0o700);
        private
            .recursive(true)
            .create(&self.root)
            .map_err(OciError::disk("make", &self.root))?;
        let id = &record.state.id;
        let path = self.root.join(id.as_str());
        match private.recursive(false).create(&path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                return Err(OciError::Taken { id: id.clone() });
            }
            result => result.map_err(OciError::disk("make", &path))?,
        }
        let place = Place { path, record };
        let prepared = place.write().and_then(|()| {
            let control = place.path.join(CONTROL);
            Listener::bind(&place.path, CONTROL).map_err(OciError::disk("make", &control))
        });
        match prepared {
            Ok(listener) => Ok((place, listener)),
            Err(error) => {
                let _ = place.remove();
                Err(error)
            }
        }
    }

    /// The container of this id.
    pub(super) fn find(&self, id: &Id) -> Result<Found, OciError> {
        let path = self.root.join(id.as_str());
        let file = path.join(STATE);
        // In this order: a supervisor that ends in between has written down the end.
        let supervisor = message::connect(&path, CONTROL).ok();
        let text = match fs::read(&file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && !path.exists() => {
                return Err(OciError::NoSuchContainer { id: id.clone() });
            }
            result => result.map_err(OciError::disk("read", &file))?,
        };
        let record: Record = serde_json::from_slice(&text)
            .map_err(|error| OciError::disk("read", &file)(error.into()))?;
        let record = match supervisor {
            Some(_) => record,
            None => record.without_supervisor(),
        };
        Ok(Found {
            path,
            record,
            supervisor,
        })
    }

    /// Removes whatever is left of a container whose supervisor is gone.
    pub(super) fn remove(&self, id: &Id) -> Result<(), OciError> {
        remove(&self.root.join(id.as_str()))
    }
}

impl Found {
    /// What it is.
    pub(super) const fn status(&self) -> Status {
        self.record.state.status
    }

    /// Removes what is left of it.
    pub(super) fn remove(&self) -> Result<(), OciError> {
        remove(&self.path)
    }
}

impl Place {
    /// Writes down that the container is this far.
    pub(super) fn advance(&mut self, status: Status, pid: Option<i32>) -> Result<(), OciError> {
        self.record.state.status = status;
        self.record.state.pid = pid;
        self.write()
    }

    /// Forgets the container.
    pub(super) fn remove(&self) -> Result<(), OciError> {
        remove(&self.path)
    }

    fn write(&self) -> Result<(), OciError> {
        let path = self.path.join(STATE);
        let failed = || OciError::disk("write", &path);
        let text = serde_json::to_vec(&self.record).map_err(|error| failed()(error.into()))?;
        replace(&path, &text).map_err(failed())
    }
}

/// Replaces a file as a whole.
pub(super) fn replace(path: &Path, text: &[u8]) -> io::Result<()> {
    let directory = path.parent().unwrap_or(Path::new("/"));
    let file = tempfile::NamedTempFile::new_in(directory)?;
    fs::write(file.path(), text)?;
    file.persist(path).map_err(|error| error.error).map(drop)
}

/// In one step for everybody else. That somebody was faster is no error.
fn remove(path: &Path) -> Result<(), OciError> {
    let root = path.parent().unwrap_or(Path::new("/"));
    let mut serial = 0_u32;
    let gone = loop {
        let gone = root.join(format!(".gone-{}.{serial}", std::process::id()));
        if !gone.exists() {
            break gone;
        }
        serial += 1;
    };
    match fs::rename(path, &gone) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(OciError::disk("remove", path)(error)),
        Ok(()) => fs::remove_dir_all(&gone).map_err(OciError::disk("remove", &gone)),
    }
}
