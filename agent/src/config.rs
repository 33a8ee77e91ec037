//! The machine's configuration: what belongs to the machine and not to a pipeline.
//!
//! ```yaml
//! grace: 10s                       # between SIGTERM and SIGKILL
//! registries:
//!   mirrors: { docker.io: ["https://mirror.example.org"] }
//!   insecure: ["registry.example.org:5000"]
//! limits:                          # of every step
//!   default: { memory: 4GiB }
//!   max: { cpus: 4, memory: 16GiB }
//! images: { older_than: 30d, max_size: 50GiB }   # what does not stay
//! network: { pools: [10.9.0.0/16], host: false }   # of private networks; whether steps may use the machine's
//! host:
//!   paths: [/opt/toolchain]        # shown read-only in `image: host`, beside the usual ones
//!   env: { PATH: /opt/toolchain/bin:/usr/bin:/bin }
//! ```

use std::fs::File;
use std::io::{self, Read as _};
use std::path::PathBuf;
use std::time::Duration;

use indexmap::IndexMap;
use pipelines::units;
use runtime::registry;
use serde::{Deserialize, Deserializer, de};

use crate::limits::Limits;
use crate::machine::ConfigPath;
use crate::networks::Networks;
use crate::retention::Retention;
use crate::sources::Repositories;

/// Largest configuration that is read, bytes.
const LIMIT: u64 = 1 << 20;

/// What the configuration file says; a missing one says nothing.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// How long a step has between `SIGTERM` and `SIGKILL`.
    #[serde(deserialize_with = "grace")]
    pub grace: Duration,
    /// What steps may use.
    pub limits: Limits,
    /// How registries are reached.
    pub registries: registry::Settings,
    /// Which images stay.
    pub images: Retention,
    /// Which networks containers may have.
    pub network: Networks,
    /// What `image: host` shows of the machine.
    pub host: Host,
    /// How repositories are reached, for jobs of a server.
    pub repositories: Repositories,
    /// For `agent start`.
    pub agent: Agent,
    /// For the commands that ask a server something.
    pub client: Connection,
}

/// So much of the disk must be free before an agent takes a job, where nothing else is said, bytes.
const FREE_DISK: u64 = 256 << 20;

/// What `agent start` is told. Options of the command line win, then variables of the environment.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Agent {
    /// The server's address.
    pub server: Option<String>,
    /// A file with the registration token.
    pub token_file: Option<PathBuf>,
    /// A file with authorities to trust, in PEM.
    pub ca_file: Option<PathBuf>,
    /// What the agent is called; the machine's name otherwise.
    pub name: Option<String>,
    /// What `runs_on` asks for.
    pub labels: IndexMap<String, String>,
    /// How many jobs at once; 1 otherwise.
    pub slots: Option<u32>,
    /// So much of the disk must be free before it takes a job, bytes.
    #[serde(deserialize_with = "free_disk")]
    pub free_disk: u64,
}

impl Default for Agent {
    fn default() -> Self {
        Self {
            server: None,
            token_file: None,
            ca_file: None,
            name: None,
            labels: IndexMap::new(),
            slots: None,
            free_disk: FREE_DISK,
        }
    }
}

/// Where the server is and who asks.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Connection {
    /// The server's address.
    pub server: Option<String>,
    /// A file with a token.
    pub token_file: Option<PathBuf>,
    /// A file with authorities to trust, in PEM.
    pub ca_file: Option<PathBuf>,
}

/// What `image: host` shows of the machine beside the usual directories.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Host {
    /// Absolute paths, shown read-only.
    pub paths: Vec<PathBuf>,
    /// Variables for steps on `image: host`, weaker than the pipeline's.
    pub env: IndexMap<String, String>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            grace: Duration::from_secs(10),
            limits: Limits::default(),
            registries: registry::Settings::default(),
            images: Retention::default(),
            network: Networks::default(),
            host: Host::default(),
            repositories: Repositories::default(),
            agent: Agent::default(),
            client: Connection::default(),
        }
    }
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// It cannot be read.
    #[error("failed to read the configuration {path}: {source}", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It says something that cannot be understood.
    #[error("failed to understand the configuration {path}: {source}", path = path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// Names the setting, line and column.
        source: serde_yaml::Error,
    },
    /// A path of the machine is relative.
    #[error("failed to understand the configuration {path}: host.paths: {value:?} is not an absolute path", path = path.display())]
    RelativePath {
        /// The file.
        path: PathBuf,
        /// The path in it.
        value: PathBuf,
    },
}

