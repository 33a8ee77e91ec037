//! Containers without a daemon and without root.

pub mod container;
