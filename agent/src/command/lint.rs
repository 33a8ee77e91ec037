//! `agent lint`: what the compiler says about a pipeline.

use std::io::{self, IsTerminal as _, Write as _};

use pipelines::{Overrides, Source, compile, render};

use super::CommandError;
use crate::cli::Lint;
use crate::exit_code::ExitCode;
use crate::machine::Machine;
use crate::workspace;

/// Checks the pipeline; diagnostics go to standard error.
pub fn execute(arguments: &Lint, machine: &Machine) -> Result<ExitCode, CommandError> {
    let source = workspace::open(&arguments.path)?;
    let compilation = compile(&source, &Overrides::default());
    show(&source, &compilation.diagnostics, machine);
    let failed =
        compilation.plan.is_none() || (arguments.strict && !compilation.diagnostics.is_empty());
    Ok(if failed {
        ExitCode::InvalidPipeline
    } else {
        ExitCode::Success
    })
}

/// Renders diagnostics to standard error.
pub(super) fn show(source: &Source, diagnostics: &[pipelines::Diagnostic], machine: &Machine) {
    if diagnostics.is_empty() {
        return;
    }
    let colour = !machine.no_colour && io::stderr().is_terminal();
    let text = render::human(source, diagnostics, colour);
    // There is nobody to tell when that fails.
    let _ = io::stderr().lock().write_all(text.as_bytes());
}
