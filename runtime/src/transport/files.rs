//! Files by name, in a directory or in an archive, read in pieces off the async threads.

use std::collections::HashMap;
use std::fs::File;
use std::os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::archive;
use super::error::LocalError;
use crate::image::{Descriptor, Digest, Hasher};

/// One read, in bytes.
const PIECE: usize = 256 * 1024;

/// Which file it is, and that it has not been written since.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FileIdentity {
    device: u64,
    inode: u64,
    size: u64,
    /// Seconds and nanoseconds.
    modified: (i64, i64),
    changed: (i64, i64),
}

impl FileIdentity {
    pub(crate) fn of(path: &Path) -> Result<Self, LocalError> {
        let metadata = std::fs::metadata(path).map_err(|source| LocalError::Read {
            path: path.to_owned(),
            source,
        })?;
        Ok(Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        })
    }
}

/// Files by name.
#[derive(Debug)]
pub(crate) enum Files {
    /// In a directory.
    Directory(PathBuf),
    /// In a tar archive.
    Archive {
        /// Its path, for messages.
        path: PathBuf,
        /// The archive, uncompressed.
        file: Arc<File>,
        /// Offset and size of each file in it.
        index: HashMap<String, (u64, u64)>,
    },
}

/// A range of a file, read from its start to its end.
#[derive(Debug)]
pub(crate) struct Part {
    path: PathBuf,
    file: Arc<File>,
    offset: u64,
    rest: u64,
    /// What it must be, and what has passed.
    check: Option<(Digest, Hasher)>,
}

impl Files {
    pub(crate) fn directory(path: &Path) -> Self {
        Self::Directory(path.to_owned())
    }

    /// Lists an archive's files; decompresses it into `scratch` if need be.
    pub(crate) async fn archive(path: &Path, scratch: &Path) -> Result<Self, LocalError> {
        let (path, scratch) = (path.to_owned(), scratch.to_owned());
        blocking(move || {
            let file = archive::uncompressed(open(&path)?, &path, &scratch)?;
            let index = archive::index(&file, &path)?;
            Ok(Self::Archive {
                path,
                file: Arc::new(file),
                index,
            })
        })
        .await
    }

    /// A file that is all of what is wanted.
    pub(crate) async fn whole(path: &Path) -> Result<Part, LocalError> {
        let path = path.to_owned();
        blocking(move || {
            let file = open(&path)?;
            let rest = file
                .metadata()
                .map_err(|source| LocalError::Read {
                    path: path.clone(),
                    source,
                })?
                .len();
            Ok(Part {
                path,
                file: Arc::new(file),
                offset: 0,
                rest,
                check: None,
            })
        })
        .await
    }

    pub(crate) async fn open(&self, name: &str) -> Result<Part, LocalError> {
        match self {
            Self::Directory(directory) => Self::whole(&directory.join(name)).await,
            Self::Archive { path, file, index } => {
                let (offset, rest) = *index.get(name).ok_or_else(|| LocalError::Missing {
                    path: path.clone(),
                    name: name.to_owned(),
                })?;
                Ok(Part {
                    path: path.join(name),
                    file: file.clone(),
                    offset,
                    rest,
                    check: None,
                })
            }
        }
    }

    /// Whether an archive has a file.
    pub(crate) fn has(&self, name: &str) -> bool {
        match self {
            Self::Directory(directory) => directory.join(name).is_file(),
            Self::Archive { index, .. } => index.contains_key(name),
        }
    }

    /// A whole document of at most `limit` bytes.
    pub(crate) async fn read(&self, name: &str, limit: u64) -> Result<Vec<u8>, LocalError> {
        self.open(name).await?.read(limit).await
    }

    /// The directory or archive, for messages.
    pub(crate) fn path(&self) -> &Path {
        match self {
            Self::Directory(path) | Self::Archive { path, .. } => path,
        }
    }
}

impl Part {
    /// Bytes not yet read.
    pub(crate) fn size(&self) -> u64 {
        self.rest
    }

    /// The same, to be what a descriptor says.
    pub(crate) fn checked(mut self, descriptor: &Descriptor) -> Result<Self, LocalError> {
        if self.rest != descriptor.size {
            return Err(LocalError::Size {
                path: self.path,
                expected: descriptor.size,
                actual: self.rest,
            });
        }
        self.check = Some((descriptor.digest, Hasher::default()));
        Ok(self)
    }

    /// The next bytes; `None` at the end, when they were what they should be.
    pub(crate) async fn chunk(&mut self) -> Result<Option<Bytes>, LocalError> {
        if self.rest == 0 {
            return match self.check.take() {
                Some((expected, hasher)) => match hasher.finish() {
                    actual if actual == expected => Ok(None),
                    actual => Err(LocalError::Digest {
                        path: self.path.clone(),
                        expected,
                        actual,
                    }),
                },
                None => Ok(None),
            };
        }
        let (file, offset, path) = (self.file.clone(), self.offset, self.path.clone());
        let length = usize::try_from(self.rest).unwrap_or(PIECE).min(PIECE);
        let piece = blocking(move || {
            let mut piece = vec![0; length];
            match file.read_exact_at(&mut piece, offset) {
                Ok(()) => Ok(piece),
                Err(source) => Err(LocalError::Read { path, source }),
            }
        })
        .await?;
        self.offset += length as u64;
        self.rest -= length as u64;
        if let Some((_, hasher)) = &mut self.check {
            hasher.update(&piece);
        }
        Ok(Some(piece.into()))
    }

    /// All of it, if it has at most `limit` bytes.
    pub(crate) async fn read(mut self, limit: u64) -> Result<Vec<u8>, LocalError> {
        if self.rest > limit {
            return Err(LocalError::TooLarge {
                path: self.path,
                size: self.rest,
                limit,
            });
        }
        let mut bytes = Vec::new();
        while let Some(chunk) = self.chunk().await? {
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    }
}

/// Opens a regular file; a pipe is not waited for.
pub(super) fn open(path: &Path) -> Result<File, LocalError> {
    let read = |source| LocalError::Read {
        path: path.to_owned(),
        source,
    };
    let file = File::options()
        .read(true)
        .custom_flags(rustix::fs::OFlags::NONBLOCK.bits().cast_signed())
        .open(path)
        .map_err(read)?;
    if file.metadata().map_err(read)?.is_file() {
        Ok(file)
    } else {
        Err(LocalError::NotAFile {
            path: path.to_owned(),
        })
    }
}

pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, LocalError> + Send + 'static,
) -> Result<T, LocalError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        // The runtime is shutting down, or the closure panicked.
        Err(error) => Err(LocalError::Read {
            path: PathBuf::new(),
            source: std::io::Error::other(error),
        }),
    }
}
