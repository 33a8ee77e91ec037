//! Mounts in the home directory of whoever the command will be.

use std::fs::File;
use std::io::Read as _;
use std::path::{Component, Path, PathBuf};

use rustix::io::Errno;

use super::Root;
use crate::container::error::refused;
use crate::container::{Process, StartError, home_of};

/// What stands for a home directory as the first component of a path.
const HOME: &str = "~";
/// Of `/etc/passwd`; what is behind it is not read.
const MAX_FILE: u64 = 1 << 20;

/// The home directory, looked for once, and only when it is asked for.
pub(super) struct Home<'a> {
    root: &'a Root,
    process: &'a Process,
    found: Option<PathBuf>,
}

impl<'a> Home<'a> {
    pub(super) const fn new(root: &'a Root, process: &'a Process) -> Self {
        Self {
            root,
            process,
            found: None,
        }
    }

    /// Where a mount goes: as it is said, or in the home directory.
    pub(super) fn target(&mut self, path: &Path) -> Result<PathBuf, StartError> {
        let Ok(rest) = path.strip_prefix(HOME) else {
            return Ok(path.to_owned());
        };
        let home = match self.found.take() {
            Some(home) => home,
            None => self.look()?,
        };
        let target = home.join(rest);
        self.found = Some(home);
        Ok(target)
    }

    /// As the command will find it in its environment.
    fn look(&self) -> Result<PathBuf, StartError> {
        let said = self.process.env.iter().rev();
        let said = said.into_iter().find(|(name, _)| name == "HOME");
        let home = match said {
            Some((_, home)) => home.clone(),
            None => home_of(self.process.user.as_deref(), &self.passwd())?,
        };
        let home = PathBuf::from(home);
        let leads_up = home.components().any(|part| part == Component::ParentDir);
        match home.is_absolute() && !leads_up {
            true => Ok(home),
            false => Err(refused(&home, "a home directory", Errno::INVAL)),
        }
    }

    /// What the image has there; a link leads nowhere but to the image.
    fn passwd(&self) -> String {
        let mut text = Vec::new();
        if let Ok(file) = self.root.open_following(Path::new("/etc/passwd")) {
            // Half of it will do.
            let _ = File::from(file).take(MAX_FILE).read_to_end(&mut text);
        }
        String::from_utf8_lossy(&text).into_owned()
    }
}
