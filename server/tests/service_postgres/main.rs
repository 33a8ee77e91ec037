//! The same tests as of the service on SQLite, on PostgreSQL; and what only several servers can show.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "../service/api.rs"]
mod api;
#[path = "../service/artifacts.rs"]
mod artifacts;
mod backup;
#[path = "../service/bounds.rs"]
mod bounds;
mod bucket;
#[path = "../service/caches.rs"]
mod caches;
#[path = "../service/caches_room.rs"]
mod caches_room;
mod database;
#[path = "../service/faults.rs"]
mod faults;
#[path = "../service/harness.rs"]
mod harness;
#[path = "../service/logs.rs"]
mod logs;
mod losses;
mod objects;
#[path = "../service/openapi.rs"]
mod openapi;
#[path = "../service/queue.rs"]
mod queue;
mod removal;
mod s3;
#[path = "../service/schemas.rs"]
mod schemas;
#[path = "../service/secrets.rs"]
mod secrets;
mod several;
mod together;
#[path = "../service/traces.rs"]
mod traces;
mod upgrade;
