//! What a step finds in its environment, and what its machine is called.

use indexmap::IndexMap;
use pipelines::plan::Step;

use super::Settings;

/// Longest label of a host name, bytes (RFC 1035, 2.3.4).
const LABEL_LIMIT: usize = 63;

/// The run's predefined variables, then `CI_JOB` and `CI_STEP`, then what earlier steps left in `$SLIPWAY_ENV`, then the
/// step's own, then its secrets; later ones win. Nothing of the user's own environment.
pub(super) fn variables(
    settings: &Settings,
    job: &str,
    step: &Step,
    left: &IndexMap<String, String>,
    own: &IndexMap<String, String>,
) -> IndexMap<String, String> {
    let mut env = settings.predefined.clone();
    env.insert("CI_JOB".to_owned(), job.to_owned());
    env.insert("CI_STEP".to_owned(), step.name.clone());
    for (name, value) in left.iter().chain(own) {
        env.insert(name.clone(), value.clone());
    }
    for name in &step.secrets {
        // One that is missing was told of before the run.
        if let Some(secret) = settings.secrets.get(name) {
            env.insert(name.clone(), secret.expose().to_owned());
        }
    }
    env
}

/// A host name after the job's id: what is not a letter or a digit becomes a hyphen.
pub(super) fn hostname(job: &str) -> String {
    let name: String = job
        .chars()
        .take(LABEL_LIMIT)
        .map(|character| match character {
            'a'..='z' | '0'..='9' => character,
            'A'..='Z' => character.to_ascii_lowercase(),
            _ => '-',
        })
        .collect();
    match name.trim_matches('-') {
        "" => "job".to_owned(),
        name => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::hostname;

    #[test]
    fn host_names_are_valid_labels() {
        assert_eq!(hostname("unit_tests"), "unit-tests");
        assert_eq!(hostname("_"), "job");
        assert_eq!(hostname("größe"), "gr--e");
        assert_eq!(hostname(&"x".repeat(64)).len(), 63);
    }
}
