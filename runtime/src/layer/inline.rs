//! Files that come with an instruction and not from a disk.

use super::entry::{Entry, Kind};
use super::path::EntryPath;
use super::pax::Time;
use super::transfer_error::TransferError;
use super::writer::Writer;

/// Writes an archive of files that nobody has on a disk, for [`super::place`].
///
/// # Errors
/// A name is none.
pub fn inline(files: &[(String, Vec<u8>)], mode: u32) -> Result<Vec<u8>, TransferError> {
    let mut writer = Writer::new(Vec::new());
    for (name, content) in files {
        let entry = Entry {
            path: EntryPath::parse(&[b"f/", name.as_bytes()].concat())?,
            kind: Kind::File,
            link: Vec::new(),
            mode,
            uid: 0,
            gid: 0,
            size: content.len() as u64,
            mtime: Time {
                seconds: 0,
                nanoseconds: 0,
            },
            major: 0,
            minor: 0,
            xattrs: Vec::new(),
        };
        writer.entry(&entry).map_err(TransferError::write)?;
        writer.content(content).map_err(TransferError::write)?;
        writer
            .end_content(entry.size)
            .map_err(TransferError::write)?;
    }
    writer.finish().map_err(TransferError::write)
}
