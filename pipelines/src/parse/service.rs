//! `services`: containers beside a job's steps.

use std::time::Duration;

use indexmap::IndexMap;

use super::{
    build::BUILD,
    duration::DURATION,
    env::ENV,
    keys::{Keys, Put, Rule, key},
    secrets::SECRETS,
    settings::IMAGE,
    shape::{Shape, Type},
    shared::{JOB_ID, TEXT},
    step::ARGS,
    value::Field,
};
use crate::{
    Code, Diagnostic,
    diagnostic::{Diagnostics, quoted},
    plan::{Action, Build, Command, Network, Probe, Ready, Service},
    syntax::{EnvVar, Spanned, Text, text::is_job_id},
    yaml::Entry,
};

/// How long a service may take to be ready when nothing else is said.
const READY_TIMEOUT: Duration = Duration::from_secs(60);

/// Bytes of a regular expression.
const LONGEST_PATTERN: usize = 1_024;

pub(super) const SERVICES: Type<Vec<Service<Text>>> = Type {
    words: "mapping of names to [services](#service)",
    shape: Shape::Map {
        names: Some(JOB_ID),
        of: &Shape::Keys(&KEYS),
        least: 0,
        most: None,
    },
    read: |field, diagnostics| {
        let entries = field.mapping(diagnostics).unwrap_or_default();
        entries
            .iter()
            .filter_map(|entry| service(entry, diagnostics))
            .collect()
    },
};

/// The keys of which one says what the container is made from.
const IMAGES: &[&str] = &["image", "build"];

#[derive(Debug, Default)]
struct Draft {
    image: Option<Text>,
    build: Option<Build<Text>>,
    env: Vec<EnvVar>,
    args: Vec<Text>,
    ready: Option<Ready<Text>>,
    secrets: Vec<Spanned<String>>,
}

static KEYS: Keys<Draft> = Keys {
    name: "service",
    what: "a service",
    keys: &[
        key(
            "image",
            &Put(&IMAGE, |service: &mut Draft, image| {
                service.image = Some(image)
            }),
        )
        .means("What its container is made from.")
        .example("image: postgres:16"),
        key(
            "build",
            &Put(&BUILD, |service: &mut Draft, build| {
                service.build = build
            }),
        )
        .means("Instead of `image`: a directory of the workspace with a Dockerfile, from which the image is built first.")
        .example("build: ci/db"),
        key(
            "env",
            &Put(&ENV, |service: &mut Draft, env| service.env = env),
        )
        .default("empty")
        .means("Its variables; the pipeline's and the job's are not among them.")
        .example("env: { POSTGRES_PASSWORD: test }"),
        key(
            "args",
            &Put(&ARGS, |service: &mut Draft, args| service.args = args),
        )
        .default("the image's command")
        .means("Arguments of the image's entrypoint.")
        .example("args: [postgres, -c, fsync=off]"),
        key(
            "secrets",
            &Put(&SECRETS, |service: &mut Draft, secrets| {
                service.secrets = secrets
            }),
        )
        .default("none")
        .means("[Secrets](#secrets) in its environment.")
        .example("secrets: [DB_PASSWORD]"),
        key(
            "ready",
            &Put(&READY, |service: &mut Draft, ready| service.ready = ready),
        )
        .default("the image's health check")
        .means("How to see that it can be used; the steps wait for it.")
        .example("ready: { tcp: 5432 }"),
    ],
    rules: &[Rule::Any(IMAGES), Rule::AtMostOne(IMAGES)],
    others: None,
    frame: "\
image: host
jobs:
  test:
    services:
      db:
        image: postgres:16 # unless image, build
        KEY
    steps: [{ run: 'true' }]
",
};

fn service(entry: &Entry, diagnostics: &mut Diagnostics) -> Option<Service<Text>> {
    let field = Field::of(entry);
    if !is_job_id(field.key) {
        let message = format!("{} cannot be the name of a service", quoted(field.key));
        diagnostics.push(
            Diagnostic::new(Code::BadName, entry.key.span, message)
                .help("a name has at most 64 of the characters `a-z`, `0-9`, `_` and `-`"),
        );
    }
    let mut draft = Draft::default();
    let seen = KEYS.read(&mut draft, field, diagnostics)?;
    match (seen.key("image"), seen.key("build")) {
        (None, None) if !IMAGES.iter().any(|key| seen.meant(key)) => {
            field.lacks("image", "image: postgres:16", diagnostics);
        }
        (Some(_), Some(build)) => diagnostics.push(
            Diagnostic::new(
                Code::WrongType,
                build,
                "a service has `image` or `build`, and not both",
            )
            .help("take one of them away"),
        ),
        _ => {}
    }
    if let Some(build) = &draft.build {
        // What it is called where an image's name is told.
        draft.image = Some(Text::given(&build.context, field.span));
    }
    let env: IndexMap<String, Text> = draft
        .env
        .into_iter()
        .map(|EnvVar { name, value }| (name, value))
        .collect();
    Some(Service {
        name: field.key.to_owned(),
        command: Command {
            image: draft.image?,
            action: Action::Entrypoint { args: draft.args },
            env,
            workdir: None,
            user: None,
        },
        build: draft.build,
        ready: draft.ready,
        secrets: draft.secrets.into_iter().map(|name| name.value).collect(),
        network: Network::Default,
    })
}

