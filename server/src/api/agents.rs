//! Agents: they register, ask for jobs, and report what they hold; administrators look after them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use protocol::service::{
    Acquire, AgentDescription, AgentId, AgentInfo, Agents, AttemptId, Drain, Heartbeat,
    HeartbeatAnswer, ProblemCode, Registered, TokenKind, limits,
};
use serde::Deserialize;
use zeroize::Zeroizing;

use super::answer::{done, shown};
use super::error::ApiError;
use super::extract::{Admin, Agent, Asked, Body, Params, Reader, Registrar};
use crate::operation::assign::Offer;
use crate::operation::{agent, attempt, token};
use crate::secret;
use crate::service::Service;

fn check(description: &AgentDescription) -> Result<(), ApiError> {
    let refuse = |message: String| Err(ApiError::new(ProblemCode::Invalid, message));
    let AgentDescription { name, labels, .. } = description;
    if name.is_empty() || name.len() > limits::NAME || name.chars().any(char::is_control) {
        return refuse(format!(
            "an agent's name has 1 to {} bytes, without control characters",
            limits::NAME
        ));
    }
    if !(1..=limits::SLOTS).contains(&description.slots) {
        return refuse(format!("an agent has 1 to {} slots", limits::SLOTS));
    }
    if description.version.len() > limits::NAME {
        return refuse(format!("a version has at most {} bytes", limits::NAME));
    }
    let is_label = |label: &String| label.len() <= limits::LABEL && !label.contains('\0');
    let mut all = labels.iter().flat_map(|(name, value)| [name, value]);
    if labels.len() > limits::LABELS || !all.all(is_label) {
        return refuse(format!(
            "an agent has at most {} labels of at most {} bytes",
            limits::LABELS,
            limits::LABEL
        ));
    }
    Ok(())
}

/// An agent registers.
pub(super) async fn register(
    State(service): State<Service>,
    Registrar(registration): Registrar,
    Body(description): Body<AgentDescription>,
) -> Result<(StatusCode, Json<Registered>), ApiError> {
    check(&description)?;
    let (secret, hash) = generate(TokenKind::Agent)?;
    let agent = service
        .database
        .write(move |tx| token::register(tx, registration, &description, hash))
        .await?;
    tracing::info!(%agent, "an agent has registered");
    Ok((StatusCode::CREATED, Json(Registered { agent, secret })))
}

/// A new token.
pub(super) fn generate(kind: TokenKind) -> Result<(String, [u8; 32]), ApiError> {
    secret::generate(kind).map_err(|error| {
        tracing::error!(%error, "the kernel gives no random numbers");
        ApiError::new(ProblemCode::Internal, "something inside the server failed")
    })
}

/// An agent says anew what it is.
pub(super) async fn describe(
    State(service): State<Service>,
    Agent(id): Agent,
    Body(description): Body<AgentDescription>,
) -> Result<StatusCode, ApiError> {
    check(&description)?;
    done(&service, move |tx| agent::describe(tx, id, &description)).await
}

/// An agent asks for a job.
pub(super) async fn acquire(
    State(service): State<Service>,
    Agent(id): Agent,
    Body(acquire): Body<Acquire>,
) -> Result<Response, ApiError> {
    let database = &service.database;
    // What is over before it waits, and what comes behind that, takes no room in what waits: of these there is one for each agent.
    let asking = database.read_foreseen(
        move |_| agent::foresee_asking(id),
        move |tx| agent::asking(tx, id),
    );
    let labels = Box::pin(asking).await?;
    let Some(labels) = labels.filter(|_| acquire.free > 0) else {
        return Ok(StatusCode::NO_CONTENT.into_response());
    };
    if service.seen.is_due(id, Instant::now()) {
        // Nobody waits for it.
        let database = database.clone();
        tokio::spawn(async move {
            if let Err(error) = database.write_lightly(move |tx| agent::seen(tx, id)).await {
                tracing::debug!(%error, agent = %id, "it is not noted that an agent was heard of");
            }
        });
    }
    let most = Duration::from_millis(acquire.wait_ms).min(service.config.terms.wait);
    let mut ending = service.ending.clone();
    let assignment = tokio::select! {
        assignment = service.dispatcher.acquire(id, labels, most) => assignment,
        _ = ending.wait_for(|ending| *ending) => None,
    };
    Ok(match assignment {
        Some(assignment) => {
            tracing::info!(agent = %id, job = %assignment.id, "a job is offered");
            Box::pin(hand_out(&service, *assignment)).await?
        }
        None => StatusCode::NO_CONTENT.into_response(),
    })
}

