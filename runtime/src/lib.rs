//! Containers without a daemon and without root.

pub mod container;
pub mod doctor;
pub mod host;
mod rootfs;
mod security;
mod sys;
pub mod userns;
pub mod zygote;
