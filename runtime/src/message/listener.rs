use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, accept_with, bind, listen, socket_with,
};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::Connection;
use crate::sys::watch;

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 64;

/// Waits for processes of the same user, at a socket in the file system.
#[derive(Debug)]
pub struct Listener {
    socket: AsyncFd<OwnedFd>,
}

impl Listener {
    /// Makes a socket of this name in a directory. The path may have any length.
    ///
    /// # Errors
    /// When there is something of that name, or the file system knows no sockets.
    pub fn bind(directory: &Path, name: &str) -> io::Result<Self> {
        let socket = socket()?;
        let (_directory, address) = address(directory, name)?;
        bind(&socket, &address)?;
        listen(&socket, BACKLOG)?;
        watch(socket, Interest::READABLE).map(|socket| Self { socket })
    }

    /// The next connection; those of other users are closed. Nothing is lost when it is cancelled.
    ///
    /// # Errors
    /// When descriptors have run out.
    pub async fn accept(&self) -> io::Result<Connection> {
        loop {
            let mut ready = self.socket.readable().await?;
            let accepted = ready.try_io(|socket| {
                accept_with(socket.get_ref(), SocketFlags::CLOEXEC).map_err(io::Error::from)
            });
            match accepted {
                Ok(Ok(peer)) if is_ours(&peer) => return Connection::new(peer),
                Ok(Err(error)) if !is_of_one_connection(&error) => return Err(error),
                _ => {}
            }
        }
    }
}

/// Connects to the socket of this name in a directory.
///
/// # Errors
/// `NotFound` when there is none, `ConnectionRefused` when nobody listens there any more.
pub fn connect(directory: &Path, name: &str) -> io::Result<OwnedFd> {
    let socket = socket()?;
    let (_directory, address) = address(directory, name)?;
    loop {
        match rustix::net::connect(&socket, &address) {
            Err(Errno::INTR) => {}
            result => return Ok(result.map(|()| socket)?),
        }
    }
}

fn socket() -> io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    Ok(socket_with(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        flags,
        None,
    )?)
}

/// An address is bounded to 108 bytes (unix(7)), which paths are not: the directory is named by a descriptor, which must
/// live until the address has been used.
fn address(directory: &Path, name: &str) -> io::Result<(OwnedFd, SocketAddrUnix)> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let directory = rustix::fs::open(directory, flags, Mode::empty())?;
    let path = PathBuf::from(format!("/proc/self/fd/{}", directory.as_raw_fd())).join(name);
    Ok((directory, SocketAddrUnix::new(&path)?))
}

fn is_ours(peer: &impl AsFd) -> bool {
    rustix::net::sockopt::socket_peercred(peer)
        .is_ok_and(|peer| peer.uid == rustix::process::geteuid())
}

/// The peer has gone before it was accepted (accept(2)).
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::Interrupted
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_long_path_is_no_obstacle_and_descriptors_arrive() {
        let place = tempfile::tempdir().unwrap();
        let directory = place.path().join("x".repeat(200));
        std::fs::create_dir(&directory).unwrap();
        let listener = Listener::bind(&directory, "control").unwrap();
        let client = Connection::new(connect(&directory, "control").unwrap()).unwrap();
        let (read, write) = rustix::pipe::pipe().unwrap();
        client.send(&"hello", &[write.as_fd()]).await.unwrap();
        drop(write);
        let server = listener.accept().await.unwrap();
        let (text, fds): (String, _) = server.receive().await.unwrap().unwrap();
        assert_eq!((text.as_str(), fds.len()), ("hello", 1));
        drop(fds);
        assert_eq!(rustix::io::read(&read, &mut [0_u8; 1][..]).unwrap(), 0);
        drop(client);
        assert!(server.receive::<String>().await.unwrap().is_none());
    }

    #[tokio::test]
    async fn a_socket_that_was_left_behind_refuses() {
        let place = tempfile::tempdir().unwrap();
        let kind = || connect(place.path(), "control").unwrap_err().kind();
        assert_eq!(kind(), io::ErrorKind::NotFound);
        drop(Listener::bind(place.path(), "control").unwrap());
        assert_eq!(kind(), io::ErrorKind::ConnectionRefused);
    }

    #[tokio::test]
    async fn what_is_not_understood_is_an_error_and_not_the_end() {
        let place = tempfile::tempdir().unwrap();
        let listener = Listener::bind(place.path(), "control").unwrap();
        let client = Connection::new(connect(place.path(), "control").unwrap()).unwrap();
        client.send(&7, &[]).await.unwrap();
        client.send(&"after", &[]).await.unwrap();
        let server = listener.accept().await.unwrap();
        assert!(server.receive::<String>().await.is_err());
        let (text, _) = server.receive::<String>().await.unwrap().unwrap();
        assert_eq!(text, "after");
    }
}
