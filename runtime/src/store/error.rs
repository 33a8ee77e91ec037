//! Why there is no image to run, sorted by what can be done about it.

use std::io;
use std::path::{Path, PathBuf};

use crate::image::{ConfigError, Digest, ManifestError};
use crate::layer::UnpackError;
use crate::registry;
use crate::transport::{LocalError, TransportError};

/// Why there is no image to run.
#[derive(Debug, thiserror::Error)]
pub enum PullError {
    /// `host` has no layers; its root is put together from the machine's directories.
    #[error("the image `host` is not pulled")]
    Host,
    /// The registry did not give it.
    #[error("failed to pull{colon} {0}", colon = colon(.0))]
    Registry(#[from] registry::Error),
    /// The files are not there, or not an image.
    #[error("failed to load {image}: {source}")]
    Local {
        /// The source.
        image: String,
        /// Why.
        source: LocalError,
    },
    /// The image's manifest cannot be used.
    #[error("failed to pull {image}: {source}")]
    Manifest {
        /// The source.
        image: String,
        /// Why.
        source: ManifestError,
    },
    /// The image's configuration cannot be used.
    #[error("failed to pull {image}: {source}")]
    Config {
        /// The source.
        image: String,
        /// Why.
        source: ConfigError,
    },
    /// A layer cannot be unpacked.
    #[error("failed to unpack {} of {image}: {source}", named(layer.as_ref()))]
    Unpack {
        /// The source.
        image: String,
        /// Its diff ID; `None` for a bare archive.
        layer: Option<Digest>,
        /// Why.
        source: UnpackError,
    },
    /// A layer's content is not what the configuration says.
    #[error(
        "failed to unpack a layer of {image}: its content has the diff ID {actual}, not {expected}"
    )]
    DiffId {
        /// The source.
        image: String,
        /// The configuration's.
        expected: Digest,
        /// The content's.
        actual: Digest,
    },
    /// A name that was given on this machine, of an image that is not whole any more: what a registry has under it may be
    /// anything.
    #[error(
        "the image {0} was loaded or tagged on this machine and is not whole here; load it again, or give the registry's by `agent pull`"
    )]
    LocalName(String),
    /// The store itself.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Most errors begin with the image's name; the others are not about one.
const fn colon(error: &registry::Error) -> &'static str {
    use registry::Error;
    match error {
        Error::Mirror { .. }
        | Error::Blocked { .. }
        | Error::Registry(_)
        | Error::Credentials(_)
        | Error::Authorities(_)
        | Error::Setup(_) => ":",
        _ => "",
    }
}

fn named(layer: Option<&Digest>) -> String {
    layer.map_or_else(|| "the files".to_owned(), |layer| format!("layer {layer}"))
}

/// What the store could not do.
#[derive(Debug, thiserror::Error)]
#[error("failed to {attempt} {}: {source}", path.display())]
pub struct StoreError {
    attempt: Attempt,
    path: PathBuf,
    source: io::Error,
}

/// What the store tried.
#[derive(Debug, Clone, Copy)]
pub(super) enum Attempt {
    MakeDirectory,
    List,
    Lock,
    Read,
    Write,
    Remove,
    Keep,
    Pipe,
}

impl std::fmt::Display for Attempt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::MakeDirectory => "make the store's directory",
            Self::List => "list the store's directory",
            Self::Lock => "lock",
            Self::Read => "read",
            Self::Write => "write",
            Self::Remove => "remove",
            Self::Keep => "keep the unpacked layer",
            Self::Pipe => "make a pipe for",
        })
    }
}

/// What can be done about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// Try again later: the registry is down, unreachable or over its limit.
    Unavailable,
    /// Log in, or check the name.
    Unauthorized,
    /// Check the name, the tag, the path.
    NotFound,
    /// What a registry delivered is damaged or forged.
    Corrupt,
    /// A file on this machine is damaged, or not what it was said to be.
    Damaged,
    /// The image is fine, but not for this program or machine.
    Unsupported,
    /// Make room: disk, quota or inodes.
    NoSpace,
    /// The machine refuses: permissions, a read-only file system, descriptors.
    Io,
    /// Mend the configuration.
    Setting,
}

impl StoreError {
    pub(super) fn new(attempt: Attempt, path: &Path, source: io::Error) -> Self {
        Self {
            attempt,
            path: path.to_owned(),
            source,
        }
    }
}

impl PullError {
    pub(super) fn new(image: &str, error: TransportError) -> Self {
        let image = image.to_owned();
        match error {
            TransportError::Registry(error) => Self::Registry(error),
            TransportError::Local(source) => Self::Local { image, source },
            TransportError::Manifest(source) => Self::Manifest { image, source },
            TransportError::Config(source) => Self::Config { image, source },
        }
    }

