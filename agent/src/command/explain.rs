//! `agent explain`: the plan with its reasons.

use std::fmt::Write as _;
use std::time::Duration;

use pipelines::plan::{Action, Condition, Job, Network, Place, Service, Step};
use pipelines::{Severity, StepOrigins};

use super::compiled::{self, Compiled};
use super::{CommandError, printing, services};
use crate::cli::Explain;
use crate::exit_code::ExitCode;
use crate::machine::Machine;
use crate::sink::sanitise;

/// Prints every job and step of the plan.
pub fn execute(arguments: &Explain, machine: &Machine) -> Result<ExitCode, CommandError> {
    let mut choice = arguments.choice.clone();
    if let Some(job) = &arguments.only {
        choice.jobs.push(job.clone());
        choice.no_needs = true;
    }
    let compiled = compiled::compile(
        &arguments.directory,
        &choice,
        Severity::Warning,
        true,
        machine,
    )?;
    let Some(text) = text(&compiled) else {
        return Ok(ExitCode::InvalidPipeline);
    };
    printing::print(&text)?;
    Ok(ExitCode::Success)
}

fn text(compiled: &Compiled) -> Option<String> {
    let plan = compiled.plan.as_ref()?;
    let mut out = String::new();
    if let Some(reason) = &plan.not_triggered {
        let _ = writeln!(out, "nothing runs: {}", sanitise(reason));
    }
    for job in &plan.jobs {
        let _ = writeln!(out, "job {}{}", sanitise(&job.id), at(&job.place));
        let _ = writeln!(
            out,
            "  {}",
            reason(&job.condition, &job.needs, "once these have ended well: ")
        );
        if let Some(cell) = &job.cell {
            let values = cell.values.iter();
            let values = values.map(|(axis, value)| {
                let value = value.to_text().unwrap_or_default();
                format!("{axis}={value}")
            });
            let values: Vec<String> = values.collect();
            let _ = writeln!(out, "  cell: {}", sanitise(&values.join(", ")));
        }
        if let Some(timeout) = job.timeout {
            let _ = writeln!(out, "  timeout: {}", length(timeout));
        }
        if job.allow_failure {
            let _ = writeln!(out, "  its failure is allowed");
        }
        for service in &job.services {
            beside(&mut out, service);
        }
        steps(
            &mut out,
            job,
            compiled.origins.get(&job.id).map_or(&[], Vec::as_slice),
        );
    }
    Some(out)
}

fn beside(out: &mut String, service: &Service) {
    let _ = writeln!(out, "  service {}", sanitise(&service.name));
    let mut line = |key: &str, value: &str| {
        let _ = writeln!(out, "    {key}: {}", sanitise(value));
    };
    for (key, value) in services::described(service) {
        line(key, &value);
    }
    for (name, value) in &service.command.env {
        line(&format!("env.{name}"), &value.to_string());
    }
    for name in &service.secrets {
        line(&format!("secrets.{name}"), "***");
    }
}

fn steps(out: &mut String, job: &Job, origins: &[StepOrigins]) {
    let none = StepOrigins::new();
    let kinds = std::iter::repeat_n("step", job.steps.len()).chain(std::iter::repeat("after"));
    let steps = job.steps.iter().chain(&job.after);
    for (index, (kind, step)) in kinds.zip(steps).enumerate() {
        let _ = writeln!(out, "  {kind} {}{}", sanitise(&step.name), at(&step.place));
        let _ = writeln!(
            out,
            "    {}",
            reason(&step.condition, &step.needs, "after ")
        );
        if step.allow_failure {
            let _ = writeln!(out, "    its failure is allowed");
        }
        describe(out, step, origins.get(index).unwrap_or(&none));
    }
}

fn describe(out: &mut String, step: &Step, origins: &StepOrigins) {
    let mut line = |key: &str, value: &str| {
        let origin = origins.get(key).map(|origin| format!("  ({origin})"));
        let _ = writeln!(
            out,
            "    {key}: {}{}",
            sanitise(value),
            sanitise(&origin.unwrap_or_default())
        );
    };
    let command = &step.command;
    line("image", &command.image.to_string());
    if let Action::Script { shell, .. } = &command.action {
        let shell: Vec<String> = shell.iter().map(ToString::to_string).collect();
        line("shell", &shell.join(" "));
    }
    let optional = [
        ("workdir", command.workdir.as_ref().map(ToString::to_string)),
        ("user", command.user.as_ref().map(ToString::to_string)),
        ("timeout", step.timeout.map(length)),
        ("silence_timeout", step.silence_timeout.map(length)),
        (
            "retry",
            step.retry
                .as_ref()
                .map(|retry| format!("{} more", retry.max)),
        ),
        ("network", network(&step.network)),
        ("nesting", step.nesting.then(|| "true".to_owned())),
    ];
    for (key, value) in optional {
        if let Some(value) = value {
            line(key, &value);
        }
    }
    for (name, value) in &command.env {
        line(&format!("env.{name}"), &value.to_string());
    }
    for name in &step.secrets {
        line(&format!("secrets.{name}"), "***");
    }
    let script = match &command.action {
        Action::Script { script, .. } => script.to_string(),
        Action::Entrypoint { args } => {
            let args: Vec<String> = args.iter().map(ToString::to_string).collect();
            format!("the image's entrypoint {}", args.join(" "))
        }
    };
    for text in script.lines() {
        let _ = writeln!(out, "    | {}", sanitise(text));
    }
}

/// Why something runs, or does not.
fn reason(condition: &Condition, needs: &[String], after: &str) -> String {
    let turn = match needs {
        [] => "at once".to_owned(),
        needs => format!("{after}{}", needs.join(", ")),
    };
    sanitise(&match condition {
        Condition::Success => format!("runs {turn}"),
        Condition::When { expression } => {
            format!("is decided when its turn comes ({turn}), if: {expression}")
        }
        Condition::Never { reason } => format!("is skipped, {reason}"),
    })
}

fn at(place: &Place) -> String {
    match place.line {
        0 => String::new(),
        line => format!("  {}:{line}", sanitise(&place.file)),
    }
}

fn length(duration: Duration) -> String {
    humantime::format_duration(duration).to_string()
}

fn network(network: &Network) -> Option<String> {
    match network {
        Network::Default => None,
        Network::None => Some("none".to_owned()),
        Network::Host => Some("host".to_owned()),
        Network::Allow(targets) => {
            let targets: Vec<String> = targets.iter().map(ToString::to_string).collect();
            Some(format!("allow {}", targets.join(", ")))
        }
    }
}
