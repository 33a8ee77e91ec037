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

use rustix::fs::{AtFlags, Mode, OFlags};
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
                let directory = rustix::fs::openat(&self.directory, &job, flags, Mode::empty())
                    .map_err(failed("open the directory", &path))?;
                (directory, path, format!("{artifact}.tar.gz"))
            }
        };
        let unfinished = format!(".{artifact}.unfinished");
        let at = path.join(&unfinished);
        // Of a run that was killed, or of one beside this that is about to make the same.
        match rustix::fs::unlinkat(&directory, &unfinished, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(errno) => return Err(failed("remove", &at)(errno)),
        }
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW;
        let file = rustix::fs::openat(
            &directory,
            &unfinished,
            flags | OFlags::CLOEXEC,
            Mode::from_raw_mode(0o666),
        )
        .map_err(failed("make", &at))?;
        Ok(Draft {
            directory,
            unfinished,
            path: path.join(&name),
            name,
            file: file.into(),
            is_told: self.layout == Layout::Jobs,
            is_kept: false,
        })
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
        let removed = rustix::fs::unlinkat(&self.directory, &self.unfinished, AtFlags::empty());
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
