//! Whatever the bytes: no panic, diagnostics whose places exist, and plans that keep what a plan promises.

use std::collections::HashSet;

use pipelines::{Compilation, Overrides, Severity, Source, Span, compile, plan::Plan, render};
use proptest::prelude::*;

/// Compiles and checks everything that has to hold for any input.
fn check(bytes: &[u8]) -> Compilation {
    let source = Source::new("f.yml", bytes);
    let compilation = compile(&source, &Overrides::default());
    let errors = compilation
        .diagnostics
        .iter()
        .filter(|d| d.severity == Severity::Error)
        .count();
    assert_eq!(
        compilation.plan.is_none(),
        errors > 0,
        "a plan and errors exclude each other"
    );
    for diagnostic in &compilation.diagnostics {
        check_span(source.text(), diagnostic.span);
        for related in &diagnostic.related {
            check_span(source.text(), related.span);
        }
        assert!(
            !diagnostic.message.contains(|c: char| c.is_control()),
            "{:?}",
            diagnostic.message
        );
    }
    assert!(
        compilation
            .diagnostics
            .is_sorted_by_key(|diagnostic| diagnostic.span)
    );
    let rendered = render::human(&source, &compilation.diagnostics, false);
    assert!(!rendered.contains('\u{1b}'));
    assert_eq!(
        render::machine(&source, &compilation.diagnostics).len(),
        compilation.diagnostics.len()
    );
    if let Some(plan) = &compilation.plan {
        check_plan(plan);
    }
    compilation
}

fn check_span(text: &str, span: Span) {
    assert!(
        text.get(span.start..span.end).is_some(),
        "{span:?} is no place in {} bytes",
        text.len()
    );
}

fn check_plan(plan: &Plan) {
    assert!(!plan.jobs.is_empty());
    let mut started: HashSet<&str> = HashSet::new();
    let ids: HashSet<&str> = plan.jobs.iter().map(|job| job.id.as_str()).collect();
    assert_eq!(ids.len(), plan.jobs.len(), "ids are unique");
    while started.len() < plan.jobs.len() {
        let ready: Vec<&str> = plan
            .jobs
            .iter()
            .filter(|job| {
                !started.contains(job.id.as_str())
                    && job.needs.iter().all(|need| started.contains(need.as_str()))
            })
            .map(|job| job.id.as_str())
            .collect();
        assert!(!ready.is_empty(), "needs are closed and free of circles");
        started.extend(ready);
    }
    for job in &plan.jobs {
        assert!(!job.steps.is_empty());
        let mut before: HashSet<&str> = HashSet::new();
        for step in &job.steps {
            assert!(step.needs.iter().all(|need| before.contains(need.as_str())));
            assert!(before.insert(&step.name), "step names are unique");
            assert!(!step.image.is_empty());
        }
    }
}

/// Words, punctuation and white space of pipelines, in any order.
fn token() -> impl Strategy<Value = String> {
    const TOKENS: &[&str] = &[
        "jobs:",
        "steps:",
        "run:",
        "image:",
        "env:",
        "needs:",
        "name:",
        "timeout:",
        "shell:",
        "user:",
        "workdir:",
        "allow_failure:",
        "\n",
        "\n  ",
        "\n    ",
        "\n      ",
        "\n- ",
        "\n  - ",
        "\n      - ",
        " ",
        "\t",
        "\r\n",
        "\r",
        "- ",
        "? ",
        ": ",
        ", ",
        "[",
        "]",
        "{",
        "}",
        "&a ",
        "*a",
        "&b ",
        "*b",
        "<<: ",
        "!!str ",
        "!x ",
        "! ",
        "|",
        ">-",
        "|2+",
        "'",
        "\"",
        "\\",
        "#",
        " # c\n",
        "---\n",
        "\n...\n",
        "%YAML 1.2\n",
        "%TAG ! x\n",
        "é",
        "漢字",
        "🦀",
        "\u{feff}",
        "\u{85}",
        "\u{2028}",
        "\0",
        "\u{1b}",
        "a",
        "b",
        "main",
        "true",
        "~",
        "10m",
        "90",
        "x y",
    ];
    prop_oneof![8 => proptest::sample::select(TOKENS).prop_map(str::to_owned), 1 => ".{0,3}"]
}

