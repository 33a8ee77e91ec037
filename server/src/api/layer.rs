//! What happens around every request: its id, the version of the protocol, its line in the log, its figures.

use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue, Method};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use protocol::service::{Problem, ProblemCode, version};
use tracing::Instrument as _;

use super::error::ApiError;
use crate::service::Service;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

tokio::task_local! {
    static REQUEST: String;
}

/// The id of the request that is being answered.
pub(super) fn request_id() -> Option<String> {
    REQUEST.try_with(Clone::clone).ok()
}

/// Around every request.
pub(super) async fn around(
    State(service): State<Service>,
    request: Request,
    next: Next,
) -> Response {
    let started = Instant::now();
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>();
    let route = route.map_or_else(|| "none".to_owned(), |path| path.as_str().to_owned());
    let id = chosen_id(&request);
    let span = tracing::info_span!("request", %id, %method, path = %request.uri().path());
    let mut response = REQUEST
        .scope(id.clone(), versioned(request, next))
        .instrument(span.clone())
        .await;
    if let Ok(id) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    let (status, seconds) = (response.status().as_u16(), started.elapsed().as_secs_f64());
    service
        .metrics
        .answered(known(&method), &route, status, seconds);
    span.in_scope(|| match status {
        500.. => tracing::error!(status, seconds, "answered"),
        _ => tracing::debug!(status, seconds, "answered"),
    });
    response
}

/// A method's name: of those that a client has thought of nothing is remembered.
fn known(method: &Method) -> &'static str {
    const ALL: [(Method, &str); 7] = [
        (Method::GET, "GET"),
        (Method::HEAD, "HEAD"),
        (Method::POST, "POST"),
        (Method::PUT, "PUT"),
        (Method::PATCH, "PATCH"),
        (Method::DELETE, "DELETE"),
        (Method::OPTIONS, "OPTIONS"),
    ];
    let found = ALL.into_iter().find(|(known, _)| known == method);
    found.map_or("other", |(_, name)| name)
}

/// The client's id of the request where it is harmless, else a new one.
fn chosen_id(request: &Request) -> String {
    let given = request.headers().get(REQUEST_ID);
    let given = given.and_then(|id| id.to_str().ok()).filter(|id| {
        let is_harmless = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        (1..=64).contains(&id.len()) && id.bytes().all(is_harmless)
    });
    given.map_or_else(new_id, str::to_owned)
}

fn new_id() -> String {
    let mut bits = [0; 8];
    // Without random numbers ids repeat, and nothing else is wrong.
    let _ = getrandom::fill(&mut bits);
    bits.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Agrees on a version of the protocol with a client that names some.
async fn versioned(request: Request, next: Next) -> Response {
    let asked = request.headers().get(version::HEADER);
    let agreed = asked.map(|asked| asked.to_str().ok().and_then(version::agree));
    if agreed == Some(None) {
        let problem = Problem::new(
            ProblemCode::ProtocolVersion,
            format!(
                "this server speaks version {} of the protocol, the client another one",
                version::header()
            ),
        );
        return ApiError::from(problem.help("bring the older one of the two up to date"))
            .into_response();
    }
    let mut response = next.run(request).await;
    let agreed = agreed.flatten().unwrap_or(*version::SPOKEN.end());
    response
        .headers_mut()
        .insert(version::HEADER, HeaderValue::from(agreed));
    response
}
