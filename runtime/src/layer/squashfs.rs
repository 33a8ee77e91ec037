//! A squashfs image as a tar archive, read by `backhand`.
//!
//! What the image does not tell, or the reader does not: extended attributes, and which files are hard links of each
//! other. An image may make the reader run in circles; it is meant for a process that may die of it.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, Write};
use std::os::unix::ffi::OsStrExt as _;

use backhand::{FilesystemReader, InnerNode, Node, SquashfsFileReader};

use super::entry::{Entry, Kind};
use super::error::{Exceeded, UnpackError};
use super::path::EntryPath;
use super::pax::Time;
use super::replay::not_taken;
use super::unpack::Limits;
use super::writer::Writer;

/// Writes everything in the image that begins at the file's position.
pub(super) fn to_tar(mut file: File, limits: &Limits, out: impl Write) -> Result<(), UnpackError> {
    let start = file.stream_position().map_err(|error| unread(&error))?;
    let image = FilesystemReader::from_reader_with_offset(BufReader::new(file), start)
        .map_err(|error| damaged(&error.to_string()))?;
    let mut writer = Writer::new(out);
    let mut buffer = vec![0; 256 * 1024];
    for (count, node) in (1..).zip(image.files()) {
        if count > limits.entries {
            return Err(UnpackError::Limit {
                exceeded: Exceeded::Entries,
                limit: limits.entries,
            });
        }
        let Some(entry) = entry(node)? else { continue };
        writer.entry(&entry).map_err(|error| not_taken(&error))?;
        let InnerNode::File(inner) = &node.inner else {
            continue;
        };
        let mut content = image.file(inner).reader();
        let mut rest = entry.size;
        while rest > 0 {
            let most = usize::try_from(rest)
                .unwrap_or(buffer.len())
                .min(buffer.len());
            match content.read(&mut buffer[..most]) {
                Ok(0) => return Err(damaged("a file in it is shorter than it says")),
                Ok(count) => {
                    writer
                        .content(&buffer[..count])
                        .map_err(|error| not_taken(&error))?;
                    rest -= count as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(damaged(&error.to_string())),
            }
        }
        writer
            .end_content(entry.size)
            .map_err(|error| not_taken(&error))?;
    }
    writer.finish().map_err(|error| not_taken(&error))?;
    Ok(())
}

/// An entry for a node; sockets have none.
fn entry(node: &Node<SquashfsFileReader>) -> Result<Option<Entry>, UnpackError> {
    let mut entry = Entry {
        path: EntryPath::parse(node.fullpath.as_os_str().as_bytes())?,
        kind: Kind::File,
        link: Vec::new(),
        mode: u32::from(node.header.permissions) & 0o7777,
        uid: node.header.uid,
        gid: node.header.gid,
        size: 0,
        mtime: Time {
            seconds: node.header.mtime.into(),
            nanoseconds: 0,
        },
        major: 0,
        minor: 0,
        xattrs: Vec::new(),
    };
    match &node.inner {
        InnerNode::File(file) => entry.size = file.file_len() as u64,
        InnerNode::Dir(_) => entry.kind = Kind::Directory,
        InnerNode::Symlink(link) => {
            entry.kind = Kind::Symlink;
            entry.link = link.link.as_os_str().as_bytes().to_vec();
        }
        InnerNode::NamedPipe => entry.kind = Kind::Fifo,
        InnerNode::CharacterDevice(device) => {
            entry.kind = Kind::Character;
            (entry.major, entry.minor) = numbers(device.device_number);
        }
        InnerNode::BlockDevice(device) => {
            entry.kind = Kind::Block;
            (entry.major, entry.minor) = numbers(device.device_number);
        }
        InnerNode::Socket => return Ok(None),
    }
    Ok(Some(entry))
}

/// As the kernel packs them (`new_encode_dev`, include/linux/kdev_t.h).
const fn numbers(device: u32) -> (u32, u32) {
    (
        (device >> 8) & 0xfff,
        (device & 0xff) | ((device >> 12) & 0xf_ff00),
    )
}

pub(super) fn damaged(reason: &str) -> UnpackError {
    UnpackError::FileSystem {
        reason: reason.to_owned(),
    }
}

fn unread(error: &io::Error) -> UnpackError {
    UnpackError::Read {
        reason: error.to_string(),
    }
}
