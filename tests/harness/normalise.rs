use std::path::Path;
use std::sync::LazyLock;

use regex::Regex;

/// What differs from run to run, and what stands for it in a snapshot.
static RULES: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    [
        // Padding depends on the width of what is replaced below.
        (r"  +", "  "),
        (r"(?m) +$", ""),
        (r"(?m)^run [^ \n]+", "run [RUN]"),
        (r"/runs/[^/ \n]+/", "/runs/[RUN]/"),
        (
            r"(?-u:\b)(?:[0-9]+h[0-9][0-9]m[0-9][0-9]s|[0-9]+m[0-9][0-9]s|[0-9]+(?:[.][0-9]+)?m?s)(?-u:\b)",
            "[TIME]",
        ),
        (r"(?-u:\b)[0-9]+(?:\.[0-9]+)? ?(?:[KMG]i?B|bytes)", "[SIZE]"),
        (
            r"(?m)\[SIZE\]  (?:\[SIZE\]|[0-9]+ B|-)  (?:[0-9]+|-)$",
            "[SIZE]  [IO]  [PIDS]",
        ),
        (r"sha256:[0-9a-f]{64}", "sha256:[DIGEST]"),
        (r"127\.0\.0\.1:[0-9]+", "[REGISTRY]"),
    ]
    .into_iter()
    .map(|(pattern, replacement)| {
        (
            Regex::new(pattern).expect("a rule is a regular expression"),
            replacement,
        )
    })
    .collect()
});

/// Replaces what differs from run to run.
pub(crate) fn normalise(text: &str, root: &Path) -> String {
    let mut text = text.replace(&root.display().to_string(), "[ROOT]");
    for (pattern, replacement) in RULES.iter() {
        text = pattern.replace_all(&text, *replacement).into_owned();
    }
    text
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::normalise;

    #[test]
    fn what_differs_from_run_to_run_is_replaced() {
        let text = "run 0192-af\nlog: /x/data/runs/0192-af/main/0.log\nmain  make     success   1m02s   12.5 MiB  \n";
        assert_eq!(
            normalise(text, Path::new("/x")),
            "run [RUN]\nlog: [ROOT]/data/runs/[RUN]/main/0.log\nmain  make  success  [TIME]  [SIZE]\n"
        );
    }
}
