//! What an operator can say about registries.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The `registries` part of the agent's configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Registry (`docker.io`, `ghcr.io`, `host:port`) to base URLs that are asked before it, in order. A path in a URL is
    /// put before the repository: `https://harbor.example/hub` asks for `https://harbor.example/v2/hub/library/debian`.
    pub mirrors: BTreeMap<String, Vec<String>>,
    /// Registries (`host` or `host:port`) spoken to over plain http. Loopback addresses always are.
    pub insecure: Vec<String>,
    /// What is never asked for, not even of mirrors: a registry (`host`, `host:port`), the beginning of names in one
    /// (`docker.io/library`), or all registries below a domain (`*.example.org`; `*` is every one).
    pub blocked: Vec<String>,
    /// Docker's `config.json` with the log-ins; by default `$DOCKER_CONFIG/config.json`, else `~/.docker/config.json`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub docker_config: Option<PathBuf>,
    /// How long to wait for what; not part of a configuration file.
    #[serde(skip)]
    pub timing: Timing,
}

/// A download that brings less than this within [`Timing::window`], in bytes, is a server's way of keeping us busy.
pub(super) const LEAST: u64 = 64 * 1024;

/// How long to wait, and how often to try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// For a connection.
    pub connect: Duration,
    /// For the next byte.
    pub idle: Duration,
    /// For a whole document: a manifest, a token, an error.
    pub document: Duration,
    /// Within so long a download must bring [`LEAST`] bytes.
    pub window: Duration,
    /// Requests in all, the first included, before a failing one is given up; also the broken connections in a row,
    /// without a byte between them, that a blob's download survives.
    pub attempts: u32,
    /// Before the second attempt; doubled before each further one.
    pub first_pause: Duration,
    /// The longest single pause, also when a server asks for more: then the error says so at once.
    pub longest_pause: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            idle: Duration::from_secs(30),
            document: Duration::from_secs(60),
            window: Duration::from_secs(60),
            attempts: 4,
            first_pause: Duration::from_millis(250),
            longest_pause: Duration::from_secs(30),
        }
    }
}
