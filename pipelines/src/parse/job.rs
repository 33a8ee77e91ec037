//! A job: a value under `jobs`, or the steps at the top of a pipeline.

use indexmap::IndexMap;

use super::{
    concurrency::CONCURRENCY,
    condition::CONDITION,
    duration::DURATION,
    env::ENV,
    keys::{Keys, Put, Rule, key},
    matrix::MATRIX,
    network::NETWORK,
    resources::RESOURCES,
    retry::RETRY,
    secrets::SECRETS,
    service::SERVICES,
    settings::{IMAGE, USER, WORKDIR},
    shape::{Shape, Type},
    shared::{BOOLEAN, JOB_ID},
    shell::SHELL,
    step::{STEP, step},
    storage::{ARTIFACTS, CACHES, REPORTS},
    value::Field,
};
use crate::{
    Code, Diagnostic, Span,
    diagnostic::{Diagnostics, quoted},
    limits,
    syntax::{
        Job, Spanned, Step, Text,
        text::{is_job_id, job_id_for},
    },
    yaml::{Entry, Value},
};

pub(super) static JOB: Keys<Job> = Keys {
    name: "job",
    what: "a job",
    keys: &[
        key("needs", &Put(&NEEDS, |job: &mut Job, needs| job.needs = needs))
            .default("`[]`")
            .means("Jobs that must have succeeded before this one starts.")
            .example("needs: [build]"),
        key("if", &Put(&CONDITION, |job: &mut Job, condition| job.condition = condition))
            .default("`success()`")
            .means("Whether it runs.")
            .example("if: branch == \"main\""),
        key("runs_on", &Put(&LABELS, |job: &mut Job, labels| job.runs_on = labels))
            .default("any agent")
            .means("Labels an agent must have; `run-local` takes the machine it is on.")
            .example("runs_on: { os: linux }"),
        key("matrix", &Put(&MATRIX, |job: &mut Job, matrix| job.matrix = matrix))
            .default("none")
            .means("A job for every combination of values.")
            .example("matrix: { rust: [\"1.90\", beta] }"),
        key("image", &Put(&IMAGE, |job: &mut Job, image| job.settings.image = Some(image)))
            .default("the pipeline's")
            .means("Default for the job's steps.")
            .example("image: rust:1.90"),
        key("env", &Put(&ENV, |job: &mut Job, env| job.settings.env = env))
            .default("empty")
            .means("Variables of the job's steps, over the pipeline's.")
            .example("env: { RUST_BACKTRACE: \"1\" }"),
        key("shell", &Put(&SHELL, |job: &mut Job, shell| job.settings.shell = shell))
            .default("the pipeline's")
            .means("Default for the job's steps.")
            .example("shell: [bash, -eo, pipefail]"),
        key("workdir", &Put(&WORKDIR, |job: &mut Job, workdir| job.settings.workdir = workdir))
            .default("the pipeline's")
            .means("Default for the job's steps.")
            .example("workdir: docs"),
        key("user", &Put(&USER, |job: &mut Job, user| job.settings.user = user))
            .default("the pipeline's")
            .means("Default for the job's steps.")
            .example("user: nobody"),
        key("timeout", &Put(&DURATION, |job: &mut Job, timeout| job.settings.timeout = timeout))
            .default("the pipeline's")
            .means("How long the whole job may take.")
            .example("timeout: 40m"),
        key("silence_timeout", &Put(&DURATION, |job: &mut Job, silence_timeout| job.settings.silence_timeout = silence_timeout))
            .default("the pipeline's")
            .means("How long a step may go without output.")
            .example("silence_timeout: 5m"),
        key("retry", &Put(&RETRY, |job: &mut Job, retry| job.settings.retry = retry))
            .default("the pipeline's")
            .means("Default for the job's steps.")
            .example("retry: { max: 2, on: [timeout] }"),
        key("resources", &Put(&RESOURCES, |job: &mut Job, resources| job.settings.resources = resources))
            .default("the pipeline's")
            .means("Default for the job's steps, each limit by itself.")
            .example("resources: { cpus: 2, memory: 2GiB }"),
        key("network", &Put(&NETWORK, |job: &mut Job, network| job.settings.network = network))
            .default("the pipeline's")
            .means("Default for the job's steps.")
            .example("network: host"),
        key("services", &Put(&SERVICES, |job: &mut Job, services| job.services = services))
            .default("none")
            .means("Containers beside the steps, on the job's network by these names.")
            .example("services: { db: { image: postgres:16, ready: { tcp: 5432 } } }"),
        key("cache", &Put(&CACHES, |job: &mut Job, cache| job.cache = cache))
            .default("none")
            .means("What is kept from run to run.")
            .example("cache: [{ key: deps-1, paths: [target] }]"),
        key("secrets", &Put(&SECRETS, |job: &mut Job, secrets| job.settings.secrets = secrets))
            .default("none")
            .means("[Secrets](#secrets) in the environment of every step.")
            .example("secrets: [TOKEN]"),
        key("allow_failure", &Put(&BOOLEAN, |job: &mut Job, allow| job.allow_failure = allow))
            .default("`false`")
            .means("A failure is shown, and does not fail the pipeline.")
            .example("allow_failure: true"),
        key("concurrency", &Put(&CONCURRENCY, |job: &mut Job, group| job.concurrency = group))
            .default("none")
            .means("Of the jobs of one group only one runs at a time.")
            .example("concurrency: { group: production, cancel_in_progress: true }"),
        key("approval", &Put(&BOOLEAN, |job: &mut Job, approval| job.approval = approval))
            .default("`false`")
            .means("A person has to agree first; under `run-local`, whoever starts it has agreed.")
            .example("approval: true"),
        key("steps", &Put(&STEPS, |job: &mut Job, steps| job.steps = steps))
            .means("What the job does, in this order. At least one.")
            .example("steps: [{ run: make }]"),
        key("after", &Put(&AFTER, |job: &mut Job, after| job.after = after))
            .default("none")
            .means("Run when the others are over, whatever came of them; never change how the job ended. Not after a cancel.")
            .example("after: [{ run: ./collect.sh }]"),
        key("outputs", &Put(&OUTPUTS, |job: &mut Job, outputs| job.outputs = outputs))
            .default("none")
            .means("What jobs that need this one read as `needs.JOB.outputs.NAME`, once all its steps have ended well.")
            .example("outputs: { version: \"1.0\" }"),
        key("artifacts", &Put(&ARTIFACTS, |job: &mut Job, artifacts| job.artifacts = artifacts))
            .default("none")
            .means("Files that are kept, behind the last step and `after`.")
            .example("artifacts: [{ name: binary, paths: [target/app] }]"),
        key("reports", &Put(&REPORTS, |job: &mut Job, reports| job.reports = reports))
            .default("none")
            .means("Files that are read after the job.")
            .example("reports: { junit: \"**/junit*.xml\" }")
            .later(),
    ],
    rules: &[Rule::Any(&["steps"])],
    others: None,
    frame: "\
image: host
jobs:
  build: { steps: [{ run: 'true' }] }
  test:
    KEY
    steps: [{ run: 'true' }] # else
",
};

