use std::path::PathBuf;

use runtime::container::Shared;
use runtime::namespace::Kind;

use super::Share;
use crate::oci::OciError;
use crate::oci::config::{Linux, NamespaceType};

/// Which namespaces a container has for itself, and which it shares.
#[derive(Debug)]
pub(super) struct Spaces {
    /// One of users is asked for. There is one in any case.
    pub(super) has_user: bool,
    pub(super) own_network: bool,
    pub(super) shared: Shared,
    pub(super) shares: Vec<Share>,
}

/// Those of a configuration. What it does not list, a container shares with the runtime; users, mounts and processes it
/// cannot share, since that is what keeps it from being the machine's.
pub(super) fn of(linux: &Linux) -> Result<Spaces, OciError> {
    let mut spaces = Spaces {
        has_user: false,
        own_network: false,
        shared: Shared {
            uts: true,
            ipc: true,
            cgroup: true,
        },
        shares: Vec::new(),
    };
    let (mut has_mount, mut has_pid) = (false, false);
    for (index, one) in linux.namespaces.iter().enumerate() {
        let field = format!("linux.namespaces[{index}]");
        let earlier = linux.namespaces.iter().take(index);
        if earlier.into_iter().any(|other| other.kind == one.kind) {
            return Err(OciError::field(field, "there is one of this type already"));
        }
        let own = one.path.is_empty();
        let kind = match one.kind {
            NamespaceType::Network => Kind::Network,
            NamespaceType::Uts => Kind::Uts,
            NamespaceType::Ipc => Kind::Ipc,
            NamespaceType::Cgroup => Kind::Cgroup,
            NamespaceType::Time => {
                return Err(OciError::field(
                    field,
                    "containers have the machine's clocks",
                ));
            }
            NamespaceType::Pid | NamespaceType::Mount | NamespaceType::User if !own => {
                return Err(OciError::field(
                    format!("{field}.path"),
                    "only namespaces of the types network, uts, ipc and cgroup can be joined",
                ));
            }
            NamespaceType::Pid => {
                has_pid = true;
                continue;
            }
            NamespaceType::Mount => {
                has_mount = true;
                continue;
            }
            NamespaceType::User => {
                spaces.has_user = true;
                continue;
            }
        };
        if own {
            match kind {
                Kind::Network => spaces.own_network = true,
                Kind::Uts => spaces.shared.uts = false,
                Kind::Ipc => spaces.shared.ipc = false,
                Kind::Cgroup => spaces.shared.cgroup = false,
            }
        } else {
            spaces.shares.push(Share {
                kind,
                path: PathBuf::from(&one.path),
                field: format!("{field}.path"),
            });
        }
    }
    for (has, name) in [(has_mount, "mount"), (has_pid, "pid")] {
        if !has {
            return Err(OciError::field(
                "linux.namespaces",
                format!("a container without a `{name}` namespace of its own is not offered"),
            ));
        }
    }
    Ok(spaces)
}
