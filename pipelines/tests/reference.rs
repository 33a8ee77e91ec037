//! The language reference does what it says: every example in `docs/pipeline.md` is a valid pipeline.

use pipelines::{Code, Diagnostic, Options, Severity, Source, compile_with, render};

const PAGE: &str = include_str!("../../docs/pipeline.md");

#[track_caller]
fn assert_valid(text: &str) {
    let mut source = Source::new("example.yml", text);
    pipelines::gather(&mut source, &mut |_| Ok(b"env: {}".to_vec()));
    // What cannot be carried out yet is described as well, and has to be right.
    let options = Options {
        not_yet: Severity::Warning,
        ..Options::default()
    };
    let compilation = compile_with(&source, &options);
    let rendered = render::human(&source, &compilation.diagnostics, false);
    let carried_out = |diagnostic: &Diagnostic| diagnostic.code != Code::NotYet;
    assert!(
        compilation.plan.is_some() && !compilation.diagnostics.iter().any(carried_out),
        "{text}\n{rendered}"
    );
}

#[test]
fn every_whole_example_is_valid() {
    let pages = [PAGE, include_str!("../../docs/expressions.md")].concat();
    let examples: Vec<&str> = pages
        .split("```yaml\n")
        .skip(1)
        .filter_map(|rest| rest.split("```").next())
        .collect();
    assert!(examples.len() >= 2);
    examples.into_iter().for_each(assert_valid);
}

/// `SLIPWAY_WRITE_REFERENCE=1 cargo test -p pipelines --test reference` writes them.
#[test]
fn the_tables_of_keys_are_those_of_the_parser() {
    let written = pipelines::schema::reference(PAGE).expect("a place for every table");
    if written != PAGE && std::env::var_os("SLIPWAY_WRITE_REFERENCE").is_some() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/pipeline.md");
        std::fs::write(path, written).expect("write the page");
        return;
    }
    let stale = written
        .lines()
        .zip(PAGE.lines())
        .find(|(new, old)| new != old);
    assert!(
        written == PAGE,
        "docs/pipeline.md is stale, write it with SLIPWAY_WRITE_REFERENCE=1: {stale:#?}"
    );
}

/// Every anchor that the page links to in itself is there.
#[test]
fn links_within_the_page_lead_somewhere() {
    let titles = PAGE.lines().filter(|line| line.starts_with('#'));
    let anchors: Vec<String> = titles
        .map(|title| {
            title
                .trim_start_matches(['#', ' '])
                .to_lowercase()
                .replace(' ', "-")
        })
        .collect();
    let mut links = 0;
    for link in PAGE.split("](#").skip(1) {
        let anchor = link.split(')').next().expect("a part");
        assert!(anchors.iter().any(|known| known == anchor), "#{anchor}");
        links += 1;
    }
    assert!(links > 20, "only {links} links were found");
}
