//! Requests in the kernel's own format: a header, and attributes that may nest. Everything is in the machine's byte order
//! unless its name says otherwise.

/// `NLMSG_ALIGN`: of messages and attributes.
const ALIGNMENT: usize = 4;
/// `struct nlmsghdr`.
const HEADER: usize = 16;

/// Requests that go to the kernel together.
#[derive(Debug, Default)]
pub(in crate::network) struct Batch {
    bytes: Vec<u8>,
    sequence: u32,
    acknowledged: usize,
}

impl Batch {
    /// Adds a request: its type, its flags besides `NLM_F_REQUEST`, the header of its family, and its attributes.
    pub(in crate::network) fn push(
        &mut self,
        kind: u16,
        flags: i32,
        header: &[u8],
        attributes: impl FnOnce(&mut Attributes<'_>),
    ) {
        let start = self.bytes.len();
        self.sequence += 1;
        let flags = flags | libc::NLM_F_REQUEST;
        if flags & libc::NLM_F_ACK != 0 {
            self.acknowledged += 1;
        }
        self.bytes.extend([0; 4]);
        self.bytes.extend(kind.to_ne_bytes());
        self.bytes
            .extend(u16::try_from(flags).unwrap_or_default().to_ne_bytes());
        self.bytes.extend(self.sequence.to_ne_bytes());
        self.bytes.extend([0; 4]);
        self.bytes.extend(header);
        pad(&mut self.bytes);
        attributes(&mut Attributes(&mut self.bytes));
        let length = u32::try_from(self.bytes.len() - start).unwrap_or(u32::MAX);
        self.bytes[start..start + 4].copy_from_slice(&length.to_ne_bytes());
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// How many of them the kernel answers with an acknowledgement.
    pub(super) const fn acknowledged(&self) -> usize {
        self.acknowledged
    }
}

/// Where attributes are written.
#[derive(Debug)]
pub(in crate::network) struct Attributes<'a>(&'a mut Vec<u8>);

impl Attributes<'_> {
    /// One with any content.
    pub(in crate::network) fn put(&mut self, kind: u16, content: &[u8]) {
        self.measured(kind, |bytes| bytes.extend(content));
    }

    /// A number.
    pub(in crate::network) fn number(&mut self, kind: u16, number: u32) {
        self.put(kind, &number.to_ne_bytes());
    }

    /// A number in network byte order, as the packet filter has all of them.
    pub(in crate::network) fn be32(&mut self, kind: u16, number: u32) {
        self.put(kind, &number.to_be_bytes());
    }

    /// A string with its NUL.
    pub(in crate::network) fn text(&mut self, kind: u16, text: &str) {
        self.measured(kind, |bytes| {
            bytes.extend(text.as_bytes());
            bytes.push(0);
        });
    }

    /// Attributes in an attribute, and what stands before them there.
    pub(in crate::network) fn nest_after(
        &mut self,
        kind: u16,
        header: &[u8],
        inner: impl FnOnce(&mut Attributes<'_>),
    ) {
        self.measured(kind | NESTED, |bytes| {
            bytes.extend(header);
            inner(&mut Attributes(bytes));
        });
    }

    /// Attributes in an attribute.
    pub(in crate::network) fn nest(&mut self, kind: u16, inner: impl FnOnce(&mut Attributes<'_>)) {
        self.nest_after(kind, &[], inner);
    }

    fn measured(&mut self, kind: u16, content: impl FnOnce(&mut Vec<u8>)) {
        let start = self.0.len();
        self.0.extend([0; 2]);
        self.0.extend(kind.to_ne_bytes());
        content(self.0);
        let length = u16::try_from(self.0.len() - start).unwrap_or(u16::MAX);
        self.0[start..start + 2].copy_from_slice(&length.to_ne_bytes());
        pad(self.0);
    }
}

/// `NLA_F_NESTED`.
const NESTED: u16 = 1 << 15;

fn pad(bytes: &mut Vec<u8>) {
    bytes.resize(bytes.len().next_multiple_of(ALIGNMENT), 0);
}

/// A message of an answer.
#[derive(Debug)]
pub(super) struct Answer<'a> {
    pub(super) kind: u16,
    pub(super) sequence: u32,
    /// The family's header and the attributes.
    pub(super) body: &'a [u8],
}

/// The messages of a datagram; one that lies about its length ends them.
pub(super) fn answers(mut bytes: &[u8]) -> impl Iterator<Item = Answer<'_>> {
    std::iter::from_fn(move || {
        let length = usize::try_from(u32_at(bytes, 0)?).ok()?;
        let body = bytes.get(HEADER..length)?;
        let answer = Answer {
            kind: u16_at(bytes, 4)?,
            sequence: u32_at(bytes, 8)?,
            body,
        };
        bytes = bytes
            .get(length.next_multiple_of(ALIGNMENT)..)
            .unwrap_or_default();
        Some(answer)
    })
}

/// The attributes of a message, by their types.
pub(super) fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let length = usize::from(u16_at(bytes, 0)?);
        let found = (u16_at(bytes, 2)? & !NESTED, bytes.get(4..length)?);
        bytes = bytes
            .get(length.next_multiple_of(ALIGNMENT)..)
            .unwrap_or_default();
        Some(found)
    })
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    let raw = bytes.get(at..at + 2)?;
    raw.try_into().ok().map(u16::from_ne_bytes)
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let raw = bytes.get(at..at + 4)?;
    raw.try_into().ok().map(u32::from_ne_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let mut batch = Batch::default();
        batch.push(16, libc::NLM_F_ACK, &[7; 5], |attributes| {
            attributes.text(3, "eth0");
            attributes.nest(18, |inner| inner.number(1, 9));
        });
        batch.push(17, 0, &[], |_| {});
        let all: Vec<_> = answers(batch.bytes()).collect();
        assert_eq!((all.len(), batch.acknowledged()), (2, 1));
        assert_eq!((all[0].kind, all[0].sequence), (16, 1));
        // The header of five bytes is padded to eight.
        let found: Vec<_> = attributes(&all[0].body[8..]).collect();
        assert_eq!(found[0], (3, &b"eth0\0"[..]));
        assert_eq!(found[1].0, 18);
        assert_eq!(
            attributes(found[1].1).next(),
            Some((1, &9_u32.to_ne_bytes()[..]))
        );
        assert_eq!(all[1].body, b"");
    }

    #[test]
    fn a_message_that_lies_about_its_length_ends_the_datagram() {
        for length in [0_u32, 15, 17, u32::MAX] {
            let mut bytes = vec![0; 16];
            bytes[..4].copy_from_slice(&length.to_ne_bytes());
            assert_eq!(answers(&bytes).count(), 0, "{length}");
            bytes[..2].copy_from_slice(&u16::try_from(length.min(99)).unwrap().to_ne_bytes());
            assert!(attributes(&bytes).count() <= 1);
        }
    }
}
