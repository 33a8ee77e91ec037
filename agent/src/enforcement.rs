//! How well this machine holds containers to their limits, in words. Pure.

use runtime::container::{Enforcement, Means, Resources};

/// What a user can do about it.
const ADVICE: &str = "`agent doctor` says how to get control groups";

/// One sentence for all limits that are held less exactly than a control group would; none where nothing is amiss.
pub(crate) fn shortcomings(enforcement: &Enforcement, wanted: &Resources) -> Vec<String> {
    let mut parts = Vec::new();
    if wanted.cpus.is_some() && enforcement.cpus == Means::Nothing {
        parts.push("`cpus` is not held");
    }
    if wanted.memory.is_some() && enforcement.memory == Means::Watch {
        parts.push("`memory` is held a moment late");
    }
    if wanted.pids.is_some() {
        match enforcement.pids {
            Means::PidNamespace => parts.push("`pids` lets up to 300 more processes run"),
            Means::ProcessLimit => parts.push("`pids` holds for all containers together"),
            Means::ControlGroup | Means::Watch | Means::Nothing => {}
        }
    }
    if parts.is_empty() {
        return Vec::new();
    }
    vec![format!(
        "There are no control groups for you here: {}; {ADVICE}.",
        parts.join(", ")
    )]
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: Enforcement = Enforcement {
        cpus: Means::Nothing,
        memory: Means::Watch,
        pids: Means::PidNamespace,
    };

    fn wanted() -> Resources {
        Resources {
            cpus: Some(1000),
            memory: Some(1 << 30),
            pids: Some(100),
            ..Resources::default()
        }
    }

    #[test]
    fn what_is_held_less_exactly_is_told_in_one_sentence() {
        insta::assert_snapshot!(shortcomings(&NONE, &wanted()).join("\n"), @"There are no control groups for you here: `cpus` is not held, `memory` is held a moment late, `pids` lets up to 300 more processes run; `agent doctor` says how to get control groups.");
    }

    #[test]
    fn nothing_is_told_of_limits_that_nobody_asked_for_or_that_hold() {
        assert_eq!(
            shortcomings(&NONE, &Resources::default()),
            Vec::<String>::new()
        );
        let all = Enforcement {
            cpus: Means::ControlGroup,
            memory: Means::ControlGroup,
            pids: Means::ControlGroup,
        };
        assert_eq!(shortcomings(&all, &wanted()), Vec::<String>::new());
    }
}
