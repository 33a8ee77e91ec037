//! The entries of a tar archive, each with its long names and extended headers applied.
//!
//! ```text
//! (L | K | x | g)* header content padding   .. repeated ..   two zero blocks, or the end of the stream
//! ```

use super::error::{Exceeded, Fault, Refusal, UnpackError};
use super::header::{BLOCK, Header};
use super::path::EntryPath;
use super::pax::{Extensions, Time};
use super::stream::{Stream, truncated};
use super::unpack::Limits;

/// A size that an old header has no room for (11 octal digits), so that it stands in the extended header alone.
const LARGEST_OCTAL: u64 = 0o77_777_777_777;

/// Bytes of an archive, in order.
pub(crate) trait Input {
    /// Fills `target`, or as much of it as there is; returns how much.
    fn read(&mut self, target: &mut [u8]) -> Result<usize, UnpackError>;
    /// Passes over `count` bytes; `false` when the input ends before.
    fn skip(&mut self, count: u64) -> Result<bool, UnpackError>;
}

impl Input for Stream {
    fn read(&mut self, target: &mut [u8]) -> Result<usize, UnpackError> {
        Self::read(self, target)
    }

    fn skip(&mut self, count: u64) -> Result<bool, UnpackError> {
        Self::skip(self, count)
    }
}

/// What an entry makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    File,
    HardLink,
    Symlink,
    Character,
    Block,
    Directory,
    Fifo,
}

/// One file, directory or link to be.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) path: EntryPath,
    pub(crate) kind: Kind,
    /// The target of a link, as it stands.
    pub(crate) link: Vec<u8>,
    /// Permission bits with setuid, setgid and sticky.
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// Of the content, bytes; zero but for a file.
    pub(crate) size: u64,
    pub(crate) mtime: Time,
    pub(crate) major: u32,
    pub(crate) minor: u32,
    pub(crate) xattrs: Vec<(Vec<u8>, Vec<u8>)>,
}

/// A reader of entries.
#[derive(Debug)]
pub(crate) struct Archive<I> {
    input: I,
    limits: Limits,
    /// Of the entry being read, counted from 1.
    number: u64,
    /// Of the current entry's content, bytes not yet taken.
    content: u64,
    /// Zeros after the content that fill its last block.
    padding: u64,
}

/// What stood before an entry's header.
#[derive(Debug, Default)]
struct Prelude {
    extensions: Extensions,
    is_extended: bool,
    long_name: Option<Vec<u8>>,
    long_link: Option<Vec<u8>>,
    /// Bytes of all of them.
    size: u64,
    any: bool,
}

impl<I: Input> Archive<I> {
    pub(crate) fn new(input: I, limits: Limits) -> Self {
        Self {
            input,
            limits,
            number: 0,
            content: 0,
            padding: 0,
        }
    }

    pub(crate) fn input(&mut self) -> &mut I {
        &mut self.input
    }

    pub(crate) fn into_input(self) -> I {
        self.input
    }

    /// The number of entries read.
    pub(crate) fn entries(&self) -> u64 {
        self.number
    }

    /// The next entry, the rest of the former one's content passed over; `None` at the end of the archive.
    pub(crate) fn next(&mut self) -> Result<Option<Entry>, UnpackError> {
        self.skip_content()?;
        let mut prelude = Prelude::default();
        self.number += 1;
        if self.number > self.limits.entries {
            return Err(UnpackError::Limit {
                exceeded: Exceeded::Entries,
                limit: self.limits.entries,
            });
        }
        loop {
            let Some(header) = self.header()? else {
                if prelude.any {
                    return Err(self.malformed(Fault::Dangling));
                }
                self.number -= 1;
                return Ok(None);
            };
            match header.kind {
                b'x' => {
                    // Of two in a row some readers take both, some the last.
                    if std::mem::replace(&mut prelude.is_extended, true) {
                        return Err(self.malformed(Fault::Twice));
                    }
                    let content = self.metadata(&header, &mut prelude)?;
                    prelude
                        .extensions
                        .read(&content)
                        .map_err(|fault| self.malformed(fault))?;
                }
                b'L' => {
                    prelude.long_name = Some(without_nul(self.metadata(&header, &mut prelude)?))
                }
                b'K' => {
                    prelude.long_link = Some(without_nul(self.metadata(&header, &mut prelude)?))
                }
                // Docker, Podman and containerd all ignore global headers; git archives begin with one.
                b'g' => {
                    self.metadata(&header, &mut Prelude::default())?;
                }
                _ => return self.entry(header, prelude).map(Some),
            }
        }
    }

    /// Passes over what is left of the current entry's content.
    fn skip_content(&mut self) -> Result<(), UnpackError> {
        let (content, padding) = (self.content, self.padding);
        (self.content, self.padding) = (0, 0);
        if !self.input.skip(content)? {
            return Err(truncated(self.number));
        }
        // `umoci insert` leaves out the last file's padding; no byte of an entry is missing then.
        self.input.skip(padding)?;
        Ok(())
    }

    /// Fills `target` with the current entry's content, which has at least so much left.
    pub(crate) fn read_content(&mut self, target: &mut [u8]) -> Result<usize, UnpackError> {
        let count = self.input.read(target)?;
        if count < target.len() {
            return Err(truncated(self.number));
        }
        self.content = self.content.saturating_sub(count as u64);
        Ok(count)
    }

