//! Every refusal is a [`Problem`].

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use protocol::service::{Problem, ProblemCode};

use crate::database::{DatabaseError, OperationError};
use crate::logs::LogError;

/// What a handler answers instead of a result.
#[derive(Debug)]
pub(crate) struct ApiError {
    problem: Box<Problem>,
    /// When to come again, seconds.
    retry_after: Option<u64>,
}

impl ApiError {
    pub(super) fn new(code: ProblemCode, message: impl Into<String>) -> Self {
        Problem::new(code, message).into()
    }

    pub(super) const fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds);
        self
    }
}

impl From<Problem> for ApiError {
    fn from(problem: Problem) -> Self {
        Self {
            problem: Box::new(problem),
            retry_after: None,
        }
    }
}

impl From<OperationError> for ApiError {
    fn from(error: OperationError) -> Self {
        match error {
            OperationError::Refused(problem) => Self {
                problem,
                retry_after: None,
            },
            OperationError::Database(error) => error.into(),
        }
    }
}

impl From<DatabaseError> for ApiError {
    /// What is inside a database is not told to strangers; it is in the log.
    fn from(error: DatabaseError) -> Self {
        match error {
            DatabaseError::Unavailable { .. }
            | DatabaseError::Busy { .. }
            | DatabaseError::Closed => {
                tracing::warn!(%error, "a request has to be repeated");
                Self::new(ProblemCode::Unavailable, "the database is not available").retry_after(1)
            }
            DatabaseError::Duplicate { .. } => {
                tracing::warn!(%error, "somebody else was faster");
                Self::new(
                    ProblemCode::Conflict,
                    "the same was asked for at the same time",
                )
            }
            DatabaseError::Statement { .. }
            | DatabaseError::Shape { .. }
            | DatabaseError::Json { .. }
            | DatabaseError::Newer { .. } => {
                tracing::error!(%error, "a request failed");
                Self::new(ProblemCode::Internal, "something inside the server failed")
            }
        }
    }
}

impl From<LogError> for ApiError {
    fn from(error: LogError) -> Self {
        let message = error.to_string();
        match error {
            LogError::Gap { next } | LogError::Cut { next } => {
                Problem::new(ProblemCode::Offset, message).next(next).into()
            }
            LogError::NotFound => Self::new(ProblemCode::NotFound, message),
            LogError::Database(error) => (*error).into(),
            LogError::Storage { .. } => {
                tracing::error!(error = message, "a log cannot be kept or read");
                Self::new(
                    ProblemCode::Unavailable,
                    "the storage of logs is not available",
                )
                .retry_after(1)
            }
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(mut self) -> Response {
        let status = StatusCode::from_u16(self.problem.code.status());
        self.problem.request = super::layer::request_id();
        let status = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Json(self.problem)).into_response();
        if let Some(seconds) = self.retry_after {
            let headers = response.headers_mut();
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if status == StatusCode::UNAUTHORIZED {
            let headers = response.headers_mut();
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}
