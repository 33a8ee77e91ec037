//! One agent's own directories among the groups, told from what a killed one has left by a lock that the kernel lets go.

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{MetadataExt as _, chown};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use super::group::write;
use super::site::Site;
use super::{Controller, Version};

/// The beginning of our directories' names.
const PREFIX: &str = "slipway-";
/// On version 2, the group for what is no container: the zygote and its workers, and the agent where it has to make room.
const LEAF: &str = "agent";

/// Directories that are this agent's for as long as the locks are held.
#[derive(Debug)]
pub(crate) struct Claim {
    version: Version,
    bases: Vec<(Vec<Controller>, PathBuf)>,
    locks: Vec<OwnedFd>,
    /// On version 2, the group above, if this process has to leave it.
    left: Option<PathBuf>,
    owner: (u32, u32),
}

impl Claim {
    /// Makes the directories, and removes those of agents that are gone. On version 2 they are given to `owner`, as whom
    /// the zygote clones.
    ///
    /// # Errors
    /// With the path at fault.
    pub(crate) fn make(site: Site, owner: (u32, u32)) -> Result<Self, (PathBuf, io::Error)> {
        let (version, parents, left) = match site {
            Site::One(parents) => (Version::One, parents, None),
            Site::Two {
                parent,
                controllers,
                leave,
            } => {
                let left = leave.then(|| parent.clone());
                (Version::Two, vec![(controllers, parent)], left)
            }
        };
        let mut claim = Self {
            version,
            bases: Vec::new(),
            locks: Vec::new(),
            left,
            owner,
        };
        for (controllers, parent) in parents {
            sweep(&parent);
            let (path, lock) = create(&parent).map_err(|error| (parent, error))?;
            claim.bases.push((controllers, path));
            claim.locks.push(lock);
        }
        if version == Version::Two {
            claim.divide()?;
        }
        Ok(claim)
    }

    /// Which interface of the kernel's it is.
    pub(crate) const fn version(&self) -> Version {
        self.version
    }

    /// Its directories, with what is in force below them.
    pub(crate) fn bases(&self) -> &[(Vec<Controller>, PathBuf)] {
        &self.bases
    }

    /// As whom the zygote clones.
    pub(crate) const fn owner(&self) -> (u32, u32) {
        self.owner
    }

    /// What keeps others from taking it for abandoned.
    pub(super) fn locks(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.locks.iter().map(AsFd::as_fd)
    }

    /// On version 1, has the kernel get ready for the first helper's move: its first write to `cgroup.procs` in a while
    /// takes milliseconds, and may as well be that of a process which nobody waits for. It stays where it is.
    pub(super) fn warm_up(&self) {
        let first = self.bases.first().and_then(|(_, base)| base.parent());
        if let Some(group) = first.filter(|_| self.version == Version::One) {
            let _ = write(&group.join("cgroup.procs"), "0");
        }
    }

    /// On version 2, the group that the zygote is to be cloned into.
    ///
    /// # Errors
    /// Those of open(2).
    pub(crate) fn leaf(&self) -> io::Result<Option<OwnedFd>> {
        match self.leaf_path() {
            Some(path) => File::open(path).map(|file| Some(file.into())),
            None => Ok(None),
        }
    }

    /// The same for the keeper, if it cannot be where this process is.
    ///
    /// # Errors
    /// Those of open(2).
    pub(super) fn leaf_of_keeper(&self) -> io::Result<Option<OwnedFd>> {
        match self.left {
            Some(_) => self.leaf(),
            None => Ok(None),
        }
    }

    fn leaf_path(&self) -> Option<PathBuf> {
        let (_, base) = self.bases.first()?;
        (self.version == Version::Two).then(|| base.join(LEAF))
    }

    /// Goes to the leaf where this process is in the way, and puts the controllers in force below. On version 1 there is
    /// nothing to do.
    ///
    /// # Errors
    /// With the file that does not take it.
    pub(crate) fn settle(&self) -> Result<(), (PathBuf, io::Error)> {
        let (Some((controllers, base)), Some(leaf)) = (self.bases.first(), self.leaf_path()) else {
            return Ok(());
        };
        let put = |path: PathBuf, value: &str| write(&path, value).map_err(|error| (path, error));
        if self.left.is_some() {
            // 0 is the writer itself.
            put(leaf.join("cgroup.procs"), "0")?;
        }
        let wanted = with_sign(controllers, '+');
        for directory in base.parent().into_iter().chain([base.as_path()]) {
            let path = directory.join("cgroup.subtree_control");
            let text = fs::read_to_string(&path).unwrap_or_default();
            let has = Controller::list(&text, ' ');
            if !controllers.iter().all(|one| has.contains(one)) {
                put(path, &wanted)?;
            }
        }
        Ok(())
    }

