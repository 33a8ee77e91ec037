//! `agent login` and `agent logout`.

use clap::Args;

use super::ListFormat;

/// Check a log-in with a registry and keep it, where `docker login` would.
#[derive(Debug, Clone, Args)]
pub struct Login {
    /// The user's name; asked for on a terminal without this
    #[arg(long, short, value_name = "USER")]
    pub username: Option<String>,

    /// Take the password or token from standard input; asked for on a terminal without this
    #[arg(long)]
    pub password_stdin: bool,

    /// How to print what came of it
    #[arg(long, value_enum, default_value_t = ListFormat::Table)]
    pub format: ListFormat,

    /// The registry, such as ghcr.io or registry.example:5000
    #[arg(value_name = "REGISTRY", default_value = "docker.io")]
    pub registry: String,
}

/// Forget a log-in.
#[derive(Debug, Clone, Args)]
pub struct Logout {
    /// How to print what came of it
    #[arg(long, value_enum, default_value_t = ListFormat::Table)]
    pub format: ListFormat,

    /// The registry
    #[arg(value_name = "REGISTRY", default_value = "docker.io")]
    pub registry: String,
}
