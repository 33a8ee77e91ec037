//! Sends what an attempt has left on the disk to the server.
//!
//! ```text
//! round:  how long is the file of events now? --> every log up to its length now --> the events up to there
//! ```
//! In this order the server has every byte of a step's log before it hears that the step is over.
//! Nothing is kept in memory: the disk has it, and how far the server is it says itself.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::PathBuf;

use protocol::Event;
use protocol::service::{
    AttemptId, BlockHasher, Checksum, EventBatch, EventsKept, LogEnd, LogKept, Missing,
    ProblemCode, StreamName, limits, path,
};

use tokio::sync::watch;

use crate::attempt::{Spool, SpoolError};
use crate::source::{CallError, Client, persist};

/// Bytes of a log that are sent at once. A block of its checksum.
const PIECE: u64 = 1 << 20;

/// Bytes of events that are read at once. Proxies take bodies of 1 MiB where nobody has told them otherwise.
const EVENTS_PIECE: u64 = 768 << 10;

/// Why a cache is not kept whose job is to stop.
const CANCELLED: &str = "the job was cancelled before all of it was sent";

/// Why sending ends early.
#[derive(Debug, thiserror::Error)]
pub(super) enum UploadError {
    /// The attempt is another's, or over.
    #[error("the attempt is no longer this agent's: {0}")]
    Fenced(#[source] CallError),
    /// The server refuses something else, and would again.
    #[error("the server refuses what the job has left: {0}")]
    Refused(#[source] CallError),
    /// The spool cannot be read.
    #[error(transparent)]
    Spool(#[from] SpoolError),
    /// Likewise.
    #[error("failed to read {path}: {source}", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl UploadError {
    pub(super) fn of(error: CallError) -> Self {
        match error.code() {
            Some(ProblemCode::Fenced | ProblemCode::NotFound) => Self::Fenced(error),
            _ => Self::Refused(error),
        }
    }
}

/// How far one stream is.
#[derive(Debug, Default)]
struct Stream {
    /// Where the server is.
    sent: u64,
    /// Of the bytes from the beginning on.
    hasher: BlockHasher,
}

/// Sends the spool of one attempt.
#[derive(Debug)]
pub(super) struct Upload {
    client: Client,
    id: AttemptId,
    spool: Spool,
    streams: BTreeMap<StreamName, Stream>,
    /// The number of the next event, and where its line begins.
    events: (u64, u64),
    /// Caches that the server does not take, or that are left out, and why. No job ends another way for one.
    refused: BTreeMap<StreamName, String>,
    /// Somebody wants the job to stop: nobody waits for what only later jobs have something of.
    cancelled: watch::Receiver<bool>,
}

impl Upload {
    /// Once it is `cancelled`, caches that are not sent yet are left out.
    pub(super) fn new(
        client: &Client,
        id: AttemptId,
        spool: &Spool,
        cancelled: watch::Receiver<bool>,
    ) -> Self {
        Self {
            client: client.clone(),
            id,
            spool: spool.clone(),
            streams: BTreeMap::new(),
            events: (0, 0),
            refused: BTreeMap::new(),
            cancelled,
        }
    }

    /// Sends what is there now; answers how many bytes that were.
    pub(super) async fn round(&mut self) -> Result<u64, UploadError> {
        let events_end = length(self.spool.events())?;
        let mut bytes = 0;
        for name in self.spool.logs()? {
            if self.refused.contains_key(&name) {
                continue;
            }
            let sent = match name.is_cache() {
                true => {
                    let mut cancelled = self.cancelled.clone();
                    tokio::select! {
                        biased;
                        Ok(_) = cancelled.wait_for(|cancelled| *cancelled) => {
                            self.refused.insert(name, CANCELLED.to_owned());
                            continue;
                        }
                        sent = self.log(&name) => sent,
                    }
                }
                false => self.log(&name).await,
            };
            match sent {
                Ok(sent) => bytes += sent,
                Err(UploadError::Refused(error)) if name.is_cache() => {
                    tracing::warn!(job = %self.id, %name, %error, "a cache is left out");
                    self.refused.insert(name, error.to_string());
                }
                Err(error) => return Err(error),
            }
        }
        bytes += self.events(events_end).await?;
        Ok(bytes)
    }

    /// Caches that the server does not take, or that are left out, and why.
    pub(super) const fn refused(&self) -> &BTreeMap<StreamName, String> {
        &self.refused
    }

    /// What the server must have in the end, from what is on the disk.
    pub(super) async fn ends(&mut self) -> Result<(u64, Vec<LogEnd>), UploadError> {
        let mut logs = Vec::new();
        let mut names = self.spool.logs()?;
        names.retain(|name| !self.refused.contains_key(name));
        for name in names {
            let path = self.spool.log(&name);
            let stream = self.streams.entry(name.clone()).or_default();
            let hasher = std::mem::take(&mut stream.hasher);
            let (hasher, length, checksum) =
                blocking(path, move |path| whole(hasher, path)).await?;
            stream.hasher = hasher;
            logs.push(LogEnd {
                name,
                length,
                checksum,
            });
        }
        Ok((self.events.0, logs))
    }

    /// Goes back to where the server says that something lacks.
    pub(super) fn rewind(&mut self, missing: &[Missing]) {
        for Missing { log, from } in missing {
            match log {
                Some(name) => self.streams.entry(name.clone()).or_default().sent = *from,
                // Lines are counted from the beginning.
                None => self.events = (0, 0),
            }
        }
    }

    async fn log(&mut self, name: &StreamName) -> Result<u64, UploadError> {
        let path = self.spool.log(name);
        let end = length(path.clone())?;
        let address = path::of_log(path::LOG, self.id, name);
        let is_new = !self.streams.contains_key(name);
        let stream = self.streams.entry(name.clone()).or_default();
        let mut total = 0;
        // An empty log is one, too.
        let mut is_due = is_new && end == 0;
        while stream.sent < end || is_due {
            is_due = false;
            let (from, most) = (stream.sent, (end - stream.sent).min(PIECE));
            let piece = blocking(path.clone(), move |path| piece(path, from, most)).await?;
            let count = piece.len() as u64;
            let sending = persist("log", || {
                self.client.patch::<LogKept>(&address, from, piece.clone())
            });
            match sending.await {
                Ok(kept) => {
                    if stream.hasher.length() == from {
                        stream.hasher.update(&piece);
                    }
                    total += count;
                    stream.sent = kept.next;
                    if count == 0 || kept.next < from {
                        break;
                    }
                }
                Err(error) => match error.problem() {
                    Some(problem) if problem.code == ProblemCode::Offset => {
                        let next = problem.next.unwrap_or_default();
                        // What is longer there than here is settled at the end, by its checksum.
                        stream.sent = next.min(end);
                        if next == from {
                            return Err(UploadError::of(error));
                        }
                    }
                    _ => return Err(UploadError::of(error)),
                },
            }
        }
        Ok(total)
    }

    async fn events(&mut self, end: u64) -> Result<u64, UploadError> {
        let address = path::of_attempt(path::EVENTS, self.id);
        let mut total = 0;
        while self.events.1 < end {
            let (first, offset) = self.events;
            let file = self.spool.events();
            let most = (end - offset).min(EVENTS_PIECE);
            let bytes = blocking(file.clone(), move |path| piece(path, offset, most)).await?;
            let Lines { events, length } =
                lines(&bytes).map_err(|source| UploadError::Read { path: file, source })?;
            if events.is_empty() {
                // The last line is not whole: its writer was killed, or is at it.
                break;
            }
            let count = events.len() as u64;
            let batch = EventBatch { first, events };
            let sending = persist("events", || {
                self.client.post::<EventsKept>(&address, &batch)
            });
            match sending.await {
                Ok(_) => {
                    total += length;
                    self.events = (first + count, offset + length);
                }
                Err(error) => match error.problem() {
                    Some(problem) if problem.code == ProblemCode::Gap && first > 0 => {
                        self.events = (0, 0);
                    }
                    _ => return Err(UploadError::of(error)),
                },
            }
        }
        Ok(total)
    }
}

/// Whole lines.
struct Lines {
    events: Vec<Event>,
    /// Of these lines, bytes.
    length: u64,
}

/// The events of the lines that are whole, up to as many as may be sent at once.
fn lines(bytes: &[u8]) -> io::Result<Lines> {
    let mut all = Lines {
        events: Vec::new(),
        length: 0,
    };
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        let Some(text) = line.strip_suffix(b"\n") else {
            break;
        };
        if all.events.len() == limits::EVENT_BATCH {
            break;
        }
        all.events.push(serde_json::from_slice(text)?);
        all.length += line.len() as u64;
    }
    Ok(all)
}

/// The length of a file; 0 where there is none.
fn length(path: PathBuf) -> Result<u64, UploadError> {
    match std::fs::metadata(&path) {
        Ok(metadata) => Ok(metadata.len()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
        Err(source) => Err(UploadError::Read { path, source }),
    }
}

fn piece(path: &PathBuf, from: u64, most: u64) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(from))?;
    let mut bytes = Vec::with_capacity(usize::try_from(most).unwrap_or_default());
    file.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Goes on to the end of a file.
fn whole(mut hasher: BlockHasher, path: &PathBuf) -> io::Result<(BlockHasher, u64, Checksum)> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(hasher.length()))?;
    let mut buffer = vec![0; 256 << 10];
    loop {
        match file.read(&mut buffer)? {
            0 => break,
            count => hasher.update(&buffer[..count]),
        }
    }
    let (length, checksum) = (hasher.length(), hasher.checksum());
    Ok((hasher, length, checksum))
}

/// Does something with a file that would hold everything else up.
async fn blocking<T: Send + 'static>(
    path: PathBuf,
    work: impl FnOnce(&PathBuf) -> io::Result<T> + Send + 'static,
) -> Result<T, UploadError> {
    let at = path.clone();
    let done = tokio::task::spawn_blocking(move || work(&path)).await;
    let done = done.unwrap_or_else(|error| Err(io::Error::other(error)));
    done.map_err(|source| UploadError::Read { path: at, source })
}
