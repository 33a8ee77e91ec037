//! What a server is told.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use repository::{Keep, Transport};

use crate::database::Location;
use crate::logs::Retention;
use crate::proxies::Proxies;
use crate::queue::RetryPolicy;
use crate::trace::Otlp;

/// Everything that can be set.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where to listen.
    pub listen: SocketAddr,
    /// The data directory: SQLite's database, logs, the first token, mirrors of repositories.
    pub data: PathBuf,
    /// Which database.
    pub database: Location,
    /// Where logs are kept.
    pub storage: Storage,
    /// Of S3: `endpoint`, `region`, `access_key_id`, `secret_access_key` and the like, over what the environment says.
    pub storage_options: Vec<(String, String)>,
    /// The file with the keys that secrets are encrypted with; with SQLite `secret-key` in the data directory otherwise, which is
    /// made when it is not there.
    pub secret_key_file: Option<PathBuf>,
    /// Certificate chain and key, PEM; without them the server speaks plain HTTP.
    pub tls: Option<(PathBuf, PathBuf)>,
    /// How long leases last.
    pub terms: Terms,
    /// How long clients may take.
    pub patience: Patience,
    /// How much of one log is kept.
    pub retention: Retention,
    /// How long a pipeline that is over is kept, with its logs; `None` is for ever.
    pub keep: Option<Duration>,
    /// How long nothing that is old is removed behind the start: a machine may not know the time yet.
    pub doubt: Duration,
    /// How much of artifacts is kept, and for how long.
    pub artifacts: Artifacts,
    /// How much of caches is kept, and for how long.
    pub caches: Caches,
    /// Where traces of pipelines go, if anywhere.
    pub otlp: Option<Otlp>,
    /// Whether pull requests of forks wait for a person.
    pub fork_approval: bool,
    /// How often a job may be lost.
    pub retry: RetryPolicy,
    /// How long a server that is asked to end waits for what is going on.
    pub grace: Duration,
    /// Whether repositories may be directories of this machine, or on servers of this machine itself.
    pub allow_file_repositories: bool,
    /// What is shown to the hosts of private repositories.
    pub repositories: repository::Private,
    /// What is kept of repositories.
    pub mirrors: Keep,
    /// How repositories are fetched.
    pub transport: Transport,
    /// Requests a second that one user's token may make; 0 is without a limit.
    pub requests_per_second: u32,
    /// Whose word counts for who asks.
    pub proxies: Proxies,
    /// How many readers may wait at once.
    pub followers: Followers,
}

/// How many readers may wait at once: they follow logs and events, or wait for a change of a pipeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Followers {
    /// Of one user's token.
    pub each: usize,
    /// Of all.
    pub all: usize,
}

impl Default for Followers {
    fn default() -> Self {
        Self {
            each: 200,
            all: 2_000,
        }
    }
}

/// How long clients may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// With the head of a request; a connection may be idle between two of them for as long. Agents let theirs go sooner.
    pub head: Duration,
    /// With a body.
    pub body: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            head: Duration::from_secs(30),
            body: Duration::from_secs(60),
        }
    }
}

/// Where logs are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Storage {
    /// In a directory of this machine.
    Directory(PathBuf),
    /// In a bucket of S3 or what speaks like it: `s3://bucket/prefix`. Credentials and endpoint come from the environment, as for
    /// Amazon's own tools.
    Objects(String),
}

/// How much of artifacts is kept, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Artifacts {
    /// The archive of one has at most so many bytes.
    pub bytes: u64,
    /// All of one attempt have at most so many.
    pub attempt_bytes: u64,
    /// All of one repository have at most so many: the oldest go. `None` is without a limit.
    pub repository_bytes: Option<u64>,
    /// How long one is kept whose pipeline does not say; `None` is for ever.
    pub keep: Option<Duration>,
    /// How long one is kept at most, whatever its pipeline says; `None` is for ever.
    pub max_keep: Option<Duration>,
}

impl Artifacts {
    /// How many bytes all of one attempt may have, and the setting that says so: what others of its repository make no room for is
    /// not taken.
    pub(crate) fn of_attempt(&self) -> (u64, &'static str) {
        match self.repository_bytes {
            Some(most) if most < self.attempt_bytes => (most, "repository_bytes"),
            _ => (self.attempt_bytes, "attempt_bytes"),
        }
    }

    /// How long one is kept whose pipeline says this, milliseconds; `None` is for ever.
    pub(crate) fn kept_ms(&self, said: Option<u64>) -> Option<u64> {
        let ms = |length: Duration| u64::try_from(length.as_millis()).unwrap_or(u64::MAX);
        let most = self.max_keep.map(ms);
        let wanted = said.or(self.keep.map(ms));
        // `None` is longer than everything.
        wanted.map_or(most, |wanted| {
            Some(most.map_or(wanted, |most| wanted.min(most)))
        })
    }
}

impl Default for Artifacts {
    fn default() -> Self {
        Self {
            bytes: 1 << 30,
            attempt_bytes: 4 << 30,
            repository_bytes: None,
            max_keep: None,
            keep: Some(Duration::from_secs(30 * 24 * 60 * 60)),
        }
    }
}

/// How much of caches is kept, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caches {
    /// All caches of a repository have at most so many bytes together; those not used for longest go. 0: there are none.
    pub bytes: u64,
    /// How long one is kept that no job starts from; `None` is for ever.
    pub keep: Option<Duration>,
}

