//! Puts what [`super::gather`] took, or an archive of somebody's, into a root: the one that this process has entered, with
//! nothing else in it that could change it meanwhile. Links on the way are the image's, and lead nowhere but to the image.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use super::entry::{Archive, Entry, Input, Kind};
use super::form::Plain;
use super::metadata;
use super::path::EntryPath;
use super::pax::Time;
use super::transfer_error::TransferError;
use super::unpack::Limits;

/// Links that lead to links, at the place where something goes.
const MOST_LINKS: usize = 40;

/// Where something goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placement {
    /// Absolute, clean.
    pub target: PathBuf,
    /// The target is a directory, whether or not it is there; otherwise a single file may be given its name.
    pub is_directory: bool,
    /// The archive is somebody's, to be unpacked as it is.
    pub unpacks: bool,
}

/// Who owns what is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Owner {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

/// Puts an archive into the root of this process; `owner` in place of the archive's.
///
/// # Errors
/// Something is in the way, or the archive is damaged.
pub(crate) fn place(
    stream: File,
    placement: &Placement,
    owner: Option<Owner>,
) -> Result<(), TransferError> {
    let mut archive = Plain::open(stream, Limits::default())?;
    let mut place = Place {
        placement,
        owner,
        dates: Vec::new(),
        buffer: vec![0; 256 * 1024],
    };
    if placement.is_directory || placement.unpacks {
        place.directories(&placement.target)?;
    }
    while let Some(mut entry) = archive.next()? {
        if let Some(Owner { uid, gid }) = owner {
            (entry.uid, entry.gid) = (uid, gid);
        }
        let target = place.target(&entry)?;
        place.entry(&entry, &target, &mut archive)?;
    }
    place.finish()
}

/// Makes a directory and those above it, where they are missing.
///
/// # Errors
/// Something is in the way.
pub(crate) fn make_directories(path: &Path, owner: Option<Owner>) -> Result<(), TransferError> {
    let placement = Placement {
        target: path.to_owned(),
        is_directory: true,
        unpacks: false,
    };
    let mut place = Place {
        placement: &placement,
        owner,
        dates: Vec::new(),
        buffer: Vec::new(),
    };
    place.directories(path)
}

struct Place<'a> {
    placement: &'a Placement,
    owner: Option<Owner>,
    /// Directories that were made, and what they get when all is in them.
    dates: Vec<(PathBuf, u32, Time)>,
    buffer: Vec<u8>,
}

