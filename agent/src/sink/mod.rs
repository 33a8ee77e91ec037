//! Events in, bytes out: what a user or a program sees of a run.
//!
//! ```text
//! dispatcher --push(event)----.
//! log streams --push_log------+--> Queue --> [Printer: one thread] --> dyn Sink --> stdout
//!             (waits when full)                  '-- the reader went away --> cancels the run
//! ```
//!
//! A [`Sink`] only formats, into whatever it is given to write to; [`Printer`] owns the thread and the descriptor.

mod duration;
mod json;
mod layout;
mod plain;
mod prefix;
mod printer;
mod queue;
mod record;
mod sanitise;
mod status;
mod style;
mod summary;
mod table;
mod terminal;
mod wording;

use std::io::{self, Write};
use std::time::Duration;

use protocol::Event;

use crate::log::Chunk;

pub use duration::duration;
pub use json::Json;
pub use layout::Layout;
pub use plain::{Plain, Verbosity};
pub use printer::Printer;
pub use queue::{Item, Queue};
pub use record::Recorded;
pub use sanitise::sanitise;
pub use style::Style;
pub use terminal::Terminal;
pub use wording::cause;
pub(crate) use wording::size;

/// Turns what happens in a run into bytes.
///
/// Called from one thread, in order. An error is the writer's; the sink is not called again after one.
pub trait Sink: Send {
    /// Something happened. Never [`Event::Log`]: those come as [`Sink::log`].
    fn event(&mut self, event: &Event, out: &mut dyn Write) -> io::Result<()>;

    /// A step wrote something.
    fn log(&mut self, chunk: &Chunk, out: &mut dyn Write) -> io::Result<()>;

    /// An image has come this far: bytes received, and how many there will be when that is known.
    fn progress(&mut self, _image: &str, _received: u64, _total: Option<u64>) {}

    /// Nothing has come for [`Sink::interval`]. `now` is in Unix milliseconds.
    fn idle(&mut self, _now: u64, _out: &mut dyn Write) -> io::Result<()> {
        Ok(())
    }

    /// How often [`Sink::idle`] is wanted; `None` is never.
    fn interval(&self) -> Option<Duration> {
        None
    }
}
