//! Containers without a daemon and without root: the engine under Slipway's executor, which knows nothing of jobs.
//!
//! [`zygote`] starts a [`container`] in the namespaces of [`userns`]; [`host`] is the image that needs no registry;
//! [`doctor`] tells what a machine lacks. `sys` holds the only unsafe code.

pub mod container;
pub mod doctor;
pub mod host;
mod rootfs;
pub mod security;
mod sys;
pub mod userns;
pub mod zygote;
