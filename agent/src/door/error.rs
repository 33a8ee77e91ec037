use std::io;
use std::path::{Path, PathBuf};

use runtime::container::{ExitStatus, StartError, WaitError};
use runtime::network::{PodError, PublishError};
use runtime::zygote::{HoldError, RequestError};

use super::environment::EnvironmentError;
use super::volume::VolumeError;
use super::{Ending, Name, NameError};
use crate::backend::{ConnectError, ImageError};
use crate::chain::chain;
use crate::exit_code::ExitCode;
use crate::networks::ALLOW_HOST;
use crate::system_error::SystemError;

/// Why something could not be done with a container.
#[derive(Debug, thiserror::Error)]
pub enum DoorError {
    /// `--env` or `--env-file`.
    #[error(transparent)]
    Environment(#[from] EnvironmentError),
    /// `--volume` or `--tmpfs`.
    #[error(transparent)]
    Volume(#[from] VolumeError),
    /// Another option.
    #[error("{option} {text:?}: {problem}")]
    Option {
        /// Its name.
        option: &'static str,
        /// Its value.
        text: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The image has no command, and none was given.
    #[error(
        "the image `{image}` has neither an entrypoint nor a command: say behind it what to run"
    )]
    NoCommand {
        /// As written.
        image: String,
    },
    /// The machine's configuration does not let containers use its network.
    #[error("`--network host` is not allowed here")]
    HostNetwork,
    /// There is no private network.
    #[error("failed to make the private network: {}", chain(.0))]
    Network(#[from] PodError),
    /// A port cannot be published.
    #[error("failed to publish a port: {}", chain(.0))]
    Publish(#[from] PublishError),
    /// There is no zygote.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The image cannot be had.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// There is nothing to mount.
    #[error("failed to mount the volume {}: {source}", path.display())]
    NoVolume {
        /// On this machine.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A volume cannot be mounted.
    #[error("failed to mount the volume {}: {}", path.display(), chain(source))]
    Hold {
        /// On this machine.
        path: PathBuf,
        /// Why.
        source: HoldError,
    },
    /// The container could not be started.
    #[error("failed to start the container: {}", chain(.0))]
    Start(#[source] RequestError),
    /// A process could not be started in a running container.
    #[error("failed to start the process: {}", chain(.0))]
    Exec(#[source] RequestError),
    /// A container's name is none.
    #[error("--name {0}")]
    Name(#[from] NameError),
    /// Somebody else has it.
    #[error("there is a container called {name} already")]
    NameTaken {
        /// The name.
        name: Name,
    },
    /// There is none of that name.
    #[error("there is no container called {name:?}")]
    NoSuchContainer {
        /// As written.
        name: String,
    },
    /// It could be several.
    #[error("several containers have names that begin with {text}")]
    Ambiguous {
        /// As written.
        text: String,
    },
    /// It is over, or not yet that far.
    #[error("the container {name} is not running")]
    NotRunning {
        /// Which.
        name: Name,
    },
    /// It is not over.
    #[error("the container {name} is running")]
    Running {
        /// Which.
        name: Name,
    },
    /// Its supervisor was killed: nobody knows how its command ended.
    #[error("the container {name} died with its supervisor")]
    Dead {
        /// Which.
        name: Name,
    },
    /// A detached container's supervisor ended without a word.
    #[error("the container's supervisor was killed before the command ran")]
    SupervisorGone,
    /// Somebody wanted it to end before its command ran.
    #[error("interrupted by signal {number} before the command ran")]
    Interrupted {
        /// The signal.
        number: i32,
    },
    /// Keys are to be passed on, and there are none.
    #[error("standard input is no terminal, so that no keys can be passed on")]
    NoTerminal,
    /// Whoever reads our output does not read on.
    #[error("standard output was closed")]
    SeenEnough,
    /// The container's end could not be learnt.
    #[error("failed to {}", chain(.0))]
    Wait(#[from] WaitError),
    /// Something of the machine.
    #[error(transparent)]
    System(#[from] SystemError),
}

impl DoorError {
    /// For `map_err`: what was tried when the machine failed.
    pub(crate) fn system<E: Into<io::Error>>(operation: &'static str) -> impl FnOnce(E) -> Self {
        move |source| SystemError::during(operation)(source).into()
    }

    /// The same with a path of the agent's own.
    pub(super) fn disk(
        operation: &'static str,
        path: &Path,
    ) -> impl FnOnce(io::Error) -> Self + use<> {
        let told = SystemError::at(operation, path);
        |source| told(source).into()
    }

    /// How a command ended that could not be run because of this.
    #[must_use]
    pub fn ending(&self) -> Ending {
        match self {
            Self::Start(RequestError::Refused(error))
            | Self::Exec(RequestError::Refused(error)) => Ending::refused(error),
            Self::Interrupted { number } => Ending::Ran(ExitStatus::Signal(*number)),
            _ => Ending::Failed,
        }
    }

    /// The exit code for this kind of error.
    #[must_use]
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Environment(_)
            | Self::Volume(_)
            | Self::Option { .. }
            | Self::NoVolume { .. }
            | Self::Name(_)
            | Self::NameTaken { .. }
            | Self::NoSuchContainer { .. }
            | Self::Ambiguous { .. }
            | Self::NotRunning { .. }
            | Self::Running { .. }
            | Self::Dead { .. }
            | Self::NoTerminal
            | Self::HostNetwork
            | Self::Publish(PublishError::Taken { .. } | PublishError::Privileged { .. })
            | Self::NoCommand { .. } => ExitCode::Usage,
            Self::SeenEnough => ExitCode::Success,
            Self::Start(_) | Self::Exec(_) | Self::Interrupted { .. } => self.ending().into(),
            Self::Connect(_)
            | Self::Network(_)
            | Self::Publish(PublishError::Io { .. })
            | Self::Image(_)
            | Self::Hold { .. }
            | Self::SupervisorGone
            | Self::Wait(_)
            | Self::System(_) => ExitCode::Internal,
        }
    }

    /// What to do about it, where that is known and the message does not say it.
    #[must_use]
    pub fn hints(&self) -> Vec<String> {
        match self {
            Self::Connect(error) => error.hints(),
            Self::NameTaken { name } => {
                vec![format!(
                    "take another name, or remove it when it is over: agent rm {name}"
                )]
            }
            Self::Running { name } => {
                vec![format!(
                    "stop it first (agent stop {name}), or have it killed with -f"
                )]
            }
            Self::HostNetwork => vec![ALLOW_HOST.to_owned()],
            Self::NoTerminal => vec!["leave out -t".to_owned()],
            Self::Start(RequestError::Refused(StartError::UnmappedId { .. })) => {
                vec!["`agent doctor` says which ids this machine gives to containers".to_owned()]
            }
            Self::Start(RequestError::Refused(StartError::UpperOnOverlay)) => {
                vec!["name a directory on another file system with SLIPWAY_DATA".to_owned()]
            }
            _ => Vec::new(),
        }
    }
}
