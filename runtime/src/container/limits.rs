//! Limits that need no control group: those of each process (getrlimit(2)), and of a PID namespace.

use std::fs;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde::{Deserialize, Serialize};

use super::error::During;
use super::{Enforcement, Means, Resources, StartError};

/// Ids below this are given out once only (`RESERVED_PIDS` of the kernel), so a namespace needs them beside the others.
const RESERVED: u64 = 300;
/// The kernel's own most (`PID_MAX_LIMIT`).
const MOST_PIDS: u64 = 4 << 20;
/// Ids of ours in a container's PID namespace: its first process.
const OF_OURS: u64 = 1;

/// What a container is held to from inside.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct OwnLimits {
    /// Open files of each process.
    nofile: Option<u64>,
    /// Private memory of each process, bytes: what a container that is watched gets between two looks.
    data: Option<u64>,
    /// Processes and threads of the container, by its PID namespace.
    pids: Option<u64>,
    /// Processes and threads of all containers, by the user they share.
    nproc: Option<u64>,
}

impl OwnLimits {
    /// What is left to be held from inside.
    pub(crate) fn of(resources: &Resources, enforcement: &Enforcement) -> Self {
        let if_by = |means, held, limit: Option<u64>| limit.filter(|_| means == held);
        let Enforcement { memory, pids, .. } = *enforcement;
        Self {
            nofile: resources.nofile,
            data: if_by(Means::Watch, memory, resources.memory).map(beyond),
            pids: if_by(Means::PidNamespace, pids, resources.pids),
            nproc: if_by(Means::ProcessLimit, pids, resources.pids),
        }
    }

    /// The limit of processes that is held from inside.
    pub(super) fn pids(&self) -> Option<u64> {
        self.pids.or(self.nproc)
    }

    /// In the container's first process, before its root is made.
    pub(super) fn hold_namespace(&self) -> Result<(), StartError> {
        let Some(count) = self.pids else {
            return Ok(());
        };
        let most = count.saturating_add(RESERVED + OF_OURS).min(MOST_PIDS);
        fs::write("/proc/sys/kernel/pid_max", most.to_string()).during("limit process ids")
    }

    /// In the process that becomes the command.
    pub(super) fn hold_process(&self) -> Result<(), StartError> {
        lower(Resource::Nofile, self.nofile, "limit open files")?;
        lower(Resource::Data, self.data, "limit memory")?;
        lower(Resource::Nproc, self.nproc, "limit processes")
    }
}

/// What no process gets, however fast it is, of a limit that is watched. Well beyond it: what a process only reserves, as many
/// runtimes of languages do, counts here and not there.
fn beyond(limit: u64) -> u64 {
    const AT_LEAST: u64 = 1 << 30;
    limit.saturating_add(limit.max(AT_LEAST))
}

/// Lowers a limit of this process and of everything it will start. A hard limit of the agent's own is never passed.
fn lower(resource: Resource, limit: Option<u64>, operation: &str) -> Result<(), StartError> {
    let Some(limit) = limit else {
        return Ok(());
    };
    let limit = getrlimit(resource)
        .maximum
        .map_or(limit, |hard| hard.min(limit));
    let both = Rlimit {
        current: Some(limit),
        maximum: Some(limit),
    };
    setrlimit(resource, both).during(operation)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Resources = Resources {
        cpus: Some(1000),
        memory: Some(1 << 30),
        pids: Some(100),
        disk: Some(1),
        nofile: Some(64),
    };

    #[test]
    fn what_a_control_group_holds_is_not_held_twice() {
        let held = OwnLimits::of(
            &ALL,
            &Enforcement {
                cpus: Means::ControlGroup,
                memory: Means::ControlGroup,
                pids: Means::ControlGroup,
            },
        );
        let expected = OwnLimits {
            nofile: Some(64),
            ..OwnLimits::default()
        };
        assert_eq!(held, expected);
    }

    #[test]
    fn without_control_groups_a_namespace_or_each_process_is_held() {
        let with = |pids| {
            OwnLimits::of(
                &ALL,
                &Enforcement {
                    cpus: Means::Nothing,
                    memory: Means::Watch,
                    pids,
                },
            )
        };
        let new = with(Means::PidNamespace);
        assert_eq!(
            (new.data, new.pids, new.nproc),
            (Some(2 << 30), Some(100), None)
        );
        let old = with(Means::ProcessLimit);
        assert_eq!((old.pids, old.nproc), (None, Some(100)));
        assert_eq!(old.pids(), Some(100));
    }
}
