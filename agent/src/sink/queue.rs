//! What the sink has not seen yet: events without limit (a plan bounds their number), output up to a few megabytes.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use protocol::Event;

use crate::log::{COPY_LIMIT, Chunk};

/// Output that may wait for the sink, bytes. A piece that meets less is taken whole.
const LIMIT: usize = 1 << 20;

/// Largest number of buffers kept for use again. Fresh memory for each piece of a loud step costs more than copying it.
const SPARE_BUFFERS: usize = 8;

/// One thing for a sink.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// Something happened.
    Event(Event),
    /// A step wrote something.
    Log(Chunk),
    /// An image has come this far.
    Progress {
        /// The reference as written.
        image: String,
        /// Bytes received.
        received: u64,
        /// Bytes there will be.
        total: Option<u64>,
    },
}

/// What [`Queue::pop`] found.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Popped {
    Item(Item),
    /// Nothing came in time.
    Idle,
    /// Nothing will come any more.
    Closed,
}

/// A queue of [`Item`]s; clones are handles to the same one.
#[derive(Debug, Clone, Default)]
pub struct Queue {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    /// An item has come, or the queue is closed.
    filled: Condvar,
    /// Output has gone, or the queue is abandoned.
    drained: Condvar,
}

#[derive(Debug, Default)]
struct State {
    items: VecDeque<Item>,
    /// Bytes of output among the items.
    bytes: usize,
    /// Empty buffers.
    spare: Vec<Vec<u8>>,
    closed: bool,
    abandoned: bool,
    /// How long a writer waits for a sink that does not move; `None` is for ever.
    patience: Option<Duration>,
}

impl Queue {
    /// Appends an event. Never waits.
    pub fn push(&self, event: Event) {
        self.append(self.lock(), Item::Event(event));
    }

    /// Notes how far an image has come; dropped when the sink is behind anyway. Never waits.
    pub fn push_progress(&self, image: &str, received: u64, total: Option<u64>) {
        let state = self.lock();
        if state.items.is_empty() {
            let image = image.to_owned();
            self.append(
                state,
                Item::Progress {
                    image,
                    received,
                    total,
                },
            );
        }
    }

    /// Appends output; waits while too much of it is waiting. Blocks: for threads, not for tasks.
    pub fn push_log(&self, chunk: Chunk) {
        let mut state = self.lock();
        while state.bytes >= LIMIT && !state.abandoned {
            let drained = &self.shared.drained;
            state = match state.patience {
                None => drained.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(patience) => {
                    let (mut state, timeout) = drained
                        .wait_timeout(state, patience)
                        .unwrap_or_else(PoisonError::into_inner);
                    if timeout.timed_out() {
                        self.drop_output(&mut state);
                    }
                    state
                }
            };
        }
        if !state.abandoned {
            state.bytes += chunk.bytes.len();
            self.append(state, Item::Log(chunk));
        }
    }

    /// An empty buffer with room for `capacity` bytes, one that the sink is done with if possible.
    pub(crate) fn buffer(&self, capacity: usize) -> Vec<u8> {
        let spare = self.lock().spare.pop();
        let mut buffer = spare.unwrap_or_default();
        buffer.reserve_exact(capacity);
        buffer
    }

    /// From now on, a sink that does not take anything for `patience` while output waits for it is given up.
    pub fn hurry(&self, patience: Duration) {
        self.lock().patience = Some(patience);
        self.shared.drained.notify_all();
    }

    /// Drops output from now on, what is waiting included, so that nobody waits for a sink that does not move.
    pub fn abandon(&self) {
        self.drop_output(&mut self.lock());
    }

    /// Says that nothing will come any more.
    pub fn close(&self) {
        self.lock().closed = true;
        self.shared.filled.notify_all();
    }

    /// Takes the next item, waiting for it, at most for `patience` if that is given.
    pub(super) fn pop(&self, patience: Option<Duration>) -> Popped {
        let starved = |state: &mut State| state.items.is_empty() && !state.closed;
        let mut state = match patience {
            None => self
                .shared
                .filled
                .wait_while(self.lock(), starved)
                .unwrap_or_else(PoisonError::into_inner),
            Some(patience) => {
                self.shared
                    .filled
                    .wait_timeout_while(self.lock(), patience, starved)
                    .unwrap_or_else(PoisonError::into_inner)
                    .0
            }
        };
        match state.items.pop_front() {
            Some(item) => {
                if let Item::Log(chunk) = &item {
                    state.bytes = state.bytes.saturating_sub(chunk.bytes.len());
                    self.shared.drained.notify_all();
                }
                Popped::Item(item)
            }
            None if state.closed => Popped::Closed,
            None => Popped::Idle,
        }
    }

