//! Containers without a daemon and without root: the engine under Slipway's executor, which knows nothing of jobs.
//!
//! [`store`] gets [`image`]s through [`registry`] and [`transport`] and has their [`layer`]s unpacked; [`zygote`] starts
//! a [`container`] on them in the namespaces of [`userns`]; [`host`] is the image that needs no registry; [`doctor`]
//! tells what a machine lacks; [`build`] makes images of [`dockerfile`]s. Processes of ours talk in [`message`]s, and [`detach`] from their callers; [`namespace`] is for
//! what containers share with somebody else.
//! `sys` holds the only unsafe code.

pub mod build;
mod cgroup;
pub mod collect;
pub mod container;
pub mod detach;
pub mod dockerfile;
pub mod doctor;
pub mod host;
pub mod idle;
pub mod image;
pub mod layer;
pub mod message;
pub mod namespace;
pub mod network;
pub mod registry;
mod rootfs;
pub mod security;
pub mod store;
mod sys;
#[cfg(test)]
mod testing;
pub mod transport;
pub mod userns;
pub mod zygote;
