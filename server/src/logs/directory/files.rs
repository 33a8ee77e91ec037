//! The files of one stream: where its bytes are.
//!
//! How long the head and the segments are was decided when the stream became longer than its head, and is to be seen from the
//! head's length: another setting since then changes nothing about it.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;

use bytes::Bytes;
use protocol::service::{BLOCK, StreamInfo, StreamName};

use super::super::retention::LEAST;
use super::disk::Disk;
use super::{LogError, Retention, failed};

/// Where they are.
#[derive(Debug)]
pub(super) struct Files {
    head: PathBuf,
    retention: Retention,
}

/// How far a stream is, and how it is cut up.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    pub(super) retention: Retention,
    pub(super) length: u64,
    /// Segments that are there, sorted.
    pub(super) segments: Vec<u64>,
}

/// The length of a file, where there is one.
fn length_of(path: &PathBuf) -> Result<Option<u64>, LogError> {
    match fs::metadata(path) {
        Ok(file) => Ok(Some(file.len())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed("look at", path)(error)),
    }
}

fn remove_file(path: &PathBuf) -> Result<bool, LogError> {
    match fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(failed("delete", path)(error)),
    }
}

impl Files {
    /// `retention` holds for what is not longer than its head yet.
    pub(super) const fn new(head: PathBuf, retention: Retention) -> Self {
        Self { head, retention }
    }

    /// What holds for a new stream.
    pub(super) const fn retention(&self) -> Retention {
        self.retention
    }

    fn beside(&self, what: impl std::fmt::Display) -> PathBuf {
        let mut path = self.head.clone().into_os_string();
        path.push(format!("~{what}"));
        path.into()
    }

    fn sealed(&self) -> PathBuf {
        self.beside("sealed")
    }

    /// How far it is; `None` is not at all.
    pub(super) fn layout(&self) -> Result<Option<Layout>, LogError> {
        let Some(head) = length_of(&self.head)? else {
            return Ok(None);
        };
        // One that is shorter than any head has no segments, and they are not searched for.
        let segments = match head < LEAST / 2 {
            true => Vec::new(),
            false => self.segments()?,
        };
        let retention = match segments.is_empty() && head <= self.retention.head() {
            true => self.retention,
            false => Retention::of_head(head),
        };
        let length = match segments.last() {
            None => head,
            Some(last) => {
                let file = length_of(&self.beside(last))?.unwrap_or(0);
                retention.start_of(*last) + file
            }
        };
        Ok(Some(Layout {
            retention,
            length,
            segments,
        }))
    }

