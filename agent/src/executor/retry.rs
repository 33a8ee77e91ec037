//! Whether a step is worth another attempt.

use pipelines::plan::{Retry, RetryCause};
use protocol::{Cause, Conclusion};

use super::outcome::StepOutcome;

/// What a shell adds to the number of a signal (POSIX, 2.8.2).
const SIGNALLED: i32 = 128;

/// Whether `retry` asks for another attempt after this end of one. Never after a cancel, when the job's time is over, or
/// without a service that it needs.
pub(super) fn is_worth(retry: &Retry, outcome: &StepOutcome) -> bool {
    let has = |cause| retry.on.contains(&cause);
    match outcome.conclusion {
        _ if outcome.job_timed_out => false,
        // It stays away.
        _ if matches!(outcome.cause, Some(Cause::Service { .. })) => false,
        Conclusion::Error => has(RetryCause::Infrastructure),
        Conclusion::Failure => {
            let own = match &outcome.cause {
                Some(Cause::Timeout { .. } | Cause::Silence { .. }) => has(RetryCause::Timeout),
                Some(
                    Cause::Exit { code }
                    | Cause::Oom { code, .. }
                    | Cause::Pids { code, .. }
                    | Cause::Disk { code, .. },
                ) => has(RetryCause::Exit(*code)),
                Some(Cause::Signal { signal }) => u8::try_from(SIGNALLED + signal)
                    .is_ok_and(|status| has(RetryCause::Exit(status))),
                _ => false,
            };
            own || has(RetryCause::Failure)
        }
        Conclusion::Success | Conclusion::Skipped | Conclusion::Cancelled => false,
    }
}
