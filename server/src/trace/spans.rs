//! The spans of a pipeline. Pure.
//!
//! ```text
//! RUN pipeline
//!   job
//!     queue            until an agent had it
//!     attempt 1
//!       step
//! ```
//! Attributes are those of OpenTelemetry's semantic conventions for CI/CD where there are any, else `slipway.*`.

use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{Span, Status};
use protocol::service::{AttemptState, Source};
use protocol::{Cause, Conclusion};

use super::ids::TraceId;
use crate::operation::trace::{AttemptStory, JobStory, StepStory, Story};

/// All spans of a pipeline.
pub(super) fn spans(trace: &TraceId, story: &Story) -> Vec<Span> {
    let pipeline = &story.pipeline;
    let mut attributes = vec![
        text("cicd.pipeline.run.id", pipeline.id.to_string()),
        text("cicd.pipeline.action.name", "RUN"),
        text("slipway.event", pipeline.trigger.event.as_str()),
    ];
    if let Some(name) = &pipeline.name {
        attributes.push(text("cicd.pipeline.name", name.as_str()));
    }
    attributes.extend(pipeline.source.as_ref().map(of_source).unwrap_or_default());
    if story.is_cut {
        attributes.push(yes("slipway.cut"));
    }
    let ended = pipeline.finished_at.unwrap_or(pipeline.created_at);
    let mut root = span(trace, "pipeline", None, pipeline.created_at, ended);
    root.name = match &pipeline.name {
        Some(name) => format!("RUN {name}"),
        None => "RUN".to_owned(),
    };
    root.kind = SpanKind::Server as i32;
    attributes.extend(end(
        &mut root,
        "cicd.pipeline.result",
        pipeline.conclusion,
        None,
    ));
    root.attributes = attributes;
    let id = root.span_id.clone();
    let mut all = vec![root];
    for job in &story.jobs {
        of_job(trace, &id, job, ended, &mut all);
    }
    all
}

fn of_source(source: &Source) -> Vec<KeyValue> {
    let mut attributes = vec![
        text("vcs.repository.url.full", source.url.as_str()),
        text("vcs.ref.head.revision", source.commit.as_str()),
    ];
    if let Some(reference) = &source.reference {
        attributes.push(text("vcs.ref.head.name", reference.as_str()));
    }
    attributes
}

fn of_job(trace: &TraceId, parent: &[u8], story: &JobStory, latest: u64, all: &mut Vec<Span>) {
    let job = &story.job;
    let ended = job.finished_at.unwrap_or(latest);
    let what = format!("job {}", job.id);
    let mut span_of = span(trace, &what, Some(parent), job.created_at, ended);
    span_of.name.clone_from(&job.name);
    let mut attributes = task(&job.name, &job.id.to_string());
    if job.allowed {
        attributes.push(yes("slipway.allowed"));
    }
    attributes.extend(end(
        &mut span_of,
        RESULT,
        job.conclusion,
        job.cause.as_ref(),
    ));
    span_of.attributes = attributes;
    let id = span_of.span_id.clone();
    all.push(span_of);
    let begun = story.attempts.first().map(|first| first.attempt.started_at);
    let what = format!("queue {}", job.id);
    let mut queue = span(
        trace,
        &what,
        Some(&id),
        job.created_at,
        begun.unwrap_or(ended),
    );
    "queue".clone_into(&mut queue.name);
    all.push(queue);
    for attempt in &story.attempts {
        of_attempt(trace, &id, story, attempt, ended, all);
    }
}

fn of_attempt(
    trace: &TraceId,
    parent: &[u8],
    JobStory { job, .. }: &JobStory,
    AttemptStory { attempt, steps }: &AttemptStory,
    latest: u64,
    all: &mut Vec<Span>,
) {
    let number = attempt.attempt;
    let run = format!("{}-{number}", job.id);
    let ended = attempt.finished_at.unwrap_or(latest);
    let what = format!("attempt {run}");
    let mut span_of = span(trace, &what, Some(parent), attempt.started_at, ended);
    span_of.name = format!("attempt {number}");
    let mut attributes = vec![
        text("cicd.worker.id", attempt.agent.to_string()),
        number_of("slipway.attempt", number.into()),
    ];
    let conclusion = match attempt.state {
        AttemptState::Lost | AttemptState::Released => Some(Conclusion::Error),
        AttemptState::Running | AttemptState::Finished => attempt.conclusion,
    };
    attributes.extend(end(
        &mut span_of,
        RESULT,
        conclusion,
        attempt.cause.as_ref(),
    ));
    span_of.attributes = attributes;
    let id = span_of.span_id.clone();
    all.push(span_of);
    for step in steps {
        all.push(of_step(trace, &id, &run, step, ended));
    }
}

