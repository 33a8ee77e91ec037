//! The files of the working tree, for `hash_files(..)`.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};

use pipelines::Files;
use pipelines::glob::GlobList;
use sha2::{Digest as _, Sha256};

/// What is git's own and no part of the tree.
const GIT: &str = ".git";

/// Bytes that are read at once.
const PIECE: usize = 64 * 1024;

/// A tree on disk. It is listed once and each question is answered once, so that the whole of a run gets the same answer
/// whatever its steps write.
#[derive(Debug)]
pub struct TreeFiles {
    root: PathBuf,
    paths: OnceLock<Vec<String>>,
    answers: Mutex<BTreeMap<Vec<String>, Option<String>>>,
}

impl TreeFiles {
    /// The tree below a directory.
    #[must_use]
    pub fn new(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
            paths: OnceLock::new(),
            answers: Mutex::default(),
        }
    }

    /// Paths of files and links from the root, sorted. A name that is not UTF-8 is matched by no pattern; a directory
    /// that cannot be read has nothing to match.
    fn paths(&self) -> &[String] {
        self.paths.get_or_init(|| {
            let mut paths = Vec::new();
            let mut open = vec![String::new()];
            while let Some(directory) = open.pop() {
                let Ok(entries) = fs::read_dir(self.root.join(&directory)) else {
                    continue;
                };
                for entry in entries.flatten() {
                    let Ok(name) = entry.file_name().into_string() else {
                        continue;
                    };
                    let path = match directory.as_str() {
                        "" if name == GIT => continue,
                        "" => name,
                        directory => format!("{directory}/{name}"),
                    };
                    match entry.file_type() {
                        Ok(kind) if kind.is_dir() => open.push(path),
                        Ok(kind) if kind.is_file() || kind.is_symlink() => paths.push(path),
                        _ => {}
                    }
                }
            }
            paths.sort();
            paths
        })
    }

    fn digest(&self, globs: &[String]) -> Option<String> {
        let globs = GlobList::parse(globs).ok()?;
        let mut digest = Sha256::new();
        let mut found = false;
        for path in self.paths().iter().filter(|path| globs.matches(path)) {
            found = true;
            add(&mut digest, path, &self.root.join(path)).ok()?;
        }
        let hex = |digest: Sha256| {
            let bytes = digest.finalize();
            bytes.iter().map(|byte| format!("{byte:02x}")).collect()
        };
        Some(if found { hex(digest) } else { String::new() })
    }
}

impl Files for TreeFiles {
    fn hash(&self, globs: &[String]) -> Option<String> {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(answer) = answers.get(globs) {
            return answer.clone();
        }
        let answer = self.digest(globs);
        answers.insert(globs.to_vec(), answer.clone());
        answer
    }
}

/// Adds a file's path, kind, length and content. A link counts by what it says, wherever it leads.
fn add(digest: &mut Sha256, path: &str, file: &Path) -> io::Result<()> {
    let metadata = fs::symlink_metadata(file)?;
    let mut head = |kind: &str, length: u64| {
        digest.update(path);
        digest.update(format!("\0{kind}\0{length}\0"));
    };
    if metadata.is_symlink() {
        let target = fs::read_link(file)?;
        let target = target.as_os_str().as_bytes();
        head("link", target.len() as u64);
        digest.update(target);
        return Ok(());
    }
    let kind = match metadata.permissions().mode() & 0o111 {
        0 => "file",
        _ => "program",
    };
    head(kind, metadata.len());
    let mut file = File::open(file)?;
    let mut piece = vec![0; PIECE];
    loop {
        match file.read(&mut piece)? {
            0 => return Ok(()),
            length => digest.update(&piece[..length]),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn hash(root: &Path, globs: &[&str]) -> String {
        let globs: Vec<String> = globs.iter().map(|glob| (*glob).to_owned()).collect();
        TreeFiles::new(root).hash(&globs).expect("an answer")
    }

    #[test]
    fn a_digest_tells_content_name_and_kind_apart_and_nothing_else() {
        let tree = tempfile::tempdir().expect("a directory");
        let root = tree.path();
        fs::create_dir_all(root.join("a/b")).expect("directories");
        fs::create_dir(root.join(".git")).expect("git's");
        fs::write(root.join(".git/config"), "x").expect("git's file");
        fs::write(root.join("a/b/Cargo.lock"), "one").expect("a file");
        fs::write(root.join("c"), "two").expect("a file");
        symlink("/nowhere", root.join("a/link")).expect("a link");
        let before = hash(root, &["**/Cargo.lock", "a/link"]);
        assert_eq!(before.len(), 64);
        assert_eq!(hash(root, &["**/Cargo.lock", "a/link"]), before);
        assert_eq!(hash(root, &["nothing"]), "");
        assert_eq!(hash(root, &[".git/**"]), "");
        fs::write(root.join("c"), "three").expect("another file");
        assert_eq!(hash(root, &["**/Cargo.lock", "a/link"]), before);
        fs::write(root.join("a/b/Cargo.lock"), "ont").expect("change it");
        let changed = hash(root, &["**/Cargo.lock", "a/link"]);
        assert_ne!(changed, before);
        fs::rename(root.join("a/b/Cargo.lock"), root.join("Cargo.lock")).expect("move it");
        assert_ne!(hash(root, &["**/Cargo.lock", "a/link"]), changed);
    }

    #[test]
    fn a_run_gets_one_answer() {
        let tree = tempfile::tempdir().expect("a directory");
        fs::write(tree.path().join("x"), "one").expect("a file");
        let files = TreeFiles::new(tree.path());
        let globs = ["x".to_owned()];
        let before = files.hash(&globs);
        fs::write(tree.path().join("x"), "two").expect("change it");
        assert_eq!(files.hash(&globs), before);
    }
}
