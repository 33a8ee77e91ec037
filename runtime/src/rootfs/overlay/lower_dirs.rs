use std::path::Path;

use rustix::mount::{FsOpenFlags, fsconfig_set_flag, fsconfig_set_string, fsopen};

use crate::container::StartError;
use crate::container::error::During;

/// How this kernel wants to be told an overlay's lower layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::rootfs) enum LowerDirs {
    /// With one option each, `lowerdir+`, which Linux 6.7 brought and some stable kernels before it have as well.
    OneByOne,
    /// With one option for all of them, which only mount(2) takes in a useful length.
    AllAtOnce,
}

impl LowerDirs {
    /// Asks the kernel, since a version would not tell; `directory` is any directory.
    pub(in crate::rootfs) fn of_this_kernel(directory: &Path) -> Result<Self, StartError> {
        let fs = fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC).during("open overlay")?;
        // Before Linux 6.5 options are collected without a look, and refused all together when the overlay is created:
        // a kernel that takes an option which does not exist has not looked at the other either.
        let takes_anything = fsconfig_set_flag(&fs, "slipway-no-such-option").is_ok();
        let takes_one = fsconfig_set_string(&fs, "lowerdir+", directory).is_ok();
        Ok(if takes_one && !takes_anything {
            Self::OneByOne
        } else {
            Self::AllAtOnce
        })
    }
}
