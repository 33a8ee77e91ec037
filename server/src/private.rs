//! Private repositories: what the server shows to their hosts, for the pipelines that it reads there.

use std::sync::Arc;

use indexmap::IndexMap;
use protocol::service::{Problem, ProblemCode};
use repository::{Allowed, Host, Remote, Unreadable, Url, UrlError};

use crate::scope;

/// Why what the configuration says of repositories cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PrivateError {
    /// No pattern.
    #[error(
        "`repositories`: {pattern:?} is neither a repository's URL nor what some start with and `/*`: {reason}"
    )]
    Pattern {
        /// As it was written.
        pattern: String,
        /// Why not.
        reason: UrlError,
    },
    /// What is named is nothing for the repositories.
    #[error(
        "`repositories`: of {pattern:?}: `key_file` is for ssh, and `token_file` and `password_file` are for https"
    )]
    Scheme {
        /// Of which repositories.
        pattern: String,
    },
    /// A file that cannot be used.
    #[error("`repositories`: of {pattern:?}: {reason}")]
    File {
        /// Of which repositories.
        pattern: String,
        /// Which one, and why not.
        reason: Unreadable,
    },
}

/// Repositories that are shown the same.
#[derive(Debug)]
pub(crate) struct Group {
    pattern: String,
    host: Host,
}

/// All that are private.
#[derive(Debug, Clone, Default)]
pub(crate) struct Private(Arc<[Group]>);

impl Private {
    /// As the configuration has them, each file tried.
    ///
    /// # Errors
    /// See [`PrivateError`].
    pub(crate) fn new(
        said: &IndexMap<String, Host>,
        allowed: Allowed,
    ) -> Result<Self, PrivateError> {
        let group = |(said, host): (&String, &Host)| {
            let refused = |reason| PrivateError::Pattern {
                pattern: said.clone(),
                reason,
            };
            let start = said.strip_suffix("/*");
            // A host alone is no repository's URL.
            let example = start.map_or_else(|| said.clone(), |start| format!("{start}/x"));
            let url = Url::parse(&example, allowed).map_err(refused)?;
            let name = url.identity().to_ascii_lowercase();
            let pattern = match start {
                None => name,
                Some(_) => format!("{}*", name.strip_suffix('x').unwrap_or(&name)),
            };
            if host.is_for_others(&url) {
                return Err(PrivateError::Scheme {
                    pattern: said.clone(),
                });
            }
            host.remote(url).map_err(|reason| PrivateError::File {
                pattern: said.clone(),
                reason,
            })?;
            Ok(Group {
                pattern,
                host: host.clone(),
            })
        };
        let groups: Result<Vec<Group>, PrivateError> = said.iter().map(group).collect();
        Ok(Self(groups?.into()))
    }

    /// Which of them a repository is of: the longest pattern that covers it says.
    pub(crate) fn group(&self, url: &Url) -> Option<&Group> {
        // Hosts may take these for the same, and one written so is of no other group than where it belongs.
        let name = url.identity().to_ascii_lowercase();
        let has_another_spelling = |path: &str| {
            path.contains('%') || path.split('/').any(|part| matches!(part, "" | "." | ".."))
        };
        let path = name.split_once("://").map_or("", |(_, rest)| rest);
        if has_another_spelling(path) {
            return None;
        }
        let covering = self
            .0
            .iter()
            .filter(|group| scope::is_match(&group.pattern, &name));
        covering.max_by_key(|group| group.pattern.len())
    }

    /// A repository, with what is shown to its host.
    pub(crate) fn remote(&self, url: Url) -> Result<Remote, Problem> {
        let Some(group) = self.group(&url) else {
            return Ok(Remote::public(url));
        };
        group.host.remote(url).map_err(|error| {
            tracing::error!(%error, repositories = group.pattern, "what is shown to a host cannot be read");
            Problem::new(
                ProblemCode::Repository,
                "what the server shows to the repository's host cannot be read",
            )
            .help("its log says more")
        })
    }

    /// Whether a pipeline may include what is in another repository. What a private one has is for pipelines of the same group only, and of
    /// these for none that a fork has changed: its author reads the log.
    pub(crate) fn may_include(&self, included: &Url, by: Option<&Url>, fork: bool) -> bool {
        let Some(group) = self.group(included) else {
            return true;
        };
        match by {
            // Who submits a pipeline without a repository has written it.
            None => true,
            Some(by) if by.identity() == included.identity() => true,
            Some(by) => !fork && self.group(by).is_some_and(|of| std::ptr::eq(of, group)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text, Allowed::default()).unwrap()
    }

    fn private(patterns: &[&str]) -> Result<Private, PrivateError> {
        let said = patterns
            .iter()
            .map(|pattern| ((*pattern).to_owned(), Host::default()));
        Private::new(&said.collect(), Allowed::default())
    }

    #[test]
    fn the_longest_pattern_says_what_a_repository_is_of() {
        let private = private(&[
            "https://host.example/*",
            "https://host.example/own/*",
            "https://host.example/own/name.git",
            "git@host.example:own/*",
        ])
        .unwrap();
        let group = |text: &str| {
            private
                .group(&url(text))
                .map(|group| group.pattern.as_str())
        };
        assert_eq!(
            group("https://host.example/a"),
            Some("https://host.example/*")
        );
        assert_eq!(
            group("https://host.example/own/a"),
            Some("https://host.example/own/*")
        );
        assert_eq!(
            group("https://HOST.example/own/name"),
            Some("https://host.example/own/name")
        );
        assert!(group("ssh://git@host.example/own/b").is_some_and(|it| it.starts_with("ssh://")));
        assert_eq!(
            group("https://host.example/OWN/Name"),
            Some("https://host.example/own/name")
        );
        for other in [
            "https://host.example/own//name",
            "https://host.example/own/./name",
            "https://host.example/own/%6eame",
            "https://host.example:8443/own/a",
            "https://host.example.org/own/a",
            "ssh://git@host.example/other/b",
        ] {
            assert_eq!(group(other), None, "{other}");
        }
    }

    #[test]
    fn a_private_repository_is_included_by_its_own_group_only_and_by_no_fork() {
        let private = private(&["https://h.example/a/*", "https://h.example/b/*"]).unwrap();
        let (one, two, other) = (
            url("https://h.example/a/1"),
            url("https://h.example/a/2"),
            url("https://h.example/b/1"),
        );
        let open = url("https://h.example/open");
        assert!(private.may_include(&two, Some(&one), false));
        assert!(!private.may_include(&two, Some(&one), true));
        assert!(private.may_include(&one, Some(&one), true));
        assert!(!private.may_include(&other, Some(&one), false));
        assert!(!private.may_include(&one, Some(&open), false));
        assert!(private.may_include(&open, Some(&one), true));
    }

    #[test]
    fn what_makes_no_sense_is_told_at_the_start() {
        let error = private(&["ext::sh/*"]).unwrap_err().to_string();
        assert!(error.contains("\"ext::sh/*\" is neither"), "{error}");
        let shown = |pattern: &str| {
            let host = serde_json::json!({ "token_file": "/nonexistent/token" });
            let said = [(pattern.to_owned(), serde_json::from_value(host).unwrap())];
            let made = Private::new(&said.into_iter().collect(), Allowed::default());
            made.unwrap_err().to_string()
        };
        let error = shown("https://h.example/*");
        assert!(error.contains("/nonexistent/token"), "{error}");
        let error = shown("git@h.example:o/*");
        assert!(error.contains("`key_file` is for ssh"), "{error}");
    }
}
