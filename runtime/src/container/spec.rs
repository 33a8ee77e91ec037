//! What a container is to be: data that the agent fills in and the zygote's child carries out.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Bundle, Privileges, Resources, Shared};

/// Everything a container is made of, except its descriptors.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerSpec {
    /// The name in its UTS namespace, at most 64 bytes (`sethostname(2)`); empty for the machine's.
    pub hostname: String,
    /// The root file system.
    pub rootfs: Rootfs,
    /// Mounted in this order after the root, before `files`; always without set-user-id bits and devices. Not on a bundle.
    pub mounts: Vec<Mount>,
    /// Written into the container's own upper layer; an existing file or symbolic link there is replaced.
    pub files: Vec<File>,
    /// Empty files that every user of the container can write; whoever starts it gets their descriptors, in this order.
    /// At most four.
    pub exchange: Vec<PathBuf>,
    /// What runs in it.
    pub process: Process,
    /// Which network it sees.
    pub network: Network,
    /// What it does not have for itself.
    #[serde(default)]
    pub shared: Shared,
    /// What it may use.
    pub resources: Resources,
}

/// What a container's root is made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rootfs {
    /// An image's layers.
    Layers(Layers),
    /// A directory of the machine.
    Bundle(Box<Bundle>),
}

impl Rootfs {
    /// Whether nothing can be written to it.
    #[must_use]
    pub fn is_read_only(&self) -> bool {
        match self {
            Self::Layers(layers) => layers.read_only,
            Self::Bundle(bundle) => bundle.read_only,
        }
    }
}

/// Read-only layers under a writable one that dies with the container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layers {
    /// Unpacked layers as the store names them (`layers/<diff id>`), the image's base first. Never empty.
    pub layers: Vec<String>,
    /// Where what is written goes.
    pub writable: Writable,
    /// Nothing can be written to it, and what is mounted on it is not part of it.
    pub read_only: bool,
}

/// Where a container keeps what it writes to its root, until it ends.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Writable {
    /// In memory, at most half of the machine's; the fastest, and gone with the container whatever happens. Kernels
    /// before 6.6 cannot keep an overlay's marks on a tmpfs: there it is the disk all the same.
    #[default]
    Memory,
    /// On the data directory's disk.
    Disk,
    /// The same, and it stays when the container has ended, until it is removed by this number
    /// ([`crate::zygote::Zygote::forget`]) or the agent ends.
    Kept(u64),
}

/// Something of the machine's or the job's that shows up in the container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mount {
    /// Where it comes from.
    pub source: MountSource,
    /// Absolute path in the container; made when it is missing, never followed through a symbolic link. A first component `~` is
    /// the home directory of the container's user.
    pub target: PathBuf,
    /// Nothing can be written through it.
    pub read_only: bool,
}

/// Where a mount comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum MountSource {
    /// Something the zygote holds for a job: a workspace, a directory of the machine.
    Held {
        /// The name it was given when it was opened.
        name: String,
    },
    /// A fresh tmpfs.
    Tmpfs {
        /// Upper bound in bytes.
        size: u64,
    },
}

/// A regular file to be made in the container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct File {
    /// Absolute path in the container.
    pub path: PathBuf,
    /// Its content.
    pub content: Vec<u8>,
    /// Permission bits.
    pub mode: u32,
}

/// The container's one command.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// The argument vector; a first element without `/` is looked up in the environment's `PATH`. Never empty.
    pub argv: Vec<String>,
    /// The whole environment. `HOME` is added from the image's `/etc/passwd` when it is missing.
    pub env: Vec<(String, String)>,
    /// Absolute; must exist unless `create_cwd`.
    pub cwd: PathBuf,
    /// Make `cwd` when it is missing, as the OCI image specification wants it for `WorkingDir`.
    pub create_cwd: bool,
    /// `user[:group]`, names or numbers, resolved in the image; `None` is root.
    pub user: Option<String>,
    /// It may make namespaces, and mounts in them: what an engine needs that runs containers inside this one. For a
    /// container's own command this also shows it a whole `/proc` and `/sys` (`rootfs::nesting`).
    #[serde(default)]
    pub nesting: bool,
    /// Who it is and what it may do, where that is said outright: `user` is of no account then.
    #[serde(default)]
    pub privileges: Option<Box<Privileges>>,
}

/// Which network a container sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Network {
    /// The machine's.
    Host,
    /// A namespace of its own with nothing but a loopback interface.
    None,
    /// A place in a private network, which it is given when it is started ([`crate::network::Interface`]).
    Pod,
}

/// How a container's command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit {
    /// Its status.
    pub status: ExitStatus,
    /// What it and all of its descendants consumed; `None` when they were killed together with the container's first
    /// process, and no control group has counted.
    pub usage: Option<Usage>,
    /// The limit that explains a failure, where one was reached.
    pub exceeded: Option<Exceeded>,
}

/// A limit of [`Resources`] that a container ran into.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Exceeded {
    /// Memory was over, the container's or the machine's, and the kernel killed something in it.
    Memory,
    /// It could not make another process or thread.
    Pids,
    /// What it writes its root to was full, when its command ended.
    Disk,
}

/// The command's status, as `wait(2)` tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExitStatus {
    /// It exited with this code.
    Code(u8),
    /// This signal killed it.
    Signal(i32),
}

impl ExitStatus {
    /// The number that a shell has for it: 128 and the signal's, for a signal.
    #[must_use]
    pub fn as_a_shell_says(self) -> u8 {
        match self {
            Self::Code(code) => code,
            Self::Signal(number) => 128_u8.saturating_add(u8::try_from(number).unwrap_or(0)),
        }
    }
}

/// Resources consumed, from `getrusage(2)` and, where there is one, the container's control group.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// In user mode.
    pub user: Duration,
    /// In the kernel.
    pub system: Duration,
    /// Of the largest process, bytes.
    pub max_rss: u64,
    /// The most memory at any time, bytes: of all processes together, with the files they have in memory.
    pub peak_memory: Option<u64>,
    /// The most processes and threads at any time.
    pub peak_pids: Option<u64>,
    /// Read from block devices, bytes.
    pub read: Option<u64>,
    /// Written to block devices, bytes.
    pub written: Option<u64>,
}
