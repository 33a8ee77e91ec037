//! One 512-byte tar header: V7, ustar, GNU and star, read strictly (`tar(5)` of libarchive, POSIX.1-2017 `pax`).

use super::error::Fault;

/// The unit of a tar archive, in bytes.
pub(super) const BLOCK: usize = 512;

/// A header's fields as they stand, before extended headers override them.
#[derive(Debug)]
pub(super) struct Header {
    pub(super) name: Vec<u8>,
    pub(super) link: Vec<u8>,
    pub(super) kind: u8,
    pub(super) mode: u32,
    pub(super) uid: u64,
    pub(super) gid: u64,
    pub(super) size: u64,
    pub(super) mtime: i64,
    pub(super) major: u64,
    pub(super) minor: u64,
}

impl Header {
    /// Reads a block that is not all zero.
    pub(super) fn parse(block: &[u8; BLOCK]) -> Result<Self, Fault> {
        check_sum(block)?;
        let is_posix = &block[257..263] == b"ustar\0";
        let is_gnu = &block[257..265] == b"ustar  \0";
        let mut name = text(&block[0..100]).to_vec();
        if is_posix {
            // star keeps times behind a shorter prefix.
            let prefix = if &block[508..512] == b"tar\0" {
                &block[345..476]
            } else {
                &block[345..500]
            };
            let prefix = text(prefix);
            if !prefix.is_empty() {
                name = [prefix, b"/", &name].concat();
            }
        }
        let devices = is_posix || is_gnu;
        Ok(Self {
            name,
            link: text(&block[157..257]).to_vec(),
            kind: block[156],
            mode: u32::try_from(unsigned(&block[100..108])? & 0o7777).map_err(|_| Fault::Number)?,
            uid: unsigned(&block[108..116])?,
            gid: unsigned(&block[116..124])?,
            size: unsigned(&block[124..136])?,
            mtime: signed(&block[136..148])?,
            major: if devices {
                unsigned(&block[329..337])?
            } else {
                0
            },
            minor: if devices {
                unsigned(&block[337..345])?
            } else {
                0
            },
        })
    }
}

/// A field of text ends at its first NUL.
fn text(field: &[u8]) -> &[u8] {
    field.split(|b| *b == 0).next().unwrap_or_default()
}

/// The sum of all bytes, the field itself counted as spaces; old tars summed signed bytes.
fn check_sum(block: &[u8; BLOCK]) -> Result<(), Fault> {
    let expected = unsigned(&block[148..156]).map_err(|_| Fault::Checksum)?;
    let field = 148..156;
    let bytes = || {
        block
            .iter()
            .enumerate()
            .map(|(at, byte)| if field.contains(&at) { b' ' } else { *byte })
    };
    let unsigned_sum: u64 = bytes().map(u64::from).sum();
    let signed_sum: i64 = bytes().map(|byte| i64::from(byte.cast_signed())).sum();
    if expected == unsigned_sum || i64::try_from(expected) == Ok(signed_sum) {
        Ok(())
    } else {
        Err(Fault::Checksum)
    }
}

fn unsigned(field: &[u8]) -> Result<u64, Fault> {
    u64::try_from(signed(field)?).map_err(|_| Fault::Number)
}

/// Octal digits between blanks, or GNU's base-256: the first bit set, two's complement, big-endian.
fn signed(field: &[u8]) -> Result<i64, Fault> {
    if field.first().is_some_and(|first| first & 0x80 != 0) {
        let negative = field[0] & 0x40 != 0;
        let mut value: i128 = if negative { -1 } else { 0 };
        for (at, byte) in field.iter().enumerate() {
            // The marker bit is no digit; for a negative number it already is one of the sign's.
            let byte = if at == 0 && !negative {
                byte & 0x7f
            } else {
                *byte
            };
            value = value << 8 | i128::from(byte);
        }
        return i64::try_from(value).map_err(|_| Fault::Number);
    }
    let is_blank = |b: &u8| *b == b' ' || *b == 0;
    let start = field
        .iter()
        .position(|b| !is_blank(b))
        .unwrap_or(field.len());
    let digits = &field[start..];
    let end = digits.iter().position(is_blank).unwrap_or(digits.len());
    if !digits[end..].iter().all(is_blank) {
        return Err(Fault::Number);
    }
    digits[..end]
        .iter()
        .try_fold(0i64, |value, digit| match digit {
            b'0'..=b'7' => Ok(value << 3 | i64::from(digit - b'0')),
            _ => Err(Fault::Number),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_octal_or_base_256() {
        assert_eq!(signed(b"0000644\0"), Ok(0o644));
        assert_eq!(signed(b"   644 \0"), Ok(0o644));
        assert_eq!(signed(b"\0\0\0\0"), Ok(0));
        assert_eq!(signed(b"77777777777\0"), Ok(0o77_777_777_777));
        assert_eq!(signed(b"\x80\0\0\x01\0"), Ok(0x100));
        assert_eq!(signed(b"\xff\xff\xff\xfe"), Ok(-2));
        assert_eq!(unsigned(b"\xff\xff\xff\xfe"), Err(Fault::Number));
        assert_eq!(signed(b"0000649\0"), Err(Fault::Number));
        assert_eq!(signed(b"64 4\0"), Err(Fault::Number));
        assert_eq!(signed(b"-1\0"), Err(Fault::Number));
        assert_eq!(
            signed(b"\x80\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"),
            Err(Fault::Number)
        );
    }
}
