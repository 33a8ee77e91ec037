//! An OCI runtime (<https://github.com/opencontainers/runtime-spec>) over our own: bundles that somebody else has made, and the
//! operations of `runtime.md` as `runc` and `crun` spell them.
//!
//! ```text
//! config.json --config--> Spec --translate--> Plan --supervise--> Created --life--> Container
//!                                               |                          ^
//!                                    what is refused, by its name          '-- orders of start, kill, delete (control)
//! ```
//! `create` leaves a supervisor behind, as `agent run -d` does: it has a zygote of its own, holds the container and dies with
//! it. Zygote and container are children of whoever called `create` (see [`runtime::zygote::Origin`]), so that callers can
//! wait for the container as for one of `runc`. What is known of a container is in a directory (`store`).

mod config;
mod console;
mod control;
mod create;
mod error;
mod hooks;
mod id;
mod inside;
mod life;
mod log;
mod operations;
mod state;
mod store;
mod supervise;
mod translate;

pub use config::REFUSED;
pub use create::{Created, Creation, create};
pub use error::OciError;
pub use id::Id;
pub use log::{Log, LogFormat};
pub use operations::{delete, kill, start, state};
pub use store::Store;

/// The version of the specification that states are of.
pub const VERSION: &str = "1.2.0";
