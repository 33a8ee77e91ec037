//! Containers without a daemon and without root.

pub mod container;
pub mod security;
