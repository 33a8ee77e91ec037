mod arbitrary;
mod corpus;
mod heredocs;
mod mistakes;
mod words;

use super::*;

/// The cases of a file of them: name, text, and what is behind `---`.
fn cases(file: &str) -> Vec<(String, String, String)> {
    let mut cases = Vec::new();
    for case in file.split("\n=== ").skip(1) {
        let (name, text) = case.split_once('\n').unwrap_or((case, ""));
        let (name, is_cut) = name
            .strip_suffix(", cut")
            .map_or((name, false), |name| (name, true));
        let (text, result) = text.split_once("\n---\n").unwrap_or((text, ""));
        let end = if is_cut { "" } else { "\n" };
        cases.push((name.to_owned(), format!("{text}{end}"), result.to_owned()));
    }
    cases
}
