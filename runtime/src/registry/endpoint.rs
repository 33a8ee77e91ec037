//! Where to ask for an image: its registry's mirrors in their order, then the registry itself.

use std::net::IpAddr;

use reqwest::Url;

use super::error::Error;
use super::settings::Settings;
use crate::image::Reference;

/// One server that may have the image.
#[derive(Debug, Clone)]
pub(super) struct Endpoint {
    /// `scheme://host[:port]/v2/repository/`.
    base: Url,
    /// Under which name it is in `config.json`.
    pub(super) registry: String,
    /// With a mirror's path before it; what a token is asked for.
    pub(super) repository: String,
}

impl Endpoint {
    /// The URL of `manifests/TAG` or `blobs/DIGEST`. Both come from checked types, so that no path can be smuggled in.
    pub(super) fn url(&self, kind: &str, version: &str) -> Url {
        let mut url = self.base.clone();
        url.set_path(&format!("/v2/{}/{kind}/{version}", self.repository));
        url
    }

    fn new(url: Url, registry: String, reference: &Reference) -> Self {
        let prefix = url.path().trim_matches('/');
        let repository = match prefix {
            "" => reference.repository().to_owned(),
            prefix => format!("{prefix}/{}", reference.repository()),
        };
        Self {
            base: url,
            registry,
            repository,
        }
    }
}

/// In the order in which to ask; never empty.
pub(super) fn endpoints(
    reference: &Reference,
    settings: &Settings,
) -> Result<Vec<Endpoint>, Error> {
    if let Some(pattern) = settings
        .blocked
        .iter()
        .find(|pattern| blocks(pattern, reference))
    {
        return Err(Error::Blocked {
            image: reference.to_string(),
            pattern: pattern.clone(),
        });
    }
    let registry = reference.registry();
    let mut endpoints = Vec::new();
    for mirror in settings.mirrors.get(registry).into_iter().flatten() {
        let url = mirror_url(mirror).ok_or_else(|| Error::Mirror {
            registry: registry.to_owned(),
            value: mirror.clone(),
        })?;
        let name = host_and_port(&url);
        endpoints.push(Endpoint::new(url, name, reference));
    }
    let url = registry_url(registry, settings)?;
    endpoints.push(Endpoint::new(url, registry.to_owned(), reference));
    Ok(endpoints)
}

/// Whether a setting means the image: whole components of its name only, as in containers-registries.conf(5).
fn blocks(pattern: &str, reference: &Reference) -> bool {
    let pattern = pattern.trim_end_matches('/');
    let registry = reference.registry();
    if pattern == "*" {
        return true;
    }
    if let Some(domain) = pattern.strip_prefix('*') {
        let host = registry.rsplit_once(':').map_or(registry, |(host, _)| host);
        return domain.starts_with('.') && (host.ends_with(domain) || registry.ends_with(domain));
    }
    let name = format!("{registry}/{}", reference.repository());
    name.strip_prefix(pattern)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Where a registry is, without its mirrors.
pub(super) fn registry_url(registry: &str, settings: &Settings) -> Result<Url, Error> {
    // Docker Hub's name is not the host that serves it.
    let host = if registry == "docker.io" {
        "registry-1.docker.io"
    } else {
        registry
    };
    let scheme = if allows_http(settings, host) {
        "http"
    } else {
        "https"
    };
    Url::parse(&format!("{scheme}://{host}/"))
        .ok()
        .filter(|url| {
            // Nothing but a host and a port: no user, no path, no query.
            url.host().is_some()
                && url.path() == "/"
                && url.username().is_empty()
                && url.password().is_none()
                && url.query().is_none()
                && url.fragment().is_none()
        })
        .ok_or_else(|| Error::Registry(registry.to_owned()))
}

/// An operator who writes `http://` for a mirror has decided; nothing else may be in the URL.
fn mirror_url(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    let plain = url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    (plain && matches!(url.scheme(), "http" | "https") && url.host().is_some()).then_some(url)
}

/// Whether `host[:port]` may be spoken to in the clear.
pub(super) fn allows_http(settings: &Settings, host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    };
    is_loopback(name)
        || settings
            .insecure
            .iter()
            .any(|insecure| insecure == host || insecure == name)
}

