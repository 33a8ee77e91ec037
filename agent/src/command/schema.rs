//! `agent schema`: what an editor needs to know of the language.

use super::{CommandError, printing};
use crate::exit_code::ExitCode;

/// Prints the JSON Schema (draft 2020-12) to standard output.
///
/// # Errors
/// When standard output cannot be written to.
pub fn execute() -> Result<ExitCode, CommandError> {
    printing::print(&format!("{:#}\n", pipelines::schema::json()))?;
    Ok(ExitCode::Success)
}
