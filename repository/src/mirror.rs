//! What was fetched of a repository, kept for the next time.
//!
//! ```text
//! <directory>/name-0123456789abcdef0123.git    bare; its references are ours (`refs/slipway/..`), so that no history that was
//!                                              fetched is asked for again
//! <directory>/name-0123456789abcdef0123.lock   held by whoever writes to it; readers need none: objects never change
//! <directory>/name-0123456789abcdef0123.use    held together by all who read it: what is read is not pruned
//! ```
//! A mirror that is damaged, or in too many pieces, is thrown away and fetched anew: nothing in it is precious.

use std::fs::{self, DirBuilder, File, TryLockError};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use git2::{ObjectType, Repository, RepositoryInitOptions};

use crate::resolve::{self, Resolved};
use crate::transfer::Transfer;
use crate::transport::Transport;
use crate::upkeep::{self, Identity};
use crate::{CheckedOut, Commit, Error, Limits, Remote, Want, Watch, checkout, fetch, read};

/// How often somebody who waits for another's transfer looks whether it is over.
const LOOK: Duration = Duration::from_millis(50);

/// Packs a mirror may have. Each transfer makes one, and each slows every look-up down.
const MOST_PACKS: usize = 200;

/// The mirrors of one machine, or one server. Any number of processes may use the same directory.
#[derive(Debug, Clone)]
pub struct Mirrors {
    directory: PathBuf,
    transport: Transport,
}

/// What is here of one repository.
pub struct Mirror {
    pub(crate) repository: Repository,
    pub(crate) remote: Remote,
    pub(crate) mirrors: Mirrors,
    identity: Option<Identity>,
    /// Whoever prunes looks at it.
    _in_use: Lock,
}

impl std::fmt::Debug for Mirror {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Mirror")
            .field(&self.repository.path())
            .finish()
    }
}

/// Held while a mirror is written to, or read.
#[derive(Debug)]
pub(crate) struct Lock(File);

impl Lock {
    /// Takes a lock at once that nobody holds in any way, or none.
    pub(crate) fn take_alone(path: &Path) -> Option<Self> {
        let file = File::options().create(true).append(true).open(path).ok()?;
        file.try_lock().ok()?;
        Some(Self(file))
    }
}

impl Drop for Lock {
    /// Closing the file is not enough: a child that another thread has just forked has it until it executes its program.
    fn drop(&mut self) {
        if let Err(error) = self.0.unlock() {
            tracing::debug!(%error, "a mirror stays locked until its file is closed");
        }
    }
}

impl Mirrors {
    /// The mirrors in `directory`, which is made when it is needed, and how they are fetched to.
    #[must_use]
    pub fn new(directory: impl Into<PathBuf>, transport: Transport) -> Self {
        Self {
            directory: directory.into(),
            transport,
        }
    }

    /// Asks the host what a name stands for: a branch, a tag, `HEAD`, a full name, or a commit's id, which is taken as it is.
    /// But for an id, the commit is here then, without its history.
    ///
    /// # Errors
    /// See [`Error`]; [`Error::NoReference`] when there is no such name.
    pub fn resolve(
        &self,
        remote: &Remote,
        reference: &str,
        watch: &dyn Watch,
    ) -> Result<Resolved, Error> {
        let resolve = |transfer: &Transfer<'_>| resolve::resolve(transfer, reference, Some(1));
        self.transfer(remote, watch, resolve).map(|(_, it)| it)
    }

