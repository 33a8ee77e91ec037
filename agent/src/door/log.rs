//! What a container's command wrote, kept for `agent logs`: pieces as they came, each with its stream and its time.
//!
//! ```text
//! piece: stream (1 byte: 1 or 2), 3 bytes of zeroes, length (u32), Unix milliseconds (u64), bytes; integers little-endian
//! ```
//! A file that is full becomes `log.1`, in the place of the one before: of a command that writes without end the last is
//! kept, and the disk does not fill.

use std::fs::{self, File};
use std::io::{self, IoSlice, Read as _, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::DoorError;
use crate::clock;

/// The file that is written to.
const CURRENT: &str = "log";
/// The one before.
const BEFORE: &str = "log.1";
/// A file with so many bytes is full.
const FULL: u64 = 32 << 20;
/// Bytes in front of a piece.
const HEAD: usize = 16;
/// A length beyond this is no piece of ours.
const LONGEST: usize = 16 << 20;

/// Where something was written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stream {
    /// Standard output, or a terminal.
    Output,
    /// Standard error.
    Error,
}

/// The log of a running container.
#[derive(Debug)]
pub(super) struct Log {
    directory: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    file: File,
    written: u64,
    /// Why nothing more is written.
    broken: Option<io::Error>,
}

impl Log {
    /// Begins it in a container's directory.
    pub(super) fn create(directory: &Path) -> Result<Self, DoorError> {
        let path = directory.join(CURRENT);
        let file = create(&path).map_err(DoorError::disk("make", &path))?;
        Ok(Self {
            directory: directory.to_owned(),
            state: Mutex::new(State {
                file,
                written: 0,
                broken: None,
            }),
        })
    }

    /// Adds what came. A disk that is full ends the log and not the container.
    pub(super) fn add(&self, stream: Stream, bytes: &[u8]) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.broken.is_none()
            && let Err(error) = state.add(&self.directory, stream, bytes)
        {
            state.broken = Some(error);
        }
    }

    /// Why the log is not complete, if it is not.
    pub(super) fn broken(&self) -> Option<io::Error> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.broken.take()
    }
}

impl State {
    fn add(&mut self, directory: &Path, stream: Stream, bytes: &[u8]) -> io::Result<()> {
        if self.written >= FULL {
            let current = directory.join(CURRENT);
            fs::rename(&current, directory.join(BEFORE))?;
            self.file = create(&current)?;
            self.written = 0;
        }
        let head = head(stream, bytes.len(), clock::unix_ms());
        let mut slices = [IoSlice::new(&head), IoSlice::new(bytes)];
        let mut rest = &mut slices[..];
        while !rest.is_empty() {
            match self.file.write_vectored(rest) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => IoSlice::advance_slices(&mut rest, written),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.written += (HEAD + bytes.len()) as u64;
        Ok(())
    }
}

fn create(path: &Path) -> io::Result<File> {
    File::options().create_new(true).append(true).open(path)
}

fn head(stream: Stream, length: usize, time: u64) -> [u8; HEAD] {
    let mut head = [0; HEAD];
    head[0] = match stream {
        Stream::Output => 1,
        Stream::Error => 2,
    };
    // A piece is what one read gave: far below 4 GiB.
    head[4..8].copy_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes());
    head[8..].copy_from_slice(&time.to_le_bytes());
    head
}

/// What came in one go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) stream: Stream,
    /// Unix milliseconds.
    pub(super) time: u64,
    pub(super) bytes: Vec<u8>,
}

/// Reads a log that may still be written to.
#[derive(Debug)]
pub(super) struct LogReader {
    directory: PathBuf,
    /// The first one is read; the others follow.
    files: Vec<File>,
    /// Read, and not yet a whole piece.
    rest: Vec<u8>,
}

impl LogReader {
    /// Opens the log of a container's directory at its beginning; one that has not begun is empty.
    pub(super) fn open(directory: &Path) -> io::Result<Self> {
        // In this order: when the files change places in between, the older one is lost to us, and nothing comes twice.
        let before = open(&directory.join(BEFORE))?;
        let current = open(&directory.join(CURRENT))?;
        Ok(Self {
            directory: directory.to_owned(),
            files: before.into_iter().chain(current).collect(),
            rest: Vec::new(),
        })
    }

    /// The next piece; `None` when there is none yet.
    pub(super) fn next(&mut self) -> io::Result<Option<Piece>> {
        loop {
            if let Some(piece) = self.piece()? {
                return Ok(Some(piece));
            }
            let Some(file) = self.files.first_mut() else {
                match open(&self.directory.join(CURRENT))? {
                    Some(file) => self.files.push(file),
                    None => return Ok(None),
                }
                continue;
            };
            let mut bytes = vec![0; 64 << 10];
            let read = file.read(&mut bytes)?;
            self.rest.extend_from_slice(&bytes[..read]);
            if read == 0 && !self.turn()? {
                return Ok(None);
            }
        }
    }

