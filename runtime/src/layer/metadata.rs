//! Owner, extended attributes, mode and time, in the order in which the kernel keeps all of them: a change of owner
//! clears setuid and capabilities, a read-only mode forbids attributes, everything touches the time.
//!
//! Ownership that this user namespace cannot express is kept in [`OVERRIDE_STAT`], as containers/storage and
//! fuse-overlayfs do it (containers/storage, pkg/idtools).

use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::{AtFlags, Gid, Mode, Timespec, Timestamps, Uid, XattrFlags};
use rustix::io::Errno;

use super::entry::{Entry, Kind};
use super::error::{Operation, UnpackError};
use super::pax::Time;

/// `uid:gid:mode:type`, where the type is `file`, `dir`, `pipe`, `block-MAJOR-MINOR` or `char-MAJOR-MINOR`.
pub const OVERRIDE_STAT: &str = "user.containers.override_stat";

/// Sets everything on an open regular file or directory; a directory's mode and time are set at the end of the layer.
pub(super) fn apply(file: BorrowedFd<'_>, entry: &Entry) -> Result<(), UnpackError> {
    let failed =
        |operation| move |errno| UnpackError::system(operation, entry.path.as_bytes(), errno);
    match rustix::fs::fchown(
        file,
        Some(Uid::from_raw(entry.uid)),
        Some(Gid::from_raw(entry.gid)),
    ) {
        Err(Errno::INVAL | Errno::PERM) => {
            keep_stat(file, entry).map_err(failed(Operation::Owner))?
        }
        result => result.map_err(failed(Operation::Owner))?,
    }
    for (name, value) in entry.xattrs.iter().filter(|(name, _)| is_wanted(name)) {
        match rustix::fs::fsetxattr(file, &name[..], value, XattrFlags::empty()) {
            // What this file system has no room for, or this user namespace no right to: security labels, mostly.
            Err(Errno::OPNOTSUPP | Errno::PERM) => {
                tracing::debug!(name = %name.escape_ascii(), path = %entry.path.as_bytes().escape_ascii(), "extended attribute left out");
            }
            result => result.map_err(failed(Operation::Xattr))?,
        }
    }
    if entry.kind != Kind::Directory {
        rustix::fs::fchmod(file, Mode::from_raw_mode(entry.mode))
            .map_err(failed(Operation::Mode))?;
        rustix::fs::futimens(file, &timestamps(entry.mtime)).map_err(failed(Operation::Time))?;
    }
    Ok(())
}

/// Sets owner, mode and time of a symbolic link, fifo or device, which cannot be opened. The attributes of such files
/// are not kept: Linux allows none in `user.`, and no others matter in a container.
pub(super) fn apply_at(
    parent: BorrowedFd<'_>,
    name: &[u8],
    entry: &Entry,
) -> Result<(), UnpackError> {
    let failed =
        |operation| move |errno| UnpackError::system(operation, entry.path.as_bytes(), errno);
    let (uid, gid) = (Uid::from_raw(entry.uid), Gid::from_raw(entry.gid));
    match rustix::fs::chownat(
        parent,
        name,
        Some(uid),
        Some(gid),
        AtFlags::SYMLINK_NOFOLLOW,
    ) {
        Err(Errno::INVAL | Errno::PERM) => {}
        result => result.map_err(failed(Operation::Owner))?,
    }
    if entry.kind != Kind::Symlink {
        rustix::fs::chmodat(
            parent,
            name,
            Mode::from_raw_mode(entry.mode),
            AtFlags::empty(),
        )
        .map_err(failed(Operation::Mode))?;
    }
    rustix::fs::utimensat(
        parent,
        name,
        &timestamps(entry.mtime),
        AtFlags::SYMLINK_NOFOLLOW,
    )
    .map_err(failed(Operation::Time))
}

/// Records owner, mode and type of what could not be made as the archive has it.
pub(super) fn keep_stat(file: impl AsFd, entry: &Entry) -> Result<(), Errno> {
    let Entry {
        uid,
        gid,
        mode,
        major,
        minor,
        ..
    } = entry;
    let kind = match entry.kind {
        Kind::Directory => "dir".to_owned(),
        Kind::Fifo => "pipe".to_owned(),
        Kind::Symlink => "symlink".to_owned(),
        Kind::Character => format!("char-{major}-{minor}"),
        Kind::Block => format!("block-{major}-{minor}"),
        Kind::File | Kind::HardLink => "file".to_owned(),
    };
    let value = format!("{uid}:{gid}:{mode:04o}:{kind}");
    match rustix::fs::fsetxattr(file, OVERRIDE_STAT, value.as_bytes(), XattrFlags::empty()) {
        // A file system without such attributes (tmpfs before Linux 6.6): the image runs all the same.
        Err(Errno::OPNOTSUPP) => Ok(()),
        result => result,
    }
}

