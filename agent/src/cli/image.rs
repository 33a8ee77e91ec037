//! `agent images`, `agent image ..`, `agent df`: what the store holds, and what can be done with it.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use clap_complete::ArgValueCompleter;
use pipelines::units;

use super::{ImagePull, candidates};

/// What can be done with images.
#[derive(Debug, Clone, Subcommand)]
pub enum Image {
    /// List images
    #[command(visible_alias = "list")]
    Ls(ImageList),
    /// Fetch an image, or what has changed of it
    Pull(ImagePull),
    /// Print everything that is known of images
    Inspect(ImageInspect),
    /// Give an image a further name
    Tag(ImageTag),
    /// Forget names of images, and remove what nothing else needs
    #[command(visible_alias = "remove")]
    Rm(ImageRemove),
    /// Remove what is not needed any more
    Prune(ImagePrune),
    /// Write images to an archive, for other engines and machines
    Save(ImageSave),
    /// Take images from an archive
    Load(ImageLoad),
    /// Check that images are what they were when they were pulled
    Verify(ImageVerify),
}

/// How images are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ListFormat {
    /// For people
    Table,
    /// For programs
    Json,
}

/// List images, the last used first.
#[derive(Debug, Clone, Args)]
pub struct ImageList {
    /// How to print them
    #[arg(long, value_enum, default_value_t = ListFormat::Table)]
    pub format: ListFormat,

    /// Print ids only
    #[arg(long, short, conflicts_with = "format")]
    pub quiet: bool,

    /// Print ids and digests whole
    #[arg(long)]
    pub no_trunc: bool,

    /// All are listed anyway; for hands that know Docker
    #[arg(long, short, hide = true)]
    pub all: bool,

    /// Only images whose name contains this
    #[arg(value_name = "NAME")]
    pub name: Option<String>,
}

/// Print everything that is known of images: a list of JSON objects.
#[derive(Debug, Clone, Args)]
pub struct ImageInspect {
    /// The only way there is
    #[arg(long, value_name = "json", value_parser = ["json"], hide = true)]
    pub format: Option<String>,

    /// Names, or beginnings of ids
    #[arg(value_name = "IMAGE", required = true, add = ArgValueCompleter::new(candidates::images))]
    pub images: Vec<String>,
}

/// Give an image a further name. No registry is asked about that name: it stands for the image on this machine.
#[derive(Debug, Clone, Args)]
pub struct ImageTag {
    /// How to print what came of it
    #[arg(long, value_enum, default_value_t = ListFormat::Table)]
    pub format: ListFormat,

    /// Its name, or the beginning of its id
    #[arg(value_name = "IMAGE", add = ArgValueCompleter::new(candidates::images))]
    pub image: String,

    /// The further name
    #[arg(value_name = "NAME")]
    pub name: String,
}

/// Forget names of images, and remove the layers that no other image has. What a running container needs stays until it is
/// over.
#[derive(Debug, Clone, Args)]
pub struct ImageRemove {
    /// By id, forget all of the image's names when it has several; say nothing of images that are not there
    #[arg(long, short)]
    pub force: bool,

    /// Print what was done as JSON
    #[arg(long, value_enum, default_value_t = ListFormat::Table)]
    pub format: ListFormat,

    /// Names, or beginnings of ids
    #[arg(value_name = "IMAGE", required = true, add = ArgValueCompleter::new(candidates::images))]
    pub images: Vec<String>,
}

/// Remove what is not needed any more: layers that no image has, and what crashes left. With options images, too, but
/// nothing that a running container or a pull uses.
#[derive(Debug, Clone, Args)]
pub struct ImagePrune {
    /// All images
    #[arg(long, short)]
    pub all: bool,

    /// Images that were not used for so long, such as 7d
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    pub older_than: Option<Duration>,

    /// The images used longest ago, until the rest takes at most so much, such as 10GiB
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub max_size: Option<u64>,

    /// Only say what would go
    #[arg(long)]
    pub dry_run: bool,

    /// How to print it
    #[arg(long, value_enum, default_value_t = ListFormat::Table)]
    pub format: ListFormat,

    /// Nothing is asked; for hands that know Docker
    #[arg(long, short, hide = true)]
    pub force: bool,
}

/// Write images to an archive, for other engines and machines.
#[derive(Debug, Clone, Args)]
pub struct ImageSave {
    /// The file; standard output without this
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,

    /// For whom
    #[arg(long, value_enum, default_value_t = ArchiveFormat::DockerArchive)]
    pub format: ArchiveFormat,

    /// Print what was written as JSON, on standard output or, where the archive goes there, on standard error
    #[arg(long)]
    pub json: bool,

    /// Say nothing on the way
    #[arg(long, short)]
    pub quiet: bool,

    /// Names, or beginnings of ids
    #[arg(value_name = "IMAGE", required = true, add = ArgValueCompleter::new(candidates::images))]
    pub images: Vec<String>,
}

/// Kinds of archives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ArchiveFormat {
    /// What `docker load`, `podman load` and skopeo read; an OCI layout as well, as Docker writes it
    DockerArchive,
    /// An OCI image layout, and nothing else
    OciArchive,
}

/// Take images from an archive of `save`, `docker save`, `podman save` or `skopeo copy`, under the names that they have
/// there. No registry is asked about such names.
#[derive(Debug, Clone, Args)]
pub struct ImageLoad {
    /// The file; standard input without this
    #[arg(long, short, value_name = "FILE")]
    pub input: Option<PathBuf>,

    /// Call the image so, whatever it is called there
    #[arg(long, value_name = "NAME")]
    pub tag: Option<String>,

    /// Say nothing on the way
    #[arg(long, short)]
    pub quiet: bool,

    /// How to print what was loaded
    #[arg(long, value_enum, default_value_t = ListFormat::Table)]
    pub format: ListFormat,
}

/// Check that images are what they were when they were pulled: documents by their digests, the content of layers by their
/// diff IDs, modes, owners, times and links of files by what the layer's archive says.
#[derive(Debug, Clone, Args)]
pub struct ImageVerify {
    /// Remove damaged layers that nobody uses, so that the next pull fetches them anew
    #[arg(long)]
    pub repair: bool,

    /// How to print it
    #[arg(long, value_enum, default_value_t = ListFormat::Table)]
    pub format: ListFormat,

    /// Say nothing of images that are whole
    #[arg(long, short)]
    pub quiet: bool,

    /// Names, or beginnings of ids; all images without any
    #[arg(value_name = "IMAGE", add = ArgValueCompleter::new(candidates::images))]
    pub images: Vec<String>,
}

/// Say what the agent's data takes, and how much of it could go.
#[derive(Debug, Clone, Args)]
pub struct Df {
    /// How to print it
    #[arg(long, value_enum, default_value_t = ListFormat::Table)]
    pub format: ListFormat,
}

fn size(text: &str) -> Result<u64, String> {
    units::size(text).ok_or_else(|| "it is not a size such as 512MiB".to_owned())
}
