//! `on`: an event, a list of events, or events with filters.

use indexmap::IndexMap;

use super::{
    inputs::INPUTS,
    keys::{Keys, Put, key},
    shape::{Shape, Type},
    suggest::closest,
    value::Field,
};
use crate::{
    Code, Diagnostic,
    diagnostic::{Diagnostics, quoted},
    glob::{Glob, GlobList},
    locate::Scalar,
    syntax::{Filter, Input, Spanned, Triggers},
    yaml::Value,
};

pub(super) const TRIGGERS: Type<Triggers> = Type {
    words: "[triggers](#triggers)",
    shape: Shape::Either(&[
        Shape::Word(PLAIN),
        Shape::list(&Shape::Word(PLAIN)),
        Shape::Keys(&EVENTS),
    ]),
    read: triggers,
};

/// Events that need no more than their name.
const PLAIN: &[&str] = &["push", "pull_request", "tag", "manual"];

static EVENTS: Keys<Triggers> = Keys {
    name: "triggers",
    what: "`on`",
    keys: &[
        key("push", &Put(&OF_PUSH, |on: &mut Triggers, filter| on.push = Some(filter)))
            .means("Commits were pushed to a branch.")
            .example("push: { branches: [main] }"),
        key("pull_request", &Put(&OF_PULL_REQUEST, |on: &mut Triggers, filter| on.pull_request = Some(filter)))
            .means("A pull request was opened or changed. Its branch is the one it goes to.")
            .example("pull_request: { branches: [main] }"),
        key("tag", &Put(&OF_TAG, |on: &mut Triggers, filter| on.tag = Some(filter)))
            .means("A tag was pushed.")
            .example("tag: { tags: [\"v*\"] }"),
        key("schedule", &Put(&SCHEDULE, |on: &mut Triggers, times| on.schedule = Some(times)))
            .means("A time has come: minute, hour, day of the month, month and day of the week, as in crontab.")
            .example("schedule: [\"0 3 * * *\"]"),
        key("manual", &Put(&MANUAL, |on: &mut Triggers, inputs| on.manual = Some(inputs)))
            .means("Somebody asked for it. `run-local` is such a start unless `--event` says otherwise.")
            .example("manual: { inputs: { level: { options: [patch, minor] } } }"),
    ],
    rules: &[],
    others: None,
    frame: "\
on:
  KEY
image: host
steps: [{ run: 'true' }]
",
};

const BRANCHES: &str = "Patterns of branches.";
const PATHS: &str = "Patterns of the paths that were changed. While nobody knows what was changed, all of them count.";

static PUSH: Keys<Filter> = Keys {
    name: "push",
    what: "`push`",
    keys: &[
        key(
            "branches",
            &Put(&GLOBS, |filter: &mut Filter, globs| {
                filter.branches = Some(globs)
            }),
        )
        .default("all")
        .means(BRANCHES)
        .example("branches: [main, \"release/**\"]"),
        key(
            "paths",
            &Put(&GLOBS, |filter: &mut Filter, globs| {
                filter.paths = Some(globs)
            }),
        )
        .default("all")
        .means(PATHS)
        .example("paths: [\"src/**\", \"!**/*.md\"]"),
    ],
    rules: &[],
    others: None,
    frame: "\
on:
  push:
    KEY
image: host
steps: [{ run: 'true' }]
",
};

static PULL_REQUEST: Keys<Filter> = Keys {
    name: "pull_request",
    what: "`pull_request`",
    keys: &[
        key(
            "branches",
            &Put(&GLOBS, |filter: &mut Filter, globs| {
                filter.branches = Some(globs)
            }),
        )
        .default("all")
        .means("Patterns of branches that it goes to.")
        .example("branches: [main]"),
        key(
            "paths",
            &Put(&GLOBS, |filter: &mut Filter, globs| {
                filter.paths = Some(globs)
            }),
        )
        .default("all")
        .means(PATHS)
        .example("paths: [\"docs/**\"]"),
    ],
    rules: &[],
    others: None,
    frame: "\
on:
  pull_request:
    KEY
image: host
steps: [{ run: 'true' }]
",
};

