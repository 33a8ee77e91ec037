//! `retry`: `{ max: 2, on: [infrastructure, timeout, 137], delay: 5s }`, or just how often.

use std::num::NonZeroU32;
use std::time::Duration;

use super::{
    duration::DURATION,
    keys::{Keys, Put, key},
    shape::{Shape, Type},
    suggest::closest,
    value::Field,
};
use crate::{
    Code, Diagnostic,
    diagnostic::{Diagnostics, quoted},
    plan::{Retry, RetryCause},
    yaml::Value,
};

/// Attempts after the first that a step may ask for.
const MOST: u64 = 10;

const CAUSES: [(&str, RetryCause); 3] = [
    ("failure", RetryCause::Failure),
    ("infrastructure", RetryCause::Infrastructure),
    ("timeout", RetryCause::Timeout),
];

pub(super) const RETRY: Type<Option<Retry>> = Type {
    words: "[retry](#retry)",
    shape: Shape::Either(&[Shape::Count(MOST), Shape::Keys(&KEYS)]),
    read: retry,
};

#[derive(Debug, Default)]
struct Draft {
    max: Option<NonZeroU32>,
    on: Option<Vec<RetryCause>>,
    delay: Option<Duration>,
}

static KEYS: Keys<Draft> = Keys {
    name: "retry",
    what: "`retry`",
    keys: &[
        key("max", &Put(&TIMES, |retry: &mut Draft, max| retry.max = max))
            .means("Attempts after the first, at most 10.")
            .example("max: 2")
            .required(),
        key("on", &Put(&CAUSE_LIST, |retry: &mut Draft, on| retry.on = on))
            .default("`[failure, infrastructure]`")
            .means("The ends that are worth another attempt: `failure` (any end of the step's own), `infrastructure` (a registry, the runtime, the disk), `timeout` (either of the timeouts), and exit statuses.")
            .example("on: [infrastructure, timeout, 137]"),
        key("delay", &Put(&DURATION, |retry: &mut Draft, delay| retry.delay = delay))
            .default("none")
            .means("How long to wait before each further attempt.")
            .example("delay: 5s"),
    ],
    rules: &[],
    others: None,
    frame: "\
image: host
steps:
  - run: 'true'
    retry:
      max: 2 # else
      KEY
",
};

const TIMES: Type<Option<NonZeroU32>> = Type {
    words: "whole number",
    shape: Shape::Count(MOST),
    read: times,
};

const CAUSE_LIST: Type<Option<Vec<RetryCause>>> = Type {
    words: "list of causes",
    shape: Shape::list(&Shape::Either(&[
        Shape::Word(&["failure", "infrastructure", "timeout"]),
        Shape::Count(255),
    ])),
    read: causes,
};

fn retry(field: Field<'_>, diagnostics: &mut Diagnostics) -> Option<Retry> {
    let mut draft = Draft::default();
    if let Value::Scalar(_) = &field.node.value {
        draft.max = times(field, diagnostics);
    } else {
        KEYS.read(&mut draft, field, diagnostics)?;
    }
    let causes = vec![RetryCause::Failure, RetryCause::Infrastructure];
    Some(Retry {
        max: draft.max?,
        on: draft.on.unwrap_or(causes),
        delay: draft.delay.unwrap_or(Duration::ZERO),
    })
}

fn times(field: Field<'_>, diagnostics: &mut Diagnostics) -> Option<NonZeroU32> {
    let number = field.count(MOST, diagnostics)?;
    u32::try_from(number).ok().and_then(NonZeroU32::new)
}

fn causes(field: Field<'_>, diagnostics: &mut Diagnostics) -> Option<Vec<RetryCause>> {
    let words = field.literals("a list of causes", diagnostics);
    let mut causes = Vec::new();
    for word in &words {
        let known = CAUSES.iter().find(|(name, _)| *name == word.value);
        let status = word.value.parse::<u8>().ok().filter(|status| *status != 0);
        match (known, status) {
            (Some((_, cause)), _) => causes.push(*cause),
            (None, Some(status)) => causes.push(RetryCause::Exit(status)),
            (None, None) => {
                let message = format!("{} is no cause to retry", quoted(&word.value));
                let diagnostic = Diagnostic::new(Code::BadRetry, word.span, message)
                    .help("the causes are `failure`, `infrastructure`, `timeout`, and exit statuses from 1 to 255");
                let names = CAUSES.iter().map(|(name, _)| *name);
                diagnostics.push(match closest(&word.value, names) {
                    Some(meant) => diagnostic.label(format!("did you mean `{meant}`?")),
                    None => diagnostic,
                });
            }
        }
    }
    (!causes.is_empty()).then_some(causes)
}
