//! A server from its start to its end.

use std::io::Write as _;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum_server::Handle;
use axum_server::tls_rustls::RustlsConfig;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use protocol::service::{CreateToken, Role, TokenKind};
use repository::{Bounds, CheckError, Mirrors};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;

use crate::compile::Compiler;
use crate::config::{Config, ConfigError, Patience};
use crate::database::{Database, DatabaseError, OperationError};
use crate::dispatcher::Dispatcher;
use crate::followers::Followers;
use crate::identity::Identities;
use crate::keyring::KeyError;
use crate::limiter::Limiter;
use crate::metrics::Metrics;
use crate::operation::token;
use crate::queue::watch::LeaseTerms;
use crate::seen::Seen;
use crate::service::{Service, patience, terms};
use crate::sweeper::{self, Rules};
use crate::{api, expiry, keys, mirrors, remains, room, secret, storage, trace};

/// What one transfer of a repository may take here: of a commit without its history, asked for by whoever may submit. How long
/// it may take is the compiler's to say.
const TRANSFER: Bounds = Bounds {
    silence: Duration::from_secs(60),
    longest: Duration::from_secs(10 * 60),
    bytes: 4 << 30,
    memory: 1 << 30,
};

/// Submissions that are fetched and compiled at once.
const COMPILING: usize = 16;

/// After so many leases' time nobody is on his way any more who was let in while an attempt was going on.
const ONCE_MORE: u32 = 10;

/// Why a server does not start, or ended.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// A setting makes no sense.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// What is said of private repositories is of no use.
    #[error("`repositories`: {0}")]
    Private(#[from] CheckError),
    /// The data directory or something in it cannot be used.
    #[error("failed to {action} {path}: {source}", path = path.display())]
    File {
        /// What was to be done.
        action: &'static str,
        /// With what.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The database cannot be opened.
    #[error("failed to open the database: {0}")]
    Database(#[from] DatabaseError),
    /// The first token cannot be made.
    #[error("failed to make the first token: {0}")]
    FirstToken(Box<OperationError>),
    /// The keys of secrets cannot be used.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// Whether the keys of secrets are those of the database cannot be told.
    #[error("failed to look at the database's secrets: {0}")]
    Secrets(Box<OperationError>),
    /// The storage of logs cannot be used.
    #[error("failed to open the storage of logs: {message}")]
    Storage {
        /// Why.
        message: String,
    },
    /// The logs of the database are somewhere else.
    #[error(
        "the logs that belong to this database are in another storage ({known}, and this one is {identity}): several servers need one that \
         all of them see, `--storage s3://..`. To go on without the logs so far: `DELETE FROM facts WHERE name = 'storage'` in the database"
    )]
    OtherStorage {
        /// As the database has it.
        known: String,
        /// What the setting names.
        identity: String,
    },
    /// The bucket has logs of another database.
    #[error(
        "the bucket has logs of another database (its object `identity` says {marker}): give this one a prefix of its own, \
         `--storage s3://BUCKET/PREFIX`. If that database is no more, remove the object"
    )]
    TakenStorage {
        /// What the bucket's marker says.
        marker: String,
    },
    /// The address cannot be listened at.
    #[error("failed to listen at {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why not.
        source: std::io::Error,
    },
    /// Certificate or key cannot be used.
    #[error("failed to read the certificate {path}: {source}", path = path.display())]
    Certificate {
        /// The certificate's file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// It ended by itself.
    #[error("failed to serve: {source}")]
    Serve {
        /// Why.
        source: std::io::Error,
    },
}

/// A server that answers.
#[derive(Debug)]
pub struct Running {
    /// Where it listens: the port is known even where any was asked for.
    pub address: SocketAddr,
    /// Where the first administrator's token was written, when this is the first start.
    pub first_token: Option<PathBuf>,
    /// Ends it.
    pub shutdown: Shutdown,
    served: JoinHandle<std::io::Result<()>>,
}

