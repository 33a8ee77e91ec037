//! For what watches the server.

use std::time::Duration;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use protocol::service::ProblemCode;

use super::error::ApiError;
use crate::operation::view;
use crate::service::Service;

/// How long the database may take to count as there.
const PATIENCE: Duration = Duration::from_secs(3);

/// The process answers.
pub(super) async fn alive() -> &'static str {
    "ok\n"
}

/// The server can do its work: it is not ending, and its database answers.
pub(super) async fn ready(State(service): State<Service>) -> Result<&'static str, ApiError> {
    if *service.ending.borrow() {
        return Err(ApiError::new(
            ProblemCode::Unavailable,
            "the server is ending",
        ));
    }
    // One that could not write last time is not asked to try for everybody who watches, but is to be seen getting well.
    let database = &service.database;
    let looked = async {
        match database.is_failing() {
            false => database.read(view::look).await,
            true => database.write(view::try_to_write).await,
        }
    };
    match tokio::time::timeout(PATIENCE, looked).await {
        Ok(Ok(())) => Ok("ready\n"),
        Ok(Err(error)) => Err(error.into()),
        Err(_) => Err(ApiError::new(
            ProblemCode::Unavailable,
            "the database does not answer",
        )),
    }
}

/// Figures.
pub(super) async fn metrics(State(service): State<Service>) -> Result<Response, ApiError> {
    let counting = service.metrics.counts(service.database.read(view::counts));
    // What the server itself knows is wanted most when the database is away.
    let counts = match tokio::time::timeout(PATIENCE, counting).await {
        Ok(Ok(counts)) => Some(counts),
        Ok(Err(_)) | Err(_) => None,
    };
    let text = service.metrics.text(counts.as_ref()).map_err(|error| {
        tracing::error!(%error, "figures cannot be written");
        ApiError::new(ProblemCode::Internal, "something inside the server failed")
    })?;
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    Ok((StatusCode::OK, [(header::CONTENT_TYPE, kind)], text).into_response())
}
