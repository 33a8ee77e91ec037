use super::*;
use crate::{Source, diagnostic::Diagnostics};

/// The tree as one line, every node with the text at its span.
fn show(text: &str) -> String {
    let source = Source::new("f", text);
    let mut diagnostics = Diagnostics::default();
    match load(&source, source.root(), &mut diagnostics) {
        Some(node) => show_node(&node, text).trim_start().to_owned(),
        None => diagnostics
            .into_sorted()
            .iter()
            .map(|d| d.message.clone())
            .collect::<Vec<_>>()
            .join("; "),
    }
}

fn show_node(node: &Node, text: &str) -> String {
    let at = text[node.span.start..node.span.end]
        .replace('\r', "␍")
        .replace('\n', "⏎");
    match &node.value {
        Value::Scalar(scalar) => format!(
            "{:?} {:?} at {}..`{at}`",
            scalar.kind, scalar.text, node.span.start
        ),
        Value::Sequence(items) => items
            .iter()
            .map(|item| format!("\n- {}", show_node(item, text).replace('\n', "\n  ")))
            .collect(),
        Value::Mapping(entries) => {
            let entry = |e: &Entry| {
                let key = &text[e.key.span.start..e.key.span.end];
                format!(
                    "\n{key}: {}",
                    show_node(&e.value, text).replace('\n', "\n  ")
                )
            };
            entries.iter().map(entry).collect()
        }
    }
}

#[test]
fn every_node_knows_its_type_and_its_bytes() {
    insta::assert_snapshot!(show(
        "a:\n  - x\n  -\n  - [b,]\n  - {c: }\nd: |\n  é1\n  2\n\ne: >-\n  x\n  y\n# c\nf: &x 'q'\ng: *x\nh: yes\ni: 1.90\nj: a\n  b\n"
    ), @r#"
    a: 
      - String "x" at 7..`x`
      - Null "" at 12..``
      - 
        - String "b" at 18..`b`
      - 
        c: Null "" at 28..``
    d: String "é1\n2\n" at 39..`é1⏎  2`
    e: String "x y" at 56..`x⏎  y`
    f: String "q" at 69..`&x 'q'`
    g: String "q" at 69..`&x 'q'`
    h: String "yes" at 85..`yes`
    i: Number "1.90" at 92..`1.90`
    j: String "a b" at 100..`a⏎  b`
    "#);
}

#[test]
fn merge_keys_fill_in_what_the_mapping_does_not_say_itself() {
    insta::assert_snapshot!(show(
        "a: &a {x: 1, y: 1}\nb: &b {x: 2, z: 2}\nc: {y: 3, <<: *a}\nd: {<<: [*b, *a]}\ne: {\"<<\": 1}\n"
    ), @r#"
    a: 
      x: Number "1" at 10..`1`
      y: Number "1" at 16..`1`
    b: 
      x: Number "2" at 29..`2`
      z: Number "2" at 35..`2`
    c: 
      y: Number "3" at 45..`3`
      x: Number "1" at 10..`1`
    d: 
      x: Number "2" at 29..`2`
      z: Number "2" at 35..`2`
      y: Number "1" at 16..`1`
    e: 
      "<<": Number "1" at 84..`1`
    "#);
}

#[test]
fn what_is_no_tree_says_why() {
    insta::assert_snapshot!(show("a: 1\na: 2"), @r#"a: Number "1" at 3..`1`"#);
    insta::assert_snapshot!(show("&a [*a]"), @"an alias refers to the value it stands in");
    insta::assert_snapshot!(show(&format!("{}x", "- ".repeat(65))), @"lists and mappings are nested more than 64 levels deep");
    insta::assert_snapshot!(show(&"[".repeat(400)), @"lists and mappings are nested more than 64 levels deep");
    insta::assert_snapshot!(show("~"), @r#"Null "~" at 0..`~`"#);
    insta::assert_snapshot!(show("---\n...\n"), @"the file is empty");
}

#[test]
fn aliases_cannot_nest_deeper_than_text_can() {
    let mut text = String::from("a0: &a0 [x]\n");
    for level in 1..80 {
        text.push_str(&format!("a{level}: &a{level} [*a{}]\n", level - 1));
    }
    insta::assert_snapshot!(show(&text), @"lists and mappings are nested more than 64 levels deep");
}

#[test]
fn merging_one_large_mapping_into_many_is_bounded() {
    let mut text = String::from("big: &big\n");
    for key in 0..20_000 {
        text.push_str(&format!("  k{key}: v\n"));
    }
    for copy in 0..50 {
        text.push_str(&format!("c{copy}: {{<<: *big}}\n"));
    }
    insta::assert_snapshot!(show(&text), @"the aliases of this file expand to more than 4 MiB");
}

#[test]
fn line_breaks_of_windows_become_those_of_everybody() {
    insta::assert_snapshot!(show("a: |\r\n  x\r\n  y\r\nb: z\r\n"), @r#"
    a: String "x\ny\n" at 8..`x␍⏎  y`
    b: String "z" at 19..`z`
    "#);
}