    /// A header; `None` at the end: two zero blocks, or a stream that ends where a header could begin.
    fn header(&mut self) -> Result<Option<Header>, UnpackError> {
        let mut block = [0; BLOCK];
        for _ in 0..2 {
            match self.input.read(&mut block)? {
                0 => return Ok(None),
                BLOCK => {}
                _ => return Err(truncated(self.number)),
            }
            if block.iter().any(|byte| *byte != 0) {
                return Header::parse(&block)
                    .map(Some)
                    .map_err(|fault| self.malformed(fault));
            }
        }
        Ok(None)
    }

    /// The content of an extended header or long name.
    fn metadata(&mut self, header: &Header, prelude: &mut Prelude) -> Result<Vec<u8>, UnpackError> {
        prelude.any = true;
        prelude.size = prelude.size.saturating_add(header.size);
        let limit = self.limits.metadata;
        let too_much = || UnpackError::Limit {
            exceeded: Exceeded::Metadata,
            limit,
        };
        if prelude.size > limit {
            return Err(too_much());
        }
        let mut content = vec![0; usize::try_from(header.size).map_err(|_| too_much())?];
        if self.input.read(&mut content)? < content.len()
            || !self.input.skip(padding(header.size))?
        {
            return Err(truncated(self.number));
        }
        Ok(content)
    }

    fn entry(&mut self, header: Header, prelude: Prelude) -> Result<Entry, UnpackError> {
        let Prelude {
            extensions,
            long_name,
            long_link,
            ..
        } = prelude;
        let name = extensions.path.or(long_name).unwrap_or(header.name);
        let link = extensions.link.or(long_link).unwrap_or(header.link);
        let kind = kind(header.kind, &name).map_err(|fault| self.malformed(fault))?;
        let size = match extensions.size {
            Some(size) if size != header.size && size <= LARGEST_OCTAL => {
                return Err(self.malformed(Fault::Sizes));
            }
            Some(size) => size,
            None => header.size,
        };
        if kind != Kind::File && size != 0 {
            return Err(self.malformed(Fault::Content));
        }
        // More than can come, and near the end of the numbers.
        if size > self.limits.bytes {
            return Err(UnpackError::Limit {
                exceeded: Exceeded::Bytes,
                limit: self.limits.bytes,
            });
        }
        let path = EntryPath::parse(&name)?;
        // The last number stands for "unchanged" in chown(2).
        let id = |number: u64| u32::try_from(number).ok().filter(|id| *id != u32::MAX);
        let number = |value: Option<u32>| value.ok_or_else(|| self.malformed(Fault::Number));
        let device = |value: u64| {
            u32::try_from(value).map_err(|_| UnpackError::refused(&name, Refusal::Device))
        };
        let entry = Entry {
            kind,
            link,
            mode: header.mode,
            uid: number(id(extensions.uid.unwrap_or(header.uid)))?,
            gid: number(id(extensions.gid.unwrap_or(header.gid)))?,
            size,
            mtime: extensions.mtime.unwrap_or(Time {
                seconds: header.mtime,
                nanoseconds: 0,
            }),
            major: device(header.major)?,
            minor: device(header.minor)?,
            xattrs: extensions.xattrs,
            path,
        };
        (self.content, self.padding) = (size, padding(size));
        Ok(entry)
    }

    fn malformed(&self, fault: Fault) -> UnpackError {
        UnpackError::Malformed {
            entry: self.number,
            fault,
        }
    }
}

impl Archive<Stream> {
    /// Says that the current entry's content is taken by pieces.
    pub(crate) fn begin_content(&mut self, entry: &Entry) {
        if entry.size > 0 {
            self.input.begin_content(entry.path.as_bytes(), entry.size);
        }
    }

    /// The next piece of the current entry's content; empty when it is all taken. Follow with [`Archive::consume`].
    pub(crate) fn piece(&mut self) -> Result<&[u8], UnpackError> {
        let piece = self.input.peek(self.content)?;
        if piece.is_empty() && self.content > 0 {
            return Err(truncated(self.number));
        }
        Ok(piece)
    }

    /// Takes bytes of a piece.
    pub(crate) fn consume(&mut self, count: usize) {
        self.content -= count as u64;
        self.input.consume(count);
    }
}

fn kind(flag: u8, name: &[u8]) -> Result<Kind, Fault> {
    Ok(match flag {
        // V7 had no type for directories.
        b'0' | 0 if name.ends_with(b"/") => Kind::Directory,
        // `7` is a contiguous file, which no file system distinguishes.
        b'0' | 0 | b'7' => Kind::File,
        b'1' => Kind::HardLink,
        b'2' => Kind::Symlink,
        b'3' => Kind::Character,
        b'4' => Kind::Block,
        b'5' => Kind::Directory,
        b'6' => Kind::Fifo,
        b'S' => return Err(Fault::Sparse),
        other => return Err(Fault::Type(other)),
    })
}

fn padding(size: u64) -> u64 {
    size.next_multiple_of(BLOCK as u64) - size
}

/// GNU tar ends a long name with a NUL that is no part of it.
fn without_nul(mut name: Vec<u8>) -> Vec<u8> {
    if name.last() == Some(&0) {
        name.pop();
    }
    name
}
