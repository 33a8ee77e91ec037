//! Private repositories: what their hosts are shown.

use std::sync::Arc;

use indexmap::IndexMap;
use serde::Deserialize;

use crate::pattern::EVERYTHING;
use crate::{Allowed, Host, Pattern, Remote, Unreadable, Url, UrlError};

/// Repositories that are shown the same: who may read one of them may read all.
#[derive(Debug, PartialEq, Eq)]
pub struct Group {
    pattern: Pattern,
    host: Host,
}

impl Group {
    /// Which ones.
    #[must_use]
    pub const fn pattern(&self) -> &Pattern {
        &self.pattern
    }

    /// One of them, with what is shown to its host. Files are read now.
    ///
    /// # Errors
    /// When one cannot be read.
    pub fn remote(&self, url: Url) -> Result<Remote, Unreadable> {
        let mut remote = self.host.remote(url)?;
        remote.covers = Some(self.pattern.clone());
        Ok(remote)
    }
}

/// All that are private, by what their URLs start with.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "IndexMap<String, Host>")]
pub struct Private(Arc<[Group]>);

/// Why what a configuration says of them makes no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PrivateError {
    /// No pattern.
    #[error(transparent)]
    Pattern(#[from] crate::PatternError),
    /// What is named is nothing for such repositories.
    #[error("of {0}: `key_file` is for ssh, and `token_file` and `password_file` are for https")]
    Scheme(Pattern),
    /// Two say it.
    #[error("two patterns are of the same repositories: {0}")]
    Twice(Pattern),
}

/// Why what a configuration says of them is of no use.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// No repository may be named so.
    #[error("of {pattern}: {reason}")]
    NotAllowed {
        /// Which ones.
        pattern: Pattern,
        /// Why not.
        reason: UrlError,
    },
    /// A file that cannot be used.
    #[error("of {pattern}: {reason}")]
    File {
        /// Which ones.
        pattern: Pattern,
        /// Which file, and why not.
        reason: Unreadable,
    },
}

impl TryFrom<IndexMap<String, Host>> for Private {
    type Error = PrivateError;

    fn try_from(said: IndexMap<String, Host>) -> Result<Self, PrivateError> {
        let mut groups: Vec<Group> = Vec::with_capacity(said.len());
        for (text, host) in said {
            let pattern = Pattern::try_from(text)?;
            if groups.iter().any(|group| group.pattern == pattern) {
                return Err(PrivateError::Twice(pattern));
            }
            let example = pattern.example(EVERYTHING);
            if example.is_ok_and(|url| host.is_for_others(&url)) {
                return Err(PrivateError::Scheme(pattern));
            }
            groups.push(Group { pattern, host });
        }
        Ok(Self(groups.into()))
    }
}

impl Private {
    /// Which of them a repository is of: the narrowest pattern that covers it says.
    #[must_use]
    pub fn group(&self, url: &Url) -> Option<&Group> {
        let covering = self.0.iter().filter(|group| group.pattern.covers(url));
        covering.max_by_key(|group| group.pattern.narrowness())
    }

    /// Whether each may be named at all, and every file can be read.
    ///
    /// # Errors
    /// The first that is wrong.
    pub fn check(&self, allowed: Allowed) -> Result<(), CheckError> {
        for Group { pattern, host } in self.0.iter() {
            let named = pattern.example(allowed);
            named.map_err(|reason| CheckError::NotAllowed {
                pattern: pattern.clone(),
                reason,
            })?;
            host.try_files().map_err(|reason| CheckError::File {
                pattern: pattern.clone(),
                reason,
            })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn private(text: &str) -> Result<Private, String> {
        serde_json::from_str(text).map_err(|error| error.to_string())
    }

    #[test]
    fn the_narrowest_pattern_says_what_a_repository_is_of() {
        let private = private(
            r#"{
                "https://h.example/*": {},
                "https://h.example/o/*": {},
                "https://h.example/o/n.git": {},
                "https://h.example/o/m/*": {},
                "git@h.example:o/*": {}
            }"#,
        )
        .unwrap();
        let group = |text: &str| {
            let url = Url::parse(text, Allowed::default()).unwrap();
            private.group(&url).map(|group| group.pattern.to_string())
        };
        for (url, pattern) in [
            ("https://h.example/a", Some("https://h.example/*")),
            ("https://h.example/o/a", Some("https://h.example/o/*")),
            // As long as the pattern with the star.
            ("https://h.example/o/n", Some("https://h.example/o/n")),
            ("https://h.example/o/m", Some("https://h.example/o/*")),
            ("git@h.example:o/n", Some("ssh://git@h.example/o/*")),
            ("git@h.example:p/n", None),
        ] {
            assert_eq!(group(url).as_deref(), pattern, "{url}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_told() {
        for (text, expected) in [
            (r#"{ "ext::sh/*": {} }"#, "is neither"),
            (
                r#"{ "https://h.example/a": {}, "https://h.example/a.git": {} }"#,
                "the same repositories: https://h.example/a",
            ),
            (
                r#"{ "https://h.example/*": { "key_file": "/k" } }"#,
                "`key_file` is for ssh",
            ),
            (
                r#"{ "git@h.example:o/*": { "token_file": "/t" } }"#,
                "`key_file` is for ssh",
            ),
        ] {
            let error = private(text).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn what_nobody_may_name_and_what_cannot_be_read_is_told() {
        let here = private(r#"{ "https://localhost/*": {} }"#).unwrap();
        let elsewhere = Allowed {
            this_machine: false,
            ..Allowed::default()
        };
        let error = here.check(elsewhere).unwrap_err();
        assert!(matches!(error, CheckError::NotAllowed { .. }), "{error}");
        let private = private(r#"{ "https://h.example/*": { "token_file": "/nonexistent/t" } }"#);
        let error = private.unwrap().check(Allowed::default()).unwrap_err();
        assert!(error.to_string().contains("/nonexistent/t"), "{error}");
    }
}
