//! Netlink (netlink(7)), as far as networks of our own need it: a batch of requests is put together, sent as one datagram, and
//! the kernel acknowledges each. One thread, no waiting on anybody but the kernel.
//!
//! [`message`] writes, [`socket`] sends, [`route`] knows links, addresses, routes and rules (rtnetlink(7)), and [`tables`]
//! the packet filter (nf_tables). Numbers that libc lacks stand where they are used, with the header they are from.

mod message;
pub(super) mod route;
mod socket;
pub(super) mod tables;

pub(super) use message::{Attributes, Batch};
pub(super) use socket::Netlink;
