//! A container's log, for a person: as it was written, or as it is being written.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::os::fd::OwnedFd;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use rustix::io::Errno;

use super::client::ask;
use super::control::Order;
use super::log::{LogReader, Piece, Stream};
use super::{DoorError, Found};
use crate::output::Stdout;

/// What of a log is wanted, and how.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LogOptions {
    /// Go on until the container is over.
    pub follow: bool,
    /// Only so many lines from the end of what is there.
    pub tail: Option<usize>,
    /// When each line was written in front of it.
    pub timestamps: bool,
}

/// Writes a container's log to standard output and standard error, as its command did.
///
/// # Errors
/// When it cannot be read or written.
pub fn show(found: &Found, options: LogOptions) -> Result<(), DoorError> {
    let broken = || DoorError::disk("read the log in", &found.path);
    let opened = || DoorError::system("open the agent's output");
    let stdout = Stdout::open().map_err(opened())?;
    let mut printer = Printer::new(
        stdout,
        Stdout::errors().map_err(opened())?,
        options.timestamps,
    );
    // In this order: what comes from now on is announced, or is the last there will be.
    let changes = options
        .follow
        .then(|| Changes::of(found))
        .transpose()?
        .flatten();
    let mut reader = LogReader::open(&found.path).map_err(broken())?;
    let mut pieces = VecDeque::new();
    while let Some(piece) = reader.next().map_err(broken())? {
        pieces.push_back(piece);
        if options.tail.is_none() {
            printer.print_all(&mut pieces)?;
        }
    }
    if let Some(lines) = options.tail {
        cut(&mut pieces, lines);
        printer.print_all(&mut pieces)?;
    }
    let Some(changes) = changes else {
        return Ok(());
    };
    loop {
        let last = changes.wait()?;
        while let Some(piece) = reader.next().map_err(broken())? {
            pieces.push_back(piece);
            printer.print_all(&mut pieces)?;
        }
        if last {
            return Ok(());
        }
    }
}

/// Leaves so many lines from the end.
fn cut(pieces: &mut VecDeque<Piece>, lines: usize) {
    let mut left = lines;
    // A line break at the very end ends the last line, and begins none.
    let mut at_end = true;
    for index in (0..pieces.len()).rev() {
        for place in (0..pieces[index].bytes.len()).rev() {
            if pieces[index].bytes[place] == b'\n' && !at_end {
                left = left.saturating_sub(1);
            }
            at_end = false;
            if left == 0 {
                pieces[index].bytes.drain(..=place);
                pieces.drain(..index);
                return;
            }
        }
    }
}

/// What happens to a log that is being written.
struct Changes {
    files: OwnedFd,
    /// Says something when the container is over.
    supervisor: OwnedFd,
}

impl Changes {
    /// `None` when nothing will be written any more.
    fn of(found: &Found) -> Result<Option<Self>, DoorError> {
        let supervisor = match ask(found, &Order::Wait) {
            Err(DoorError::NotRunning { .. }) => return Ok(None),
            result => result?,
        };
        let failed = || DoorError::disk("watch", &found.path);
        let files = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK);
        let files = files.map_err(|errno| failed()(errno.into()))?;
        let flags = WatchFlags::MODIFY | WatchFlags::CREATE;
        inotify::add_watch(&files, &found.path, flags).map_err(|errno| failed()(errno.into()))?;
        Ok(Some(Self { files, supervisor }))
    }

    /// Waits for one; whether it was the last.
    fn wait(&self) -> Result<bool, DoorError> {
        let mut ready = [
            PollFd::new(&self.files, PollFlags::IN),
            PollFd::new(&self.supervisor, PollFlags::IN),
        ];
        match poll(&mut ready, None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(DoorError::system("wait for the log")(errno)),
        }
        let over = !ready[1].revents().is_empty();
        // What exactly has happened, the log itself tells.
        let _ = rustix::io::read(&self.files, &mut [0_u8; 4096]);
        Ok(over)
    }
}

/// Writes pieces where they belong.
struct Printer<O, E> {
    output: O,
    errors: E,
    timestamps: bool,
    /// Whether the next byte of each begins a line.
    begins: [bool; 2],
}

impl<O: Write, E: Write> Printer<O, E> {
    const fn new(output: O, errors: E, timestamps: bool) -> Self {
        Self {
            output,
            errors,
            timestamps,
            begins: [true; 2],
        }
    }

    fn print_all(&mut self, pieces: &mut VecDeque<Piece>) -> Result<(), DoorError> {
        for piece in pieces.drain(..) {
            match self.print(&piece) {
                // Whoever reads has seen enough.
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                    return Err(DoorError::SeenEnough);
                }
                result => result.map_err(DoorError::system("write the log"))?,
            }
        }
        Ok(())
    }

    fn print(&mut self, piece: &Piece) -> io::Result<()> {
        let (to, begins): (&mut dyn Write, _) = match piece.stream {
            Stream::Output => (&mut self.output, &mut self.begins[0]),
            Stream::Error => (&mut self.errors, &mut self.begins[1]),
        };
        if !self.timestamps {
            return to.write_all(&piece.bytes);
        }
        let time = i64::try_from(piece.time).ok();
        let time = time.and_then(|time| jiff::Timestamp::from_millisecond(time).ok());
        let time = time.unwrap_or(jiff::Timestamp::UNIX_EPOCH);
        let mut text = Vec::with_capacity(piece.bytes.len() + 32);
        for line in piece.bytes.split_inclusive(|byte| *byte == b'\n') {
            if *begins {
                write!(text, "{time:.3} ")?;
            }
            text.extend_from_slice(line);
            *begins = line.ends_with(b"\n");
        }
        to.write_all(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(stream: Stream, text: &str) -> Piece {
        Piece {
            stream,
            time: 1_700_000_000_123,
            bytes: text.as_bytes().to_vec(),
        }
    }

    #[test]
    fn the_tail_is_lines_however_they_came() {
        let tail = |texts: &[&str], lines| {
            let pieces = texts.iter().map(|text| piece(Stream::Output, text));
            let mut pieces: VecDeque<_> = pieces.collect();
            cut(&mut pieces, lines);
            let bytes = pieces.into_iter().flat_map(|piece| piece.bytes).collect();
            String::from_utf8(bytes).unwrap()
        };
        assert_eq!(tail(&["a\nb\n", "c", "c\n"], 1), "cc\n");
        assert_eq!(tail(&["a\nb\n", "c", "c\n"], 2), "b\ncc\n");
        assert_eq!(tail(&["a\nb\n", "cc"], 1), "cc");
        assert_eq!(tail(&["a\nb\n"], 9), "a\nb\n");
        assert_eq!(tail(&["a\nb\n"], 0), "");
        assert_eq!(tail(&[], 3), "");
    }

    #[test]
    fn a_line_has_its_time_in_front_once() {
        let (mut output, mut errors) = (Vec::new(), Vec::new());
        let mut printer = Printer::new(&mut output, &mut errors, true);
        let pieces = [
            piece(Stream::Output, "one\ntw"),
            piece(Stream::Error, "err\n"),
            piece(Stream::Output, "o\n"),
        ];
        printer.print_all(&mut pieces.into()).unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        insta::assert_snapshot!(text(output), @"
        2023-11-14T22:13:20.123Z one
        2023-11-14T22:13:20.123Z two
        ");
        insta::assert_snapshot!(text(errors), @"2023-11-14T22:13:20.123Z err");
    }
}
