//! Pipes that bytes go through without being copied (splice(2)). There are a few for all connections, each lent only while there is
//! something in it: what stalls holds no more than these.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::io::Errno;
use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with, splice};

/// Most pipes of a process.
const PIPES: usize = 8;
/// Bytes of each. The kernel counts the pipes of a plain user, and makes those beyond 64 MiB small (pipe-user-pages-soft, pipe(7)),
/// so there are few; who has one or two connections makes one or two. Of a quarter of this size they are slower.
const SIZE: usize = 1 << 20;

static IDLE: Mutex<Vec<Pipe>> = Mutex::new(Vec::new());
static PLACES: AtomicUsize = AtomicUsize::new(PIPES);

/// A pipe that is lent. One that is dropped instead of given back is closed, with what is in it.
#[derive(Debug)]
pub(super) struct Pipe {
    read: OwnedFd,
    write: OwnedFd,
    _place: Place,
}

impl Pipe {
    /// An empty one; `None` where all are lent, or none can be made.
    pub(super) fn lend() -> Option<Self> {
        if let Some(pipe) = idle().pop() {
            return Some(pipe);
        }
        let place = Place::take()?;
        let (read, write) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK).ok()?;
        // Where it may not be so large it is smaller.
        let _ = fcntl_setpipe_size(&write, SIZE);
        Some(Self {
            read,
            write,
            _place: place,
        })
    }

    /// It has to be empty.
    pub(super) fn give_back(self) {
        idle().push(self);
    }

    /// Takes bytes out of a socket: how many, 0 at the end.
    pub(super) fn fill(&self, from: impl AsFd) -> Result<usize, Errno> {
        splice(from, None, &self.write, None, SIZE, FLAGS)
    }

    /// Puts at most so many bytes into a socket: how many.
    pub(super) fn empty(&self, to: impl AsFd, length: usize) -> Result<usize, Errno> {
        splice(&self.read, None, to, None, length, FLAGS)
    }
}

const FLAGS: SpliceFlags = SpliceFlags::NONBLOCK.union(SpliceFlags::MOVE);

fn idle() -> MutexGuard<'static, Vec<Pipe>> {
    IDLE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One of so many.
#[derive(Debug)]
struct Place;

impl Place {
    fn take() -> Option<Self> {
        let fewer = |free: usize| free.checked_sub(1);
        let taken = PLACES.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fewer);
        taken.ok().map(|_| Self)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        PLACES.fetch_add(1, Ordering::Relaxed);
    }
}