    /// Sees to it that a commit is here with its tree, and answers its id: of a wanted tag the commit it leads to. Of two
    /// that want the same at once one fetches.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn fetch(
        &self,
        remote: &Remote,
        want: &Want,
        watch: &dyn Watch,
    ) -> Result<(Mirror, Commit), Error> {
        let fetched = self.transfer(remote, watch, |transfer| fetch::fetch(transfer, want));
        fetched.map_err(|error| match (error, want.commit) {
            // What libgit2 says of a directory that lacks it; of one with a mirror that is damaged it was fetched anew since.
            (Error::Damaged { url, message }, Some(commit))
                if message.starts_with("target OID") =>
            {
                Error::NoCommit { url, commit }
            }
            (error, _) => error,
        })
    }

    /// Sees to it that a commit is here, and writes its tree into a directory, which must not exist: see [`Mirror::check_out`].
    /// A mirror in which damage is found on the way, also one of a submodule, is fetched anew, once.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn check_out(
        &self,
        remote: &Remote,
        want: &Want,
        directory: &Path,
        limits: &Limits,
        watch: &dyn Watch,
    ) -> Result<CheckedOut, Error> {
        let attempt = || {
            let (mirror, commit) = self.fetch(remote, want, watch)?;
            mirror.check_out(commit, directory, limits, watch)
        };
        match attempt() {
            Err(error) if error.is_damage() => {
                tracing::warn!(%error, "a mirror is damaged and fetched anew");
                match fs::remove_dir_all(directory) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => {
                        Err(Error::disk("remove", directory)(error))
                    }
                    _ => attempt(),
                }
            }
            other => other,
        }
    }

    /// Does something that needs the mirror alone.
    fn transfer<T>(
        &self,
        remote: &Remote,
        watch: &dyn Watch,
        work: impl Fn(&Transfer<'_>) -> Result<T, Error>,
    ) -> Result<(Mirror, T), Error> {
        let lock = self.lock(remote, watch)?;
        let path = self.path(remote, "git");
        if upkeep::is_damaged(&path) || count_packs(&path) > MOST_PACKS {
            upkeep::remove(&path)?;
        }
        let is_new = !path.exists();
        let attempt = || {
            drop(self.open(remote)?);
            let answer = work(&Transfer {
                path: &path,
                transport: &self.transport,
                remote,
                watch,
            })?;
            Ok((self.mirror(remote)?, answer))
        };
        let answer = match attempt() {
            // A pack that a power cut has left half written. Where nothing was, the host has sent it so.
            Err(Error::Damaged { url, message }) if !is_new => {
                tracing::warn!(url, message, "a mirror is damaged and fetched anew");
                upkeep::remove(&path)?;
                attempt()
            }
            other => other,
        };
        drop(lock);
        answer
    }

    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// What is here of a repository already.
    ///
    /// # Errors
    /// [`Error::Disk`] and [`Error::Damaged`].
    pub fn mirror(&self, remote: &Remote) -> Result<Mirror, Error> {
        let in_use = self.use_of(remote)?;
        let repository = self.open(remote)?;
        Ok(Mirror {
            _in_use: in_use,
            identity: upkeep::identity(repository.path()),
            repository,
            remote: remote.clone(),
            mirrors: self.clone(),
        })
    }

    fn path(&self, remote: &Remote, suffix: &str) -> PathBuf {
        self.directory.join(format!("{}.{suffix}", remote.slug()))
    }

    fn open(&self, remote: &Remote) -> Result<Repository, Error> {
        self.make_directory()?;
        let path = self.path(remote, "git");
        let damaged = |error: git2::Error| Error::Damaged {
            url: remote.url.to_string(),
            message: error.message().to_owned(),
        };
        match Repository::open_bare(&path) {
            Ok(repository) => Ok(repository),
            Err(error) if error.code() == git2::ErrorCode::NotFound => {
                let mut options = RepositoryInitOptions::new();
                options.bare(true).mkdir(true).external_template(false);
                let made = Repository::init_opts(&path, &options);
                // There was nothing that could be damaged.
                made.map_err(|error| {
                    Error::disk("make the repository", &path)(io::Error::other(
                        error.message().to_owned(),
                    ))
                })
            }
            Err(error) => Err(damaged(error)),
        }
    }

    /// Says that a mirror is read, until the answer is dropped. Who removes one holds it alone for that moment.
    fn use_of(&self, remote: &Remote) -> Result<Lock, Error> {
        self.make_directory()?;
        let path = self.path(remote, "use");
        let file = File::create(&path).map_err(Error::disk("create", &path))?;
        file.lock_shared().map_err(Error::disk("lock", &path))?;
        Ok(Lock(file))
    }

    fn make_directory(&self) -> Result<(), Error> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.directory)
            .map_err(Error::disk("make the directory", &self.directory))
    }

    fn lock(&self, remote: &Remote, watch: &dyn Watch) -> Result<Lock, Error> {
        self.make_directory()?;
        let path = self.path(remote, "lock");
        let file = File::create(&path).map_err(Error::disk("create", &path))?;
        // What `prune` goes by.
        let _ = file.set_modified(SystemTime::now());
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Lock(file)),
                Err(TryLockError::WouldBlock) if watch.goes_on() => std::thread::sleep(LOOK),
                Err(TryLockError::WouldBlock) => return Err(Error::Stopped),
                Err(TryLockError::Error(source)) if source.kind() == io::ErrorKind::Interrupted => {
                }
                Err(TryLockError::Error(source)) => {
                    return Err(Error::disk("lock", &path)(source));
                }
            }
        }
    }
}

