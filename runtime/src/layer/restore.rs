//! Plain files of an archive, put back into several directories: `0/target/app` is `target/app` of the first, `1` the second
//! itself. Whoever has written the archive chooses nothing but what is in the paths that each directory is given for.

use std::fs::File;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::Compression;
use super::entry::{Archive, Entry, Kind};
use super::error::{Exceeded, Refusal, UnpackError};
use super::extract::Extractor;
use super::path::EntryPath;
use super::pump::Pump;
use super::stream::Stream;
use super::tree::Manner;
use super::unpack::Limits;

/// Bytes of all names.
const NAMES: usize = 128 << 20;

/// Permission bits that are put back: without set-user-id and its kin.
const MODE: u32 = 0o777;

/// A directory to put files into.
#[derive(Debug)]
pub(crate) struct Into<'a> {
    /// The directory.
    pub(crate) root: BorrowedFd<'a>,
    /// Only to these paths in it, and below them. The empty one is all of it.
    pub(crate) below: Vec<Vec<u8>>,
}

/// What was put back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restored {
    /// Files, directories and links.
    pub files: u64,
    /// Bytes of the files' contents.
    pub bytes: u64,
}

/// Puts the files of an archive into these directories. What is in their place is replaced; a directory keeps what else is in
/// it. When it fails, what was not there before is taken away again, and so is the file
/// that it was at.
///
/// # Errors
/// The archive is damaged, hostile or too large, it takes longer than `time`, or the kernel refuses.
pub(crate) fn restore(
    stream: File,
    into: &[Into<'_>],
    limits: &Limits,
    time: Duration,
) -> Result<Restored, UnpackError> {
    let until = Instant::now().checked_add(time);
    let (pump, ends) = Pump::new(stream, Compression::Detect, limits.bytes);
    std::thread::scope(|scope| {
        std::thread::Builder::new()
            .name("decompress".to_owned())
            .spawn_scoped(scope, || pump.run())
            .map_err(|error| UnpackError::Worker {
                reason: format!("it cannot start a thread: {error}"),
            })?;
        let extractors = into
            .iter()
            .map(|into| Extractor::new(into.root, Manner::Files));
        let mut restoring = Restoring {
            into,
            extractors: extractors.collect(),
            made: Vec::new(),
            names: 0,
            restored: Restored::default(),
        };
        let archive = Archive::new(Stream::new(ends, None).until(until), *limits);
        let outcome = restoring.all(archive);
        if outcome.is_err() {
            restoring.take_back();
        }
        outcome?;
        for extractor in restoring.extractors {
            extractor.finish()?;
        }
        Ok(restoring.restored)
    })
}

struct Restoring<'a> {
    into: &'a [Into<'a>],
    /// One for each of them.
    extractors: Vec<Extractor<'a>>,
    /// What was not there before: in which directory, and where.
    made: Vec<(usize, EntryPath)>,
    /// Bytes of their names.
    names: usize,
    restored: Restored,
}

impl Restoring<'_> {
    /// Takes the archive with it: what is not taken any more stops the pump.
    fn all(&mut self, mut archive: Archive<Stream>) -> Result<(), UnpackError> {
        while let Some(entry) = archive.next()? {
            let (root, entry) = self.ours(entry)?;
            let extractor = &mut self.extractors[root];
            if !extractor.is_there(&entry.path) {
                self.names += entry.path.as_bytes().len();
                if self.names > NAMES {
                    return Err(UnpackError::Limit {
                        exceeded: Exceeded::Names,
                        limit: NAMES as u64,
                    });
                }
                self.made.push((root, entry.path.clone()));
            }
            self.restored.files += 1;
            self.restored.bytes += entry.size;
            let placed = extractor.place(&entry, &mut archive);
            if placed.is_err() && entry.kind == Kind::File {
                // Of what it was to replace nothing is left, and the half of a file is worse than none.
                self.made.push((root, entry.path));
            }
            placed?;
        }
        archive.into_input().finish().map(drop)
    }

    /// Which directory an entry belongs to, and the entry as it is there.
    fn ours(&self, mut entry: Entry) -> Result<(usize, Entry), UnpackError> {
        let elsewhere = || UnpackError::refused(entry.path.as_bytes(), Refusal::Elsewhere);
        let (root, path) = split(entry.path.as_bytes()).ok_or_else(elsewhere)?;
        let into = self.into.get(root).ok_or_else(elsewhere)?;
        if !is_below(path, &into.below) {
            return Err(elsewhere());
        }
        let link = match entry.kind {
            Kind::HardLink => {
                let target = EntryPath::parse(&entry.link)?;
                let (of, target) = split(target.as_bytes()).ok_or_else(elsewhere)?;
                if of != root || !is_below(target, &into.below) {
                    return Err(elsewhere());
                }
                target.to_vec()
            }
            _ => std::mem::take(&mut entry.link),
        };
        let path = match path {
            b"" => b"/",
            path => path,
        };
        let path = EntryPath::parse(path)?;
        let entry = Entry {
            path,
            link,
            mode: entry.mode & MODE,
            xattrs: Vec::new(),
            ..entry
        };
        Ok((root, entry))
    }

    fn take_back(&self) {
        for (root, path) in self.made.iter().rev() {
            self.extractors[*root].take_back(path);
        }
    }
}

/// The number of a directory, and a path in it.
fn split(path: &[u8]) -> Option<(usize, &[u8])> {
    let slash = path.iter().position(|byte| *byte == b'/');
    let (number, rest) = match slash {
        Some(slash) => (&path[..slash], &path[slash + 1..]),
        None => (path, &b""[..]),
    };
    let number = std::str::from_utf8(number).ok()?;
    let is_plain = number.bytes().all(|byte| byte.is_ascii_digit());
    is_plain
        .then(|| number.parse().ok())
        .flatten()
        .map(|number| (number, rest))
}

fn is_below(path: &[u8], paths: &[Vec<u8>]) -> bool {
    paths.iter().any(|above| {
        above.is_empty()
            || path
                .strip_prefix(&above[..])
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
    })
}

#[cfg(test)]
mod tests;
