//! One container: what it is to be, and its life.
//!
//! ```text
//! ContainerSpec --Zygote::start--> Container --wait--> Exit
//!                      |               |
//!                  StartError     terminate, kill
//! ```
//!
//! Inside, `init` is the container's first process: it builds the root, forks the `step` that becomes the command,
//! reaps whatever is orphaned and reports. `handle` is the agent's end.

pub(crate) mod error;
mod handle;
pub(crate) mod init;
pub(crate) mod prepared;
mod spec;
mod step;
mod user;

pub use error::StartError;
pub use handle::{Container, WaitError};
pub use spec::{
    ContainerSpec, Exit, ExitStatus, File, Mount, MountSource, Network, Process, Rootfs, Usage,
    Writable,
};