static TAG: Keys<Filter> = Keys {
    name: "tag",
    what: "`tag`",
    keys: &[key(
        "tags",
        &Put(&GLOBS, |filter: &mut Filter, globs| {
            filter.tags = Some(globs)
        }),
    )
    .default("all")
    .means("Patterns of tags.")
    .example("tags: [\"v*\", \"!*-rc*\"]")],
    rules: &[],
    others: None,
    frame: "\
on:
  tag:
    KEY
image: host
steps: [{ run: 'true' }]
",
};

type Inputs = IndexMap<String, Input>;

static MANUAL_KEYS: Keys<Inputs> = Keys {
    name: "manual",
    what: "`manual`",
    keys: &[key(
        "inputs",
        &Put(&INPUTS, |declared: &mut Inputs, inputs| *declared = inputs),
    )
    .default("none")
    .means("What can be given with it; expressions read it as `inputs.NAME`.")
    .example("inputs: { level: { options: [patch, minor], default: patch } }")],
    rules: &[],
    others: None,
    frame: "\
on:
  manual:
    KEY
image: host
steps: [{ run: 'true' }]
",
};

const OF_PUSH: Type<Filter> = Type {
    words: "[filter](#push)",
    shape: Shape::Either(&[Shape::Nothing, Shape::Keys(&PUSH)]),
    read: |field, diagnostics| filter(field, &PUSH, diagnostics),
};

const OF_PULL_REQUEST: Type<Filter> = Type {
    words: "[filter](#pull_request)",
    shape: Shape::Either(&[Shape::Nothing, Shape::Keys(&PULL_REQUEST)]),
    read: |field, diagnostics| filter(field, &PULL_REQUEST, diagnostics),
};

const OF_TAG: Type<Filter> = Type {
    words: "[filter](#tag)",
    shape: Shape::Either(&[Shape::Nothing, Shape::Keys(&TAG)]),
    read: |field, diagnostics| filter(field, &TAG, diagnostics),
};

const SCHEDULE: Type<Vec<String>> = Type {
    words: "list of times",
    shape: Shape::list(&Shape::StringLike(r"^\s*(\S+\s+){4}\S+\s*$")),
    read: schedule,
};

const MANUAL: Type<Inputs> = Type {
    words: "[inputs](#manual)",
    shape: Shape::Either(&[Shape::Nothing, Shape::Keys(&MANUAL_KEYS)]),
    read: manual,
};

const GLOBS: Type<GlobList> = Type {
    words: "list of [patterns](#patterns)",
    shape: Shape::list(&Shape::Literal),
    read: globs,
};

fn triggers(field: Field<'_>, diagnostics: &mut Diagnostics) -> Triggers {
    let mut triggers = Triggers::default();
    match &field.node.value {
        Value::Mapping(entries) => {
            EVENTS.read_entries(&mut triggers, entries, diagnostics);
        }
        Value::Sequence(_) => {
            for name in field.literals("a list of events", diagnostics) {
                plain(&mut triggers, &name, diagnostics);
            }
        }
        Value::Scalar(_) => {
            if let Some(name) = field.literal(diagnostics) {
                let name = Spanned::new(name.value.to_string(), name.span);
                plain(&mut triggers, &name, diagnostics);
            }
        }
    }
    triggers
}

/// An event without filters.
fn plain(triggers: &mut Triggers, name: &Spanned<String>, diagnostics: &mut Diagnostics) {
    match &*name.value {
        "push" => triggers.push = Some(Filter::default()),
        "pull_request" => triggers.pull_request = Some(Filter::default()),
        "tag" => triggers.tag = Some(Filter::default()),
        "manual" => triggers.manual = Some(IndexMap::new()),
        "schedule" => diagnostics.push(
            Diagnostic::new(Code::WrongType, name.span, "`schedule` needs its times")
                .help("write `schedule: [\"0 3 * * *\"]`"),
        ),
        other => {
            let message = format!("there is no event {}", quoted(other));
            let diagnostic = Diagnostic::new(Code::UnknownKey, name.span, message)
                .help("the events are `push`, `pull_request`, `tag`, `schedule` and `manual`");
            diagnostics.push(
                match closest(other, EVENTS.keys.iter().map(|key| key.name)) {
                    Some(meant) => diagnostic.label(format!("did you mean `{meant}`?")),
                    None => diagnostic,
                },
            );
        }
    }
}