const NEEDS: Type<Vec<Spanned<String>>> = Type {
    words: "list of job ids",
    shape: Shape::list(&Shape::Literal),
    read: |field, diagnostics| needs(field, "a list of job ids", diagnostics),
};

const LABELS: Type<IndexMap<String, Text>> = Type {
    words: "mapping of labels",
    shape: Shape::map(&Shape::Text),
    read: texts,
};

const OUTPUTS: Type<IndexMap<String, Text>> = Type {
    words: "mapping of names to strings",
    ..LABELS
};

pub(super) const STEPS: Type<Vec<Step>> = Type {
    words: "list of [steps](#step)",
    shape: Shape::List {
        of: &Shape::Keys(&STEP),
        least: 1,
        most: Some(limits::STEPS),
    },
    read: steps,
};

const AFTER: Type<Vec<Step>> = Type {
    words: STEPS.words,
    shape: Shape::List {
        of: &Shape::Keys(&STEP),
        least: 0,
        most: Some(limits::STEPS),
    },
    read: after,
};

pub(super) const JOBS: Type<Vec<Job>> = Type {
    words: "mapping of ids to [jobs](#job)",
    shape: Shape::Map {
        names: Some(JOB_ID),
        of: &Shape::Keys(&JOB),
        least: 1,
        most: Some(limits::JOBS),
    },
    read: jobs,
};

/// Reads the value of `jobs`.
fn jobs(field: Field<'_>, diagnostics: &mut Diagnostics) -> Vec<Job> {
    let entries: &[Entry] = if field.is_null() {
        &[]
    } else {
        field.mapping(diagnostics).unwrap_or_default()
    };
    if entries.is_empty() && (field.is_null() || matches!(field.node.value, Value::Mapping(_))) {
        diagnostics.push(
            Diagnostic::new(Code::NoJobs, field.span, "the pipeline has no jobs")
                .help("add one below `jobs`: its id, and in it `steps`"),
        );
    }
    if let Some(entry) = entries.get(limits::JOBS) {
        let message = format!(
            "{} jobs are more than the {} that a pipeline may have",
            entries.len(),
            limits::JOBS
        );
        diagnostics.push(Diagnostic::new(Code::TooManyJobs, entry.key.span, message));
    }
    entries
        .iter()
        .take(limits::JOBS)
        .map(|entry| job(entry, diagnostics))
        .collect()
}