fn of_step(trace: &TraceId, parent: &[u8], run: &str, step: &StepStory, latest: u64) -> Span {
    let id = format!("{run}-{}", step.index);
    let ended = match &step.end {
        Some(end) => step.started_at.saturating_add(end.duration_ms),
        // Its agent was lost.
        None => latest.max(step.started_at),
    };
    let mut span_of = span(
        trace,
        format!("step {id}"),
        Some(parent),
        step.started_at,
        ended,
    );
    span_of.name.clone_from(&step.name);
    let mut attributes = task(&step.name, &id);
    let (conclusion, cause) = match &step.end {
        Some(end) => (Some(end.conclusion), end.cause.as_ref()),
        None => (Some(Conclusion::Error), None),
    };
    attributes.extend(end(&mut span_of, RESULT, conclusion, cause));
    span_of.attributes = attributes;
    span_of
}

/// Where the result of what is no pipeline stands.
const RESULT: &str = "cicd.pipeline.task.run.result";

fn task(name: &str, run: &str) -> Vec<KeyValue> {
    vec![
        text("cicd.pipeline.task.name", name),
        text("cicd.pipeline.task.run.id", run),
    ]
}

fn span(
    trace: &TraceId,
    what: impl std::fmt::Display,
    parent: Option<&[u8]>,
    started_ms: u64,
    ended_ms: u64,
) -> Span {
    const NANOSECONDS: u64 = 1_000_000;
    Span {
        trace_id: trace.bytes(),
        span_id: trace.span(what),
        parent_span_id: parent.map(<[u8]>::to_vec).unwrap_or_default(),
        kind: SpanKind::Internal as i32,
        start_time_unix_nano: started_ms.saturating_mul(NANOSECONDS),
        end_time_unix_nano: ended_ms.max(started_ms).saturating_mul(NANOSECONDS),
        ..Span::default()
    }
}

/// Notes how something ended: its result, and where that is a failure its kind as the span's error.
fn end(
    span: &mut Span,
    result: &'static str,
    conclusion: Option<Conclusion>,
    cause: Option<&Cause>,
) -> Vec<KeyValue> {
    let Some(conclusion) = conclusion else {
        return Vec::new();
    };
    let is_late = matches!(
        cause,
        Some(Cause::Timeout { .. } | Cause::Silence { .. } | Cause::NotReady { .. })
    );
    let word = match conclusion {
        Conclusion::Success => "success",
        Conclusion::Failure if is_late => "timeout",
        Conclusion::Failure => "failure",
        Conclusion::Error => "error",
        Conclusion::Skipped => "skip",
        Conclusion::Cancelled => "cancellation",
    };
    let mut attributes = vec![text(result, word)];
    if matches!(conclusion, Conclusion::Failure | Conclusion::Error) {
        let (kind, message) = words(cause);
        attributes.push(text("error.type", kind));
        span.status = Some(Status {
            code: StatusCode::Error as i32,
            message,
        });
    }
    attributes
}

/// The kind of a cause, and what it says.
fn words(cause: Option<&Cause>) -> (String, String) {
    let value = cause.and_then(|cause| serde_json::to_value(cause).ok());
    let field = |name: &str| {
        let text = value.as_ref()?.get(name)?;
        Some(
            text.as_str()
                .map_or_else(|| text.to_string(), str::to_owned),
        )
    };
    let kind = field("kind").unwrap_or_else(|| "_OTHER".to_owned());
    let message = field("message")
        .or_else(|| field("code").map(|code| format!("exit status {code}")))
        .unwrap_or_default();
    (kind, message)
}

pub(super) fn text(key: &str, value: impl Into<String>) -> KeyValue {
    of(key, Value::StringValue(value.into()))
}

fn number_of(key: &str, value: i64) -> KeyValue {
    of(key, Value::IntValue(value))
}

fn yes(key: &str) -> KeyValue {
    of(key, Value::BoolValue(true))
}

fn of(key: &str, value: Value) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    }
}
