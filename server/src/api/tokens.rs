//! Tokens of users, and those that agents register with.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use protocol::service::{CreateToken, CreatedToken, ProblemCode, TokenId, Tokens, limits};

use super::agents::generate;
use super::error::ApiError;
use super::extract::{Admin, Body, Params};
use crate::operation::token;
use crate::service::Service;

/// Makes one. Its secret is shown this once.
pub(super) async fn create(
    State(service): State<Service>,
    Admin: Admin,
    Body(mut wanted): Body<CreateToken>,
) -> Result<(StatusCode, Json<CreatedToken>), ApiError> {
    let name = &wanted.name;
    if name.is_empty() || name.len() > limits::NAME || name.chars().any(char::is_control) {
        let message = format!(
            "a name has 1 to {} bytes, without control characters",
            limits::NAME
        );
        return Err(ApiError::new(ProblemCode::Invalid, message));
    }
    if wanted.repositories.len() > limits::TOKEN_REPOSITORIES {
        let message = format!(
            "a token is for at most {} repositories",
            limits::TOKEN_REPOSITORIES
        );
        return Err(ApiError::new(ProblemCode::Invalid, message));
    }
    for repository in &mut wanted.repositories {
        *repository = service.compiler.pattern_of(repository)?;
    }
    let (secret, hash) = generate(wanted.kind)?;
    let token = service
        .database
        .write(move |tx| token::create(tx, &wanted, hash))
        .await?;
    Ok((StatusCode::CREATED, Json(CreatedToken { token, secret })))
}

/// All that count.
pub(super) async fn list(
    State(service): State<Service>,
    Admin: Admin,
) -> Result<Json<Tokens>, ApiError> {
    Ok(Json(service.database.read(token::list).await?))
}

/// It does not count any more.
pub(super) async fn revoke(
    State(service): State<Service>,
    Admin: Admin,
    Params(id): Params<TokenId>,
) -> Result<StatusCode, ApiError> {
    service
        .database
        .write(move |tx| token::revoke(tx, id))
        .await?;
    service.identities.doubt();
    Ok(StatusCode::NO_CONTENT)
}
