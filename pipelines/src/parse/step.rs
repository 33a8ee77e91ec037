//! An item of `steps`.

use super::{
    condition::CONDITION,
    duration::DURATION,
    env::ENV,
    job::needs,
    keys::{Keys, Put, Rule, key},
    network::NETWORK,
    resources::RESOURCES,
    retry::RETRY,
    script::SCRIPT,
    secrets::SECRETS,
    settings::{IMAGE, USER, WORKDIR},
    shape::{Shape, Type},
    shared::{BOOLEAN, NAME, texts},
    shell::SHELL,
    value::Field,
};
use crate::{
    Code, Diagnostic,
    diagnostic::Diagnostics,
    syntax::{Action, Settings, Spanned, Step, Text},
    yaml::Value,
};

/// A step as far as it has been read; what it does depends on two keys.
#[derive(Debug)]
pub(super) struct Draft {
    step: Step,
    run: Option<Vec<Text>>,
    args: Vec<Text>,
}

pub(super) static STEP: Keys<Draft> = Keys {
    name: "step",
    what: "a step",
    keys: &[
        key("name", &Put(&NAME, |draft: &mut Draft, name| draft.step.name = name))
            .default("the first line of the script")
            .means("Unique in the job. Taken names that repeat are numbered: `make (2)`.")
            .example("name: unit tests"),
        key("if", &Put(&CONDITION, |draft: &mut Draft, condition| draft.step.condition = condition))
            .default("`success()`")
            .means("Whether it runs.")
            .example("if: event == \"push\""),
        key("needs", &Put(&NEEDS, |draft: &mut Draft, needs| draft.step.needs = Some(needs)))
            .default("the step before")
            .means("Steps that come first; `[]` is none.")
            .example("needs: []"),
        key("run", &Put(&SCRIPT, |draft: &mut Draft, run| draft.run = Some(run)))
            .default("the image's entrypoint")
            .means("A script; a list is joined by line breaks.")
            .example("run: [make, make test]"),
        key("args", &Put(&ARGS, |draft: &mut Draft, args| draft.args = args))
            .default("the image's command")
            .means("Arguments of the image's entrypoint, in a step without `run` that has an `image` of its own.")
            .example("args: [--verbose]"),
        key("image", &Put(&IMAGE, |draft: &mut Draft, image| draft.step.settings.image = Some(image)))
            .default("the job's")
            .means("What the step's container is made from.")
            .example("image: python:3"),
        key("env", &Put(&ENV, |draft: &mut Draft, env| draft.step.settings.env = env))
            .default("empty")
            .means("Variables, over the job's.")
            .example("env: { V: \"1\" }"),
        key("shell", &Put(&SHELL, |draft: &mut Draft, shell| draft.step.settings.shell = shell))
            .default("the job's")
            .means("What the script is handed to.")
            .example("shell: bash"),
        key("workdir", &Put(&WORKDIR, |draft: &mut Draft, workdir| draft.step.settings.workdir = workdir))
            .default("the job's")
            .means("Relative to the workspace, or absolute in the container.")
            .example("workdir: crates/core"),
        key("user", &Put(&USER, |draft: &mut Draft, user| draft.step.settings.user = user))
            .default("the job's")
            .means("Who runs the step.")
            .example("user: root"),
        key("timeout", &Put(&DURATION, |draft: &mut Draft, timeout| draft.step.settings.timeout = timeout))
            .default("none")
            .means("How long the step may take; the job's limit holds as well.")
            .example("timeout: 90s"),
        key("silence_timeout", &Put(&DURATION, |draft: &mut Draft, silence_timeout| draft.step.settings.silence_timeout = silence_timeout))
            .default("the job's")
            .means("How long it may go without output.")
            .example("silence_timeout: 30s"),
        key("retry", &Put(&RETRY, |draft: &mut Draft, retry| draft.step.settings.retry = retry))
            .default("the job's")
            .means("Which ends are worth another attempt.")
            .example("retry: { max: 2, on: [infrastructure, timeout, 137], delay: 5s }"),
        key("resources", &Put(&RESOURCES, |draft: &mut Draft, resources| draft.step.settings.resources = resources))
            .default("the job's")
            .means("What it may use, each limit by itself.")
            .example("resources: { memory: 512MiB }"),
        key("network", &Put(&NETWORK, |draft: &mut Draft, network| draft.step.settings.network = network))
            .default("the job's")
            .means("Which network it sees.")
            .example("network: none"),
        key("nesting", &Put(&BOOLEAN, |draft: &mut Draft, nesting| draft.step.nesting = nesting))
            .default("`false`")
            .means("It may run containers inside its own: `agent run-local`, or rootless podman and buildah. [What that costs](security.md#nesting).")
            .example("nesting: true"),
        key("secrets", &Put(&SECRETS, |draft: &mut Draft, secrets| draft.step.settings.secrets = secrets))
            .default("none")
            .means("[Secrets](#secrets) in its environment, besides the job's.")
            .example("secrets: [DEPLOY_KEY]"),
        key("from", &Put(&FROM, |draft: &mut Draft, from| draft.step.from = from))
            .default("the image")
            .means("Starts from that step's filesystem.")
            .example("from: toolchain")
            .later(),
        key("snapshot", &Put(&BOOLEAN, |draft: &mut Draft, snapshot| draft.step.snapshot = snapshot))
            .default("`false`")
            .means("Its filesystem is kept as a layer.")
            .example("snapshot: true")
            .later(),
        key("inputs", &Put(&INPUTS, |draft: &mut Draft, inputs| draft.step.inputs = inputs))
            .default("none")
            .means("Skipped while these files are unchanged.")
            .example("inputs: [ci/packages.txt]")
            .later(),
        key("allow_failure", &Put(&BOOLEAN, |draft: &mut Draft, allow| draft.step.allow_failure = allow))
            .default("`false`")
            .means("A failure is shown, and does not fail the job.")
            .example("allow_failure: true"),
    ],
    rules: &[Rule::Any(&["run", "image"])],
    others: None,
    frame: "\
image: host
steps:
  - name: toolchain
    run: 'true'
  - KEY
    run: 'true' # unless run, args
    image: tool # only args
",
};

