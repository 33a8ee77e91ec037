//! Text to standard output.

use std::io::{self, Write as _};

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