    /// Takes everything down when nothing of the agent is left; called again until it answers true.
    pub(super) fn dissolve(&self) -> bool {
        if let (Some(left), Some((controllers, base))) = (&self.left, self.bases.first()) {
            remove_below(base, &[LEAF]);
            // Nobody can be in a group that is divided: first it is not any more, then we go back to it.
            let none = with_sign(controllers, '-');
            let _ = write(&base.join("cgroup.subtree_control"), &none);
            let _ = write(&left.join("cgroup.subtree_control"), &none);
            let _ = write(&left.join("cgroup.procs"), "0");
        }
        self.bases.iter().fold(true, |gone, (_, base)| {
            remove_below(base, &[]);
            remove(base) && gone
        })
    }

    /// Makes the leaf and gives what is ours to the zygote.
    fn divide(&self) -> Result<(), (PathBuf, io::Error)> {
        let (Some((_, base)), Some(leaf)) = (self.bases.first(), self.leaf_path()) else {
            return Ok(());
        };
        fs::create_dir(&leaf).map_err(|error| (leaf.clone(), error))?;
        for path in [base.join("cgroup.procs"), leaf.join("cgroup.procs")] {
            chown(&path, Some(self.owner.0), Some(self.owner.1)).map_err(|error| (path, error))?;
        }
        Ok(())
    }
}

/// `+cpu +memory`.
fn with_sign(controllers: &[Controller], sign: char) -> String {
    let signed: Vec<_> = controllers
        .iter()
        .map(|one| format!("{sign}{one}"))
        .collect();
    signed.join(" ")
}

/// Makes a directory and locks it. Somebody who sweeps may take it for abandoned in between: then another one is made.
fn create(parent: &Path) -> io::Result<(PathBuf, OwnedFd)> {
    let mut serial = 0_u32;
    loop {
        let path = parent.join(format!("{PREFIX}{}.{serial}", std::process::id()));
        serial += 1;
        match fs::create_dir(&path) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
            Err(error) => return Err(error),
        }
        if let Some(lock) = lock(&path)? {
            return Ok((path, lock));
        }
        remove(&path);
    }
}

/// The lock of a directory that is still there.
fn lock(path: &Path) -> io::Result<Option<OwnedFd>> {
    let directory = match File::open(path) {
        Ok(directory) => directory,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    match flock(&directory, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(Errno::WOULDBLOCK) => return Ok(None),
        Err(errno) => return Err(errno.into()),
    }
    let locked = directory.metadata()?;
    match fs::metadata(path) {
        Ok(found) if (found.dev(), found.ino()) == (locked.dev(), locked.ino()) => {
            Ok(Some(directory.into()))
        }
        _ => Ok(None),
    }
}

/// Removes what agents have left that were killed together with their keepers. What cannot be removed stays.
fn sweep(parent: &Path) {
    for path in directories(parent) {
        let name = path.file_name().unwrap_or_default();
        if name.to_string_lossy().starts_with(PREFIX)
            && let Ok(Some(_lock)) = lock(&path)
        {
            remove_below(&path, &[]);
            remove(&path);
        }
    }
}

/// Removes the groups below one, the deepest first, but those called so.
fn remove_below(path: &Path, but: &[&str]) {
    for child in directories(path) {
        let name = child.file_name().unwrap_or_default();
        if !but.iter().any(|other| *other == name) {
            remove_below(&child, but);
            remove(&child);
        }
    }
}

/// Removes a group; false where it is still there.
fn remove(path: &Path) -> bool {
    match fs::remove_dir(path) {
        Ok(()) => true,
        Err(error) => error.kind() == io::ErrorKind::NotFound,
    }
}

fn directories(path: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    entries
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.path())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner() -> (u32, u32) {
        (
            rustix::process::geteuid().as_raw(),
            rustix::process::getegid().as_raw(),
        )
    }

    fn one(parent: &Path) -> Claim {
        let parents = vec![(vec![Controller::Memory], parent.to_owned())];
        Claim::make(Site::One(parents), owner()).unwrap()
    }

    #[test]
    fn a_living_agents_directory_is_left_alone_and_a_dead_ones_is_removed() {
        let parent = tempfile::tempdir().unwrap();
        let living = one(parent.path());
        fs::create_dir_all(parent.path().join("slipway-1.0/step")).unwrap();
        fs::create_dir(parent.path().join("other")).unwrap();
        let next = one(parent.path());
        let mut names: Vec<_> = directories(parent.path());
        names.sort();
        let mut expected = vec![
            parent.path().join("other"),
            living.bases[0].1.clone(),
            next.bases[0].1.clone(),
        ];
        expected.sort();
        assert_eq!(names, expected);
    }

    #[test]
    fn dissolving_leaves_nothing_once_it_can_be_removed() {
        let parent = tempfile::tempdir().unwrap();
        let claim = one(parent.path());
        let step = claim.bases[0].1.join("step");
        fs::create_dir(&step).unwrap();
        // A file stands for a process.
        fs::write(step.join("process"), "").unwrap();
        assert!(!claim.dissolve());
        fs::remove_file(step.join("process")).unwrap();
        assert!(claim.dissolve());
        assert_eq!(directories(parent.path()), Vec::<PathBuf>::new());
    }
}
