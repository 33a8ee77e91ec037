//! The zygote: one single-threaded process, in the user namespace all containers share, that starts them.
//!
//! ```text
//! agent                                     zygote (PID 1 of a PID namespace of its own)
//!   Zygote::spawn ---clone3---------------> maps, mount namespace, exec of itself from a read-only mount, stage
//!   Zygote::start ---request + fds--------> clone3 of all namespaces ---> container::init
//!   (cgroup v1: to a helper of the zygote, already in the group)
//!   Zygote::hold / release / work --------> mounts held for jobs; workers forked for unpacking and removing
//! ```
//!
//! Kernel lifetimes stand where clean-up code would: the zygote dies with the agent (its death signal, and the end of
//! its socket), its PID namespace dies with it and so does every container, and all mounts live in its mount namespace. A
//! zygote [beside](Origin) its agent has no PID namespace of its own: then each container ends by itself when it sees the
//! end of the agent's socket.
//!
//! It executes the agent's own binary again from a read-only mount, so that nothing in a container can ever write to
//! that binary through `/proc/PID/exe` (CVE-2019-5736), and starts with little memory to copy.

mod asked;
mod cgroups;
mod client;
mod collect;
mod entry;
mod error;
mod execute;
mod helpers;
mod hold;
mod instance;
mod launch;
mod layers;
mod request;
mod server;
mod spawn;
mod start;
mod task;
mod tasks;
pub(crate) mod wire;
mod work;

pub use crate::cgroup::GroupError;
pub use client::Zygote;
pub use entry::run_if_zygote;
pub use error::SpawnError;
pub use hold::{Hold, HoldError};
pub(crate) use launch::too_low;
pub use request::RequestError;
pub(crate) use request::memory_file;
pub use spawn::{Origin, directory};
pub use wire::{HeldSource, Job};
