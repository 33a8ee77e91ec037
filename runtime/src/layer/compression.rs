//! The compressions a layer comes in, told apart by their first bytes.

use std::fmt;
use std::io::{self, BufRead, BufReader, Read};

use serde::{Deserialize, Serialize};

/// How a stream is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Compression {
    /// Look at the first bytes; media types are known to lie.
    Detect,
    /// Not at all.
    None,
    /// RFC 1952, any number of members.
    Gzip,
    /// RFC 8878, windows up to 128 MiB.
    Zstd,
    /// The .xz format, decoded in at most 256 MiB.
    Xz,
}

/// The socket's and the pipe's pace; the decoders read in pieces of this many bytes.
const BUFFER: usize = 256 * 1024;
/// What xz may take, in bytes; `xz -9` needs 65 MiB.
const XZ_MEMORY: u64 = 256 * 1024 * 1024;
/// `zstd --long` without a number.
const ZSTD_WINDOW_LOG: u32 = 27;

impl Compression {
    /// What a stream that begins with `bytes` is compressed with; [`Compression::None`] when no magic number matches.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        match bytes {
            [0x1f, 0x8b, ..] => Self::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Self::Zstd,
            // A zstd stream may begin with a skippable frame (RFC 8878, 3.1.2), as pzstd and eStargz's kin write it.
            [first, 0x2a, 0x4d, 0x18, ..] if (0x50..=0x5f).contains(first) => Self::Zstd,
            [0xfd, b'7', b'z', b'X', b'Z', 0x00, ..] => Self::Xz,
            _ => Self::None,
        }
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Detect => "compressed data",
            Self::None => "tar",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
            Self::Xz => "xz",
        })
    }
}

/// A reader of the uncompressed bytes, and what the compression turned out to be.
///
/// # Errors
/// The first bytes cannot be read, or the decoder cannot be set up.
pub(crate) fn decoder<'a>(
    source: impl Read + 'a,
    compression: Compression,
) -> io::Result<(Box<dyn Read + 'a>, Compression)> {
    let mut source = BufReader::with_capacity(BUFFER, source);
    let compression = match compression {
        Compression::Detect => {
            // A pipe may deliver less than a magic number at first; six bytes decide, fewer mean an empty stream.
            let mut magic = Vec::with_capacity(6);
            source.by_ref().take(6).read_to_end(&mut magic)?;
            let found = Compression::of(&magic);
            return Ok((
                begin(
                    BufReader::with_capacity(BUFFER, io::Cursor::new(magic).chain(source)),
                    found,
                )?,
                found,
            ));
        }
        known => known,
    };
    Ok((begin(source, compression)?, compression))
}

fn begin<'a>(
    source: impl BufRead + 'a,
    compression: Compression,
) -> io::Result<Box<dyn Read + 'a>> {
    Ok(match compression {
        Compression::Detect | Compression::None => Box::new(source),
        Compression::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(source)),
        Compression::Zstd => {
            let mut decoder = zstd::stream::read::Decoder::with_buffer(source)?;
            decoder.window_log_max(ZSTD_WINDOW_LOG)?;
            Box::new(decoder)
        }
        Compression::Xz => {
            let stream = liblzma::stream::Stream::new_stream_decoder(
                XZ_MEMORY,
                liblzma::stream::CONCATENATED,
            )
            .map_err(io::Error::from)?;
            Box::new(liblzma::bufread::XzDecoder::new_stream(source, stream))
        }
    })
}
