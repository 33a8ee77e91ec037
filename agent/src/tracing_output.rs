//! The agent's own diagnostics, for its developers: on standard error when `SLIPWAY_LOG` asks for them.

use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// Starts to write diagnostics as `filter` says: a level (`debug`), or levels by module
/// (`agent::executor=trace,runtime=debug`).
pub fn start(filter: &str) -> Result<(), InvalidFilter> {
    let filter: Targets = filter.parse().map_err(|source| InvalidFilter {
        filter: filter.to_owned(),
        source,
    })?;
    tracing_subscriber::registry()
        .with(tracing_subscriber::fmt::layer().with_writer(std::io::stderr))
        .with(filter)
        .init();
    Ok(())
}

/// `SLIPWAY_LOG` is not a filter.
#[derive(Debug, thiserror::Error)]
#[error("failed to understand SLIPWAY_LOG={filter:?}: {source}")]
pub struct InvalidFilter {
    filter: String,
    source: tracing_subscriber::filter::ParseError,
}
