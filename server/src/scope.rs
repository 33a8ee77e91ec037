//! Which repositories a user's token is for.
//!
//! ```text
//! https://host/owner/name     this one
//! https://host/owner/*        all below
//! ```

use std::sync::Arc;

use repository::identity;

/// All repositories, or some.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum Scope {
    /// The whole server.
    #[default]
    All,
    /// Those that one of these patterns covers.
    Of(Arc<[String]>),
}

impl Scope {
    /// As it is kept: `None` is everything.
    pub(crate) fn new(patterns: Option<Vec<String>>) -> Self {
        patterns.map_or(Self::All, |patterns| Self::Of(patterns.into()))
    }

    /// Whether it is the whole server.
    pub(crate) const fn is_all(&self) -> bool {
        matches!(self, Self::All)
    }

    /// Whether a repository is among them. Of none (jobs with an empty workspace) it is the whole server's business.
    pub(crate) fn covers(&self, url: &str) -> bool {
        match self {
            Self::All => true,
            Self::Of(patterns) => patterns.iter().any(|pattern| is_match(pattern, url)),
        }
    }
}

/// Whether one pattern covers a repository.
pub(crate) fn is_match(pattern: &str, url: &str) -> bool {
    match pattern.strip_suffix('*') {
        // What was written down by an earlier server may have a `.git`.
        None => identity(pattern) == identity(url),
        Some(start) => {
            let rest = url.strip_prefix(start);
            rest.is_some_and(|rest| !rest.is_empty() && !may_climb(rest))
        }
    }
}

/// Whether a host may take a path for another one than it looks like: separators and dots can be written as escapes.
fn may_climb(path: &str) -> bool {
    let lower = path.to_ascii_lowercase();
    let is_escaped = ["%2e", "%2f", "%5c", "%25"]
        .iter()
        .any(|it| lower.contains(it));
    is_escaped || lower.split(['/', '\\']).any(|part| part == "..")
}

#[cfg(test)]
mod tests {
    use super::Scope;

    #[test]
    fn a_pattern_covers_what_is_below_it_and_nothing_that_looks_so() {
        let patterns = ["https://host/own/name", "https://host/all/*"];
        let scope = Scope::new(Some(patterns.map(str::to_owned).to_vec()));
        for url in [
            "https://host/own/name",
            "https://host/all/a",
            "https://host/all/deep/b.git",
        ] {
            assert!(scope.covers(url), "{url}");
        }
        for url in [
            "",
            "https://host/own/name2",
            "https://host/own/name/more",
            "https://host/all",
            "https://host/all/",
            "https://host/alla/b",
            "https://host:1/all/a",
            "http://host/all/a",
            "ssh://host/all/a",
            "https://host/all/%2e%2E/own/other",
            "https://host/all/%252e%252e/own/other",
            "https://host/all/..%2fown",
            "https://host/all/../own",
        ] {
            assert!(!scope.covers(url), "{url}");
        }
        // `.git` at the end makes no other repository of it, and nothing else does.
        let old = Scope::new(Some(vec!["https://host/own/old.git".to_owned()]));
        assert!(scope.covers("https://host/own/name.git"));
        assert!(old.covers("https://host/own/old") && old.covers("https://host/own/old.git"));
        for url in [
            "https://host/own/name.git.git",
            "https://host/own/name.GIT",
            "https://host/own/name/.git",
            "https://host/own/nam.git",
        ] {
            assert!(!scope.covers(url), "{url}");
        }
        for url in ["https://host/own/old.git.git", "https://host/own/old.git/x"] {
            assert!(!old.covers(url), "{url}");
        }
        let local = Scope::new(Some(vec!["file:///srv/x".to_owned()]));
        assert!(local.covers("file:///srv/x") && !local.covers("file:///srv/x.git"));
        assert!(Scope::All.covers("") && Scope::All.covers("https://x/y"));
        assert!(!Scope::new(Some(Vec::new())).covers("https://x/y"));
    }
}
