use std::fs;
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::authority::Authority;
use crate::wait;

/// The account of a registry that asks for one.
pub const USER: &str = "robot";
/// Its password.
pub const PASSWORD: &str = "sesame";
/// The same as htpasswd(1) writes it with bcrypt at its lowest cost.
const HTPASSWD: &str = "robot:$2b$04$z.4FPqwSB9jje9YZN5QIwON9Zm2CYa/RLfvRGjmEE1.1IZiQMpzwC\n";
/// Between choosing a port and listening on it another process may take it.
const ATTEMPTS: usize = 5;

/// Debian's docker-registry on a free port of the loopback interface, with storage of its own. Dropped, it ends.
#[derive(Debug)]
pub struct Registry {
    process: Child,
    port: u16,
    authenticates: bool,
    authority: Option<Authority>,
    directory: TempDir,
}

impl Registry {
    /// Anybody may pull and push.
    #[must_use]
    pub fn start() -> Self {
        Self::with(false, None)
    }

    /// Only [`USER`] with [`PASSWORD`] may, by basic authentication.
    #[must_use]
    pub fn start_with_authentication() -> Self {
        Self::with(true, None)
    }

    /// It speaks TLS, and shows a certificate for `host` of an authority that only [`Registry::authority`] knows.
    #[must_use]
    pub fn start_with_tls(host: &str) -> Self {
        Self::with(false, Some(host))
    }

    fn with(authenticates: bool, host: Option<&str>) -> Self {
        (0..ATTEMPTS)
            .find_map(|_| Self::attempt(authenticates, host))
            .unwrap_or_else(|| panic!("docker-registry did not start; is it installed?"))
    }

    fn attempt(authenticates: bool, host: Option<&str>) -> Option<Self> {
        let directory = tempfile::tempdir().expect("make the registry's directory");
        let port = TcpListener::bind("127.0.0.1:0")
            .and_then(|listener| listener.local_addr())
            .expect("find a free port")
            .port();
        let path = |name: &str| directory.path().join(name).display().to_string();
        let auth = if authenticates {
            fs::write(path("htpasswd"), HTPASSWD).expect("write the registry's accounts");
            format!(
                "auth: {{ htpasswd: {{ realm: tests, path: {} }} }}\n",
                path("htpasswd")
            )
        } else {
            String::new()
        };
        let authority = host.map(|host| Authority::make(directory.path(), host));
        let tls = authority
            .as_ref()
            .map(|authority| format!(", {}", authority.configuration()))
            .unwrap_or_default();
        let config = format!(
            "version: 0.1\nlog: {{ level: error }}\nstorage: {{ filesystem: {{ rootdirectory: {} }} }}\n\
             http: {{ addr: \"127.0.0.1:{port}\"{tls} }}\n{auth}",
            path("storage")
        );
        fs::write(path("config.yml"), config).expect("write the registry's configuration");
        // It ends with this process, however that ends.
        let mut process = Command::new("setpriv")
            .args([
                "--pdeathsig",
                "KILL",
                "docker-registry",
                "serve",
                &path("config.yml"),
            ])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("start docker-registry");
        let up = wait::until(wait::PATIENCE, || {
            let over = matches!(process.try_wait(), Ok(Some(_)));
            let answers = TcpStream::connect(("127.0.0.1", port)).is_ok();
            (over || answers).then_some(answers && !over)
        });
        let registry = Self {
            process,
            port,
            authenticates,
            authority,
            directory,
        };
        (up == Some(true)).then_some(registry)
    }

    /// `127.0.0.1:PORT`.
    #[must_use]
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Its port alone, for a name of the tester's own.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The certificate of the authority that vouches for it, PEM.
    ///
    /// # Panics
    /// When it does not speak TLS.
    #[must_use]
    pub fn authority(&self) -> String {
        let authority = self.authority.as_ref();
        authority.expect("a registry with TLS").certificate()
    }

    /// Pushes an image with skopeo and says how the agent would be asked for it: `127.0.0.1:PORT/NAME:latest`.
    ///
    /// # Panics
    /// When skopeo fails, with what it said.
    #[must_use]
    pub fn push(&self, from: &str, name: &str) -> String {
        let policy = self.directory.path().join("policy.json");
        fs::write(
            &policy,
            r#"{"default":[{"type":"insecureAcceptAnything"}]}"#,
        )
        .expect("write skopeo's policy");
        let target = format!("{}/{name}:latest", self.address());
        let mut skopeo = Command::new("skopeo");
        skopeo
            .arg("--policy")
            .arg(&policy)
            .args(["copy", "--dest-tls-verify=false"]);
        if self.authenticates {
            skopeo.arg(format!("--dest-creds={USER}:{PASSWORD}"));
        }
        let done = skopeo
            .arg(from)
            .arg(format!("docker://{target}"))
            .output()
            .expect("run skopeo");
        assert!(
            done.status.success(),
            "skopeo cannot push {from} to {target}: {}",
            String::from_utf8_lossy(&done.stderr)
        );
        target
    }

    /// The `config.json` with which a client logs in.
    #[must_use]
    pub fn docker_config(&self) -> String {
        // The base64 of `robot:sesame`.
        format!(
            "{{\"auths\":{{\"{}\":{{\"auth\":\"cm9ib3Q6c2VzYW1l\"}}}}}}\n",
            self.address()
        )
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
