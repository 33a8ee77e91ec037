//! The shapes most handlers have: something is shown, something is done, or what happens is told as it does.

use std::convert::Infallible;

use axum::Json;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::Stream;

use super::error::ApiError;
use crate::database::{OperationError, Transaction};
use crate::service::Service;

/// What an operation reads.
pub(super) async fn shown<T, F>(service: &Service, operation: F) -> Result<Json<T>, ApiError>
where
    T: Send + 'static,
    F: FnMut(&mut Transaction<'_>) -> Result<T, OperationError> + Send + 'static,
{
    Ok(Json(service.database.read(operation).await?))
}

/// Carries an operation out that has nothing to say.
pub(super) async fn done<F>(service: &Service, operation: F) -> Result<StatusCode, ApiError>
where
    F: FnMut(&mut Transaction<'_>) -> Result<(), OperationError> + Send + 'static,
{
    service.database.write(operation).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Tells of what happens, by server-sent events. nginx keeps what comes until it has a few KiB, unless it is told not to.
pub(super) fn live(
    events: impl Stream<Item = Result<Event, Infallible>> + Send + 'static,
) -> impl IntoResponse {
    let events = Sse::new(events).keep_alive(KeepAlive::default());
    ([("x-accel-buffering", "no")], events)
}
