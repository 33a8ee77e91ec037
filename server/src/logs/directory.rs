//! Logs in a directory of one server.
//!
//! ```text
//! ROOT/12000/12345-1/step-0            the head
//!                    step-0~3          segment 3 of the tail, of a log that is longer than the head
//!                    step-0~digests    of the full blocks, 32 bytes each, while it grows
//! ```
//! The length of the files is the truth; nothing else has to be written for a piece to count. What a power cut takes
//! is noticed by the checksum when the attempt is finished, until when the agent keeps everything.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use protocol::service::{AttemptId, BLOCK, BlockHasher, LogEnd, Missing, StreamInfo, StreamName};

use super::{LogError, Piece, Retention};

/// The directory. Cloning it is cheap.
#[derive(Debug, Clone)]
pub(crate) struct Directory {
    root: Arc<PathBuf>,
    retention: Retention,
    open: Arc<Mutex<HashMap<AttemptId, Streams>>>,
}

type Streams = HashMap<StreamName, Arc<Mutex<Option<Open>>>>;

/// A stream that is being written, as far as it has come. Only its one agent waits for its lock.
#[derive(Debug)]
struct Open {
    hasher: BlockHasher,
    /// Digests that are in the file.
    written_digests: usize,
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> LogError {
    let what = path.display().to_string();
    move |source| LogError::Storage {
        action,
        what,
        source,
    }
}

impl Directory {
    /// Makes the directory when it is not there.
    pub(crate) fn open(root: PathBuf, retention: Retention) -> Result<Self, LogError> {
        let mut private = fs::DirBuilder::new();
        private.recursive(true).mode(0o700);
        private.create(&root).map_err(failed("make", &root))?;
        Ok(Self {
            root: Arc::new(root),
            retention,
            open: Arc::default(),
        })
    }

    fn attempt(&self, id: AttemptId) -> PathBuf {
        const FAN: u64 = 1_000;
        let group = id.job.0 / FAN * FAN;
        self.root.join(group.to_string()).join(id.to_string())
    }

    fn files(&self, id: AttemptId, name: &StreamName) -> Files {
        Files {
            head: self.attempt(id).join(name.to_string()),
            retention: self.retention,
        }
    }

    fn stream(&self, id: AttemptId, name: &StreamName) -> Arc<Mutex<Option<Open>>> {
        let mut open = lock(&self.open);
        let streams = open.entry(id).or_default();
        Arc::clone(streams.entry(name.clone()).or_default())
    }

    pub(super) fn forget(&self, id: AttemptId) {
        lock(&self.open).remove(&id);
    }

    pub(super) fn append(
        &self,
        id: AttemptId,
        name: &StreamName,
        offset: u64,
        bytes: &[u8],
    ) -> Result<u64, LogError> {
        let stream = self.stream(id, name);
        let mut slot = lock(&stream);
        let files = self.files(id, name);
        let mut open = match slot.take() {
            Some(open) => open,
            None => files.resume()?,
        };
        let length = open.hasher.length();
        if offset > length {
            *slot = Some(open);
            return Err(LogError::Gap { next: length });
        }
        let known = usize::try_from(length - offset).unwrap_or(usize::MAX);
        let new = bytes.get(known..).unwrap_or_default();
        // On an error the slot stays empty: the next piece looks what is in the files.
        files.write(length, new)?;
        open.hasher.update(new);
        open.written_digests = files.write_digests(&open)?;
        let next = open.hasher.length();
        *slot = Some(open);
        Ok(next)
    }

    pub(super) fn complete(
        &self,
        id: AttemptId,
        ends: &[LogEnd],
    ) -> Result<Result<Vec<StreamInfo>, Vec<Missing>>, LogError> {
        let mut missing = Vec::new();
        let mut infos = Vec::with_capacity(ends.len());
        for end in ends {
            let stream = self.stream(id, &end.name);
            let mut slot = lock(&stream);
            let files = self.files(id, &end.name);
            let open = match slot.take() {
                Some(open) => open,
                None => files.resume()?,
            };
            let length = open.hasher.length();
            let is_same = length == end.length && open.hasher.checksum() == end.checksum;
            if is_same {
                files.sync(length)?;
                infos.push(files.info(&end.name, length, true)?);
                *slot = Some(open);
            } else if length < end.length {
                missing.push(Missing {
                    log: Some(end.name.clone()),
                    from: length,
                });
                *slot = Some(open);
            } else {
                tracing::warn!(%id, name = %end.name, "a log differed from its agent's and is thrown away");
                files.remove()?;
                missing.push(Missing {
                    log: Some(end.name.clone()),
                    from: 0,
                });
            }
        }
        if !missing.is_empty() {
            return Ok(Err(missing));
        }
        if !ends.is_empty() {
            let directory = self.attempt(id);
            File::open(&directory)
                .and_then(|directory| directory.sync_all())
                .map_err(failed("write to the disk", &directory))?;
        }
        Ok(Ok(infos))
    }

