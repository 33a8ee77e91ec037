//! `agent schema`.

use clap::Args;

/// Print the JSON Schema of `.pipeline.yml`, for editors.
#[derive(Debug, Clone, Args)]
pub struct Schema {}
