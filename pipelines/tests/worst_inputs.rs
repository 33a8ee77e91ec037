//! Inputs that ask for the most work somebody could think of.

mod common;
#[path = "common/worst.rs"]
mod worst;

use common::check;
use worst::worst_inputs;

#[test]
fn the_worst_inputs_are_answered() {
    for (_, text) in worst_inputs(96 * 1024) {
        check(text.as_bytes());
    }
}

#[test]
fn a_file_beyond_the_limit_is_refused_unread() {
    let compilation = check("#".repeat(1024 * 1024 + 1).as_bytes());
    assert_eq!(compilation.diagnostics[0].code.as_str(), "file-too-large");
}

/// Small files that ask for a plan of gigabytes, or for minutes of comparing.
#[test]
fn what_a_small_file_may_ask_for_is_bounded() {
    let refused = [
        "values that are included in every cell",
        "one long value in every cell",
        "a wide entry in every cell",
        "comparisons of cells",
        "secrets in every step",
        "causes to retry in every step",
        "outputs of every cell",
        "long ids of cells that need cells",
    ];
    let inputs = worst_inputs(96 * 1024);
    let asking = inputs.iter().filter(|(name, _)| refused.contains(name));
    let answers = asking.map(|(name, text)| {
        let compilation = check(text.as_bytes());
        let codes = compilation
            .diagnostics
            .iter()
            .map(|found| found.code.as_str());
        (*name, codes.collect::<Vec<_>>())
    });
    let answers: Vec<_> = answers.collect();
    assert_eq!(answers.len(), refused.len());
    for (name, codes) in answers {
        assert!(
            codes.contains(&"too-complex") || codes.contains(&"bad-matrix"),
            "{name}: {codes:?}"
        );
    }
}
