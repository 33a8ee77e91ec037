//! Whether connections to PostgreSQL are encrypted, and who is believed to be the database.
//!
//! `sslmode` in the URL decides, as everywhere with PostgreSQL (libpq, "SSL Mode Descriptions"), but for one thing: what is encrypted is
//! verified, too. `require`, `verify-ca` and `verify-full` are one here: the certificate is of an authority of this machine
//! (`SSL_CERT_FILE` names others) and for this host.

use std::net::IpAddr;
use std::sync::Arc;

use postgres::NoTls;
use rustls::{ClientConfig, RootCertStore};
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::{Client, Config};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::DatabaseError;

/// Where the database is, and how connections to it are made.
#[derive(Clone)]
pub(super) struct Target {
    pub(super) config: Config,
    encryption: Option<MakeRustlsConnect>,
}

impl Target {
    /// Understands a URL.
    pub(super) fn parse(url: &str) -> Result<Self, DatabaseError> {
        // The words that the library does not know ask for what is done anyway; a parameter stands behind one of three signs.
        let mut known = url.to_owned();
        for before in ['?', '&', ' '] {
            for mode in ["verify-full", "verify-ca"] {
                let plain = format!("{before}sslmode=require");
                known = known.replace(&format!("{before}sslmode={mode}"), &plain);
            }
        }
        let config: Config = known.parse().map_err(unusable)?;
        let encryption = match config.get_ssl_mode() {
            SslMode::Require => Some(MakeRustlsConnect::new(believing_the_machine()?)),
            _ => None,
        };
        if encryption.is_none() && is_far(&config) {
            tracing::warn!(
                "connections to the database are not encrypted: say sslmode=require in its URL"
            );
        }
        Ok(Self { config, encryption })
    }

    /// Makes a connection for a thread that asks and waits.
    pub(super) fn connect(&self) -> Result<postgres::Client, postgres::Error> {
        let config = postgres::Config::from(self.config.clone());
        match &self.encryption {
            Some(encryption) => config.connect(encryption.clone()),
            None => config.connect(NoTls),
        }
    }

    /// Makes a connection, which works while the runtime that this is called in does.
    pub(super) async fn connect_within(&self) -> Result<Client, postgres::Error> {
        // That it breaks is heard of by who uses it.
        match &self.encryption {
            Some(encryption) => {
                let (client, connection) = self.config.connect(encryption.clone()).await?;
                tokio::spawn(async move { drop(connection.await) });
                Ok(client)
            }
            None => {
                let (client, connection) = self.config.connect(NoTls).await?;
                tokio::spawn(async move { drop(connection.await) });
                Ok(client)
            }
        }
    }
}

fn unusable(error: impl std::fmt::Display) -> DatabaseError {
    DatabaseError::Statement {
        message: error.to_string(),
    }
}

fn believing_the_machine() -> Result<ClientConfig, DatabaseError> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    let (usable, _) = roots.add_parsable_certificates(found.certs);
    if usable == 0 {
        let why = found.errors.first().map(ToString::to_string);
        return Err(unusable(format!(
            "this machine has no certificate authorities to trust{}",
            why.map(|why| format!(": {why}")).unwrap_or_default()
        )));
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(unusable)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(config)
}

/// Whether something could listen between this machine and the database.
fn is_far(config: &Config) -> bool {
    let is_near = |host: &Host| match host {
        Host::Unix(_) => true,
        Host::Tcp(name) => {
            name == "localhost"
                || name
                    .parse::<IpAddr>()
                    .is_ok_and(|address| address.is_loopback())
        }
    };
    // An address is connected to instead of the host that is named with it (libpq, `hostaddr`).
    match config.get_hostaddrs() {
        [] => !config.get_hosts().iter().all(is_near),
        addresses => !addresses.iter().all(IpAddr::is_loopback),
    }
}

#[cfg(test)]
mod tests {
    use super::{Target, is_far};

    #[test]
    fn what_is_asked_for_is_encrypted() {
        let target = |url: &str| Target::parse(url).unwrap();
        for mode in ["require", "verify-ca", "verify-full"] {
            let url = format!("postgres://ci@db.example.org/ci?sslmode={mode}");
            assert!(target(&url).encryption.is_some(), "{mode}");
        }
        for url in ["postgres://ci@db/ci", "postgres://ci@db/ci?sslmode=disable"] {
            assert!(target(url).encryption.is_none(), "{url}");
        }
        assert!(Target::parse("postgres://ci@db/ci?sslmode=never").is_err());
    }

    #[test]
    fn the_machine_itself_is_near() {
        let far = |url: &str| is_far(&url.parse().unwrap());
        assert!(far("postgres://ci@db.example.org/ci"));
        assert!(far("postgres://ci@localhost,192.0.2.1/ci"));
        assert!(far("postgres://ci@localhost/ci?hostaddr=192.0.2.1"));
        for url in [
            "postgres://ci@localhost/ci",
            "postgres://ci@127.0.0.1/ci",
            "postgres://ci@[::1]/ci",
            "postgres:///ci?host=/run/postgresql",
        ] {
            assert!(!far(url), "{url}");
        }
    }
}
