use clap::Args;

/// For what fetches repositories: standard input says what to fetch.
#[derive(Debug, Args)]
pub struct GitTransport {}