impl Mirror {
    /// Whether a commit is here with its tree.
    #[must_use]
    pub fn has(&self, commit: Commit) -> bool {
        fetch::has(&self.repository, commit)
    }

    /// Reads one file of a commit that is here, of at most `most` bytes. `None` when there is no such path.
    ///
    /// # Errors
    /// [`Error::NoFile`] when it is no regular file or too large, [`Error::NoCommit`] when the commit is not here.
    pub fn read_file(
        &self,
        commit: Commit,
        path: &str,
        most: u64,
    ) -> Result<Option<Vec<u8>>, Error> {
        read::file(self, commit, path, most)
    }

    /// Paths that differ between two commits that are here; at most `most` of them, `None` when there are more.
    ///
    /// # Errors
    /// [`Error::NoCommit`] when one is not here.
    pub fn changed_paths(
        &self,
        from: Commit,
        to: Commit,
        most: usize,
    ) -> Result<Option<Vec<String>>, Error> {
        read::changed_paths(self, from, to, most)
    }

    /// The first line of a commit's message, at most 200 characters of it, and its author's name.
    ///
    /// # Errors
    /// [`Error::NoCommit`] when it is not here.
    pub fn describe(&self, commit: Commit) -> Result<(String, String), Error> {
        read::describe(self, commit)
    }

    /// Writes the tree of a commit that is here into a directory, which must not exist, submodules included. What it finds is
    /// not trusted: see [`Limits`] and the crate's tests.
    ///
    /// # Errors
    /// [`Error::Hostile`] for a tree that no honest repository has; the half written directory is left to be removed.
    pub fn check_out(
        &self,
        commit: Commit,
        directory: &Path,
        limits: &Limits,
        watch: &dyn Watch,
    ) -> Result<CheckedOut, Error> {
        checkout::check_out(self, commit, directory, limits, watch)
    }

    /// Damage that was found here: the next transfer begins with an empty mirror.
    pub(crate) fn damaged(&self, error: &git2::Error) -> Error {
        upkeep::mark_damaged(self.repository.path(), self.identity);
        Error::Damaged {
            url: self.remote.url.to_string(),
            message: error.message().to_owned(),
        }
    }

    pub(crate) fn commit(&self, commit: Commit) -> Result<git2::Commit<'_>, Error> {
        let object = self
            .repository
            .find_object(commit.oid(), Some(ObjectType::Commit));
        match object.map(git2::Object::into_commit) {
            Ok(Ok(found)) => Ok(found),
            Ok(Err(_)) => Err(self.no_commit(commit)),
            Err(error) if error.code() == git2::ErrorCode::NotFound => Err(self.no_commit(commit)),
            Err(error) => Err(self.damaged(&error)),
        }
    }

    fn no_commit(&self, commit: Commit) -> Error {
        Error::NoCommit {
            url: self.remote.url.to_string(),
            commit,
        }
    }
}

fn count_packs(repository: &Path) -> usize {
    let packs = fs::read_dir(repository.join("objects/pack"));
    packs.map_or(0, |packs| {
        let is_pack = |entry: &fs::DirEntry| {
            entry
                .path()
                .extension()
                .is_some_and(|suffix| suffix == "pack")
        };
        packs.flatten().filter(is_pack).count()
    })
}
