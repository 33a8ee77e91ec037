//! The system tests, a subject a file. Each drives the built binary as a user would and says in its name what holds.

mod bad_input;
mod broken_registries;
mod images;
mod isolation;
mod jobs;
mod own_pipeline;
mod package;
mod processes;
mod registries;
mod stopping;
mod support;
mod workspace;
