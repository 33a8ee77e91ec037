//! A process that has little to do for a while.

use std::io;

use crate::sys::{SingleThreaded, give_back_heap, give_back_program};

/// Gives back what is resident of the program's file: what only its beginning needed, or a busy time, does not stay. What is
/// used again comes back from the page cache.
///
/// # Errors
/// When there is another thread (`ErrorKind::ResourceBusy`), or `/proc` cannot be read.
pub fn give_back() -> io::Result<()> {
    give_back_program(&SingleThreaded::prove()?)
}

/// Gives back what the heap has free, from any thread: each arena is locked for a moment. What a busy time took does not stay;
/// the next one pays for each page with a fault.
pub fn give_back_free() {
    give_back_heap();
}