    /// What can be done about it.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self.kind_of_fault() {
            ErrorKind::Corrupt if self.is_of_a_file() => ErrorKind::Damaged,
            kind => kind,
        }
    }

    /// No registry has delivered it: the image is named as [`crate::image::Source`] prints it, or by its file.
    fn is_of_a_file(&self) -> bool {
        match self {
            Self::Local { .. } => true,
            Self::Manifest { image, .. }
            | Self::Config { image, .. }
            | Self::Unpack { image, .. }
            | Self::DiffId { image, .. } => !image.starts_with("docker://"),
            Self::Host | Self::Registry(_) | Self::LocalName(_) | Self::Store(_) => false,
        }
    }

    fn kind_of_fault(&self) -> ErrorKind {
        match self {
            Self::Host => ErrorKind::Unsupported,
            Self::LocalName(_) => ErrorKind::NotFound,
            Self::Registry(error) => of_registry(error),
            Self::Local { source, .. } => of_local(source),
            Self::Manifest { source, .. } => of_manifest(source),
            Self::Config { source, .. } => of_config(source),
            Self::Unpack { source, .. } => of_unpack(source),
            Self::DiffId { .. } => ErrorKind::Corrupt,
            Self::Store(error) => of_io(&error.source),
        }
    }
}

fn of_registry(error: &registry::Error) -> ErrorKind {
    use registry::Error;
    match error {
        Error::Unavailable { .. } => ErrorKind::Unavailable,
        Error::Unauthorized { .. } => ErrorKind::Unauthorized,
        Error::NotFound { .. } => ErrorKind::NotFound,
        Error::Corrupt { .. } => ErrorKind::Corrupt,
        Error::Blocked { .. } => ErrorKind::Unsupported,
        Error::Refused { .. } | Error::Redirect { .. } | Error::Challenge { .. } => {
            ErrorKind::Unavailable
        }
        Error::Mirror { .. }
        | Error::Registry(_)
        | Error::Credentials(_)
        | Error::Authorities(_)
        | Error::Setup(_) => ErrorKind::Setting,
    }
}

fn of_local(error: &LocalError) -> ErrorKind {
    match error {
        LocalError::Read { source, .. } | LocalError::Scratch { source, .. } => of_io(source),
        LocalError::NotAFile { .. }
        | LocalError::Missing { .. }
        | LocalError::NoSuchImage { .. }
        | LocalError::Unnamed { .. }
        | LocalError::Several { .. } => ErrorKind::NotFound,
        LocalError::TooLarge { .. }
        | LocalError::Digest { .. }
        | LocalError::Size { .. }
        | LocalError::Json { .. }
        | LocalError::Layers { .. }
        | LocalError::Unfit { .. }
        | LocalError::Nested => ErrorKind::Corrupt,
        LocalError::Archive { source, .. } => of_unpack(source),
    }
}

fn of_manifest(error: &ManifestError) -> ErrorKind {
    match error {
        ManifestError::Json(_) | ManifestError::TooLarge(_) | ManifestError::Ambiguous => {
            ErrorKind::Corrupt
        }
        ManifestError::Schema(_)
        | ManifestError::MediaType(_)
        | ManifestError::TooManyLayers(_)
        | ManifestError::Platform { .. }
        | ManifestError::Layer(_) => ErrorKind::Unsupported,
    }
}

fn of_config(error: &ConfigError) -> ErrorKind {
    match error {
        ConfigError::Json(_)
        | ConfigError::TooLarge(_)
        | ConfigError::Healthcheck(_)
        | ConfigError::Nul(_) => ErrorKind::Corrupt,
        ConfigError::Rootfs(_) | ConfigError::TooManyLayers(_) | ConfigError::Os(_) => {
            ErrorKind::Unsupported
        }
    }
}

fn of_unpack(error: &UnpackError) -> ErrorKind {
    match error {
        error if error.is_no_space() => ErrorKind::NoSpace,
        UnpackError::Decompress { .. }
        | UnpackError::Malformed { .. }
        | UnpackError::Refused { .. }
        | UnpackError::Limit { .. }
        | UnpackError::FileSystem { .. }
        | UnpackError::Changed { .. }
        | UnpackError::Recording { .. } => ErrorKind::Corrupt,
        UnpackError::Read { .. }
        | UnpackError::Write { .. }
        | UnpackError::System { .. }
        | UnpackError::Late
        | UnpackError::Worker { .. } => ErrorKind::Io,
    }
}

fn of_io(error: &io::Error) -> ErrorKind {
    match error.kind() {
        io::ErrorKind::NotFound => ErrorKind::NotFound,
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ErrorKind::NoSpace,
        io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => ErrorKind::Corrupt,
        _ => ErrorKind::Io,
    }
}
