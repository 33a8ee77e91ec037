//! What a step's process may do: capabilities, system calls, and what it sees of the kernel's own files.
//!
//! Everything here is data and pure functions. `sys` hands it to the kernel, on the container's side of `clone3`, in
//! this order: masks while the mounts are made, then capabilities, then `no_new_privs` and the seccomp program last,
//! directly before `execve`, since the program refuses what the steps before it need.

pub mod capabilities;
pub mod masks;
pub mod possible_cpus;
pub mod seccomp;
