//! Whatever the bytes, the compiler answers.

mod common;

use common::check;
use proptest::prelude::*;

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
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

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

/// The corpus: every fixture, and every case of YAML's own suite, as it is and cut at each third byte.
#[test]
fn the_corpus_is_answered_whole_and_cut() {
    let suite = include_str!("yaml-suite/cases.jsonl").lines().map(|line| {
        let case: serde_json::Value = serde_json::from_str(line).expect("a case");
        case["yaml"].as_str().expect("its text").as_bytes().to_vec()
    });
    let fixtures = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures"))
        .expect("list the fixtures")
        .map(|entry| std::fs::read(entry.expect("a fixture").path()).expect("read it"));
    for bytes in suite.chain(fixtures) {
        check(&bytes);
        for end in (0..bytes.len().min(600)).step_by(3) {
            check(&bytes[..end]);
        }
    }
}
