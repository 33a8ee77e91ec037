//! [`Plain`] on a terminal, with a live status line below it.
//!
//! The line is only drawn while the cursor is at the start of a line and output pauses; before anything else is
//! written it is erased. A step's progress bar is therefore never disturbed.

use std::io::{self, Write};
use std::time::Duration;

use protocol::Event;

use super::status::Status;
use super::{Plain, Sink};
use crate::log::Chunk;

/// How long output has to pause before the line is drawn, and how often it is redrawn.
const INTERVAL: Duration = Duration::from_millis(200);

/// To the first column, then erase the line (ECMA-48: CR, EL 2).
const ERASE: &[u8] = b"\r\x1b[2K";

/// Attributes off, cursor visible: what a step may have left behind (ECMA-48: SGR 0; DECTCEM).
const RESET: &[u8] = b"\x1b[0m\x1b[?25h";

/// Formats a run for someone who watches.
#[derive(Debug)]
pub struct Terminal<W> {
    plain: Plain,
    status: Status,
    /// The line on the screen, empty when there is none.
    drawn: String,
    width: W,
}

impl<W: Fn() -> usize + Send> Terminal<W> {
    /// Wraps `plain`; `width` tells the terminal's width in columns, which may change.
    pub fn new(plain: Plain, width: W) -> Self {
        Self {
            plain,
            status: Status::default(),
            drawn: String::new(),
            width,
        }
    }

    fn erase(&mut self, out: &mut dyn Write) -> io::Result<()> {
        if self.drawn.is_empty() {
            return Ok(());
        }
        self.drawn.clear();
        out.write_all(ERASE)
    }
}

impl<W: Fn() -> usize + Send> Sink for Terminal<W> {
    fn event(&mut self, event: &Event, out: &mut dyn Write) -> io::Result<()> {
        self.erase(out)?;
        if let Event::StepFinished { .. } = event {
            out.write_all(RESET)?;
        }
        self.status.note(event);
        self.plain.event(event, out)
    }

    fn log(&mut self, chunk: &Chunk, out: &mut dyn Write) -> io::Result<()> {
        self.erase(out)?;
        self.plain.log(chunk, out)
    }

    fn progress(&mut self, image: &str, received: u64, total: Option<u64>) {
        self.status.progress(image, received, total);
    }

    fn idle(&mut self, now: u64, out: &mut dyn Write) -> io::Result<()> {
        if self.plain.has_open_line() {
            return Ok(());
        }
        // The last column stays free: some terminals wrap as soon as it is written.
        let line = self
            .status
            .line(now, (self.width)().saturating_sub(1))
            .unwrap_or_default();
        if line == self.drawn {
            return Ok(());
        }
        self.erase(out)?;
        out.write_all(line.as_bytes())?;
        self.drawn = line;
        out.flush()
    }

    fn interval(&self) -> Option<Duration> {
        Some(INTERVAL)
    }
}
