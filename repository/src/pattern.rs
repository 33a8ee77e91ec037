//! Repositories that are named together.

use std::fmt;

use serde::Deserialize;

use crate::{Allowed, Scheme, Url, UrlError};

/// A repository's URL, or what some start with and `/*`. Of two that cover a repository the narrower one counts. Case does not: hosts may
/// take two cases for the same, and one repository is never covered by another pattern than its own.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct Pattern {
    /// A name, or the start of some, as [`Url::identity`] has them, in lower case.
    name: String,
    is_start: bool,
}

/// Why a text is no pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// No URL, or no start of one.
    #[error("{text:?} is neither a repository's URL nor what some start with and `/*`: {reason}")]
    Url {
        /// As it was written.
        text: String,
        /// Why not.
        reason: UrlError,
    },
    /// `*` where it means nothing.
    #[error("{0:?}: a `*` stands at the end only, behind a `/`")]
    Star(String),
    /// `https://user:password@host/`, which is not shown.
    #[error("a pattern names a user, or a password: what a host is shown stands in files")]
    User,
}

/// A pattern for something that is not allowed covers nothing that is asked for.
pub(crate) const EVERYTHING: Allowed = Allowed {
    files: true,
    plain_http: true,
    this_machine: true,
};

impl TryFrom<String> for Pattern {
    type Error = PatternError;

    fn try_from(text: String) -> Result<Self, PatternError> {
        let start = text.strip_suffix("/*");
        // A host alone is no repository's URL.
        let example = start.map_or_else(|| text.clone(), |start| format!("{start}/x"));
        // What stands before it may be a password.
        let shown = || match text.rsplit_once('@') {
            Some((_, place)) => format!("***@{place}"),
            None => text.clone(),
        };
        if example.contains('*') {
            return Err(PatternError::Star(shown()));
        }
        let url = Url::parse(&example, EVERYTHING).map_err(|reason| PatternError::Url {
            text: shown(),
            reason,
        })?;
        let is_shown = match url.scheme() {
            Scheme::Ssh => url.password().is_some(),
            _ => url.user().is_some() || url.password().is_some(),
        };
        if is_shown {
            return Err(PatternError::User);
        }
        let name = url.identity().to_ascii_lowercase();
        Ok(match start {
            None => Self {
                name,
                is_start: false,
            },
            Some(_) => Self {
                name: name.strip_suffix('x').unwrap_or(&name).to_owned(),
                is_start: true,
            },
        })
    }
}

impl Pattern {
    /// Whether a repository is one of them. One that is written so that its host may take it for another one is of none.
    #[must_use]
    pub fn covers(&self, url: &Url) -> bool {
        let name = url.identity().to_ascii_lowercase();
        let path = name.split_once("://").map_or("", |(_, rest)| rest);
        let may_be_another = path.contains(['%', ';'])
            || path.split('/').any(|part| matches!(part, "" | "." | ".."));
        if may_be_another && url.scheme() != Scheme::File {
            return false;
        }
        match self.is_start {
            true => name
                .strip_prefix(&self.name)
                .is_some_and(|rest| !rest.is_empty()),
            false => name == self.name,
        }
    }

    /// Orders those that cover one repository: the narrowest is the greatest.
    #[must_use]
    pub const fn narrowness(&self) -> (usize, bool) {
        (self.name.len(), !self.is_start)
    }

    /// A URL that such a repository may have.
    ///
    /// # Errors
    /// Where none of them may be named.
    pub(crate) fn example(&self, allowed: Allowed) -> Result<Url, UrlError> {
        let end = if self.is_start { "x" } else { "" };
        Url::parse(&format!("{}{end}", self.name), allowed)
    }
}

/// As it may be written.
impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let star = if self.is_start { "*" } else { "" };
        write!(f, "{}{star}", self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> Result<Pattern, PatternError> {
        Pattern::try_from(text.to_owned())
    }

    fn covers(text: &str, url: &str) -> bool {
        let url = Url::parse(url, EVERYTHING).unwrap();
        pattern(text).unwrap().covers(&url)
    }

    #[test]
    fn a_pattern_covers_what_is_below_it_however_it_is_written_and_nothing_that_looks_so() {
        for (text, url) in [
            ("https://h.example/own/*", "https://h.example/own/a"),
            ("https://h.example/own/*", "https://H.example/OWN/a/b.git"),
            ("https://h.example/own/a", "https://h.example/own/A.git/"),
            ("https://h.example/own/a.git", "https://h.example/own/a"),
            ("https://h.example/own/a", "https://user:pw@h.example/own/a"),
            ("git@h.example:own/*", "ssh://git@h.example/own/a"),
            ("https://h.example/*", "https://h.example/own/a"),
            ("/srv/git/*", "file:///srv/git/a"),
        ] {
            assert!(covers(text, url), "{text} {url}");
        }
        for (text, url) in [
            ("https://h.example/own/*", "https://h.example/own"),
            ("https://h.example/own/*", "https://h.example/own2/a"),
            ("https://h.example/own/*", "https://h.example/own//a"),
            ("https://h.example/own/*", "https://h.example/own/./a"),
            ("https://h.example/own/*", "https://h.example/own/%2e%2e/a"),
            ("https://h.example/own/*", "https://h.example/own/a;b"),
            ("https://h.example/own/*", "https://h.example:8443/own/a"),
            ("https://h.example/own/*", "https://h.example.org/own/a"),
            ("https://h.example/own/*", "ssh://git@h.example/own/a"),
            ("https://h.example/own/a", "https://h.example/own/a/b"),
            ("ssh://git@h.example/own/*", "ssh://other@h.example/own/a"),
        ] {
            assert!(!covers(text, url), "{text} {url}");
        }
    }

    #[test]
    fn an_exact_one_is_narrower_than_any_that_covers_it() {
        let [own, all, host] = [
            "https://h.example/o/n",
            "https://h.example/o/*",
            "https://h.example/*",
        ]
        .map(|text| pattern(text).unwrap().narrowness());
        assert!(own > all && all > host);
    }

    #[test]
    fn what_is_no_pattern_is_named_and_a_password_is_not() {
        let error = |text: &str| pattern(text).unwrap_err().to_string();
        assert!(error("ext::sh/*").contains("\"ext::sh/*\" is neither"));
        assert!(error("https://h.example/own*").contains("behind a `/`"));
        assert!(error("https://h.example/*/own").contains("behind a `/`"));
        for text in [
            "https://me:hush@h.example/*",
            "https://hush@h.example/*",
            "ssh://git:hush@h.example/a/*",
        ] {
            let error = error(text);
            assert!(
                error.contains("stands in files") && !error.contains("hush"),
                "{error}"
            );
        }
        let error = error("https://me:hush@h example/*");
        assert!(error.contains("***@h example"), "{error}");
    }

    #[test]
    fn a_pattern_is_shown_as_it_may_be_written() {
        for text in ["https://h.example/own/*", "ssh://git@h.example/own/name"] {
            assert_eq!(pattern(text).unwrap().to_string(), text);
        }
        assert_eq!(
            pattern("git@h.example:own/*").unwrap().to_string(),
            "ssh://git@h.example/own/*"
        );
    }
}
