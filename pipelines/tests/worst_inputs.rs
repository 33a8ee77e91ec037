//! Inputs that ask for the most work somebody could think of.

mod common;

use common::check;
use pipelines::{Overrides, Source, compile, render};

/// Inputs of a size that ask for the most work somebody could think of.
fn worst_inputs(size: usize) -> Vec<(&'static str, String)> {
    let fill = |head: &str, unit: &dyn Fn(usize) -> String| {
        let mut text = String::from(head);
        for number in 0.. {
            let unit = unit(number);
            if text.len() + unit.len() + 16 > size {
                break;
            }
            text.push_str(&unit);
        }
        text
    };
    let repeat = |unit: &str| unit.repeat(size / unit.len());
    vec![
        ("block nesting", repeat("- ")),
        ("flow nesting", repeat("[")),
        ("flow mapping nesting", repeat("{a: ")),
        (
            "flow items on one line",
            format!("a: [{}]", repeat("x,").split_at(size - 16).0),
        ),
        (
            "flow pairs on one line",
            format!("{}}}", fill("{", &|n| format!("k{n}: v,"))),
        ),
        ("unknown keys", fill("", &|n| format!("k{n}: v\n"))),
        (
            "unknown keys near known ones",
            fill("", &|n| format!("timeou{n}: v\n")),
        ),
        ("the same key", repeat("key: v\n")),
        (
            "env",
            fill("image: host\nenv:\n", &|n| format!("  K{n}: v\n")) + "steps: [{ run: x }]",
        ),
        (
            "steps",
            fill("image: host\nsteps:\n", &|_| "- run: x\n".to_owned()),
        ),
        (
            "bad steps",
            fill("image: host\nsteps:\n", &|_| "- x\n".to_owned()),
        ),
        (
            "jobs",
            fill("image: host\njobs:\n", &|n| {
                format!("  j{n}: {{ steps: [{{ run: x }}] }}\n")
            }),
        ),
        (
            "missing needs",
            fill("image: host\njobs:\n", &|n| {
                format!(
                    "  job-with-a-long-name-number-{n}: {{ needs: [job-with-a-lonk-name-numbre-{}], steps: [{{ run: x }}] }}\n",
                    n * 7919
                )
            }),
        ),
        (
            "dense needs",
            fill("image: host\njobs:\n", &|n| {
                let needs: Vec<String> = (0..500).map(|m| format!("j{}", (n + m) % 1000)).collect();
                format!(
                    "  j{n}: {{ needs: [{}], steps: [{{ run: x }}] }}\n",
                    needs.join(",")
                )
            }),
        ),
        (
            "one ring of jobs",
            fill("image: host\njobs:\n", &|n| {
                format!(
                    "  j{n}: {{ needs: [j{}], steps: [{{ run: x }}] }}\n",
                    (n + 1) % 1024
                )
            }),
        ),
        ("anchors", fill("", &|n| format!("- &a{n} x\n"))),
        (
            "aliases of a long text",
            fill(&format!("a: &a {}\nb:\n", "x".repeat(size / 2)), &|_| {
                "- *a\n".to_owned()
            }),
        ),
        (
            "env by alias in every step",
            fill(
                &format!(
                    "image: host\nenv: &e {{ A: {} }}\nsteps:\n",
                    "x".repeat(1_000)
                ),
                &|_| "- { run: x, env: *e }\n".to_owned(),
            ),
        ),
        (
            "merges of merges",
            fill("a0: &a0 { k: v }\n", &|n| {
                format!("a{}: &a{} {{ <<: *a{n}, k{n}: v }}\n", n + 1, n + 1)
            }),
        ),
        (
            "one long plain scalar",
            format!("a: {}", repeat("x").split_at(size - 16).0),
        ),
        (
            "a scalar over many lines",
            fill("a: x\n", &|_| " y\n".to_owned()),
        ),
        (
            "a quoted scalar over many lines",
            fill("a: \"x\n", &|_| " y\n".to_owned()),
        ),
        (
            "escapes",
            format!("a: \"{}\"", repeat("\\u00e9").split_at(size - 16).0),
        ),
        (
            "a block scalar of empty lines",
            format!("a: |\n{}", repeat("\n").split_at(size - 16).0),
        ),
        ("comments", repeat("#\n")),
        ("spaces", repeat(" ")),
        ("line breaks", repeat("\n")),
        ("directives", repeat("%A\n")),
        ("documents", repeat("---\n")),
        ("tags", fill("", &|_| "- !x y\n".to_owned())),
        ("tabs", repeat("\t")),
        ("open quotes", repeat("\"a")),
        ("colons", repeat(":")),
        ("question marks", repeat("? ")),
        (
            "wide characters",
            repeat("漢").chars().take(size / 3).collect(),
        ),
        (
            "mistakes on one line",
            format!(
                "image: host\nsteps: [{}]",
                fill("", &|_| "{rum: x},".to_owned())
                    .split_at(size - 64)
                    .0
                    .trim_end_matches(|c| c != ',')
            ),
        ),
        ("control characters", repeat("\u{1}")),
    ]
}

#[test]
fn the_worst_inputs_are_answered() {
    for (_, text) in worst_inputs(96 * 1024) {
        check(text.as_bytes());
    }
}

#[test]
#[ignore = "prints times for a person to read: cargo test --release -p pipelines --test worst_inputs -- --ignored --nocapture"]
#[expect(clippy::print_stdout, reason = "its output is its purpose")]
fn times_of_the_worst_inputs() {
    for (name, text) in worst_inputs(1024 * 1024) {
        let source = Source::new("f.yml", text);
        let started = std::time::Instant::now();
        let compilation = compile(&source, &Overrides::default());
        let compiled = started.elapsed();
        let first = compilation
            .diagnostics
            .first()
            .map_or("a plan", |diagnostic| diagnostic.code.as_str());
        let _ = render::human(&source, &compilation.diagnostics, false);
        println!(
            "{name}: {first}, {compiled:.0?} and {:.0?} to render",
            started.elapsed() - compiled
        );
    }
}

#[test]
fn a_file_beyond_the_limit_is_refused_unread() {
    let compilation = check("#".repeat(1024 * 1024 + 1).as_bytes());
    assert_eq!(compilation.diagnostics[0].code.as_str(), "file-too-large");
}
