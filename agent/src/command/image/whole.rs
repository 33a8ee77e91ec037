//! A file that appears under its name when it is whole; until then it has none, so that nothing stays when this process is
//! ended.

use std::fs::{File, Permissions};
use std::io::{self, Write};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Mode, OFlags, linkat};
use tempfile::{Builder, NamedTempFile};

/// For everybody, but for what the umask takes away.
const MODE: u32 = 0o666;

/// A file on its way.
pub(super) enum Whole {
    Unnamed(File),
    /// On file systems that know no files without a name.
    Named(NamedTempFile),
}

impl Whole {
    pub(super) fn begin(directory: &Path) -> io::Result<Self> {
        let flags = OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC;
        match rustix::fs::open(directory, flags, Mode::from_raw_mode(MODE)) {
            Ok(file) => Ok(Self::Unnamed(file.into())),
            Err(_) => NamedTempFile::new_in(directory).map(Self::Named),
        }
    }

    pub(super) fn out(&mut self) -> &mut (dyn Write + Send) {
        match self {
            Self::Unnamed(file) => file,
            Self::Named(file) => file,
        }
    }

    /// Gives it its name in the directory, in the place of what has it now.
    pub(super) fn end(self, directory: &Path, path: &Path) -> io::Result<()> {
        match self {
            Self::Unnamed(file) => {
                // As linkat(2) has it for files made with `O_TMPFILE`.
                let source = format!("/proc/self/fd/{}", file.as_raw_fd());
                let link = |name: &Path| {
                    let linked = linkat(CWD, &source, CWD, name, AtFlags::SYMLINK_FOLLOW);
                    linked.map_err(io::Error::from)
                };
                let named = Builder::new().make_in(directory, link)?;
                named.persist(path).map_err(|error| error.error)
            }
            Self::Named(file) => {
                let mask = rustix::process::umask(Mode::empty());
                rustix::process::umask(mask);
                let permissions = Permissions::from_mode(MODE & !mask.bits());
                std::fs::set_permissions(file.path(), permissions)?;
                file.persist(path).map_err(|error| error.error)?;
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_its_name_when_it_is_whole() {
        let place = tempfile::tempdir().unwrap();
        let (directory, path) = (place.path(), place.path().join("a"));
        let list = || std::fs::read_dir(directory).unwrap().count();
        std::fs::write(&path, "old").unwrap();
        let mut file = Whole::begin(directory).unwrap();
        file.out().write_all(b"new").unwrap();
        assert_eq!((list(), &*std::fs::read(&path).unwrap()), (1, &b"old"[..]));
        drop(file);
        let mut file = Whole::begin(directory).unwrap();
        file.out().write_all(b"new").unwrap();
        file.end(directory, &path).unwrap();
        assert_eq!((list(), &*std::fs::read(&path).unwrap()), (1, &b"new"[..]));
    }
}
