//! The server's configuration file: what it may say.

use std::fs::File;
use std::io::{self, Read as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Deserializer, de};

use crate::cli::LogFormat;

/// Largest configuration that is read, bytes.
const LIMIT: u64 = 1 << 20;

/// What the configuration file says; everything may be missing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Settings {
    pub(super) listen: Option<SocketAddr>,
    pub(super) database: Option<String>,
    pub(super) storage: Option<String>,
    /// Of S3: `endpoint`, `region`, `access_key_id`, `secret_access_key` and the like.
    pub(super) s3: std::collections::BTreeMap<String, String>,
    pub(super) secret_key_file: Option<PathBuf>,
    pub(super) tls: Option<Tls>,
    pub(super) log_format: Option<LogFormat>,
    pub(super) allow_file_repositories: bool,
    /// What is shown to the hosts of private repositories.
    pub(super) repositories: repository::Private,
    /// How long leases last.
    pub(super) lease: LeaseSettings,
    /// How much of one log is kept, bytes.
    pub(super) log_bytes: Option<u64>,
    /// How long pipelines that are over are kept.
    #[serde(deserialize_with = "duration")]
    pub(super) keep: Option<Duration>,
    /// Of artifacts.
    pub(super) artifacts: ArtifactSettings,
    /// Of caches.
    pub(super) caches: CacheSettings,
    /// Where traces go.
    pub(super) otlp: Option<OtlpSettings>,
    /// Whether pull requests of forks wait for a person.
    pub(super) fork_approval: Option<bool>,
    /// Attempts a job has whose agents are lost.
    pub(super) attempts: Option<u32>,
    /// How long a server that is asked to end waits.
    #[serde(deserialize_with = "duration")]
    pub(super) grace: Option<Duration>,
    pub(super) requests_per_second: Option<u32>,
    /// Whose word counts for who asks.
    pub(super) proxies: server::Proxies,
    /// Readers that wait.
    pub(super) followers: FollowerSettings,
    /// What is kept of repositories.
    pub(super) mirrors: MirrorSettings,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Tls {
    pub(super) certificate: PathBuf,
    pub(super) key: PathBuf,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OtlpSettings {
    pub(super) endpoint: String,
    #[serde(default)]
    pub(super) headers: std::collections::BTreeMap<String, String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ArtifactSettings {
    /// Of one archive.
    pub(super) bytes: Option<u64>,
    /// Of all of one attempt.
    pub(super) attempt_bytes: Option<u64>,
    /// Of all of one repository; 0 is without a limit.
    pub(super) repository_bytes: Option<u64>,
    /// How long one is kept whose pipeline does not say; 0 is for ever.
    #[serde(deserialize_with = "duration")]
    pub(super) keep: Option<Duration>,
    /// How long one is kept at most; 0 is for ever.
    #[serde(deserialize_with = "duration")]
    pub(super) max_keep: Option<Duration>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct CacheSettings {
    /// Of all of one repository; 0: there are none.
    pub(super) bytes: Option<u64>,
    /// How long one is kept that no job starts from; 0 is for ever.
    #[serde(deserialize_with = "duration")]
    pub(super) keep: Option<Duration>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct LeaseSettings {
    #[serde(deserialize_with = "duration")]
    pub(super) accept: Option<Duration>,
    #[serde(deserialize_with = "duration")]
    pub(super) lasts: Option<Duration>,
    #[serde(deserialize_with = "duration")]
    pub(super) heartbeat: Option<Duration>,
    #[serde(deserialize_with = "duration")]
    pub(super) wait: Option<Duration>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct FollowerSettings {
    /// With one token.
    pub(super) each: Option<usize>,
    /// All of them.
    pub(super) all: Option<usize>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct MirrorSettings {
    /// How long one stays that nobody fetches to.
    #[serde(deserialize_with = "duration")]
    pub(super) unused_for: Option<Duration>,
    /// How much all of them take.
    pub(super) bytes: Option<u64>,
}

/// As `10s` and `1m 30s`.
fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    let length = text.map(|text| humantime::parse_duration(&text).map_err(de::Error::custom));
    length.transpose()
}

/// The server's configuration file cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("failed to read the server's configuration {path}: {message}", path = path.display())]
pub struct SettingsError {
    path: PathBuf,
    message: String,
}

/// The file that was named, which has to exist, or the one in the data directory.
pub(super) fn read(named: Option<&Path>, data: &Path) -> Result<Settings, SettingsError> {
    let path = named.map_or_else(|| data.join("server.yml"), Path::to_path_buf);
    let failed = |message: String| SettingsError {
        path: path.clone(),
        message,
    };
    let file = match File::open(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound && named.is_none() => {
            return Ok(Settings::default());
        }
        file => file.map_err(|error| failed(error.to_string()))?,
    };
    let mut text = String::new();
    file.take(LIMIT + 1)
        .read_to_string(&mut text)
        .map_err(|error| failed(error.to_string()))?;
    if text.len() as u64 > LIMIT {
        return Err(failed(format!("it has more than {LIMIT} bytes")));
    }
    if text.trim().is_empty() {
        return Ok(Settings::default());
    }
    serde_yaml::from_str(&text).map_err(|error| failed(error.to_string()))
}