/// Ends a server.
#[derive(Debug, Clone)]
pub struct Shutdown {
    ending: Arc<watch::Sender<bool>>,
    handle: Handle<SocketAddr>,
    grace: std::time::Duration,
}

impl Shutdown {
    /// No more connections are taken; long polls and followers are answered at once, everything else in its own time, at most the
    /// configured grace.
    pub fn begin(&self) {
        self.ending.send_replace(true);
        self.handle.graceful_shutdown(Some(self.grace));
    }

    /// Ends it without waiting.
    pub fn now(&self) {
        self.ending.send_replace(true);
        self.handle.shutdown();
    }
}

impl Running {
    /// Waits until it has ended.
    ///
    /// # Errors
    /// It could not serve any more.
    pub async fn ended(self) -> Result<(), ServerError> {
        match self.served.await {
            Ok(served) => served.map_err(|source| ServerError::Serve { source }),
            Err(error) => Err(ServerError::Serve {
                source: std::io::Error::other(error),
            }),
        }
    }
}

/// Starts a server. Must be called within a tokio runtime.
///
/// # Errors
/// See [`ServerError`].
pub async fn start(config: Config) -> Result<Running, ServerError> {
    config.check()?;
    // The same cryptography as for registries; that somebody has chosen before is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    // Logs and variables are for its user's eyes.
    let mut private = std::fs::DirBuilder::new();
    private.recursive(true).mode(0o700);
    private
        .create(&config.data)
        .map_err(|source| ServerError::File {
            action: "make",
            path: config.data.clone(),
            source,
        })?;
    // What may be refused comes before the database is made, or brought up to date: it may be another server's.
    let mirrors = Mirrors::new(
        config.data.join("mirrors"),
        config.transport.clone().within(TRANSFER),
    );
    let compiler = Compiler::new(mirrors.clone(), &config)?;
    let door = Door::open(&config).await?;
    let storage = storage::take(&config).await?;
    let location = config.database.clone();
    let database = tokio::task::spawn_blocking(move || Database::open(&location))
        .await
        .map_err(|_| DatabaseError::Closed)??;
    let keyring = keys::open(&config, &database).await?;
    let logs = storage::open(storage, &config, &database).await?;
    let first_token = first_token(&database, &config.data).await?;
    let (ending, ended) = watch::channel(false);
    let metrics = Arc::new(Metrics::new());
    let wire_terms = terms(&config);
    tokio::spawn(mirrors::prune(mirrors, config.mirrors, ended.clone()));
    let service = Service {
        dispatcher: Dispatcher::start(
            database.clone(),
            wire_terms,
            config.retry,
            Arc::clone(&metrics),
        ),
        identities: Arc::new(Identities::default()),
        keyring,
        limiter: Arc::new(Limiter::new(config.requests_per_second)),
        followers: Arc::new(Followers::new(config.followers)),
        readings: Arc::default(),
        compiler: Arc::new(compiler),
        compiling: Arc::new(Semaphore::new(COMPILING)),
        metrics,
        seen: Arc::new(Seen::new(patience(&config))),
        ending: ended.clone(),
        database: database.clone(),
        logs: logs.clone(),
        config: Arc::new(config.clone()),
    };
    if let Some(otlp) = config.otlp.clone() {
        tokio::spawn(trace::export(
            database.clone(),
            otlp,
            Arc::clone(&service.metrics),
            ended.clone(),
        ));
    }
    let rules = Rules {
        leases: LeaseTerms {
            accept: config.terms.accept,
            lease: config.terms.lease,
        },
        policy: config.retry,
        patience: patience(&config),
    };
    tokio::spawn(expiry::expire(
        database.clone(),
        expiry::Rules {
            keep: config.keep,
            keep_caches: config.caches.keep,
            doubt: config.doubt,
        },
        ended.clone(),
    ));
    tokio::spawn(room::make(
        database.clone(),
        config.artifacts.repository_bytes,
        ended.clone(),
    ));
    let once_more = config.terms.lease.saturating_mul(ONCE_MORE);
    tokio::spawn(remains::remove(
        database.clone(),
        logs,
        once_more,
        ended.clone(),
    ));
    tokio::spawn(sweeper::sweep(database, rules, ended));
    let address = door.address;
    let (handle, served) = door.serve(&config, service)?;
    tracing::info!(%address, "listening");
    Ok(Running {
        address,
        first_token,
        shutdown: Shutdown {
            ending: Arc::new(ending),
            handle,
            grace: config.grace,
        },
        served,
    })
}

