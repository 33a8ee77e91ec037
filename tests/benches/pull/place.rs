//! Where a store is: what a pull takes depends on the file system.

use std::error::Error;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A file system of the benchmark's own.
#[derive(Clone, Copy)]
pub(crate) enum Place {
    /// A tmpfs.
    Memory,
    /// An ext4 with a journal, in a file.
    Ext4,
}

impl Place {
    /// Mounts it afresh.
    pub(crate) fn mount(self, work: &Path) -> Result<PathBuf, Box<dyn Error>> {
        let at = work.join(match self {
            Self::Memory => "memory",
            Self::Ext4 => "ext4",
        });
        fs::create_dir_all(&at)?;
        let script = match self {
            Self::Memory => "umount \"$0\" 2>/dev/null; mount -t tmpfs -o size=8g,mode=755 bench \"$0\"",
            Self::Ext4 => {
                "umount \"$0\" 2>/dev/null; rm -f \"$0.img\"; truncate -s 12G \"$0.img\"
                 mkfs.ext4 -q -F -E lazy_itable_init=0,lazy_journal_init=0 \"$0.img\" && mount -o loop \"$0.img\" \"$0\""
            }
        };
        let status = Command::new("sh").args(["-c", script]).arg(&at).status()?;
        if status.success() {
            Ok(at)
        } else {
            Err(format!("cannot mount {self}").into())
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Memory => "tmpfs",
            Self::Ext4 => "fresh ext4 with a journal",
        })
    }
}
