//! Two TCP connections made one: bytes, the end of each direction, and resets go through. In between is only what is in a pipe,
//! and where none is free, nothing.

use std::cell::RefCell;
use std::io;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, Shutdown, recv, send, shutdown, sockopt};
use tokio::io::Interest;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::pipes::Pipe;

/// Bytes on their way at a time.
const CHUNK: usize = 256 << 10;

thread_local! {
    /// A thread's own: what is in it is over before anything else runs.
    static BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; CHUNK]);
}

/// Carries everything between the two until both directions have ended or one of the sides is gone, which the other is told. When
/// the first side is `over`, what it has said by then is carried to its end, and nothing goes back any more.
pub(in crate::network) async fn relay(
    one: TcpStream,
    other: TcpStream,
    over: impl Future<Output = ()>,
) {
    for stream in [&one, &other] {
        // How a sender's writes are cut into segments is its own affair.
        let _ = stream.set_nodelay(true);
        keep_alive(stream);
    }
    let is_whole = {
        let has_said_all = AtomicBool::new(false);
        let mut there = pin!(async {
            carry(&one, &other).await?;
            has_said_all.store(true, Ordering::Relaxed);
            Ok(())
        });
        let both = async { tokio::try_join!(there.as_mut(), carry(&other, &one)) };
        let is_whole = tokio::select! {
            biased;
            carried = both => Some(carried.is_ok()),
            // Where nothing is read, be it that the other side takes nothing or that all has come, a reset is seen by this only.
            _ = one.ready(Interest::ERROR) => Some(false),
            _ = other.ready(Interest::ERROR) => Some(false),
            () = over => None,
        };
        match is_whole {
            Some(is_whole) => is_whole,
            None if has_said_all.load(Ordering::Relaxed) => true,
            // Its kernel has sent everything, with an end behind it, when its last process was gone.
            None => matches!(timeout(LAST_WORDS, there).await, Ok(Ok(()))),
        }
    };
    if !is_whole {
        reset(one);
        reset(other);
    }
}

/// How long the other side may take to take what somebody has said who is over.
pub(in crate::network) const LAST_WORDS: Duration = Duration::from_secs(2);

/// A container's own probes are answered by the pod's kernel: whether the other side is still there has to be asked here.
fn keep_alive(stream: &TcpStream) {
    let set = || {
        sockopt::set_tcp_keepidle(stream, IDLE)?;
        sockopt::set_tcp_keepintvl(stream, BETWEEN)?;
        sockopt::set_tcp_keepcnt(stream, PROBES)?;
        sockopt::set_socket_keepalive(stream, true)
    };
    // Where it cannot be set, the connection is gone already.
    let _: Result<(), Errno> = set();
}

/// Without a byte for so long, the other side is asked whether it is still there, so often and as many times (tcp(7)).
const IDLE: Duration = Duration::from_secs(120);
const BETWEEN: Duration = Duration::from_secs(30);
const PROBES: u32 = 4;

/// Ends a connection so that its other side sees it broken, not complete.
pub(in crate::network) fn reset(stream: TcpStream) {
    // Where it cannot be set, the connection is gone already.
    let _ = sockopt::set_socket_linger(&stream, Some(Duration::ZERO));
}

/// One direction, to its end.
async fn carry(from: &TcpStream, to: &TcpStream) -> io::Result<()> {
    loop {
        tokio::task::coop::consume_budget().await;
        from.readable().await?;
        let step = match Pipe::lend() {
            Some(pipe) => pass(from, to, pipe).await,
            None => copy(from, to),
        };
        match step {
            Ok(Step::Moved) => {}
            Ok(Step::End) => {
                // The other side may be gone already, which the other direction sees.
                let _ = shutdown(to, Shutdown::Write);
                return Ok(());
            }
            Ok(Step::Full) => to.writable().await?,
            // Nothing was there.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
}

enum Step {
    /// Some bytes are through.
    Moved,
    /// Nothing comes any more.
    End,
    /// The other side takes no more for now.
    Full,
}

/// Passes on as much as a pipe takes, without copying it.
async fn pass(from: &TcpStream, to: &TcpStream, pipe: Pipe) -> io::Result<Step> {
    let taken = from.try_io(Interest::READABLE, || Ok(retry(|| pipe.fill(from))?));
    let (mut left, step) = match taken {
        Ok(0) => (0, Step::End),
        Ok(length) => (length, Step::Moved),
        Err(error) => {
            pipe.give_back();
            return Err(error);
        }
    };
    while left > 0 {
        let sent = to.try_io(Interest::WRITABLE, || Ok(retry(|| pipe.empty(to, left))?));
        match sent {
            Ok(length) => left -= length,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => to.writable().await?,
            Err(error) => return Err(error),
        }
    }
    pipe.give_back();
    Ok(step)
}

/// Looks at what is there, sends as much of it as is taken, and takes only that out of its socket.
fn copy(from: &TcpStream, to: &TcpStream) -> io::Result<Step> {
    BUFFER.with_borrow_mut(|buffer| {
        let length = from.try_io(Interest::READABLE, || {
            let (length, _) = retry(|| recv(from, buffer.as_mut_slice(), RecvFlags::PEEK))?;
            Ok(length)
        })?;
        if length == 0 {
            return Ok(Step::End);
        }
        let mut sent = 0;
        let all = to.try_io(Interest::WRITABLE, || {
            sent = retry(|| send(to, &buffer[..length], SendFlags::NOSIGNAL))?;
            // It is full now, and tells when it is not: to ask it again right away would only be to look at the rest once more.
            (sent == length)
                .then_some(())
                .ok_or(io::ErrorKind::WouldBlock.into())
        });
        if sent > 0 {
            // With MSG_TRUNC a TCP socket throws away as much without copying it (tcp(7)).
            retry(|| recv(from, &mut buffer[..sent], RecvFlags::TRUNC))?;
        }
        match all {
            Ok(()) => Ok(Step::Moved),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(Step::Full),
            Err(error) => Err(error),
        }
    })
}

fn retry<T>(mut call: impl FnMut() -> Result<T, Errno>) -> Result<T, Errno> {
    loop {
        match call() {
            Err(Errno::INTR) => {}
            result => return result,
        }
    }
}
