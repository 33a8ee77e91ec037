//! What a tree takes on its disk, found by descriptors while others may be writing to it.

use std::collections::HashSet;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat, fstat, openat, statat};
use rustix::io::Errno;

use super::remove::list;

/// Directories held open on the way down.
const MAX_OPEN: usize = 64;
/// Of a block as `st_blocks` counts it, bytes (inode(7)).
const BLOCK: u64 = 512;

/// Which directory this is, on its file system.
type Identity = (u64, u64);

/// A directory on the way down, closed while the way goes on far below it.
struct Level {
    directory: Option<OwnedFd>,
    identity: Identity,
    rest: Vec<Vec<u8>>,
}

/// Bytes of `name` in `parent` and of everything under it, each file once however many links it has; no symbolic link is
/// followed, and what is gone meanwhile counts nothing.
///
/// # Errors
/// The kernel refuses, or a directory was moved while we were in it.
pub(crate) fn measure(parent: BorrowedFd<'_>, name: &[u8]) -> Result<u64, Errno> {
    let mut total = 0_u64;
    // Files with several links that were met, so that they count once.
    let mut met = HashSet::new();
    let mut levels: Vec<Level> = enter(parent, name)?.into_iter().collect();
    while let Some(level) = levels.last_mut() {
        let Some(child) = level.rest.pop() else {
            let done = levels.pop();
            reopen(levels.last_mut(), done)?;
            continue;
        };
        let Some(directory) = &level.directory else {
            return Err(Errno::BADF);
        };
        let stat = match statat(directory, &child[..], AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => continue,
            result => result?,
        };
        let is_new = stat.st_nlink == 1 || met.insert(identity(&stat));
        if is_new {
            let blocks = u64::try_from(stat.st_blocks).unwrap_or(0);
            total = total.saturating_add(blocks.saturating_mul(BLOCK));
        }
        if FileType::from_raw_mode(stat.st_mode) == FileType::Directory
            && let Some(next) = enter(directory.as_fd(), &child)?
        {
            levels.push(next);
            if let Some(far) = levels.len().checked_sub(MAX_OPEN + 1) {
                levels[far].directory = None;
            }
        }
    }
    Ok(total)
}

/// Opens a directory and lists it; `None` when there is none any more.
fn enter(parent: BorrowedFd<'_>, name: &[u8]) -> Result<Option<Level>, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let directory = match openat(parent, name, flags, Mode::empty()) {
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Ok(None),
        result => result?,
    };
    let identity = identity(&fstat(&directory)?);
    let rest = match list(directory.as_fd()) {
        // It was removed since it was opened.
        Err(Errno::NOENT) => Vec::new(),
        result => result?,
    };
    Ok(Some(Level {
        directory: Some(directory),
        identity,
        rest,
    }))
}

/// Goes back up from what is done, to a directory that may have been closed. One that is not the same any more has been
/// moved, and we may be anywhere.
fn reopen(level: Option<&mut Level>, below: Option<Level>) -> Result<(), Errno> {
    if let Some(level) = level
        && level.directory.is_none()
        && let Some(below) = below.and_then(|below| below.directory)
    {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = openat(&below, "..", flags, Mode::empty())?;
        if identity(&fstat(&directory)?) != level.identity {
            return Err(Errno::STALE);
        }
        level.directory = Some(directory);
    }
    Ok(())
}

const fn identity(stat: &Stat) -> Identity {
    (stat.st_dev, stat.st_ino)
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::os::unix::fs::{MetadataExt as _, symlink};

    use rustix::fs::mkdirat;

    use super::*;

    fn measured(parent: &tempfile::TempDir) -> u64 {
        measure(File::open(parent.path()).unwrap().as_fd(), b"tree").unwrap()
    }

    #[test]
    fn a_file_counts_once_and_links_lead_nowhere() {
        let parent = tempfile::tempdir().unwrap();
        let tree = parent.path().join("tree");
        fs::create_dir_all(tree.join("below")).unwrap();
        let directories = measured(&parent);
        let file = tree.join("below/file");
        fs::write(&file, vec![1; 100_000]).unwrap();
        fs::hard_link(&file, tree.join("again")).unwrap();
        symlink("/usr", tree.join("link")).unwrap();
        symlink("..", tree.join("up")).unwrap();
        File::create(tree.join("hole"))
            .unwrap()
            .set_len(1 << 30)
            .unwrap();
        let file = fs::metadata(file).unwrap().blocks() * BLOCK;
        let all = measured(&parent);
        assert!(file >= 100_000, "{file}");
        assert!(
            (file..file + 100_000).contains(&(all - directories)),
            "{all} {file}"
        );
        assert_eq!(
            measure(File::open("/").unwrap().as_fd(), b"no-such-thing"),
            Ok(0)
        );
    }

    #[test]
    fn a_tree_deeper_than_we_hold_descriptors_is_measured() {
        let parent = tempfile::tempdir().unwrap();
        let mut here: OwnedFd = File::open(parent.path()).unwrap().into();
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        for name in std::iter::once("tree").chain(std::iter::repeat_n("d", MAX_OPEN * 4)) {
            mkdirat(&here, name, Mode::RWXU).unwrap();
            here = openat(&here, name, flags, Mode::empty()).unwrap();
        }
        let before = measured(&parent);
        let make = OFlags::WRONLY | OFlags::CREATE;
        let mut file = File::from(openat(&here, "f", make, Mode::RWXU).unwrap());
        std::io::Write::write_all(&mut file, &vec![1; 50_000]).unwrap();
        // Beside the way down, far above.
        fs::write(parent.path().join("tree/zz"), vec![1; 50_000]).unwrap();
        assert!(measured(&parent) >= before + 100_000);
        super::super::remove(File::open(parent.path()).unwrap().as_fd(), "tree").unwrap();
    }
}
