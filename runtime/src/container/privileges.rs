//! What a process is and may do, said outright instead of following from the rules for every container (OCI runtime
//! specification, `config.md`, "Linux Process").

use rustix::process::{Resource, Rlimit, setrlimit};
use rustix::thread::CapabilitySet;
use serde::{Deserialize, Serialize};

use super::StartError;
use super::error::During;
use super::user::write_to_proc;
use crate::security::seccomp::Instruction;

/// Who a process is and what it may do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Privileges {
    /// Its user in the container.
    pub uid: u32,
    /// Its group in the container.
    pub gid: u32,
    /// Its further groups in the container.
    pub additional_gids: Vec<u32>,
    /// Permission bits that files it makes do not get.
    pub umask: u32,
    /// What it may do, within the user namespace of the containers.
    pub capabilities: Capabilities,
    /// Executing a program adds no privilege.
    pub no_new_privileges: bool,
    /// Set for it and what it starts.
    pub rlimits: Vec<ProcessLimit>,
    /// How soon the kernel ends it when memory is over, -1000 to 1000; the agent's own where this is missing.
    pub oom_score_adj: Option<i32>,
    /// A seccomp program that system calls have to pass beside the default profile for its bounding set.
    pub filter: Option<Vec<Instruction>>,
}

impl Privileges {
    /// In the process that becomes the command, as root.
    pub(super) fn hold_limits(&self) -> Result<(), StartError> {
        if let Some(score) = self.oom_score_adj {
            let file = "self/oom_score_adj";
            write_to_proc(file, &score.to_string()).during("set the OOM score (oom_score_adj)")?;
        }
        self.rlimits.iter().try_for_each(|limit| limit.hold())
    }
}

/// Sets of capabilities (capabilities(7)).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capabilities {
    /// What can be had at most.
    pub bounding: u64,
    /// What is in force.
    pub effective: u64,
    /// What can be put in force.
    pub permitted: u64,
    /// What a program may take over that has it in its file.
    pub inheritable: u64,
    /// What every program takes over.
    pub ambient: u64,
}

impl Capabilities {
    /// As the bits of the kernel.
    pub(crate) const fn set(bits: u64) -> CapabilitySet {
        CapabilitySet::from_bits_retain(bits)
    }
}

/// The bit of a capability by its name in capabilities(7), such as `CAP_CHOWN`, where this kernel may have it.
#[must_use]
pub fn capability(name: &str) -> Option<u64> {
    let name = name.strip_prefix("CAP_")?;
    let all = CapabilitySet::all();
    let found = all.iter_names().find(|(other, _)| *other == name);
    found.map(|(_, set)| set.bits())
}

/// One of setrlimit(2)'s limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessLimit {
    /// The kernel's number for it.
    kind: u32,
    /// What holds; `None` is no limit.
    soft: Option<u64>,
    /// Up to which it can be raised; `None` is no limit.
    hard: Option<u64>,
}

/// All of them, by name.
const KINDS: [(&str, Resource); 16] = [
    ("AS", Resource::As),
    ("CORE", Resource::Core),
    ("CPU", Resource::Cpu),
    ("DATA", Resource::Data),
    ("FSIZE", Resource::Fsize),
    ("LOCKS", Resource::Locks),
    ("MEMLOCK", Resource::Memlock),
    ("MSGQUEUE", Resource::Msgqueue),
    ("NICE", Resource::Nice),
    ("NOFILE", Resource::Nofile),
    ("NPROC", Resource::Nproc),
    ("RSS", Resource::Rss),
    ("RTPRIO", Resource::Rtprio),
    ("RTTIME", Resource::Rttime),
    ("SIGPENDING", Resource::Sigpending),
    ("STACK", Resource::Stack),
];

impl ProcessLimit {
    /// The limit of this name, such as `RLIMIT_NOFILE`, of which `u64::MAX` is no limit.
    #[must_use]
    pub fn named(name: &str, soft: u64, hard: u64) -> Option<Self> {
        let name = name.strip_prefix("RLIMIT_")?;
        let (kind, _) = (0..).zip(KINDS).find(|(_, (other, _))| *other == name)?;
        let limited = |value| (value != u64::MAX).then_some(value);
        Some(Self {
            kind,
            soft: limited(soft),
            hard: limited(hard),
        })
    }

    fn resource(self) -> Option<(&'static str, Resource)> {
        KINDS.get(usize::try_from(self.kind).ok()?).copied()
    }

    /// In the process that becomes the command.
    pub(super) fn hold(self) -> Result<(), StartError> {
        let Some((name, resource)) = self.resource() else {
            return Ok(());
        };
        let limit = Rlimit {
            current: self.soft,
            maximum: self.hard,
        };
        setrlimit(resource, limit).during(&format!("set the limit RLIMIT_{name}"))
    }

    /// Lets this process have as much as the limit says, where it may raise its own: what it starts in a user namespace
    /// may not.
    pub fn make_room(self) {
        let Some((_, resource)) = self.resource() else {
            return;
        };
        let own = rustix::process::getrlimit(resource);
        let is_more = match (self.hard, own.maximum) {
            (_, None) => false,
            (None, Some(_)) => true,
            (Some(wanted), Some(has)) => wanted > has,
        };
        if is_more {
            let more = Rlimit {
                maximum: self.hard,
                ..own
            };
            // Where it may not, the container's own attempt says so.
            let _ = setrlimit(resource, more);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_and_capabilities_have_the_kernels_names() {
        assert_eq!(capability("CAP_CHOWN"), Some(1));
        assert_eq!(capability("CAP_CHECKPOINT_RESTORE"), Some(1 << 40));
        for name in ["CHOWN", "CAP_", "CAP_TEST", "CAP_chown", ""] {
            assert_eq!(capability(name), None, "{name}");
        }
        for (name, _) in KINDS {
            assert!(ProcessLimit::named(&format!("RLIMIT_{name}"), 1, 2).is_some());
        }
        for name in ["NOFILE", "RLIMIT_", "RLIMIT_TEST"] {
            assert_eq!(ProcessLimit::named(name, 1, 2), None);
        }
    }
}
