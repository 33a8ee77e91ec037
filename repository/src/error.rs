//! Why something about a repository could not be done.

use std::io;
use std::path::PathBuf;

use crate::{Commit, UrlError};

/// What libgit2 does not tell apart, and what to do.
const CERTIFICATE: &str = "it is expired, for another name, or of an authority that this machine does not trust; \
    SSL_CERT_FILE can name a file with the authority's own";

/// What the system says of a disk (strerror(3)), as libgit2 passes it on.
const DISK: [&str; 4] = [
    "No space left on device",
    "Disk quota exceeded",
    "Read-only file system",
    "Input/output error",
];

/// Why something about a repository could not be done. Fits behind "failed to get the sources: ".
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The host cannot be reached, or breaks off.
    #[error("failed to reach {url}: {message}")]
    Unreachable {
        /// Without its password.
        url: String,
        /// What libgit2 says.
        message: String,
    },
    /// The host is there, and does not get on.
    #[error("failed to reach {url}: {message}")]
    Slow {
        /// Without its password.
        url: String,
        /// Which bound it is beyond.
        message: String,
    },
    /// What the host sends is more than a transfer may take.
    #[error("{url} is too much to be fetched: {message}")]
    TooMuch {
        /// Without its password.
        url: String,
        /// Which bound it is beyond.
        message: String,
    },
    /// The host does not let us in, or there is no such repository: hosts do not tell which.
    #[error("{url} does not let us in: {message}")]
    Refused {
        /// Without its password.
        url: String,
        /// What libgit2 says.
        message: String,
    },
    /// There is no repository there.
    #[error("there is no repository at {url}: {message}")]
    NoRepository {
        /// Without its password.
        url: String,
        /// What libgit2 says.
        message: String,
    },
    /// The repository has no such branch, tag or commit.
    #[error("{url} has no branch, tag or commit `{reference}`")]
    NoReference {
        /// Without its password.
        url: String,
        /// As it was asked for.
        reference: String,
    },
    /// The repository does not hand out a commit: none of its branches and tags has it.
    #[error("{url} has no commit {commit}, or does not hand it out")]
    NoCommit {
        /// Without its password.
        url: String,
        /// The commit.
        commit: Commit,
    },
    /// A name that no branch or tag can have.
    #[error("`{0}` is no name of a branch, a tag or a commit")]
    InvalidReference(String),
    /// A path that is no file of the repository's.
    #[error("{path} of commit {commit} is {what}")]
    NoFile {
        /// From the root.
        path: String,
        /// The commit.
        commit: Commit,
        /// What is there: a directory, a link, larger than may be.
        what: String,
    },
    /// What the commit has cannot be written down: it is an attack, or beyond the limits.
    #[error("the tree of commit {commit} is not written down: {path}: {what}")]
    Hostile {
        /// The commit.
        commit: Commit,
        /// Where in the tree.
        path: String,
        /// What is wrong with it.
        what: String,
    },
    /// A submodule cannot be had.
    #[error("the submodule {path}: {source}")]
    Submodule {
        /// Where in the tree.
        path: String,
        /// Why.
        source: Box<Self>,
    },
    /// A submodule's URL is refused.
    #[error("{0}")]
    Url(#[from] UrlError),
    /// Objects that were fetched are not what they should be.
    #[error("the objects of {url} are damaged: {message}")]
    Damaged {
        /// Without its password.
        url: String,
        /// What libgit2 says.
        message: String,
    },
    /// The process that makes the transfer did not do so.
    #[error("failed to transfer from {url}: {message}")]
    Process {
        /// Without its password.
        url: String,
        /// How it ended.
        message: String,
    },
    /// This machine's disk.
    #[error("failed to {operation} {path}: {source}", path = path.display())]
    Disk {
        /// What was tried.
        operation: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// The watch said so.
    #[error("stopped")]
    Stopped,
}

impl Error {
    /// Whether another attempt may go better: a network, not a name.
    #[must_use]
    pub fn is_worth_another_attempt(&self) -> bool {
        match self {
            Self::Unreachable { .. }
            | Self::Slow { .. }
            | Self::Damaged { .. }
            | Self::Process { .. } => true,
            Self::Submodule { source, .. } => source.is_worth_another_attempt(),
            _ => false,
        }
    }

    /// Whether what is kept of a repository here is not what it should be. The mirror is fetched anew at the next
    /// [`crate::Mirrors::fetch`].
    #[must_use]
    pub fn is_damage(&self) -> bool {
        match self {
            Self::Damaged { .. } => true,
            Self::Submodule { source, .. } => source.is_damage(),
            _ => false,
        }
    }

    /// What libgit2 says about a remote.
    pub(crate) fn of_remote(url: &crate::Url, error: &git2::Error) -> Self {
        use git2::{ErrorClass, ErrorCode};
        let is_file = url.scheme() == crate::Scheme::File;
        let (url, message) = (url.to_string(), error.message().trim().to_owned());
        let says = |needle: &str| message.contains(needle);
        match (error.code(), error.class()) {
            // libgit2 takes a path without a repository for a URL it does not know.
            (_, ErrorClass::Net) if is_file => Self::NoRepository {
                url,
                message: "no such directory, or none of git's".to_owned(),
            },
            (_, ErrorClass::NoMemory) => Self::TooMuch {
                url,
                message: format!("{message}: what it has sent unfolds to more than there may be"),
            },
            (ErrorCode::Auth | ErrorCode::Certificate, _) => Self::Refused { url, message },
            (_, ErrorClass::Http) if says("status code: 404") => {
                Self::NoRepository { url, message }
            }
            (_, ErrorClass::Http) if says("status code: 401") || says("status code: 403") => {
                Self::Refused { url, message }
            }
            (ErrorCode::NotFound, ErrorClass::Repository | ErrorClass::Os) => {
                Self::NoRepository { url, message }
            }
            (_, ErrorClass::Repository) => Self::NoRepository { url, message },
            (
                _,
                ErrorClass::Indexer
                | ErrorClass::Zlib
                | ErrorClass::Odb
                | ErrorClass::Object
                | ErrorClass::Reference,
            ) => Self::Damaged { url, message },
            (_, ErrorClass::Ssl) if says("certificate is invalid") => Self::Unreachable {
                url,
                message: format!("{message}: {CERTIFICATE}"),
            },
            (_, ErrorClass::Os | ErrorClass::Filesystem) if DISK.iter().any(|why| says(why)) => {
                Self::Process { url, message }
            }
            _ => Self::Unreachable { url, message },
        }
    }

    /// Whether this machine is to blame, and neither the repository nor its host.
    #[must_use]
    pub fn is_this_machines(&self) -> bool {
        match self {
            Self::Disk { .. } | Self::Process { .. } => true,
            Self::Submodule { source, .. } => source.is_this_machines(),
            _ => false,
        }
    }

    pub(crate) fn disk(
        operation: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Disk {
            operation,
            path,
            source,
        }
    }
}
