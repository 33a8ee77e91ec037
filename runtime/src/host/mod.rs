//! `image: host`: the machine's own programs as an image, so that a first run needs no registry.
//!
//! `/usr` and what a machine keeps beside it (`/bin`, `/sbin`, `/lib*`) are mounted read-only; the root around them is a
//! layer of its own, kept as long as the machine stays as it is: the directories every program expects, links where the
//! machine has links, and a copy of `/etc` less its secrets.

mod fingerprint;
mod kept;
mod layer;
mod paths;

pub(crate) use kept::Kept;
pub(crate) use layer::stage_layer;
pub use paths::{LAYER, directories};