impl Config {
    /// Reads the configuration, or takes the defaults where there is none.
    pub fn load(place: Option<&ConfigPath>) -> Result<Self, ConfigError> {
        let Some(ConfigPath { path, required }) = place else {
            return Ok(Self::default());
        };
        let mut text = String::new();
        let read = File::open(path).and_then(|file| file.take(LIMIT).read_to_string(&mut text));
        match read {
            Err(error) if error.kind() == io::ErrorKind::NotFound && !required => {
                return Ok(Self::default());
            }
            Err(source) => {
                return Err(ConfigError::Read {
                    path: path.clone(),
                    source,
                });
            }
            Ok(_) if text.trim().is_empty() => return Ok(Self::default()),
            Ok(_) => {}
        }
        let config: Self = serde_yaml::from_str(&text).map_err(|source| ConfigError::Parse {
            path: path.clone(),
            source,
        })?;
        match config.host.paths.iter().find(|path| !path.is_absolute()) {
            Some(value) => Err(ConfigError::RelativePath {
                path: path.clone(),
                value: value.clone(),
            }),
            None => Ok(config),
        }
    }
}

fn grace<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    humantime::parse_duration(&text).map_err(|error| {
        de::Error::custom(format_args!(
            "grace: {text:?} is not a duration such as 10s: {error}"
        ))
    })
}

fn free_disk<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let text = String::deserialize(deserializer)?;
    units::size(&text).ok_or_else(|| {
        de::Error::custom(format_args!(
            "agent.free_disk: {text:?} is not a size such as 1GiB"
        ))
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use pipelines::plan::Resources;

    use super::Config;
    use crate::machine::ConfigPath;

    fn load(text: &str) -> Result<Config, String> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("config.yml");
        std::fs::write(&path, text).unwrap();
        let place = ConfigPath {
            path: path.clone(),
            required: true,
        };
        Config::load(Some(&place)).map_err(|error| {
            error
                .to_string()
                .replace(&path.display().to_string(), "FILE")
        })
    }

    #[test]
    fn every_setting_is_understood() {
        let config = load(
            "grace: 1m 30s\n\
             limits: { default: { memory: 1GiB }, max: { cpus: 1.5, pids: 100 }, log: 1MiB }\n\
             registries: { mirrors: { docker.io: [\"http://localhost:5000\"] }, insecure: [a:5000], blocked: [quay.io] }\n\
             images: { older_than: 30d, max_size: 50GiB }\n\
             host: { paths: [/opt/rust], env: { PATH: /opt/rust/bin } }\n\
             agent: { free_disk: 2GiB }\n",
        )
        .unwrap();
        assert_eq!(config.agent.free_disk, 2 << 30);
        assert_eq!(config.grace, Duration::from_secs(90));
        let all = config.limits.of(&Resources::default());
        assert_eq!(
            (all.memory_bytes, all.cpu_millis, all.pids),
            (Some(1 << 30), Some(1500), Some(100))
        );
        assert_eq!(config.limits.log(), 1 << 20);
        assert_eq!(
            config.registries.mirrors["docker.io"],
            ["http://localhost:5000"]
        );
        assert_eq!(config.registries.blocked, ["quay.io"]);
        assert_eq!(
            config.images.older_than,
            Some(Duration::from_secs(30 * 86_400))
        );
        assert_eq!(config.images.max_size, Some(50 << 30));
        assert_eq!(config.host.env["PATH"], "/opt/rust/bin");
    }

    #[test]
    fn what_is_not_understood_is_named() {
        insta::assert_snapshot!(load("host: { pathss: [] }").unwrap_err(), @"failed to understand the configuration FILE: host: unknown field `pathss`, expected `paths` or `env` at line 1 column 9");
        insta::assert_snapshot!(load("grace: 10").unwrap_err(), @r#"failed to understand the configuration FILE: grace: "10" is not a duration such as 10s: time unit needed, for example 10sec or 10ms"#);
        insta::assert_snapshot!(load("grace: ten").unwrap_err(), @r#"failed to understand the configuration FILE: grace: "ten" is not a duration such as 10s: expected number at 0"#);
        insta::assert_snapshot!(load("agent: { free_disk: much }").unwrap_err(), @r#"failed to understand the configuration FILE: agent: agent.free_disk: "much" is not a size such as 1GiB at line 1 column 8"#);
        insta::assert_snapshot!(load("host: { paths: [opt] }").unwrap_err(), @r#"failed to understand the configuration FILE: host.paths: "opt" is not an absolute path"#);
    }

    #[test]
    fn only_a_named_file_has_to_exist() {
        let mut place = ConfigPath {
            path: "/nonexistent/config.yml".into(),
            required: false,
        };
        assert_eq!(Config::load(Some(&place)).unwrap(), Config::default());
        assert_eq!(load("# nothing\n").unwrap(), Config::default());
        place.required = true;
        insta::assert_snapshot!(Config::load(Some(&place)).unwrap_err(), @"failed to read the configuration /nonexistent/config.yml: No such file or directory (os error 2)");
    }
}
