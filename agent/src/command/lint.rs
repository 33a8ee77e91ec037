//! `agent lint`: what the compiler says about a pipeline.

use std::io::{self, IsTerminal as _, Write as _};
use std::path::Path;

use pipelines::{Options, Severity, Source, compile_with, render};

use super::{CommandError, diagnostics, printing};
use crate::cli::{Lint, LintFormat};
use crate::exit_code::ExitCode;
use crate::machine::Machine;
use crate::workspace;

/// Checks the pipeline; diagnostics go to standard error, in the formats for programs to standard output.
pub fn execute(arguments: &Lint, machine: &Machine) -> Result<ExitCode, CommandError> {
    let mut found = if arguments.path == Path::new("-") {
        workspace::standard_input()?
    } else {
        workspace::open(&arguments.path)?
    };
    workspace::gather(&mut found.source, &found.directory, &machine.includes());
    let source = found.source;
    // Nothing is to run: what cannot be carried out yet is worth a word, and right all the same.
    let options = Options {
        not_yet: Severity::Warning,
        ..Options::default()
    };
    let mut compilation = compile_with(&source, &options);
    if arguments.strict {
        for diagnostic in &mut compilation.diagnostics {
            diagnostic.severity = Severity::Error;
        }
    }
    let failed =
        compilation.plan.is_none() || (arguments.strict && !compilation.diagnostics.is_empty());
    let located = || render::machine(&source, &compilation.diagnostics);
    match arguments.format {
        LintFormat::Human => show(&source, &compilation.diagnostics, machine),
        LintFormat::Json => printing::print(&diagnostics::json(&located()))?,
        LintFormat::Sarif => printing::print(&diagnostics::sarif(&located()))?,
        LintFormat::Github => printing::print(&diagnostics::github(&located()))?,
    }
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
