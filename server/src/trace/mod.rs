//! Traces of pipelines for OpenTelemetry: one a pipeline, made when it is over from what the database has, sent by OTLP.
//!
//! ```text
//! export: finds pipelines without a trace --> operation::trace::story --> spans (pure) --> OTLP over HTTP, protobuf
//! ```
//! The database is the queue: no job waits for a collector, and what could not be sent is sent later, for an hour. Ids are
//! derived, so that whoever sends a trace, and however often, it is the same one.

mod export;
mod ids;
mod spans;

use std::fmt;

pub(crate) use export::export;

/// Where traces go.
#[derive(Clone, PartialEq, Eq)]
pub struct Otlp {
    /// The address that traces are posted to: `http://collector:4318/v1/traces`.
    pub endpoint: String,
    /// Headers of each request, with credentials perhaps.
    pub headers: Vec<(String, String)>,
    /// What the collector is to call this service.
    pub service: String,
}

/// What the service is called unless somebody says otherwise.
pub const SERVICE: &str = "slipway";

impl Otlp {
    /// A collector at a base address: `http://collector:4318`.
    #[must_use]
    pub fn at(base: &str) -> Self {
        Self {
            endpoint: format!("{}/v1/traces", base.trim_end_matches('/')),
            headers: Vec::new(),
            service: SERVICE.to_owned(),
        }
    }
}

impl fmt::Debug for Otlp {
    /// Without the values of headers.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.headers.iter().map(|(name, _)| name);
        f.debug_struct("Otlp")
            .field("endpoint", &self.endpoint)
            .field("headers", &names.collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}
