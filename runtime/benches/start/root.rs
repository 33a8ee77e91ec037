//! The root file systems that containers are started on.

use std::error::Error;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A tree, the same as an archive, and what to run in it.
pub(crate) struct Root {
    pub(crate) name: &'static str,
    pub(crate) tree: PathBuf,
    pub(crate) archive: PathBuf,
    pub(crate) command: Vec<String>,
}

impl Root {
    /// One static program.
    pub(crate) fn busybox(work: &Path) -> Result<Self, Box<dyn Error>> {
        Self::make(work, "busybox", &["/bin/true"], |tree| {
            std::fs::copy("/bin/busybox", tree.join("bin/busybox"))?;
            symlink("busybox", tree.join("bin/true"))?;
            Ok(())
        })
    }

    /// This machine's shell and the libraries it loads: what the dynamic linker does in every step is in it.
    pub(crate) fn of_this_machine(work: &Path) -> Result<Self, Box<dyn Error>> {
        Self::make(work, "shell", &["/bin/sh", "-c", ":"], |tree| {
            let listed = Command::new("ldd").arg("/bin/sh").output()?;
            let listed = String::from_utf8(listed.stdout)?;
            let libraries = listed
                .split_whitespace()
                .filter(|word| word.starts_with('/'));
            for file in libraries.chain(["/bin/sh"]) {
                let to = tree.join(file.trim_start_matches('/'));
                std::fs::create_dir_all(to.parent().ok_or("a file has a directory")?)?;
                std::fs::copy(file, to)?;
            }
            Ok(())
        })
    }

    fn make(
        work: &Path,
        name: &'static str,
        command: &[&str],
        fill: impl FnOnce(&Path) -> Result<(), Box<dyn Error>>,
    ) -> Result<Self, Box<dyn Error>> {
        let (tree, archive) = (work.join(name), work.join(format!("{name}.tar")));
        if !archive.exists() {
            for directory in ["bin", "etc", "dev", "proc", "sys", "tmp"] {
                std::fs::create_dir_all(tree.join(directory))?;
            }
            fill(&tree)?;
            let status = Command::new("tar")
                .args(["--owner=0", "--group=0", "-C"])
                .arg(&tree)
                .arg("-cf")
                .arg(&archive)
                .arg(".")
                .status()?;
            if !status.success() {
                return Err("tar cannot pack the root".into());
            }
        }
        Ok(Self {
            name,
            tree,
            archive,
            command: command.iter().map(ToString::to_string).collect(),
        })
    }
}
