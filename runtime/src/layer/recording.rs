//! What a layer's archive has beside the contents of its files: headers, padding, what stands behind the end. Kept beside
//! the tree, so that the archive can be made again to the last bit, with its own diff ID, whatever the file system or the
//! user namespace could not keep (owners without subordinate ids, devices); the idea is vbatts' tar-split.
//!
//! ```text
//! zstd( MAGIC (RAW length bytes | CONTENT size length path)* END )      numbers little-endian
//! ```

use std::fs::File;
use std::io::{self, BufReader, Read, Write};

use super::error::UnpackError;

const MAGIC: [u8; 8] = *b"slipway1";
const RAW: u8 = 0;
const CONTENT: u8 = 1;
const END: u8 = 2;
/// Raw bytes of one segment.
const LARGEST_RAW: usize = 64 * 1024;
/// As for every path of an archive.
const LONGEST_PATH: usize = 4095;
/// Headers are mostly zeros and repetitions: the fastest level makes a tenth of them.
const LEVEL: i32 = 1;

/// Writes a recording. A layer is whole without one, so that what keeps it from being written only ends it.
pub(crate) struct Recorder {
    out: Option<zstd::stream::write::Encoder<'static, File>>,
    /// Not yet written.
    raw: Vec<u8>,
}

impl Recorder {
    pub(super) fn new(file: File) -> Self {
        let mut recorder = Self {
            out: zstd::stream::write::Encoder::new(file, LEVEL).ok(),
            raw: Vec::with_capacity(LARGEST_RAW),
        };
        recorder.write(&[&MAGIC]);
        recorder
    }

    /// Adds bytes of the archive that are no file's content.
    pub(super) fn raw(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let room = LARGEST_RAW - self.raw.len();
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.raw.extend_from_slice(now);
            bytes = later;
            if self.raw.len() == LARGEST_RAW {
                self.flush();
            }
        }
    }

    /// Says that a file's content of `size` bytes follows.
    pub(super) fn content(&mut self, path: &[u8], size: u64) {
        self.flush();
        let length = u32::try_from(path.len()).unwrap_or(u32::MAX);
        self.write(&[&[CONTENT], &size.to_le_bytes(), &length.to_le_bytes(), path]);
    }

    /// Ends it; whether all of it is written.
    pub(super) fn finish(mut self) -> bool {
        self.flush();
        self.write(&[&[END]]);
        self.out.take().is_some_and(|out| out.finish().is_ok())
    }

    fn flush(&mut self) {
        if self.raw.is_empty() {
            return;
        }
        let raw = std::mem::take(&mut self.raw);
        let length = u32::try_from(raw.len()).unwrap_or(u32::MAX);
        self.write(&[&[RAW], &length.to_le_bytes(), &raw]);
        self.raw = raw;
        self.raw.clear();
    }

    fn write(&mut self, pieces: &[&[u8]]) {
        let Some(out) = &mut self.out else { return };
        if let Err(error) = pieces.iter().try_for_each(|piece| out.write_all(piece)) {
            tracing::debug!(%error, "the layer is not recorded");
            self.out = None;
        }
    }
}

impl std::fmt::Debug for Recorder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recorder").finish_non_exhaustive()
    }
}

/// A part of a recorded archive.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Segment {
    /// Bytes as they were.
    Raw(Vec<u8>),
    /// The content of a file of the layer.
    Content { path: Vec<u8>, size: u64 },
}

/// Reads a recording, in order.
pub(super) struct Recording<'a> {
    input: Box<dyn Read + 'a>,
    is_over: bool,
}

impl<'a> Recording<'a> {
    pub(super) fn open(file: impl Read + 'a) -> Result<Self, UnpackError> {
        let input =
            zstd::stream::read::Decoder::with_buffer(BufReader::new(file)).map_err(broken)?;
        let mut recording = Self {
            input: Box::new(input),
            is_over: false,
        };
        match recording.array()? {
            MAGIC => Ok(recording),
            _ => Err(damaged("it is of another version")),
        }
    }

