//! Every address of the service. The constants are templates (RFC 6570, level 1) for the server's router and for the API's
//! description; the functions fill them in for clients.
//!
//! | template | methods |
//! |---|---|
//! | [`AGENTS`] | POST registers (a registration token) · GET lists |
//! | [`AGENT`] | GET · DELETE forgets |
//! | [`AGENT_DRAIN`] | POST · DELETE |
//! | [`SELF`] | PUT says anew what an agent is, at each of its starts |
//! | [`ACQUIRE`], [`HEARTBEAT`] | POST, by the agent |
//! | [`ACCEPT`], [`FINISH`], [`RELEASE`] | POST, by the agent that holds the attempt |
//! | [`EVENTS`] | POST by the agent · GET |
//! | [`LOG`] | PATCH by the agent · GET, with `Range` |
//! | [`EVENTS_FOLLOW`], [`LOG_FOLLOW`] | GET: server-sent events that go on behind `Last-Event-ID` |
//! | [`PIPELINES`] | POST submits · GET lists |
//! | [`PIPELINE`] | GET |
//! | [`PIPELINE_CANCEL`], [`JOB_CANCEL`] | POST |
//! | [`PIPELINE_RETRY`], [`JOB_RETRY`] | POST |
//! | [`PIPELINE_APPROVE`], [`JOB_APPROVE`] | POST |
//! | [`JOBS`], [`JOB`] | GET |
//! | [`ARTIFACTS`] | GET lists |
//! | [`ARTIFACT`] | GET, with `Range` |
//! | [`SECRETS`] | GET lists those of `?repository=`, of the whole server without |
//! | [`SECRET`] | PUT sets · DELETE removes; `?repository=` likewise |
//! | [`CACHE_FIND`] | POST, by the agent that holds the attempt |
//! | [`CACHE_ARCHIVE`] | GET, with `Range`, by the agent that holds the attempt |
//! | [`CACHES`] | GET lists |
//! | [`CACHE`] | DELETE |
//! | [`TOKENS`] | POST creates · GET lists |
//! | [`TOKEN`] | DELETE revokes |

use std::fmt::Display;

use super::{AgentId, AttemptId, CacheId, JobId, PipelineId, StreamName, TokenId};

/// The description of the API, OpenAPI 3.1.
pub const OPENAPI: &str = "/api/v1/openapi.json";
/// Alive at all: for what restarts the process.
pub const HEALTH: &str = "/healthz";
/// Can serve: database and storage answer.
pub const READY: &str = "/readyz";
/// Figures for Prometheus.
pub const METRICS: &str = "/metrics";

/// All agents.
pub const AGENTS: &str = "/api/v1/agents";
/// The agent that asks.
pub const SELF: &str = "/api/v1/agents/self";
/// A job for the agent that asks, by long poll.
pub const ACQUIRE: &str = "/api/v1/agents/self/acquire";
/// The leases of the agent that asks.
pub const HEARTBEAT: &str = "/api/v1/agents/self/heartbeat";
/// One agent.
pub const AGENT: &str = "/api/v1/agents/{agent}";
/// Whether it takes jobs.
pub const AGENT_DRAIN: &str = "/api/v1/agents/{agent}/drain";

/// All pipelines.
pub const PIPELINES: &str = "/api/v1/pipelines";
/// One pipeline with its jobs.
pub const PIPELINE: &str = "/api/v1/pipelines/{pipeline}";
/// Stops a pipeline.
pub const PIPELINE_CANCEL: &str = "/api/v1/pipelines/{pipeline}/cancel";
/// Runs the jobs again that did not succeed.
pub const PIPELINE_RETRY: &str = "/api/v1/pipelines/{pipeline}/retry";
/// Lets a pipeline start that waits for a person: one of a fork.
pub const PIPELINE_APPROVE: &str = "/api/v1/pipelines/{pipeline}/approve";

/// All jobs, newest first.
pub const JOBS: &str = "/api/v1/jobs";
/// One job with its attempts.
pub const JOB: &str = "/api/v1/jobs/{job}";
/// Stops a job.
pub const JOB_CANCEL: &str = "/api/v1/jobs/{job}/cancel";
/// Runs a job again.
pub const JOB_RETRY: &str = "/api/v1/jobs/{job}/retry";
/// Lets a job run that waits for a person.
pub const JOB_APPROVE: &str = "/api/v1/jobs/{job}/approve";

/// Takes an attempt on.
pub const ACCEPT: &str = "/api/v1/jobs/{job}/attempts/{attempt}/accept";
/// Ends it.
pub const FINISH: &str = "/api/v1/jobs/{job}/attempts/{attempt}/finish";
/// Gives it back.
pub const RELEASE: &str = "/api/v1/jobs/{job}/attempts/{attempt}/release";
/// Its events.
pub const EVENTS: &str = "/api/v1/jobs/{job}/attempts/{attempt}/events";
/// Its events as they come.
pub const EVENTS_FOLLOW: &str = "/api/v1/jobs/{job}/attempts/{attempt}/events/follow";
/// One stream of its logs.
pub const LOG: &str = "/api/v1/jobs/{job}/attempts/{attempt}/logs/{name}";
/// One stream as it grows.
pub const LOG_FOLLOW: &str = "/api/v1/jobs/{job}/attempts/{attempt}/logs/{name}/follow";

/// What a job has left for others to fetch.
pub const ARTIFACTS: &str = "/api/v1/jobs/{job}/artifacts";
/// The archive of one artifact.
pub const ARTIFACT: &str = "/api/v1/jobs/{job}/attempts/{attempt}/artifacts/{name}";

