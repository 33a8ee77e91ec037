//! TLS for a test's server.

use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// One connection.
pub type Stream = StreamOwned<ServerConnection, TcpStream>;

/// An authority that nobody trusts, and a server's certificate of it for `localhost`.
pub struct Authority {
    directory: PathBuf,
}

impl Authority {
    pub fn make(directory: &Path) -> Self {
        let openssl = |arguments: &str| {
            let made = Command::new("openssl")
                .args("req -x509 -newkey rsa:2048 -nodes -days 2".split(' '))
                .args(arguments.split(' '))
                .current_dir(directory)
                .stderr(Stdio::null())
                .status();
            assert!(made.unwrap().success());
        };
        openssl(
            "-keyout authority.key -out authority.pem -subj /CN=tests \
             -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign",
        );
        openssl(
            "-keyout server.key -out server.pem -CA authority.pem -CAkey authority.key -subj /CN=localhost \
             -addext subjectAltName=DNS:localhost -addext basicConstraints=critical,CA:FALSE",
        );
        Self {
            directory: directory.to_owned(),
        }
    }

    /// The authority's own certificate.
    pub fn file(&self) -> PathBuf {
        self.directory.join("authority.pem")
    }

    /// How a server speaks TLS that has the certificate.
    pub fn configuration(&self) -> Arc<ServerConfig> {
        let path = |name: &str| self.directory.join(name);
        let certificate = CertificateDer::from_pem_file(path("server.pem")).unwrap();
        let key = PrivateKeyDer::from_pem_file(path("server.key")).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key);
        Arc::new(config.unwrap())
    }
}

pub fn stream(configuration: &Arc<ServerConfig>, stream: TcpStream) -> Stream {
    let connection = ServerConnection::new(Arc::clone(configuration)).unwrap();
    StreamOwned::new(connection, stream)
}
