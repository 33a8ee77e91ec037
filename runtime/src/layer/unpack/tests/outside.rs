//! What stands beside the directory that is unpacked into: everything that can be said of it is noted, and must be the
//! same afterwards.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

/// Makes something of every kind, for archives to aim at.
pub(super) fn make(directory: &Path) {
    let victim = directory.join("victim");
    fs::create_dir_all(victim.join("directory")).unwrap();
    fs::write(victim.join("hello"), "untouched").unwrap();
    fs::set_permissions(victim.join("hello"), fs::Permissions::from_mode(0o640)).unwrap();
    fs::write(victim.join("directory/a"), "").unwrap();
    fs::hard_link(victim.join("hello"), victim.join("linked")).unwrap();
    symlink("hello", victim.join("link")).unwrap();
    symlink("../victim", victim.join("directory/up")).unwrap();
    let parent = File::open(&victim).unwrap();
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mknodat(&parent, "fifo", rustix::fs::FileType::Fifo, mode, 0).unwrap();
    fs::set_permissions(&victim, fs::Permissions::from_mode(0o711)).unwrap();
}

/// A line for each file in `directory` but for `target` and what is in it: kind and mode, owner, inode, names, size,
/// device, time of the content and of any change, to the nanosecond, attributes, and the content.
///
/// The time of change makes any touch visible: nobody can set it back.
pub(super) fn listing(directory: &Path, target: &Path) -> String {
    let mut lines = Vec::new();
    let mut rest = vec![directory.to_owned()];
    while let Some(path) = rest.pop() {
        if path == target {
            continue;
        }
        lines.push(line(&path));
        if fs::symlink_metadata(&path).unwrap().is_dir() {
            rest.extend(
                fs::read_dir(&path)
                    .unwrap()
                    .map(|entry| entry.unwrap().path()),
            );
        }
    }
    lines.sort();
    lines.join("\n")
}

fn line(path: &PathBuf) -> String {
    let found = fs::symlink_metadata(path).unwrap();
    let mut line = format!(
        "{} {:o} {}:{} inode {} names {} size {} device {} modified {}.{} changed {}.{}",
        path.display(),
        found.mode(),
        found.uid(),
        found.gid(),
        found.ino(),
        found.nlink(),
        found.size(),
        found.rdev(),
        found.mtime(),
        found.mtime_nsec(),
        found.ctime(),
        found.ctime_nsec(),
    );
    let mut names = [0; 4096];
    if let Ok(length) = rustix::fs::llistxattr(path, &mut names[..]) {
        let _ = write!(line, " {}", names[..length].escape_ascii());
    }
    if found.is_symlink() {
        let _ = write!(line, " {}", fs::read_link(path).unwrap().display());
    } else if found.is_file() {
        let _ = write!(line, " {}", fs::read(path).unwrap().escape_ascii());
    }
    line
}
