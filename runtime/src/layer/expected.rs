//! What a recorded archive says of its files, read without their contents.

use std::collections::HashMap;

use super::entry::{Archive, Entry, Input, Kind};
use super::error::UnpackError;
use super::path::EntryPath;
use super::recording::{Recording, Segment};
use super::unpack::Limits;
use super::whiteout;

/// What an archive says of a file, as far as it is compared: an archive may have millions of them, each with a megabyte of
/// attributes.
pub(super) struct Expected {
    pub(super) kind: Kind,
    /// Of links only.
    pub(super) link: Box<[u8]>,
    pub(super) mode: u32,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) size: u64,
    /// Seconds.
    pub(super) modified: i64,
    pub(super) major: u32,
    pub(super) minor: u32,
    /// The path was a device 0/0 at some time: a directory that has taken its place covers those of lower layers.
    pub(super) is_hidden: bool,
}

impl Expected {
    fn of(entry: &Entry) -> Self {
        let link = match entry.kind {
            Kind::Symlink | Kind::HardLink => &entry.link[..],
            _ => &[],
        };
        Self {
            kind: entry.kind,
            link: link.into(),
            mode: entry.mode,
            uid: entry.uid,
            gid: entry.gid,
            size: entry.size,
            modified: entry.mtime.seconds,
            major: entry.major,
            minor: entry.minor,
            is_hidden: entry.kind == Kind::Character && (entry.major, entry.minor) == (0, 0),
        }
    }
}

/// The archive's entries by their paths: the last of a path is the one that counts.
pub(super) fn expected(
    recording: Recording<'_>,
) -> Result<HashMap<EntryPath, Expected>, UnpackError> {
    let input = Segments {
        recording,
        raw: Vec::new(),
        taken: 0,
        content: 0,
    };
    let mut archive = Archive::new(input, Limits::default());
    let mut all = HashMap::new();
    while let Some(entry) = archive.next()? {
        // A file linked to itself is what it was, if it was at all; a whiteout is one of any kind.
        let is_itself = |target: EntryPath| target == entry.path;
        if entry.kind == Kind::HardLink
            && EntryPath::parse(&entry.link).is_ok_and(is_itself)
            && whiteout::marker(&entry.path)?.is_none()
        {
            continue;
        }
        let mut expected = Expected::of(&entry);
        let before = all.get(&entry.path);
        expected.is_hidden |= before.is_some_and(|before: &Expected| before.is_hidden);
        all.insert(entry.path, expected);
    }
    Ok(all)
}

/// A recording as an archive whose contents are not there, and are passed over.
struct Segments<'a> {
    recording: Recording<'a>,
    raw: Vec<u8>,
    /// Bytes of `raw` that are used up.
    taken: usize,
    /// Bytes of a content that are left.
    content: u64,
}

impl Segments<'_> {
    /// Whether there is more to take.
    fn fill(&mut self) -> Result<bool, UnpackError> {
        while self.taken == self.raw.len() && self.content == 0 {
            match self.recording.next()? {
                None => return Ok(false),
                Some(Segment::Raw(raw)) => (self.raw, self.taken) = (raw, 0),
                Some(Segment::Content { size, .. }) => self.content = size,
            }
        }
        Ok(true)
    }
}

impl Input for Segments<'_> {
    fn read(&mut self, target: &mut [u8]) -> Result<usize, UnpackError> {
        let mut done = 0;
        while done < target.len() && self.fill()? && self.content == 0 {
            let count = (target.len() - done).min(self.raw.len() - self.taken);
            target[done..done + count].copy_from_slice(&self.raw[self.taken..self.taken + count]);
            done += count;
            self.taken += count;
        }
        Ok(done)
    }

    fn skip(&mut self, mut count: u64) -> Result<bool, UnpackError> {
        while count > 0 {
            if !self.fill()? {
                return Ok(false);
            }
            if self.taken < self.raw.len() {
                let there = self.raw.len() - self.taken;
                let now = usize::try_from(count).unwrap_or(there).min(there);
                self.taken += now;
                count -= now as u64;
            } else {
                let now = count.min(self.content);
                self.content -= now;
                count -= now;
            }
        }
        Ok(true)
    }
}
