//! Extended headers: `LEN KEY=VALUE\n` records (POSIX.1-2017 `pax`, "pax Extended Header"), of which the ones that
//! change what is unpacked are kept.

use super::error::Fault;

/// A time stamp: whole seconds since 1970, and nanoseconds from 0 to 999,999,999 after them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Time {
    pub(crate) seconds: i64,
    pub(crate) nanoseconds: u32,
}

/// What an extended header says of the entry after it; the last record of a key wins, an empty value takes it back.
#[derive(Debug, Default)]
pub(super) struct Extensions {
    pub(super) path: Option<Vec<u8>>,
    pub(super) link: Option<Vec<u8>>,
    pub(super) size: Option<u64>,
    pub(super) uid: Option<u64>,
    pub(super) gid: Option<u64>,
    pub(super) mtime: Option<Time>,
    /// Name and value of each extended attribute.
    pub(super) xattrs: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Extensions {
    /// Adds the records of one extended header's content.
    pub(super) fn read(&mut self, mut content: &[u8]) -> Result<(), Fault> {
        while !content.is_empty() {
            let space = content
                .iter()
                .take(20)
                .position(|b| *b == b' ')
                .ok_or(Fault::Record)?;
            let length = decimal(&content[..space])
                .and_then(|n| usize::try_from(n).ok())
                .ok_or(Fault::Record)?;
            if length <= space + 1 || length > content.len() {
                return Err(Fault::Record);
            }
            let (record, rest) = content.split_at(length);
            let record = record[space + 1..]
                .strip_suffix(b"\n")
                .ok_or(Fault::Record)?;
            let equals = record
                .iter()
                .position(|b| *b == b'=')
                .ok_or(Fault::Record)?;
            self.set(&record[..equals], &record[equals + 1..])?;
            content = rest;
        }
        Ok(())
    }

    fn set(&mut self, key: &[u8], value: &[u8]) -> Result<(), Fault> {
        let bytes = || (!value.is_empty()).then(|| value.to_vec());
        let number = || match value {
            b"" => Ok(None),
            value => decimal(value).map(Some).ok_or(Fault::RecordNumber),
        };
        match key {
            b"path" => self.path = bytes(),
            b"linkpath" => self.link = bytes(),
            b"size" => self.size = number()?,
            b"uid" => self.uid = number()?,
            b"gid" => self.gid = number()?,
            b"mtime" => {
                self.mtime = match value {
                    b"" => None,
                    value => Some(time(value).ok_or(Fault::RecordNumber)?),
                }
            }
            _ if key.starts_with(b"GNU.sparse.") => return Err(Fault::Sparse),
            _ => {
                if let Some(name) = key.strip_prefix(b"SCHILY.xattr.") {
                    if name.is_empty() || name.contains(&0) {
                        return Err(Fault::Record);
                    }
                    self.xattrs.retain(|(other, _)| other != name);
                    self.xattrs.push((name.to_vec(), value.to_vec()));
                }
            }
        }
        Ok(())
    }
}

fn decimal(text: &[u8]) -> Option<u64> {
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// `[-]seconds[.fraction]`, digits beyond the ninth dropped.
fn time(text: &[u8]) -> Option<Time> {
    let (negative, text) = match text.strip_prefix(b"-") {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let dot = text.iter().position(|b| *b == b'.').unwrap_or(text.len());
    let seconds = i64::try_from(decimal(&text[..dot])?).ok()?;
    let fraction = text.get(dot + 1..).unwrap_or_default();
    if !fraction.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let digit = |at: usize| fraction.get(at).map_or(0, |digit| u32::from(digit - b'0'));
    let nanoseconds = (0..9).fold(0, |value, at| value * 10 + digit(at));
    Some(match (negative, nanoseconds) {
        (false, nanoseconds) => Time {
            seconds,
            nanoseconds,
        },
        (true, 0) => Time {
            seconds: -seconds,
            nanoseconds: 0,
        },
        (true, nanoseconds) => Time {
            seconds: -seconds - 1,
            nanoseconds: 1_000_000_000 - nanoseconds,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(key: &str, value: &[u8]) -> Vec<u8> {
        let body = [b" ", key.as_bytes(), b"=", value, b"\n"].concat();
        let length = (1..5)
            .map(|digits| body.len() + digits)
            .find(|n| n.to_string().len() + body.len() == *n);
        [length.unwrap().to_string().as_bytes(), &body].concat()
    }

    #[test]
    fn the_last_record_wins_and_an_empty_one_takes_it_back() {
        let mut extensions = Extensions::default();
        extensions
            .read(
                &[
                    record("path", b"a"),
                    record("path", b"b"),
                    record("uid", b"7"),
                    record("uid", b""),
                ]
                .concat(),
            )
            .unwrap();
        assert_eq!(
            (extensions.path, extensions.uid),
            (Some(b"b".to_vec()), None)
        );
    }

    #[test]
    fn an_attribute_may_hold_anything() {
        let mut extensions = Extensions::default();
        extensions
            .read(&record("SCHILY.xattr.user.x", b"a=b\n\0c"))
            .unwrap();
        assert_eq!(
            extensions.xattrs,
            [(b"user.x".to_vec(), b"a=b\n\0c".to_vec())]
        );
    }

    #[test]
    fn times_have_nanoseconds_and_may_be_before_1970() {
        let at = |seconds, nanoseconds| {
            Some(Time {
                seconds,
                nanoseconds,
            })
        };
        assert_eq!(time(b"1700000000"), at(1_700_000_000, 0));
        assert_eq!(time(b"1.5"), at(1, 500_000_000));
        assert_eq!(time(b"1.1234567899"), at(1, 123_456_789));
        assert_eq!(time(b"-1.25"), at(-2, 750_000_000));
        assert_eq!(time(b"-3"), at(-3, 0));
        for text in [
            &b""[..],
            b".5",
            b"1.x",
            b"1,5",
            b"+1",
            b"99999999999999999999",
        ] {
            assert_eq!(time(text), None);
        }
    }

    #[test]
    fn damaged_records_are_refused() {
        for text in [
            &b"5 a=b"[..],
            b"6 a=b",
            b"99 a=b\n",
            b"0 a=b\n",
            b"a=b\n",
            b"-1 a=b\n",
            b"5 ab\n",
            b"3 \n",
        ] {
            assert_eq!(
                Extensions::default().read(text).unwrap_err(),
                Fault::Record,
                "{}",
                text.escape_ascii()
            );
        }
        assert_eq!(
            Extensions::default()
                .read(&record("size", b"-1"))
                .unwrap_err(),
            Fault::RecordNumber
        );
        assert_eq!(
            Extensions::default()
                .read(&record("GNU.sparse.major", b"1"))
                .unwrap_err(),
            Fault::Sparse
        );
    }
}
