//! Caches: what jobs keep for later ones.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use protocol::service::{
    CacheAnswer, CacheId, CacheQuery, Caches, ProblemCode, StreamInfo, limits,
};

use super::attempts::id;
use super::error::ApiError;
use super::extract::{Agent, Body, Params, Viewer, Writer};
use super::logs::{Content, deliver};
use crate::operation::{attempt, cache};
use crate::service::Service;

/// Looks for the cache that an attempt is to start from.
pub(super) async fn find(
    State(service): State<Service>,
    Agent(agent): Agent,
    Params(params): Params<(u64, u32)>,
    Body(query): Body<CacheQuery>,
) -> Result<Json<CacheAnswer>, ApiError> {
    let id = id(params);
    if !query.is_sound() {
        let message = format!(
            "a key has 1 to 512 characters without control characters, there are at most {} others, and a version is a SHA-256",
            limits::CACHE_KEYS
        );
        return Err(ApiError::new(ProblemCode::Invalid, message));
    }
    let found = service
        .database
        .write(move |tx| {
            attempt::held(tx, agent, id)?;
            cache::find(tx, id, &query)
        })
        .await?;
    Ok(Json(CacheAnswer { found }))
}

/// The archive of a cache, or a range of it, for an attempt that may read it.
pub(super) async fn read(
    State(service): State<Service>,
    Agent(agent): Agent,
    Params((job, attempt, cache)): Params<(u64, u32, u64)>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let id = id((job, attempt));
    let archive = service
        .database
        .read(move |tx| {
            attempt::held(tx, agent, id)?;
            cache::archive(tx, id, CacheId(cache))
        })
        .await?;
    let info = StreamInfo {
        name: archive.stream,
        length: archive.size,
        complete: true,
        cut_from: None,
        cut_to: None,
    };
    deliver(service, archive.of, info, &headers, Content::Cache).await
}

/// All that there are, of the repositories that who asks may see.
pub(super) async fn list(
    State(service): State<Service>,
    Viewer(scope): Viewer,
) -> Result<Json<Caches>, ApiError> {
    let listed = service
        .database
        .read(move |tx| cache::list(tx, |repository| scope.covers(repository)));
    Ok(Json(listed.await?))
}

/// Removes one.
pub(super) async fn remove(
    State(service): State<Service>,
    Writer: Writer,
    Params(id): Params<CacheId>,
) -> Result<StatusCode, ApiError> {
    service
        .database
        .write(move |tx| cache::remove(tx, id))
        .await?;
    Ok(StatusCode::NO_CONTENT)
}
