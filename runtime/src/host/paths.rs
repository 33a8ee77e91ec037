use std::path::{Path, PathBuf};

/// The name of the layer around the machine's directories, as a container's specification takes it.
pub const LAYER: &str = "mnt/host";

/// Where a machine may keep its programs and libraries (FHS 3.0, section 3).
const CANDIDATES: [&str; 8] = [
    "/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/libo32",
];

/// Those that are directories here and have to be mounted; the others are links, which the layer repeats, or missing.
#[must_use]
pub fn directories() -> Vec<PathBuf> {
    split().0
}

/// The links among them, with their targets.
pub(super) fn links() -> Vec<(PathBuf, PathBuf)> {
    split().1
}

fn split() -> (Vec<PathBuf>, Vec<(PathBuf, PathBuf)>) {
    let (mut directories, mut links) = (Vec::new(), Vec::new());
    for path in CANDIDATES.map(Path::new) {
        match std::fs::read_link(path) {
            Ok(target) => links.push((path.to_owned(), target)),
            Err(_) if path.is_dir() => directories.push(path.to_owned()),
            Err(_) => {}
        }
    }
    (directories, links)
}
