//! The parser and the schema say the same of every key and every kind of value.

use std::sync::LazyLock;

use jsonschema::Validator;
use serde_json::Value;

use super::{json, tables};
use crate::{Code, Options, Severity, Source, compile_with, diagnostic::Diagnostics, yaml};

static VALIDATOR: LazyLock<Validator> = LazyLock::new(|| {
    let options = jsonschema::options().with_draft(jsonschema::Draft::Draft202012);
    options.build(&json()).expect("a schema")
});

/// What an editor makes of a text; `None` when it is no YAML.
fn value(text: &str) -> Option<Value> {
    let source = Source::new("f", text);
    let mut diagnostics = Diagnostics::about(source.text(), Severity::Error);
    let node = yaml::load(&source, source.root(), &mut diagnostics)?;
    (!diagnostics.has_errors()).then(|| yaml::json(&node))
}

/// The codes of the errors in a text, what cannot be carried out yet aside.
fn errors(text: &str) -> Vec<Code> {
    let source = Source::new("f", text);
    let options = Options {
        not_yet: Severity::Warning,
        ..Options::default()
    };
    let diagnostics = compile_with(&source, &options).diagnostics;
    let errors = diagnostics
        .iter()
        .filter(|diagnostic| diagnostic.severity == Severity::Error);
    errors.map(|diagnostic| diagnostic.code).collect()
}

/// Mistakes that take more to see than a shape.
const BEYOND_A_SHAPE: &[Code] = &[
    Code::BadCron,
    Code::BadExpression,
    Code::BadGlob,
    Code::BadInclude,
    Code::BadInput,
    Code::BadMatrix,
    Code::BadRegex,
    Code::BadTarget,
    Code::BadText,
    Code::EmptyRun,
    Code::MissingImage,
    Code::UnknownNeed,
    Code::SelfNeed,
];

/// Values of every kind, as they stand behind `key: `.
const VALUES: &[&str] = &[
    "",
    "~",
    "true",
    "false",
    "yes",
    "0",
    "1",
    "2",
    "1.5",
    "-1",
    "300",
    "5000",
    "99999999",
    "x",
    "X y",
    "\"\"",
    "\" \"",
    "\"1\"",
    "10m",
    "0s",
    "1h30m",
    "2GiB",
    "0GiB",
    "2 GB",
    "host",
    "none",
    "push",
    "schedule",
    "always",
    "boolean",
    "\"1000:1000\"",
    "a:b:c",
    "../x",
    "/x",
    "a/b.yml",
    "https://example.org/x.git",
    "0123456789abcdef0123456789abcdef01234567",
    "${{ branch }}",
    "\"a ${{ branch }} b\"",
    "\"a\\nb\"",
    "\"0 3 * * *\"",
    "[]",
    "[x]",
    "[1, true]",
    "[~]",
    "[\"\"]",
    "[\"1 x\"]",
    "[failure, timeout, 137]",
    "[push, tag]",
    "[\"0 3 * * *\"]",
    "[[x]]",
    "[{}]",
    "[{ x: y }]",
    "[{ run: x }]",
    "[{ run: x, rum: y }]",
    "[{ path: x }]",
    "[{ git: \"https://example.org/x\", path: x }]",
    "[{ key: k, paths: [p] }]",
    "[{ name: k, paths: [p], when: never }]",
    "{}",
    "{ x: y }",
    "{ X: ~ }",
    "{ x: 1 }",
    "{ x: [y] }",
    "{ x: [] }",
    "{ x: {} }",
    "{ \"1x\": y }",
    "{ x: { steps: [{ run: x }] } }",
    "{ x: { image: y } }",
    "{ x: { image: y, ready: { tcp: 1, run: x } } }",
    "{ x: { build: y } }",
    "{ x: { build: { context: y }, image: z } }",
    "{ context: x, dockerfile: ../y }",
    "{ context: ., args: { A: 1 } }",
    "../x",
    "/x",
    "{ group: g }",
    "{ cancel_in_progress: true }",
    "{ cpus: 0.5, memory: 1MiB }",
    "{ cpus: 0 }",
    "{ allow: [x] }",
    "{ max: 2, on: [x] }",
    "{ max: 11 }",
    "{ tcp: 5432 }",
    "{ tcp: 70000 }",
    "{ http: /x, log: y }",
    "{ timeout: 5s }",
    "{ push: ~, tag: { tags: [v] } }",
    "{ push: { tags: [v] } }",
    "{ schedule: [\"0 3 * * *\"] }",
    "{ manual: { inputs: { a: ~, b: { type: text } } } }",
    "{ inputs: { a: { options: [x], default: x } } }",
    "{ branches: [main] }",
    "{ junit: x }",
    "{ junit: [x] }",
    "{ xunit: x }",
    "{ fail_fast: false, x: [1] }",
    "{ x: [1], include: [{ y: 1, allow_failure: maybe }] }",
    "{ x: [1], exclude: [{ x: 2 }] }",
];

