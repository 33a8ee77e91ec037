//! Tar archives as a kind of directory: where each file's content is, without unpacking anything.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read as _, Seek as _};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use super::error::LocalError;
use crate::layer::{Archive, Compression, Exceeded, Input, Kind, Limits, UnpackError, decoder};

/// An archive of images has a few files a layer; more is no such archive.
const MAX_FILES: u64 = 100_000;
/// Of all names in an archive and what its links lead to, bytes.
const MAX_NAMES: usize = 32 << 20;
/// Of an archive that must be decompressed to disk first, in bytes.
const MAX_SCRATCH: u64 = 64 << 30;
/// Layers of `docker save` are symbolic links to each other, one step in practice.
const MAX_LINKS: usize = 8;

/// The archive itself if it is not compressed, else an unnamed file in `scratch` with what is in it.
pub(super) fn uncompressed(file: File, path: &Path, scratch: &Path) -> Result<File, LocalError> {
    let mut magic = [0; 6];
    let read = |source| LocalError::Read {
        path: path.to_owned(),
        source,
    };
    let length = file.read_at(&mut magic, 0).map_err(read)?;
    let compression = Compression::of(&magic[..length]);
    if compression == Compression::None {
        return Ok(file);
    }
    let unpack = || {
        let (source, _) = decoder(file, compression)?;
        let mut target = tempfile::tempfile_in(scratch)?;
        let size = io::copy(&mut source.take(MAX_SCRATCH + 1), &mut target)?;
        if size > MAX_SCRATCH {
            return Err(io::Error::new(
                io::ErrorKind::FileTooLarge,
                "more than 64 GiB uncompressed",
            ));
        }
        target.rewind()?;
        Ok(target)
    };
    unpack().map_err(|source| LocalError::Scratch {
        path: path.to_owned(),
        source,
    })
}

/// Offset and size of each regular file by its name; a later one of the same name wins, links lead to their target's.
pub(super) fn index(file: &File, path: &Path) -> Result<HashMap<String, (u64, u64)>, LocalError> {
    let length = file
        .metadata()
        .map_err(|source| LocalError::Read {
            path: path.to_owned(),
            source,
        })?
        .len();
    let limits = Limits {
        entries: MAX_FILES,
        ..Limits::default()
    };
    let mut archive = Archive::new(
        Cursor {
            file,
            position: 0,
            length,
        },
        limits,
    );
    let mut files = HashMap::new();
    let mut links = HashMap::new();
    let mut names = 0;
    let mut next = || -> Result<bool, UnpackError> {
        let Some(entry) = archive.next()? else {
            return Ok(false);
        };
        names += entry.path.as_bytes().len() + entry.link.len();
        if names > MAX_NAMES {
            return Err(UnpackError::Limit {
                exceeded: Exceeded::Names,
                limit: MAX_NAMES as u64,
            });
        }
        let name = String::from_utf8_lossy(entry.path.as_bytes()).into_owned();
        match entry.kind {
            Kind::File => {
                links.remove(&name);
                files.insert(name, (archive.input().position, entry.size));
            }
            Kind::Symlink | Kind::HardLink => {
                let target = String::from_utf8_lossy(&entry.link).into_owned();
                let base = if entry.kind == Kind::Symlink {
                    &*name
                } else {
                    ""
                };
                links.insert(name.clone(), join(base, &target));
            }
            _ => {}
        }
        Ok(true)
    };
    while next().map_err(|source| LocalError::Archive {
        path: path.to_owned(),
        source,
    })? {}
    for name in links.keys() {
        let mut target = name;
        for _ in 0..MAX_LINKS {
            match links.get(target) {
                Some(next) => target = next,
                None => break,
            }
        }
        if let Some(place) = files.get(target).copied() {
            files.insert(name.clone(), place);
        }
    }
    Ok(files)
}

/// A link's target seen from the archive's root; `..` does not lead out of it.
fn join(link: &str, target: &str) -> String {
    let mut path: Vec<&str> = if target.starts_with('/') {
        Vec::new()
    } else {
        link.split('/').collect()
    };
    path.pop();
    for component in target.split('/') {
        match component {
            "" | "." => {}
            ".." => {
                path.pop();
            }
            component => path.push(component),
        }
    }
    path.join("/")
}

/// A file that is passed over by seeking.
struct Cursor<'a> {
    file: &'a File,
    position: u64,
    length: u64,
}

impl Input for Cursor<'_> {
    fn read(&mut self, target: &mut [u8]) -> Result<usize, UnpackError> {
        let mut done = 0;
        while done < target.len() {
            match self.file.read_at(&mut target[done..], self.position) {
                Ok(0) => break,
                Ok(count) => {
                    done += count;
                    self.position += count as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    return Err(UnpackError::Read {
                        reason: error.to_string(),
                    });
                }
            }
        }
        Ok(done)
    }

    fn skip(&mut self, count: u64) -> Result<bool, UnpackError> {
        self.position = self.position.saturating_add(count);
        Ok(self.position <= self.length)
    }
}
