//! `concurrency`: a group's name, or `{ group: .., cancel_in_progress: true }`.

use super::{
    keys::{Keys, Put, key},
    shape::{Shape, Type},
    shared::{BOOLEAN, TEXT},
    value::Field,
};
use crate::{diagnostic::Diagnostics, plan, syntax::Text, yaml::Value};

pub(super) const CONCURRENCY: Type<Option<plan::Concurrency<Text>>> = Type {
    words: "[group](#concurrency)",
    shape: Shape::Either(&[Shape::Text, Shape::Keys(&KEYS)]),
    read: concurrency,
};

#[derive(Debug, Default)]
struct Group {
    name: Option<Text>,
    cancel_in_progress: bool,
}

static KEYS: Keys<Group> = Keys {
    name: "concurrency",
    what: "`concurrency`",
    keys: &[
        key(
            "group",
            &Put(&TEXT, |group: &mut Group, name| group.name = name),
        )
        .means("The group's name.")
        .example("group: deploy")
        .required(),
        key(
            "cancel_in_progress",
            &Put(&BOOLEAN, |group: &mut Group, cancel| {
                group.cancel_in_progress = cancel;
            }),
        )
        .default("`false`")
        .means("A newer run cancels the one that runs; otherwise it waits.")
        .example("cancel_in_progress: true"),
    ],
    rules: &[],
    others: None,
    frame: "\
image: host
concurrency:
  group: deploy # else
  KEY
steps: [{ run: 'true' }]
",
};

fn concurrency(field: Field<'_>, diagnostics: &mut Diagnostics) -> Option<plan::Concurrency<Text>> {
    let mut group = Group::default();
    if let Value::Scalar(_) = &field.node.value {
        group.name = field.template(diagnostics);
    } else {
        KEYS.read(&mut group, field, diagnostics)?;
    }
    Some(plan::Concurrency {
        group: group.name?,
        cancel_in_progress: group.cancel_in_progress,
    })
}
