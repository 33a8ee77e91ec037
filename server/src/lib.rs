//! Slipway's server: takes pipelines in, hands their jobs to agents, and keeps what comes of them.
//!
//! ```text
//! api (HTTP) --> operation (one transaction each) --> queue (the pure policy)
//!     |                  '--> database (SQLite, PostgreSQL)
//!     |--> dispatcher: the one task that knows which agents wait, and offers jobs to them
//!     |--> logs (a directory, objects)
//! sweeper: ends leases that are over | expiry: decides what was kept long enough, room: what is too much | remains: removes it
//! ```
//! A server has no state beside database and storage that it could not lose: agents and users ask again, and every call of
//! theirs may be repeated. Knows the language and the protocol, never a container.

mod api;
mod compile;
mod config;
mod database;
mod dispatcher;
mod expiry;
mod followers;
mod identity;
mod keyring;
mod keys;
mod limiter;
mod logs;
mod metrics;
mod mirrors;
mod once;
mod operation;
mod private;
mod proxies;
mod queue;
mod remains;
mod room;
mod run;
mod scope;
mod secret;
mod seen;
mod service;
mod storage;
mod sweeper;
mod trace;

pub use config::{Artifacts, Caches, Config, ConfigError, Followers, Patience, Storage, Terms};
pub use database::{DatabaseError, Location, OperationError};
pub use keyring::KeyError;
pub use logs::Retention;
pub use proxies::Proxies;
pub use queue::RetryPolicy;
pub use run::{Running, ServerError, Shutdown, start};
pub use trace::{Otlp, SERVICE};
