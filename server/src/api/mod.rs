//! The HTTP interface. A file a resource; `extract` knows who asks, `error` how to refuse, `layer` what happens around every
//! request.

mod agents;
mod answer;
mod artifacts;
mod attempts;
mod caches;
mod error;
mod events;
mod extract;
mod health;
mod jobs;
mod layer;
mod logs;
mod openapi;
mod operations;
mod pipelines;
mod range;
mod secrets;
mod tokens;
mod unbroken;

use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{delete, get, patch, post, put};
use protocol::service::{ProblemCode, limits, path};
use tower_http::catch_panic::CatchPanicLayer;

use crate::service::Service;
use error::ApiError;

/// How long until who follows looks without news: news between servers can be lost.
const UNTOLD: Duration = Duration::from_secs(2);

/// Every route.
pub(crate) fn router(service: Service) -> Router {
    let log = patch(logs::append)
        .layer(DefaultBodyLimit::max(logs::PIECE))
        .get(logs::read);
    Router::new()
        .route(path::AGENTS, post(agents::register).get(agents::list))
        .route(path::SELF, put(agents::describe))
        .route(path::ACQUIRE, post(agents::acquire))
        .route(path::HEARTBEAT, post(agents::heartbeat))
        .route(path::AGENT, get(agents::get).delete(agents::remove))
        .route(
            path::AGENT_DRAIN,
            post(agents::drain).delete(agents::undrain),
        )
        .route(
            path::PIPELINES,
            post(pipelines::submit).get(pipelines::list),
        )
        .route(path::PIPELINE, get(pipelines::get))
        .route(path::PIPELINE_CANCEL, post(pipelines::cancel))
        .route(path::PIPELINE_RETRY, post(pipelines::retry))
        .route(path::PIPELINE_APPROVE, post(pipelines::approve))
        .route(path::JOBS, get(jobs::list))
        .route(path::JOB, get(jobs::get))
        .route(path::JOB_CANCEL, post(jobs::cancel))
        .route(path::JOB_RETRY, post(jobs::retry))
        .route(path::JOB_APPROVE, post(jobs::approve))
        .route(path::ACCEPT, post(attempts::accept))
        .route(path::FINISH, post(attempts::finish))
        .route(path::RELEASE, post(attempts::release))
        .route(
            path::EVENTS,
            post(attempts::append_events).get(events::page),
        )
        .route(path::EVENTS_FOLLOW, get(events::follow))
        .route(path::LOG, log)
        .route(path::LOG_FOLLOW, get(logs::follow))
        .route(path::ARTIFACTS, get(artifacts::list))
        .route(path::ARTIFACT, get(artifacts::read))
        .route(path::SECRETS, get(secrets::list))
        .route(path::SECRET, put(secrets::set).delete(secrets::remove))
        .route(path::CACHE_FIND, post(caches::find))
        .route(path::CACHE_ARCHIVE, get(caches::read))
        .route(path::CACHES, get(caches::list))
        .route(path::CACHE, delete(caches::remove))
        .route(path::TOKENS, post(tokens::create).get(tokens::list))
        .route(path::TOKEN, delete(tokens::revoke))
        .route(path::OPENAPI, get(openapi::get))
        .route(path::HEALTH, get(health::alive))
        .route(path::READY, get(health::ready))
        .route(path::METRICS, get(health::metrics))
        .fallback(no_route)
        .method_not_allowed_fallback(no_method)
        .layer(DefaultBodyLimit::max(limits::JSON_BODY))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(axum::middleware::from_fn_with_state(
            service.clone(),
            layer::around,
        ))
        .with_state(service)
}

async fn no_route() -> ApiError {
    ApiError::new(ProblemCode::NotFound, "there is nothing at this address")
}

async fn no_method() -> ApiError {
    ApiError::new(ProblemCode::Method, "this address knows no such method")
}

/// A bug in one handler is the end of one request.
fn panicked(_: Box<dyn std::any::Any + Send>) -> axum::response::Response {
    use axum::response::IntoResponse as _;
    tracing::error!("a handler has panicked");
    ApiError::new(ProblemCode::Internal, "something inside the server failed").into_response()
}
