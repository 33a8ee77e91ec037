//! `agent plan`: what a pipeline becomes.

use pipelines::Severity;

use super::compiled::{self, Compiled};
use super::{CommandError, graph, printing};
use crate::cli::{Plan, PlanFormat};
use crate::exit_code::ExitCode;
use crate::machine::Machine;

/// Prints the plan. What cannot be carried out yet is in it like everything else.
pub fn execute(arguments: &Plan, machine: &Machine) -> Result<ExitCode, CommandError> {
    let Compiled { plan, .. } = compiled::compile(
        &arguments.directory,
        &arguments.choice,
        Severity::Warning,
        false,
        machine,
    )?;
    let Some(plan) = plan else {
        return Ok(ExitCode::InvalidPipeline);
    };
    let text = match arguments.format {
        PlanFormat::Json => serde_json::to_string_pretty(&plan)
            .map(|text| text + "\n")
            .map_err(|error| CommandError::Write(error.to_string())),
        PlanFormat::Yaml => {
            serde_yaml::to_string(&plan).map_err(|error| CommandError::Write(error.to_string()))
        }
        PlanFormat::Dot => Ok(graph::dot(&plan)),
        PlanFormat::Mermaid => Ok(graph::mermaid(&plan)),
    };
    printing::print(&text?)?;
    Ok(ExitCode::Success)
}
