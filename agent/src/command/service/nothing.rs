//! A pipeline that is over before it has begun: it is invalid, cannot be had, or nothing of it is to run.

use protocol::Conclusion;
use protocol::service::{Pipeline, PipelineState};

use crate::exit_code::ExitCode;
use crate::output::complain;

/// Whether nothing of it runs, and nothing will.
pub(super) fn runs(pipeline: &Pipeline) -> bool {
    pipeline.summary.state == PipelineState::Finished && pipeline.jobs.is_empty()
}

/// Says why, and with which code that ends.
pub(super) fn told(pipeline: &Pipeline) -> ExitCode {
    if !pipeline.diagnostics.is_empty() {
        complain(pipeline.diagnostics.trim_end());
    }
    let is_well = matches!(
        pipeline.summary.conclusion,
        Some(Conclusion::Success | Conclusion::Skipped) | None
    );
    let reason = pipeline.summary.reason.as_deref();
    let reason = reason.unwrap_or("it has no jobs");
    if is_well {
        complain(format_args!("Nothing runs: {reason}."));
        return ExitCode::Success;
    }
    complain(format_args!("error: {reason}"));
    match pipeline.summary.conclusion {
        Some(Conclusion::Failure) => ExitCode::InvalidPipeline,
        _ => ExitCode::Internal,
    }
}