    /// At the end of a file: goes on with the one that was begun after it, if there is one.
    fn turn(&mut self) -> io::Result<bool> {
        if self.files.len() == 1 {
            let Some(newest) = open(&self.directory.join(CURRENT))? else {
                return Ok(false);
            };
            if identity(&newest)? == identity(&self.files[0])? {
                return Ok(false);
            }
            self.files.push(newest);
            // What was written between our last look and the change.
            return Ok(true);
        }
        let mut bytes = Vec::new();
        self.files[0].read_to_end(&mut bytes)?;
        if bytes.is_empty() {
            self.files.remove(0);
            // A piece is never in two files.
            self.rest.clear();
        } else {
            self.rest.extend(bytes);
        }
        Ok(true)
    }

    fn piece(&mut self) -> io::Result<Option<Piece>> {
        let Some((head, behind)) = self.rest.split_first_chunk::<HEAD>() else {
            return Ok(None);
        };
        let stream = match head[0] {
            1 => Stream::Output,
            2 => Stream::Error,
            _ => return Err(io::Error::other("it is no log of ours")),
        };
        let [_, _, _, _, a, b, c, d, time @ ..] = *head;
        let length = usize::try_from(u32::from_le_bytes([a, b, c, d])).unwrap_or(usize::MAX);
        if length > LONGEST {
            return Err(io::Error::other("it is no log of ours"));
        }
        let Some(bytes) = behind.get(..length) else {
            return Ok(None);
        };
        let piece = Piece {
            stream,
            time: u64::from_le_bytes(time),
            bytes: bytes.to_vec(),
        };
        self.rest.drain(..HEAD + length);
        Ok(Some(piece))
    }
}

fn open(path: &Path) -> io::Result<Option<File>> {
    match File::open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn identity(file: &File) -> io::Result<(u64, u64)> {
    let meta = file.metadata()?;
    Ok((meta.dev(), meta.ino()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(reader: &mut LogReader) -> Vec<String> {
        std::iter::from_fn(|| reader.next().unwrap())
            .map(|piece| {
                format!(
                    "{:?} {}",
                    piece.stream,
                    String::from_utf8_lossy(&piece.bytes)
                )
            })
            .collect()
    }

    #[test]
    fn what_is_written_is_read_while_it_comes() {
        let directory = tempfile::tempdir().unwrap();
        let mut early = LogReader::open(directory.path()).unwrap();
        assert_eq!(texts(&mut early), Vec::<String>::new());
        let log = Log::create(directory.path()).unwrap();
        log.add(Stream::Output, b"one");
        log.add(Stream::Error, b"two\n");
        assert_eq!(texts(&mut early), ["Output one", "Error two\n"]);
        log.add(Stream::Output, b"three");
        assert_eq!(texts(&mut early), ["Output three"]);
        // Half a piece is none yet.
        let mut file = File::options()
            .append(true)
            .open(directory.path().join(CURRENT))
            .unwrap();
        file.write_all(&head(Stream::Output, 4, 0)).unwrap();
        assert_eq!(texts(&mut early), Vec::<String>::new());
        file.write_all(b"four").unwrap();
        assert_eq!(texts(&mut early), ["Output four"]);
    }

    #[test]
    fn a_log_without_end_keeps_its_end() {
        let directory = tempfile::tempdir().unwrap();
        let log = Log::create(directory.path()).unwrap();
        let mut follower = LogReader::open(directory.path()).unwrap();
        let piece = vec![b'x'; 8 << 20];
        for number in 0..10_u8 {
            log.add(Stream::Output, &piece);
            log.add(Stream::Output, &[number]);
            // Who reads along loses nothing.
            let read: Vec<_> = std::iter::from_fn(|| follower.next().unwrap()).collect();
            assert_eq!(read.len(), 2, "{number}");
            assert_eq!(read[1].bytes, [number]);
        }
        assert!(log.broken().is_none());
        let mut reader = LogReader::open(directory.path()).unwrap();
        let lengths: Vec<_> = std::iter::from_fn(|| reader.next().unwrap())
            .map(|piece| piece.bytes.len())
            .collect();
        assert!((8..16).contains(&lengths.len()), "{lengths:?}");
        let size = |name| fs::metadata(directory.path().join(name)).unwrap().len();
        assert!(size(CURRENT) + size(BEFORE) < 2 * FULL + (16 << 20));
    }

    #[test]
    fn what_is_no_log_is_not_believed() {
        let directory = tempfile::tempdir().unwrap();
        for bytes in [
            &[7; 64][..],
            &[1, 0, 0, 0, 255, 255, 255, 255, 0, 0, 0, 0, 0, 0, 0, 0],
        ] {
            fs::write(directory.path().join(CURRENT), bytes).unwrap();
            assert!(LogReader::open(directory.path()).unwrap().next().is_err());
        }
    }
}
