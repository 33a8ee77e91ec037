//! How things of the server look.

use protocol::Cause;
use protocol::service::{Attempt, AttemptState, JobState, JobSummary, Waiting};

use crate::sink::{self, duration, sanitise};

/// How long ago something was.
pub(super) fn ago(time: u64, now: u64) -> String {
    let seconds = now.saturating_sub(time) / 1000;
    match seconds {
        0..60 => format!("{seconds}s ago"),
        60..3_600 => format!("{}m ago", seconds / 60),
        3_600..172_800 => format!("{}h ago", seconds / 3_600),
        _ => format!("{}d ago", seconds / 86_400),
    }
}

/// How long something took, or takes.
pub(super) fn took(started: Option<u64>, finished: Option<u64>, now: u64) -> String {
    started.map_or_else(String::new, |started| {
        duration(finished.unwrap_or(now).saturating_sub(started))
    })
}

/// How far a job is, and why it has ended where no attempt says that: it was skipped, or nobody has taken it.
pub(super) fn outcome(job: &JobSummary) -> String {
    let state = state(job);
    match job.state {
        JobState::Finished if job.started_at.is_none() => state + &because(job.cause.as_ref()),
        _ => state,
    }
}

/// How far an attempt is.
pub(super) const fn attempt(attempt: &Attempt) -> &'static str {
    match (attempt.state, attempt.conclusion) {
        (_, Some(conclusion)) => conclusion.as_str(),
        (AttemptState::Running, None) => "running",
        (AttemptState::Finished, None) => "finished",
        (AttemptState::Released, None) => "given back",
        (AttemptState::Lost, None) => "lost: nothing was heard of its agent",
    }
}

/// Why something ended, behind what is said of its end.
pub(super) fn because(cause: Option<&Cause>) -> String {
    let cause = cause.and_then(sink::cause);
    cause.map(|cause| format!(": {cause}")).unwrap_or_default()
}

/// What a job is called.
pub(super) fn named(job: &JobSummary) -> String {
    format!("job {} ({})", job.id, sanitise(&job.name))
}

/// How far a job is, and for what it waits.
pub(super) fn state(job: &JobSummary) -> String {
    match (job.state, job.conclusion) {
        (JobState::Finished, Some(ended)) if job.allowed => {
            format!("{} (allowed)", ended.as_str())
        }
        (JobState::Finished, Some(ended)) => ended.as_str().to_owned(),
        (JobState::Finished, None) => "finished".to_owned(),
        (JobState::Running, _) => "running".to_owned(),
        (JobState::Assigned, _) => "starting".to_owned(),
        (JobState::Queued, _) => match &job.waiting {
            None | Some(Waiting::Unknown) => "queued".to_owned(),
            Some(Waiting::Needs) => "waits for jobs that it needs".to_owned(),
            Some(Waiting::Approval) => "waits for approval".to_owned(),
            Some(Waiting::Concurrency { group }) => {
                format!("waits for another of `{}`", sanitise(group))
            }
            Some(Waiting::Parallel) => "waits for others of its matrix".to_owned(),
            Some(Waiting::Agent) => "waits for an agent".to_owned(),
            Some(Waiting::Labels { runs_on }) if runs_on.is_empty() => {
                "no agent is there yet".to_owned()
            }
            Some(Waiting::Labels { runs_on }) => {
                let labels: Vec<String> = runs_on
                    .iter()
                    .map(|(name, value)| format!("{}={}", sanitise(name), sanitise(value)))
                    .collect();
                format!("no agent has {}", labels.join(", "))
            }
        },
    }
}

#[cfg(test)]
mod tests {
    use super::{ago, took};

    #[test]
    fn times_have_the_precision_that_matters() {
        let shown = [0, 59_999, 60_000, 7_200_000, 400_000_000].map(|now| ago(0, now));
        assert_eq!(shown, ["0s ago", "59s ago", "1m ago", "2h ago", "4d ago"]);
        assert_eq!(took(None, None, 5), "");
        assert_eq!(
            (
                took(Some(5), Some(1505), 9).as_str(),
                took(Some(5), None, 9).as_str()
            ),
            ("1.5s", "4ms")
        );
    }
}
