//! Why a command could not be carried out, and which exit code that is.

use std::io;
use std::path::PathBuf;

use pipelines::OverrideError;
use protocol::service::{JobId, ProblemCode};
use runtime::registry;
use runtime::store::{FindError as FindImageError, SaveError, StoreError};

use super::connection::ConnectionError;
use super::start::LabelError;
use crate::artifacts::ArtifactError;
use crate::attempt::{InputError, SpoolError};
use crate::backend::{ConnectError, ImageError, ImageErrorKind};
use crate::caches::CacheError;
use crate::chain::chain;
use crate::config::ConfigError;
use crate::daemon::{DaemonError, IdentityError};
use crate::door::DoorError;
use crate::executor::{PlanError, PublicationError, ScheduleError, SelectionError};
use crate::exit_code::ExitCode;
use crate::log::RunDirectoryError;
use crate::machine::{DataDirectoryError, NoDataDirectory};
use crate::mask::NotMasked;
use crate::networks::{ALLOW_HOST, NetworkError};
use crate::oci::OciError;
use crate::secrets::SecretError;
use crate::source::CallError;
use crate::workspace::FindError;

/// A command that could not be carried out. A pipeline that fails or is invalid is not one.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// There is no pipeline to work on.
    #[error(transparent)]
    Find(#[from] FindError),
    /// `--image` or `--env` is wrong.
    #[error(transparent)]
    Override(#[from] OverrideError),
    /// `--job` or `--step` is wrong.
    #[error(transparent)]
    Selection(#[from] SelectionError),
    /// `--publish` is wrong.
    #[error(transparent)]
    Publication(#[from] PublicationError),
    /// The machine's configuration is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The secrets are too many to be masked.
    #[error("the secrets that were given cannot be masked: {0}")]
    NotMasked(#[from] NotMasked),
    /// A secret cannot be had.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The machine's configuration does not give what the plan wants of the network.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// The environment does not say where data goes.
    #[error(transparent)]
    NoDataDirectory(#[from] NoDataDirectory),
    /// The data directory cannot be made.
    #[error(transparent)]
    DataDirectory(#[from] DataDirectoryError),
    /// The run's directory cannot be made.
    #[error(transparent)]
    RunDirectory(#[from] RunDirectoryError),
    /// There is nothing to run containers with.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// A container could not be run, or done something with.
    #[error(transparent)]
    Door(#[from] DoorError),
    /// An operation on a bundle's container could not be carried out.
    #[error(transparent)]
    Oci(#[from] OciError),
    /// An image cannot be had.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// There is no such image here.
    #[error(transparent)]
    NoImage(#[from] FindImageError),
    /// The image store cannot be used.
    #[error("failed to use the image store: {}", chain(.0))]
    Store(#[from] StoreError),
    /// An image cannot be written to an archive.
    #[error(transparent)]
    Save(#[from] SaveError),
    /// An archive cannot be put where it should be.
    #[error("failed to write {path}: {source}")]
    Unwritten {
        /// Where.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// Nobody wants to see an archive.
    #[error("an archive is not written to a terminal")]
    ArchiveToTerminal,
    /// Nobody types an archive.
    #[error("an archive is not read from a terminal")]
    ArchiveFromTerminal,
    /// An id stands for all of its names.
    #[error("the image `{id}` has several names: {}", names.join(", "))]
    SeveralNames {
        /// As it was given.
        id: String,
        /// Its names.
        names: Vec<String>,
    },
    /// An archive's image that has no name there, and got none.
    #[error("{0} holds an image without a name")]
    UnnamedImage(String),
    /// Not `host[:port]`.
    #[error("`{0}` is not a registry's name")]
    NoRegistry(String),
    /// Standard input has a password only.
    #[error("`--password-stdin` needs `--username`")]
    NoUser,
    /// There is nobody to ask, and nothing was given.
    #[error("there is no password")]
    NoPassword,
    /// A registry does not take the log-in.
    #[error("failed to log in: {0}")]
    Registry(#[from] registry::Error),
    /// Log-ins cannot be read or written.
    #[error(transparent)]
    Credentials(#[from] registry::CredentialsError),
    /// `agent job` was not called by `agent start`.
    #[error(transparent)]
    Input(#[from] InputError),
    /// An attempt's directory cannot be used.
    #[error(transparent)]
    Spool(#[from] SpoolError),
    /// There is no way to the server.
    #[error(transparent)]
    Connection(#[from] ConnectionError),
    /// A label is none.
    #[error(transparent)]
    Label(#[from] LabelError),
    /// A value is typed, where everybody sees it.
    #[error("there is no value: standard input is a terminal")]
    TypedSecret,
    /// An agent cannot work.
    #[error(transparent)]
    Daemon(#[from] DaemonError),
    /// A file that was named cannot be read.
    #[error("failed to read {path}: {source}", path = path.display())]
    Unread {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A job has no such attempt.
    #[error("job {job} has no attempt {attempt}")]
    NoAttempt {
        /// The job.
        job: JobId,
        /// As it was asked for.
        attempt: u32,
        /// What there is.
        attempts: Vec<u32>,
    },
    /// A job has no such step.
    #[error("job {job} has no step `{step}`; the steps are {}", steps.join(", "))]
    NoStep {
        /// The job.
        job: JobId,
        /// As it was asked for.
        step: String,
        /// What there is.
        steps: Vec<String>,
    },
    /// Caches have no place.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// A job has no such service.
    #[error("job {job} has no service `{service}`")]
    NoService {
        /// The job.
        job: JobId,
        /// As it was asked for.
        service: String,
        /// What there is.
        services: Vec<String>,
    },
    /// Artifacts have no place.
    #[error(transparent)]
    Artifact(#[from] ArtifactError),
    /// There is no such artifact.
    #[error("job {job} has no artifact `{name}`")]
    NoArtifact {
        /// The job.
        job: JobId,
        /// As it was asked for.
        name: String,
        /// What there is.
        names: Vec<String>,
    },
    /// The artifact was kept for as long as it was to be.
    #[error("artifact `{name}` of job {job} has expired")]
    ExpiredArtifact {
        /// The job.
        job: JobId,
        /// Its name.
        name: String,
    },
    /// What came is not what was kept.
    #[error("artifact `{name}` is damaged: its checksum is {found}, and {expected} was kept")]
    DamagedArtifact {
        /// Its name.
        name: String,
        /// As the job's agent has computed it.
        expected: String,
        /// Of what came.
        found: String,
    },
    /// The plan cannot be run.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The compiler made a plan that cannot be laid out, which is a bug.
    #[error("the plan is not sound: {0}")]
    Schedule(#[from] ScheduleError),
    /// A plan cannot be written in a format, which is a bug.
    #[error("failed to write the plan: {0}")]
    Write(String),
    /// The server's configuration file cannot be used.
    #[error(transparent)]
    ServerSettings(#[from] super::server::SettingsError),
    /// `SLIPWAY_LOG` is not a filter.
    #[error(transparent)]
    Log(#[from] crate::tracing_output::InvalidFilter),
    /// A setting of the server makes no sense.
    #[error(transparent)]
    ServerConfig(#[from] server::ConfigError),
    /// A server does not start, or ended by itself.
    #[error(transparent)]
    Server(#[from] server::ServerError),
    /// Standard output, a thread or a signal handler cannot be had.
    #[error("failed to {operation}: {source}")]
    Start {
        /// What was tried.
        operation: &'static str,
        /// Why it failed.
        source: io::Error,
    },
}

/// For `map_err`: what was tried when the machine failed.
pub(super) fn starting(operation: &'static str) -> impl FnOnce(io::Error) -> CommandError {
    move |source| CommandError::Start { operation, source }
}

impl CommandError {
    /// The exit code for this kind of error.
    #[must_use]
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Find(_)
            | Self::Override(_)
            | Self::Selection(_)
            | Self::Publication(_)
            | Self::Config(_)
            | Self::Secret(_)
            | Self::Network(_)
            | Self::NotMasked(_)
            | Self::ArchiveToTerminal
            | Self::ArchiveFromTerminal
            | Self::NoRegistry(_)
            | Self::NoUser
            | Self::NoPassword
            | Self::TypedSecret
            | Self::ServerSettings(_)
            | Self::Log(_)
            | Self::ServerConfig(_)
            | Self::NoDataDirectory(_) => ExitCode::Usage,
            Self::Server(error) => super::server::exit_code(error),
            Self::NoArtifact { .. }
            | Self::ExpiredArtifact { .. }
            | Self::DamagedArtifact { .. } => ExitCode::Failed,
            Self::NoImage(FindImageError::Missing(_) | FindImageError::Ambiguous { .. })
            | Self::SeveralNames { .. }
            | Self::UnnamedImage(_)
            | Self::Save(
                SaveError::Incomplete(_) | SaveError::Layer { .. } | SaveError::Damaged { .. },
            ) => ExitCode::Failed,
            Self::Registry(error) => match error {
                registry::Error::Unavailable { .. } => ExitCode::Unavailable,
                registry::Error::Mirror { .. }
                | registry::Error::Registry(_)
                | registry::Error::Credentials(_) => ExitCode::Usage,
                registry::Error::Authorities(_) | registry::Error::Setup(_) => ExitCode::Internal,
                _ => ExitCode::Failed,
            },
            Self::Credentials(registry::CredentialsError::User) => ExitCode::Usage,
            Self::Credentials(_)
            | Self::Store(_)
            | Self::NoImage(FindImageError::Store(_))
            | Self::Save(SaveError::Write(_) | SaveError::Store(_))
            | Self::Unwritten { .. } => ExitCode::Internal,
            Self::Unread { .. }
            | Self::NoAttempt { .. }
            | Self::NoStep { .. }
            | Self::NoService { .. }
            | Self::Label(_)
            | Self::Connection(
                ConnectionError::NoServer
                | ConnectionError::Url(_)
                | ConnectionError::Token
                | ConnectionError::TokenFile { .. },
            )
            | Self::Daemon(
                DaemonError::Busy(_) | DaemonError::Identity(IdentityError::NoToken(_)),
            ) => ExitCode::Usage,
            Self::Connection(ConnectionError::Call(error))
            | Self::Daemon(
                DaemonError::Refused(error)
                | DaemonError::Identity(
                    IdentityError::Register(error) | IdentityError::Describe(error),
                ),
            ) => of_call(error),
            Self::Daemon(DaemonError::Host(_)) => ExitCode::HostUnsupported,
            Self::Daemon(
                DaemonError::Machine { .. } | DaemonError::Identity(IdentityError::File { .. }),
            ) => ExitCode::Internal,
            Self::Input(InputError::NoJob | InputError::Parse(_)) => ExitCode::Usage,
            Self::DataDirectory(_)
            | Self::Input(InputError::Read(_))
            | Self::Spool(_)
            | Self::RunDirectory(_)
            | Self::Connect(ConnectError::Spawn(_) | ConnectError::Store(_))
            | Self::Schedule(_)
            | Self::Plan(PlanError::Schedule(_))
            | Self::Write(_)
            | Self::Artifact(_)
            | Self::Cache(_)
            | Self::Start { .. } => ExitCode::Internal,
            Self::Door(error) => error.exit_code(),
            // As other OCI runtimes.
            Self::Oci(_) => ExitCode::Failed,
            Self::Image(error) => match error.kind {
                ImageErrorKind::InvalidReference => ExitCode::Usage,
                ImageErrorKind::NotFound
                | ImageErrorKind::Unauthorized
                | ImageErrorKind::Damaged
                | ImageErrorKind::Unsupported
                | ImageErrorKind::NotBuilt => ExitCode::Failed,
                ImageErrorKind::Unavailable | ImageErrorKind::Corrupt => ExitCode::Unavailable,
                ImageErrorKind::Internal => ExitCode::Internal,
            },
            Self::Plan(PlanError::Unsupported(_)) => ExitCode::InvalidPipeline,
            Self::Connect(ConnectError::Host(_)) => ExitCode::HostUnsupported,
        }
    }

    /// What to do about it, where that is known and the message does not say it.
    #[must_use]
    pub fn hints(&self) -> Vec<String> {
        match self {
            Self::Connect(error) => error.hints(),
            Self::Door(error) => error.hints(),
            Self::Oci(error) => error.hints(),
            Self::Find(FindError::Missing { .. }) => vec![
                "a first pipeline is three lines: `image: host`, `steps:`, `  - run: echo hello`"
                    .to_owned(),
            ],
            Self::Secret(SecretError::Missing { name, .. }) => vec![format!(
                "set the variable {name} and give `--secret {name}`, or put `{name}=..` into a file for `--secret-file`"
            )],
            Self::Publication(error) => publishing(error),
            Self::Network(_) => vec![ALLOW_HOST.to_owned()],
            Self::NoImage(FindImageError::Missing(_)) => vec![
                "`agent images` lists what is here, `agent pull` fetches".to_owned(),
            ],
            Self::NoImage(FindImageError::Ambiguous { .. }) => {
                vec!["give more of the id, or a name".to_owned()]
            }
            Self::Save(
                SaveError::Incomplete(_) | SaveError::Layer { .. } | SaveError::Damaged { .. },
            ) => vec![
                "`agent image verify --repair` removes what is damaged, and `agent pull` fetches it anew"
                    .to_owned(),
            ],
            Self::UnnamedImage(_) => vec!["give it one with `--tag NAME`".to_owned()],
            Self::ArchiveFromTerminal => vec!["give `--input FILE`, or redirect it".to_owned()],
            Self::ArchiveToTerminal => vec!["give `--output FILE`, or redirect it".to_owned()],
            Self::SeveralNames { .. } => {
                vec!["name one of them, or give `--force` for all".to_owned()]
            }
            Self::Connection(ConnectionError::NoServer) => vec![
                "name it with --server or SLIPWAY_SERVER, or in the configuration".to_owned(),
            ],
            Self::Daemon(DaemonError::Identity(IdentityError::Register(error)))
                if matches!(error.code(), Some(ProblemCode::Unauthorized | ProblemCode::Forbidden)) =>
            {
                vec![
                    "give a registration token that counts with --token, SLIPWAY_TOKEN or --token-file; `agent tokens create NAME --registration` makes one"
                        .to_owned(),
                ]
            }
            Self::Connection(ConnectionError::Call(error))
            | Self::Daemon(
                DaemonError::Refused(error)
                | DaemonError::Identity(
                    IdentityError::Register(error) | IdentityError::Describe(error),
                ),
            ) => error.hint().into_iter().collect(),
            Self::Daemon(DaemonError::Identity(IdentityError::NoToken(_))) => vec![
                "give one with --token, SLIPWAY_TOKEN or --token-file; `agent tokens create NAME --registration` makes one"
                    .to_owned(),
            ],
            Self::NoAttempt { attempts, .. } => vec![match attempts.as_slice() {
                [] => "no agent has taken it on yet".to_owned(),
                attempts => {
                    let attempts = attempts.iter().map(u32::to_string);
                    format!("its attempts are {}", attempts.collect::<Vec<_>>().join(", "))
                }
            }],
            Self::NoService { services, .. } => vec![match services.as_slice() {
                [] => "it has none".to_owned(),
                services => format!("it has `{}`", services.join("`, `")),
            }],
            Self::NoArtifact { names, .. } => vec![match names.as_slice() {
                [] => "it has none; `agent jobs JOB` says how it ended".to_owned(),
                names => format!("it has `{}`", names.join("`, `")),
            }],
            Self::DamagedArtifact { .. } => {
                vec!["nothing of it is kept here; fetch it again".to_owned()]
            }
            Self::TypedSecret => vec![
                "give it by a pipe or a file: `agent secrets set NAME < FILE`".to_owned(),
            ],
            Self::NoPassword => vec![
                "give it on standard input with `--password-stdin`, or call from a terminal".to_owned(),
            ],
            Self::NoRegistry(_) => vec!["it is written `host` or `host:port`".to_owned()],
            _ => Vec::new(),
        }
    }
}

/// What to do about a port that cannot be published as it was asked for.
fn publishing(error: &PublicationError) -> Vec<String> {
    let hint = match error {
        PublicationError::Malformed { .. } => {
            "it is written `[SERVICE:][[ADDRESS:]PORT:]PORT[/udp]`, such as `db:5432:5432`"
        }
        PublicationError::Unsaid { .. } => "write its name in front, such as `db:5432:5432`",
        PublicationError::Ambiguous { .. } => {
            "choose one with `--job`, or a cell of a matrix with `--matrix`"
        }
        PublicationError::NoServices { .. }
        | PublicationError::NoService { .. }
        | PublicationError::Twice { .. } => return Vec::new(),
    };
    vec![hint.to_owned()]
}

/// The exit code for a call to a server that failed.
const fn of_call(error: &CallError) -> ExitCode {
    match error {
        CallError::Unreachable { .. } | CallError::Foreign { .. } | CallError::Lasting { .. } => {
            ExitCode::Unavailable
        }
        CallError::Refused { status: 500.., .. } => ExitCode::Unavailable,
        CallError::Refused {
            status: 401 | 403 | 400,
            ..
        } => ExitCode::Usage,
        CallError::Refused { .. } => ExitCode::Failed,
        CallError::Authorities(_) | CallError::Setup(_) => ExitCode::Internal,
    }
}