    pub(super) fn list(&self, id: AttemptId) -> Result<Vec<StreamInfo>, LogError> {
        let directory = self.attempt(id);
        let entries = match fs::read_dir(&directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(failed("read", &directory))?,
        };
        let mut infos = Vec::new();
        for entry in entries {
            let entry = entry.map_err(failed("read", &directory))?;
            let name = entry.file_name();
            if let Some(name) = name.to_str().and_then(|name| name.parse().ok()) {
                infos.push(self.info(id, &name)?);
            }
        }
        infos.sort_by(|one: &StreamInfo, other| one.name.cmp(&other.name));
        Ok(infos)
    }

    pub(super) fn info(&self, id: AttemptId, name: &StreamName) -> Result<StreamInfo, LogError> {
        let files = self.files(id, name);
        if !files.head.exists() {
            return Err(LogError::NotFound);
        }
        let length = files.length()?;
        files.info(name, length, false)
    }

    pub(super) fn read(
        &self,
        id: AttemptId,
        name: &StreamName,
        offset: u64,
        most: usize,
    ) -> Result<Piece, LogError> {
        let files = self.files(id, name);
        let (path, start, end) = match self.retention.segment_of(offset) {
            None => (files.head.clone(), 0, self.retention.head()),
            Some(segment) => {
                let start = self.retention.start_of(segment);
                let path = files.segment(segment);
                (path, start, start + self.retention.segment())
            }
        };
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return self.nothing(id, name, offset);
            }
            Err(error) => return Err(failed("open", &path)(error)),
        };
        let most = most.min(usize::try_from(end - offset).unwrap_or(usize::MAX));
        let length = file.metadata().map_err(failed("look at", &path))?.len();
        let left = (start + length).saturating_sub(offset);
        let mut bytes = vec![0; most.min(usize::try_from(left).unwrap_or(usize::MAX))];
        file.read_exact_at(&mut bytes, offset - start)
            .map_err(failed("read", &path))?;
        let bytes = Bytes::from(bytes);
        Ok(Piece { offset, bytes })
    }

    /// Why there is nothing at an offset.
    fn nothing(&self, id: AttemptId, name: &StreamName, offset: u64) -> Result<Piece, LogError> {
        let info = self.info(id, name)?;
        match info.cut_to.filter(|cut_to| offset < *cut_to) {
            Some(next) => Err(LogError::Cut { next }),
            None => Ok(Piece {
                offset,
                bytes: Bytes::new(),
            }),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The files of one stream.
#[derive(Debug)]
struct Files {
    head: PathBuf,
    retention: Retention,
}

impl Files {
    fn beside(&self, what: impl std::fmt::Display) -> PathBuf {
        let mut path = self.head.clone().into_os_string();
        path.push(format!("~{what}"));
        path.into()
    }

    fn segment(&self, segment: u64) -> PathBuf {
        self.beside(segment)
    }

    fn digests(&self) -> PathBuf {
        self.beside("digests")
    }

    /// Segments that are there, sorted. A log that is no longer than its head has none, and is not searched for.
    fn segments(&self) -> Result<Vec<u64>, LogError> {
        let (Some(directory), Some(name)) = (self.head.parent(), self.head.file_name()) else {
            return Ok(Vec::new());
        };
        let head = match fs::metadata(&self.head) {
            Ok(head) => head.len(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
            Err(error) => return Err(failed("look at", &self.head)(error)),
        };
        if head < self.retention.head() {
            return Ok(Vec::new());
        }
        let mut segments = Vec::new();
        for entry in fs::read_dir(directory).map_err(failed("read", directory))? {
            let entry = entry.map_err(failed("read", directory))?.file_name();
            let (Some(entry), Some(name)) = (entry.to_str(), name.to_str()) else {
                continue;
            };
            let number = entry
                .strip_prefix(name)
                .and_then(|rest| rest.strip_prefix('~'));
            segments.extend(number.and_then(|number| number.parse::<u64>().ok()));
        }
        segments.sort_unstable();
        Ok(segments)
    }

    fn length(&self) -> Result<u64, LogError> {
        let (path, start) = match self.segments()?.last() {
            None => (self.head.clone(), 0),
            Some(last) => (self.segment(*last), self.retention.start_of(*last)),
        };
        match fs::metadata(&path) {
            Ok(file) => Ok(start + file.len()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(start),
            Err(error) => Err(failed("look at", &path)(error)),
        }
    }

    fn info(&self, name: &StreamName, length: u64, complete: bool) -> Result<StreamInfo, LogError> {
        let first = self.segments()?.first().copied();
        let cut = first
            .filter(|first| *first > 0)
            .map(|first| (self.retention.head(), self.retention.start_of(first)));
        let (cut_from, cut_to) = cut.unzip();
        Ok(StreamInfo {
            name: name.clone(),
            length,
            complete,
            cut_from,
            cut_to,
        })
    }

    /// Looks how far a stream has come: reads what is behind the last digest that was kept.
    fn resume(&self) -> Result<Open, LogError> {
        let length = self.length()?;
        let path = self.digests();
        let digests = match fs::read(&path) {
            Ok(digests) => digests,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(failed("read", &path)(error)),
        };
        let full = usize::try_from(length).unwrap_or(usize::MAX) / BLOCK;
        let digests: Vec<[u8; 32]> = digests
            .chunks_exact(32)
            .filter_map(|digest| digest.try_into().ok())
            .take(full)
            .collect();
        let written_digests = digests.len();
        let mut hasher = BlockHasher::behind(digests);
        let mut buffer = vec![0; 256 << 10];
        while hasher.length() < length {
            let read = self.read_at(hasher.length(), &mut buffer)?;
            if read == 0 {
                // What is needed was thrown away: only the agent can help.
                self.remove()?;
                return Ok(Open {
                    hasher: BlockHasher::new(),
                    written_digests: 0,
                });
            }
            hasher.update(&buffer[..read]);
        }
        Ok(Open {
            hasher,
            written_digests,
        })
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, LogError> {
        let (path, start, end) = match self.retention.segment_of(offset) {
            None => (self.head.clone(), 0, self.retention.head()),
            Some(segment) => {
                let start = self.retention.start_of(segment);
                let path = self.segment(segment);
                (path, start, start + self.retention.segment())
            }
        };
        let most = buffer
            .len()
            .min(usize::try_from(end - offset).unwrap_or(usize::MAX));
        match File::open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
            file => file
                .and_then(|file| file.read_at(&mut buffer[..most], offset - start))
                .map_err(failed("read", &path)),
        }
    }

    /// Writes behind the end, and throws away what is not kept.
    fn write(&self, length: u64, mut bytes: &[u8]) -> Result<(), LogError> {
        let mut offset = length;
        if bytes.is_empty() && length > 0 {
            return Ok(());
        }
        if length == 0
            && let Some(directory) = self.head.parent()
        {
            fs::create_dir_all(directory).map_err(failed("make", directory))?;
        }
        loop {
            let (path, start, end) = match self.retention.segment_of(offset) {
                None => (self.head.clone(), 0, self.retention.head()),
                Some(segment) => {
                    let start = self.retention.start_of(segment);
                    if offset == start {
                        self.throw_away(segment)?;
                    }
                    let path = self.segment(segment);
                    (path, start, start + self.retention.segment())
                }
            };
            let room = usize::try_from(end - offset).unwrap_or(usize::MAX);
            let (now, rest) = bytes.split_at(bytes.len().min(room));
            let mut file = OpenOptions::new()
                .append(true)
                .create(true)
                .open(&path)
                .map_err(failed("open", &path))?;
            if let Err(error) = file.write_all(now) {
                // Half a piece would be counted; when this fails as well, the checksum finds it.
                if let Err(error) = file.set_len(offset - start) {
                    tracing::error!(%error, path = %path.display(), "a piece that was not written stays");
                }
                return Err(failed("write", &path)(error));
            }
            offset += now.len() as u64;
            bytes = rest;
            if bytes.is_empty() {
                return Ok(());
            }
        }
    }

    /// Deletes segments that are not kept while this one is written.
    fn throw_away(&self, segment: u64) -> Result<(), LogError> {
        let first = self.retention.first_kept(segment);
        for old in (0..first).rev() {
            let path = self.segment(old);
            match fs::remove_file(&path) {
                Ok(()) => {}
                // Those before it went before it.
                Err(error) if error.kind() == io::ErrorKind::NotFound => break,
                Err(error) => return Err(failed("delete", &path)(error)),
            }
        }
        Ok(())
    }

    /// Keeps the digests of blocks that have become full. How many there are now is returned.
    fn write_digests(&self, open: &Open) -> Result<usize, LogError> {
        let full = open.hasher.full_blocks();
        let new = full.get(open.written_digests..).unwrap_or_default();
        if !new.is_empty() {
            let path = self.digests();
            OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(false)
                .open(&path)
                .and_then(|file| {
                    file.write_all_at(new.as_flattened(), open.written_digests as u64 * 32)
                })
                .map_err(failed("write", &path))?;
        }
        Ok(full.len())
    }

    /// What is kept survives a power cut from now on.
    fn sync(&self, length: u64) -> Result<(), LogError> {
        let segments = self.segments()?;
        let segments = segments.into_iter().map(|segment| self.segment(segment));
        for path in std::iter::once(self.head.clone()).chain(segments) {
            let file = match File::open(&path) {
                // An empty log is kept as an empty file.
                Err(error) if error.kind() == io::ErrorKind::NotFound && length == 0 => {
                    self.write(0, &[])?;
                    continue;
                }
                file => file.map_err(failed("open", &path))?,
            };
            file.sync_data()
                .map_err(failed("write to the disk", &path))?;
        }
        Ok(())
    }

    /// Throws everything away.
    fn remove(&self) -> Result<(), LogError> {
        let segments = self.segments()?;
        let segments = segments.into_iter().map(|segment| self.segment(segment));
        for path in segments.chain([self.digests(), self.head.clone()]) {
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(failed("delete", &path)(error));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "directory_tests.rs"]
mod tests;
