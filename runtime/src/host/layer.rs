//! The layer around the machine's directories.

use std::fs::{self, DirBuilder, DirEntry, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, symlink};
use std::path::{Path, PathBuf};

use super::fingerprint::fingerprint;
use super::kept;
use super::paths::{LAYER, links};
use crate::container::StartError;
use crate::container::error::During;
use crate::rootfs::{Stage, clone_tree};

/// Where a machine keeps its settings.
const ETC: &str = "/etc";
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

/// Puts the layer on the stage: the one that is kept, or a new one when the machine has changed. Asking again is refused
/// by the kernel (`EEXIST`).
pub(crate) fn stage_layer(stage: &Stage) -> Result<(), StartError> {
    let links = links();
    let paths: Vec<_> = links
        .iter()
        .flat_map(|(path, target)| [path, target])
        .collect();
    let name = fingerprint(Path::new(ETC), &paths).during("look at the machine's /etc")?;
    let layer = kept::find_or_build(&name, |layer| build(layer, &links))?;
    stage.mount(Path::new(LAYER), &clone_tree(&layer)?)
}

/// Builds the layer in an empty directory.
fn build(layer: &Path, links: &[(PathBuf, PathBuf)]) -> Result<(), StartError> {
    // Modes are given as they are meant: no umask, no second call a file.
    rustix::process::umask(rustix::fs::Mode::empty());
    for (name, mode) in SKELETON {
        make(&layer.join(name), mode)?;
    }
    for (path, target) in links {
        let link = layer.join(path.strip_prefix("/").unwrap_or(path));
        symlink(target, &link).during_at("link", &link)?;
    }
    let mut buffer = Vec::new();
    copy_tree(Path::new(ETC), &layer.join("etc"), &LEFT_OUT, &mut buffer)
        .during("copy the machine's /etc")
}

fn make(path: &Path, mode: u32) -> Result<(), StartError> {
    DirBuilder::new()
        .mode(mode)
        .create(path)
        .during_at("make", path)
}

/// Copies what everybody may read: a file that is not world-readable is a secret, a directory that is not
/// world-searchable holds some.
fn copy_tree(from: &Path, to: &Path, left_out: &[&str], buffer: &mut Vec<u8>) -> io::Result<()> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let name = entry.file_name();
        if left_out.iter().any(|left_out| name == *left_out) {
            continue;
        }
        match copy_entry(&entry, &to.join(name), buffer) {
            // Changed or removed under our hands, or readable only to others: then it is not for a job either.
            Err(error)
                if [io::ErrorKind::NotFound, io::ErrorKind::PermissionDenied]
                    .contains(&error.kind()) => {}
            result => result?,
        }
    }
    Ok(())
}

/// The directory tells what an entry is, so that only files and directories cost a further look.
fn copy_entry(entry: &DirEntry, to: &Path, buffer: &mut Vec<u8>) -> io::Result<()> {
    let kind = entry.file_type()?;
    if kind.is_symlink() {
        symlink(fs::read_link(entry.path())?, to)
    } else if kind.is_dir() {
        let mode = entry.metadata()?.mode();
        if mode & 0o005 != 0o005 {
            return Ok(());
        }
        DirBuilder::new().mode(mode & 0o755).create(to)?;
        copy_tree(&entry.path(), to, &[], buffer)
    } else if kind.is_file() {
        copy_file(&entry.path(), to, buffer)
    } else {
        Ok(())
    }
}

fn copy_file(from: &Path, to: &Path, buffer: &mut Vec<u8>) -> io::Result<()> {
    let mut file = File::open(from)?;
    let meta = file.metadata()?;
    if meta.mode() & 0o004 == 0 || meta.len() > MAX_FILE {
        return Ok(());
    }
    buffer.resize(usize::try_from(meta.len()).unwrap_or(0), 0);
    // A file that shrinks meanwhile is being written: the next run sees it whole.
    let length = file.read(buffer)?;
    let mut copy = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(meta.mode() & 0o755)
        .open(to)?;
    copy.write_all(&buffer[..length])
}