/// A pipeline that is nearly right: real structure, small pools of names so that they collide and miss.
fn pipeline() -> impl Strategy<Value = String> {
    let id = proptest::sample::select(vec!["a", "b", "c", "d", "e f"]);
    let step = proptest::sample::select(vec![
        "{ run: x }",
        "{ run: x, name: n }",
        "{ run: x, name: m }",
        "{ run: [x, y], env: { A: 1 } }",
        "{ image: p }",
        "{}",
        "{ run: x, rum: y }",
    ]);
    let needs = proptest::collection::vec(id.clone(), 0..3);
    let job = (id, needs, proptest::collection::vec(step, 0..4)).prop_map(|(id, needs, steps)| {
        format!(
            "  {id}:\n    needs: [{}]\n    steps: [{}]\n",
            needs.join(", "),
            steps.join(", ")
        )
    });
    proptest::collection::vec(job, 0..5)
        .prop_map(|jobs| format!("image: host\njobs:\n{}", jobs.concat()))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_bytes_are_answered(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        check(&bytes);
    }

    #[test]
    fn arbitrary_text_is_answered(text in "\\PC{0,200}") {
        check(text.as_bytes());
    }

    #[test]
    fn a_soup_of_tokens_is_answered(tokens in proptest::collection::vec(token(), 0..60)) {
        check(tokens.concat().as_bytes());
    }

    #[test]
    fn a_soup_behind_a_valid_start_is_answered(tokens in proptest::collection::vec(token(), 0..40)) {
        check(format!("image: host\nsteps:\n  - run: x\n    {}", tokens.concat()).as_bytes());
    }

    #[test]
    fn plans_of_nearly_right_pipelines_keep_their_promises(text in pipeline()) {
        check(text.as_bytes());
    }

    #[test]
    fn nesting_is_answered(open in proptest::sample::select(vec!["[", "{a: ", "- ", "{", "? ", "[[{x: ", "- - ", "!!seq [", "a:\n "]), depth in 0usize..3_000) {
        check(open.repeat(depth).as_bytes());
    }
}

#[test]
fn pipelines_that_are_valid_do_occur_among_the_nearly_right_ones() {
    use proptest::{strategy::ValueTree, test_runner::TestRunner};
    let mut runner = TestRunner::deterministic();
    let valid = (0..500)
        .filter(|_| {
            let text = pipeline().new_tree(&mut runner).unwrap().current();
            check(text.as_bytes()).plan.is_some()
        })
        .count();
    assert!(
        valid > 5,
        "only {valid} of 500 pipelines were valid, the properties of plans are hardly tested"
    );
}

/// Inputs of a mebibyte that ask for the most work somebody could think of.
fn worst_inputs() -> Vec<(&'static str, String)> {
    const SIZE: usize = 1024 * 1024;
    let fill = |head: &str, unit: &dyn Fn(usize) -> String| {
        let mut text = String::from(head);
        for number in 0.. {
            let unit = unit(number);
            if text.len() + unit.len() + 16 > SIZE {
                break;
            }
            text.push_str(&unit);
        }
        text
    };
    let repeat = |unit: &str| unit.repeat(SIZE / unit.len());
    vec![
        ("block nesting", repeat("- ")),
        ("flow nesting", repeat("[")),
        ("flow mapping nesting", repeat("{a: ")),
        (
            "flow items on one line",
            format!("a: [{}]", repeat("x,").split_at(SIZE - 16).0),
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
            fill(&format!("a: &a {}\nb:\n", "x".repeat(SIZE / 2)), &|_| {
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
            format!("a: {}", repeat("x").split_at(SIZE - 16).0),
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
            format!("a: \"{}\"", repeat("\\u00e9").split_at(SIZE - 16).0),
        ),
        (
            "a block scalar of empty lines",
            format!("a: |\n{}", repeat("\n").split_at(SIZE - 16).0),
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
            repeat("漢").chars().take(SIZE / 3).collect(),
        ),
        (
            "mistakes on one line",
            format!(
                "image: host\nsteps: [{}]",
                fill("", &|_| "{rum: x},".to_owned())
                    .split_at(SIZE - 64)
                    .0
                    .trim_end_matches(|c| c != ',')
            ),
        ),
        ("control characters", repeat("\u{1}")),
    ]
}

#[test]
fn a_mebibyte_of_the_worst_input_is_answered() {
    for (_, text) in worst_inputs() {
        check(text.as_bytes());
    }
}

#[test]
#[ignore = "prints times for a person to read: cargo test --release -p pipelines --test robustness -- --ignored --nocapture"]
#[expect(clippy::print_stdout, reason = "its output is its purpose")]
fn times_of_the_worst_inputs() {
    for (name, text) in worst_inputs() {
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
