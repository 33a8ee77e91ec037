//! `agent lint`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// Check a pipeline without running it.
#[derive(Debug, Clone, Args)]
pub struct Lint {
    /// A pipeline file, `-` for standard input, or a directory in which, or in whose parents, `.pipeline.yml` is looked for
    #[arg(value_name = "FILE|DIR", default_value = ".")]
    pub path: PathBuf,

    /// Take warnings for errors
    #[arg(long)]
    pub strict: bool,

    /// What to print diagnostics as; all but `human` go to standard output
    #[arg(long, value_enum, default_value_t = LintFormat::Human)]
    pub format: LintFormat,
}

/// What diagnostics are printed as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LintFormat {
    /// Snippets of the file
    Human,
    /// A list of objects
    Json,
    /// SARIF 2.1.0, for code scanning
    Sarif,
    /// Workflow commands, for annotations of GitHub Actions
    Github,
}