/// The assignment, with the secrets that its job names. An agent that is not answered is offered it again when its time to accept it
/// is over.
async fn hand_out(service: &Service, offer: Offer) -> Result<Response, ApiError> {
    if !offer.wants_secrets() {
        return Ok(Json(offer).into_response());
    }
    let (offer, keyring) = (Arc::new(offer), service.keyring.clone());
    let asking = Arc::clone(&offer);
    let reading = service
        .database
        .read(move |tx| asking.secrets(tx, keyring.as_deref()));
    let found = reading.await?;
    let offer = Arc::unwrap_or_clone(offer).with_secrets(found);
    let body = serde_json::to_vec(&offer).map(Zeroizing::new);
    let body = body.map_err(|error| {
        tracing::error!(%error, "an assignment cannot be written");
        ApiError::new(ProblemCode::Internal, "something inside the server failed")
    })?;
    let kind = (header::CONTENT_TYPE, "application/json");
    // Wiped when it is sent.
    Ok(([kind], Bytes::from_owner(body)).into_response())
}

/// An agent reports what it holds.
pub(super) async fn heartbeat(
    State(service): State<Service>,
    Agent(id): Agent,
    Body(heartbeat): Body<Heartbeat>,
) -> Result<Json<HeartbeatAnswer>, ApiError> {
    if heartbeat.held.len() > limits::HELD {
        let message = format!("an agent holds at most {} attempts", limits::HELD);
        return Err(ApiError::new(ProblemCode::TooLarge, message));
    }
    let held = Arc::<[AttemptId]>::from(heartbeat.held);
    let foreseen = Arc::clone(&held);
    let (held, drain) = service
        .database
        .write_lightly_foreseen(
            move |_| attempt::foresee_heartbeat(id, &foreseen),
            move |tx| attempt::heartbeat(tx, id, &held),
        )
        .await?;
    Ok(Json(HeartbeatAnswer {
        held,
        drain,
        heartbeat_ms: service.terms().heartbeat_ms,
    }))
}

/// Where a page of agents starts.
#[derive(Debug, Default, Deserialize)]
pub(super) struct After {
    #[serde(default)]
    after: u64,
}

/// All agents.
pub(super) async fn list(
    State(service): State<Service>,
    Reader: Reader,
    Asked(After { after }): Asked<After>,
) -> Result<Json<Agents>, ApiError> {
    let patience = service.patience_ms();
    shown(&service, move |tx| agent::list(tx, after, patience)).await
}

/// One agent.
pub(super) async fn get(
    State(service): State<Service>,
    Reader: Reader,
    Params(id): Params<AgentId>,
) -> Result<Json<AgentInfo>, ApiError> {
    let patience = service.patience_ms();
    shown(&service, move |tx| agent::get(tx, id, patience)).await
}

/// Forgets an agent.
pub(super) async fn remove(
    State(service): State<Service>,
    Admin: Admin,
    Params(id): Params<AgentId>,
) -> Result<StatusCode, ApiError> {
    let policy = service.config.retry;
    service
        .database
        .write(move |tx| agent::remove(tx, id, policy))
        .await?;
    service.identities.doubt();
    Ok(StatusCode::NO_CONTENT)
}

/// An agent is to take no more jobs.
pub(super) async fn drain(
    State(service): State<Service>,
    Admin: Admin,
    Params(id): Params<AgentId>,
) -> Result<Json<Drain>, ApiError> {
    drains(&service, id, true).await
}

/// An agent may take jobs again.
pub(super) async fn undrain(
    State(service): State<Service>,
    Admin: Admin,
    Params(id): Params<AgentId>,
) -> Result<Json<Drain>, ApiError> {
    drains(&service, id, false).await
}

async fn drains(service: &Service, id: AgentId, draining: bool) -> Result<Json<Drain>, ApiError> {
    let operation = service
        .database
        .write(move |tx| agent::drain(tx, id, draining));
    Ok(Json(operation.await?))
}