    /// Takes back the bytes of a chunk that has been written, for [`Queue::buffer`].
    pub(super) fn recycle(&self, mut buffer: Vec<u8>) {
        let mut state = self.lock();
        if buffer.capacity() > COPY_LIMIT && state.spare.len() < SPARE_BUFFERS {
            buffer.clear();
            state.spare.push(buffer);
        }
    }

    /// Whether nothing is waiting.
    pub(super) fn is_empty(&self) -> bool {
        self.lock().items.is_empty()
    }

    fn drop_output(&self, state: &mut State) {
        state.abandoned = true;
        state.bytes = 0;
        state.items.retain(|item| !matches!(item, Item::Log(_)));
        self.shared.drained.notify_all();
    }

    fn append(&self, mut state: MutexGuard<'_, State>, item: Item) {
        state.items.push_back(item);
        self.shared.filled.notify_one();
    }

    /// A panic elsewhere leaves the queue whole: every change of it is complete before the lock is given back.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.shared
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::{Item, LIMIT, Popped, Queue, SPARE_BUFFERS};
    use crate::log::{COPY_LIMIT, Chunk, StepId};

    fn chunk(length: usize) -> Chunk {
        Chunk {
            step: Arc::new(StepId {
                job: "job".to_owned(),
                step: "step".to_owned(),
                index: 0,
            }),
            offset: 0,
            bytes: vec![b'x'; length],
        }
    }

    fn warning(message: &str) -> protocol::Event {
        protocol::Event::Warning {
            message: message.to_owned(),
        }
    }

    #[test]
    fn items_come_out_in_the_order_they_went_in() {
        let queue = Queue::default();
        queue.push(warning("first"));
        queue.push_log(chunk(1));
        queue.push(warning("last"));
        queue.close();
        assert_eq!(queue.pop(None), Popped::Item(Item::Event(warning("first"))));
        assert_eq!(queue.pop(None), Popped::Item(Item::Log(chunk(1))));
        assert_eq!(queue.pop(None), Popped::Item(Item::Event(warning("last"))));
        assert_eq!(queue.pop(None), Popped::Closed);
    }

    #[test]
    fn a_writer_waits_until_the_sink_has_caught_up() {
        let queue = Queue::default();
        queue.push_log(chunk(LIMIT));
        let writer = std::thread::spawn({
            let queue = queue.clone();
            move || {
                queue.push_log(chunk(1));
                queue.close();
            }
        });
        assert_eq!(queue.lock().items.len(), 1);
        assert_eq!(queue.pop(None), Popped::Item(Item::Log(chunk(LIMIT))));
        assert_eq!(queue.pop(None), Popped::Item(Item::Log(chunk(1))));
        assert_eq!(queue.pop(None), Popped::Closed);
        writer.join().unwrap();
    }

    #[test]
    fn abandoning_frees_the_writers_and_keeps_the_events() {
        let queue = Queue::default();
        queue.push_log(chunk(LIMIT));
        let writer = std::thread::spawn({
            let queue = queue.clone();
            move || queue.push_log(chunk(1))
        });
        queue.push(warning("still told"));
        queue.abandon();
        writer.join().unwrap();
        queue.push_log(chunk(LIMIT));
        queue.push_log(chunk(LIMIT));
        assert_eq!(
            queue.pop(None),
            Popped::Item(Item::Event(warning("still told")))
        );
        assert_eq!(queue.pop(Some(Duration::ZERO)), Popped::Idle);
    }

    #[test]
    fn a_sink_that_does_not_move_is_given_up_when_there_is_no_time() {
        let queue = Queue::default();
        queue.push_log(chunk(LIMIT));
        let writer = std::thread::spawn({
            let queue = queue.clone();
            move || queue.push_log(chunk(1))
        });
        queue.hurry(Duration::ZERO);
        writer.join().unwrap();
        assert!(queue.is_empty());
    }

    #[test]
    fn buffers_are_used_again_and_not_hoarded() {
        let queue = Queue::default();
        for _ in 0..100 {
            queue.recycle(vec![b'x'; 2 * COPY_LIMIT]);
        }
        queue.recycle(Vec::new());
        assert_eq!(queue.lock().spare.len(), SPARE_BUFFERS);
        let buffer = queue.buffer(COPY_LIMIT);
        assert!(buffer.is_empty() && buffer.capacity() >= 2 * COPY_LIMIT);
        assert_eq!(queue.lock().spare.len(), SPARE_BUFFERS - 1);
    }
}