/// What [`keep_stat`] has kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Kept {
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) mode: u32,
    /// What an empty file stands for, with the device's numbers.
    pub(super) device: Option<(Kind, u32, u32)>,
}

/// What is kept of a file in [`OVERRIDE_STAT`]; a value that no tool writes counts as none.
pub(super) fn kept_stat(file: impl AsFd) -> Result<Option<Kept>, Errno> {
    let mut value = [0; 128];
    match rustix::fs::fgetxattr(file, OVERRIDE_STAT, &mut value) {
        Ok(length) => Ok(std::str::from_utf8(&value[..length])
            .ok()
            .and_then(parse_kept)),
        Err(Errno::NODATA | Errno::OPNOTSUPP | Errno::RANGE) => Ok(None),
        Err(errno) => Err(errno),
    }
}

fn parse_kept(text: &str) -> Option<Kept> {
    let mut fields = text.splitn(4, ':');
    let uid = fields.next()?.parse().ok()?;
    let gid = fields.next()?.parse().ok()?;
    let mode = u32::from_str_radix(fields.next()?, 8).ok()? & 0o7777;
    let mut words = fields.next().unwrap_or("file").split('-');
    let kind = match words.next()? {
        "char" => Some(Kind::Character),
        "block" => Some(Kind::Block),
        "pipe" => Some(Kind::Fifo),
        _ => None,
    };
    let mut number = || words.next().and_then(|word| word.parse().ok());
    let device = match kind {
        Some(Kind::Fifo) => Some((Kind::Fifo, 0, 0)),
        Some(kind) => Some((kind, number()?, number()?)),
        None => None,
    };
    Some(Kept {
        uid,
        gid,
        mode,
        device,
    })
}

/// Name and value of an extended attribute.
pub(super) type Attribute = (Vec<u8>, Vec<u8>);

/// A file's extended attributes that are the image's.
pub(super) fn attributes(file: BorrowedFd<'_>) -> Result<Vec<Attribute>, Errno> {
    let mut list = vec![0; 64 * 1024];
    let length = match rustix::fs::flistxattr(file, &mut list[..]) {
        Err(Errno::OPNOTSUPP) => return Ok(Vec::new()),
        result => result?,
    };
    let mut found = Vec::new();
    let mut value = vec![0; 64 * 1024];
    let names = list[..length].split(|byte| *byte == 0);
    for name in names.filter(|name| !name.is_empty() && is_wanted(name)) {
        match rustix::fs::fgetxattr(file, name, &mut value[..]) {
            Ok(length) => found.push((name.to_vec(), value[..length].to_vec())),
            Err(Errno::NODATA | Errno::OPNOTSUPP | Errno::PERM) => {}
            Err(errno) => return Err(errno),
        }
    }
    found.sort();
    Ok(found)
}

pub(super) fn timestamps(time: Time) -> Timestamps {
    let time = Timespec {
        tv_sec: time.seconds,
        tv_nsec: time.nanoseconds.into(),
    };
    Timestamps {
        last_access: time,
        last_modification: time,
    }
}

/// Attributes that would speak to overlayfs or to us are not the image's to set.
fn is_wanted(name: &[u8]) -> bool {
    !name.starts_with(b"trusted.overlay.")
        && !name.starts_with(b"user.overlay.")
        && name != OVERRIDE_STAT.as_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_of_a_file_is_read_as_podman_writes_it() {
        let kept = |device| {
            Some(Kept {
                uid: 1000,
                gid: 50,
                mode: 0o4755,
                device,
            })
        };
        assert_eq!(parse_kept("1000:50:4755:file"), kept(None));
        assert_eq!(parse_kept("1000:50:4755"), kept(None));
        assert_eq!(
            parse_kept("1000:50:4755:char-1-3"),
            kept(Some((Kind::Character, 1, 3)))
        );
        assert_eq!(
            parse_kept("1000:50:4755:pipe"),
            kept(Some((Kind::Fifo, 0, 0)))
        );
        for text in [
            "",
            "1000",
            "a:b:c:file",
            "0:0:9:file",
            "0:0:0644:char-1",
            "-1:0:0644:file",
        ] {
            assert_eq!(parse_kept(text), None, "{text}");
        }
    }
}
