//! `matrix`: axes, and what is added to and taken from their combinations.

use std::num::NonZeroUsize;

use indexmap::IndexMap;

use super::{
    fields::reject,
    keys::{Keys, Put, key},
    shape::{Shape, Type},
    shared::{BOOLEAN, IDENTIFIER},
    value::Field,
};
use crate::{
    Code, Diagnostic, Span,
    diagnostic::{Diagnostics, quoted},
    expression::Value,
    limits,
    syntax::{Include, Matrix},
    yaml::{Entry, Node, ScalarKind, Value as Yaml},
};

pub(super) const MATRIX: Type<Option<Matrix>> = Type {
    words: "[matrix](#matrices)",
    shape: Shape::Keys(&KEYS),
    read: matrix,
};

static KEYS: Keys<Matrix> = Keys {
    name: "matrix",
    what: "a matrix",
    keys: &[
        key("exclude", &Put(&EXCLUDE, |matrix: &mut Matrix, exclude| matrix.exclude = exclude))
            .default("none")
            .means("Combinations to leave out: those that have all values of an entry.")
            .example("exclude: [{ rust: beta, os: arm }]"),
        key("include", &Put(&INCLUDE, |matrix: &mut Matrix, include| matrix.include = include))
            .default("none")
            .means("More values for the combinations that have an entry's values of axes, or a combination of its own. May say `allow_failure` for these.")
            .example("include: [{ rust: nightly, os: intel, allow_failure: true }]"),
        key("fail_fast", &Put(&FAIL_FAST, |matrix: &mut Matrix, fail_fast| matrix.fail_fast = fail_fast))
            .default("`true`")
            .means("When one job of the matrix fails, the others are cancelled.")
            .example("fail_fast: false"),
        key("max_parallel", &Put(&MAX_PARALLEL, |matrix: &mut Matrix, max| matrix.max_parallel = max))
            .default("all")
            .means("How many of them run at once.")
            .example("max_parallel: 2"),
    ],
    rules: &[],
    others: Some((
        IDENTIFIER,
        &Shape::List {
            of: &Shape::Literal,
            least: 1,
            most: None,
        },
    )),
    frame: "\
image: host
jobs:
  test:
    matrix:
      rust: [stable, beta]
      os: [intel, arm]
      KEY
    steps: [{ run: 'true' }]
",
};

static ENTRY: Keys<Include> = Keys {
    name: "matrix_include",
    what: "an entry of `include`",
    keys: &[key(
        "allow_failure",
        &Put(&ALLOW_FAILURE, |include: &mut Include, allow| {
            include.allow_failure = allow
        }),
    )
    .default("the job's")
    .means("A failure of these is shown, and does not fail the pipeline.")
    .example("allow_failure: true")],
    rules: &[],
    others: Some((IDENTIFIER, &Shape::Literal)),
    frame: "\
image: host
jobs:
  test:
    matrix:
      rust: [stable, beta]
      include:
        - rust: beta
          KEY
    steps: [{ run: 'true' }]
",
};

const EXCLUDE: Type<Vec<IndexMap<String, Value>>> = Type {
    words: "list of mappings of axes to values",
    shape: Shape::List {
        of: &Shape::Map {
            names: Some(IDENTIFIER),
            of: &Shape::Literal,
            least: 1,
            most: None,
        },
        least: 0,
        most: Some(limits::MATRIX_CELLS),
    },
    read: |field, diagnostics| {
        let entries = combinations(field, diagnostics);
        let values = entries
            .into_iter()
            .map(|entries| values(entries, diagnostics));
        values.collect()
    },
};

const INCLUDE: Type<Vec<Include>> = Type {
    words: "list of mappings of names to values",
    shape: Shape::List {
        of: &Shape::Keys(&ENTRY),
        least: 0,
        most: Some(limits::MATRIX_CELLS),
    },
    read: |field, diagnostics| {
        let entries = combinations(field, diagnostics);
        let include = entries
            .into_iter()
            .map(|entries| include(entries, diagnostics));
        include.collect()
    },
};

const FAIL_FAST: Type<bool> = Type {
    read: |field, diagnostics| field.boolean(diagnostics).unwrap_or(true),
    ..BOOLEAN
};

const ALLOW_FAILURE: Type<Option<bool>> = Type {
    words: BOOLEAN.words,
    shape: Shape::Boolean,
    read: |field, diagnostics| field.boolean(diagnostics),
};

const MAX_PARALLEL: Type<Option<NonZeroUsize>> = Type {
    words: "whole number",
    shape: Shape::Count(limits::JOBS as u64),
    read: |field, diagnostics| {
        let number = field.count(limits::JOBS as u64, diagnostics)?;
        usize::try_from(number).ok().and_then(NonZeroUsize::new)
    },
};

