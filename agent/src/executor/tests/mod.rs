//! The executor against a scripted backend, under a paused clock: nothing here waits for real time.

mod artifacts;
mod caches;
mod conditions;
mod harness;
mod images;
mod logs;
mod services;
mod steps;
mod stopping;