const NEEDS: Type<Vec<Spanned<String>>> = Type {
    words: "list of step names",
    shape: Shape::list(&Shape::Literal),
    read: |field, diagnostics| needs(field, "a list of steps", diagnostics),
};

pub(super) const ARGS: Type<Vec<Text>> = texts("list of strings", |field, diagnostics| {
    field.templates("a list of arguments", diagnostics)
});

const FROM: Type<Option<Spanned<String>>> = Type {
    words: "step name",
    shape: Shape::Literal,
    read: |field, diagnostics| {
        let name = field.literal(diagnostics)?;
        Some(Spanned::new(name.value.to_string(), name.span))
    },
};

const INPUTS: Type<Vec<Text>> = texts("list of [patterns](#patterns)", |field, diagnostics| {
    field.templates("a list of patterns", diagnostics)
});

/// Reads a step. `None`, with an error, when it is no mapping.
pub(super) fn step(field: Field<'_>, diagnostics: &mut Diagnostics) -> Option<Step> {
    let Value::Mapping(entries) = &field.node.value else {
        let message = format!("a step is a mapping, and this is {}", field.node.describe());
        let diagnostic = Diagnostic::new(Code::WrongType, field.span, message);
        let is_text = matches!(field.node.value, Value::Scalar(_)) && !field.is_null();
        diagnostics.push(if is_text {
            diagnostic.help("write `- run: …`")
        } else {
            diagnostic
        });
        return None;
    };
    let mut draft = Draft {
        step: Step {
            span: field.span,
            name: None,
            action: Action::Entrypoint(Vec::new()),
            settings: Settings::default(),
            condition: None,
            needs: None,
            from: None,
            snapshot: false,
            inputs: Vec::new(),
            allow_failure: false,
            nesting: false,
        },
        run: None,
        args: Vec::new(),
    };
    let seen = STEP.read_entries(&mut draft, entries, diagnostics);
    let Draft {
        mut step,
        run,
        args,
    } = draft;
    let meant = seen.meant("run").then(Vec::new);
    step.action = match run.or(meant) {
        Some(script) => {
            if let Some(place) = seen.place("args") {
                let message = "`args` has no effect in a step with `run`";
                diagnostics.push(
                    Diagnostic::new(Code::UnusedKey, place, message)
                        .help("write them behind the command in `run`, or remove `run`"),
                );
            }
            Action::Run(script)
        }
        None => {
            entrypoint(field, &step.settings, diagnostics);
            Action::Entrypoint(args)
        }
    };
    Some(step)
}

/// A step without `run` runs what its image says, so that it needs one of its own: an inherited one has a shell to offer,
/// not a command.
fn entrypoint(field: Field<'_>, settings: &Settings, diagnostics: &mut Diagnostics) {
    if settings.image.is_none() {
        diagnostics.push(
            Diagnostic::new(Code::MissingRun, field.span, "the step has no `run`")
                .help("add `run`, or an `image` of its own whose entrypoint is to be run"),
        );
    } else if let Some(Spanned { span, .. }) = &settings.shell {
        let message = "`shell` has no effect in a step without `run`";
        diagnostics.push(
            Diagnostic::new(Code::UnusedKey, *span, message).help("add `run`, or remove `shell`"),
        );
    }
}
