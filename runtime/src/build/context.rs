//! The directory that `COPY` takes files from.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use crate::dockerfile::MAX_FILE;
use crate::layer::{Gathered, Rules, Selection, TransferError, gather};

/// Why a context cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ContextError {
    /// It is not there, or no directory.
    #[error("failed to open the directory {}", path.display())]
    Open {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file in it.
    #[error("failed to read {}", path.display())]
    Read {
        /// Which, from the context.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file in it.
    #[error("{} has more than {MAX_FILE} bytes", path.display())]
    TooLarge {
        /// Which, from the context.
        path: PathBuf,
    },
}

/// The directory that `COPY` takes files from, open: nothing is reached but what is in it.
#[derive(Debug, Clone)]
pub struct Context {
    /// `None` has no files.
    directory: Option<Arc<OwnedFd>>,
    ignored: Rules,
}

impl Context {
    /// One without files.
    #[must_use]
    pub fn empty() -> Self {
        Self {
            directory: None,
            ignored: Rules::default(),
        }
    }

    /// A directory of the machine.
    ///
    /// # Errors
    /// It cannot be opened.
    pub fn open(path: &Path) -> Result<Self, ContextError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let opened = rustix::fs::open(path, flags, Mode::empty());
        Self::opened(path, opened)
    }

    /// A directory below another one, out of which no link leads.
    ///
    /// # Errors
    /// It cannot be opened, or is not below it.
    pub fn open_below(root: &Path, path: &Path) -> Result<Self, ContextError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let inside = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        let opened = rustix::fs::open(root, flags, Mode::empty())
            .and_then(|root| rustix::fs::openat2(root, path, flags, Mode::empty(), inside));
        Self::opened(path, opened)
    }

    fn opened(path: &Path, opened: Result<OwnedFd, Errno>) -> Result<Self, ContextError> {
        let directory = opened.map_err(|errno| ContextError::Open {
            path: path.to_owned(),
            source: errno.into(),
        })?;
        Ok(Self {
            directory: Some(Arc::new(directory)),
            ignored: Rules::default(),
        })
    }

    /// Leaves out what its `.dockerignore` says; one that belongs to the Dockerfile alone goes first.
    ///
    /// # Errors
    /// One is there and cannot be read.
    pub fn ignoring(mut self, dockerfile: Option<&str>) -> Result<Self, ContextError> {
        let own = dockerfile.map(|name| format!("{name}.dockerignore"));
        for name in own.iter().map(String::as_str).chain([".dockerignore"]) {
            if let Some(text) = self.read(name)? {
                self.ignored = Rules::of_file(&String::from_utf8_lossy(&text));
                break;
            }
        }
        Ok(self)
    }

    /// A small file of it, such as the Dockerfile; `None` when it is not there.
    ///
    /// # Errors
    /// It cannot be read, or is too large.
    pub fn read(&self, name: &str) -> Result<Option<Vec<u8>>, ContextError> {
        let failed = |source| ContextError::Read {
            path: name.into(),
            source,
        };
        let Some(directory) = &self.directory else {
            return Ok(None);
        };
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let inside = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        let file = match rustix::fs::openat2(directory, name, flags, Mode::empty(), inside) {
            Err(Errno::NOENT | Errno::NOTDIR) => return Ok(None),
            result => File::from(result.map_err(|errno| failed(errno.into()))?),
        };
        let mut content = Vec::new();
        let bound = MAX_FILE as u64 + 1;
        file.take(bound).read_to_end(&mut content).map_err(failed)?;
        if content.len() > MAX_FILE {
            return Err(ContextError::TooLarge { path: name.into() });
        }
        Ok(Some(content))
    }

    /// What of a selection is not there.
    pub(super) const fn ignored(&self) -> &Rules {
        &self.ignored
    }

    /// Opens a regular file of it.
    pub(super) fn file(&self, path: &str) -> Option<File> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let inside = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        let directory = self.directory.as_ref()?;
        let file = rustix::fs::openat2(directory, path, flags, Mode::empty(), inside);
        let file = File::from(file.ok()?);
        file.metadata().ok()?.is_file().then_some(file)
    }

    /// Writes the archive of a selection of it, on a thread that may wait.
    pub(super) async fn gather(
        &self,
        selection: Selection,
        out: impl io::Write + Send + 'static,
    ) -> Result<Gathered, TransferError> {
        let Some(directory) = self.directory.clone() else {
            return Err(TransferError::Missing {
                path: selection.sources.join(" "),
            });
        };
        let work = move || {
            let out = io::BufWriter::with_capacity(256 * 1024, out);
            gather(directory.as_fd(), &selection, out)
        };
        let done = tokio::task::spawn_blocking(work).await;
        done.unwrap_or_else(|error| {
            Err(TransferError::Worker {
                reason: error.to_string(),
            })
        })
    }
}