impl Default for Caches {
    fn default() -> Self {
        Self {
            bytes: 10 << 30,
            keep: Some(Duration::from_secs(7 * 24 * 60 * 60)),
        }
    }
}

/// How long leases last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// How long an agent has to accept an offer.
    pub accept: Duration,
    /// How long nothing may be heard of an agent that holds a job.
    pub lease: Duration,
    /// How often an agent is to be heard of.
    pub heartbeat: Duration,
    /// How long an agent that asks for a job waits for one at most, before it has to ask again.
    pub wait: Duration,
}

impl Default for Terms {
    fn default() -> Self {
        Self {
            accept: Duration::from_secs(10),
            lease: Duration::from_secs(60),
            heartbeat: Duration::from_secs(15),
            wait: Duration::from_millis(protocol::service::limits::WAIT_MS),
        }
    }
}

/// A setting makes no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// The database is of no known kind.
    #[error(
        "the database {given:?} is none: `sqlite:PATH` or `postgres://USER@HOST/NAME` is expected"
    )]
    Database {
        /// As it was given, without a password.
        given: String,
    },
    /// The storage is of no known kind.
    #[error("the storage {given:?} is none: a directory or `s3://BUCKET/PREFIX` is expected")]
    Storage {
        /// As it was given.
        given: String,
    },
    /// Heartbeats come too late for a lease.
    #[error(
        "a heartbeat every {heartbeat:?} is too late for a lease of {lease:?}: at least twice as long is expected"
    )]
    Terms {
        /// The heartbeat.
        heartbeat: Duration,
        /// The lease.
        lease: Duration,
    },
    /// Nothing would go on with it.
    #[error("`{0}` is 0, and nothing would go on")]
    Zero(&'static str),
    /// Traces cannot be sent there.
    #[error(
        "traces cannot be sent to {given:?}: OTLP over HTTP is spoken, so `http://HOST:4318` or `https://..` is expected"
    )]
    Otlp {
        /// As it was given, without a password.
        given: String,
    },
}

impl Config {
    /// What holds when nothing is said: SQLite and logs in this directory.
    #[must_use]
    pub fn in_directory(data: PathBuf, transport: Transport) -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8_700)),
            database: Location::Sqlite(data.join("server.sqlite")),
            storage: Storage::Directory(data.join("logs")),
            storage_options: Vec::new(),
            data,
            secret_key_file: None,
            tls: None,
            terms: Terms::default(),
            patience: Patience::default(),
            retention: Retention::default(),
            keep: None,
            doubt: Duration::from_secs(600),
            artifacts: Artifacts::default(),
            caches: Caches::default(),
            otlp: None,
            fork_approval: true,
            retry: RetryPolicy::default(),
            grace: Duration::from_secs(20),
            allow_file_repositories: false,
            repositories: repository::Private::default(),
            mirrors: Keep::default(),
            transport,
            requests_per_second: 200,
            proxies: Proxies::default(),
            followers: Followers::default(),
        }
    }

    /// Looks whether the settings make sense together.
    ///
    /// # Errors
    /// The first that does not.
    pub fn check(&self) -> Result<(), ConfigError> {
        let Terms {
            accept,
            heartbeat,
            lease,
            wait,
        } = self.terms;
        let zeroes = [
            ("lease.accept", accept.is_zero()),
            ("lease.heartbeat", heartbeat.is_zero()),
            ("lease.wait", wait.is_zero()),
            ("attempts", self.retry.attempts == 0),
            ("followers.each", self.followers.each == 0),
            ("followers.all", self.followers.all == 0),
        ];
        if let Some((name, _)) = zeroes.into_iter().find(|(_, is_zero)| *is_zero) {
            return Err(ConfigError::Zero(name));
        }
        if lease < heartbeat * 2 {
            return Err(ConfigError::Terms { heartbeat, lease });
        }
        let is_http = |text: &str| {
            let url = reqwest::Url::parse(text);
            url.is_ok_and(|url| matches!(url.scheme(), "http" | "https"))
        };
        match &self.otlp {
            Some(otlp) if !is_http(&otlp.endpoint) => Err(ConfigError::Otlp {
                given: without_password(&otlp.endpoint),
            }),
            _ => Ok(()),
        }
    }
}

impl std::str::FromStr for Location {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        if let Some(path) = text.strip_prefix("sqlite:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            if !path.is_empty() {
                return Ok(Self::Sqlite(PathBuf::from(path)));
            }
        }
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            return Ok(Self::Postgres(text.to_owned()));
        }
        Err(ConfigError::Database {
            given: without_password(text),
        })
    }
}

impl std::str::FromStr for Storage {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        let text = text.strip_prefix("file://").unwrap_or(text);
        match text.split_once("://") {
            Some(("s3", bucket)) if !bucket.is_empty() => Ok(Self::Objects(text.to_owned())),
            None if !text.is_empty() => Ok(Self::Directory(PathBuf::from(text))),
            _ => Err(ConfigError::Storage {
                given: text.to_owned(),
            }),
        }
    }
}

/// A URL that can be shown.
fn without_password(url: &str) -> String {
    match (url.find("://"), url.rfind('@')) {
        (Some(scheme), Some(at)) if at > scheme => {
            format!("{}***{}", &url[..scheme + 3], &url[at..])
        }
        _ => url.to_owned(),
    }
}
