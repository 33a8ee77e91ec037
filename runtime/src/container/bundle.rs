//! A root that somebody else has put together, and what is mounted on it (OCI runtime specification, `config.md` and
//! `config-linux.md`). It is said outright, mount by mount; what every container is protected by comes on top of it.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// A directory of the machine as a container's root.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bundle {
    /// The name under which the zygote holds it. Device nodes in it cannot be opened.
    pub root: String,
    /// Nothing can be written to it, and what is mounted on it is not part of it.
    pub read_only: bool,
    /// What becomes of mounts on all of it.
    pub propagation: Propagation,
    /// Mounted in this order.
    pub mounts: Vec<BundleMount>,
    /// Made in it, beside those that every container has.
    pub devices: Vec<Device>,
    /// Covered, beside what always is; absolute. What is not there need not be covered.
    pub masked: Vec<PathBuf>,
    /// Read-only, beside what always is; absolute.
    pub read_only_paths: Vec<PathBuf>,
    /// Parameters of the kernel for the container's own namespaces: a path below `/proc/sys`, and its value.
    pub sysctl: Vec<(PathBuf, String)>,
    /// The name in its UTS namespace beside the host's (setdomainname(2)); empty for none.
    pub domainname: String,
}

/// Something mounted on a bundle's root.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BundleMount {
    /// What it is.
    pub content: Content,
    /// What the container is told to be its source; empty for nothing. Of a file system without a device it means nothing.
    pub label: String,
    /// Absolute; made when it is missing. Links of the root on the way to it are followed inside of the root, except for the
    /// kernel's own file systems.
    pub target: PathBuf,
    /// What holds for it.
    pub attributes: Attributes,
    /// What holds for it and for everything mounted below it.
    pub below: Attributes,
    /// What becomes of mounts on it.
    pub propagation: Option<Propagation>,
    /// The same for everything mounted below it.
    pub propagation_below: bool,
}

/// What is mounted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Content {
    /// The processes of the container.
    Proc,
    /// The machine's devices: read-only, and the machine's own mount where the network is not the container's.
    Sys,
    /// The container's message queues.
    Mqueue,
    /// Terminals of the container's own.
    Devpts {
        /// Of the file system, by name.
        options: Vec<(String, String)>,
    },
    /// Memory.
    Tmpfs {
        /// Of the file system, by name.
        options: Vec<(String, String)>,
    },
    /// Control groups: read-only.
    Cgroup,
    /// What the zygote holds under a name.
    Held {
        /// The name.
        name: String,
    },
}

/// What can be forbidden on a mount. Set-user-id bits are, on whatever is not the root, and devices everywhere but in
/// terminals.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attributes {
    /// Nothing can be written.
    pub read_only: bool,
    /// Nothing can be executed.
    pub no_exec: bool,
    /// Set-user-id bits have no effect.
    pub no_suid: bool,
    /// Symbolic links are not followed.
    pub no_symlinks: bool,
    /// Reading a directory is not noted in it.
    pub no_dir_access_time: bool,
    /// When reading a file is noted in it.
    pub access_time: Option<AccessTime>,
}

/// When reading a file is noted in it (mount(8)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AccessTime {
    /// `relatime`
    Relative,
    /// `noatime`
    Never,
    /// `strictatime`
    Strict,
}

/// What becomes of mounts on one copy of a mount in the others (mount_namespaces(7)).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Propagation {
    /// Nothing.
    #[default]
    Private,
    /// They appear in the copies that the container makes. What it was copied from itself sees none of them.
    Shared,
    /// Those of what it was copied from appear in it.
    Slave,
    /// Nothing, and it cannot be copied.
    Unbindable,
}

/// A device node, or a named pipe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Device {
    /// One of the machine's, at the same path: in a user namespace none can be made.
    OfMachine {
        /// Absolute.
        path: PathBuf,
    },
    /// A pipe of the container's.
    Fifo {
        /// Absolute.
        path: PathBuf,
        /// Permission bits.
        mode: u32,
        /// Its owner in the container.
        user: u32,
        /// Its group in the container.
        group: u32,
    },
}
