//! Private repositories: what the server shows to their hosts, for the pipelines that it reads there, and which pipelines may have it.

use protocol::service::{Problem, ProblemCode};
use repository::{Private, Remote, Url};

/// A repository, with what is shown to its host.
pub(crate) fn remote(private: &Private, url: Url) -> Result<Remote, Problem> {
    let Some(group) = private.group(&url) else {
        return Ok(Remote::public(url));
    };
    group.remote(url).map_err(|error| {
        let repositories = group.pattern();
        tracing::error!(%error, %repositories, "what is shown to a host cannot be read");
        Problem::new(
            ProblemCode::Repository,
            "what the server shows to the repository's host cannot be read",
        )
        .help("its log says more")
    })
}

/// Whether a pipeline may include what is in another repository. What a private one has is for pipelines of the same group only, and of
/// these for none that a fork has changed: its author reads the log.
pub(crate) fn may_include(private: &Private, included: &Url, by: Option<&Url>, fork: bool) -> bool {
    let Some(group) = private.group(included) else {
        return true;
    };
    match by {
        // Who submits a pipeline without a repository has written it.
        None => true,
        Some(by) if by.identity() == included.identity() => true,
        Some(by) => !fork && private.group(by) == Some(group),
    }
}

#[cfg(test)]
mod tests {
    use repository::Allowed;

    use super::*;

    #[test]
    fn a_private_repository_is_included_by_its_own_group_only_and_by_no_fork() {
        let private = r#"{ "https://h.example/a/*": {}, "https://h.example/b/*": {} }"#;
        let private: Private = serde_json::from_str(private).unwrap();
        let url = |text| Url::parse(text, Allowed::default()).unwrap();
        let may = |included: &Url, by, fork| may_include(&private, included, Some(by), fork);
        let (one, two, other) = (
            url("https://h.example/a/1"),
            url("https://h.example/a/2"),
            url("https://h.example/b/1"),
        );
        let open = url("https://h.example/open");
        assert!(may(&two, &one, false));
        assert!(!may(&two, &one, true));
        assert!(may(&one, &one, true));
        assert!(!may(&other, &one, false));
        assert!(!may(&one, &open, false));
        assert!(may(&open, &one, true));
    }
}
