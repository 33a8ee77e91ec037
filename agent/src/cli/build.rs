//! `agent build`.

use std::path::PathBuf;

use clap::Args;

use super::NetworkMode;

/// Build an image from a Dockerfile.
///
/// Prints the image's name: the first of `--tag`, or one of its id. What goes on is told on standard error.
#[derive(Debug, Clone, Args)]
pub struct Build {
    /// Call the image so; may be given more than once
    #[arg(long = "tag", short = 't', value_name = "NAME")]
    pub tags: Vec<String>,

    /// The Dockerfile; `-` for standard input [default: CONTEXT/Dockerfile]
    #[arg(long, short, value_name = "FILE")]
    pub file: Option<PathBuf>,

    /// Build up to this stage [default: the last]
    #[arg(long, value_name = "STAGE")]
    pub target: Option<String>,

    /// Give an `ARG` a value, or the one of the agent's own environment; may be given more than once
    #[arg(long = "build-arg", value_name = "NAME[=VALUE]")]
    pub args: Vec<String>,

    /// Make everything anew, whatever was made before
    #[arg(long)]
    pub no_cache: bool,

    /// Ask registries about the images that are built on, even when they are here
    #[arg(long)]
    pub pull: bool,

    /// Which network its commands see
    #[arg(long, value_enum, default_value_t = NetworkMode::Default)]
    pub network: NetworkMode,

    /// Tell nothing but what went wrong
    #[arg(long, short)]
    pub quiet: bool,

    /// Write the image's id to this file
    #[arg(long, value_name = "FILE")]
    pub iidfile: Option<PathBuf>,

    /// The directory that `COPY` takes files from; `-` for none, and the Dockerfile on standard input
    #[arg(value_name = "CONTEXT")]
    pub context: PathBuf,
}