impl Place<'_> {
    /// Where an entry goes.
    fn target(&self, entry: &Entry) -> Result<PathBuf, TransferError> {
        let to = &self.placement.target;
        let name = entry.path.as_bytes();
        if self.placement.unpacks {
            return Ok(below(to, name));
        }
        match name.split_first() {
            Some((b'd', rest)) => Ok(below(to, rest.strip_prefix(b"/").unwrap_or(rest))),
            Some((b'f', [b'/', name @ ..])) => {
                if self.placement.is_directory || to.is_dir() {
                    Ok(below(to, name))
                } else {
                    followed(to)
                }
            }
            _ => Err(TransferError::Worker {
                reason: "an entry of the archive has a name of no kind".to_owned(),
            }),
        }
    }

    fn entry<I: Input>(
        &mut self,
        entry: &Entry,
        to: &Path,
        archive: &mut Archive<I>,
    ) -> Result<(), TransferError> {
        if entry.kind == Kind::Directory {
            return self.directory(entry, to);
        }
        let Some(parent) = to.parent() else {
            return Err(in_the_way(to, "a directory"));
        };
        self.directories(parent)?;
        match fs::symlink_metadata(to) {
            Ok(found) if found.is_dir() => return Err(in_the_way(to, "a directory")),
            Ok(_) => {
                fs::remove_file(to).map_err(|error| TransferError::io("replace", to, &error))?
            }
            Err(_) => {}
        }
        match entry.kind {
            Kind::File => self.file(entry, to, archive),
            Kind::Symlink => {
                let target = Path::new(std::ffi::OsStr::from_bytes(&entry.link));
                std::os::unix::fs::symlink(target, to)
                    .map_err(|error| TransferError::io("make", to, &error))?;
                self.finish_at(entry, to)
            }
            Kind::HardLink => {
                let of = below(
                    &self.placement.target,
                    EntryPath::parse(&entry.link)?.as_bytes(),
                );
                fs::hard_link(of, to).map_err(|error| TransferError::io("link", to, &error))
            }
            Kind::Fifo | Kind::Character | Kind::Block => self.node(entry, to),
            Kind::Directory => Ok(()),
        }
    }

    fn directory(&mut self, entry: &Entry, to: &Path) -> Result<(), TransferError> {
        let is_target = !self.placement.unpacks && entry.path.as_bytes() == b"d";
        let is_there = to.is_dir();
        if is_target || to.parent().is_none() {
            return self.directories(to);
        }
        if !is_there {
            if let Some(parent) = to.parent() {
                self.directories(parent)?;
            }
            make_directory(to)?;
        } else if !self.placement.unpacks {
            return Ok(());
        }
        let directory = open_directory(to)?;
        metadata::apply(directory.as_fd(), entry)?;
        self.dates.push((to.to_owned(), entry.mode, entry.mtime));
        Ok(())
    }

    fn file<I: Input>(
        &mut self,
        entry: &Entry,
        to: &Path,
        archive: &mut Archive<I>,
    ) -> Result<(), TransferError> {
        let failed = |error: std::io::Error| TransferError::io("write", to, &error);
        let mut file = create(to).map_err(failed)?;
        let mut rest = entry.size;
        while rest > 0 {
            let most = usize::try_from(rest)
                .unwrap_or(usize::MAX)
                .min(self.buffer.len());
            let count = archive.read_content(&mut self.buffer[..most])?;
            file.write_all(&self.buffer[..count]).map_err(failed)?;
            rest -= count as u64;
        }
        Ok(metadata::apply(file.as_fd(), entry)?)
    }

    fn node(&self, entry: &Entry, to: &Path) -> Result<(), TransferError> {
        let (kind, device) = match entry.kind {
            Kind::Fifo => (FileType::Fifo, 0),
            Kind::Block => (
                FileType::BlockDevice,
                rustix::fs::makedev(entry.major, entry.minor),
            ),
            _ => (
                FileType::CharacterDevice,
                rustix::fs::makedev(entry.major, entry.minor),
            ),
        };
        let mode = Mode::from_raw_mode(entry.mode);
        match rustix::fs::mknodat(rustix::fs::CWD, to, kind, mode, device) {
            Ok(()) => self.finish_at(entry, to),
            // As for a layer: an empty file remembers what it stands for.
            Err(Errno::PERM) => {
                let file = create(to).map_err(|error| TransferError::io("make", to, &error))?;
                metadata::apply(file.as_fd(), entry)?;
                metadata::keep_stat(&file, entry).map_err(|errno| {
                    TransferError::system("mark", to.as_os_str().as_bytes(), errno)
                })
            }
            Err(errno) => Err(TransferError::system(
                "make",
                to.as_os_str().as_bytes(),
                errno,
            )),
        }
    }

    fn finish_at(&self, entry: &Entry, to: &Path) -> Result<(), TransferError> {
        let (Some(parent), Some(name)) = (to.parent(), to.file_name()) else {
            return Ok(());
        };
        let parent = open_directory(parent)?;
        Ok(metadata::apply_at(parent.as_fd(), name.as_bytes(), entry)?)
    }

    /// Makes the directories that are missing on the way to `path`, and it.
    fn directories(&mut self, path: &Path) -> Result<(), TransferError> {
        self.directories_behind(path, MOST_LINKS)
    }

    /// The same behind so many links that lead to what is not there yet: each promises a directory.
    fn directories_behind(&mut self, path: &Path, links: usize) -> Result<(), TransferError> {
        if path.is_dir() {
            return Ok(());
        }
        let mut so_far = PathBuf::from("/");
        for component in path.components().skip(1) {
            so_far.push(component);
            if so_far.is_dir() {
                continue;
            }
            if so_far.is_symlink() {
                let left = links
                    .checked_sub(1)
                    .ok_or_else(|| in_the_way(path, "a link without an end"))?;
                so_far = followed(&so_far)?;
                self.directories_behind(&so_far, left)?;
            } else {
                self.own_directory(&so_far)?;
            }
        }
        Ok(())
    }

    /// Makes one that nobody has said anything of.
    fn own_directory(&self, path: &Path) -> Result<(), TransferError> {
        make_directory(path)?;
        let Some(Owner { uid, gid }) = self.owner else {
            return Ok(());
        };
        let directory = open_directory(path)?;
        let entry = Entry {
            path: EntryPath::parse(path.as_os_str().as_bytes())?,
            kind: Kind::Directory,
            link: Vec::new(),
            mode: 0o755,
            uid,
            gid,
            size: 0,
            mtime: Time {
                seconds: 0,
                nanoseconds: 0,
            },
            major: 0,
            minor: 0,
            xattrs: Vec::new(),
        };
        Ok(metadata::apply(directory.as_fd(), &entry)?)
    }

    /// Directories get their modes and times last, the deepest first.
    fn finish(self) -> Result<(), TransferError> {
        for (path, mode, mtime) in self.dates.into_iter().rev() {
            let Ok(directory) = open_directory(&path) else {
                continue;
            };
            let failed = |errno| TransferError::system("date", path.as_os_str().as_bytes(), errno);
            rustix::fs::fchmod(&directory, Mode::from_raw_mode(mode)).map_err(failed)?;
            rustix::fs::futimens(&directory, &metadata::timestamps(mtime)).map_err(failed)?;
        }
        Ok(())
    }
}

