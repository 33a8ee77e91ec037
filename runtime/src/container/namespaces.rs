use rustix::thread::ThreadNameSpaceType;
use serde::{Deserialize, Serialize};

use super::{ContainerSpec, Network};
use crate::sys::CloneFlags;

/// Namespaces that a container does not have for itself. Those of users, mounts and processes it always has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shared {
    /// It has the agent's host name.
    pub uts: bool,
    /// It has the agent's System V IPC and message queues.
    pub ipc: bool,
    /// It sees control groups as the agent does.
    pub cgroup: bool,
}

/// What it takes to make a container's namespaces, and to join them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Namespaces {
    network: Network,
    shared: Shared,
}

impl Namespaces {
    pub(crate) fn of(spec: &ContainerSpec) -> Self {
        Self {
            network: spec.network,
            shared: spec.shared,
        }
    }

    /// Whether its network namespace is one that it is given.
    pub(crate) const fn has_place(self) -> bool {
        matches!(self.network, Network::Pod)
    }

    /// For the clone that makes them.
    pub(crate) const fn to_clone(self) -> CloneFlags {
        CloneFlags::NEWNS
            .and(CloneFlags::NEWPID)
            .and(CloneFlags::NEWNET.when(matches!(self.network, Network::None)))
            .and(CloneFlags::NEWUTS.when(!self.shared.uts))
            .and(CloneFlags::NEWIPC.when(!self.shared.ipc))
            .and(CloneFlags::NEWCGROUP.when(!self.shared.cgroup))
    }

    /// For setns(2). What is shared is the zygote's as well, and may not be entered.
    pub(crate) fn to_join(self) -> ThreadNameSpaceType {
        type Kinds = ThreadNameSpaceType;
        let mut kinds = Kinds::MOUNT | Kinds::PROCESS_ID;
        kinds.set(Kinds::NETWORK, self.network != Network::Host);
        kinds.set(Kinds::HOST_NAME_AND_NIS_DOMAIN_NAME, !self.shared.uts);
        kinds.set(Kinds::INTER_PROCESS_COMMUNICATION, !self.shared.ipc);
        kinds.set(Kinds::CONTROL_GROUP, !self.shared.cgroup);
        kinds
    }
}
