//! What handlers take of a request: who asks, ids of the path, a body. What does not fit is a [`Problem`](protocol::service::Problem).

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use axum::extract::{
    ConnectInfo, FromRequest, FromRequestParts, Path, Query, RawPathParams, Request,
};
use axum::http::header;
use axum::http::request::Parts;
use bytes::Bytes;
use protocol::service::{AgentId, Problem, ProblemCode, Role, TokenId};
use serde::de::DeserializeOwned;

use super::error::ApiError;
use crate::followers::{Full, Place};
use crate::limiter::Who;
use crate::operation::token::{Identity, User};
use crate::operation::view::{self, Of};
use crate::scope::Scope;
use crate::secret;
use crate::service::Service;

/// Who asks, whoever it is.
async fn identity(parts: &Parts, service: &Service) -> Result<Identity, ApiError> {
    let header = parts.headers.get(header::AUTHORIZATION);
    let token = header
        .and_then(|header| header.to_str().ok())
        .and_then(|header| header.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, token)| token.trim());
    let identity = match token.map(secret::hash) {
        None => None,
        Some(hash) => {
            // Who only guesses is not let as far as the database.
            let stranger = Who::Stranger(address(parts, service));
            if !service.identities.has_known(&hash)
                && let Err(wait) = service.limiter.look(stranger, Instant::now())
            {
                return Err(too_many(wait));
            }
            Box::pin(service.identities.of(&service.database, hash)).await?
        }
    };
    let who = match &identity {
        Some(Identity::User(user)) => Who::User(user.token),
        Some(_) => return identity.ok_or_else(unauthorized),
        None => Who::Stranger(address(parts, service)),
    };
    if let Err(wait) = service.limiter.take(who, Instant::now()) {
        return Err(too_many(wait));
    }
    identity.ok_or_else(unauthorized)
}

fn too_many(wait: Duration) -> ApiError {
    ApiError::new(ProblemCode::RateLimited, "too many requests").retry_after(wait.as_secs() + 1)
}

fn unauthorized() -> ApiError {
    let problem = Problem::new(
        ProblemCode::Unauthorized,
        "no token, or none that counts here",
    );
    problem.help("send `Authorization: Bearer TOKEN`").into()
}

pub(super) fn forbidden(message: &str) -> ApiError {
    ApiError::new(ProblemCode::Forbidden, message)
}

fn address(parts: &Parts, service: &Service) -> IpAddr {
    let info = parts.extensions.get::<ConnectInfo<SocketAddr>>();
    let peer = info.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |info| info.0.ip());
    service.config.proxies.client(peer, &parts.headers)
}

/// A user with this role, wherever it counts.
async fn user(parts: &Parts, service: &Service, least: Role) -> Result<User, ApiError> {
    match identity(parts, service).await? {
        Identity::User(user) if user.role >= least => Ok(user),
        Identity::User(_) => Err(forbidden(match least {
            Role::Reader => "this is for readers",
            Role::Writer => "this is for writers and administrators",
            Role::Admin => "this is for administrators",
        })),
        _ => Err(forbidden("this is for users, not for agents")),
    }
}

/// A user with this role for what the address names. To a token for some repositories, what is of others is not there, and what is of
/// none is refused: also an address that nobody has thought of.
async fn user_here(parts: &mut Parts, service: &Service, least: Role) -> Result<User, ApiError> {
    let user = user(parts, service, least).await?;
    if user.scope.is_all() {
        return Ok(user);
    }
    let params = RawPathParams::from_request_parts(parts, service).await;
    let params =
        params.map_err(|rejection| ApiError::new(ProblemCode::Invalid, rejection.body_text()))?;
    let named = params.iter().find_map(|(name, value)| match name {
        "job" => Some((Of::Job, "job", value.to_owned())),
        "pipeline" => Some((Of::Pipeline, "pipeline", value.to_owned())),
        _ => None,
    });
    let Some((of, what, id)) = named else {
        return Err(forbidden(
            "this is for tokens of the whole server, and yours is for some repositories only",
        ));
    };
    let Ok(number) = id.parse::<u64>() else {
        return Err(ApiError::new(
            ProblemCode::Invalid,
            format!("{id:?} is no number"),
        ));
    };
    let repository = service
        .database
        .read(move |tx| view::repository(tx, of, number))
        .await?;
    match repository.is_some_and(|url| user.scope.covers(&url)) {
        true => Ok(user),
        false => {
            let message = format!("there is no {what} {number}");
            Err(ApiError::new(ProblemCode::NotFound, message))
        }
    }
}

/// A user that may look at some repositories at least: what is listed is of these.
#[derive(Debug)]
pub(super) struct Viewer(pub(super) Scope);

/// A user that may submit for some repositories at least.
#[derive(Debug)]
pub(super) struct Submitter(pub(super) Scope);

/// A user that may look.
#[derive(Debug)]
pub(super) struct Reader;

/// A user that may look, and may wait for more.
#[derive(Debug)]
pub(super) struct Waiting(TokenId);

impl Waiting {
    /// Takes one of the places of those who wait.
    pub(super) fn enter(&self, service: &Service) -> Result<Place, ApiError> {
        let refuse = |code: ProblemCode, message: String| {
            let problem = Problem::new(code, message);
            let problem =
                problem.help("come again later; the server's setting `followers` says how many");
            Err(ApiError::from(problem).retry_after(5))
        };
        match service.followers.enter(self.0) {
            Ok(place) => Ok(place),
            Err(Full::Token(most)) => refuse(
                ProblemCode::RateLimited,
                format!(
                    "with this token {most} logs, events and pipelines are followed already, as many as may be"
                ),
            ),
            Err(Full::Server(most)) => refuse(
                ProblemCode::Unavailable,
                format!("{most} readers follow something here already, as many as may be"),
            ),
        }
    }
}

