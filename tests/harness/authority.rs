use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A certificate authority that nobody trusts, and a server's certificate of it, made by openssl.
#[derive(Debug)]
pub struct Authority {
    directory: PathBuf,
}

impl Authority {
    /// Makes both in a directory; the server is called `host`.
    ///
    /// # Panics
    /// When openssl cannot.
    #[must_use]
    pub fn make(directory: &Path, host: &str) -> Self {
        let authority = Self {
            directory: directory.to_owned(),
        };
        authority.openssl(&[
            "-keyout authority.key -out authority.pem",
            "-subj /CN=tests",
            "-addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign",
        ]);
        authority.openssl(&[
            "-keyout server.key -out server.pem -CA authority.pem -CAkey authority.key",
            &format!("-subj /CN={host} -addext subjectAltName=DNS:{host}"),
            "-addext basicConstraints=critical,CA:FALSE",
        ]);
        authority
    }

    /// The authority's own certificate, PEM.
    pub(crate) fn certificate(&self) -> String {
        fs::read_to_string(self.directory.join("authority.pem")).expect("read the authority")
    }

    /// The server's certificate and its key, as docker-registry's configuration names them.
    pub(crate) fn configuration(&self) -> String {
        let path = |name: &str| self.directory.join(name).display().to_string();
        format!(
            "tls: {{ certificate: {}, key: {} }}",
            path("server.pem"),
            path("server.key")
        )
    }

    /// Makes a key and a certificate for a day.
    fn openssl(&self, options: &[&str]) {
        let done = Command::new("openssl")
            .args(
                "req -x509 -days 1 -nodes -newkey ec -pkeyopt ec_paramgen_curve:prime256v1"
                    .split(' '),
            )
            .args(options.iter().flat_map(|some| some.split(' ')))
            .current_dir(&self.directory)
            .output()
            .expect("run openssl");
        assert!(
            done.status.success(),
            "openssl makes no certificate: {}",
            String::from_utf8_lossy(&done.stderr)
        );
    }
}