/// Where clients come in. Who comes before somebody answers waits.
struct Door {
    listener: TcpListener,
    address: SocketAddr,
    tls: Option<RustlsConfig>,
}

type Serving = (Handle<SocketAddr>, JoinHandle<std::io::Result<()>>);

impl Door {
    async fn open(config: &Config) -> Result<Self, ServerError> {
        let failed = |source| ServerError::Listen {
            address: config.listen,
            source,
        };
        let tls = match &config.tls {
            None => None,
            Some((certificate, key)) => {
                let tls = RustlsConfig::from_pem_file(certificate, key).await;
                Some(tls.map_err(|source| ServerError::Certificate {
                    path: certificate.clone(),
                    source,
                })?)
            }
        };
        let listener = TcpListener::bind(config.listen).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Self {
            listener,
            address,
            tls,
        })
    }

    fn serve(self, config: &Config, service: Service) -> Result<Serving, ServerError> {
        let failed = |source| ServerError::Listen {
            address: config.listen,
            source,
        };
        let handle = Handle::new();
        let router = api::router(service).into_make_service_with_connect_info::<SocketAddr>();
        let served = match self.tls {
            None => {
                let mut server = axum_server::from_tcp(self.listener)
                    .map_err(failed)?
                    .handle(handle.clone());
                be_impatient(server.http_builder(), config.patience);
                tokio::spawn(server.serve(router))
            }
            Some(tls) => {
                let mut server = axum_server::from_tcp_rustls(self.listener, tls)
                    .map_err(failed)?
                    .handle(handle.clone());
                be_impatient(server.http_builder(), config.patience);
                tokio::spawn(server.serve(router))
            }
        };
        Ok((handle, served))
    }
}

/// How often a connection with many streams has to show that somebody is there.
const PING: std::time::Duration = std::time::Duration::from_secs(20);

/// Bytes that are read from a connection at once, and that the head of a request has at most. Where it is more, hyper makes its buffer anew, twice
/// as large, as soon as the first bytes have told which version of HTTP it is: for each agent that waits.
const PIECE: usize = 8 << 10;

/// Who sends a request byte by byte does not keep a connection.
fn be_impatient(builder: &mut Builder<TokioExecutor>, patience: Patience) {
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(patience.head)
        .max_buf_size(PIECE);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(PING)
        .keep_alive_timeout(PING);
}

/// A way in for the first administrator: a file that only who runs the server can read.
async fn first_token(database: &Database, data: &Path) -> Result<Option<PathBuf>, ServerError> {
    let failed = |error| ServerError::FirstToken(Box::new(error));
    if database
        .read(token::has_administrator)
        .await
        .map_err(failed)?
    {
        return Ok(None);
    }
    let path = data.join("admin-token");
    let file = |source| ServerError::File {
        action: "write",
        path: path.clone(),
        source,
    };
    let (secret, hash) =
        secret::generate(TokenKind::User).map_err(|error| file(std::io::Error::other(error)))?;
    let mut written = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&path)
        .map_err(file)?;
    written
        .write_all(format!("{secret}\n").as_bytes())
        .map_err(file)?;
    let wanted = CreateToken {
        name: "first administrator".to_owned(),
        kind: TokenKind::User,
        role: Some(Role::Admin),
        repositories: Vec::new(),
        expires_in_ms: None,
        uses: None,
    };
    database
        .write(move |tx| token::create(tx, &wanted, hash).map(drop))
        .await
        .map_err(failed)?;
    Ok(Some(path))
}
