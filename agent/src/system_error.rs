use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// Something of the machine failed, as a fragment that stands by itself: `failed to make /x: No space left on device`.
#[derive(Debug)]
pub struct SystemError {
    operation: &'static str,
    path: Option<PathBuf>,
    source: io::Error,
}

impl SystemError {
    /// For `map_err`: what was tried.
    pub(crate) fn during<E: Into<io::Error>>(operation: &'static str) -> impl FnOnce(E) -> Self {
        move |source| Self {
            operation,
            path: None,
            source: source.into(),
        }
    }

    /// The same with the path that it was done to.
    pub(crate) fn at<E: Into<io::Error>>(
        operation: &'static str,
        path: &Path,
    ) -> impl FnOnce(E) -> Self + use<E> {
        let path = path.to_owned();
        move |source| Self {
            operation,
            path: Some(path),
            source: source.into(),
        }
    }
}

impl fmt::Display for SystemError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "failed to {}", self.operation)?;
        if let Some(path) = &self.path {
            write!(f, " {}", path.display())?;
        }
        write!(f, ": {}", self.source)
    }
}

impl std::error::Error for SystemError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}