const READY: Type<Option<Ready<Text>>> = Type {
    words: "[ready](#ready)",
    shape: Shape::Keys(&READY_KEYS),
    read: ready,
};

#[derive(Debug, Default)]
struct ReadyDraft {
    probe: Option<Probe<Text>>,
    timeout: Option<Duration>,
}

/// The keys of which one says what to try.
const PROBES: &[&str] = &["tcp", "http", "run", "log"];

static READY_KEYS: Keys<ReadyDraft> = Keys {
    name: "ready",
    what: "`ready`",
    keys: &[
        key(
            "tcp",
            &Put(&PORT, |ready: &mut ReadyDraft, port| {
                ready.probe = port.map(Probe::Tcp)
            }),
        )
        .means("A connection to this port is accepted.")
        .example("tcp: 5432"),
        key(
            "http",
            &Put(&TEXT, |ready: &mut ReadyDraft, url| {
                ready.probe = url.map(Probe::Http)
            }),
        )
        .means("A GET of this URL of its own, or of this path at port 80, answers with a status below 400.")
        .example("http: http://localhost:8080/health"),
        key(
            "run",
            &Put(&TEXT, |ready: &mut ReadyDraft, run| {
                ready.probe = run.map(Probe::Run)
            }),
        )
        .means("This script exits with 0 in the service's container.")
        .example("run: pg_isready -U postgres"),
        key(
            "log",
            &Put(&PATTERN, |ready: &mut ReadyDraft, log| {
                ready.probe = log.map(Probe::Log)
            }),
        )
        .means("A line of its log matches this regular expression.")
        .example("log: ready to accept connections"),
        key(
            "timeout",
            &Put(&DURATION, |ready: &mut ReadyDraft, timeout| {
                ready.timeout = timeout
            }),
        )
        .default("`60s`")
        .means("How long it may take.")
        .example("timeout: 30s"),
    ],
    rules: &[Rule::Any(PROBES), Rule::AtMostOne(PROBES)],
    others: None,
    frame: "\
image: host
jobs:
  test:
    services:
      db:
        image: postgres:16
        ready:
          KEY
          tcp: 5432 # only timeout
    steps: [{ run: 'true' }]
",
};

const PORT: Type<Option<u16>> = Type {
    words: "port",
    shape: Shape::Count(65_535),
    read: |field, diagnostics| {
        let port = field.count(65_535, diagnostics)?;
        u16::try_from(port).ok()
    },
};

const PATTERN: Type<Option<String>> = Type {
    words: "regular expression",
    shape: Shape::Literal,
    read: pattern,
};

fn ready(field: Field<'_>, diagnostics: &mut Diagnostics) -> Option<Ready<Text>> {
    let mut draft = ReadyDraft::default();
    let seen = READY_KEYS.read(&mut draft, field, diagnostics)?;
    match PROBES
        .iter()
        .filter(|probe| seen.key(probe).is_some())
        .count()
    {
        0 => field.lacks("tcp", "tcp: 5432", diagnostics),
        1 => {}
        _ => diagnostics.push(Diagnostic::new(
            Code::WrongType,
            field.span,
            "`ready` is one of `tcp`, `http`, `run` and `log`",
        )),
    }
    Some(Ready {
        probe: draft.probe?,
        timeout: draft.timeout.unwrap_or(READY_TIMEOUT),
    })
}

fn pattern(field: Field<'_>, diagnostics: &mut Diagnostics) -> Option<String> {
    let text = field.literal(diagnostics)?;
    let read = regex_lite::RegexBuilder::new(&text.value)
        .size_limit(1 << 20)
        .build();
    let problem = match read {
        _ if text.value.len() > LONGEST_PATTERN => "it is longer than 1,024 bytes".to_owned(),
        Ok(_) => return Some(text.value.to_string()),
        Err(error) => error.to_string(),
    };
    let message = format!(
        "{} is no regular expression: {problem}",
        quoted(&text.value)
    );
    diagnostics.push(Diagnostic::new(Code::BadRegex, field.span, message));
    None
}
