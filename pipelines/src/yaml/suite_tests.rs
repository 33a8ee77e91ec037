//! YAML's own test suite: what it takes for YAML is taken, with the same values, and what it does not is refused.

use serde_json::Value as Json;

use super::{json, load};
use crate::{Code, Severity, Source, diagnostic::Diagnostics};

const CASES: &str = include_str!("../../tests/yaml-suite/cases.jsonl");

/// Cases that end otherwise here, and why. One that comes to agree with the suite fails the test, so that the list stays
/// true.
const DEVIATIONS: &[(&str, &str)] = &[
    ("2XXW", FOREIGN_TAG),
    ("565N", FOREIGN_TAG),
    ("6CK3", FOREIGN_TAG),
    ("7FWL", FOREIGN_TAG),
    ("C4HZ", FOREIGN_TAG),
    ("CC74", FOREIGN_TAG),
    ("CUP7", FOREIGN_TAG),
    ("J7PZ", FOREIGN_TAG),
    ("M5C3", FOREIGN_TAG),
    ("P76L", FOREIGN_TAG),
    ("UGM3", FOREIGN_TAG),
    ("Z67P", FOREIGN_TAG),
    ("Z9M4", FOREIGN_TAG),
    (
        "ZYU8/02",
        "the parser refuses a `%YAML` directive with two versions, which the suite passes over",
    ),
];

/// A tag that is not in the core schema would have to mean something, and nobody here knows what.
const FOREIGN_TAG: &str = "a tag outside of the core schema is a mistake here";

/// How a case ended.
#[derive(Debug, PartialEq)]
enum End {
    Value(Json),
    Refused(Vec<Code>),
}

fn end(yaml: &str) -> End {
    let source = Source::new("case.yml", yaml);
    let mut diagnostics = Diagnostics::about(source.text(), Severity::Error);
    let node = load(&source, source.root(), &mut diagnostics);
    match node {
        Some(node) if !diagnostics.has_errors() => End::Value(json(&node)),
        _ => {
            let codes = diagnostics.into_sorted();
            End::Refused(codes.iter().map(|diagnostic| diagnostic.code).collect())
        }
    }
}

/// What the suite says, in the words of a pipeline: one document, and not an empty one.
fn agrees(case: &Json, end: &End) -> bool {
    let multiple = |codes: &[Code]| codes.contains(&Code::MultipleDocuments);
    match end {
        End::Value(value) => equal(&case["json"], value) && case.get("json").is_some(),
        End::Refused(codes) if case.get("nothing").is_some() => codes == &[Code::EmptyFile],
        End::Refused(codes) if case.get("documents").is_some() => multiple(codes),
        // An empty pipeline is none, whatever YAML makes of it.
        End::Refused(codes) if case["json"].is_null() && case.get("json").is_some() => {
            codes == &[Code::EmptyFile]
        }
        End::Refused(_) => case.get("fail").is_some(),
    }
}

/// Equal as values: the suite writes `450.00` where we keep a float.
fn equal(one: &Json, other: &Json) -> bool {
    match (one, other) {
        (Json::Number(a), Json::Number(b)) => a.as_f64() == b.as_f64(),
        (Json::Array(a), Json::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b))
        }
        (Json::Object(a), Json::Object(b)) => {
            a.len() == b.len()
                && a.iter()
                    .all(|(key, a)| b.get(key).is_some_and(|b| equal(a, b)))
        }
        _ => one == other,
    }
}

#[test]
fn the_cases_of_the_suite_end_as_it_says() {
    let mut wrong = Vec::new();
    let mut seen = 0;
    for line in CASES.lines() {
        let case: Json = serde_json::from_str(line).unwrap();
        let id = case["id"].as_str().unwrap();
        let end = end(case["yaml"].as_str().unwrap());
        let is_known = DEVIATIONS.iter().any(|(known, _)| *known == id);
        seen += 1;
        if agrees(&case, &end) == is_known {
            let what = if is_known { "agrees now" } else { "deviates" };
            wrong.push(format!("{id} {what}: {:?} {end:?}", case["yaml"]));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {seen}:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    assert_eq!(seen, CASES.lines().count());
}
