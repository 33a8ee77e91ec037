//! Debian's PostgreSQL on a port of the loopback interface, with a cluster of its own. Dropped, it ends.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, geteuid, kill_process};
use tempfile::TempDir;

use crate::authority::Authority;
use crate::wait;

/// How long it may take to come up.
const PATIENCE: Duration = Duration::from_secs(60);

/// A database of a test's own.
#[derive(Debug)]
pub struct Database {
    port: u16,
    process: Child,
    authority: Option<Authority>,
    directory: TempDir,
}

impl Database {
    /// Starts it.
    ///
    /// # Panics
    /// When PostgreSQL is not installed, or does not come up.
    #[must_use]
    pub fn start() -> Self {
        Self::start_with(false)
    }

    /// One that takes encrypted connections only. Its certificate is for `localhost`, of an authority that nobody trusts.
    ///
    /// # Panics
    /// As for [`Self::start`].
    #[must_use]
    pub fn start_with_tls() -> Self {
        Self::start_with(true)
    }

    fn start_with(tls: bool) -> Self {
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
        let authority = tls.then(|| {
            let access = "local all all trust\nhostssl all all 127.0.0.1/32 trust\n";
            fs::write(format!("{data}/pg_hba.conf"), access).expect("say who may connect");
            let authority = Authority::make(directory.path(), "localhost");
            // PostgreSQL takes a key that is its own only.
            let key = directory.path().join("server.key");
            fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).expect("hide the key");
            if geteuid().is_root() {
                chown(&key, Some(id("-u")), Some(id("-g"))).expect("give the key away");
            }
            authority
        });
        let listener = TcpListener::bind("127.0.0.1:0").expect("find a free port");
        let port = listener.local_addr().expect("an address").port();
        drop(listener);
        let socket = directory.path().display().to_string();
        let number = port.to_string();
        let place = directory.path().display();
        let encryption = match tls {
            true => vec![
                "ssl=on".to_owned(),
                format!("ssl_cert_file={place}/server.pem"),
                format!("ssl_key_file={place}/server.key"),
            ],
            false => vec!["ssl=off".to_owned()],
        };
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
            .args(encryption.iter().flat_map(|setting| ["-c", setting]))
            .stderr(Stdio::null())
            .spawn();
        let database = Self {
            port,
            process: process.expect("start postgres"),
            authority,
            directory,
        };
        let up = wait::until(PATIENCE, || database.say("SELECT 1").then_some(()));
        assert!(up.is_some(), "PostgreSQL does not answer");
        database
    }

    /// Its address, with the user that owns it.
    #[must_use]
    pub fn url(&self) -> String {
        let host = match self.authority {
            Some(_) => "localhost",
            None => "127.0.0.1",
        };
        format!("postgres://slipway@{host}:{}/postgres", self.port)
    }

    /// The certificate of the authority behind its own, PEM.
    ///
    /// # Panics
    /// Where it has none.
    #[must_use]
    pub fn authority(&self) -> String {
        let authority = self.authority.as_ref();
        authority.expect("a database with TLS").certificate()
    }

    /// Where its files are.
    #[must_use]
    pub fn place(&self) -> &Path {
        self.directory.path()
    }

    /// Ends every connection there is. Whether the database did.
    #[must_use]
    pub fn cut(&self) -> bool {
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
    // It looks for certificates of the caller's own at home, and root's are closed to it.
    command
        .stdin(Stdio::null())
        .current_dir("/")
        .env("HOME", "/nonexistent");
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
