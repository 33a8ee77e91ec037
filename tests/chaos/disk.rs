//! A small disk of a program's own, which can be full: a file system in memory. Dropped, it goes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

#[derive(Debug)]
pub(crate) struct Disk {
    path: PathBuf,
}

impl Disk {
    /// Mounts it over a directory, which is made; so large, as mount(8) says it.
    pub(crate) fn mount(path: &Path, size: &str) -> Self {
        fs::create_dir_all(path).expect("make the place for a disk");
        let options = format!("size={size},mode=0777");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &options, "slipway-chaos"])
            .arg(path)
            .status();
        assert!(mounted.is_ok_and(|status| status.success()), "mount a disk");
        Self {
            path: path.to_owned(),
        }
    }

    fn ballast(&self) -> PathBuf {
        self.path.join("ballast")
    }

    /// Leaves no byte of it free.
    pub(crate) fn fill(&self) {
        // It ends when nothing more can be written, and says so.
        let filled = Command::new("dd")
            .args(["if=/dev/zero", "bs=64k", "oflag=append", "conv=notrunc"])
            .arg(format!("of={}", self.ballast().display()))
            .output();
        drop(filled.expect("fill a disk"));
    }

    pub(crate) fn make_room(&self) {
        // It may have been full before the first byte.
        let _ = fs::remove_file(self.ballast());
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount")
            .arg("--lazy")
            .arg(&self.path)
            .status();
    }
}
