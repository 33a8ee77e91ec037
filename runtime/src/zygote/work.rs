//! Work on the namespace's files, each job in a process forked for it: a crash, a full disk or a hostile archive ends
//! that process and nothing else. Those that read what others have written are confined to where they write.

use std::fs::File;
use std::io::Read as _;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use serde::Serialize;

use super::asked::check_name;
use super::task;
use super::wire::{Job, Reply};
use crate::collect::{self, CollectError, Forbidden, Part};
use crate::container::StartError;
use crate::container::error::During;
use crate::container::init;
use crate::container::prepared::Prepared;
use crate::host;
use crate::layer::{self, Form, Limits, Operation, UnpackError, Unpacked};
use crate::message::send;
use crate::rootfs::Stage;
use crate::security::sandbox;
use crate::sys::{CloneFlags, Cloned, clone3, end_with, exit_now};

/// Forks a worker; it answers on `reply` itself.
pub(super) fn fork(
    prepared: &Prepared,
    job: &Job,
    fds: Vec<OwnedFd>,
    reply: &OwnedFd,
) -> Result<(), StartError> {
    match clone3(&prepared.proof, CloneFlags::NONE).during("fork a worker")? {
        Cloned::Child => {
            let kept: Vec<_> = fds.iter().chain([reply]).map(AsFd::as_fd).collect();
            init::keep_only(prepared, &kept);
            if job.is_for_who_asks_only() {
                // Where that cannot be had it works to its end for nobody.
                let _ = end_with(reply);
            }
            let answer = perform(&prepared.stage, job, fds).map_or_else(Reply::Failed, Reply::Done);
            let _ = send(reply, &answer, &[]);
            exit_now(0)
        }
        Cloned::Parent { .. } => Ok(()),
    }
}

/// Forks a worker for something the zygote itself wants done and nobody waits for.
pub(super) fn fork_silently(prepared: &Prepared, job: &Job) {
    if let Ok(Cloned::Child) = clone3(&prepared.proof, CloneFlags::NONE) {
        let _ = perform(&prepared.stage, job, Vec::new());
        exit_now(0)
    }
}

fn perform(stage: &Stage, job: &Job, fds: Vec<OwnedFd>) -> Result<serde_json::Value, StartError> {
    match job {
        Job::Remove { path } => remove(path).map(|()| serde_json::Value::Null),
        Job::Measure { path } => match ours(path)? {
            Some((parent, name)) => {
                // Names of a directory, and files with several links.
                bound_memory(256 << 20);
                let bytes = layer::measure(parent.as_fd(), name).during_at("measure", path)?;
                Ok(bytes.into())
            }
            None => Ok(0.into()),
        },
        Job::List { name } => on_held(stage, name, fds, |held, below, out| {
            collect::list(held, collect::Of::Tree, below, out)
        }),
        Job::Pack { name, bounds } => on_held(stage, name, fds, |held, paths, out| {
            collect::pack(held, paths, *bounds, out)
        }),
        Job::Save { bounds } => {
            let [parts, out, forbidden] = three(fds)?;
            let held = parts_held(stage, parts)?;
            let forbidden = Forbidden::read(&whole(forbidden, LONGEST_FORBIDDEN)?);
            answer(&collect::save(&borrowed(&held), *bounds, forbidden, out))
        }
        Job::Restore { limits, time } => {
            let [parts, archive] = two(fds)?;
            let held = parts_held(stage, parts)?;
            let into = held.iter().map(|(held, part)| layer::Into {
                root: held.as_fd(),
                below: part.below.iter().map(|path| path.clone().into()).collect(),
            });
            let into: Vec<_> = into.collect();
            answer(&layer::restore(archive, &into, limits, *time))
        }
        Job::HostLayer => host::stage_layer(stage).map(|()| serde_json::Value::Null),
        Job::Unpack { target, form } => {
            let mut fds = fds.into_iter();
            let stream = fds.next().ok_or(Errno::BADF);
            let stream = stream.during("take the layer's stream")?;
            let recording = fds.next().map(File::from);
            match layers().and_then(|layers| layer::make(layers.as_fd(), target)) {
                Ok(directory) => {
                    sandbox::confine_to(directory.as_fd())?;
                    bound_memory(OF_LAYERS);
                    answer(&unpack(File::from(stream), *form, &directory, recording))
                }
                Err(error) => answer::<(), _>(&Err(error)),
            }
        }
        Job::PackLayer { name } => {
            let mut fds = fds.into_iter();
            let out = fds.next().ok_or(Errno::BADF);
            let out = File::from(out.during("take where the layer goes")?);
            let recording = fds.next().map(File::from);
            on_layer(name, |layer| layer::pack(layer, recording, out))
        }
        Job::CheckLayer { name } => {
            let recording = fds.into_iter().next().ok_or(Errno::BADF);
            let recording = File::from(recording.during("take the layer's recording")?);
            on_layer(name, |layer| layer::check(layer, recording))
        }
        Job::Build(task) => task::perform(stage, task, fds),
        Job::RemoveLayer { name } => match layers() {
            Ok(layers) => {
                sandbox::confine_to(layers.as_fd())?;
                answer(&layer::remove(layers.as_fd(), name))
            }
            Err(error) => answer::<(), _>(&Err(error)),
        },
    }
}

