//! Entries of a tar archive, written: a ustar header each, and in front of it an extended one where that has no room or
//! no field (POSIX.1-2017 `pax`).

use std::io::{self, Write};

use super::entry::{Entry, Kind};
use super::header::BLOCK;

/// The largest numbers of 7 and of 11 octal digits.
const LARGEST_ID: u32 = 0o7_777_777;
const LARGEST_SIZE: u64 = 0o77_777_777_777;
/// Bytes of the fields `name` and `linkname`.
const NAME: usize = 100;

/// Writes an archive.
#[derive(Debug)]
pub(crate) struct Writer<W> {
    out: W,
}

impl<W: Write> Writer<W> {
    pub(crate) fn new(out: W) -> Self {
        Self { out }
    }

    /// Writes an entry's headers. A file's content is to follow by [`Writer::content`], in any number of pieces, and then
    /// [`Writer::end_content`].
    pub(crate) fn entry(&mut self, entry: &Entry) -> io::Result<()> {
        let mut name = entry.path.as_bytes().to_vec();
        if name.is_empty() {
            name.push(b'.');
        }
        if entry.kind == Kind::Directory {
            name.push(b'/');
        }
        let records = records(entry, &name);
        if !records.is_empty() {
            let size = records.len() as u64;
            self.block(&header(b"PaxHeaders/x", b'x', size, &[]))?;
            self.content(&records)?;
            self.end_content(size)?;
        }
        let mut block = header(&name, flag(entry.kind), entry.size, &entry.link);
        let mut put = |at: usize, text: String| {
            block[at..at + text.len()].copy_from_slice(text.as_bytes());
        };
        put(100, format!("{:07o}", entry.mode & 0o7777));
        put(108, format!("{:07o}", bounded(entry.uid)));
        put(116, format!("{:07o}", bounded(entry.gid)));
        let seconds = u64::try_from(entry.mtime.seconds).unwrap_or(0);
        put(136, format!("{:011o}", seconds.min(LARGEST_SIZE)));
        put(329, format!("{:07o}", bounded(entry.major)));
        put(337, format!("{:07o}", bounded(entry.minor)));
        self.block(&block)
    }

    /// A regular file of root's, whole.
    pub(crate) fn file(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        self.begin_file(name, bytes.len() as u64)?;
        self.content(bytes)?;
        self.end_content(bytes.len() as u64)
    }

    /// A regular file of root's whose content is to follow; the name fits the header.
    pub(crate) fn begin_file(&mut self, name: &str, size: u64) -> io::Result<()> {
        if size > LARGEST_SIZE {
            let records = record(b"size", size.to_string().as_bytes());
            let length = records.len() as u64;
            self.block(&header(b"PaxHeaders/x", b'x', length, &[]))?;
            self.content(&records)?;
            self.end_content(length)?;
        }
        let block = header(name.as_bytes(), b'0', size, &[]);
        self.block(&block)
    }

    /// Bytes of the content that an entry was said to have.
    pub(crate) fn content(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.out.write_all(bytes)
    }

    /// Fills the last block of a content of `size` bytes.
    pub(crate) fn end_content(&mut self, size: u64) -> io::Result<()> {
        let rest = size.next_multiple_of(BLOCK as u64) - size;
        let zeros = [0; BLOCK];
        self.out
            .write_all(&zeros[..usize::try_from(rest).unwrap_or(0)])
    }

    /// Writes the end mark.
    pub(crate) fn finish(mut self) -> io::Result<W> {
        self.out.write_all(&[0; 2 * BLOCK])?;
        self.out.flush()?;
        Ok(self.out)
    }

    pub(crate) fn get_mut(&mut self) -> &mut W {
        &mut self.out
    }

    fn block(&mut self, block: &[u8; BLOCK]) -> io::Result<()> {
        let mut block = *block;
        block[148..156].copy_from_slice(b"        ");
        let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        self.out.write_all(&block)
    }
}

/// A header with owner, mode and time of nobody in particular.
fn header(name: &[u8], flag: u8, size: u64, link: &[u8]) -> [u8; BLOCK] {
    let mut block = [0; BLOCK];
    let mut put = |at: usize, bytes: &[u8]| block[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, &name[..name.len().min(NAME)]);
    put(100, b"0000644");
    put(108, b"0000000");
    put(116, b"0000000");
    let size = if size > LARGEST_SIZE { 0 } else { size };
    put(124, format!("{size:011o}").as_bytes());
    put(136, b"00000000000");
    put(156, &[flag]);
    put(157, &link[..link.len().min(NAME)]);
    put(257, b"ustar\x0000");
    block
}

