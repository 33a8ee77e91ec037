//! The whole file.

use super::{
    concurrency::CONCURRENCY,
    duration::DURATION,
    env::ENV,
    include::INCLUDES,
    job::{JOBS, STEPS, no_steps},
    keys::{Keys, Put, Rule, key},
    network::NETWORK,
    resources::RESOURCES,
    retry::RETRY,
    settings::{IMAGE, USER, WORKDIR},
    shared::NAME,
    shell::SHELL,
    triggers::TRIGGERS,
};
use crate::{
    Code, Diagnostic, Span,
    diagnostic::Diagnostics,
    syntax::{Job, Pipeline, Settings, Spanned, Step},
    yaml::{Node, Value},
};

/// The id of the job that top-level `steps` stand for.
const ONLY_JOB: &str = "main";

pub(super) static PIPELINE: Keys<Pipeline> = Keys {
    name: "pipeline",
    what: "a pipeline",
    keys: &[
        key(
            "name",
            &Put(&NAME, |pipeline: &mut Pipeline, name| pipeline.name = name),
        )
        .default("none")
        .means("What the pipeline is called.")
        .example("name: ci"),
        key(
            "on",
            &Put(&TRIGGERS, |pipeline: &mut Pipeline, on| {
                pipeline.on = Some(on)
            }),
        )
        .default("pushes and pull requests")
        .means("Which events start it.")
        .example("on: { push: { branches: [main] } }"),
        key("include", &Put(&INCLUDES, |_: &mut Pipeline, ()| {}))
            .default("none")
            .means("Merged below this file before anything is read.")
            .example("include: [{ path: ci/defaults.yml }]"),
        key(
            "concurrency",
            &Put(&CONCURRENCY, |pipeline: &mut Pipeline, group| {
                pipeline.concurrency = group
            }),
        )
        .default("none")
        .means("Of the runs of one group only one runs at a time.")
        .example("concurrency: deploy"),
        key(
            "image",
            &Put(&IMAGE, |pipeline: &mut Pipeline, image| {
                pipeline.settings.image = Some(image)
            }),
        )
        .default("none")
        .means("Default for every step.")
        .example("image: debian:bookworm"),
        key(
            "env",
            &Put(&ENV, |pipeline: &mut Pipeline, env| {
                pipeline.settings.env = env
            }),
        )
        .default("empty")
        .means("Variables of every step.")
        .example("env: { LANG: C.UTF-8 }"),
        key(
            "shell",
            &Put(&SHELL, |pipeline: &mut Pipeline, shell| {
                pipeline.settings.shell = shell
            }),
        )
        .default("`[sh, -e]`")
        .means("Default for every step.")
        .example("shell: bash"),
        key(
            "workdir",
            &Put(&WORKDIR, |pipeline: &mut Pipeline, workdir| {
                pipeline.settings.workdir = workdir
            }),
        )
        .default("the workspace")
        .means("Default for every step.")
        .example("workdir: crates/core"),
        key(
            "user",
            &Put(&USER, |pipeline: &mut Pipeline, user| {
                pipeline.settings.user = user
            }),
        )
        .default("the image's")
        .means("Default for every step.")
        .example("user: \"1000:1000\""),
        key(
            "timeout",
            &Put(&DURATION, |pipeline: &mut Pipeline, timeout| {
                pipeline.settings.timeout = timeout
            }),
        )
        .default("none")
        .means("How long each job may take that has no `timeout` of its own.")
        .example("timeout: 1h"),
        key(
            "silence_timeout",
            &Put(&DURATION, |pipeline: &mut Pipeline, silence_timeout| {
                pipeline.settings.silence_timeout = silence_timeout
            }),
        )
        .default("none")
        .means("How long a step may go without output.")
        .example("silence_timeout: 10m"),
        key(
            "retry",
            &Put(&RETRY, |pipeline: &mut Pipeline, retry| {
                pipeline.settings.retry = retry
            }),
        )
        .default("none")
        .means("Default for every step.")
        .example("retry: 1"),
        key(
            "resources",
            &Put(&RESOURCES, |pipeline: &mut Pipeline, resources| {
                pipeline.settings.resources = resources
            }),
        )
        .default("the machine's")
        .means("Default for every step.")
        .example("resources: { memory: 4GiB }"),
        key(
            "network",
            &Put(&NETWORK, |pipeline: &mut Pipeline, network| {
                pipeline.settings.network = network
            }),
        )
        .default("`--network`")
        .means("Default for every step.")
        .example("network: none"),
        key(
            "jobs",
            &Put(&JOBS, |pipeline: &mut Pipeline, jobs| {
                pipeline.jobs.extend(jobs)
            }),
        )
        .means("The jobs, by their ids.")
        .example("jobs: { test: { steps: [{ run: make test }] } }"),
        key(
            "steps",
            &Put(&STEPS, |pipeline: &mut Pipeline, steps| {
                pipeline.jobs.push(only_job(steps))
            }),
        )
        .means("The only job's, which has the id `main`.")
        .example("steps: [{ run: make }]"),
    ],
    rules: &[
        Rule::Any(&["jobs", "steps"]),
        Rule::AtMostOne(&["jobs", "steps"]),
    ],
    others: None,
    frame: "\
image: host # else
KEY
steps: [{ run: 'true' }] # unless jobs, steps
",
};

/// Reads a pipeline. `None`, with an error, when the file is no mapping.
pub(crate) fn pipeline(root: &Node, diagnostics: &mut Diagnostics) -> Option<Pipeline> {
    let Value::Mapping(entries) = &root.value else {
        let message = format!("a pipeline is a mapping, and this is {}", root.describe());
        let diagnostic = Diagnostic::new(Code::WrongType, root.span, message);
        let is_list = matches!(root.value, Value::Sequence(_));
        diagnostics.push(if is_list {
            diagnostic.help("put the list below a key `steps`")
        } else {
            diagnostic
        });
        return None;
    };
    let mut pipeline = Pipeline {
        name: None,
        on: None,
        concurrency: None,
        settings: Settings::default(),
        jobs: Vec::new(),
    };
    let seen = PIPELINE.read_entries(&mut pipeline, entries, diagnostics);
    match (seen.key("jobs"), seen.key("steps")) {
        (Some(jobs), Some(steps)) => diagnostics.push(both(jobs, steps)),
        (None, Some(steps)) => {
            for job in &mut pipeline.jobs {
                job.id.span = steps;
            }
        }
        (None, None) if !seen.meant("jobs") && !seen.meant("steps") => {
            no_steps(
                root.span,
                "the pipeline has neither `jobs` nor `steps`",
                diagnostics,
            );
        }
        _ => {}
    }
    Some(pipeline)
}

fn both(jobs: Span, steps: Span) -> Diagnostic {
    let (first, second) = if jobs < steps {
        (jobs, steps)
    } else {
        (steps, jobs)
    };
    Diagnostic::new(
        Code::JobsAndSteps,
        second,
        "a pipeline has either `jobs` or `steps`",
    )
    .related(first, "the other one is here")
    .help("move the steps into a job, below `jobs`")
}

/// The job that top-level `steps` stand for; its place is that key's.
fn only_job(steps: Vec<Step>) -> Job {
    Job {
        steps,
        ..Job::new(Spanned::new(ONLY_JOB.to_owned(), Span::default()))
    }
}