fn matrix(field: Field<'_>, diagnostics: &mut Diagnostics) -> Option<Matrix> {
    let mut matrix = Matrix {
        span: field.span,
        axes: IndexMap::new(),
        exclude: Vec::new(),
        include: Vec::new(),
        fail_fast: true,
        max_parallel: None,
    };
    let entries = field.mapping(diagnostics)?;
    KEYS.read_known(
        &mut matrix,
        entries,
        diagnostics,
        |matrix, entry, diagnostics| {
            if is_name(entry, diagnostics) {
                let values = axis(Field::of(entry), diagnostics);
                matrix.axes.insert(entry.key.text.to_string(), values);
            }
        },
    );
    unknown_axes(&matrix, field.span, diagnostics);
    Some(matrix)
}

/// An axis is read as `matrix.NAME`, so that it has to be an identifier.
fn is_name(entry: &Entry, diagnostics: &mut Diagnostics) -> bool {
    let name = &*entry.key.text;
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if !name.is_empty()
        && name.chars().all(is_word)
        && !name.starts_with(|c: char| c.is_ascii_digit())
    {
        return true;
    }
    // What was probably meant is one of the fixed keys.
    if matches!(name, "fail-fast" | "max-parallel") {
        reject(entry, &KEYS, diagnostics);
        return false;
    }
    let message = format!("{} cannot be the name of an axis", quoted(name));
    diagnostics.push(
        Diagnostic::new(Code::BadMatrix, entry.key.span, message)
            .help("expressions say `matrix.NAME`: use letters, digits and `_`, and no digit first"),
    );
    false
}

fn axis(field: Field<'_>, diagnostics: &mut Diagnostics) -> Vec<Value> {
    let Some(items) = field.items() else {
        diagnostics.push(
            field
                .wrong_type("a list of values")
                .help("write `[one, two]`"),
        );
        return Vec::new();
    };
    if items.is_empty() {
        let message = format!("the axis {} has no values", quoted(field.key));
        diagnostics.push(Diagnostic::new(Code::BadMatrix, field.span, message));
    }
    items
        .iter()
        .filter_map(|item| value(field.item(item), diagnostics))
        .collect()
}

/// A scalar, as it was written: only what reads the same as a whole number is one, so that `1.90` stays `1.90`.
fn value(field: Field<'_>, diagnostics: &mut Diagnostics) -> Option<Value> {
    let Yaml::Scalar(scalar) = &field.node.value else {
        diagnostics.push(field.wrong_type("a scalar"));
        return None;
    };
    let text = field.literal(diagnostics)?.value;
    Some(match scalar.kind {
        ScalarKind::Bool(value) => Value::Bool(value),
        ScalarKind::Number => match text.parse::<i64>() {
            Ok(number) if number.to_string() == *text => Value::Int(number),
            _ => Value::Text(text.to_string()),
        },
        _ => Value::Text(text.to_string()),
    })
}

/// The mappings of a list, a bounded number of them.
fn combinations<'n>(field: Field<'n>, diagnostics: &mut Diagnostics) -> Vec<&'n [Entry]> {
    let Some(items) = field.items() else {
        let wrong = field.wrong_type("a list of combinations");
        diagnostics.push(wrong.help("write `[{ axis: value }]`"));
        return Vec::new();
    };
    if let Some(item) = items.get(limits::MATRIX_CELLS) {
        let message = format!(
            "{} entries of {} are more than {}",
            items.len(),
            quoted(field.key),
            limits::MATRIX_CELLS
        );
        diagnostics.push(Diagnostic::new(Code::BadMatrix, item.span, message));
    }
    let items = items.iter().take(limits::MATRIX_CELLS);
    let entries = items.map(|item: &Node| field.item(item).mapping(diagnostics));
    entries.collect::<Vec<_>>().into_iter().flatten().collect()
}

fn values(entries: &[Entry], diagnostics: &mut Diagnostics) -> IndexMap<String, Value> {
    let mut values = IndexMap::new();
    for entry in entries {
        if !is_name(entry, diagnostics) {
            continue;
        }
        if let Some(value) = value(Field::of(entry), diagnostics) {
            values.insert(entry.key.text.to_string(), value);
        }
    }
    values
}

fn include(entries: &[Entry], diagnostics: &mut Diagnostics) -> Include {
    let mut include = Include {
        values: IndexMap::new(),
        allow_failure: None,
    };
    ENTRY.read_known(
        &mut include,
        entries,
        diagnostics,
        |include, entry, diagnostics| {
            include
                .values
                .extend(values(std::slice::from_ref(entry), diagnostics));
        },
    );
    include
}

/// An exclusion that names no axis excludes nothing, or everything.
fn unknown_axes(matrix: &Matrix, span: Span, diagnostics: &mut Diagnostics) {
    for excluded in &matrix.exclude {
        let unknown = excluded
            .keys()
            .find(|axis| !matrix.axes.contains_key(*axis));
        if let Some(axis) = unknown {
            let message = format!(
                "`exclude` names {}, which is no axis of the matrix",
                quoted(axis)
            );
            diagnostics.push(Diagnostic::new(Code::BadMatrix, span, message));
            return;
        }
    }
    if matrix.exclude.iter().any(IndexMap::is_empty) {
        let message = "an entry of `exclude` names no axis";
        diagnostics.push(Diagnostic::new(Code::BadMatrix, span, message));
    }
}
