//! What the server goes by: flags and environment, the file, the defaults, in this order.

use std::path::PathBuf;

use server::{Config, Location, Otlp, Retention, RetryPolicy, Storage};

use super::settings::{
    ArtifactSettings, FollowerSettings, LeaseSettings, MirrorSettings, OtlpSettings, Settings,
};
use crate::cli::Server;
use crate::command::git_transport;

/// Flags and environment win over the file, and the file over the defaults.
pub(super) fn config(
    arguments: &Server,
    settings: Settings,
    data: PathBuf,
) -> Result<Config, server::ConfigError> {
    let mut config = Config::in_directory(data, git_transport::transport());
    if let Some(listen) = arguments.listen.or(settings.listen) {
        config.listen = listen;
    }
    let database = arguments.database.as_ref().or(settings.database.as_ref());
    if let Some(database) = database {
        config.database = database.parse::<Location>()?;
    }
    let storage = arguments.storage.as_ref().or(settings.storage.as_ref());
    if let Some(storage) = storage {
        config.storage = storage.parse::<Storage>()?;
    }
    config.storage_options = settings.s3.into_iter().collect();
    let key_file = arguments.secret_key_file.clone();
    config.secret_key_file = key_file.or(settings.secret_key_file);
    let given = arguments
        .tls_certificate
        .clone()
        .zip(arguments.tls_key.clone());
    let of_file = settings.tls.map(|tls| (tls.certificate, tls.key));
    config.tls = given.or(of_file);
    config.allow_file_repositories =
        arguments.allow_file_repositories || settings.allow_file_repositories;
    config.repositories = settings.repositories;
    config.proxies = settings.proxies;
    let LeaseSettings {
        accept,
        lasts,
        heartbeat,
        wait,
    } = settings.lease;
    config.terms.accept = accept.unwrap_or(config.terms.accept);
    config.terms.lease = lasts.unwrap_or(config.terms.lease);
    config.terms.heartbeat = heartbeat.unwrap_or(config.terms.heartbeat);
    config.terms.wait = wait.unwrap_or(config.terms.wait);
    if let Some(bytes) = settings.log_bytes {
        config.retention = Retention::of(bytes);
    }
    config.otlp = otlp(arguments, settings.otlp);
    artifacts(&mut config.artifacts, &settings.artifacts);
    config.caches.bytes = settings.caches.bytes.unwrap_or(config.caches.bytes);
    if let Some(keep) = settings.caches.keep {
        config.caches.keep = Some(keep).filter(|keep| !keep.is_zero());
    }
    if let Some(attempts) = settings.attempts {
        config.retry = RetryPolicy { attempts };
    }
    config.fork_approval = settings.fork_approval.unwrap_or(config.fork_approval);
    config.keep = settings.keep;
    config.grace = settings.grace.unwrap_or(config.grace);
    let MirrorSettings { unused_for, bytes } = settings.mirrors;
    config.mirrors.unused_for = unused_for.unwrap_or(config.mirrors.unused_for);
    config.mirrors.bytes = bytes.unwrap_or(config.mirrors.bytes);
    let FollowerSettings { each, all } = settings.followers;
    config.followers.each = each.unwrap_or(config.followers.each);
    config.followers.all = all.unwrap_or(config.followers.all);
    config.requests_per_second = settings
        .requests_per_second
        .unwrap_or(config.requests_per_second);
    config.check()?;
    Ok(config)
}

/// Nothing is no limit, where there need not be one.
fn artifacts(limits: &mut server::Artifacts, settings: &ArtifactSettings) {
    limits.bytes = settings.bytes.unwrap_or(limits.bytes);
    limits.attempt_bytes = settings.attempt_bytes.unwrap_or(limits.attempt_bytes);
    limits.repository_bytes = settings.repository_bytes.filter(|bytes| *bytes > 0);
    if let Some(keep) = settings.keep {
        limits.keep = Some(keep).filter(|keep| !keep.is_zero());
    }
    limits.max_keep = settings.max_keep.filter(|keep| !keep.is_zero());
}

/// Where traces go. The variables are OpenTelemetry's own, which win over the file (OTLP exporter specification).
fn otlp(arguments: &Server, settings: Option<OtlpSettings>) -> Option<Otlp> {
    // An empty variable is as good as none.
    let said = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    let given = said(&arguments.otlp_traces_endpoint).map(|endpoint| Otlp {
        endpoint,
        ..Otlp::at("")
    });
    let given = given.or_else(|| said(&arguments.otlp_endpoint).map(|base| Otlp::at(&base)));
    let (endpoint, headers) = settings.map(|of| (of.endpoint, of.headers)).unzip();
    let mut otlp = given.or_else(|| endpoint.as_deref().map(Otlp::at))?;
    otlp.headers = match said(&arguments.otlp_headers) {
        Some(list) => list.split(',').filter_map(header).collect(),
        None => headers.unwrap_or_default().into_iter().collect(),
    };
    if let Some(service) = said(&arguments.otlp_service) {
        otlp.service = service;
    }
    Some(otlp)
}

