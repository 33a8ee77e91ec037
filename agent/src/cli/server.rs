//! Where the server is, and who asks: the same for every command that talks to one.

use std::path::PathBuf;

use clap::Args;

/// Where the server is, and who asks. An option wins over its variable, and that over the configuration file.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Server")]
pub struct ServerOptions {
    /// The server's address, for example https://ci.example.org
    #[arg(long, value_name = "URL", env = "SLIPWAY_SERVER")]
    pub server: Option<String>,
    /// The token
    #[arg(
        long,
        value_name = "TOKEN",
        env = "SLIPWAY_TOKEN",
        hide_env_values = true
    )]
    pub token: Option<String>,
    /// A file with the token
    #[arg(long, value_name = "FILE", env = "SLIPWAY_TOKEN_FILE")]
    pub token_file: Option<PathBuf>,
    /// A file with certificate authorities to trust, in PEM
    #[arg(long, value_name = "FILE", env = "SLIPWAY_CA_FILE")]
    pub ca_file: Option<PathBuf>,
}