fn schedule(field: Field<'_>, diagnostics: &mut Diagnostics) -> Vec<String> {
    let lines = field.literals("a list of times", diagnostics);
    for line in &lines {
        if let Some(problem) = cron_problem(&line.value) {
            let message = format!("{} is no schedule: {problem}", quoted(&line.value));
            diagnostics.push(Diagnostic::new(Code::BadCron, line.span, message).help(
                "write minute, hour, day of the month, month and day of the week: `0 3 * * *`",
            ));
        }
    }
    lines.into_iter().map(|line| line.value).collect()
}

/// Without a value there is no filter: all of them count.
fn filter(field: Field<'_>, keys: &Keys<Filter>, diagnostics: &mut Diagnostics) -> Filter {
    let mut filter = Filter::default();
    if !field.is_null() {
        keys.read(&mut filter, field, diagnostics);
    }
    filter
}

fn globs(field: Field<'_>, diagnostics: &mut Diagnostics) -> GlobList {
    let Some(items) = field.items() else {
        let wrong = field.wrong_type("a list of patterns");
        diagnostics.push(wrong.help("write `[main, \"release/**\"]`"));
        return GlobList::default();
    };
    let mut globs = Vec::new();
    for item in items {
        let Some(text) = field.item(item).literal(diagnostics) else {
            continue;
        };
        match Glob::parse(&text.value) {
            Ok(glob) => globs.push(glob),
            Err(mistake) => {
                let scalar = Scalar {
                    value: &text.value,
                    span: item.span,
                };
                diagnostics.push_mistakes(Code::BadGlob, scalar, [mistake]);
            }
        }
    }
    globs.into_iter().collect()
}

fn manual(field: Field<'_>, diagnostics: &mut Diagnostics) -> Inputs {
    let mut declared = Inputs::new();
    if !field.is_null() {
        MANUAL_KEYS.read(&mut declared, field, diagnostics);
    }
    declared
}

/// The fields of a line of crontab(5): their names and the numbers they take.
const CRON: [(&str, u8, u8); 5] = [
    ("minute", 0, 59),
    ("hour", 0, 23),
    ("day of the month", 1, 31),
    ("month", 1, 12),
    ("day of the week", 0, 7),
];

/// What is wrong with a schedule, as words behind it.
fn cron_problem(line: &str) -> Option<String> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    if fields.len() != CRON.len() {
        return Some(format!("it has {} fields, not 5", fields.len()));
    }
    let wrong = fields.iter().zip(CRON).find(|(text, (_, first, last))| {
        !text
            .split(',')
            .all(|part| is_cron_part(part, *first, *last))
    });
    wrong.map(|(text, (name, first, last))| {
        format!("{} is no {name} from {first} to {last}", quoted(text))
    })
}

/// `*`, `5`, `1-5`, each perhaps with a step: `*/15`.
fn is_cron_part(part: &str, first: u8, last: u8) -> bool {
    let (range, step) = part.split_once('/').unwrap_or((part, "1"));
    let number = |text: &str| {
        let number = text.parse::<u8>().ok()?;
        (text.bytes().all(|b| b.is_ascii_digit()) && (first..=last).contains(&number))
            .then_some(number)
    };
    let is_range = match range.split_once('-') {
        Some((from, to)) => {
            matches!((number(from), number(to)), (Some(from), Some(to)) if from <= to)
        }
        None => range == "*" || number(range).is_some(),
    };
    is_range && step.parse::<u8>().is_ok_and(|step| step > 0)
}

#[cfg(test)]
mod tests {
    use super::cron_problem;

    #[test]
    fn schedules_have_five_fields_in_range() {
        for line in ["0 3 * * *", "*/15 0-6,20 1 1-12/2 7", "59 23 31 12 0"] {
            assert_eq!(cron_problem(line), None, "{line}");
        }
        for line in [
            "",
            "0 3 * *",
            "60 3 * * *",
            "0 3 0 * *",
            "a * * * *",
            "5-1 * * * *",
            "*/0 * * * *",
            "+5 * * * *",
        ] {
            assert!(cron_problem(line).is_some(), "{line}");
        }
    }
}
