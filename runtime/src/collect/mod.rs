//! Files that containers have left in a directory they share ([`crate::zygote::Hold`]), as an archive for the machine.
//!
//! ```text
//! agent                                       worker of the zygote, which reaches nothing but that directory
//!   collect(below) ---roots-----------------> list: what there is below them
//!   choose        <---paths, their kinds------'
//!                 ---the paths that count---> pack: tar, gzip, into a file of the agent's
//! ```
//! Several directories make one archive, and get its files back, in one piece of work ([`save`], [`crate::layer::restore`]).
//!
//! The directory is hostile: every path is opened from its root by `openat2` without following any link, nothing but regular
//! files is read, and everything is bounded. Links go into the archive as links, with whatever they say.

mod error;
mod forbidden;
mod list;
mod pack;
mod save;
#[cfg(test)]
mod tests;

pub use error::{CollectError, TooMuch};
pub(crate) use forbidden::Forbidden;
pub use list::{Found, FoundKind};
pub(crate) use list::{Of, list};
pub(crate) use pack::pack;
pub use pack::{Bounds, Collected};
pub use save::Part;
pub(crate) use save::save;

use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

/// Opens a path below a root, following no link on the way and crossing into no other mount; the empty path is the root.
fn open(root: BorrowedFd<'_>, path: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
    let path = if path.is_empty() { b"." } else { path };
    let resolve = ResolveFlags::BENEATH
        | ResolveFlags::NO_SYMLINKS
        | ResolveFlags::NO_MAGICLINKS
        | ResolveFlags::NO_XDEV;
    let flags = flags | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    // EAGAIN: a rename elsewhere on the machine raced with us (openat2(2)).
    for _ in 0..64 {
        match rustix::fs::openat2(root, path, flags, Mode::empty(), resolve) {
            Err(Errno::AGAIN | Errno::INTR) => {}
            result => return result,
        }
    }
    Err(Errno::AGAIN)
}

/// Paths on their way through a file, each with a NUL behind it.
pub(crate) fn joined(paths: &[Vec<u8>]) -> Vec<u8> {
    let mut all = Vec::new();
    for path in paths {
        all.extend_from_slice(path);
        all.push(0);
    }
    all
}

/// The same apart again.
fn apart(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let whole = bytes.strip_suffix(&[0]);
    whole
        .into_iter()
        .flat_map(|bytes| bytes.split(|byte| *byte == 0))
}
