//! The service as agents and users meet it: a real server over loopback, and agents that only pretend to run jobs.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod access;
mod api;
mod artifacts;
mod backup;
mod bounds;
mod caches;
mod caches_room;
mod database;
mod faults;
mod forks;
mod harness;
#[path = "../../../repository/tests/support/http.rs"]
mod http_backend;
mod logs;
mod openapi;
mod private;
mod queue;
mod repositories;
mod schemas;
mod secrets;
mod sqlite;
mod traces;
mod upgrade;
