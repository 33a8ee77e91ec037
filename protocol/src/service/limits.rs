//! Bounds that both sides know. A server may hold clients to less; it says so in its refusals.

/// The body of a JSON request, bytes.
pub const JSON_BODY: usize = 8 << 20;

/// The body of one piece of a log, bytes.
pub const LOG_PIECE: usize = 4 << 20;

/// Events of one batch.
pub const EVENT_BATCH: usize = 1_000;

/// Events of one attempt.
pub const EVENTS: u64 = 1_000_000;

/// What the events of one attempt have together, as JSON, bytes.
pub const EVENT_BYTES: u64 = 64 << 20;

/// Artifacts of one attempt: as many as a job may ask for.
pub const ARTIFACTS: usize = 64;

/// Caches of one attempt: as many as a job may ask for.
pub const CACHES: usize = 16;

/// Beginnings of keys that a cache may be looked for by.
pub const CACHE_KEYS: usize = 64;

/// Streams of one attempt: the steps' and the services' logs with their times, and archives of artifacts.
pub const STREAMS: usize = 8_192;

/// A name that a person chooses: of an agent, a token, bytes.
pub const NAME: usize = 128;

/// Labels of an agent.
pub const LABELS: usize = 64;

/// A label's name or value, bytes.
pub const LABEL: usize = 256;

/// Slots of an agent.
pub const SLOTS: u32 = 1_024;

/// All outputs of a job, names and values, bytes.
pub const OUTPUTS: usize = 1 << 20;

/// How long an [`acquire`](super::path::ACQUIRE) waits at most, milliseconds.
pub const WAIT_MS: u64 = 60_000;

/// Attempts that an agent can hold at a time, as a heartbeat names them.
pub const HELD: usize = 2_048;

/// A secret's value, bytes: as much as can be masked as a whole.
pub const SECRET: usize = 64 << 10;

/// What is left of a secret's value without the white space around it, at least, bytes: a shorter one could not be masked.
pub const SECRET_LEAST: usize = 4;

/// Branches that may have a secret.
pub const SECRET_BRANCHES: usize = 100;

/// Repositories that one token is for.
pub const TOKEN_REPOSITORIES: usize = 100;
