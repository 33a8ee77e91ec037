//! What a shell offers for `--job`, `--step`, `--matrix` and `--publish`: names of the pipeline that is nearest; for a container and an
//! image: the names of those there are.
//!
//! A shell puts what it is offered on its command line as it is, and a pipeline may come from anybody: names with
//! characters that a shell acts on are not offered.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::Path;

use clap_complete::CompletionCandidate;
use pipelines::plan::Plan;
use pipelines::{Options, Severity, compile_with};

use crate::command::image;
use crate::door::Containers;
use crate::machine::Machine;
use crate::workspace;

pub(super) fn jobs(typed: &OsStr) -> Vec<CompletionCandidate> {
    offer(typed, |plan| {
        plan.jobs.iter().map(|job| job.key().to_owned()).collect()
    })
}

pub(super) fn steps(typed: &OsStr) -> Vec<CompletionCandidate> {
    offer(typed, |plan| {
        let steps = plan.jobs.iter().flat_map(|job| &job.steps);
        steps.map(|step| step.name.clone()).collect()
    })
}

/// Each with the colon that is to follow.
pub(super) fn services(typed: &OsStr) -> Vec<CompletionCandidate> {
    offer(typed, |plan| {
        let services = plan.jobs.iter().flat_map(|job| &job.services);
        services
            .map(|service| format!("{}:", service.name))
            .collect()
    })
}

pub(super) fn cells(typed: &OsStr) -> Vec<CompletionCandidate> {
    offer(typed, |plan| {
        let cells = plan.jobs.iter().filter_map(|job| job.cell.as_ref());
        cells
            .flat_map(|cell| &cell.values)
            .filter_map(|(axis, value)| Some(format!("{axis}={}", value.to_text()?)))
            .collect()
    })
}

pub(super) fn containers(typed: &OsStr) -> Vec<CompletionCandidate> {
    let machine = Machine::new(|name| std::env::var_os(name)).ok();
    let all = machine.and_then(|machine| Containers::of(&machine.data).all().ok());
    let names = all.unwrap_or_default();
    let names = names.into_iter().map(|found| found.record.name.to_string());
    fitting(typed, names)
}

pub(super) fn images(typed: &OsStr) -> Vec<CompletionCandidate> {
    let machine = Machine::new(|name| std::env::var_os(name)).ok();
    let names = machine.and_then(|machine| image::names(&machine));
    let names = names.unwrap_or_default();
    // What Docker Hub has, also as everybody writes it.
    let familiar = names.iter().filter_map(|name| {
        let name = name.strip_prefix("docker.io/")?;
        Some(name.strip_prefix("library/").unwrap_or(name).to_owned())
    });
    let all: BTreeSet<String> = familiar.chain(names.iter().cloned()).collect();
    fitting(typed, all)
}

/// Nothing where there is no pipeline, or one that is not valid: a shell is no place for diagnostics.
fn offer(typed: &OsStr, names: impl FnOnce(&Plan) -> BTreeSet<String>) -> Vec<CompletionCandidate> {
    let Ok(mut found) = workspace::find(Path::new(".")) else {
        return Vec::new();
    };
    // Files of other repositories are not fetched for this.
    workspace::gather(
        &mut found.source,
        &found.directory,
        Path::new("/nonexistent"),
    );
    let options = Options {
        not_yet: Severity::Warning,
        ..Options::default()
    };
    let Some(plan) = compile_with(&found.source, &options).plan else {
        return Vec::new();
    };
    fitting(typed, names(&plan))
}

/// Those that continue what was typed.
fn fitting(typed: &OsStr, names: impl IntoIterator<Item = String>) -> Vec<CompletionCandidate> {
    let typed = typed.to_string_lossy();
    names
        .into_iter()
        .filter(|name| name.starts_with(&*typed) && is_plain(name))
        .map(CompletionCandidate::new)
        .collect()
}

/// No shell acts on any of it.
fn is_plain(name: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-./:=,+@%".contains(c);
    name.chars().all(is_plain) && !name.starts_with('-')
}
