//! `agent server`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// Run a server: it takes pipelines in and hands their jobs to agents.
///
/// What is not given is read from the environment, then from the configuration file, and has a default otherwise.
#[derive(Debug, Clone, Default, Args)]
pub struct Server {
    /// Where to listen [default: 127.0.0.1:8700]
    #[arg(long, value_name = "ADDRESS:PORT", env = "SLIPWAY_SERVER_LISTEN")]
    pub listen: Option<SocketAddr>,

    /// The data directory [default: `server` in the agent's data directory]
    #[arg(long, value_name = "DIR", env = "SLIPWAY_SERVER_DATA")]
    pub data: Option<PathBuf>,

    /// The database: `sqlite:PATH` or `postgres://USER:PASSWORD@HOST/NAME` [default: SQLite in the data directory]
    #[arg(
        long,
        value_name = "URL",
        env = "SLIPWAY_SERVER_DATABASE",
        hide_env_values = true
    )]
    pub database: Option<String>,

    /// Where logs are kept: a directory or `s3://BUCKET/PREFIX` [default: `logs` in the data directory]
    #[arg(long, value_name = "URL", env = "SLIPWAY_SERVER_STORAGE")]
    pub storage: Option<String>,

    /// The configuration file [default: `server.yml` in the data directory, which may be missing]
    #[arg(long, value_name = "FILE", env = "SLIPWAY_SERVER_CONFIG")]
    pub config: Option<PathBuf>,

    /// A file with the keys that secrets are encrypted with, one a line, base64 of 32 bytes [default with SQLite: `secret-key` in
    /// the data directory, made when it is not there]
    #[arg(long, value_name = "FILE", env = "SLIPWAY_SERVER_SECRET_KEY_FILE")]
    pub secret_key_file: Option<PathBuf>,

    /// Certificate chain for TLS, PEM
    #[arg(
        long,
        value_name = "FILE",
        requires = "tls_key",
        env = "SLIPWAY_SERVER_TLS_CERTIFICATE"
    )]
    pub tls_certificate: Option<PathBuf>,

    /// The certificate's key, PEM
    #[arg(
        long,
        value_name = "FILE",
        requires = "tls_certificate",
        env = "SLIPWAY_SERVER_TLS_KEY"
    )]
    pub tls_key: Option<PathBuf>,

    /// Where traces of pipelines go, by OTLP over HTTP: `http://collector:4318` [default: nowhere]
    #[arg(long, value_name = "URL", env = "OTEL_EXPORTER_OTLP_ENDPOINT")]
    pub otlp_endpoint: Option<String>,

    /// The whole address instead; from the environment.
    #[arg(long, hide = true, env = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")]
    pub otlp_traces_endpoint: Option<String>,

    /// Headers of each request, `name=value,..`; from the environment.
    #[arg(
        long,
        hide = true,
        hide_env_values = true,
        env = "OTEL_EXPORTER_OTLP_HEADERS"
    )]
    pub otlp_headers: Option<String>,

    /// What the service is called; from the environment.
    #[arg(long, hide = true, env = "OTEL_SERVICE_NAME")]
    pub otlp_service: Option<String>,

    /// What the server's own log is written as, on standard error [default: text]
    #[arg(long, value_enum, env = "SLIPWAY_SERVER_LOG_FORMAT")]
    pub log_format: Option<LogFormat>,

    /// Take repositories of this machine: of its disk, as a path or a `file` URL, and of its own servers
    #[arg(long, env = "SLIPWAY_SERVER_ALLOW_FILE_REPOSITORIES")]
    pub allow_file_repositories: bool,
}

/// What a log is written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Lines for people
    Text,
    /// An object a line, for programs
    Json,
}
