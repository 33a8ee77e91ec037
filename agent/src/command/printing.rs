//! Text to standard output.

use std::fmt::Write as _;
use std::io::{self, Write as _};

use unicode_width::UnicodeWidthStr as _;

use super::CommandError;

/// Prints a text. A reader that has seen enough (`| head`) is no mistake.
pub(super) fn print(text: &str) -> Result<(), CommandError> {
    let mut stdout = io::stdout().lock();
    match stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush())
    {
        Err(source) if source.kind() != io::ErrorKind::BrokenPipe => Err(CommandError::Start {
            operation: "write to standard output",
            source,
        }),
        _ => Ok(()),
    }
}

/// A table: cells under each other, two spaces apart.
pub(super) fn aligned<const COLUMNS: usize>(rows: &[[String; COLUMNS]]) -> String {
    let mut widths = [0; COLUMNS];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.width().max(*width);
        }
    }
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(widths) {
            let padding = width - cell.width() + 2;
            // Writing to a String cannot fail.
            let _ = write!(line, "{cell}{:padding$}", "");
        }
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text
}
