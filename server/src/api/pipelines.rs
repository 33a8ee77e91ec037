//! Pipelines: submitted, looked at, stopped, run again.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use protocol::service::{Pipeline, PipelineId, Pipelines, ProblemCode, Retry, Submit, Submitted};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::answer::{done, shown};
use super::error::ApiError;
use super::extract::{
    Asked, Body, OptionalBody, Params, Submitter, Viewer, Waiting, Writer, forbidden,
};
use crate::database::News;
use crate::operation::{control, submit, view};
use crate::scope::Scope;
use crate::service::Service;

/// A pipeline comes in.
pub(super) async fn submit(
    State(service): State<Service>,
    Submitter(scope): Submitter,
    Body(wanted): Body<Submit>,
) -> Result<(StatusCode, Json<Submitted>), ApiError> {
    may_submit(&service, &scope, &wanted)?;
    let compiler = service.compiler.clone();
    let turn = service.compiling.clone().acquire_owned().await;
    let compiled = tokio::task::spawn_blocking(move || {
        // The turn is over when the work is, also where nobody waits for it any more.
        let _turn = turn;
        compiler.compile(wanted, &scope)
    })
    .await;
    let submission = compiled.map_err(|error| {
        tracing::error!(%error, "a submission was not compiled");
        ApiError::new(ProblemCode::Internal, "something inside the server failed")
    })??;
    let submission = Arc::new(submission);
    let foreseen = Arc::clone(&submission);
    let pipeline = service
        .database
        .write_foreseen(
            move |_| submit::foresee(&foreseen),
            move |tx| submit::submit(tx, &submission),
        )
        .await?;
    tracing::info!(%pipeline, "a pipeline was submitted");
    Ok((StatusCode::CREATED, Json(Submitted { pipeline })))
}

/// Whether the pipeline is of a repository that the token is for.
fn may_submit(service: &Service, scope: &Scope, wanted: &Submit) -> Result<(), ApiError> {
    if scope.is_all() {
        return Ok(());
    }
    let repository = wanted.repository.as_deref();
    let name = repository.map(|url| service.compiler.name_of(url));
    match name.transpose()? {
        Some(name) if scope.covers(&name) => Ok(()),
        Some(_) => Err(forbidden("your token is not for this repository")),
        None => Err(forbidden(
            "your token is for some repositories only: the pipeline has to be of one of them",
        )),
    }
}

/// Where a page ends.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Before {
    pub(super) before: Option<u64>,
}

/// All pipelines that the user may see.
pub(super) async fn list(
    State(service): State<Service>,
    Viewer(scope): Viewer,
    Asked(Before { before }): Asked<Before>,
) -> Result<Json<Pipelines>, ApiError> {
    shown(&service, move |tx| view::pipelines(tx, before, &scope)).await
}

/// How long changes gather before they are told.
const GATHER: Duration = Duration::from_millis(20);

/// One pipeline. Who has it already (`If-None-Match`) may wait for a change (`Prefer: wait=SECONDS`, RFC 7240).
pub(super) async fn get(
    State(service): State<Service>,
    waiting: Waiting,
    Params(id): Params<PipelineId>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let known = headers.get(header::IF_NONE_MATCH);
    let deadline = Instant::now() + wait(&headers).min(service.config.terms.wait);
    let follower = service.database.signals().follow(News::Pipeline(id));
    let mut ending = service.ending.clone();
    let mut place = None;
    loop {
        let news = follower.news();
        tokio::pin!(news);
        news.as_mut().enable();
        let (body, tag) = service
            .readings
            .pipelines
            .read(id, async || written(&service, id).await)
            .await?;
        if known.is_none_or(|known| known.as_bytes() != tag.as_bytes()) {
            let kind = (header::CONTENT_TYPE, "application/json");
            return Ok(([kind, (header::ETAG, &*tag)], body).into_response());
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() || *ending.borrow() {
            return Ok((StatusCode::NOT_MODIFIED, [(header::ETAG, &*tag)]).into_response());
        }
        if place.is_none() {
            place = Some(waiting.enter(&service)?);
        }
        tokio::select! {
            () = news => {}
            () = tokio::time::sleep(left.min(super::UNTOLD)) => {}
            _ = ending.wait_for(|ending| *ending) => {}
        }
        tokio::time::sleep(GATHER).await;
    }
}

/// A pipeline as JSON, and its tag.
async fn written(service: &Service, id: PipelineId) -> Result<(Bytes, Arc<str>), ApiError> {
    let pipeline: Json<Pipeline> = shown(service, move |tx| view::pipeline(tx, id)).await?;
    let body = serde_json::to_vec(&pipeline.0).map_err(|error| {
        tracing::error!(%error, "a pipeline cannot be written");
        ApiError::new(ProblemCode::Internal, "something inside the server failed")
    })?;
    let tag = tag(&body).into();
    Ok((body.into(), tag))
}

fn tag(body: &[u8]) -> String {
    let digest = Sha256::digest(body);
    let digits: String = digest
        .iter()
        .take(16)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("\"{digits}\"")
}

/// What `Prefer` says of waiting.
fn wait(headers: &HeaderMap) -> Duration {
    let preferences = headers.get("prefer").and_then(|value| value.to_str().ok());
    let mut preferences = preferences.unwrap_or_default().split([',', ';']);
    let seconds = preferences.find_map(|one| one.trim().strip_prefix("wait=")?.parse().ok());
    Duration::from_secs(seconds.unwrap_or(0))
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

/// A person agrees to a pipeline.
pub(super) async fn approve(
    State(service): State<Service>,
    Writer: Writer,
    Params(id): Params<PipelineId>,
) -> Result<StatusCode, ApiError> {
    done(&service, move |tx| control::approve_pipeline(tx, id)).await
}
