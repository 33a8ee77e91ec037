//! Ports of the machine that lead to containers, of [`crate::door`] and of services alike.

mod opened;
mod port;

pub(crate) use opened::Opened;
pub use port::{Port, PublishedPort};
