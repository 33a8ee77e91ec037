//! The agent's side of the zygote's birth: synchronous, before any other thread exists.

use std::os::fd::AsFd;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::AtomicU64;

use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

use super::Zygote;
use super::cgroups::Cgroups;
use super::entry::{self, Kinship};
use super::error::SpawnError;
use super::instance::Instance;
use super::wire::Reply;
use crate::container::StartError;
use crate::message::{receive, send};
use crate::sys::{CloneFlags, Cloned, SingleThreaded, clone3_into};
use crate::userns::{self, IdMap};

/// Where a zygote comes from, if not from where every agent's does.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origin {
    /// The ids of its containers, instead of those that this machine gives them.
    pub map: Option<IdMap>,
    /// It and its containers' first processes are children of this process's parent, as this process is, and in its PID
    /// namespace: whoever called can wait for a container as for a child. The kernel does not end it with this process then:
    /// it ends, and so does each container, when it sees this process's sockets closed.
    pub beside: bool,
}

impl Zygote {
    /// Starts the zygote over `data`, the agent's data directory, which must exist. To be called before any other
    /// thread exists, and so before any async runtime.
    ///
    /// # Errors
    /// See [`SpawnError`].
    pub fn spawn(data: &Path) -> Result<Self, SpawnError> {
        Self::spawn_from(data, Origin::default())
    }

    /// The same from somewhere else.
    ///
    /// # Errors
    /// See [`SpawnError`].
    pub fn spawn_from(data: &Path, origin: Origin) -> Result<Self, SpawnError> {
        let proof = SingleThreaded::prove().map_err(|source| SpawnError::Threads { source })?;
        let map = origin.map.map_or_else(userns::detect, Ok)?;
        let (kinship, family) = if origin.beside {
            (Kinship::Sibling, CloneFlags::PARENT)
        } else {
            (Kinship::Child, CloneFlags::NEWPID)
        };
        let directory = prepare_directory(data, &map)?;
        let (instance, stale) =
            Instance::create(&directory, map.root_outside()).map_err(|(path, source)| {
                SpawnError::DataDirectory {
                    operation: "prepare",
                    path,
                    source,
                }
            })?;
        let system = |operation| {
            move |source: rustix::io::Errno| SpawnError::System {
                operation,
                source: source.into(),
            }
        };
        let system_io =
            |operation| move |source: std::io::Error| SpawnError::System { operation, source };
        let (socket, inner) = socketpair(
            AddressFamily::UNIX,
            SocketType::SEQPACKET,
            SocketFlags::CLOEXEC,
            None,
        )
        .map_err(system("make the zygote's socket"))?;
        let cgroups = Cgroups::prepare(&proof, map.root_outside());
        let leaf = cgroups.leaf().map_err(|source| SpawnError::System {
            operation: "open the zygote's control group",
            source,
        })?;
        let flags = CloneFlags::NEWUSER.and(family);
        let leaf = leaf.as_ref().map(AsFd::as_fd);
        let (pid, process) = match clone3_into(&proof, flags, leaf) {
            Ok(Cloned::Child) => {
                drop(socket);
                let Err(error) = entry::before_exec(&inner, &directory, map.rung, kinship);
                let _ = send(&inner, &Reply::Failed(error), &[]);
                crate::sys::exit_now(1)
            }
            Ok(Cloned::Parent { pid, pidfd }) => (pid, pidfd),
            Err(source) => {
                return Err(SpawnError::UserNamespace {
                    source: source.into(),
                });
            }
        };
        drop(inner);
        userns::install(&map, pid)?;
        let user_namespace = std::fs::File::open(format!("/proc/{pid}/ns/user"))
            .map_err(|source| SpawnError::System {
                operation: "open the user namespace",
                source,
            })?
            .into();
        let gone = |reason: &str| SpawnError::Inside {
            source: StartError::ZygoteGone {
                reason: reason.to_owned(),
            },
        };
        send(&socket, &Mapped, &[]).map_err(|_| gone("it did not wait for its ids"))?;
        let cgroups = cgroups.settle();
        match receive::<Reply>(socket.as_fd()) {
            Ok(Some((Reply::Done(_), _))) => {
                rustix::io::ioctl_fionbio(&socket, true)
                    .map_err(system("make the zygote's socket non-blocking"))?;
                let (groups, keeper, enforcement) = cgroups
                    .start(&socket)
                    .map_err(system_io("start the control groups' thread"))?;
                Ok(Self {
                    socket,
                    process,
                    user_namespace,
                    map,
                    directory,
                    instance,
                    stale: Mutex::new(stale),
                    serial: AtomicU64::new(0),
                    groups,
                    _keeper: keeper,
                    enforcement,
                })
            }
            Ok(Some((Reply::Failed(source), _))) => Err(SpawnError::Inside { source }),
            Ok(other) => Err(gone(&format!("{other:?} instead of its readiness"))),
            Err(source) => Err(SpawnError::System {
                operation: "wait for the zygote",
                source,
            }),
        }
    }
}

/// Where layers are below `data`, the agent's data directory, as [`Zygote::directory`] says it, without starting anything.
///
/// # Errors
/// See [`SpawnError`].
pub fn directory(data: &Path) -> Result<PathBuf, SpawnError> {
    prepare_directory(data, &userns::detect()?)
}

/// Tells the child that its namespace has ids.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub(super) struct Mapped;

/// The part of the data directory that belongs to the namespace's ids: `rootfs/<map>/{layers,scratch,mnt}`.
fn prepare_directory(data: &Path, map: &IdMap) -> Result<PathBuf, SpawnError> {
    let failed = |operation, path: &Path| {
        let path = path.to_owned();
        move |source| SpawnError::DataDirectory {
            operation,
            path,
            source,
        }
    };
    let directory = data.join("rootfs").join(map.key());
    let mut private = std::fs::DirBuilder::new();
    private.mode(0o700).recursive(true);
    private
        .create(&directory)
        .map_err(failed("make", &directory))?;
    let (uid, gid) = map.root_outside();
    let mut all = vec![directory.clone()];
    for name in ["layers", "scratch", "mnt"] {
        let path = directory.join(name);
        private.create(&path).map_err(failed("make", &path))?;
        all.push(path);
    }
    for path in all {
        std::os::unix::fs::chown(&path, Some(uid), Some(gid)).map_err(failed("own", &path))?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700))
            .map_err(failed("restrict", &path))?;
    }
    directory
        .canonicalize()
        .map_err(failed("resolve", &directory))
}
