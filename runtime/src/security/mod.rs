//! What a step's process may do: capabilities, system calls, and what it sees of the kernel's own files.
//!
//! Data and pure functions, save `sandbox`. `sys` hands them to the kernel, on the container's side of `clone3`, in
//! this order: masks while the mounts are made, then capabilities, then `no_new_privs` and the seccomp program last,
//! directly before `execve`, since the program refuses what the steps before it need. `defences` names what tests can
//! switch off.

pub mod capabilities;
mod defences;
pub mod masks;
pub mod possible_cpus;
pub(crate) mod sandbox;
pub mod seccomp;

pub(crate) use defences::{Defence, environment};
