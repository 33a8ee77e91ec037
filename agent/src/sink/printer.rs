//! The thread that feeds a sink and writes what it makes.

use std::io::{self, BufWriter, Write};
use std::time::Duration;

use tokio::sync::oneshot;

use super::queue::Popped;
use super::{Item, Queue, Sink};
use crate::clock::unix_ms;

/// Small pieces are gathered up to this size, bytes; larger ones are written as they are, without a copy.
const BUFFER: usize = 64 << 10;

/// A sink at work.
#[derive(Debug)]
pub struct Printer {
    queue: Queue,
    done: oneshot::Receiver<()>,
}

impl Printer {
    /// Starts to write what `sink` makes to `out`. When that fails, most of the time because the reader of a pipe has
    /// gone, `broken` is called once and everything that follows is dropped.
    pub fn start(
        sink: Box<dyn Sink>,
        out: impl Write + Send + 'static,
        broken: impl FnOnce(io::Error) + Send + 'static,
    ) -> io::Result<Self> {
        let queue = Queue::default();
        let (sender, done) = oneshot::channel();
        std::thread::Builder::new().name("sink".to_owned()).spawn({
            let queue = queue.clone();
            move || {
                if let Err(error) = print(&queue, sink, BufWriter::with_capacity(BUFFER, out)) {
                    queue.abandon();
                    broken(error);
                    while queue.pop(None) != Popped::Closed {}
                }
                // Nobody listens when the agent has lost its patience.
                let _ = sender.send(());
            }
        })?;
        Ok(Self { queue, done })
    }

    /// Where the items go in.
    #[must_use]
    pub fn queue(&self) -> Queue {
        self.queue.clone()
    }

    /// Waits until everything is written, for at most `patience` if that is given: a terminal that has been stopped
    /// (Ctrl-S) would hold the agent for ever.
    pub async fn finish(self, patience: Option<Duration>) {
        self.queue.close();
        // An error is a panic of the thread, which has told about itself.
        match patience {
            None => {
                let _ = self.done.await;
            }
            Some(patience) => {
                let _ = tokio::time::timeout(patience, self.done).await;
            }
        }
    }
}

fn print<W: Write>(
    queue: &Queue,
    mut sink: Box<dyn Sink>,
    mut out: BufWriter<W>,
) -> io::Result<()> {
    loop {
        match queue.pop(sink.interval()) {
            Popped::Item(Item::Event(event)) => sink.event(&event, &mut out)?,
            Popped::Item(Item::Log(chunk)) => {
                sink.log(&chunk, &mut out)?;
                queue.recycle(chunk.bytes);
            }
            Popped::Item(Item::Progress {
                image,
                received,
                total,
            }) => sink.progress(&image, received, total),
            Popped::Idle => sink.idle(unix_ms(), &mut out)?,
            Popped::Closed => return out.flush(),
        }
        if queue.is_empty() {
            out.flush()?;
        }
    }
}
