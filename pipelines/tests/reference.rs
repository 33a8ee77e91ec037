//! The language reference does what it says: every example in `docs/pipeline.md` is a valid pipeline.

use pipelines::{Overrides, Source, compile, render};

const PAGE: &str = include_str!("../../docs/pipeline.md");

#[track_caller]
fn assert_valid(text: &str) {
    let source = Source::new("example.yml", text);
    let compilation = compile(&source, &Overrides::default());
    let rendered = render::human(&source, &compilation.diagnostics, false);
    assert!(
        compilation.plan.is_some() && rendered.is_empty(),
        "{text}\n{rendered}"
    );
}

#[test]
fn every_whole_example_is_valid() {
    let examples: Vec<&str> = PAGE
        .split("```yaml\n")
        .skip(1)
        .filter_map(|rest| rest.split("```").next())
        .collect();
    assert!(examples.len() >= 2);
    examples.into_iter().for_each(assert_valid);
}

#[test]
fn every_example_of_a_key_is_valid_where_the_key_belongs() {
    let mut section = "";
    let mut checked = 0;
    for line in PAGE.lines() {
        if let Some(title) = line.strip_prefix("## ") {
            section = title;
        }
        let cells: Vec<&str> = line.split(" | ").collect();
        let [key, .., example] = cells.as_slice() else {
            continue;
        };
        let (key, example) = (
            key.trim_matches(['|', ' ', '`']),
            example.trim_end_matches(" |").trim_matches('`'),
        );
        if !example.starts_with(&format!("{key}: ")) {
            continue;
        }
        let unless = |known: &[&str], text: &str| {
            if known.contains(&key) {
                String::new()
            } else {
                text.to_owned()
            }
        };
        assert_valid(&match section {
            "Pipeline" => {
                format!(
                    "{}{}{example}\n",
                    unless(&["image"], "image: host\n"),
                    unless(&["jobs", "steps"], "steps: [{ run: x }]\n")
                )
            }
            "Job" => format!(
                "image: host\njobs:\n  build: {{ steps: [{{ run: x }}] }}\n  j:\n    {example}\n{}",
                unless(&["steps"], "    steps: [{ run: x }]\n")
            ),
            "Step" => format!(
                "image: host\nsteps:\n  - {example}\n{}",
                unless(&["run"], "    run: x\n")
            ),
            other => panic!("an example of a key in the section {other}"),
        });
        checked += 1;
    }
    assert!(checked > 20, "only {checked} examples were found");
}
