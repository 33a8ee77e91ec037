//! The name of a content: its SHA-256, written `sha256:<64 hex digits>`
//! (OCI image specification, descriptor.md, "Digests").
//!
//! The only algorithm that registries serve in practice; others are refused by name.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::Digest as _;

/// A SHA-256 digest.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

/// Why a text is no digest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DigestError {
    /// Not `algorithm:hex`.
    #[error("a digest is written `sha256:` and 64 hexadecimal digits")]
    Format,
    /// Another algorithm than SHA-256.
    #[error("unsupported digest algorithm `{0}`; only sha256 is known")]
    Algorithm(String),
    /// Not 64 digits.
    #[error("a sha256 digest has 64 hexadecimal digits, not {0}")]
    Length(usize),
}

impl Digest {
    /// The digest of bytes at hand.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(sha2::Sha256::digest(bytes).into())
    }

    /// The 64 lower-case digits, without the algorithm: the name of a file or directory in the store.
    #[must_use]
    pub fn hex(&self) -> String {
        use fmt::Write as _;
        self.0
            .iter()
            .fold(String::with_capacity(64), |mut text, byte| {
                // Writing to a String cannot fail.
                let _ = write!(text, "{byte:02x}");
                text
            })
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", self.hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        let (algorithm, hex) = text.split_once(':').ok_or(DigestError::Format)?;
        if algorithm != "sha256" {
            let known = algorithm
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "+._-".contains(c));
            return Err(if known && !algorithm.is_empty() && algorithm.len() <= 32 {
                DigestError::Algorithm(algorithm.to_owned())
            } else {
                DigestError::Format
            });
        }
        if hex.len() != 64 {
            return Err(DigestError::Length(hex.len()));
        }
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(hex.as_bytes().chunks_exact(2)) {
            *byte = nibble(pair[0])? << 4 | nibble(pair[1])?;
        }
        Ok(Self(bytes))
    }
}

fn nibble(digit: u8) -> Result<u8, DigestError> {
    match digit {
        b'0'..=b'9' => Ok(digit - b'0'),
        b'a'..=b'f' => Ok(digit - b'a' + 10),
        _ => Err(DigestError::Format),
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Not borrowed: JSON may escape any character of a string.
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

/// A digest in the making.
#[derive(Debug, Clone, Default)]
pub struct Hasher(sha2::Sha256);

impl Hasher {
    /// Adds the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The digest of everything added.
    #[must_use]
    pub fn finish(self) -> Digest {
        Digest(self.0.finalize().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_of_nothing_is_the_known_one() {
        assert_eq!(
            Digest::of(b"").to_string(),
            "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
    }

    #[test]
    fn a_digest_reads_back_as_it_was_written() {
        let digest = Digest::of(b"slipway");
        assert_eq!(digest.to_string().parse(), Ok(digest));
        let json = serde_json::to_string(&digest).unwrap();
        assert_eq!(serde_json::from_str::<Digest>(&json).unwrap(), digest);
    }

    #[test]
    fn anything_else_is_refused() {
        let f64 = "f".repeat(64);
        let cases: [(&str, DigestError); 7] = [
            ("", DigestError::Format),
            (&f64, DigestError::Format),
            ("sha256:", DigestError::Length(0)),
            (&format!("sha256:{}", &f64[1..]), DigestError::Length(63)),
            (
                &format!("sha256:{}", f64.to_uppercase()),
                DigestError::Format,
            ),
            (
                &format!("sha512:{f64}{f64}"),
                DigestError::Algorithm("sha512".into()),
            ),
            (&format!("../sha256:{f64}"), DigestError::Format),
        ];
        for (text, error) in cases {
            assert_eq!(text.parse::<Digest>(), Err(error), "{text}");
        }
    }
}
