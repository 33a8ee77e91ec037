//! `image: host`: the machine's own programs as an image, so that a first run needs no registry.
//!
//! `/usr` and what a machine keeps beside it (`/bin`, `/sbin`, `/lib*`) are mounted read-only; the root around them is a
//! layer of its own, built once per agent on the zygote's stage: the directories every program expects, links where the
//! machine has links, and a copy of `/etc` less its secrets.

mod layer;
mod paths;

pub(crate) use layer::build_layer;
pub use paths::{LAYER, directories};
