//! A step's output on its way from the container to the user: spool first, then the sink.
//!
//! ```text
//! pipe --read, up to 128 KiB--> [stream: one thread a step] --append--> spool file --outlet--> sink queue
//! ```
//!
//! Nothing is shown that is not on disk. A sink that is slow fills the queue, a full queue blocks the thread, a blocked
//! thread fills the pipe, and a full pipe blocks the step: memory stays flat whatever a step prints. What a service prints
//! goes the same way, and ends in its file.

mod chunk;
mod outlet;
mod run_directory;
mod spool;
mod stream;
mod tail;
mod times;

pub use chunk::{Chunk, StepId};
pub use outlet::{Listener, Outlet};
pub use run_directory::{ATTEMPT_LOGS, RunDirectory, RunDirectoryError, job_directory};
pub use spool::{Spool, SpoolError};
pub(crate) use stream::COPY_LIMIT;
pub use stream::{Pulse, Stream, StreamError};
pub use tail::{TAIL_LINES, tail};
