//! `build`: an image of a service that is made from a Dockerfile of the workspace.

use indexmap::IndexMap;

use super::{
    env::ENV,
    keys::{Keys, Put, key},
    shape::{Shape, Type},
    value::Field,
};
use crate::{
    Code, Diagnostic,
    diagnostic::{Diagnostics, quoted},
    plan::Build,
    syntax::{EnvVar, Text},
    yaml::Value,
};

/// A path below the root of the workspace. It is checked again when it is opened: a link in it leads out of nothing.
const BELOW: &str = r"^(?!/)(?!(.*/)?\.\.(/|$))[^\x00-\x1f\x7f-\x9f]*[^\x00-\x1f\x7f-\x9f]$";

pub(super) const BUILD: Type<Option<Build<Text>>> = Type {
    words: "directory or [build](#build)",
    shape: Shape::Either(&[Shape::LiteralLike(BELOW), Shape::Keys(&KEYS)]),
    read: build,
};

static KEYS: Keys<Build<Text>> = Keys {
    name: "build",
    what: "`build`",
    keys: &[
        key(
            "context",
            &Put(&PATH, |build: &mut Build<Text>, path| {
                build.context = path.unwrap_or_default();
            }),
        )
        .means("The directory whose files `COPY` takes, from the root of the workspace and never out of it, symbolic links included.")
        .example("context: ci/db")
        .required(),
        key(
            "dockerfile",
            &Put(&PATH, |build: &mut Build<Text>, path| build.dockerfile = path),
        )
        .default("`Dockerfile`")
        .means("The Dockerfile, from `context`.")
        .example("dockerfile: Dockerfile.test"),
        key(
            "target",
            &Put(&STAGE, |build: &mut Build<Text>, stage| build.target = stage),
        )
        .default("the last")
        .means("The stage that is built, with those that it needs.")
        .example("target: server"),
        key(
            "args",
            &Put(&ENV, |build: &mut Build<Text>, args| build.args = by_name(args)),
        )
        .default("empty")
        .means("Values of the Dockerfile's `ARG`s. They are in the image's layers: nothing secret belongs there.")
        .example("args: { VERSION: \"16\" }"),
    ],
    rules: &[],
    others: None,
    frame: "\
image: host
jobs:
  test:
    services:
      db:
        build:
          context: ci/db # else
          KEY
    steps: [{ run: 'true' }]
",
};

const PATH: Type<Option<String>> = Type {
    words: "path",
    shape: Shape::LiteralLike(BELOW),
    read: path,
};

const STAGE: Type<Option<String>> = Type {
    words: "string",
    shape: Shape::LiteralLike(r"^[^\s\x00-\x1f\x7f-\x9f]+$"),
    read: |field, diagnostics| {
        let text = field.literal(diagnostics)?;
        let is_control = |c: char| c.is_control() || c.is_whitespace();
        if text.value.is_empty() || text.value.contains(is_control) {
            let message = format!("{} is no name of a stage", quoted(&text.value));
            diagnostics.push(Diagnostic::new(Code::BadBuild, field.span, message));
            return None;
        }
        Some(text.value.to_string())
    },
};

fn build(field: Field<'_>, diagnostics: &mut Diagnostics) -> Option<Build<Text>> {
    let mut build = Build {
        context: String::new(),
        dockerfile: None,
        target: None,
        args: IndexMap::new(),
    };
    if let Value::Mapping(_) = &field.node.value {
        KEYS.read(&mut build, field, diagnostics)?;
    } else {
        build.context = path(field, diagnostics)?;
    }
    Some(build)
}

fn path(field: Field<'_>, diagnostics: &mut Diagnostics) -> Option<String> {
    let text = field.literal(diagnostics)?;
    let (problem, help) = match &*text.value {
        "" => ("is no path", "write `.` for the root of the workspace"),
        path if path.chars().any(char::is_control) => {
            ("contains control characters", "rename the directory")
        }
        path if path.starts_with('/') || path.split('/').any(|part| part == "..") => (
            "leads out of the workspace",
            "write the path from the root of the workspace, without `..`",
        ),
        path => return Some(path.to_owned()),
    };
    let message = format!("{} {problem}", quoted(&text.value));
    diagnostics.push(Diagnostic::new(Code::BadBuild, field.span, message).help(help));
    None
}

fn by_name(args: Vec<EnvVar>) -> IndexMap<String, Text> {
    let pairs = args.into_iter().map(|EnvVar { name, value }| (name, value));
    pairs.collect()
}
