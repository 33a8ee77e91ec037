//! Where the pipeline is.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use pipelines::Source;

/// What a pipeline is called.
pub const FILE_NAME: &str = ".pipeline.yml";

/// One byte more than the compiler takes, so that it is the one to say that a file is too large.
pub(super) const LIMIT: u64 = (1 << 20) + 1;

/// A pipeline and the working tree it is in.
#[derive(Debug)]
pub struct Found {
    /// The working tree: the directory of the file. Absolute, without symbolic links.
    pub directory: PathBuf,
    /// The file's content.
    pub source: Source,
}

/// Why there is no pipeline.
#[derive(Debug, thiserror::Error)]
pub enum FindError {
    /// The path that was given cannot be looked at.
    #[error("failed to open {path}: {source}", path = path.display())]
    Start {
        /// The path.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The path that was given is not a directory.
    #[error("failed to open {path}: it is not a directory", path = path.display())]
    NotADirectory {
        /// The path.
        path: PathBuf,
    },
    /// Neither the directory nor one of its parents has a pipeline.
    #[error("failed to find {FILE_NAME}: it is neither in {directory} nor in a directory above", directory = directory.display())]
    Missing {
        /// Where the search began.
        directory: PathBuf,
    },
    /// The file cannot be read.
    #[error("failed to read {path}: {source}", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is a directory, a device or the like.
    #[error("failed to read {path}: it is not a regular file", path = path.display())]
    NotAFile {
        /// What was found.
        path: PathBuf,
    },
}

/// Looks for a pipeline in `directory` and the directories above it.
pub fn find(directory: &Path) -> Result<Found, FindError> {
    let start = absolute(directory)?;
    if !start.is_dir() {
        return Err(FindError::NotADirectory { path: start });
    }
    for directory in start.ancestors() {
        let path = directory.join(FILE_NAME);
        match path.symlink_metadata() {
            Ok(_) => {
                return Ok(Found {
                    directory: directory.to_owned(),
                    source: read(&path, FILE_NAME)?,
                });
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(source) => return Err(FindError::Read { path, source }),
        }
    }
    Err(FindError::Missing { directory: start })
}

/// Takes a pipeline file by its own path, or looks for one as [`find`] does.
pub fn open(path: &Path) -> Result<Found, FindError> {
    let absolute = absolute(path)?;
    if absolute.is_dir() {
        return find(path);
    }
    Ok(Found {
        directory: absolute.parent().unwrap_or(&absolute).to_owned(),
        source: read(path, &path.display().to_string())?,
    })
}

/// Takes the pipeline that is written to standard input; what it includes is below the current directory.
pub fn standard_input() -> Result<Found, FindError> {
    let failed = |source| FindError::Read {
        path: PathBuf::from("-"),
        source,
    };
    let mut bytes = Vec::new();
    io::stdin()
        .lock()
        .take(LIMIT)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    Ok(Found {
        directory: absolute(Path::new("."))?,
        source: Source::new("<stdin>", bytes),
    })
}

fn absolute(path: &Path) -> Result<PathBuf, FindError> {
    path.canonicalize().map_err(|source| FindError::Start {
        path: path.to_owned(),
        source,
    })
}

/// Reads a regular file, not further than the compiler would. Anything else could block or never end.
fn read(path: &Path, name: &str) -> Result<Source, FindError> {
    let failed = |source| FindError::Read {
        path: path.to_owned(),
        source,
    };
    if !path.metadata().map_err(failed)?.is_file() {
        return Err(FindError::NotAFile {
            path: path.to_owned(),
        });
    }
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(LIMIT).read_to_end(&mut bytes))
        .map_err(failed)?;
    Ok(Source::new(name, bytes))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::{FindError, find, open};

    #[test]
    fn the_nearest_file_above_wins_and_names_the_tree() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path().canonicalize().unwrap();
        fs::create_dir_all(root.join("a/b/c")).unwrap();
        fs::write(root.join(".pipeline.yml"), "outer").unwrap();
        fs::write(root.join("a/.pipeline.yml"), "inner").unwrap();
        let found = find(&root.join("a/b/c")).unwrap();
        assert_eq!(found.directory, root.join("a"));
        assert_eq!(found.source.text(), "inner");
        assert_eq!(found.source.name(), ".pipeline.yml");
    }

    #[test]
    fn a_missing_file_names_where_it_was_looked_for() {
        let directory = tempfile::tempdir().unwrap();
        let error = find(directory.path()).unwrap_err();
        assert!(matches!(error, FindError::Missing { .. }), "{error}");
        assert!(matches!(
            find(Path::new("/nonexistent")),
            Err(FindError::Start { .. })
        ));
    }

    #[test]
    fn what_is_not_a_regular_file_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join(".pipeline.yml")).unwrap();
        let error = find(directory.path()).unwrap_err();
        assert!(matches!(error, FindError::NotAFile { .. }), "{error}");
        assert!(matches!(
            open(Path::new("/dev/zero")),
            Err(FindError::NotAFile { .. })
        ));
    }
}
