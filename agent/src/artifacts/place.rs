//! Where archives go.
//!
//! ```text
//! DIR/JOB/NAME.tar.gz             of `agent run-local`: DIR is the user's, or in the run's directory
//! <data>/jobs/12-1/logs/artifact-NAME   of a job of a server: a stream like its logs
//! ```
//! A name appears when its archive is whole. Steps may be able to write to DIR (with `--in-place`), so that nothing is
//! done there through a link.

use std::fs::{DirBuilder, File};
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FlockOperation, Mode, OFlags, flock, fstat, openat, unlinkat};
use rustix::io::Errno;

use crate::log::job_directory;

/// A directory for archives.
#[derive(Debug)]
pub struct ArtifactPlace {
    directory: OwnedFd,
    path: PathBuf,
    layout: Layout,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Layout {
    /// A directory a job.
    Jobs,
    /// Streams of one job.
    Streams,
}

/// An archive cannot be put where it belongs.
#[derive(Debug, thiserror::Error)]
#[error("failed to {operation} {path}: {source}", path = path.display())]
pub struct ArtifactError {
    operation: &'static str,
    path: PathBuf,
    source: io::Error,
}

fn failed<E: Into<io::Error>>(
    operation: &'static str,
    path: &Path,
) -> impl FnOnce(E) -> ArtifactError {
    let path = path.to_owned();
    move |source| ArtifactError {
        operation,
        path,
        source: source.into(),
    }
}

/// An archive that is being made; dropped, nothing of it stays.
#[derive(Debug)]
pub struct Draft {
    directory: OwnedFd,
    unfinished: String,
    name: String,
    path: PathBuf,
    /// What to write to.
    pub file: File,
    is_told: bool,
    is_kept: bool,
}

impl ArtifactPlace {
    /// A directory a user looks into, made when it is not there.
    ///
    /// # Errors
    /// When it cannot be made or opened.
    pub fn jobs(path: &Path) -> Result<Self, ArtifactError> {
        DirBuilder::new()
            .recursive(true)
            .create(path)
            .map_err(failed("make the directory", path))?;
        let path = path
            .canonicalize()
            .map_err(failed("open the directory", path))?;
        Self::open(path, Layout::Jobs)
    }

    /// The directory with the streams of a server's job.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn streams(path: &Path) -> Result<Self, ArtifactError> {
        Self::open(path.to_owned(), Layout::Streams)
    }

    fn open(path: PathBuf, layout: Layout) -> Result<Self, ArtifactError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = rustix::fs::open(&path, flags, Mode::empty())
            .map_err(failed("open the directory", &path))?;
        Ok(Self {
            directory,
            path,
            layout,
        })
    }

    /// A file for the archive of an artifact, which has no name of its own yet.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn draft(&self, job: &str, artifact: &str) -> Result<Draft, ArtifactError> {
        let (directory, path, name) = match self.layout {
            Layout::Streams => {
                let directory = self.directory.try_clone();
                let directory = directory.map_err(failed("open the directory", &self.path))?;
                (directory, self.path.clone(), format!("artifact-{artifact}"))
            }
            Layout::Jobs => {
                let job = job_directory(job);
                let path = self.path.join(&job);
                match rustix::fs::mkdirat(&self.directory, &job, Mode::from_raw_mode(0o777)) {
                    Ok(()) | Err(Errno::EXIST) => {}
                    Err(errno) => return Err(failed("make the directory", &path)(errno)),
                }
                let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let directory = openat(&self.directory, &job, flags, Mode::empty())
                    .map_err(failed("open the directory", &path))?;
                (directory, path, format!("{artifact}.tar.gz"))
            }
        };
        let (unfinished, file) =
            unfinished(&directory, artifact).map_err(failed("make an archive in", &path))?;
        Ok(Draft {
            directory,
            unfinished,
            path: path.join(&name),
            name,
            file,
            is_told: self.layout == Layout::Jobs,
            is_kept: false,
        })
    }
}

/// How many runs beside each other may make the same archive.
const BESIDE: usize = 100;

/// Makes a file that nobody else writes to, and its name. Whoever writes to one holds its lock (flock(2)), so that what a
/// killed run has left is told from what is being written.
fn unfinished(directory: &OwnedFd, artifact: &str) -> Result<(String, File), Errno> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    for number in 0..BESIDE {
        let name = match number {
            0 => format!(".{artifact}.unfinished"),
            number => format!(".{artifact}.unfinished-{number}"),
        };
        if is_being_written(directory, &name)? {
            continue;
        }
        let file = match openat(directory, &name, flags, Mode::from_raw_mode(0o666)) {
            Ok(file) => file,
            // Somebody was faster.
            Err(Errno::EXIST) => continue,
            Err(errno) => return Err(errno),
        };
        // Somebody who looked before it was locked has taken it for left behind, and is about to remove it, or has done so.
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) if fstat(&file)?.st_nlink > 0 => return Ok((name, file.into())),
            Ok(()) | Err(Errno::WOULDBLOCK) => {}
            Err(errno) => return Err(errno),
        }
    }
    Err(Errno::BUSY)
}

