//! The checksum of a log: SHA-256 over the SHA-256 digests of its blocks of 1 MiB, one behind the other.
//!
//! Who computes it can stop after any block and go on from the digests so far, 32 bytes for each MiB, without the bytes.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use utoipa::openapi::{ObjectBuilder, RefOr, Schema, schema::Type};
use utoipa::{PartialSchema, ToSchema};

/// Bytes of a block; the last one may have fewer.
pub const BLOCK: usize = 1 << 20;

/// A SHA-256 digest; on the wire 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Checksum(pub [u8; 32]);

/// A text is not a checksum.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a checksum is 64 hexadecimal digits")]
pub struct ChecksumError;

/// Computes a [`Checksum`] of bytes as they come.
#[derive(Debug, Clone, Default)]
pub struct BlockHasher {
    /// Of the blocks that are full.
    digests: Vec<[u8; 32]>,
    block: Sha256,
    /// Bytes in `block`, fewer than [`BLOCK`].
    filled: usize,
}

impl BlockHasher {
    /// One that has seen nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// One that has seen as many full blocks, with these digests. The bytes behind them are yet to come.
    #[must_use]
    pub fn behind(digests: Vec<[u8; 32]>) -> Self {
        Self {
            digests,
            ..Self::default()
        }
    }

    /// Takes more bytes.
    pub fn update(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let (now, rest) = bytes.split_at(bytes.len().min(BLOCK - self.filled));
            self.block.update(now);
            self.filled += now.len();
            bytes = rest;
            if self.filled == BLOCK {
                self.digests.push(self.block.finalize_reset().into());
                self.filled = 0;
            }
        }
    }

    /// The digests of the full blocks so far.
    #[must_use]
    pub fn full_blocks(&self) -> &[[u8; 32]] {
        &self.digests
    }

    /// Bytes so far.
    #[must_use]
    pub fn length(&self) -> u64 {
        (self.digests.len() * BLOCK + self.filled) as u64
    }

    /// The checksum of everything so far.
    #[must_use]
    pub fn checksum(&self) -> Checksum {
        let mut whole = Sha256::new();
        for digest in &self.digests {
            whole.update(digest);
        }
        if self.filled > 0 {
            whole.update(self.block.clone().finalize());
        }
        Checksum(whole.finalize().into())
    }
}

impl fmt::Display for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Checksum {
    type Err = ChecksumError;

    fn from_str(text: &str) -> Result<Self, ChecksumError> {
        let text: &[u8; 64] = text.as_bytes().try_into().map_err(|_| ChecksumError)?;
        let mut bytes = [0; 32];
        for (byte, digits) in bytes.iter_mut().zip(text.chunks_exact(2)) {
            *byte = digit(digits[0])? << 4 | digit(digits[1])?;
        }
        Ok(Self(bytes))
    }
}

const fn digit(digit: u8) -> Result<u8, ChecksumError> {
    match digit {
        b'0'..=b'9' => Ok(digit - b'0'),
        b'a'..=b'f' => Ok(digit - b'a' + 10),
        _ => Err(ChecksumError),
    }
}

impl PartialSchema for Checksum {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .pattern(Some("^[0-9a-f]{64}$"))
            .into()
    }
}

impl ToSchema for Checksum {}

impl TryFrom<String> for Checksum {
    type Error = ChecksumError;

    fn try_from(text: String) -> Result<Self, ChecksumError> {
        text.parse()
    }
}

impl From<Checksum> for String {
    fn from(checksum: Checksum) -> Self {
        checksum.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(bytes: &[u8]) -> Checksum {
        let mut hasher = BlockHasher::new();
        hasher.update(bytes);
        hasher.checksum()
    }

    /// What the definition says, word by word.
    fn by_definition(bytes: &[u8]) -> Checksum {
        let digests: Vec<u8> = bytes
            .chunks(BLOCK)
            .flat_map(|block| Sha256::digest(block).to_vec())
            .collect();
        Checksum(Sha256::digest(digests).into())
    }

    #[test]
    fn it_is_what_the_definition_says_whatever_the_length() {
        let bytes: Vec<u8> = (0..=250).cycle().take(3 * BLOCK + 5).collect();
        for length in [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK, 3 * BLOCK + 5] {
            assert_eq!(
                of(&bytes[..length]),
                by_definition(&bytes[..length]),
                "{length}"
            );
        }
    }

    #[test]
    fn pieces_do_not_matter_and_it_goes_on_behind_full_blocks() {
        let bytes: Vec<u8> = (0..=240).cycle().take(2 * BLOCK + 77).collect();
        let mut pieces = BlockHasher::new();
        bytes.chunks(70_001).for_each(|piece| pieces.update(piece));
        assert_eq!(pieces.checksum(), of(&bytes));
        assert_eq!(pieces.length(), bytes.len() as u64);

        let mut resumed = BlockHasher::behind(pieces.full_blocks().to_vec());
        resumed.update(&bytes[2 * BLOCK..]);
        assert_eq!(resumed.checksum(), of(&bytes));
    }

    #[test]
    fn a_checksum_is_written_as_it_is_read() {
        let checksum = of(b"log");
        assert_eq!(checksum.to_string().parse(), Ok(checksum));
        for wrong in ["", "ab", &"g".repeat(64), &"A".repeat(64), &"a".repeat(65)] {
            assert_eq!(wrong.parse::<Checksum>(), Err(ChecksumError));
        }
    }
}
