//! The user namespace all containers share: which ids exist in it and how they get there.
//!
//! One map for everything: layers are unpacked under it, containers run under it, so that an id in an image means the
//! same wherever it is looked at from inside. There are three rungs, and container root is host root on none:
//!
//! | rung | container root is | other ids |
//! |---|---|---|
//! | root | the first id of a range nobody uses | 65,535 more |
//! | subordinate | the caller | the caller's ranges of subuid(5) |
//! | single | the caller | none: ownership is kept in an extended attribute |

mod detect;
mod id_map;
mod install;
mod subid;

pub(crate) use detect::helper;
pub use detect::{DetectError, detect, inherited};
pub use id_map::{Extent, IdMap, Rung};
pub use install::InstallError;
pub(crate) use install::install;