/// The secrets of a repository, or of the whole server: their names.
pub const SECRETS: &str = "/api/v1/secrets";
/// One secret.
pub const SECRET: &str = "/api/v1/secrets/{secret}";
/// What an attempt starts from.
pub const CACHE_FIND: &str = "/api/v1/jobs/{job}/attempts/{attempt}/caches";
/// The archive of a cache that was found for it.
pub const CACHE_ARCHIVE: &str = "/api/v1/jobs/{job}/attempts/{attempt}/caches/{cache}";
/// All caches.
pub const CACHES: &str = "/api/v1/caches";
/// One cache.
pub const CACHE: &str = "/api/v1/caches/{cache}";

/// All tokens.
pub const TOKENS: &str = "/api/v1/tokens";
/// One token.
pub const TOKEN: &str = "/api/v1/tokens/{token}";

/// The header with the offset of a piece of a log, decimal.
pub const OFFSET_HEADER: &str = "slipway-offset";

/// Fills a template in: `{name}` by name.
fn fill(template: &str, values: &[(&str, &dyn Display)]) -> String {
    let mut path = template.to_owned();
    for (name, value) in values {
        path = path.replacen(&format!("{{{name}}}"), &value.to_string(), 1);
    }
    path
}

/// [`AGENT`] or [`AGENT_DRAIN`] of an agent.
#[must_use]
pub fn of_agent(template: &str, agent: AgentId) -> String {
    fill(template, &[("agent", &agent)])
}

/// [`PIPELINE`], [`PIPELINE_CANCEL`], [`PIPELINE_RETRY`] or [`PIPELINE_APPROVE`] of a pipeline.
#[must_use]
pub fn of_pipeline(template: &str, pipeline: PipelineId) -> String {
    fill(template, &[("pipeline", &pipeline)])
}

/// [`JOB`], [`JOB_CANCEL`], [`JOB_RETRY`], [`JOB_APPROVE`] or [`ARTIFACTS`] of a job.
#[must_use]
pub fn of_job(template: &str, job: JobId) -> String {
    fill(template, &[("job", &job)])
}

/// [`ACCEPT`], [`FINISH`], [`RELEASE`], [`EVENTS`], [`EVENTS_FOLLOW`] or [`CACHE_FIND`] of an attempt.
#[must_use]
pub fn of_attempt(template: &str, attempt: AttemptId) -> String {
    fill(
        template,
        &[("job", &attempt.job), ("attempt", &attempt.attempt)],
    )
}

/// [`CACHE_ARCHIVE`] of a cache, for an attempt.
#[must_use]
pub fn of_cache_archive(attempt: AttemptId, cache: CacheId) -> String {
    fill(
        CACHE_ARCHIVE,
        &[
            ("job", &attempt.job),
            ("attempt", &attempt.attempt),
            ("cache", &cache),
        ],
    )
}

/// [`CACHE`] of a cache.
#[must_use]
pub fn of_cache(cache: CacheId) -> String {
    fill(CACHE, &[("cache", &cache)])
}

/// [`LOG`] or [`LOG_FOLLOW`] of a stream. A stream's name needs no escaping.
#[must_use]
pub fn of_log(template: &str, attempt: AttemptId, name: &StreamName) -> String {
    fill(
        template,
        &[
            ("job", &attempt.job),
            ("attempt", &attempt.attempt),
            ("name", name),
        ],
    )
}

/// [`ARTIFACT`] of an attempt, by its name, which needs no escaping.
#[must_use]
pub fn of_artifact(attempt: AttemptId, name: &str) -> String {
    fill(
        ARTIFACT,
        &[
            ("job", &attempt.job),
            ("attempt", &attempt.attempt),
            ("name", &name),
        ],
    )
}

/// [`SECRETS`] of a repository, or of the whole server.
#[must_use]
pub fn of_secrets(repository: Option<&str>) -> String {
    with_repository(SECRETS.to_owned(), repository)
}

/// [`SECRET`] of a repository, or of the whole server, by its name, which needs no escaping.
#[must_use]
pub fn of_secret(name: &str, repository: Option<&str>) -> String {
    with_repository(fill(SECRET, &[("secret", &name)]), repository)
}

/// Which repository is meant, behind the `?`.
fn with_repository(mut path: String, repository: Option<&str>) -> String {
    let Some(repository) = repository else {
        return path;
    };
    path.push_str("?repository=");
    for byte in repository.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                path.push(char::from(byte));
            }
            _ => path += &format!("%{byte:02X}"),
        }
    }
    path
}

/// [`TOKEN`] of a token.
#[must_use]
pub fn of_token(token: TokenId) -> String {
    fill(TOKEN, &[("token", &token)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_are_filled_in_completely() {
        let attempt = AttemptId {
            job: JobId(12),
            attempt: 3,
        };
        let name: StreamName = "step-4.times".parse().unwrap();
        assert_eq!(
            of_log(LOG_FOLLOW, attempt, &name),
            "/api/v1/jobs/12/attempts/3/logs/step-4.times/follow"
        );
        for path in [
            of_attempt(ACCEPT, attempt),
            of_attempt(EVENTS_FOLLOW, attempt),
            of_job(JOB_APPROVE, attempt.job),
            of_job(ARTIFACTS, attempt.job),
            of_artifact(attempt, "binary"),
            of_pipeline(PIPELINE_RETRY, PipelineId(1)),
            of_agent(AGENT_DRAIN, AgentId(1)),
            of_token(TokenId(1)),
            of_secret("TOKEN", None),
        ] {
            assert!(!path.contains(['{', '}']), "{path}");
        }
        assert_eq!(
            of_secrets(Some("https://host/a b?c")),
            "/api/v1/secrets?repository=https%3A%2F%2Fhost%2Fa%20b%3Fc"
        );
    }
}
