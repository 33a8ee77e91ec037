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

/// Starts a server's own log on standard error, from `info` on unless `SLIPWAY_LOG` says otherwise: lines for people, or an
/// object a line.
///
/// # Errors
/// `SLIPWAY_LOG` is not a filter.
pub fn start_server(as_json: bool) -> Result<(), InvalidFilter> {
    let filter = std::env::var("SLIPWAY_LOG").unwrap_or_else(|_| "info".to_owned());
    let filter: Targets = filter
        .parse()
        .map_err(|source| InvalidFilter { filter, source })?;
    let registry = tracing_subscriber::registry().with(filter);
    match as_json {
        true => registry
            .with(
                tracing_subscriber::fmt::layer()
                    .json()
                    .with_writer(std::io::stderr),
            )
            .init(),
        false => registry
            .with(
                tracing_subscriber::fmt::layer()
                    .with_ansi(false)
                    .with_writer(std::io::stderr),
            )
            .init(),
    }
    Ok(())
}

/// `SLIPWAY_LOG` is not a filter.
#[derive(Debug, thiserror::Error)]
#[error("failed to understand SLIPWAY_LOG={filter:?}: {source}")]
pub struct InvalidFilter {
    filter: String,
    source: tracing_subscriber::filter::ParseError,
}
