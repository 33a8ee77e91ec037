//! Gets the files that a pipeline includes: from the working tree, and from commits of other repositories.

use std::fs::{DirBuilder, File};
use std::io::{self, Read as _, Seek as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use pipelines::{Inclusion, Source};
use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};
use rustix::io::Errno;
use sha2::{Digest as _, Sha256};

use super::find::LIMIT;

/// Transports of git that include URLs may use; `ext::` and the like run commands.
const PROTOCOLS: &str = "https:ssh:http:git:file";

/// Reads what a pipeline of the tree `directory` includes. What of other repositories was fetched once is kept below
/// `cache`.
pub fn gather(source: &mut Source, directory: &Path, cache: &Path) {
    pipelines::gather(source, &mut |inclusion| match inclusion {
        Inclusion::Path(path) => of_tree(directory, path),
        Inclusion::Git { url, commit, path } => of_commit(cache, url, commit, path),
    });
}

/// A regular file of the tree. Symbolic links are followed as long as they stay in the tree.
fn of_tree(directory: &Path, path: &str) -> Result<Vec<u8>, String> {
    let open = || {
        let directory = File::open(directory)?;
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        let stay = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        Ok(File::from(openat2(
            &directory,
            path,
            flags,
            Mode::empty(),
            stay,
        )?))
    };
    let file: File = open().map_err(|error: io::Error| match Errno::from_io_error(&error) {
        Some(Errno::NOENT) => "there is no such file".to_owned(),
        Some(Errno::XDEV) => "a symbolic link leads out of the tree".to_owned(),
        _ => error.to_string(),
    })?;
    match file.metadata() {
        Ok(metadata) if metadata.is_file() => bounded(file),
        Ok(_) => Err("it is not a regular file".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

/// A file of a commit, by way of git itself, which knows proxies and credentials.
fn of_commit(cache: &Path, url: &str, commit: &str, path: &str) -> Result<Vec<u8>, String> {
    let name: String = Sha256::digest(url)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let repository = cache.join(name);
    if !repository.join("HEAD").exists() {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&repository)
            .map_err(|error| format!("failed to create {}: {error}", repository.display()))?;
        let _ = git(&repository, &["init", "--quiet", "--bare"])?;
    }
    let object = format!("{commit}:{path}");
    if git(&repository, &["cat-file", "-e", &object]).is_err() {
        let fetch = [
            "fetch",
            "--quiet",
            "--depth=1",
            "--no-tags",
            "--",
            url,
            commit,
        ];
        let _ = git(&repository, &fetch)?;
    }
    match git(&repository, &["cat-file", "blob", &object]) {
        Ok(bytes) => Ok(bytes),
        Err(_) => Err("the commit has no such file".to_owned()),
    }
}

/// What git prints, or the last line of what it complains about. Without a thread: the agent has yet to fork.
fn git(repository: &Path, arguments: &[&str]) -> Result<Vec<u8>, String> {
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => "git is not installed".to_owned(),
        _ => format!("failed to run git: {error}"),
    };
    let mut complaint = tempfile::tempfile().map_err(failed)?;
    let mut child = Command::new("git")
        .arg("--git-dir")
        .arg(repository)
        .args(["-c", "http.lowSpeedLimit=1", "-c", "http.lowSpeedTime=30"])
        .args(arguments)
        .env("GIT_ALLOW_PROTOCOL", PROTOCOLS)
        .env("GIT_TERMINAL_PROMPT", "0")
        .env_remove("GIT_DIR")
        .env_remove("GIT_WORK_TREE")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(complaint.try_clone().map_err(failed)?)
        .spawn()
        .map_err(failed)?;
    let output = child.stdout.take().map_or_else(|| Ok(Vec::new()), bounded);
    if child.wait().map_err(failed)?.success() {
        return output;
    }
    complaint.rewind().map_err(failed)?;
    let complaint = bounded(complaint)?;
    let complaint = String::from_utf8_lossy(&complaint);
    let last = complaint.lines().rev().find(|line| !line.trim().is_empty());
    Err(format!("git says: {}", last.unwrap_or("nothing")))
}

/// Not further than the compiler would read.
fn bounded(file: impl io::Read) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    file.take(LIMIT)
        .read_to_end(&mut bytes)
        .map_err(|error| error.to_string())?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::{of_commit, of_tree};

    #[test]
    fn files_stay_in_the_tree() {
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("secret"), "secret").unwrap();
        let tree = tempfile::tempdir().unwrap();
        fs::create_dir(tree.path().join("ci")).unwrap();
        fs::write(tree.path().join("ci/a.yml"), "a").unwrap();
        symlink("ci/a.yml", tree.path().join("inside")).unwrap();
        symlink(outside.path().join("secret"), tree.path().join("outside")).unwrap();
        let read = |path| of_tree(tree.path(), path);
        assert_eq!(read("ci/a.yml").unwrap(), b"a");
        assert_eq!(read("inside").unwrap(), b"a");
        assert_eq!(
            read("outside").unwrap_err(),
            "a symbolic link leads out of the tree"
        );
        assert_eq!(read("none").unwrap_err(), "there is no such file");
        assert_eq!(read("ci").unwrap_err(), "it is not a regular file");
    }

    #[test]
    fn a_pinned_file_is_fetched_once_and_then_kept() {
        let upstream = tempfile::tempdir().unwrap();
        let repository = git2::Repository::init(upstream.path()).unwrap();
        let blob = repository.blob(b"steps: []\n").unwrap();
        let mut tree = repository.treebuilder(None).unwrap();
        tree.insert("ci.yml", blob, 0o100_644).unwrap();
        let tree = repository.find_tree(tree.write().unwrap()).unwrap();
        let author = git2::Signature::now("a", "a@example.org").unwrap();
        let commit = repository
            .commit(Some("HEAD"), &author, &author, "one", &tree, &[])
            .unwrap()
            .to_string();
        let cache = tempfile::tempdir().unwrap();
        let url = format!("file://{}", upstream.path().display());
        let read = |path: &str| of_commit(cache.path(), &url, &commit, path);
        assert_eq!(read("ci.yml").unwrap(), b"steps: []\n");
        assert_eq!(read("none.yml").unwrap_err(), "the commit has no such file");
        fs::remove_dir_all(upstream.path().join(".git")).unwrap();
        assert_eq!(read("ci.yml").unwrap(), b"steps: []\n");
        let missing = of_commit(cache.path(), &url, &"0".repeat(40), "ci.yml").unwrap_err();
        assert!(missing.starts_with("git says: "), "{missing}");
    }
}
