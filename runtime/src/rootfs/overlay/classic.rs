//! Overlays through mount(2), for kernels that do not take lower layers one by one.
//!
//! All options together are bounded to a page, which holds some fifty layers by their own names. So layers are opened and
//! named by the numbers of their descriptors, relative to `/proc/self/fd`: that holds more than the 500 layers the
//! kernel takes, and no name needs to be escaped.

use std::ffi::CString;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::mount::{MountFlags, OpenTreeFlags, UnmountFlags, open_tree, unmount};

use super::{NEVER_SYNC, USER_MARKS};
use crate::container::StartError;
use crate::container::error::During;

/// Where a descriptor's number is a name.
const DESCRIPTORS: &str = "/proc/self/fd";

/// Mounts an overlay on the directory `at`, takes it off again and returns it, detached. All paths are relative to the
/// working directory, which is another one meanwhile: the process must have one thread.
pub(super) fn mount<L: AsRef<Path>>(
    layers: &[L],
    upper: &Path,
    work: &Path,
    at: &Path,
) -> Result<OwnedFd, StartError> {
    let here = open(Path::new("."))?;
    let layers = layers
        .iter()
        .rev()
        .map(|layer| open(layer.as_ref()))
        .collect::<Result<Vec<_>, _>>()?;
    let (upper, work, target) = (open(upper)?, open(work)?, open(at)?);
    let names: Vec<_> = layers.iter().map(name).collect();
    let options = format!(
        "{USER_MARKS},{NEVER_SYNC},lowerdir={},upperdir={},workdir={}",
        names.join(":"),
        name(&upper),
        name(&work)
    );
    let options = CString::new(options).during("name the overlay's layers")?;

    rustix::process::chdir(DESCRIPTORS).during_at("enter", Path::new(DESCRIPTORS))?;
    let mounted = rustix::mount::mount(
        "overlay",
        name(&target),
        "overlay",
        MountFlags::empty(),
        &*options,
    );
    rustix::process::fchdir(&here).during("return to the working directory")?;
    mounted.during("mount the overlay")?;

    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    let tree = open_tree(CWD, at, flags).during("clone the overlay");
    unmount(at, UnmountFlags::DETACH).during_at("unmount", at)?;
    tree
}

fn open(path: &Path) -> Result<OwnedFd, StartError> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    openat(CWD, path, flags, Mode::empty()).during_at("open", path)
}

fn name(directory: &OwnedFd) -> String {
    directory.as_raw_fd().to_string()
}
