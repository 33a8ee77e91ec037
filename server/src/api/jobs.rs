//! Jobs: looked at, stopped, run again, agreed to.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use protocol::service::{AttemptId, AttemptState, Job, JobId, Jobs};

use super::answer::{done, shown};
use super::error::ApiError;
use super::extract::{Asked, Params, Reader, Viewer, Writer};
use super::pipelines::Before;
use crate::operation::{control, view};
use crate::service::Service;

/// All jobs that the user may see.
pub(super) async fn list(
    State(service): State<Service>,
    Viewer(scope): Viewer,
    Asked(Before { before }): Asked<Before>,
) -> Result<Json<Jobs>, ApiError> {
    shown(&service, move |tx| view::jobs(tx, before, &scope)).await
}

/// One job with its attempts.
pub(super) async fn get(
    State(service): State<Service>,
    Reader: Reader,
    Params(id): Params<JobId>,
) -> Result<Json<Job>, ApiError> {
    let patience = service.patience_ms();
    let mut job = service
        .database
        .read(move |tx| view::job(tx, id, patience))
        .await?;
    for attempt in &mut job.attempts {
        // What is finished is in the database; of others the storage knows how far they are.
        if attempt.state != AttemptState::Finished {
            let id = AttemptId {
                job: id,
                attempt: attempt.attempt,
            };
            attempt.logs = service.logs.list(id).await?;
            attempt.logs.retain(|log| !log.name.is_archive());
        }
    }
    Ok(Json(job))
}

/// Stops a job.
pub(super) async fn cancel(
    State(service): State<Service>,
    Writer: Writer,
    Params(id): Params<JobId>,
) -> Result<StatusCode, ApiError> {
    done(&service, move |tx| control::cancel_job(tx, id)).await
}

/// Runs a job again.
pub(super) async fn retry(
    State(service): State<Service>,
    Writer: Writer,
    Params(id): Params<JobId>,
) -> Result<StatusCode, ApiError> {
    done(&service, move |tx| control::retry_job(tx, id)).await
}

/// A person agrees.
pub(super) async fn approve(
    State(service): State<Service>,
    Writer: Writer,
    Params(id): Params<JobId>,
) -> Result<StatusCode, ApiError> {
    done(&service, move |tx| control::approve(tx, id)).await
}
