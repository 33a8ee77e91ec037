//! Helpers of the zygote, asked for by the thread that prepares control groups: synchronously, beside everything else.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

use super::wire::{Reply, Request};
use crate::cgroup::Helpers;
use crate::message::{receive, send};

/// Asks the zygote for helpers.
#[derive(Debug)]
pub(super) struct Forker {
    /// The zygote's, non-blocking.
    pub(super) socket: OwnedFd,
}

impl Helpers for Forker {
    fn fork(&self) -> io::Result<(OwnedFd, OwnedFd)> {
        let pair = || {
            let flags = SocketFlags::CLOEXEC;
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)
        };
        let (replies, reply) = pair()?;
        let (socket, inner) = pair()?;
        loop {
            match send(
                &self.socket,
                &Request::Help,
                &[reply.as_fd(), inner.as_fd()],
            ) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    poll(&mut [PollFd::new(&self.socket, PollFlags::OUT)], None)?;
                }
                result => break result?,
            }
        }
        drop((reply, inner));
        match receive::<Reply>(&replies)? {
            Some((Reply::Cloned, fds)) => {
                let process = fds.into_iter().next();
                let process = process.ok_or(io::ErrorKind::InvalidData)?;
                Ok((process, socket))
            }
            Some((Reply::Failed(error), _)) => Err(io::Error::other(error)),
            Some(_) => Err(io::ErrorKind::InvalidData.into()),
            None => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }
}