/// Whether another run writes to a file; if not, it is gone afterwards.
fn is_being_written(directory: &OwnedFd, name: &str) -> Result<bool, Errno> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let held = match openat(directory, name, flags, Mode::empty()) {
        Ok(file) => match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Some(file),
            Err(Errno::WOULDBLOCK) => return Ok(true),
            Err(errno) => return Err(errno),
        },
        Err(Errno::NOENT) => return Ok(false),
        // A link, or what only others may read: no run of ours.
        Err(_) => None,
    };
    let removed = unlinkat(directory, name, AtFlags::empty());
    drop(held);
    match removed {
        Ok(()) | Err(Errno::NOENT) => Ok(false),
        Err(errno) => Err(errno),
    }
}

impl Draft {
    /// The archive is whole: gives it its name. Answers where it is, when a user has something of that.
    ///
    /// # Errors
    /// When it cannot be written to the disk.
    pub fn keep(mut self) -> Result<Option<PathBuf>, ArtifactError> {
        self.file.sync_all().map_err(failed("write", &self.path))?;
        rustix::fs::renameat(
            &self.directory,
            &self.unfinished,
            &self.directory,
            &self.name,
        )
        .map_err(failed("write", &self.path))?;
        self.is_kept = true;
        Ok(self.is_told.then(|| std::mem::take(&mut self.path)))
    }
}

impl Drop for Draft {
    /// Nothing came of it.
    fn drop(&mut self) {
        if self.is_kept {
            return;
        }
        let removed = unlinkat(&self.directory, &self.unfinished, AtFlags::empty());
        if let Err(errno) = removed {
            tracing::debug!(path = %self.path.display(), %errno, "an unfinished archive stays");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write as _;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn an_archive_appears_when_it_is_whole_and_takes_the_place_of_an_older_one() {
        let directory = tempfile::tempdir().unwrap();
        let place = ArtifactPlace::jobs(&directory.path().join("out")).unwrap();
        for text in ["old", "new"] {
            let mut draft = place.draft("build (a, b)", "app").unwrap();
            draft.file.write_all(text.as_bytes()).unwrap();
            let path = draft.keep().unwrap().unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
            assert!(path.ends_with("app.tar.gz"), "{}", path.display());
            assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
        }
        drop(place.draft("main", "app").unwrap());
        let left = fs::read_dir(directory.path().join("out/main")).unwrap();
        assert_eq!(left.count(), 0);
    }

    #[test]
    fn runs_beside_each_other_do_not_mix_and_what_a_killed_one_has_left_goes() {
        let directory = tempfile::tempdir().unwrap();
        let place = ArtifactPlace::jobs(&directory.path().join("out")).unwrap();
        let job = directory.path().join("out/main");
        let count = || fs::read_dir(&job).unwrap().count();
        fs::create_dir(&job).unwrap();
        fs::write(job.join(".app.unfinished"), "left behind").unwrap();
        let mut first = place.draft("main", "app").unwrap();
        assert_eq!(count(), 1);
        let mut second = place.draft("main", "app").unwrap();
        assert_eq!(count(), 2);
        first.file.write_all(b"first").unwrap();
        second.file.write_all(b"second").unwrap();
        let path = first.keep().unwrap().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "first");
        second.keep().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "second");
        assert_eq!(count(), 1);
    }

    #[test]
    fn a_stream_is_called_as_the_server_calls_it() {
        let directory = tempfile::tempdir().unwrap();
        let place = ArtifactPlace::streams(directory.path()).unwrap();
        assert_eq!(place.draft("main", "app").unwrap().keep().unwrap(), None);
        let names = fs::read_dir(directory.path()).unwrap();
        let names: Vec<_> = names.map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["artifact-app"]);
    }

    #[test]
    fn nothing_is_written_through_links_that_steps_have_left() {
        let directory = tempfile::tempdir().unwrap();
        let outside = tempfile::tempdir().unwrap();
        let out = directory.path().join("out");
        let place = ArtifactPlace::jobs(&out).unwrap();
        symlink(outside.path(), out.join("main")).unwrap();
        place.draft("main", "app").unwrap_err();
        fs::create_dir(out.join("test")).unwrap();
        let precious = outside.path().join("precious");
        fs::write(&precious, "precious").unwrap();
        symlink(&precious, out.join("test/.app.unfinished")).unwrap();
        symlink(&precious, out.join("test/app.tar.gz")).unwrap();
        let mut draft = place.draft("test", "app").unwrap();
        draft.file.write_all(b"archive").unwrap();
        draft.keep().unwrap();
        assert_eq!(fs::read_to_string(&precious).unwrap(), "precious");
        assert!(!out.join("test/app.tar.gz").is_symlink());
        assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 1);
    }
}
