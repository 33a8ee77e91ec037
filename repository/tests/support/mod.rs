//! Repositories made by the git command, and a server for them that is git's own, behind a few lines of HTTP.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::allow_attributes,
    unreachable_pub,
    reason = "each test file uses its part"
)]

pub mod http;
pub mod tls;

use std::io::Write as _;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use repository::{Allowed, Commit, Mirrors, Remote, Transport, Url};

/// A repository of the git command.
pub struct Git {
    pub path: PathBuf,
}

impl Git {
    pub fn init(path: &Path) -> Self {
        std::fs::create_dir_all(path).unwrap();
        let git = Self {
            path: path.to_owned(),
        };
        git.run(&["init", "-q", "-b", "main"]);
        git
    }

    pub fn run(&self, arguments: &[&str]) -> String {
        self.run_with(arguments, b"")
    }

    pub fn run_with(&self, arguments: &[&str], input: &[u8]) -> String {
        let mut child = Command::new("git")
            .args(["-c", "protocol.file.allow=always"])
            .args(arguments)
            .current_dir(&self.path)
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_SYSTEM", "/dev/null")
            .env("GIT_AUTHOR_NAME", "A")
            .env("GIT_AUTHOR_EMAIL", "a@example.org")
            .env("GIT_COMMITTER_NAME", "A")
            .env("GIT_COMMITTER_EMAIL", "a@example.org")
            .env("GIT_AUTHOR_DATE", "2026-01-01T00:00:00Z")
            .env("GIT_COMMITTER_DATE", "2026-01-01T00:00:00Z")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input).unwrap();
        let output = child.wait_with_output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "git {arguments:?}: {error}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    pub fn write(&self, path: &str, content: impl AsRef<[u8]>) -> &Self {
        let path = self.path.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
        self
    }

    pub fn commit(&self, message: &str) -> Commit {
        self.run(&["add", "-A"]);
        self.run(&["commit", "-q", "--allow-empty", "-m", message]);
        self.head()
    }

    pub fn head(&self) -> Commit {
        self.run(&["rev-parse", "HEAD"]).parse().unwrap()
    }

    pub fn blob(&self, content: &[u8]) -> String {
        self.run_with(&["hash-object", "-w", "--stdin"], content)
    }

    /// A tree of exactly these bytes, whatever git thinks of it.
    pub fn tree(&self, entries: &[(&str, &[u8], &str)]) -> String {
        let mut bytes = Vec::new();
        for (mode, name, id) in entries {
            bytes.extend_from_slice(mode.as_bytes());
            bytes.push(b' ');
            bytes.extend_from_slice(name);
            bytes.push(0);
            let digits = (0..40).step_by(2).map(|at| &id[at..at + 2]);
            bytes.extend(digits.map(|byte| u8::from_str_radix(byte, 16).unwrap()));
        }
        let arguments = ["hash-object", "-t", "tree", "-w", "--literally", "--stdin"];
        self.run_with(&arguments, &bytes)
    }

    /// A commit of a tree, at `refs/heads/NAME`.
    pub fn commit_tree(&self, tree: &str, name: &str) -> Commit {
        let id = self.run(&["commit-tree", tree, "-m", name]);
        self.run(&["update-ref", &format!("refs/heads/{name}"), &id]);
        id.parse().unwrap()
    }

    pub fn remote(&self) -> Remote {
        file(&self.path)
    }
}

/// Transfers by this crate's own program.
pub fn transport() -> Transport {
    Transport::new(|| Command::new(PROGRAM))
}

/// See `tests/support/transport_process.rs`.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_repository-transport");

pub fn file(path: &Path) -> Remote {
    let allowed = Allowed {
        files: true,
        ..Allowed::default()
    };
    Remote::public(Url::parse(path.to_str().unwrap(), allowed).unwrap())
}

/// A directory with a repository `upstream`, and room for mirrors and checkouts.
pub struct Place {
    pub directory: tempfile::TempDir,
    pub upstream: Git,
    pub mirrors: Mirrors,
}

impl Place {
    pub fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self {
            upstream: Git::init(&directory.path().join("upstream")),
            mirrors: Mirrors::new(directory.path().join("mirrors"), transport()),
            directory,
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }
}

/// Serves every repository of a directory over HTTP.
pub struct Server {
    pub port: u16,
    pub requests: Arc<AtomicUsize>,
    /// Bytes of bodies that were answered.
    pub sent: Arc<AtomicU64>,
    /// Whether it sends half of what is long, and no more.
    halves: Arc<AtomicBool>,
}

impl Server {
    /// `authorization` is what the header must say, if anything.
    pub fn start(root: &Path, authorization: Option<&'static str>) -> Self {
        Self::start_with(root, authorization, None)
    }

    pub fn start_with(
        root: &Path,
        authorization: Option<&'static str>,
        authority: Option<&tls::Authority>,
    ) -> Self {
        let tls = authority.map(tls::Authority::configuration);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = Self {
            port: listener.local_addr().unwrap().port(),
            requests: Arc::default(),
            sent: Arc::default(),
            halves: Arc::default(),
        };
        let halves = Arc::clone(&server.halves);
        let (requests, sent) = (Arc::clone(&server.requests), Arc::clone(&server.sent));
        let root = root.to_owned();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                requests.fetch_add(1, Ordering::SeqCst);
                let (root, sent, tls) = (root.clone(), Arc::clone(&sent), tls.clone());
                let halves = halves.load(Ordering::SeqCst);
                std::thread::spawn(move || match tls {
                    Some(tls) => http::answer(
                        tls::stream(&tls, stream),
                        &root,
                        authorization,
                        &sent,
                        halves,
                    ),
                    None => http::answer(stream, &root, authorization, &sent, halves),
                });
            }
        });
        server
    }

    /// From now on long answers break off in their middle, and nothing follows.
    pub fn halve(&self) {
        self.halves.store(true, Ordering::SeqCst);
    }

    /// From now on answers are whole.
    pub fn serve_whole(&self) {
        self.halves.store(false, Ordering::SeqCst);
    }

    pub fn url(&self, path: &str) -> Url {
        let text = format!("http://127.0.0.1:{}/{path}", self.port);
        Url::parse(&text, Allowed::default()).unwrap()
    }
}

/// All files below a directory.
pub fn walk(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).unwrap().flatten();
    entries
        .flat_map(|entry| match entry.file_type().unwrap().is_dir() {
            true => walk(&entry.path()),
            false => vec![entry.path()],
        })
        .collect()
}