impl FromRequestParts<Service> for Waiting {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, service: &Service) -> Result<Self, ApiError> {
        let user = user_here(parts, service, Role::Reader).await?;
        Ok(Self(user.token))
    }
}

/// A user that may submit, cancel, retry and approve.
#[derive(Debug)]
pub(super) struct Writer;

/// A user that may everything.
#[derive(Debug)]
pub(super) struct Admin;

/// An administrator who looks after secrets, of some repositories at least, and who it is.
#[derive(Debug)]
pub(super) struct Keeper(pub(super) User);

/// An agent.
#[derive(Debug)]
pub(super) struct Agent(pub(super) AgentId);

/// Who may register an agent.
#[derive(Debug)]
pub(super) struct Registrar(pub(super) TokenId);

impl FromRequestParts<Service> for Reader {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, service: &Service) -> Result<Self, ApiError> {
        user_here(parts, service, Role::Reader).await.map(|_| Self)
    }
}

impl FromRequestParts<Service> for Writer {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, service: &Service) -> Result<Self, ApiError> {
        user_here(parts, service, Role::Writer).await.map(|_| Self)
    }
}

impl FromRequestParts<Service> for Admin {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, service: &Service) -> Result<Self, ApiError> {
        user_here(parts, service, Role::Admin).await.map(|_| Self)
    }
}

impl FromRequestParts<Service> for Viewer {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, service: &Service) -> Result<Self, ApiError> {
        let user = user(parts, service, Role::Reader).await?;
        Ok(Self(user.scope))
    }
}

impl FromRequestParts<Service> for Submitter {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, service: &Service) -> Result<Self, ApiError> {
        let user = user(parts, service, Role::Writer).await?;
        Ok(Self(user.scope))
    }
}

impl FromRequestParts<Service> for Keeper {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, service: &Service) -> Result<Self, ApiError> {
        user(parts, service, Role::Admin).await.map(Self)
    }
}

impl FromRequestParts<Service> for Agent {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, service: &Service) -> Result<Self, ApiError> {
        match identity(parts, service).await? {
            Identity::Agent(agent) => Ok(Self(agent)),
            _ => Err(forbidden("this is for agents")),
        }
    }
}

impl FromRequestParts<Service> for Registrar {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, service: &Service) -> Result<Self, ApiError> {
        match identity(parts, service).await? {
            Identity::Registration(token) => Ok(Self(token)),
            _ => Err(forbidden("this needs a registration token")),
        }
    }
}

/// Ids of the path.
#[derive(Debug)]
pub(super) struct Params<T>(pub(super) T);

impl<T: DeserializeOwned + Send> FromRequestParts<Service> for Params<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, service: &Service) -> Result<Self, ApiError> {
        match Path::<T>::from_request_parts(parts, service).await {
            Ok(Path(params)) => Ok(Self(params)),
            Err(rejection) => Err(ApiError::new(ProblemCode::Invalid, rejection.body_text())),
        }
    }
}

/// What stands behind the `?`.
#[derive(Debug)]
pub(super) struct Asked<T>(pub(super) T);

impl<T: DeserializeOwned + Send> FromRequestParts<Service> for Asked<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, service: &Service) -> Result<Self, ApiError> {
        match Query::<T>::from_request_parts(parts, service).await {
            Ok(Query(asked)) => Ok(Self(asked)),
            Err(rejection) => Err(ApiError::new(ProblemCode::Invalid, rejection.body_text())),
        }
    }
}

/// A body of bytes. How large it may be is the route's business.
pub(super) async fn bytes(request: Request, service: &Service) -> Result<Bytes, ApiError> {
    let patience = service.config.patience.body;
    let bytes = tokio::time::timeout(patience, Bytes::from_request(request, service));
    let Ok(bytes) = bytes.await else {
        let message = format!("the body did not come within {patience:?}");
        return Err(ApiError::new(ProblemCode::Timeout, message));
    };
    bytes.map_err(|rejection| {
        let code = match rejection.status().as_u16() {
            413 => ProblemCode::TooLarge,
            _ => ProblemCode::Invalid,
        };
        ApiError::new(code, rejection.body_text())
    })
}

/// A JSON body, whatever its type says it is.
#[derive(Debug)]
pub(super) struct Body<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequest<Service> for Body<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, service: &Service) -> Result<Self, ApiError> {
        let bytes = bytes(request, service).await?;
        match serde_json::from_slice(&bytes) {
            Ok(value) => Ok(Self(value)),
            Err(error) => Err(ApiError::new(
                ProblemCode::Invalid,
                format!("the body is not the JSON that is expected: {error}"),
            )),
        }
    }
}

/// The same; nothing is the default.
#[derive(Debug)]
pub(super) struct OptionalBody<T>(pub(super) T);

impl<T: DeserializeOwned + Default> FromRequest<Service> for OptionalBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, service: &Service) -> Result<Self, ApiError> {
        let bytes = bytes(request, service).await?;
        if bytes.is_empty() {
            return Ok(Self(T::default()));
        }
        match serde_json::from_slice(&bytes) {
            Ok(value) => Ok(Self(value)),
            Err(error) => Err(ApiError::new(
                ProblemCode::Invalid,
                format!("the body is not the JSON that is expected: {error}"),
            )),
        }
    }
}