/// Reads an entry of `jobs`.
fn job(entry: &Entry, diagnostics: &mut Diagnostics) -> Job {
    let id = id(entry, diagnostics);
    let mut job = Job::new(id);
    let field = Field::of(entry);
    if field.is_null() {
        no_steps(
            entry.key.span,
            format!("the job {} has no steps", quoted(field.key)),
            diagnostics,
        );
        return job;
    }
    let Some(entries) = mapping(field, diagnostics) else {
        return job;
    };
    let seen = JOB.read_entries(&mut job, entries, diagnostics);
    if seen.key("steps").is_none() {
        no_steps(
            entry.key.span,
            format!("the job {} has no steps", quoted(field.key)),
            diagnostics,
        );
    }
    job
}

/// Reads the value of `steps`.
fn steps(field: Field<'_>, diagnostics: &mut Diagnostics) -> Vec<Step> {
    let Some(items) = field.items() else {
        if field.is_null() {
            no_steps(field.span, "`steps` is empty", diagnostics);
        } else {
            diagnostics.push(
                field
                    .wrong_type("a list of steps")
                    .help("start each step with `- `"),
            );
        }
        return Vec::new();
    };
    if items.is_empty() {
        no_steps(field.span, "`steps` is empty", diagnostics);
    }
    if items.len() > limits::STEPS {
        let message = format!(
            "{} steps are more than the {} that a job may have",
            items.len(),
            limits::STEPS
        );
        diagnostics.push(Diagnostic::new(
            Code::TooManySteps,
            field.item(&items[limits::STEPS]).span,
            message,
        ));
    }
    items
        .iter()
        .take(limits::STEPS)
        .filter_map(|item| step(field.item(item), diagnostics))
        .collect()
}

/// Reads the value of `after`: steps, or none.
fn after(field: Field<'_>, diagnostics: &mut Diagnostics) -> Vec<Step> {
    match field.items() {
        Some([]) => Vec::new(),
        _ => steps(field, diagnostics),
    }
}

/// Says that something without which there is nothing to do is missing.
pub(super) fn no_steps(span: Span, message: impl Into<String>, diagnostics: &mut Diagnostics) {
    diagnostics.push(
        Diagnostic::new(Code::NoSteps, span, message)
            .help("add one, such as `steps: [{ run: make }]`"),
    );
}

fn id(entry: &Entry, diagnostics: &mut Diagnostics) -> Spanned<String> {
    let text = &*entry.key.text;
    if !is_job_id(text) {
        let message = format!("{} is not a job id", quoted(text));
        let help = "an id has at most 64 of the characters `a-z`, `0-9`, `_` and `-`, and starts with a letter or digit";
        let diagnostic = Diagnostic::new(Code::BadJobId, entry.key.span, message).help(help);
        diagnostics.push(match job_id_for(text) {
            Some(id) => diagnostic.label(format!("could be `{id}`")),
            None => diagnostic,
        });
    }
    Spanned::new(text.to_owned(), entry.key.span)
}

fn mapping<'n>(field: Field<'n>, diagnostics: &mut Diagnostics) -> Option<&'n [Entry]> {
    if field.items().is_some() {
        let message = format!(
            "the job {} is a mapping, and this is a list",
            quoted(field.key)
        );
        diagnostics.push(
            Diagnostic::new(Code::WrongType, field.span, message)
                .help("put the list below a key `steps`"),
        );
        return None;
    }
    field.mapping(diagnostics)
}

/// Names of jobs or steps.
pub(super) fn needs(
    field: Field<'_>,
    what: &str,
    diagnostics: &mut Diagnostics,
) -> Vec<Spanned<String>> {
    if field.items().is_some() {
        return field.literals(what, diagnostics);
    }
    let diagnostic = field.wrong_type(what);
    diagnostics.push(match field.text(&mut Diagnostics::default()) {
        Some(text) if is_job_id(&text.value) => {
            diagnostic.label(format!("write `[{}]`", text.value))
        }
        _ => diagnostic,
    });
    Vec::new()
}

/// Texts by names that are free to choose.
fn texts(field: Field<'_>, diagnostics: &mut Diagnostics) -> IndexMap<String, Text> {
    let entries = field.mapping(diagnostics).unwrap_or_default();
    entries
        .iter()
        .filter_map(|entry| {
            let text = Field::of(entry).template(diagnostics)?;
            Some((entry.key.text.to_string(), text))
        })
        .collect()
}
