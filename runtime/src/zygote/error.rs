use std::io;
use std::path::PathBuf;

use crate::container::StartError;
use crate::doctor::{self, State};
use crate::userns::{DetectError, IdMap, InstallError};

/// Why there is no zygote.
#[derive(Debug, thiserror::Error)]
pub enum SpawnError {
    /// `Zygote::spawn` was called too late.
    #[error("prove that no other thread runs")]
    Threads {
        /// Why.
        source: io::Error,
    },
    /// The caller's ids could not be read.
    #[error(transparent)]
    Ids(#[from] DetectError),
    /// The data directory cannot be used.
    #[error("{operation} {path}")]
    DataDirectory {
        /// `make`, `own`, ..
        operation: &'static str,
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A socket, a process.
    #[error("{operation}")]
    System {
        /// What was being done.
        operation: &'static str,
        /// Why.
        source: io::Error,
    },
    /// The kernel gives this user no user namespace.
    #[error("make a user namespace")]
    UserNamespace {
        /// Why: `EPERM`, `ENOSPC` at `max_user_namespaces`, `EUSERS`.
        source: io::Error,
    },
    /// The namespace got no ids.
    #[error(transparent)]
    Map(#[from] InstallError),
    /// Something inside the namespace failed.
    #[error("prepare the namespaces: {source}")]
    Inside {
        /// What.
        source: StartError,
    },
}

impl SpawnError {
    /// Whether it is the host that cannot run containers; else the data directory or the agent is at fault.
    #[must_use]
    pub const fn is_the_hosts(&self) -> bool {
        matches!(
            self,
            Self::UserNamespace { .. } | Self::Map(_) | Self::Inside { .. }
        )
    }

    /// What a user can do about it, in the order in which it is worth trying.
    #[must_use]
    pub fn hints(&self) -> Vec<String> {
        match self {
            Self::DataDirectory { .. } => {
                vec!["name another directory with SLIPWAY_DATA".to_owned()]
            }
            Self::Map(InstallError::Helper { program, .. }) => vec![format!(
                "{program} must be set-user-id root, and your lines in /etc/subuid and /etc/subgid must not overlap \
                 another user's; without any line you get one id, which is enough for most images"
            )],
            Self::Inside {
                source: StartError::System { operation, .. },
            } if operation.contains("proc") => vec![
                "an outer container hides parts of /proc: start it with them visible (podman and docker: \
                 --security-opt unmask=ALL, --security-opt systempaths=unconfined)"
                    .to_owned(),
            ],
            Self::UserNamespace { .. } | Self::Map(_) | Self::Inside { .. } => missing(),
            Self::Threads { .. } | Self::Ids(_) | Self::System { .. } => Vec::new(),
        }
    }
}

/// What the doctor finds missing on this machine.
fn missing() -> Vec<String> {
    doctor::examine(&IdMap::single(0, 0))
        .into_iter()
        .filter(|check| check.state == State::Missing)
        .map(|check| {
            let fix = check.fix.unwrap_or_default();
            format!("{}: {}; {fix}", check.name, check.found)
        })
        .chain(["`agent doctor` looks at everything containers need".to_owned()])
        .collect()
}
