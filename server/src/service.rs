//! What every handler has at hand.

use std::sync::Arc;

use bytes::Bytes;
use protocol::service::{AttemptId, EventPage, PipelineId, Terms as WireTerms};
use tokio::sync::{Semaphore, watch};

use crate::compile::Compiler;
use crate::config::Config;
use crate::database::Database;
use crate::dispatcher::Dispatcher;
use crate::followers::Followers;
use crate::identity::Identities;
use crate::keyring::Keyring;
use crate::limiter::Limiter;
use crate::logs::Logs;
use crate::metrics::Metrics;
use crate::once::Once;
use crate::operation::events::Raw;
use crate::seen::Seen;

/// What is read once for all who ask at the same moment.
#[derive(Debug, Default)]
pub(crate) struct Readings {
    /// Pipelines, as JSON with its tag.
    pub(crate) pipelines: Once<PipelineId, (Bytes, Arc<str>)>,
    /// Whether attempts are over.
    pub(crate) ends: Once<AttemptId, bool>,
    /// Events from a number on.
    pub(crate) events: Once<(AttemptId, u64), Arc<EventPage<Raw>>>,
}

/// The server, as handlers see it. Cloning is cheap.
#[derive(Debug, Clone)]
pub(crate) struct Service {
    pub(crate) config: Arc<Config>,
    pub(crate) database: Database,
    pub(crate) logs: Logs,
    pub(crate) dispatcher: Dispatcher,
    pub(crate) identities: Arc<Identities>,
    /// Without it no secrets are kept.
    pub(crate) keyring: Option<Arc<Keyring>>,
    pub(crate) limiter: Arc<Limiter>,
    /// Readers that wait.
    pub(crate) followers: Arc<Followers>,
    /// What several of them read at once.
    pub(crate) readings: Arc<Readings>,
    pub(crate) compiler: Arc<Compiler>,
    /// How many submissions are fetched and compiled at once; the others wait.
    pub(crate) compiling: Arc<Semaphore>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) seen: Arc<Seen>,
    /// True once the server is to end: long answers end then.
    pub(crate) ending: watch::Receiver<bool>,
}

impl Service {
    /// As an assignment says them.
    pub(crate) fn terms(&self) -> WireTerms {
        terms(&self.config)
    }

    /// How long nothing may be heard of an agent that counts as online, milliseconds.
    pub(crate) fn patience_ms(&self) -> u64 {
        u64::try_from(patience(&self.config).as_millis()).unwrap_or(u64::MAX / 2)
    }
}

/// How long nothing may be heard of an agent that counts as online: one that holds nothing is heard of when its long poll is over.
pub(crate) fn patience(config: &Config) -> std::time::Duration {
    config.terms.lease.saturating_add(config.terms.wait)
}

pub(crate) fn terms(config: &Config) -> WireTerms {
    let ms = |length: std::time::Duration| u64::try_from(length.as_millis()).unwrap_or(u64::MAX);
    WireTerms {
        accept_ms: ms(config.terms.accept),
        lease_ms: ms(config.terms.lease),
        heartbeat_ms: ms(config.terms.heartbeat),
        log_bytes: config.retention.bytes(),
        artifact_bytes: config.artifacts.bytes,
        cache_bytes: config.caches.bytes,
        artifacts_bytes: config.artifacts.of_attempt().0,
    }
}
