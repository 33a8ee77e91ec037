//! The variables that every step of a run finds in its environment.

use indexmap::IndexMap;

use pipelines::Context;

/// Where steps see the workspace.
const WORKSPACE: &str = "/workspace";

/// The variables of a run with this id, for an event. What is not known is left out.
pub(super) fn variables(run: &str, event: &Context) -> IndexMap<String, String> {
    let fixed = [
        ("CI", "true"),
        ("SLIPWAY", "true"),
        ("CI_EVENT", event.event.as_str()),
        ("CI_PIPELINE_ID", run),
        ("CI_WORKSPACE", WORKSPACE),
    ];
    let known = [
        ("CI_COMMIT", &event.commit),
        ("CI_BRANCH", &event.branch),
        ("CI_BASE", &event.base),
        ("CI_TAG", &event.tag),
        ("CI_REPO", &event.repo),
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
    use pipelines::{Context, Event};

    use super::variables;

    #[test]
    fn the_reference_lists_every_variable() {
        let page = include_str!("../../../docs/pipeline.md");
        let fact = || Some("fact".to_owned());
        let event = Context {
            branch: fact(),
            base: fact(),
            tag: fact(),
            commit: fact(),
            repo: fact(),
            ..Context::of(Event::Manual)
        };
        let variables = variables("run-1", &event);
        // `executor::environment` adds these two.
        let of_step = ["CI_JOB", "CI_STEP"];
        let names = variables.keys().map(String::as_str).chain(of_step);
        let rows: Vec<&str> = page
            .lines()
            .filter(|line| line.starts_with("| `"))
            .collect();
        for name in names {
            let cell = format!("`{name}`");
            let is_told =
                |row: &&&str| row.split(" | ").next().is_some_and(|it| it.contains(&cell));
            assert_eq!(rows.iter().filter(is_told).count(), 1, "{name}");
        }
    }

    #[test]
    fn unknown_facts_are_absent() {
        let mut event = Context::of(Event::Manual);
        event.branch = Some("odd\nname".to_owned());
        let variables = variables("run-1", &event);
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
