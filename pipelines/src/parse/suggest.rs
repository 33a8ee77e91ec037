//! "Did you mean": the word somebody probably wanted.

/// Longer words are nobody's typing mistake, and comparing them is slow.
const LONGEST: usize = 40;

/// The candidate that is closest to a word, when it is close: one edit in three characters (a swap of neighbours counts
/// as one), and never all of them. The first of equally close ones.
pub(crate) fn closest<'c>(
    word: &str,
    candidates: impl IntoIterator<Item = &'c str>,
) -> Option<&'c str> {
    let length = word.chars().count();
    if length > LONGEST {
        return None;
    }
    let word = word.to_lowercase();
    let mut best: Option<(usize, &str)> = None;
    for candidate in candidates {
        let longer = length.max(candidate.len());
        let allowed = (longer / 3).min(3);
        if longer - length.min(candidate.len()) > allowed {
            continue;
        }
        let distance = strsim::osa_distance(&word, candidate);
        if distance <= allowed
            && distance < longer
            && best.is_none_or(|(nearest, _)| distance < nearest)
        {
            best = Some((distance, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_mistakes_find_their_word_and_strangers_do_not() {
        let words = ["run", "image", "timeout", "allow_failure", "env"];
        assert_eq!(closest("rum", words), Some("run"));
        assert_eq!(closest("imgae", words), Some("image"));
        assert_eq!(closest("Timeout", words), Some("timeout"));
        assert_eq!(closest("allow_failures", words), Some("allow_failure"));
        assert_eq!(closest("banana", words), None);
        assert_eq!(closest("x", words), None);
        assert_eq!(closest("id", ["if"]), None);
        assert_eq!(closest("", words), None);
        assert_eq!(closest(&"x".repeat(1_000_000), words), None);
    }
}
