//! Containers without a daemon and without root.

pub mod container;
pub mod image;
pub mod layer;
pub mod registry;
pub mod store;
pub mod transport;
