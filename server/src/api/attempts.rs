//! What the agent that holds an attempt says about it.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use protocol::service::{
    AgentId, AttemptId, EventBatch, EventsKept, Finish, JobId, Missing, Problem, ProblemCode,
    Release, StreamName, limits,
};

use super::error::ApiError;
use super::extract::{Agent, Body, Params};
use super::unbroken::unbroken;
use crate::logs::Logs;
use crate::operation::{artifact, attempt, cache, events, leaves, loss};
use crate::service::Service;

pub(super) const fn id((job, attempt): (u64, u32)) -> AttemptId {
    AttemptId {
        job: JobId(job),
        attempt,
    }
}

/// The agent takes it on.
pub(super) async fn accept(
    State(service): State<Service>,
    Agent(agent): Agent,
    Params(params): Params<(u64, u32)>,
) -> Result<StatusCode, ApiError> {
    let id = id(params);
    service
        .database
        .write_foreseen(
            move |outlook| attempt::accepting(outlook, agent, id),
            move |tx| attempt::accept(tx, agent, id),
        )
        .await??;
    tracing::info!(%agent, job = %id, "a job was accepted");
    Ok(StatusCode::NO_CONTENT)
}

/// Events have happened.
pub(super) async fn append_events(
    State(service): State<Service>,
    Agent(agent): Agent,
    Params(params): Params<(u64, u32)>,
    Body(batch): Body<EventBatch<events::Raw>>,
) -> Result<Json<EventsKept>, ApiError> {
    if batch.events.len() > limits::EVENT_BATCH {
        let message = format!("a batch has at most {} events", limits::EVENT_BATCH);
        return Err(ApiError::new(ProblemCode::TooLarge, message));
    }
    if let Some(wrong) = batch
        .events
        .iter()
        .find(|event| !event.get().starts_with('{'))
    {
        let message = format!(
            "{} is no event",
            wrong.get().chars().take(20).collect::<String>()
        );
        return Err(ApiError::new(ProblemCode::Invalid, message));
    }
    let id = id(params);
    let next = service
        .database
        .write(move |tx| events::append(tx, agent, id, &batch))
        .await?;
    Ok(Json(EventsKept { next }))
}

/// The attempt is over.
pub(super) async fn finish(
    State(service): State<Service>,
    Agent(agent): Agent,
    Params(params): Params<(u64, u32)>,
    Body(finish): Body<Finish>,
) -> Result<StatusCode, ApiError> {
    let id = id(params);
    if finish.logs.len() > limits::STREAMS {
        let message = format!("an attempt has at most {} logs", limits::STREAMS);
        return Err(ApiError::new(ProblemCode::TooLarge, message));
    }
    if finish.artifacts.len() > limits::ARTIFACTS {
        let message = format!("an attempt has at most {} artifacts", limits::ARTIFACTS);
        return Err(ApiError::new(ProblemCode::TooLarge, message));
    }
    if let Some(wrong) = finish
        .artifacts
        .iter()
        .find(|artifact| !artifact.is_sound())
    {
        let message = format!(
            "{:?} is no name of an artifact, or has no checksum",
            wrong.name
        );
        return Err(ApiError::new(ProblemCode::Invalid, message));
    }
    if finish.caches.len() > limits::CACHES {
        let message = format!("an attempt has at most {} caches", limits::CACHES);
        return Err(ApiError::new(ProblemCode::TooLarge, message));
    }
    if let Some(wrong) = finish.caches.iter().find(|cache| !cache.is_sound()) {
        let message = format!("{:?} is no key of a cache, or has no checksum", wrong.key);
        return Err(ApiError::new(ProblemCode::Invalid, message));
    }
    let outputs = finish.outputs.iter();
    let size: usize = outputs.map(|(name, value)| name.len() + value.len()).sum();
    if size > limits::OUTPUTS {
        let message = format!("a job's outputs have at most {} bytes", limits::OUTPUTS);
        return Err(ApiError::new(ProblemCode::TooLarge, message));
    }
    // Whoever finishes twice at once, sends what it has sent before or gives the attempt back waits until the database has answered.
    let alone = service.logs.alone(id).await;
    unbroken(async move {
        let finished = conclude(&service, agent, id, finish).await;
        drop(alone);
        finished
    })
    .await
}

