//! `agent lint`.

use std::path::PathBuf;

use clap::Args;

/// Check a pipeline without running it.
#[derive(Debug, Clone, Args)]
pub struct Lint {
    /// A pipeline file, or a directory in which, or in whose parents, `.pipeline.yml` is looked for
    #[arg(value_name = "FILE|DIR", default_value = ".")]
    pub path: PathBuf,

    /// Take warnings for errors
    #[arg(long)]
    pub strict: bool,
}