/// What an entry has that its header has no room for.
fn records(entry: &Entry, name: &[u8]) -> Vec<u8> {
    let mut all = Vec::new();
    let mut add = |key: &[u8], value: &[u8]| all.extend_from_slice(&record(key, value));
    if name.len() > NAME {
        add(b"path", name);
    }
    if entry.link.len() > NAME {
        add(b"linkpath", &entry.link);
    }
    if entry.size > LARGEST_SIZE {
        add(b"size", entry.size.to_string().as_bytes());
    }
    for (key, id) in [("uid", entry.uid), ("gid", entry.gid)] {
        if id > LARGEST_ID {
            add(key.as_bytes(), id.to_string().as_bytes());
        }
    }
    let time = entry.mtime;
    if time.nanoseconds != 0 || !(0..=0o77_777_777_777).contains(&time.seconds) {
        add(b"mtime", written(time.seconds, time.nanoseconds).as_bytes());
    }
    for (name, value) in &entry.xattrs {
        add(&[b"SCHILY.xattr.", &name[..]].concat(), value);
    }
    all
}

/// `[-]seconds[.fraction]`; the parts of a time before 1970 count from different sides.
fn written(seconds: i64, nanoseconds: u32) -> String {
    match (seconds, nanoseconds) {
        (seconds, 0) => seconds.to_string(),
        (0.., nanoseconds) => format!("{seconds}.{nanoseconds:09}"),
        (seconds, nanoseconds) => {
            let whole = seconds.unsigned_abs() - 1;
            format!("-{whole}.{:09}", 1_000_000_000 - nanoseconds)
        }
    }
}

/// `LEN KEY=VALUE\n`, where the length counts itself.
fn record(key: &[u8], value: &[u8]) -> Vec<u8> {
    let body = key.len() + value.len() + 3;
    let mut length = body + 1;
    while length != body + length.to_string().len() {
        length = body + length.to_string().len();
    }
    [length.to_string().as_bytes(), b" ", key, b"=", value, b"\n"].concat()
}

fn bounded(number: u32) -> u32 {
    if number > LARGEST_ID { 0 } else { number }
}

const fn flag(kind: Kind) -> u8 {
    match kind {
        Kind::File => b'0',
        Kind::HardLink => b'1',
        Kind::Symlink => b'2',
        Kind::Character => b'3',
        Kind::Block => b'4',
        Kind::Directory => b'5',
        Kind::Fifo => b'6',
    }
}

#[cfg(test)]
mod tests {
    use super::super::entry::{Archive, Input};
    use super::super::error::UnpackError;
    use super::super::path::EntryPath;
    use super::super::pax::Time;
    use super::super::unpack::Limits;
    use super::*;

    struct Bytes<'a>(&'a [u8]);

    impl Input for Bytes<'_> {
        fn read(&mut self, target: &mut [u8]) -> Result<usize, UnpackError> {
            let count = target.len().min(self.0.len());
            let (now, later) = self.0.split_at(count);
            target[..count].copy_from_slice(now);
            self.0 = later;
            Ok(count)
        }

        fn skip(&mut self, count: u64) -> Result<bool, UnpackError> {
            let count = usize::try_from(count).unwrap();
            let there = count <= self.0.len();
            self.0 = &self.0[count.min(self.0.len())..];
            Ok(there)
        }
    }

    fn entry(name: &str) -> Entry {
        Entry {
            path: EntryPath::parse(name.as_bytes()).unwrap(),
            kind: Kind::File,
            link: Vec::new(),
            mode: 0o4755,
            uid: 1000,
            gid: 50,
            size: 3,
            mtime: Time {
                seconds: 1_700_000_000,
                nanoseconds: 5,
            },
            major: 0,
            minor: 0,
            xattrs: vec![(b"user.test".to_vec(), b"a\n=\0b".to_vec())],
        }
    }

    #[test]
    fn what_is_written_reads_back_whatever_its_length() {
        let long = "d/".repeat(90) + "file";
        let plain = entry("etc/file");
        let far = Entry {
            uid: u32::MAX - 1,
            mtime: Time {
                seconds: -2,
                nanoseconds: 750_000_000,
            },
            xattrs: Vec::new(),
            ..entry(&long)
        };
        let link = Entry {
            kind: Kind::Symlink,
            link: vec![b'x'; 101],
            size: 0,
            ..entry("link")
        };
        let root = Entry {
            kind: Kind::Directory,
            size: 0,
            ..entry("/")
        };
        let all = [root, plain, far, link];
        let mut writer = Writer::new(Vec::new());
        for entry in &all {
            writer.entry(entry).unwrap();
            if entry.kind == Kind::File {
                writer.content(b"abc").unwrap();
                writer.end_content(3).unwrap();
            }
        }
        let bytes = writer.finish().unwrap();
        let mut archive = Archive::new(Bytes(&bytes), Limits::default());
        for entry in &all {
            let read = archive.next().unwrap().unwrap();
            assert_eq!(format!("{read:?}"), format!("{entry:?}"));
        }
        assert!(archive.next().unwrap().is_none());
    }
}
