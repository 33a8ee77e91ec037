//! The variables that every step of a run finds in its environment.

use indexmap::IndexMap;

use crate::workspace::GitFacts;

/// Where steps see the workspace.
const WORKSPACE: &str = "/workspace";

/// The variables of a run with this id. What git does not know is left out.
pub(super) fn variables(run: &str, git: &GitFacts) -> IndexMap<String, String> {
    let fixed = [
        ("CI", "true"),
        ("SLIPWAY", "true"),
        ("CI_EVENT", "manual"),
        ("CI_PIPELINE_ID", run),
        ("CI_WORKSPACE", WORKSPACE),
    ];
    let known = [
        ("CI_COMMIT", &git.commit),
        ("CI_BRANCH", &git.branch),
        ("CI_TAG", &git.tag),
        ("CI_REPO", &git.repository),
    ];
    let fixed = fixed.map(|(name, value)| (name, Some(value)));
    let known = known.map(|(name, value)| (name, value.as_deref()));
    fixed
        .into_iter()
        .chain(known)
        .filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned())))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::variables;
    use crate::workspace::GitFacts;

    #[test]
    fn unknown_facts_are_absent() {
        let git = GitFacts {
            branch: Some("odd\nname".to_owned()),
            ..GitFacts::default()
        };
        let variables = variables("run-1", &git);
        let shown: Vec<String> = variables
            .iter()
            .map(|(name, value)| format!("{name}={value:?}"))
            .collect();
        insta::assert_snapshot!(shown.join("\n"), @r#"
    CI="true"
    SLIPWAY="true"
    CI_EVENT="manual"
    CI_PIPELINE_ID="run-1"
    CI_WORKSPACE="/workspace"
    CI_BRANCH="odd\nname"
    "#);
    }
}
