//! The two shapes most handlers have: something is shown, or something is done.

use axum::Json;
use axum::http::StatusCode;

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
