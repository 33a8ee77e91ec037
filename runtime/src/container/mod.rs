//! One container: what it is to be, and its life.
//!
//! ```text
//! ContainerSpec --Zygote::start--> Container --wait--> Exit
//!      |               |               |
//!    create        StartError     terminate, kill
//!      '--> Created --start--> Container
//! ```
//!
//! Inside, `init` is the container's first process: it builds the root, forks the `step` that becomes the command,
//! reaps whatever is orphaned and reports. `exec` starts a further process in a running container. `handle` and `execution`
//! are the agent's ends of the two.

mod bundle;
mod created;
mod enforcement;
pub(crate) mod error;
mod exceeded;
pub(crate) mod exec;
mod execution;
pub(crate) mod handle;
pub(crate) mod init;
pub(crate) mod limits;
mod load;
pub(crate) mod memory_watch;
pub(crate) mod namespaces;
pub(crate) mod prepared;
mod privileges;
mod processes;
mod program;
mod resources;
mod rights;
mod spare;
mod spec;
mod step;
pub(crate) mod terminal;
mod trace;
mod user;

pub use bundle::{AccessTime, Attributes, Bundle, BundleMount, Content, Device, Propagation};
pub use created::Created;
pub use enforcement::{Enforcement, Means};
pub use error::StartError;
pub use execution::Execution;
pub use handle::{Container, ContainerHandle, WaitError};
pub use load::Load;
pub use namespaces::Shared;
pub use privileges::{Capabilities, Privileges, ProcessLimit, capability};
pub(crate) use processes::id_of;
pub use resources::Resources;
pub(crate) use spare::Late;
pub use spare::Spare;
pub use spec::{
    ContainerSpec, Exceeded, Exit, ExitStatus, File, Layers, Mount, MountSource, Network, Process,
    Rootfs, Usage, Writable,
};
pub use terminal::{Streams, TerminalSize};
pub use trace::{Phase, Trace};
pub(crate) use user::{home_of, user_ids};
