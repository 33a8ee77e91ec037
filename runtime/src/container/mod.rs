//! One container: what it is to be, and its life.

mod spec;

pub use spec::{
    ContainerSpec, Exit, ExitStatus, File, Mount, MountSource, Network, Process, Rootfs, Usage,
};
