//! `agent pull`.

use clap::Args;
use clap_complete::ArgValueCompleter;

use super::{ListFormat, candidates};

/// Fetch an image, or what has changed of it.
///
/// Prints the digest that its name stands for now; images that have none, such as a bare archive, print nothing.
#[derive(Debug, Clone, Args)]
pub struct ImagePull {
    /// Say nothing on the way
    #[arg(long, short)]
    pub quiet: bool,

    /// How to print what came of it
    #[arg(long, value_enum, default_value_t = ListFormat::Table)]
    pub format: ListFormat,

    /// The image, as `image:` in a pipeline has it
    #[arg(value_name = "IMAGE", add = ArgValueCompleter::new(candidates::images))]
    pub image: String,
}
