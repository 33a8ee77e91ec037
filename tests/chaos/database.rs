//! Debian's PostgreSQL on a port of the loopback interface, with a cluster of its own. Dropped, it ends.

use std::net::TcpListener;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use harness::wait;
use rustix::process::{Pid, Signal, geteuid, kill_process};
use tempfile::TempDir;

/// How long it may take to come up.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub(crate) struct Database {
    port: u16,
    process: Child,
    directory: TempDir,
}

impl Database {
    pub(crate) fn start() -> Self {
        let directory = TempDir::new().expect("make the database's directory");
        if geteuid().is_root() {
            let (user, group) = (id("-u"), id("-g"));
            chown(directory.path(), Some(user), Some(group)).expect("give the directory away");
        }
        let data = directory.path().join("data").display().to_string();
        let make = [
            "--auth=trust",
            "--username=slipway",
            "--no-sync",
            "--locale=C",
            "-E",
            "UTF8",
            "-D",
            &data,
        ];
        let made = program("initdb").args(make).stdout(Stdio::null()).status();
        assert!(made.expect("run initdb").success(), "initdb failed");
        let listener = TcpListener::bind("127.0.0.1:0").expect("find a free port");
        let port = listener.local_addr().expect("an address").port();
        drop(listener);
        let socket = directory.path().display().to_string();
        let number = port.to_string();
        let serve = [
            "-D",
            &data,
            "-k",
            &socket,
            "-p",
            &number,
            "-h",
            "127.0.0.1",
            "-c",
            "max_connections=200",
        ];
        let process = program("postgres")
            .args(serve)
            .stderr(Stdio::null())
            .spawn();
        let database = Self {
            port,
            process: process.expect("start postgres"),
            directory,
        };
        let up = wait::until(PATIENCE, || database.say("SELECT 1").then_some(()));
        assert!(up.is_some(), "PostgreSQL does not answer");
        database
    }

    pub(crate) fn url(&self) -> String {
        format!("postgres://slipway@127.0.0.1:{}/postgres", self.port)
    }

    /// Where its files are.
    pub(crate) fn place(&self) -> &Path {
        self.directory.path()
    }

    /// Ends every connection there is. Whether the database did.
    pub(crate) fn cut(&self) -> bool {
        self.say("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname IS NOT NULL")
    }

    fn say(&self, sql: &str) -> bool {
        let said = program("psql")
            .args(["--no-psqlrc", "--quiet", "-d", &self.url(), "-c", sql])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        said.is_ok_and(|status| status.success())
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // A fast shutdown: it ends its own children.
        let process = i32::try_from(self.process.id())
            .ok()
            .and_then(Pid::from_raw);
        let _ = process.map(|process| kill_process(process, Signal::INT));
        let _ = self.process.wait();
    }
}

/// A program of PostgreSQL's, which does not run as root.
fn program(name: &str) -> Command {
    let versions = std::fs::read_dir("/usr/lib/postgresql").map(|versions| {
        let bins = versions.flatten().map(|version| version.path().join("bin"));
        bins.filter(|bin| bin.join("initdb").exists()).max()
    });
    let bin: PathBuf = versions.ok().flatten().expect("PostgreSQL is installed");
    let mut command = match geteuid().is_root() {
        true => {
            let mut command = Command::new("setpriv");
            command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]);
            command.arg(bin.join(name));
            command
        }
        false => Command::new(bin.join(name)),
    };
    command.stdin(Stdio::null()).current_dir("/");
    command
}

/// Of the user that Debian's package makes.
fn id(option: &str) -> u32 {
    let found = Command::new("id")
        .args([option, "postgres"])
        .output()
        .expect("run id");
    let text = String::from_utf8_lossy(&found.stdout).trim().to_owned();
    text.parse().expect("the id of the user postgres")
}
