//! Writes below an open directory, one name at a time: no path is ever walked, so no link can lead out.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags, mkdirat, openat, symlinkat};

use crate::Error;

/// An open directory that nobody else writes to.
#[derive(Debug)]
pub(super) struct Directory {
    descriptor: OwnedFd,
    /// For messages.
    path: PathBuf,
}

const OPEN: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

const CREATE: OFlags = OFlags::WRONLY
    .union(OFlags::CREATE)
    .union(OFlags::EXCL)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

impl Directory {
    /// Makes the directory at the top.
    pub(super) fn create(path: &Path) -> Result<Self, Error> {
        let made = mkdirat(CWD, path, Mode::from(0o755))
            .and_then(|()| openat(CWD, path, OPEN, Mode::empty()));
        Ok(Self {
            descriptor: made
                .map_err(|errno| Error::disk("make the directory", path)(errno.into()))?,
            path: path.to_owned(),
        })
    }

    /// Makes a directory in it.
    pub(super) fn directory(&self, name: &[u8]) -> Result<Self, Error> {
        let name = OsStr::from_bytes(name);
        let made = mkdirat(&self.descriptor, name, Mode::from(0o755))
            .and_then(|()| openat(&self.descriptor, name, OPEN, Mode::empty()));
        Ok(Self {
            descriptor: made.map_err(self.failed("make the directory", name))?,
            path: self.path.join(name),
        })
    }

    /// Makes a file in it.
    pub(super) fn file(&self, name: &[u8], content: &[u8], executable: bool) -> Result<(), Error> {
        let name = OsStr::from_bytes(name);
        let mode = Mode::from(if executable { 0o755 } else { 0o644 });
        let opened = openat(&self.descriptor, name, CREATE, mode);
        let mut file = File::from(opened.map_err(self.failed("make the file", name))?);
        file.write_all(content)
            .map_err(Error::disk("write", self.path.join(name)))
    }

    /// Makes a link in it, wherever that leads.
    pub(super) fn link(&self, name: &[u8], target: &[u8]) -> Result<(), Error> {
        let name = OsStr::from_bytes(name);
        symlinkat(OsStr::from_bytes(target), &self.descriptor, name)
            .map_err(self.failed("make the link", name))
    }

    fn failed(
        &self,
        operation: &'static str,
        name: &OsStr,
    ) -> impl FnOnce(rustix::io::Errno) -> Error {
        let path = self.path.join(name);
        move |errno| Error::disk(operation, path)(io::Error::from(errno))
    }
}
