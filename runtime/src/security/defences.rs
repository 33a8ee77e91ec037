//! The defences by name, so that a test can switch one off and see the attack succeed that it stops.
//!
//! In a program that is released every defence is on, by a constant: the compiler leaves nothing else of this. The
//! feature `weaken`, which only the tests' second binary is built with, lets the variable `SLIPWAY_WEAKEN` name
//! those to drop, separated by commas.

use std::ffi::CString;

/// Something that stands between a container and the machine.
///
/// What cannot be left out without building something else in its place, such as namespaces, has no name here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Defence {
    /// What a container reaches is held to its list.
    AllowLists,
    /// A command has eleven capabilities at most.
    Capabilities,
    /// What a process has inherited and does not need is closed.
    ClosedDescriptors,
    /// The machine's own files are shown as any other user sees them.
    HostFilesOfNobody,
    /// Links in the image are not followed while its root is put together.
    ImageLinks,
    /// A command is in a Landlock domain: out of it, it connects to no abstract socket and looks into no process.
    LandlockDomain,
    /// A working directory is not reached through the links of `/proc`.
    MagicLinks,
    /// The kernel's files that tell too much are covered.
    Masks,
    /// Nothing is mounted over the kernel's files.
    MountTargets,
    /// Neither the machine itself nor what clouds tell it is reached from a private network.
    NeverReached,
    /// Executing a program adds no privilege.
    NoNewPrivileges,
    /// Set-user-id bits have no effect on what is mounted into a container.
    NoSetUserId,
    /// What was opened to be mounted on is what is mounted on, whatever its path leads to by then.
    OpenedTargets,
    /// Terminals are the container's own.
    OwnTerminals,
    /// The kernel's files that concern the whole machine cannot be written.
    ReadOnlyPaths,
    /// Our program cannot be written by way of a process that runs it.
    ReadOnlyProgram,
    /// System calls are filtered.
    Seccomp,
    /// Keys of whoever started the agent stay with them.
    SessionKeyring,
    /// A process of ours cannot be looked into.
    Undumpable,
    /// Paths in a layer are resolved with the layer as the root.
    UnpackInRoot,
    /// A worker reaches the files it works on and no others.
    WorkerSandbox,
}

impl Defence {
    /// Whether it is to be set up.
    #[cfg(not(feature = "weaken"))]
    pub(crate) const fn is_on(self) -> bool {
        true
    }

    /// Whether it is to be set up: unless it is named in the environment.
    #[cfg(feature = "weaken")]
    pub(crate) fn is_on(self) -> bool {
        let dropped = std::env::var(VARIABLE).unwrap_or_default();
        !dropped.split(',').any(|name| name == format!("{self:?}"))
    }
}

/// Names the defences to drop.
#[cfg(feature = "weaken")]
const VARIABLE: &str = "SLIPWAY_WEAKEN";

/// The environment of the zygote: empty.
#[cfg(not(feature = "weaken"))]
pub(crate) const fn environment() -> [CString; 0] {
    []
}

/// The environment of the zygote: the defences to drop.
#[cfg(feature = "weaken")]
pub(crate) fn environment() -> [CString; 1] {
    let dropped = std::env::var(VARIABLE).unwrap_or_default();
    [CString::new(format!("{VARIABLE}={dropped}")).unwrap_or_default()]
}
