use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

use super::Masks;

/// Bytes of `$SLIPWAY_MASK` that are heeded.
const LIMIT: u64 = 64 << 10;

/// How often a step may add to it. Each time, everything that is masked is prepared anew.
const CHANGES: u32 = 1_000;

/// `$SLIPWAY_MASK`: a step appends values to it, one a line, that are not to be shown from then on.
///
/// A step that writes a value to its output after it has appended it finds it masked: the file is looked at after each
/// read of the output.
#[derive(Debug)]
pub struct MaskFile {
    file: File,
    /// Bytes of it that have been seen.
    seen: u64,
    /// How often there was more.
    changes: u32,
}

impl MaskFile {
    /// The file of a step that starts.
    #[must_use]
    pub const fn new(file: File) -> Self {
        Self {
            file,
            seen: 0,
            changes: 0,
        }
    }

    /// Adds what is new; says what is wrong with it, once.
    pub fn heed(&mut self, masks: &Masks) -> Option<String> {
        match self.read() {
            Ok(None) => None,
            Ok(Some(content)) => {
                // A value that is still being written is masked as far as it has come.
                let lines = content.split(|byte| *byte == b'\n');
                let lines = lines.map(|line| line.strip_suffix(b"\r").unwrap_or(line));
                let added = masks.add(lines.filter(|line| !line.is_empty()));
                self.changes += 1;
                if self.seen > LIMIT || self.changes > CHANGES {
                    return Some(format!(
                        "only {LIMIT} bytes and {CHANGES} changes of $SLIPWAY_MASK are heeded"
                    ));
                }
                added.err().map(|error| format!("$SLIPWAY_MASK: {error}"))
            }
            Err(error) => Some(format!("$SLIPWAY_MASK cannot be read: {error}")),
        }
    }

    /// The content, when there is more of it than before.
    fn read(&mut self) -> io::Result<Option<Vec<u8>>> {
        let length = self.file.metadata()?.len();
        if length <= self.seen || self.seen > LIMIT || self.changes > CHANGES {
            return Ok(None);
        }
        self.seen = length;
        let mut content = vec![0; usize::try_from(length.min(LIMIT)).unwrap_or(0)];
        let mut filled = 0;
        while filled < content.len() {
            match self.file.read_at(&mut content[filled..], filled as u64) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        content.truncate(filled);
        Ok(Some(content))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::sync::Arc;

    use super::{MaskFile, Masks};

    #[test]
    fn what_is_appended_is_heeded_once_it_is_there() {
        let mut writer = tempfile::tempfile().unwrap();
        let mut file = MaskFile::new(writer.try_clone().unwrap());
        let masks = Arc::new(Masks::default());
        assert_eq!(file.heed(&masks), None);
        writer.write_all(b"first-value\nsecond").unwrap();
        assert_eq!(file.heed(&masks), None);
        assert_eq!(masks.text("first-value second".to_owned()), "*** ***");
        writer.write_all(b"\nabc\n").unwrap();
        assert!(file.heed(&masks).unwrap().contains("fewer than 4 bytes"));
        assert_eq!(file.heed(&masks), None);
    }

    #[test]
    fn a_flood_is_cut() {
        let mut writer = tempfile::tempfile().unwrap();
        writer.write_all(&vec![b'x'; 70_000]).unwrap();
        let mut file = MaskFile::new(writer);
        let masks = Arc::new(Masks::default());
        assert!(file.heed(&masks).unwrap().contains("65536 bytes"));
        assert_eq!(file.heed(&masks), None);
    }
}
