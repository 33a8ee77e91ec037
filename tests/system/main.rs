//! The system tests, a subject a file. Each drives the built binary as a user would and says in its name what holds.

mod isolation;
mod jobs;
mod processes;
mod stopping;
mod support;
mod workspace;
