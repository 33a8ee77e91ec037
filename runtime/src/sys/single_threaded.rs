//! The proof that this process has one thread, which is what makes going on after a `clone3` without `exec` sound.

use std::io;
use std::marker::PhantomData;

/// Exists only in a process that had exactly one thread when it was made.
///
/// It is neither `Send` nor `Sync`, so it stays with that thread; whoever holds it must not start another one while
/// it lives. The zygote never starts any.
#[derive(Debug)]
pub(crate) struct SingleThreaded(PhantomData<*const ()>);

impl SingleThreaded {
    /// Counts the threads in `/proc/self/task` (proc(5)).
    ///
    /// # Errors
    /// When `/proc` cannot be read, or another thread exists (`ErrorKind::ResourceBusy`).
    pub(crate) fn prove() -> io::Result<Self> {
        match std::fs::read_dir("/proc/self/task")?.count() {
            1 => Ok(Self(PhantomData)),
            _ => Err(io::Error::new(
                io::ErrorKind::ResourceBusy,
                "another thread is running",
            )),
        }
    }
}
