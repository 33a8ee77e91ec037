use std::path::{Path, PathBuf};

use rustix::io::Errno;
use serde::{Deserialize, Serialize};

/// Why a container could not be started. It crosses from the container's first process to the agent, so causes are
/// error numbers, not `io::Error`s.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum StartError {
    /// No such program in the image.
    #[error("there is no `{program}` in the image")]
    CommandNotFound {
        /// As it stands in the argument vector.
        program: String,
    },
    /// The program is there and cannot be executed.
    #[error("cannot execute `{program}`: {}", describe(*errno))]
    NotExecutable {
        /// As it stands in the argument vector.
        program: String,
        /// From execve(2).
        errno: i32,
    },
    /// The kernel does not pass so much to a program.
    #[error("{what} has {size} bytes, and the kernel takes {limit}")]
    TooLong {
        /// The variable with its name, the argument, or all of them.
        what: String,
        /// In bytes, with what the kernel needs at the end of each.
        size: usize,
        /// At most, in bytes.
        limit: usize,
    },
    /// The working directory is not there, or is no directory.
    #[error("the working directory {} cannot be entered: {}", path.display(), describe(*errno))]
    WorkingDirectory {
        /// In the container.
        path: PathBuf,
        /// From openat2(2).
        errno: i32,
    },
    /// The image's `/etc/passwd` or `/etc/group` does not know the name.
    #[error("there is no {what} `{name}` in the image")]
    NoSuchUser {
        /// `user` or `group`.
        what: String,
        /// The name.
        name: String,
    },
    /// `user` is not of the form `user[:group]`.
    #[error("`{text}` is not a user: {reason}")]
    InvalidUser {
        /// As given.
        text: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The id exists in no range the caller owns.
    #[error("{what} id {id} is not among the ids this machine gives to containers")]
    UnmappedId {
        /// `user` or `group`.
        what: String,
        /// The id in the container.
        id: u32,
    },
    /// Something in the image stands where a mount or a file of ours must go, and could lead out of the root.
    #[error("the image's {} is not usable as {wanted}: {}", path.display(), describe(*errno))]
    ImageRefused {
        /// In the container.
        path: PathBuf,
        /// `a mount point`, `a directory`, `a file`.
        wanted: String,
        /// From openat2(2).
        errno: i32,
    },
    /// A mount would cover the kernel's own files.
    #[error("nothing can be mounted on {}: `/proc` and `/sys` are the kernel's", path.display())]
    MountTarget {
        /// In the container.
        path: PathBuf,
    },
    /// A directory of the machine cannot be under an overlay: in a user namespace the kernel does not take a tree apart
    /// that it got as a whole.
    #[error(
        "{mount} is a mount point, and a plain user's overlay cannot show a directory with one below it"
    )]
    MountBelow {
        /// One of them.
        mount: String,
    },
    /// What a container or a job writes would be on an overlay, and the kernel does not stack them so.
    #[error(
        "the data directory is on an overlay file system, which cannot hold what another overlay keeps aside"
    )]
    UpperOnOverlay,
    /// The machine ran out of space while the container was set up.
    #[error("{operation}: no space left")]
    NoSpace {
        /// What was being done.
        operation: String,
    },
    /// A limit of the container is so low that it cannot even be started.
    #[error("its limit of {limit} leaves no room to start it")]
    LimitTooLow {
        /// `4096 bytes of memory`.
        limit: String,
    },
    /// The kernel refused a step of the set-up.
    #[error("{operation}: {}", describe(*errno))]
    System {
        /// What was being done, with the path where there is one.
        operation: String,
        /// The error number.
        errno: i32,
    },
    /// The container in which something was to be started has ended.
    #[error("the container is over")]
    ContainerGone,
    /// The zygote was asked for something that makes no sense: a fault of ours.
    #[error("the zygote was sent a malformed request: {problem}")]
    Malformed {
        /// What is wrong with it.
        problem: String,
    },
    /// The zygote is gone, or what it sent makes no sense.
    #[error("the zygote is gone: {reason}")]
    ZygoteGone {
        /// What was seen.
        reason: String,
    },
}

impl StartError {
    /// Whether the kernel said no more than `EINVAL`.
    pub(crate) fn is_invalid_argument(&self) -> bool {
        matches!(self, Self::System { errno, .. } if *errno == libc::EINVAL)
    }
}

fn describe(errno: i32) -> String {
    std::io::Error::from_raw_os_error(errno).to_string()
}

/// Names what was being done when a system call failed.
pub(crate) trait During<T> {
    /// The operation in a few words: `mount proc`.
    fn during(self, operation: &str) -> Result<T, StartError>;
    /// The operation and what it was done to.
    fn during_at(self, operation: &str, path: &Path) -> Result<T, StartError>;
}

impl<T, E: Into<std::io::Error>> During<T> for Result<T, E> {
    fn during(self, operation: &str) -> Result<T, StartError> {
        self.map_err(|error| system(operation.to_owned(), &error.into()))
    }

    fn during_at(self, operation: &str, path: &Path) -> Result<T, StartError> {
        self.map_err(|error| system(format!("{operation} {}", path.display()), &error.into()))
    }
}

fn system(operation: String, error: &std::io::Error) -> StartError {
    let errno = error.raw_os_error().unwrap_or(libc::EIO);
    if [libc::ENOSPC, libc::EDQUOT].contains(&errno) {
        StartError::NoSpace { operation }
    } else {
        StartError::System { operation, errno }
    }
}

/// The image stands in the way at `path`.
pub(crate) fn refused(path: &Path, wanted: &str, errno: Errno) -> StartError {
    StartError::ImageRefused {
        path: path.to_owned(),
        wanted: wanted.to_owned(),
        errno: errno.raw_os_error(),
    }
}