/// Ends an attempt of which everything has come; the caller is alone with it.
async fn conclude(
    service: &Service,
    agent: AgentId,
    id: AttemptId,
    finish: Finish,
) -> Result<StatusCode, ApiError> {
    let names: Vec<StreamName> = finish.logs.iter().map(|log| log.name.clone()).collect();
    let finishing = service
        .database
        .read_foreseen(
            move |_| attempt::looking(id),
            move |tx| attempt::finishing(tx, agent, id, &names),
        )
        .await?;
    let Some(finishing) = finishing else {
        // Who has finished it before may not have heard that it has.
        service.logs.forget(id);
        return Ok(StatusCode::NO_CONTENT);
    };
    let attempt::Finishing {
        pipeline,
        events,
        leaves_archives,
    } = finishing;
    let mut missing = Vec::new();
    if events != finish.events {
        // Of what the agent does not have any more nobody knows whether it is so: as with logs, what it has is what counts.
        let from = match events < finish.events {
            true => events,
            false => {
                let restart = service
                    .database
                    .write(move |tx| events::restart(tx, agent, id));
                restart.await?;
                tracing::warn!(%id, kept = events, "there were more events than their agent has, and they are thrown away");
                0
            }
        };
        missing.push(Missing { log: None, from });
    }
    let kept = service.logs.complete(id, finish.logs.clone()).await?;
    let streams = match kept {
        Ok(streams) => streams,
        Err(lacks) => {
            missing.extend(lacks);
            Vec::new()
        }
    };
    if !missing.is_empty() {
        return Err(incomplete(missing));
    }
    let found = match leaves_archives {
        true => service.logs.archives(id).await?,
        false => Vec::new(),
    };
    let are_objects = matches!(service.logs, Logs::Objects(_));
    let conclusion = finish.conclusion;
    let rules = service.config.artifacts;
    let cache_bytes = service.config.caches.bytes;
    let finish = Arc::new(finish);
    let foreseen = Arc::clone(&finish);
    let is_news = service
        .database
        .write_foreseen(
            move |outlook| attempt::foresee_end(outlook, agent, id, pipeline, &foreseen),
            move |tx| {
                let is_news = attempt::finish(tx, agent, id, pipeline, &finish)?;
                if is_news {
                    match are_objects {
                        true => leaves::keep_pieces(tx, id, &streams)?,
                        false => leaves::keep_streams(tx, id, &streams)?,
                    }
                    artifact::keep(tx, id, &finish.artifacts, &streams, rules)?;
                    if leaves_archives {
                        artifact::leave_out(tx, id, &finish.artifacts, &found)?;
                        cache::keep(tx, id, &finish.caches, &streams, &found, cache_bytes)?;
                    }
                }
                Ok(is_news)
            },
        )
        .await?;
    // The same said twice at once: the first one counts.
    if !is_news {
        return Ok(StatusCode::NO_CONTENT);
    }
    service.logs.finished(id);
    tracing::info!(%agent, job = %id, ?conclusion, "a job is finished");
    Ok(StatusCode::NO_CONTENT)
}

fn incomplete(missing: Vec<Missing>) -> ApiError {
    let message = "not everything of the attempt has come";
    let mut problem = Problem::new(ProblemCode::Incomplete, message);
    problem.missing = missing;
    problem.into()
}

/// The agent gives it back.
pub(super) async fn release(
    State(service): State<Service>,
    Agent(agent): Agent,
    Params(params): Params<(u64, u32)>,
    Body(release): Body<Release>,
) -> Result<StatusCode, ApiError> {
    let id = id(params);
    let alone = service.logs.alone(id).await;
    unbroken(async move {
        let released = give_back(&service, agent, id, release).await;
        drop(alone);
        released
    })
    .await
}

/// Ends an attempt as it is; the caller is alone with it.
async fn give_back(
    service: &Service,
    agent: AgentId,
    id: AttemptId,
    release: Release,
) -> Result<StatusCode, ApiError> {
    let policy = service.config.retry;
    let reason = release.reason.clone();
    let held = service
        .database
        .read(move |tx| Ok(attempt::held(tx, agent, id).is_ok()));
    // The agent throws its own copy away.
    if held.await?
        && let Err(missing) = service.logs.settle(id).await?
    {
        return Err(incomplete(missing));
    }
    let has_ended = service
        .database
        .write(move |tx| loss::release(tx, agent, id, &release, policy))
        .await?;
    // What was finished, or is another's, has left what it has left.
    if !has_ended {
        return Ok(StatusCode::NO_CONTENT);
    }
    service.logs.forget(id);
    tracing::info!(%agent, job = %id, ?reason, "a job was given back");
    Ok(StatusCode::NO_CONTENT)
}