    fn segments(&self) -> Result<Vec<u64>, LogError> {
        let (Some(directory), Some(name)) = (self.head.parent(), self.head.file_name()) else {
            return Ok(Vec::new());
        };
        let mut segments = Vec::new();
        let entries = match fs::read_dir(directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(segments),
            entries => entries.map_err(failed("read", directory))?,
        };
        for entry in entries {
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

    /// All that have bytes of it.
    pub(super) fn paths(&self) -> Result<Vec<PathBuf>, LogError> {
        let segments = self.layout()?.map(|layout| layout.segments);
        let segments = segments.unwrap_or_default().into_iter();
        let segments = segments.map(|segment| self.beside(segment));
        Ok(std::iter::once(self.head.clone()).chain(segments).collect())
    }

    pub(super) fn info(&self, name: &StreamName, complete: bool) -> Result<StreamInfo, LogError> {
        let Some(layout) = self.layout()? else {
            return Err(LogError::NotFound);
        };
        let first = layout.segments.first().filter(|first| **first > 0);
        let cut = first.map(|first| (layout.retention.head(), layout.retention.start_of(*first)));
        let (cut_from, cut_to) = cut.unzip();
        Ok(StreamInfo {
            name: name.clone(),
            length: layout.length,
            complete,
            cut_from,
            cut_to,
        })
    }

    /// The file that a byte is in, where that starts and where it has to end.
    fn place(&self, retention: Retention, offset: u64) -> (PathBuf, u64, u64) {
        match retention.segment_of(offset) {
            None => (self.head.clone(), 0, retention.head()),
            Some(segment) => {
                let start = retention.start_of(segment);
                (self.beside(segment), start, start + retention.segment())
            }
        }
    }

    /// Bytes from an offset on, up to the end of the file that they are in; none where there are none.
    pub(super) fn read(&self, offset: u64, most: usize) -> Result<Bytes, LogError> {
        let bytes = read_file(&self.head, offset, most)?;
        if !bytes.is_empty() || offset < LEAST / 2 {
            return Ok(bytes);
        }
        match self.layout()? {
            Some(layout) if offset >= layout.retention.head() => {
                let (path, start, _) = self.place(layout.retention, offset);
                read_file(&path, offset - start, most)
            }
            _ => Ok(bytes),
        }
    }

    /// Writes at the end, which this is, whatever is there: into one file. How many bytes found their place there is returned.
    pub(super) fn write(
        &self,
        retention: Retention,
        offset: u64,
        bytes: &[u8],
    ) -> Result<usize, LogError> {
        if offset == 0
            && let Some(directory) = self.head.parent()
        {
            fs::create_dir_all(directory).map_err(failed("make", directory))?;
            // What is left of one whose head the disk has lost is not of this one.
            self.remove()?;
        }
        let (path, start, end) = self.place(retention, offset);
        let room = usize::try_from(end - offset).unwrap_or(usize::MAX);
        let now = &bytes[..bytes.len().min(room)];
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(failed("open", &path))?;
        if let Err(error) = file.write_all_at(now, offset - start) {
            // Half a piece would be counted; when this fails as well, the checksum finds it.
            if let Err(error) = file.set_len(offset - start) {
                tracing::error!(%error, path = %path.display(), "a piece that was not written stays");
            }
            return Err(failed("write", &path)(error));
        }
        Ok(now.len())
    }

    /// Makes everything durable, as it was when the disk had lost so much, and then the digests of its full blocks, of which `known`
    /// are in the file already.
    pub(super) fn seal(
        &self,
        disk: &Disk,
        losses: u64,
        digests: &[[u8; 32]],
        known: usize,
    ) -> Result<(), LogError> {
        for path in self.paths()? {
            let written = disk.write_out(&path);
            written.map_err(failed("write to the disk", &path))?;
        }
        disk.write_out_all()
            .and_then(|()| disk.has_lost_only(losses))
            .map_err(failed("write to the disk", &self.head))?;
        let path = self.sealed();
        let new = digests.get(known..).unwrap_or_default();
        OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .and_then(|file| file.write_all_at(new.as_flattened(), known as u64 * 32))
            .and_then(|()| disk.write_out(&path))
            .map_err(failed("write", &path))?;
        let Some(directory) = self.head.parent() else {
            return Ok(());
        };
        let written = disk.write_out_directory(directory);
        written.map_err(failed("write to the disk", directory))
    }

    /// The digests of blocks that are durable.
    pub(super) fn sealed_digests(&self) -> Result<Vec<[u8; 32]>, LogError> {
        let path = self.sealed();
        let digests = match fs::read(&path) {
            Ok(digests) => digests,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(failed("read", &path)(error)),
        };
        let digests = digests.chunks_exact(32);
        Ok(digests
            .filter_map(|digest| digest.try_into().ok())
            .collect())
    }

    /// Deletes segments that are not kept while this one is written.
    pub(super) fn throw_away(&self, retention: Retention, segment: u64) -> Result<(), LogError> {
        for old in (0..retention.first_kept(segment)).rev() {
            // Those before it went before it.
            if !remove_file(&self.beside(old))? {
                break;
            }
        }
        Ok(())
    }

    /// Cuts off what was not made durable, since nobody knows whether it is on the disk: what is behind what is sealed, and behind
    /// the first `durable` bytes.
    pub(super) fn cut(&self, durable: u64) -> Result<(), LogError> {
        let sealed = self.sealed_digests()?.len() as u64 * BLOCK as u64;
        let length = sealed.max(durable);
        let Some(layout) = self.layout()?.filter(|layout| layout.length >= length) else {
            return self.remove();
        };
        if length == 0 {
            return self.remove();
        }
        let (path, start, _) = self.place(layout.retention, length);
        let kept = layout.retention.segment_of(length);
        for segment in layout.segments {
            if kept.is_none_or(|kept| segment > kept) {
                remove_file(&self.beside(segment))?;
            }
        }
        // A segment that was to come next is not there yet.
        OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .and_then(|file| file.set_len(length - start))
            .map_err(failed("cut", &path))
    }

    /// Throws everything away, also what no head tells of.
    pub(super) fn remove(&self) -> Result<(), LogError> {
        let segments = self.segments()?.into_iter();
        let segments = segments.map(|segment| self.beside(segment));
        for path in segments.chain([self.sealed(), self.head.clone()]) {
            remove_file(&path)?;
        }
        Ok(())
    }
}

fn read_file(path: &PathBuf, offset: u64, most: usize) -> Result<Bytes, LogError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Bytes::new()),
        Err(error) => return Err(failed("open", path)(error)),
    };
    let length = file.metadata().map_err(failed("look at", path))?.len();
    let left = usize::try_from(length.saturating_sub(offset)).unwrap_or(usize::MAX);
    let mut bytes = vec![0; most.min(left)];
    let read = file.read_exact_at(&mut bytes, offset);
    #[cfg(test)]
    let read = read.and_then(|()| super::disk::fault::read(path));
    read.map_err(failed("read", path))?;
    Ok(bytes.into())
}
