//! What the machine's layer is made from, in a few bytes.

use std::fs::{self, DirEntry, Metadata};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{DirEntryExt as _, MetadataExt as _};
use std::path::Path;

use sha2::{Digest as _, Sha256};

/// To be changed with what [`super::layer`] makes of the same files.
const FORMAT: &[u8] = b"slipway host layer 1";

/// A name for the state of `/etc` and of the links beside `/usr`, in hexadecimal digits. Reads no file: who writes one
/// changes its times, who replaces one its inode (inode(7)). Another boot is another state, so that nothing that a crash
/// may have cut short is used after it.
pub(super) fn fingerprint(tree: &Path, links: &[impl AsRef<Path>]) -> io::Result<String> {
    let mut state = Sha256::new();
    state.update(FORMAT);
    state.update(fs::read("/proc/sys/kernel/random/boot_id")?);
    for link in links {
        text(&mut state, link.as_ref().as_os_str().as_bytes());
    }
    directory(&mut state, tree)?;
    Ok(state
        .finalize()
        .iter()
        .take(16)
        .map(|byte| format!("{byte:02x}"))
        .collect())
}

fn directory(state: &mut Sha256, path: &Path) -> io::Result<()> {
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        match self::entry(state, &entry) {
            // Removed under our hands, or readable only to others: then it is not in the layer either.
            Err(error)
                if [io::ErrorKind::NotFound, io::ErrorKind::PermissionDenied]
                    .contains(&error.kind()) => {}
            result => result?,
        }
    }
    text(state, b"");
    Ok(())
}

/// A symbolic link never changes, it is only replaced: its inode number tells.
fn entry(state: &mut Sha256, entry: &DirEntry) -> io::Result<()> {
    text(state, entry.file_name().as_bytes());
    state.update(entry.ino().to_le_bytes());
    let kind = entry.file_type()?;
    if kind.is_file() || kind.is_dir() {
        times(state, &entry.metadata()?);
    }
    if kind.is_dir() {
        directory(state, &entry.path())?;
    }
    Ok(())
}

fn times(state: &mut Sha256, meta: &Metadata) {
    state.update(meta.mode().to_le_bytes());
    state.update(meta.size().to_le_bytes());
    for time in [
        meta.mtime(),
        meta.mtime_nsec(),
        meta.ctime(),
        meta.ctime_nsec(),
    ] {
        state.update(time.to_le_bytes());
    }
}

/// With its length, so that no two lists of texts look the same.
fn text(state: &mut Sha256, text: &[u8]) {
    state.update(text.len().to_le_bytes());
    state.update(text);
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    #[test]
    fn whatever_changes_in_the_tree_changes_the_fingerprint() {
        let tree = tempfile::tempdir().unwrap();
        let at = |name: &str| tree.path().join(name);
        let now = || fingerprint(tree.path(), &["/bin"]).unwrap();
        fs::create_dir(at("d")).unwrap();
        fs::write(at("d/f"), "one").unwrap();
        let mut seen = vec![now()];
        assert_eq!(now(), seen[0]);
        assert_eq!(seen[0].len(), 32);

        let mut changed = |what: &str| {
            let next = now();
            assert!(!seen.contains(&next), "{what} is not seen");
            seen.push(next);
        };
        fs::write(at("d/f"), "longer").unwrap();
        changed("another length");
        fs::set_permissions(at("d/f"), fs::Permissions::from_mode(0o600)).unwrap();
        changed("another mode");
        symlink("f", at("d/link")).unwrap();
        changed("a new link");
        fs::rename(at("d/link"), at("d/other")).unwrap();
        changed("another name");
        // The same length, and a time that may be the same: the inode is another.
        fs::write(at("new"), "larger").unwrap();
        fs::rename(at("new"), at("d/f")).unwrap();
        changed("a file in another's place");
        fs::create_dir(at("d/empty")).unwrap();
        changed("an empty directory");
    }

    #[test]
    fn links_beside_the_tree_count() {
        let tree = tempfile::tempdir().unwrap();
        let of = |links: &[&str]| fingerprint(tree.path(), links).unwrap();
        assert_ne!(of(&["/bin", "/lib"]), of(&["/bin/lib"]));
    }
}
