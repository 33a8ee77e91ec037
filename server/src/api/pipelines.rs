//! Pipelines: submitted, looked at, stopped, run again.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use protocol::service::{Pipeline, PipelineId, Pipelines, ProblemCode, Retry, Submit, Submitted};
use serde::Deserialize;

use super::answer::{done, shown};
use super::error::ApiError;
use super::extract::{Asked, Body, OptionalBody, Params, Reader, Writer};
use crate::operation::{control, submit, view};
use crate::service::Service;

/// A pipeline comes in.
pub(super) async fn submit(
    State(service): State<Service>,
    Writer: Writer,
    Body(wanted): Body<Submit>,
) -> Result<(StatusCode, Json<Submitted>), ApiError> {
    let compiler = service.compiler.clone();
    let turn = service.compiling.clone().acquire_owned().await;
    let compiled = tokio::task::spawn_blocking(move || {
        // The turn is over when the work is, also where nobody waits for it any more.
        let _turn = turn;
        compiler.compile(wanted)
    })
    .await;
    let submission = compiled.map_err(|error| {
        tracing::error!(%error, "a submission was not compiled");
        ApiError::new(ProblemCode::Internal, "something inside the server failed")
    })??;
    let pipeline = service
        .database
        .write(move |tx| submit::submit(tx, &submission))
        .await?;
    tracing::info!(%pipeline, "a pipeline was submitted");
    Ok((StatusCode::CREATED, Json(Submitted { pipeline })))
}

/// Where a page ends.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Before {
    pub(super) before: Option<u64>,
}

/// All pipelines.
pub(super) async fn list(
    State(service): State<Service>,
    Reader: Reader,
    Asked(Before { before }): Asked<Before>,
) -> Result<Json<Pipelines>, ApiError> {
    shown(&service, move |tx| view::pipelines(tx, before)).await
}

/// One pipeline.
pub(super) async fn get(
    State(service): State<Service>,
    Reader: Reader,
    Params(id): Params<PipelineId>,
) -> Result<Json<Pipeline>, ApiError> {
    shown(&service, move |tx| view::pipeline(tx, id)).await
}

/// Stops a pipeline.
pub(super) async fn cancel(
    State(service): State<Service>,
    Writer: Writer,
    Params(id): Params<PipelineId>,
) -> Result<StatusCode, ApiError> {
    done(&service, move |tx| control::cancel_pipeline(tx, id)).await
}

/// Runs a pipeline again.
pub(super) async fn retry(
    State(service): State<Service>,
    Writer: Writer,
    Params(id): Params<PipelineId>,
    OptionalBody(retry): OptionalBody<Retry>,
) -> Result<StatusCode, ApiError> {
    done(&service, move |tx| control::retry_pipeline(tx, id, retry)).await
}
