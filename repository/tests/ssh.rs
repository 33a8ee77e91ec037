//! Repositories over SSH, from OpenSSH's own server.
#![expect(clippy::unwrap_used, clippy::print_stderr, reason = "helpers of tests")]

mod support;

use std::path::Path;
use std::process::{Child, Command, Stdio};

use repository::{Allowed, Credentials, Error, KnownHosts, Remote, Secret, Unwatched, Url, Want};
use support::Place;

/// OpenSSH's server for the tests' own user, which takes one key.
struct Sshd {
    child: Child,
    port: u16,
    /// The client's.
    key: String,
    /// Of the host, as in `known_hosts`.
    host_key: String,
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn key(directory: &Path, name: &str) -> (String, String) {
    let path = directory.join(name);
    let made = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-f"])
        .arg(&path)
        .status();
    assert!(made.unwrap().success());
    let read = |path: &Path| std::fs::read_to_string(path).unwrap();
    (read(&path), read(&path.with_extension("pub")))
}

impl Sshd {
    /// `None` where there is none on this machine.
    fn start(directory: &Path) -> Option<Self> {
        let program = Path::new("/usr/sbin/sshd");
        if !program.exists() {
            assert!(
                std::env::var_os("SLIPWAY_TEST_SKIP_NOTHING").is_none(),
                "there is no sshd: tests/run installs it"
            );
            eprintln!("skipped: there is no sshd");
            return None;
        }
        // Where Debian's wants it; it needs no more than to be there.
        let _ = std::fs::create_dir_all("/run/sshd");
        let (_, host_key) = key(directory, "host");
        let (key, public) = key(directory, "client");
        std::fs::write(directory.join("authorized"), public).unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let config = format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {host}\nAuthorizedKeysFile {authorized}\nStrictModes no\nUsePAM no\n\
             PasswordAuthentication no\nPidFile none\nPermitRootLogin yes\n",
            host = directory.join("host").display(),
            authorized = directory.join("authorized").display(),
        );
        std::fs::write(directory.join("sshd_config"), config).unwrap();
        let child = Command::new(program)
            .args(["-D", "-e", "-f"])
            .arg(directory.join("sshd_config"))
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let sshd = Self {
            child,
            port,
            key,
            host_key,
        };
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(std::time::Instant::now() < deadline, "sshd does not start");
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        Some(sshd)
    }

    fn remote(&self, path: &Path, key: &str, host_key: &str) -> Remote {
        let id = Command::new("id").arg("-un").output().unwrap();
        let user = String::from_utf8(id.stdout).unwrap();
        let text = format!(
            "ssh://{}@127.0.0.1:{}{}",
            user.trim(),
            self.port,
            path.display()
        );
        Remote {
            url: Url::parse(&text, Allowed::default()).unwrap(),
            credentials: Credentials::Key {
                private: Secret::new(key.to_owned()),
                passphrase: None,
            },
            known_hosts: Some(
                KnownHosts::parse(&format!("[127.0.0.1]:{} {host_key}", self.port)).unwrap(),
            ),
            covers: None,
        }
    }
}

#[test]
fn a_known_host_that_takes_the_key_hands_out_commits_and_no_other_is_talked_to() {
    let place = Place::new();
    let Some(sshd) = Sshd::start(place.directory.path()) else {
        return;
    };
    let commit = place.upstream.write("a", "over ssh").commit("first");
    let path = place.upstream.path.join(".git");
    let (other, other_public) = key(place.directory.path(), "other");

    let stranger = sshd.remote(&path, &sshd.key, &other_public);
    let error = place
        .mirrors
        .resolve(&stranger, "main", &Unwatched)
        .unwrap_err();
    assert!(matches!(error, Error::Refused { .. }), "{error:?}");
    assert!(
        error.to_string().contains("unknown remote ssh hostkey"),
        "{error}"
    );

    let unwanted = sshd.remote(&path, &other, &sshd.host_key);
    let error = place
        .mirrors
        .resolve(&unwanted, "main", &Unwatched)
        .unwrap_err();
    assert!(matches!(error, Error::Refused { .. }), "{error:?}");

    let remote = sshd.remote(&path, &sshd.key, &sshd.host_key);
    let resolved = place.mirrors.resolve(&remote, "main", &Unwatched).unwrap();
    assert_eq!(resolved.commit, commit);
    let want = Want::commit(commit).seen_at(resolved.reference);
    let (mirror, _) = place.mirrors.fetch(&remote, &want, &Unwatched).unwrap();
    assert_eq!(
        mirror.read_file(commit, "a", 100).unwrap().unwrap(),
        b"over ssh"
    );
}