/// Where a number is written in a way that JSON does not keep: `2.0` is a whole number there, and not here.
fn is_lost_in_json(text: &str) -> bool {
    text.contains(".0")
}

#[test]
fn parser_and_schema_agree_on_every_key_with_every_kind_of_value() {
    let mut disagreements = Vec::new();
    let mut agreed = [0, 0];
    for table in tables() {
        for row in table.rows() {
            let with_key = super::example::framed(table, &row);
            for text in VALUES {
                let pipeline = with_key.replacen(row.example, &format!("{}: {text}", row.name), 1);
                let Some(value) = value(&pipeline) else {
                    continue;
                };
                let errors = errors(&pipeline);
                let is_valid = VALIDATOR.is_valid(&value);
                let beyond = errors.iter().all(|code| BEYOND_A_SHAPE.contains(code));
                let agree = match (errors.is_empty(), is_valid) {
                    (true, valid) => valid,
                    (false, false) => true,
                    (false, true) => beyond || is_lost_in_json(text),
                };
                if agree {
                    agreed[usize::from(is_valid)] += 1;
                } else {
                    let said = VALIDATOR.iter_errors(&value).next();
                    disagreements.push(format!(
                        "{} of {}: {text}: {errors:?}, {:?}",
                        row.name,
                        table.what(),
                        said.map(|error| error.to_string()),
                    ));
                }
            }
        }
    }
    assert!(disagreements.is_empty(), "{}", disagreements.join("\n"));
    assert!(agreed.iter().all(|count| *count > 400), "{agreed:?}");
}

#[test]
fn whatever_lints_without_an_error_validates() {
    let pages = [
        include_str!("../../../docs/pipeline.md"),
        include_str!("../../../docs/expressions.md"),
        include_str!("../../../docs/secrets.md"),
        include_str!("../../../README.md"),
    ]
    .concat();
    let snippets = pages.split("```yaml\n").skip(1);
    let snippets = snippets.filter_map(|rest| Some(rest.split_once("```")?.0.to_owned()));
    let files = [
        "tests/fixtures",
        "../examples/hello",
        "../tests/system/woodpecker",
    ];
    let files = files.into_iter().flat_map(|folder| {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
        let entries = std::fs::read_dir(folder).expect("list it");
        let paths = entries.map(|entry| entry.expect("an entry").path());
        let yaml = paths.filter(|path| path.extension().is_some_and(|it| it == "yml"));
        yaml.filter_map(|path| std::fs::read_to_string(path).ok())
            .collect::<Vec<_>>()
    });
    let examples = super::examples()
        .into_iter()
        .map(|example| example.pipeline);
    let mut counts = [0, 0];
    for text in snippets.chain(files).chain(examples) {
        let Some(value) = value(&text) else {
            continue;
        };
        // A pipeline that includes is judged by itself: nobody reads the other files here.
        let errors = errors(&text);
        let is_right = errors.iter().all(|code| *code == Code::BadInclude);
        let said = VALIDATOR.iter_errors(&value).next();
        assert!(!is_right || said.is_none(), "{text}\n{said:?}");
        counts[usize::from(is_right)] += 1;
    }
    assert!(counts[0] > 10 && counts[1] > 120, "{counts:?}");
}

#[test]
fn every_key_is_told_about() {
    for table in tables() {
        for row in table.rows() {
            let of = format!("{} of {}", row.name, table.what());
            assert!(row.meaning.ends_with('.'), "{of}");
            assert!(row.example.starts_with(&format!("{}: ", row.name)), "{of}");
            assert!(super::example::value(&row).is_some(), "{of}");
        }
    }
}

#[test]
fn an_example_is_a_pipeline_without_a_mistake() {
    for example in super::examples() {
        let mut source = Source::new("example.yml", example.pipeline.as_str());
        crate::gather(&mut source, &mut |_| Ok(b"env: {}".to_vec()));
        let options = Options {
            not_yet: Severity::Warning,
            ..Options::default()
        };
        let compilation = compile_with(&source, &options);
        let not_yet = |diagnostic: &crate::Diagnostic| diagnostic.code == Code::NotYet;
        let rendered = crate::render::human(&source, &compilation.diagnostics, false);
        assert!(
            compilation.plan.is_some(),
            "{}\n{rendered}",
            example.pipeline
        );
        assert!(
            compilation.diagnostics.iter().all(not_yet),
            "{}\n{rendered}",
            example.pipeline
        );
        assert_eq!(
            compilation.diagnostics.is_empty(),
            example.carried_out,
            "{} of {}\n{rendered}",
            example.key,
            example.of
        );
    }
}
