//! The only unsafe code of the project: system calls that neither rustix nor nix wraps.
//!
//! One file a subject; every function is safe to call, or takes a value that proves what makes it safe (see
//! [`SingleThreaded`]). Nothing here knows what a container is.
#![expect(
    unsafe_code,
    reason = "the one folder that talks to the kernel without a wrapper"
)]

mod clone;
mod exit;
mod fd;
mod hang_up;
mod keyring;
mod loopback;
mod memory;
mod mount;
mod packet;
mod seccomp;
mod signal;
mod single_threaded;
mod socket_option;
mod wait;
mod watch;

pub(crate) use clone::{CloneFlags, Cloned, clone3, clone3_into};
pub(crate) use exit::exit_now;
pub(crate) use fd::{adopt, close_all_but, pass_on};
pub(crate) use hang_up::end_with;
pub(crate) use keyring::join_new_session_keyring;
pub(crate) use loopback::loopback_up;
pub(crate) use memory::{give_back_heap, give_back_program};
pub(crate) use mount::{AccessTime, MountAttr, Spread, mount_setattr};
pub(crate) use packet::{Instruction, PacketAddress, open_tap, receive_packet, send_packet};
pub(crate) use seccomp::install_filter;
pub(crate) use signal::{forwardable_signals, reset_signals, signal_group, signal_process};
pub(crate) use single_threaded::SingleThreaded;
pub(crate) use socket_option::{SocketOption, switch_on};
pub(crate) use wait::wait_any;
pub(crate) use watch::watch;