    /// The next part; `None` after the last.
    pub(super) fn next(&mut self) -> Result<Option<Segment>, UnpackError> {
        if self.is_over {
            return Ok(None);
        }
        match self.array::<1>()?[0] {
            RAW => {
                let length = self.length(LARGEST_RAW)?;
                Ok(Some(Segment::Raw(self.bytes(length)?)))
            }
            CONTENT => {
                let size = u64::from_le_bytes(self.array()?);
                let length = self.length(LONGEST_PATH)?;
                let path = self.bytes(length)?;
                Ok(Some(Segment::Content { path, size }))
            }
            END => {
                self.is_over = true;
                Ok(None)
            }
            _ => Err(damaged("a part of it is of an unknown kind")),
        }
    }

    fn length(&mut self, most: usize) -> Result<usize, UnpackError> {
        let length = usize::try_from(u32::from_le_bytes(self.array()?)).unwrap_or(usize::MAX);
        if length > most {
            return Err(damaged("a part of it is too long"));
        }
        Ok(length)
    }

    fn bytes(&mut self, length: usize) -> Result<Vec<u8>, UnpackError> {
        let mut bytes = vec![0; length];
        self.input.read_exact(&mut bytes).map_err(broken)?;
        Ok(bytes)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], UnpackError> {
        let mut bytes = [0; N];
        self.input.read_exact(&mut bytes).map_err(broken)?;
        Ok(bytes)
    }
}

fn broken(error: io::Error) -> UnpackError {
    damaged(&error.to_string())
}

fn damaged(reason: &str) -> UnpackError {
    UnpackError::Recording {
        reason: reason.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Seek as _;

    use super::*;

    fn segments(mut file: File) -> Result<Vec<Segment>, UnpackError> {
        file.rewind().unwrap();
        let mut recording = Recording::open(file)?;
        std::iter::from_fn(|| recording.next().transpose()).collect()
    }

    #[test]
    fn a_recording_reads_back_in_order() {
        let file = tempfile::tempfile().unwrap();
        let mut recorder = Recorder::new(file.try_clone().unwrap());
        recorder.raw(b"ab");
        recorder.raw(b"c");
        recorder.content(b"etc/passwd", 7);
        recorder.raw(&[7; LARGEST_RAW + 1]);
        assert!(recorder.finish());
        let expected = [
            Segment::Raw(b"abc".to_vec()),
            Segment::Content {
                path: b"etc/passwd".to_vec(),
                size: 7,
            },
            Segment::Raw(vec![7; LARGEST_RAW]),
            Segment::Raw(vec![7]),
        ];
        assert_eq!(segments(file).unwrap(), expected);
    }

    #[test]
    fn a_recording_that_is_cut_or_strange_is_refused() {
        let cut = |change: fn(&mut Vec<u8>)| {
            let mut bytes = [&MAGIC[..], &[RAW], &1u32.to_le_bytes(), b"x", &[END]].concat();
            change(&mut bytes);
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(&zstd::encode_all(&bytes[..], 1).unwrap())
                .unwrap();
            segments(file).map_err(|error| error.to_string())
        };
        assert_eq!(cut(|_| {}).unwrap(), [Segment::Raw(b"x".to_vec())]);
        insta::assert_snapshot!(cut(|b| b.truncate(10)).unwrap_err(), @"the layer's recording is damaged: failed to fill whole buffer");
        insta::assert_snapshot!(cut(|b| { b.pop(); }).unwrap_err(), @"the layer's recording is damaged: failed to fill whole buffer");
        insta::assert_snapshot!(cut(|b| b[7] = b'9').unwrap_err(), @"the layer's recording is damaged: it is of another version");
        insta::assert_snapshot!(cut(|b| b[8] = 9).unwrap_err(), @"the layer's recording is damaged: a part of it is of an unknown kind");
        insta::assert_snapshot!(cut(|b| b[12] = 9).unwrap_err(), @"the layer's recording is damaged: a part of it is too long");
    }
}
