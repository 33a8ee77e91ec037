//! Which of the caches that there are a job starts from.

/// A cache that could be it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate<'c> {
    /// Its scope, as text.
    pub scope: &'c str,
    /// Its key.
    pub key: &'c str,
    /// When it was made; of two that are of the same time, the one that comes later among all counts.
    pub created_at: u64,
}

/// The one with this key, of the first of the scopes that has it; else the newest of those whose keys begin with the first of
/// `fallback` that begins any, again of the first of the scopes that has one. Answers its number, and whether its key is the one
/// that was asked for.
#[must_use]
pub fn choose(
    all: &[Candidate<'_>],
    scopes: &[String],
    key: &str,
    fallback: &[String],
) -> Option<(usize, bool)> {
    let newest = |scope: &String, is_meant: &dyn Fn(&str) -> bool| {
        let meant = all.iter().enumerate();
        let meant = meant.filter(|(_, one)| one.scope == scope && is_meant(one.key));
        meant
            .max_by_key(|(number, one)| (one.created_at, *number))
            .map(|(number, _)| number)
    };
    let exact = scopes
        .iter()
        .find_map(|scope| newest(scope, &|of| of == key));
    if let Some(number) = exact {
        return Some((number, true));
    }
    let begun = fallback.iter().find_map(|prefix| {
        scopes
            .iter()
            .find_map(|scope| newest(scope, &|of| of.starts_with(prefix.as_str())))
    });
    begun.map(|number| (number, false))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn chosen(all: &[(&str, &str, u64)], key: &str, fallback: &[&str]) -> Option<(usize, bool)> {
        let all: Vec<_> = all
            .iter()
            .map(|&(scope, key, created_at)| Candidate {
                scope,
                key,
                created_at,
            })
            .collect();
        let owned = |texts: &[&str]| {
            texts
                .iter()
                .map(|text| (*text).to_owned())
                .collect::<Vec<_>>()
        };
        choose(&all, &owned(&["own", "main"]), key, &owned(fallback))
    }

    #[test]
    fn the_key_itself_counts_more_than_where_it_is_from() {
        let all = [
            ("main", "deps-1", 5),
            ("own", "deps-0", 9),
            ("other", "deps-1", 10),
        ];
        assert_eq!(chosen(&all, "deps-1", &["deps-"]), Some((0, true)));
        assert_eq!(chosen(&all, "deps-2", &["deps-"]), Some((1, false)));
        assert_eq!(chosen(&all, "deps-2", &[]), None);
        assert_eq!(chosen(&all, "deps", &[]), None, "a key is no beginning");
    }

    #[test]
    fn the_first_beginning_counts_and_then_the_newest() {
        let all = [
            ("own", "a-1", 1),
            ("own", "a-2", 3),
            ("own", "a-3", 2),
            ("own", "b-1", 9),
            ("main", "a-9", 9),
        ];
        assert_eq!(chosen(&all, "x", &["c-", "a-", "b-"]), Some((1, false)));
        assert_eq!(chosen(&all[3..], "x", &["a-", "b-"]), Some((1, false)));
        let same = [("own", "a-1", 1), ("own", "a-2", 1)];
        assert_eq!(chosen(&same, "x", &["a-"]), Some((1, false)));
    }

    proptest! {
        #[test]
        fn nothing_of_another_scope_is_ever_chosen(
            all in proptest::collection::vec(("[abc]", "[xy]{0,3}", 0u64..5), 0..12),
            key in "[xy]{0,3}",
            fallback in proptest::collection::vec("[xy]{0,2}", 0..3),
        ) {
            let scopes = ["a".to_owned(), "b".to_owned()];
            let candidates: Vec<_> = all
                .iter()
                .map(|(scope, key, created_at)| Candidate { scope, key, created_at: *created_at })
                .collect();
            match choose(&candidates, &scopes, &key, &fallback) {
                Some((number, exact)) => {
                    let chosen = &candidates[number];
                    prop_assert!(scopes.iter().any(|scope| scope == chosen.scope));
                    prop_assert_eq!(exact, chosen.key == key);
                    prop_assert!(exact || fallback.iter().any(|prefix| chosen.key.starts_with(prefix.as_str())));
                }
                None => for one in &candidates {
                    let is_read = scopes.iter().any(|scope| scope == one.scope);
                    let is_meant = one.key == key
                        || fallback.iter().any(|prefix| one.key.starts_with(prefix.as_str()));
                    prop_assert!(!is_read || !is_meant);
                },
            }
        }
    }
}
