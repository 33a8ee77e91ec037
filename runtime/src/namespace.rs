//! Namespaces that are there already, for containers that share them: this process enters one, and what it starts from then
//! on is in it (setns(2)).

use std::io;
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::os::fd::AsFd as _;

/// Which kind of namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Network devices, addresses, ports.
    Network,
    /// The host name.
    Uts,
    /// System V IPC and message queues.
    Ipc,
    /// The view of control groups.
    Cgroup,
}

/// Gives names to the `uts` namespace this process is in; an empty one is left as it is.
///
/// # Errors
/// `PermissionDenied` without CAP_SYS_ADMIN over it.
pub fn name(host: &str, domain: &str) -> io::Result<()> {
    if !host.is_empty() {
        rustix::system::sethostname(host.as_bytes())?;
    }
    if !domain.is_empty() {
        rustix::system::setdomainname(domain.as_bytes())?;
    }
    Ok(())
}

/// Enters the namespace that a file such as `/proc/PID/ns/net` stands for. To be called on the process's only thread.
///
/// # Errors
/// `InvalidInput` when it is of another kind, or the file is none of the kernel's; `PermissionDenied` without CAP_SYS_ADMIN over
/// it.
pub fn enter(path: &Path, kind: Kind) -> io::Result<()> {
    // Opening another file could do something, and a pipe would wait for somebody to open its other end.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = rustix::fs::open(path, flags, Mode::empty())?;
    let kind = match kind {
        Kind::Network => LinkNameSpaceType::Network,
        Kind::Uts => LinkNameSpaceType::HostNameAndNISDomainName,
        Kind::Ipc => LinkNameSpaceType::InterProcessCommunication,
        Kind::Cgroup => LinkNameSpaceType::ControlGroup,
    };
    Ok(move_into_link_name_space(file.as_fd(), Some(kind))?)
}