/// `localhost`, 127.0.0.0/8 or ::1.
pub(super) fn is_loopback(name: &str) -> bool {
    let address = name.trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost")
        || address
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

/// As it is written in an image's name.
pub(super) fn host_and_port(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port()
        .map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn urls(reference: &str, settings: &Settings) -> String {
        let reference: Reference = reference.parse().unwrap();
        let endpoints = match endpoints(&reference, settings) {
            Ok(endpoints) => endpoints,
            Err(error) => return error.to_string(),
        };
        let urls = endpoints
            .iter()
            .map(|e| e.url("manifests", &reference.version()).to_string());
        urls.collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn mirrors_come_before_the_registry() {
        let settings = Settings {
            mirrors: [(
                "docker.io".to_owned(),
                vec![
                    "http://10.0.0.1:5000".into(),
                    "https://harbor.example/hub/".into(),
                ],
            )]
            .into(),
            ..Settings::default()
        };
        insta::assert_snapshot!(urls("debian:bookworm", &settings), @r"
        http://10.0.0.1:5000/v2/library/debian/manifests/bookworm
        https://harbor.example/v2/hub/library/debian/manifests/bookworm
        https://registry-1.docker.io/v2/library/debian/manifests/bookworm
        ");
        insta::assert_snapshot!(urls("ghcr.io/a/b:1", &settings), @"https://ghcr.io/v2/a/b/manifests/1");
    }

    #[test]
    fn only_loopback_and_named_hosts_are_spoken_to_in_the_clear() {
        let settings = Settings {
            insecure: vec!["lan:5000".into(), "old".into()],
            ..Settings::default()
        };
        let scheme = |name: &str| {
            urls(&format!("{name}/a/b"), &settings)
                .split_once(':')
                .unwrap()
                .0
                .to_owned()
        };
        for name in [
            "localhost",
            "localhost:5000",
            "127.0.0.1:5000",
            "127.9.9.9",
            "[::1]:5000",
            "lan:5000",
            "old:80",
        ] {
            assert_eq!(scheme(name), "http", "{name}");
        }
        for name in [
            "example.com",
            "10.0.0.1:5000",
            "lan:5001",
            "[2001:db8::1]:5000",
            "localhost.example:5000",
        ] {
            assert_eq!(scheme(name), "https", "{name}");
        }
    }

    #[test]
    fn what_is_blocked_is_asked_for_nowhere() {
        let blocked = |patterns: &[&str], reference: &str| {
            let settings = Settings {
                blocked: patterns.iter().map(|&pattern| pattern.to_owned()).collect(),
                mirrors: [("docker.io".to_owned(), vec!["http://10.0.0.1:5000".into()])].into(),
                ..Settings::default()
            };
            urls(reference, &settings).contains(" is blocked ")
        };
        for (pattern, reference) in [
            ("docker.io", "debian"),
            ("docker.io/", "debian:12"),
            ("docker.io/library", "debian"),
            ("docker.io/library/debian", "debian"),
            ("quay.io:5000", "quay.io:5000/a/b"),
            ("*.example.org", "a.example.org/x"),
            ("*.example.org", "a.b.example.org:5000/x"),
            ("*", "ghcr.io/a"),
        ] {
            assert!(
                blocked(&["other.example", pattern], reference),
                "{pattern} {reference}"
            );
        }
        for (pattern, reference) in [
            ("docker.io", "ghcr.io/a/docker.io"),
            ("docker.io/lib", "debian"),
            ("docker.io/library/deb", "debian"),
            ("quay.io:5000", "quay.io/a/b"),
            ("quay.io", "quay.io:5000/a/b"),
            ("*.example.org", "example.org/x"),
            ("*.example.org", "badexample.org/x"),
            ("*example.org", "badexample.org/x"),
            ("", "debian"),
        ] {
            assert!(!blocked(&[pattern], reference), "{pattern} {reference}");
        }
        let settings = Settings {
            blocked: vec!["docker.io".into()],
            ..Settings::default()
        };
        insta::assert_snapshot!(urls("debian:bookworm", &settings), @"`docker.io/library/debian:bookworm` is blocked on this machine, by `docker.io`");
    }

    #[test]
    fn a_mirror_that_is_no_url_is_named() {
        let mirror = |value: &str| {
            let mirrors = [("docker.io".to_owned(), vec![value.to_owned()])].into();
            urls(
                "debian",
                &Settings {
                    mirrors,
                    ..Settings::default()
                },
            )
        };
        insta::assert_snapshot!(mirror("harbor.example"), @"`harbor.example` in the mirrors of `docker.io` is not a URL like https://host[:port][/path]");
        insta::assert_snapshot!(mirror("https://me:secret@harbor.example"), @"`https://***@harbor.example` in the mirrors of `docker.io` is not a URL like https://host[:port][/path]");
    }
}
