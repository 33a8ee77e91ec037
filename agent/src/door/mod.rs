//! Single containers by hand, as a Docker user's fingers expect them, without a daemon.
//!
//! ```text
//! cli::Run --request--> Request --specification--> ContainerSpec --supervise--> Ending
//!                          volumes, environment       image          streams
//! ```
//! The process that was called (or, detached, its successor) is its container's supervisor: it has a zygote of its own, so
//! that nothing is shared with other containers, and nothing of the container outlives it. What others need to know of it is
//! in a directory (`containers`), where its socket is as well (`control`, and `client` for the other end).

mod attend;
mod client;
mod containers;
mod control;
mod detached;
mod ending;
mod environment;
mod error;
mod exec;
mod log;
mod name;
mod network;
mod record;
mod request;
mod show;
mod signals;
mod size;
mod specification;
mod streams;
mod supervise;
mod terminal;
mod trace;
mod volume;

pub use client::{remove, signal, signal_number, stop, uses, wait};
pub use containers::{Containers, Found};
pub use control::Uses;
pub use detached::{Parted, Report, run_detached};
pub use ending::Ending;
pub use error::DoorError;
pub use exec::{ExecRequest, exec};
pub use name::{Name, NameError};
pub use record::{Record, Stage, Status};
pub use request::Request;
pub use show::{LogOptions, show};
pub use supervise::{Setting, supervise};