/// `name=value`, the value percent-encoded (W3C Baggage, as OpenTelemetry has it).
fn header(text: &str) -> Option<(String, String)> {
    let (name, value) = text.split_once('=')?;
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.trim().as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        let escaped = (*first == b'%').then(|| behind.get(..2)).flatten();
        let escaped = escaped
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.push(escaped.unwrap_or(*first));
        rest = if escaped.is_some() {
            &behind[2..]
        } else {
            behind
        };
    }
    Some((
        name.trim().to_owned(),
        String::from_utf8_lossy(&bytes).into_owned(),
    ))
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::time::Duration;

    use super::*;

    fn made(arguments: &Server, file: &str) -> Result<Config, server::ConfigError> {
        let settings = serde_yaml::from_str(file).unwrap();
        config(arguments, settings, PathBuf::from("/data"))
    }

    #[test]
    fn flags_win_over_the_file_and_the_file_over_defaults() {
        let file = "listen: 127.0.0.1:1\ndatabase: postgres://u:p@h/d\nlease: { lasts: 2m, heartbeat: 20s }\nkeep: 30d\nmirrors: { unused_for: 7d }\nrepositories: { 'https://h/o/*': { token_file: /t } }\n";
        let arguments = Server {
            listen: Some(SocketAddr::from(([127, 0, 0, 1], 2))),
            ..Server::default()
        };
        let config = made(&arguments, file).unwrap();
        assert_eq!(config.listen.port(), 2);
        assert_eq!(
            config.database,
            Location::Postgres("postgres://u:p@h/d".to_owned())
        );
        assert_eq!(config.storage, Storage::Directory("/data/logs".into()));
        assert_eq!(config.terms.lease, Duration::from_secs(120));
        assert_eq!(config.terms.accept, Duration::from_secs(10));
        assert_eq!(config.keep, Some(Duration::from_secs(30 * 24 * 3_600)));
        assert_eq!(config.mirrors.unused_for, Duration::from_secs(7 * 86_400));
        assert_eq!(config.mirrors.bytes, 20 << 30);
        let shown = r#"{ "https://h/o/*": { "token_file": "/t" } }"#;
        assert_eq!(config.repositories, serde_json::from_str(shown).unwrap());
    }

    #[test]
    fn nothing_is_no_limit_of_artifacts() {
        let of = |file: &str| made(&Server::default(), file).unwrap().artifacts;
        let limits =
            of("artifacts: { keep: 0s, max_keep: 90d, repository_bytes: 7, attempt_bytes: 5 }");
        assert_eq!((limits.keep, limits.attempt_bytes), (None, 5));
        assert_eq!(limits.max_keep, Some(Duration::from_secs(90 * 86_400)));
        assert_eq!(limits.repository_bytes, Some(7));
        let limits = of("artifacts: { max_keep: 0s, repository_bytes: 0 }");
        assert_eq!(limits, server::Artifacts::default());
    }

    #[test]
    fn traces_go_where_the_file_says_or_opentelemetrys_variables() {
        let file = "otlp: { endpoint: 'http://one:4318/', headers: { a: b } }";
        let of = |arguments: &Server| made(arguments, file).unwrap().otlp.unwrap();
        let otlp = of(&Server::default());
        assert_eq!(otlp.endpoint, "http://one:4318/v1/traces");
        assert_eq!(otlp.headers, [("a".to_owned(), "b".to_owned())]);
        assert!(!format!("{otlp:?}").contains("\"b\""), "{otlp:?}");
        let arguments = Server {
            otlp_endpoint: Some("http://two:4318".to_owned()),
            otlp_headers: Some("authorization=Bearer%20x, k = 100%".to_owned()),
            ..Server::default()
        };
        let otlp = of(&arguments);
        assert_eq!(otlp.endpoint, "http://two:4318/v1/traces");
        let headers = [("authorization", "Bearer x"), ("k", "100%")];
        let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(otlp.headers, headers);
        let arguments = Server {
            otlp_traces_endpoint: Some("http://three/x".to_owned()),
            ..arguments
        };
        assert_eq!(of(&arguments).endpoint, "http://three/x");
        assert_eq!(made(&Server::default(), "{}").unwrap().otlp, None);
    }

    #[test]
    fn a_setting_that_makes_no_sense_is_named_without_its_password() {
        let arguments = Server {
            database: Some("mysql://root:hush@host/name".to_owned()),
            ..Server::default()
        };
        let error = made(&arguments, "{}").unwrap_err().to_string();
        assert!(error.contains("mysql://***@host/name"), "{error}");
        let late = made(&Server::default(), "lease: { lasts: 10s }").unwrap_err();
        assert!(late.to_string().contains("too late"), "{late}");
        for (file, name) in [
            ("lease: { accept: 0s }", "lease.accept"),
            ("attempts: 0", "attempts"),
            ("followers: { each: 0 }", "followers.each"),
        ] {
            let zero = made(&Server::default(), file).unwrap_err();
            assert_eq!(
                zero.to_string(),
                format!("`{name}` is 0, and nothing would go on")
            );
        }
        for endpoint in ["grpc://u:hush@h:4317", "h:4318", ""] {
            let file = format!("otlp: {{ endpoint: '{endpoint}' }}");
            let other = made(&Server::default(), &file).unwrap_err().to_string();
            assert!(
                other.contains("OTLP over HTTP") && !other.contains("hush"),
                "{other}"
            );
        }
    }
}