/// Does something with what is held by a name, from where nothing else can be reached. What is asked for comes in the first
/// descriptor, the result goes to the second.
fn on_held<T: Serialize>(
    stage: &Stage,
    name: &str,
    fds: Vec<OwnedFd>,
    act: impl FnOnce(BorrowedFd<'_>, &[u8], File) -> Result<T, CollectError>,
) -> Result<serde_json::Value, StartError> {
    let [asked, out] = two(fds)?;
    let held = open_held(stage, name)?;
    sandbox::confine_to(held.as_fd())?;
    bound_memory(OF_COLLECTIONS);
    let paths = whole(asked, LONGEST_REQUEST)?;
    answer(&act(held.as_fd(), &paths, out))
}

/// The directory that is held by a name.
fn open_held(stage: &Stage, name: &str) -> Result<OwnedFd, StartError> {
    check_name(name)?;
    let path = stage.held(name);
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::open(&path, flags, Mode::empty()).during_at("open", &path)
}

/// Several directories that are held, as they are asked for; nothing else can be reached from now on.
fn parts_held(stage: &Stage, asked: File) -> Result<Vec<(OwnedFd, Part)>, StartError> {
    let parts: Vec<Part> = serde_json::from_slice(&whole(asked, LONGEST_REQUEST)?)
        .map_err(std::io::Error::from)
        .during("read what is to be collected")?;
    let held = parts.into_iter().map(|part| {
        let held = open_held(stage, &part.name)?;
        Ok((held, part))
    });
    let held: Vec<_> = held.collect::<Result<_, StartError>>()?;
    let all: Vec<_> = held.iter().map(|(held, _)| held.as_fd()).collect();
    sandbox::confine_to_all(&all)?;
    bound_memory(OF_COLLECTIONS);
    Ok(held)
}

fn borrowed(held: &[(OwnedFd, Part)]) -> Vec<(BorrowedFd<'_>, Part)> {
    let held = held.iter();
    held.map(|(held, part)| (held.as_fd(), part.clone()))
        .collect()
}

fn two(fds: Vec<OwnedFd>) -> Result<[File; 2], StartError> {
    files(fds)
}

fn three(fds: Vec<OwnedFd>) -> Result<[File; 3], StartError> {
    files(fds)
}

/// So many descriptors as files.
fn files<const N: usize>(fds: Vec<OwnedFd>) -> Result<[File; N], StartError> {
    let files: Vec<File> = fds.into_iter().map(File::from).collect();
    files
        .try_into()
        .map_err(|_| Errno::BADF)
        .during("take the descriptors of what is collected")
}

/// All that is in a file, up to so many bytes.
fn whole(file: File, most: u64) -> Result<Vec<u8>, StartError> {
    let mut bytes = Vec::new();
    file.take(most)
        .read_to_end(&mut bytes)
        .during("read what is to be collected")?;
    Ok(bytes)
}

/// Does something with a layer, from where nothing else can be reached.
fn on_layer<T: Serialize>(
    name: &str,
    act: impl FnOnce(BorrowedFd<'_>) -> Result<T, UnpackError>,
) -> Result<serde_json::Value, StartError> {
    match layers().and_then(|layers| layer::open_layer(layers.as_fd(), name)) {
        Ok(layer) => {
            sandbox::confine_to(layer.as_fd())?;
            bound_memory(OF_LAYERS);
            answer(&act(layer.as_fd()))
        }
        Err(error) => answer::<(), _>(&Err(error)),
    }
}

fn answer<T: Serialize, E: Serialize>(
    result: &Result<T, E>,
) -> Result<serde_json::Value, StartError> {
    serde_json::to_value(result)
        .map_err(std::io::Error::from)
        .during("answer")
}

/// The directory of layers, below our working directory.
fn layers() -> Result<OwnedFd, UnpackError> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::open("layers", flags, Mode::empty())
        .map_err(|errno| UnpackError::system(Operation::Open, b"layers", errno))
}

/// A reader of squashfs holds all of an image's inodes, a check all of a layer's paths; everything else takes a hundredth
/// of it.
pub(super) const OF_LAYERS: u64 = 2 << 30;

/// The names of what is collected, and of files with several links.
const OF_COLLECTIONS: u64 = 1 << 30;

/// Paths that are asked for, bytes: all that can be found.
const LONGEST_REQUEST: u64 = 256 << 20;

/// Texts that must not be in an archive, bytes.
const LONGEST_FORBIDDEN: u64 = 64 << 20;

/// Whatever others make a reader ask for, the machine has all but so many bytes.
pub(super) fn bound_memory(bytes: u64) {
    let bound = rustix::process::Rlimit {
        current: Some(bytes),
        maximum: Some(bytes),
    };
    // Where it is lower already, it stays so.
    let _ = rustix::process::setrlimit(rustix::process::Resource::As, bound);
}

fn unpack(
    stream: File,
    form: Form,
    target: &OwnedFd,
    recording: Option<File>,
) -> Result<Unpacked, UnpackError> {
    let limits = Limits::default();
    layer::unpack_form(stream, form, target.as_fd(), &limits, recording)
}

/// Removes a tree of ours, of whatever depth and modes a container has left it with.
fn remove(path: &Path) -> Result<(), StartError> {
    match ours(path)? {
        Some((parent, name)) => layer::remove_entry(parent.as_fd(), name).during_at("remove", path),
        None => Ok(()),
    }
}

/// The directory that something of ours is in, to which we are confined from now on, and its name there; `None` when there is
/// no such directory.
fn ours(path: &Path) -> Result<Option<(OwnedFd, &[u8])>, StartError> {
    let mut components = path.components();
    let ours = matches!(
        components.next(),
        Some(Component::Normal(first)) if first == "layers" || first == "scratch"
    );
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(Errno::INVAL).during_at("open", path);
    };
    if !ours || !components.all(|component| matches!(component, Component::Normal(_))) {
        return Err(Errno::INVAL).during_at("open", path);
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let parent = match rustix::fs::open(parent, flags, Mode::empty()) {
        Err(Errno::NOENT) => return Ok(None),
        result => result.during_at("open", parent)?,
    };
    sandbox::confine_to(parent.as_fd())?;
    Ok(Some((parent, name.as_bytes())))
}
