//! Whole files, and what BuildKit's parser makes of them.

use super::node::{Node, nodes};
use super::*;

#[test]
fn every_file_of_buildkit_reads_as_there() {
    let cases = cases(include_str!("buildkit/parser.txt"));
    assert_eq!(cases.len(), 33);
    for (name, text, expected) in cases {
        let read = nodes(&text).unwrap_or_else(|problem| panic!("{name}: {problem}"));
        let lines: Vec<String> = read
            .nodes
            .iter()
            .map(|node| format!("({})", dump(node)))
            .collect();
        assert_eq!(lines.join("\n"), expected.trim_end(), "{name}");
    }
}

#[test]
fn every_file_that_buildkit_refuses_is_refused() {
    let cases = cases(include_str!("buildkit/refused.txt"));
    let told: Vec<String> = cases
        .iter()
        .map(|(name, text, _)| format!("{name}: {}", nodes(text).unwrap_err()))
        .collect();
    insta::assert_snapshot!(told.join("\n"), @"
    empty_dockerfile: 1:1: the file has no instruction
    env_no_value: 3:5: `ENV PATH` has no value
    only_comments: 3:1: the file has no instruction
    shykes-nested-json: 1:5: a list in `[ ]` has nothing but texts in it
    ");
}

#[test]
fn every_file_of_buildahs_conformance_tests_is_understood() {
    let cases = cases(include_str!("buildah.txt"));
    assert_eq!(cases.len(), 91);
    let refused: Vec<String> = cases
        .iter()
        .filter_map(|(name, text, _)| Some(format!("{name}: {}", parse(text.as_bytes()).err()?[0])))
        .collect();
    // Buildah's own extension, and what is refused by intention.
    insta::assert_snapshot!(refused.join("\n"), @"
    mount-targets/Dockerfile.mount: 10:41: `RUN --mount` of type `bind` is not supported
    multistage/copyback/Dockerfile: 5:5: `RUN --mount` of type `bind` is not supported
    ");
}

/// As BuildKit's `Node.Dump` writes it.
fn dump(node: &Node) -> String {
    let mut text = node.keyword.to_lowercase();
    if !node.flags.is_empty() {
        let flags: Vec<String> = node.flags.iter().map(|flag| quote(&flag.text)).collect();
        text.push_str(&format!(" [{}]", flags.join(" ")));
    }
    if let Some(child) = &node.child {
        text.push_str(&format!(" ({})", dump(child)));
    }
    for word in &node.words {
        text.push(' ');
        text.push_str(&quote(word));
    }
    text
}

/// As Go's `strconv.Quote`.
fn quote(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            '\u{8}' => quoted.push_str("\\b"),
            '\u{c}' => quoted.push_str("\\f"),
            c if u32::from(c) < 0x20 => quoted.push_str(&format!("\\x{:02x}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}
