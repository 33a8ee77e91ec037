//! From a working tree and what was typed to a plan: the same for every command that needs one.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use pipelines::plan::Plan;
use pipelines::{
    Context, Event as Trigger, Options, Overrides, Severity, StepOrigins, Tree, compile_with,
};

use super::{CommandError, lint};
use crate::cli::{self, Choice};
use crate::executor::Selection;
use crate::machine::Machine;
use crate::workspace;

/// A pipeline that has been compiled for an event and narrowed to what was asked for.
#[derive(Debug)]
pub(super) struct Compiled {
    /// The working tree.
    pub(super) directory: PathBuf,
    /// The event it was compiled for.
    pub(super) event: Context,
    /// What a person should hear.
    pub(super) warnings: Vec<String>,
    /// `None` when the pipeline is not valid, which has been told.
    pub(super) plan: Option<Plan>,
    /// Where the values of the whole plan come from, by the ids of its jobs.
    pub(super) origins: HashMap<String, Vec<StepOrigins>>,
}

/// Compiles the pipeline of a directory; diagnostics go to standard error. `not_yet` is how much a key weighs that cannot
/// be carried out; `with_origins` asks for [`Compiled::origins`].
pub(super) fn compile(
    directory: &Path,
    choice: &Choice,
    not_yet: Severity,
    with_origins: bool,
    machine: &Machine,
) -> Result<Compiled, CommandError> {
    let overrides = Overrides {
        image: choice.image.clone(),
        env: choice.env.iter().cloned().collect(),
        network: choice.network.map(Into::into),
    };
    overrides.check()?;
    let mut found = workspace::find(directory)?;
    workspace::gather(&mut found.source, &found.directory, &machine.includes());
    let mut warnings = Vec::new();
    let git = match workspace::git_facts(&found.directory) {
        Ok(facts) => facts,
        Err(error) => {
            warnings.push(format!(
                "The variables that tell about the commit are missing: {error}."
            ));
            workspace::GitFacts::default()
        }
    };
    let mut event = event(choice, &git);
    event.tree = Some(Tree::new(workspace::TreeFiles::new(&found.directory)));
    if let Some(base) = &choice.base {
        match workspace::changes_since(&found.directory, base) {
            Ok(changed) => event.changed = Some(changed),
            Err(error) => warnings.push(format!(
                "What has changed since `{base}` is not known, so everything counts as changed: {error}."
            )),
        }
    }
    let options = Options {
        overrides,
        context: Some(event.clone()),
        not_yet,
        origins: with_origins,
    };
    let compilation = compile_with(&found.source, &options);
    lint::show(&found.source, &compilation.diagnostics, machine);
    let ids = compilation.plan.iter().flat_map(|plan| &plan.jobs);
    let ids = ids.map(|job| job.id.clone());
    let origins = ids.zip(compilation.origins).collect();
    let plan = match compilation.plan {
        Some(plan) => Some(selection(choice).apply(plan)?),
        None => None,
    };
    Ok(Compiled {
        directory: found.directory,
        event,
        warnings,
        plan,
        origins,
    })
}

/// The event to run for: what git knows, unless the command line says otherwise.
fn event(choice: &Choice, git: &workspace::GitFacts) -> Context {
    let event = match choice.event {
        None | Some(cli::Event::Manual) => Trigger::Manual,
        Some(cli::Event::Push) => Trigger::Push,
        Some(cli::Event::PullRequest) => Trigger::PullRequest,
        Some(cli::Event::Tag) => Trigger::Tag,
        Some(cli::Event::Schedule) => Trigger::Schedule,
    };
    let given =
        |given: &Option<String>, known: &Option<String>| given.as_ref().or(known.as_ref()).cloned();
    Context {
        event,
        filtered: choice.event.is_some(),
        branch: given(&choice.branch, &git.branch),
        base: choice.base.clone(),
        tag: given(&choice.tag, &git.tag),
        commit: git.commit.clone(),
        repo: git.repository.clone(),
        inputs: choice.input.iter().cloned().collect(),
        changed: None,
        tree: None,
    }
}

fn selection(choice: &Choice) -> Selection {
    Selection {
        jobs: choice.jobs.clone(),
        cells: choice.matrix.clone(),
        without_needs: choice.no_needs,
        step: choice.step.clone(),
    }
}
