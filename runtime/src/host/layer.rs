//! The layer around the machine's directories.

use std::fs::{self, DirEntry, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;

use super::paths::{LAYER, links};
use crate::container::StartError;
use crate::container::error::During;
use crate::rootfs::Stage;

/// Directories a root has, with their modes (FHS 3.0).
const SKELETON: [(&str, u32); 14] = [
    ("etc", 0o755),
    ("home", 0o755),
    ("mnt", 0o755),
    ("opt", 0o755),
    ("root", 0o700),
    ("run", 0o755),
    ("run/lock", 0o1777),
    ("srv", 0o755),
    ("tmp", 0o1777),
    ("var", 0o755),
    ("var/cache", 0o755),
    ("var/lib", 0o755),
    ("var/log", 0o755),
    ("var/tmp", 0o1777),
];
/// Not copied from `/etc` although everybody may read them: they are this machine's, not a job's.
const LEFT_OUT: [&str; 7] = [
    "hostname",
    "hosts",
    "machine-id",
    "mtab",
    "resolv.conf",
    "ssh",
    "fstab",
];
/// Files larger than this do not belong in `/etc`; they are left out rather than held in memory.
const MAX_FILE: u64 = 16 << 20;

/// Builds the layer on the stage. Building it again is refused by the kernel (`EEXIST`).
pub(crate) fn build_layer(_stage: &Stage) -> Result<(), StartError> {
    let layer = Path::new(LAYER);
    make(layer, 0o755)?;
    for (name, mode) in SKELETON {
        make(&layer.join(name), mode)?;
    }
    for (path, target) in links() {
        let link = layer.join(path.strip_prefix("/").unwrap_or(&path));
        symlink(&target, &link).during_at("link", &link)?;
    }
    copy_tree(Path::new("/etc"), &layer.join("etc"), &LEFT_OUT).during("copy the machine's /etc")
}

fn make(path: &Path, mode: u32) -> Result<(), StartError> {
    fs::create_dir(path).during_at("make", path)?;
    fs::set_permissions(path, Permissions::from_mode(mode)).during_at("restrict", path)
}

/// Copies what everybody may read: a file that is not world-readable is a secret, a directory that is not
/// world-searchable holds some.
fn copy_tree(from: &Path, to: &Path, left_out: &[&str]) -> io::Result<()> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        if left_out.iter().any(|name| entry.file_name() == *name) {
            continue;
        }
        match copy_entry(&entry, &to.join(entry.file_name())) {
            // Changed or removed under our hands, or readable only to others: then it is not for a job either.
            Err(error)
                if [io::ErrorKind::NotFound, io::ErrorKind::PermissionDenied]
                    .contains(&error.kind()) => {}
            result => result?,
        }
    }
    Ok(())
}

fn copy_entry(entry: &DirEntry, to: &Path) -> io::Result<()> {
    let meta = entry.metadata()?;
    let mode = meta.mode() & 0o7777;
    if meta.is_symlink() {
        symlink(fs::read_link(entry.path())?, to)
    } else if meta.is_dir() && mode & 0o005 == 0o005 {
        fs::create_dir(to)?;
        fs::set_permissions(to, Permissions::from_mode(mode & 0o755))?;
        copy_tree(&entry.path(), to, &[])
    } else if meta.is_file() && mode & 0o004 == 0o004 && meta.len() <= MAX_FILE {
        fs::copy(entry.path(), to)?;
        fs::set_permissions(to, Permissions::from_mode(mode & 0o755))
    } else {
        Ok(())
    }
}
