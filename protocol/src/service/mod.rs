//! What passes between a server, its agents and its users.
//!
//! ```text
//! agent   register -> acquire -> accept -> (events | log | heartbeat)* -> finish | release
//! user    submit -> pipelines, jobs, events, logs; cancel, retry, approve; agents, drain; tokens
//! ```
//! HTTP with JSON; a log is bytes. [`path`] has every address, [`version`] what both sides must agree on, [`Problem`]
//! every refusal. Fields are only ever added, and unknown ones are passed over: an older program reads what a newer one
//! writes. Sizes are bounded by [`limits`]. Times are Unix milliseconds of the server's clock.

mod agent;
mod artifact;
mod assignment;
mod attempt;
mod cache;
mod checksum;
mod id;
mod job;
pub mod limits;
pub mod path;
mod pipeline;
mod problem;
mod secret;
mod stream;
mod submission;
mod token;
mod trigger;
pub mod version;

pub use agent::{Acquire, AgentDescription, AgentInfo, AgentState, Agents, Drain, Registered};
pub use artifact::{Artifact, ArtifactEnd, Artifacts};
pub use assignment::{Assignment, Need, Source, Terms};
pub use attempt::{
    EventBatch, EventPage, EventsKept, Finish, Heartbeat, HeartbeatAnswer, LogEnd, LogKept,
    LogPiece, Order, Release, ReleaseReason, Standing,
};
pub use cache::{Cache, CacheAnswer, CacheEnd, CacheFound, CacheId, CacheQuery, Caches};
pub use checksum::{BLOCK, BlockHasher, Checksum, ChecksumError};
pub use id::{AgentId, AttemptId, JobId, PipelineId, TokenId};
pub use job::{Attempt, AttemptState, Job, JobState, JobSummary, Jobs, StreamInfo, Waiting};
pub use pipeline::{Pipeline, PipelineState, PipelineSummary, Pipelines};
pub use problem::{Missing, Problem, ProblemCode};
pub use secret::{Secret, SecretText, Secrets, SetSecret, Withheld, is_secret_name};
pub use stream::{StreamKind, StreamName, StreamNameError};
pub use submission::{Retry, Submit, Submitted};
pub use token::{CreateToken, CreatedToken, Role, Token, TokenKind, Tokens};
pub use trigger::Trigger;
