//! What an image's build has done where its owners exist: files taken from a root and put into one, and what was written to one
//! packed. Each is a process of its own that enters the root before it looks at anything in it, as a container would.

use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use sha2::Digest as _;

use super::work::{OF_LAYERS, bound_memory};
use crate::container::StartError;
use crate::container::error::During;
use crate::container::user_ids;
use crate::layer::{
    self, Gathered, Owner, Packed, Placement, Selection, TransferError, UnpackError,
};
use crate::rootfs::{Overlay, Root, Stage, Upper};
use crate::security::sandbox;

/// What the runtime puts into a container's root, which is none of an image's.
const OURS: [&str; 6] = [
    "dev",
    "etc/hostname",
    "etc/hosts",
    "etc/resolv.conf",
    "proc",
    "sys",
];

/// A root of layers, with a place for what is written to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tree {
    /// As the store names them, the base first; none for an empty root.
    pub(super) layers: Vec<String>,
    /// A fresh directory below `scratch/`.
    pub(super) scratch: PathBuf,
}

/// Part of a build.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "task", rename_all = "snake_case")]
pub enum Task {
    /// Takes files from a root. Descriptors: where to; without one it only tells their digest. Answers [`Taken`].
    Take {
        /// From where.
        tree: Tree,
        /// Which.
        selection: Selection,
    },
    /// Puts files into a root. Descriptors: the archive.
    Put {
        /// Where to.
        tree: Tree,
        /// Where in it.
        placement: Placement,
        /// `user[:group]`.
        owner: Option<String>,
    },
    /// Makes a directory in a root. Answers whether it was missing.
    Make {
        /// Where.
        tree: Tree,
        /// Absolute.
        path: PathBuf,
        /// `user[:group]`.
        owner: Option<String>,
    },
    /// Packs what was written to a root. Descriptors: where to. Answers [`Packed`].
    Pack {
        /// The place for it, below `scratch/`.
        scratch: PathBuf,
        /// A container of ours has run on it, with mounts at these places: what was made to mount on is not its own.
        of_container: Option<Vec<PathBuf>>,
    },
}

/// What was taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Taken {
    /// How much.
    pub gathered: Gathered,
    /// Of the archive, in hexadecimal digits.
    pub digest: String,
}

pub(super) fn perform(
    stage: &Stage,
    task: &Task,
    fds: Vec<OwnedFd>,
) -> Result<serde_json::Value, StartError> {
    let mut fds = fds.into_iter();
    match task {
        Task::Take { tree, selection } => {
            let root = enter(stage, tree)?;
            bound_memory(OF_LAYERS);
            let mut out = Hashed {
                out: fds.next().map(File::from),
                hash: sha2::Sha256::new(),
            };
            let gathered = {
                let out = std::io::BufWriter::with_capacity(256 * 1024, &mut out);
                layer::gather(root.as_fd(), selection, out)
            };
            let taken = gathered.map(|gathered| Taken {
                gathered,
                digest: hex(&out.hash.finalize()),
            });
            answer(&taken)
        }
        Task::Put {
            tree,
            placement,
            owner,
        } => {
            let stream = fds.next().ok_or(Errno::BADF);
            let stream = File::from(stream.during("take the archive")?);
            enter(stage, tree)?;
            bound_memory(OF_LAYERS);
            let placed =
                resolve(owner.as_deref()).and_then(|owner| layer::place(stream, placement, owner));
            answer(&placed)
        }
        Task::Make { tree, path, owner } => {
            enter(stage, tree)?;
            let is_missing = !path.is_dir();
            let made = resolve(owner.as_deref())
                .and_then(|owner| layer::make_directories(path, owner))
                .map(|()| is_missing);
            answer(&made)
        }
        Task::Pack {
            scratch,
            of_container,
        } => {
            let out = fds.next().ok_or(Errno::BADF);
            let out = File::from(out.during("take where the layer goes")?);
            let upper = below_scratch(scratch)?.join("upper");
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let upper = rustix::fs::open(&upper, flags, Mode::empty()).during_at("open", &upper)?;
            sandbox::confine_to(upper.as_fd())?;
            bound_memory(OF_LAYERS);
            let mounts = of_container.iter().flatten();
            let mounts = mounts.filter_map(|path| path.to_str()?.strip_prefix('/'));
            let ours = of_container.iter().flat_map(|_| OURS);
            let left_out: Vec<&str> = ours.chain(mounts).collect();
            let packed: Result<Packed, UnpackError> =
                layer::pack_changes(upper.as_fd(), &left_out, out);
            answer(&packed.map_err(TransferError::from))
        }
    }
}

/// Makes the root this process's own, and gives up everything else.
fn enter(stage: &Stage, tree: &Tree) -> Result<OwnedFd, StartError> {
    let scratch = below_scratch(&tree.scratch)?;
    std::fs::create_dir_all(&scratch).during_at("make", &scratch)?;
    nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNS).during("make a mount namespace")?;
    let mut layers = tree.layers.clone();
    if layers.is_empty() {
        let base = scratch.join("base");
        std::fs::create_dir(&base).during_at("make", &base)?;
        let mode = Mode::from_raw_mode(0o755);
        rustix::fs::chmod(&base, mode).during_at("restrict", &base)?;
        layers.push(base.display().to_string());
    }
    let overlay = Overlay {
        layers: &layers,
        upper: Upper::Directory(scratch),
    };
    Root::attach(stage, &overlay.mount(stage)?)?.enter(None)?;
    rustix::process::umask(Mode::empty());
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = rustix::fs::open("/", flags, Mode::empty()).during("open the root")?;
    sandbox::confine_to(root.as_fd())?;
    Ok(root)
}

fn below_scratch(path: &Path) -> Result<PathBuf, StartError> {
    let plain = path
        .components()
        .all(|part| matches!(part, Component::Normal(_)));
    if !plain || path.as_os_str().is_empty() {
        return Err(Errno::INVAL).during_at("open", path);
    }
    Ok(Path::new("scratch").join(path))
}

/// In the root that was entered. A number by itself is that user and that group, as with Docker; a name has its group.
fn resolve(owner: Option<&str>) -> Result<Option<Owner>, TransferError> {
    let Some(text) = owner else { return Ok(None) };
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let text = if is_number {
        format!("{text}:{text}")
    } else {
        text.to_owned()
    };
    match user_ids(&text) {
        Ok((uid, gid)) => Ok(Some(Owner { uid, gid })),
        Err(error) => Err(TransferError::Owner {
            reason: error.to_string(),
        }),
    }
}

fn answer<T: Serialize>(
    result: &Result<T, TransferError>,
) -> Result<serde_json::Value, StartError> {
    serde_json::to_value(result)
        .map_err(std::io::Error::from)
        .during("answer")
}

/// Passes bytes on, if there is somebody for them, and adds them up.
struct Hashed {
    out: Option<File>,
    hash: sha2::Sha256,
}

impl Write for Hashed {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let count = match &mut self.out {
            Some(out) => out.write(bytes)?,
            None => bytes.len(),
        };
        self.hash.update(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
