//! Where output goes once it is kept.

use std::fmt;
use std::sync::Arc;

use protocol::Event;

use super::{Chunk, StepId};
use crate::sink::Queue;

/// Sees output in order, piece by piece, masked; called on the log's thread. Dropped at the end of the output.
pub type Listener = Box<dyn FnMut(&[u8]) + Send>;

/// What becomes of output beside being kept.
pub enum Outlet {
    /// A step's: it is shown.
    Shown {
        /// The sink's.
        queue: Queue,
        /// Whose it is.
        step: Arc<StepId>,
    },
    /// A service's: perhaps somebody looks for something in it.
    Kept(Option<Listener>),
}

impl fmt::Debug for Outlet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shown { step, .. } => f.debug_tuple("Shown").field(step).finish(),
            Self::Kept(_) => f.write_str("Kept"),
        }
    }
}

impl Outlet {
    /// An empty buffer with room for `capacity` bytes.
    pub(super) fn buffer(&self, capacity: usize) -> Vec<u8> {
        match self {
            Self::Shown { queue, .. } => queue.buffer(capacity),
            Self::Kept(_) => Vec::with_capacity(capacity),
        }
    }

    /// Tells of something that the step asked to be hidden and that is not.
    pub(super) fn warn(&self, problem: &str) {
        if let Self::Shown { queue, step } = self {
            let StepId { job, step, .. } = &**step;
            let message = format!("Step `{step}` of job `{job}`: {problem}.");
            queue.push(Event::Warning { message });
        }
    }

    /// Passes on a piece; may wait for a slow sink.
    pub(super) fn deliver(&mut self, offset: u64, bytes: Vec<u8>) {
        match self {
            Self::Shown { queue, step } => queue.push_log(Chunk {
                step: Arc::clone(step),
                offset,
                bytes,
            }),
            Self::Kept(Some(listener)) => listener(&bytes),
            Self::Kept(None) => {}
        }
    }
}
