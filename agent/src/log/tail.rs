//! The last lines of a log, made harmless for a terminal.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::Path;

use memchr::memchr;

use crate::sink::sanitise;

/// How many lines of a failed command are shown again behind the summary.
pub const TAIL_LINES: usize = 20;

/// How much of the end of a log is looked at for them, bytes.
const TAIL_BYTES: u64 = 64 << 10;

/// Longest line shown, characters.
const LINE_LIMIT: usize = 500;

/// The last [`TAIL_LINES`] lines of the log at `path`: no control characters or escape sequences, of lines that were
/// overwritten with `\r` only what was visible last, no empty lines at the end.
pub fn tail(path: &Path) -> io::Result<Vec<String>> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    let start = length.saturating_sub(TAIL_BYTES);
    file.seek(SeekFrom::Start(start))?;
    let mut bytes = Vec::new();
    file.take(TAIL_BYTES).read_to_end(&mut bytes)?;
    Ok(last_lines(&bytes, start > 0))
}

/// The last lines of `bytes`, whose first line is incomplete when it is `cut`.
fn last_lines(bytes: &[u8], cut: bool) -> Vec<String> {
    let bytes = match memchr(b'\n', bytes) {
        Some(newline) if cut && newline + 1 < bytes.len() => &bytes[newline + 1..],
        _ => bytes,
    };
    let mut lines = VecDeque::new();
    for line in bytes.rsplit(|&byte| byte == b'\n') {
        if lines.len() == TAIL_LINES {
            break;
        }
        let line = visible(line);
        if !(lines.is_empty() && line.is_empty()) {
            lines.push_front(line);
        }
    }
    lines.into()
}

/// What a terminal would show of a line in the end.
fn visible(line: &[u8]) -> String {
    let line = String::from_utf8_lossy(line);
    let shown = line
        .split('\r')
        .rfind(|part| !part.is_empty())
        .unwrap_or_default();
    let mut text = sanitise(shown).trim_end().to_owned();
    if let Some((end, _)) = text.char_indices().nth(LINE_LIMIT) {
        text.truncate(end);
        text.push_str("...");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{TAIL_LINES, last_lines, tail, visible};

    #[test]
    fn the_last_twenty_lines_are_shown() {
        let log: String = (0..100).map(|line| format!("line {line}\n")).collect();
        let lines = last_lines(log.as_bytes(), false);
        assert_eq!(lines.len(), TAIL_LINES);
        assert_eq!(lines[0], "line 80");
        assert_eq!(lines[19], "line 99");
    }

    #[test]
    fn empty_lines_at_the_end_do_not_push_the_reason_out() {
        assert_eq!(last_lines(b"reason\n\n\n\n", false), ["reason"]);
        assert_eq!(last_lines(b"", false), Vec::<String>::new());
        assert_eq!(last_lines(b"a\n\nb", false), ["a", "", "b"]);
    }

    #[test]
    fn a_progress_bar_shows_its_last_state() {
        assert_eq!(visible(b" 10%\r 50%\r100%"), "100%");
        assert_eq!(visible(b"text\r"), "text");
        assert_eq!(visible(b"\x1b[31mred\x1b[0m\x07"), "red?");
    }

    #[test]
    fn a_huge_log_is_read_from_its_end_only() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        let mut log = vec![b'x'; 1 << 20];
        log.extend_from_slice(b"\nlast\n");
        std::fs::write(&path, log).unwrap();
        assert_eq!(tail(&path).unwrap(), ["last"]);
    }
}
