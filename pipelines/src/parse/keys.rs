//! The vocabulary: what may stand in a pipeline, a job and a step, and what people write by habit instead.

/// The keys of one kind of mapping.
#[derive(Debug)]
pub(super) struct Keys {
    /// What messages call it, with its article.
    pub(super) what: &'static str,
    /// Keys that are carried out.
    pub(super) known: &'static [&'static str],
    /// Keys of the language that are not carried out yet.
    pub(super) later: &'static [&'static str],
}

pub(super) const PIPELINE: Keys = Keys {
    what: "a pipeline",
    known: &[
        "name", "image", "env", "shell", "workdir", "user", "timeout", "jobs", "steps",
    ],
    later: &["on", "include", "concurrency", "resources", "network"],
};

pub(super) const JOB: Keys = Keys {
    what: "a job",
    known: &[
        "image",
        "env",
        "shell",
        "workdir",
        "user",
        "timeout",
        "needs",
        "allow_failure",
        "steps",
    ],
    later: &[
        "if",
        "runs_on",
        "matrix",
        "services",
        "resources",
        "network",
        "cache",
        "secrets",
        "silence_timeout",
        "retry",
        "after",
        "outputs",
        "artifacts",
        "reports",
        "concurrency",
        "approval",
    ],
};

pub(super) const STEP: Keys = Keys {
    what: "a step",
    known: &[
        "name",
        "run",
        "image",
        "env",
        "shell",
        "workdir",
        "user",
        "timeout",
        "allow_failure",
    ],
    later: &[
        "if",
        "needs",
        "from",
        "snapshot",
        "inputs",
        "args",
        "silence_timeout",
        "retry",
        "secrets",
        "resources",
        "network",
    ],
};

/// Every kind of mapping with fixed keys, from the outside in.
pub(super) const ALL: [&Keys; 3] = [&PIPELINE, &JOB, &STEP];

/// What other CI systems call things, and what they are called here.
pub(super) const HABITS: &[(&str, &str)] = &[
    ("allow-failure", "allow_failure"),
    ("build", "run"),
    ("cmd", "run"),
    ("command", "run"),
    ("commands", "run"),
    ("container", "image"),
    ("continue-on-error", "allow_failure"),
    ("continue_on_error", "allow_failure"),
    ("cwd", "workdir"),
    ("depends", "needs"),
    ("dependencies", "needs"),
    ("depends-on", "needs"),
    ("depends_on", "needs"),
    ("directory", "workdir"),
    ("docker", "image"),
    ("env_vars", "env"),
    ("environment", "env"),
    ("exec", "run"),
    ("except", "if"),
    ("failure", "allow_failure"),
    ("id", "name"),
    ("ignore_failure", "allow_failure"),
    ("job", "jobs"),
    ("label", "name"),
    ("labels", "runs_on"),
    ("only", "if"),
    ("parallel", "matrix"),
    ("pipeline", "jobs"),
    ("plugins", "image"),
    ("requires", "needs"),
    ("rules", "if"),
    ("runs-on", "runs_on"),
    ("script", "run"),
    ("scripts", "run"),
    ("settings", "env"),
    ("soft_fail", "allow_failure"),
    ("step", "steps"),
    ("strategy", "matrix"),
    ("tasks", "steps"),
    ("time_limit", "timeout"),
    ("timeout-minutes", "timeout"),
    ("timeout_minutes", "timeout"),
    ("title", "name"),
    ("trigger", "on"),
    ("triggers", "on"),
    ("uses", "image"),
    ("variables", "env"),
    ("vars", "env"),
    ("when", "if"),
    ("with", "env"),
    ("workflow", "jobs"),
    ("workflows", "jobs"),
    ("working-directory", "workdir"),
    ("working_dir", "workdir"),
    ("working_directory", "workdir"),
];

/// Habits that no single key replaces, and what to do instead.
pub(super) const ADVICE: &[(&str, &str)] = &[
    ("after_script", "make it the last step of `steps`"),
    ("before_script", "make it the first step of `steps`"),
    ("extends", "share values with a YAML anchor and `<<`"),
    (
        "stage",
        "there are no stages: say in `needs` which jobs come first",
    ),
    (
        "stages",
        "there are no stages: list jobs under `jobs`, and say in `needs` which come first",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_habit_leads_to_a_key_and_is_none_itself() {
        for (habit, ours) in HABITS {
            assert!(
                ALL.iter()
                    .any(|keys| keys.known.contains(ours) || keys.later.contains(ours)),
                "{habit} -> {ours}"
            );
            assert!(habit != ours, "{habit}");
        }
    }

    #[test]
    fn the_reference_describes_every_key() {
        let page = include_str!("../../../docs/pipeline.md");
        for keys in ALL {
            for key in keys.known {
                assert!(
                    page.contains(&format!("| `{key}` |")),
                    "{key} of {} is not described",
                    keys.what
                );
            }
            for key in keys.later {
                assert!(
                    page.contains(&format!("`{key}`")),
                    "{key} of {} is not named as not supported yet",
                    keys.what
                );
            }
        }
    }
}
