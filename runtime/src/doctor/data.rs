//! Where the agent keeps its data.

use std::path::Path;

use super::Check;
use crate::rootfs::is_on_overlay;

const NAME: &str = "data directory";

pub(super) fn check(directory: &Path) -> Check {
    let path = directory.display();
    if is_on_overlay(directory) {
        Check::missing(
            NAME,
            format!(
                "{path} is on an overlay file system, which cannot hold what a workspace's overlay keeps aside"
            ),
            "name a directory on ext4, xfs, btrfs or tmpfs with SLIPWAY_DATA",
        )
    } else {
        Check::found(NAME, path.to_string())
    }
}