fn below(directory: &Path, name: &[u8]) -> PathBuf {
    match name {
        b"" => directory.to_owned(),
        name => directory.join(Path::new(std::ffi::OsStr::from_bytes(name))),
    }
}

/// Where a path leads, the last link too, though there may be nothing.
fn followed(path: &Path) -> Result<PathBuf, TransferError> {
    let mut path = path.to_owned();
    for _ in 0..MOST_LINKS {
        match fs::read_link(&path) {
            Ok(target) => {
                path.pop();
                path = lexically(&path.join(target));
            }
            Err(_) => return Ok(path),
        }
    }
    Err(in_the_way(&path, "a link without an end"))
}

/// Without `..`, which at the root leads nowhere. A link to a directory on the way is taken for that directory's name.
fn lexically(path: &Path) -> PathBuf {
    let mut clean = PathBuf::from("/");
    for component in path.components() {
        match component {
            std::path::Component::Normal(name) => {
                clean.push(name);
            }
            std::path::Component::ParentDir => {
                // As the kernel would: above what a link leads to.
                if let Ok(real) = clean.canonicalize() {
                    clean = real;
                }
                clean.pop();
            }
            _ => {}
        }
    }
    clean
}

fn create(to: &Path) -> std::io::Result<File> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(to)
}

fn make_directory(to: &Path) -> Result<(), TransferError> {
    match fs::create_dir(to) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            Err(in_the_way(to, "a file"))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotADirectory => {
            Err(in_the_way(to.parent().unwrap_or(to), "a file"))
        }
        result => result.map_err(|error| TransferError::io("make", to, &error)),
    }?;
    // The umask is none of an image's business.
    fs::set_permissions(to, fs::Permissions::from_mode(0o755))
        .map_err(|error| TransferError::io("make", to, &error))
}

fn open_directory(path: &Path) -> Result<OwnedFd, TransferError> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::openat(rustix::fs::CWD, path, flags, Mode::empty())
        .map_err(|errno| TransferError::system("open", path.as_os_str().as_bytes(), errno))
}

/// Whether something is there that would be written over.
fn in_the_way(path: &Path, what: &str) -> TransferError {
    TransferError::InTheWay {
        path: path.display().to_string(),
        what: what.to_owned(),
    }
}
