//! Expressions and templates through the public interface.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests; a panic is their way to fail"
)]

mod checks;
mod evaluation;
mod facts;
mod properties;
mod reading;
mod templates;
