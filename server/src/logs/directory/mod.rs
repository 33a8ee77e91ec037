//! Logs in a directory of one server.
//!
//! ```text
//! ROOT/12000/12345-1/step-0            the head
//!                    step-0~3          segment 3 of the tail, of a log that is longer than the head
//!                    step-0~sealed     digests of full blocks, 32 bytes each: of bytes that are on the disk
//! ROOT/lock, ROOT/boot                 one server at a time; which boot of the machine has written here last, or that the disk
//!                                      has lost something since
//! ```
//! Nothing but the files has to be written for a piece to count: their length is the truth, and who goes on behind a restart
//! reads them again. What a piece's answer does not promise is that it is on the disk: that is promised when the attempt ends, for
//! all of it at once ([`sync`]). Only before a segment is thrown away everything is made durable, and its digests with it. So
//! after the machine itself has gone down what is sealed is trusted, and everything behind it is asked for again.

mod disk;
mod files;
mod machine;
mod slot;
mod stream;
mod sync;

use std::collections::HashMap;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use protocol::service::{AttemptId, LogEnd, Missing, StreamInfo, StreamName};

use super::gate::Gates;
use super::{LogError, Piece, Retention};
use disk::Disk;
use files::Files;
use machine::Machine;
use slot::Slot;
use stream::Open;
use sync::Syncer;

/// The directory. Cloning it is cheap.
#[derive(Debug, Clone)]
pub(crate) struct Directory {
    root: Arc<PathBuf>,
    retention: Retention,
    open: Arc<Mutex<HashMap<AttemptId, Streams>>>,
    disk: Disk,
    syncer: Syncer,
    pub(super) gates: Gates,
    machine: Arc<Machine>,
}

type Streams = HashMap<StreamName, Arc<Mutex<Slot>>>;

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> LogError {
    let what = path.display().to_string();
    move |source| LogError::Storage {
        action,
        what,
        source,
    }
}

/// Whether all of an attempt is here, and what has to be made durable for it.
pub(super) type Checked = Result<(Vec<StreamInfo>, Vec<PathBuf>), Vec<Missing>>;

/// Streams, and how many bytes of them have come.
pub(super) type Lengths = Vec<(StreamName, u64)>;

/// All that has come of an attempt, and what has to be made durable for it.
pub(super) type Settling = Result<(Lengths, Vec<PathBuf>), Vec<Missing>>;

impl Directory {
    /// Makes the directory when it is not there. One server at a time has it.
    pub(crate) fn open(root: PathBuf, retention: Retention) -> Result<Self, LogError> {
        let mut private = fs::DirBuilder::new();
        private.recursive(true).mode(0o700);
        private.create(&root).map_err(failed("make", &root))?;
        let machine = Machine::open(&root)?;
        let disk = Disk::open(&root)?;
        let syncer = Syncer::start(&root, disk.clone())?;
        Ok(Self {
            root: Arc::new(root),
            retention,
            open: Arc::default(),
            disk,
            syncer,
            gates: Gates::new(),
            machine: Arc::new(machine),
        })
    }

    /// What tells this directory from others, also when it has moved.
    pub(crate) fn identity(&self) -> &str {
        self.machine.identity()
    }

    /// After the machine has gone down, or the disk has lost something: throws away what may not have reached the disk, of attempts
    /// that are going on. Their agents are asked for it.
    pub(crate) fn distrust(&self, going_on: &[AttemptId]) -> Result<(), LogError> {
        let suspects = match self.machine.is_new_boot() {
            true => going_on,
            false => &[],
        };
        for id in suspects {
            for name in self.names(*id)? {
                self.files(*id, &name).cut(0)?;
            }
        }
        self.machine.written()
    }

    fn attempt(&self, id: AttemptId) -> PathBuf {
        const FAN: u64 = 1_000;
        let group = id.job.0 / FAN * FAN;
        self.root.join(group.to_string()).join(id.to_string())
    }

    fn files(&self, id: AttemptId, name: &StreamName) -> Files {
        let retention = self.retention.of_stream(name);
        Files::new(self.attempt(id).join(name.to_string()), retention)
    }

    fn stream(&self, id: AttemptId, name: &StreamName) -> Arc<Mutex<Slot>> {
        let mut open = lock(&self.open);
        let streams = open.entry(id).or_default();
        Arc::clone(streams.entry(name.clone()).or_default())
    }

    /// Whether a stream has been written since the server has started.
    pub(super) fn knows(&self, id: AttemptId, name: &StreamName) -> bool {
        let open = lock(&self.open);
        open.get(&id)
            .is_some_and(|streams| streams.contains_key(name))
    }

    pub(super) fn forget(&self, id: AttemptId) {
        lock(&self.open).remove(&id);
    }

    /// Throws a stream away.
    pub(super) fn remove(&self, id: AttemptId, name: &StreamName) -> Result<(), LogError> {
        let stream = self.stream(id, name);
        let mut slot = lock(&stream);
        *slot = Slot::default();
        self.files(id, name).remove()
    }

    pub(super) fn append(
        &self,
        id: AttemptId,
        name: &StreamName,
        offset: u64,
        bytes: &[u8],
    ) -> Result<u64, LogError> {
        let stream = self.stream(id, name);
        let mut slot = lock(&stream);
        let files = self.files(id, name);
        let (mut open, _) = slot.take(&self.disk, &files)?;
        let length = open.length();
        if offset > length {
            slot.put(open);
            return Err(LogError::Gap { next: length });
        }
        let known = usize::try_from(length - offset).unwrap_or(usize::MAX);
        let new = bytes.get(known..).unwrap_or_default();
        // On an error it is not put back: the next piece looks what is in the files.
        open.write(&self.disk, slot.losses(), &files, new)?;
        let next = open.length();
        slot.put(open);
        Ok(next)
    }

    /// Whether everything is here. It is not durable yet: [`Self::sync`].
    pub(super) fn check(&self, id: AttemptId, ends: &[LogEnd]) -> Result<Checked, LogError> {
        let mut missing = Vec::new();
        let mut infos = Vec::with_capacity(ends.len());
        let mut paths = Vec::with_capacity(ends.len());
        for end in ends {
            let stream = self.stream(id, &end.name);
            let mut slot = lock(&stream);
            let files = self.files(id, &end.name);
            let (mut open, _) = slot.take(&self.disk, &files)?;
            let length = open.length();
            let mut from = length;
            if length == end.length && open.checksum() == end.checksum {
                if length == 0 {
                    // An empty log is kept as an empty file.
                    open.write(&self.disk, slot.losses(), &files, &[])?;
                }
                paths.extend(files.paths()?);
                infos.push(files.info(&end.name, true)?);
            } else if length >= end.length {
                tracing::warn!(%id, name = %end.name, "a log differed from its agent's and is thrown away");
                files.remove()?;
                open = Open::resume(&files)?;
                from = 0;
            }
            if infos.last().is_none_or(|info| info.name != end.name) {
                missing.push(Missing {
                    log: Some(end.name.clone()),
                    from,
                });
            }
            slot.put(open);
        }
        Ok(match missing.is_empty() {
            true => Ok((infos, paths)),
            false => Err(missing),
        })
    }

    /// What the disk has lost so far.
    pub(super) fn losses(&self) -> u64 {
        self.disk.losses()
    }

    /// Everything of an attempt that is in these files, as they were when the disk had lost so much, survives a power cut from now on.
    pub(super) async fn sync(
        &self,
        id: AttemptId,
        files: Vec<PathBuf>,
        losses: u64,
    ) -> Result<(), LogError> {
        let directory = self.attempt(id);
        if !files.is_empty() {
            self.syncer.sync(directory.clone(), files).await?;
        }
        let kept = self.disk.has_lost_only(losses);
        kept.map_err(failed("write to the disk", &directory))
    }

    /// So much of these streams is durable: whatever the disk loses now is not of it.
    pub(super) fn made_durable(&self, id: AttemptId, lengths: Lengths) {
        for (name, length) in lengths {
            lock(&self.stream(id, &name)).made_durable(length);
        }
    }

    /// All that has come of an attempt's logs, and every file of them; or from where on streams lack something that has been here.
    pub(super) fn everything(&self, id: AttemptId) -> Result<Settling, LogError> {
        let (mut lengths, mut paths, mut missing) = (Vec::new(), Vec::new(), Vec::new());
        let names = self.names(id)?.into_iter();
        for name in names.filter(|name| !name.is_archive()) {
            let stream = self.stream(id, &name);
            let mut slot = lock(&stream);
            let files = self.files(id, &name);
            let (open, was_cut) = slot.take(&self.disk, &files)?;
            match was_cut {
                true => missing.push(Missing {
                    log: Some(name),
                    from: open.length(),
                }),
                false => {
                    paths.extend(files.paths()?);
                    lengths.push((name, open.length()));
                }
            }
            slot.put(open);
        }
        Ok(match missing.is_empty() {
            true => Ok((lengths, paths)),
            false => Err(missing),
        })
    }

    /// Bytes of all archives of an attempt that are of the kind of this one, but this one.
    pub(super) fn archive_bytes(&self, id: AttemptId, but: &StreamName) -> Result<u64, LogError> {
        let mut bytes: u64 = 0;
        let names = self.archives(id)?.into_iter();
        for name in names.filter(|name| name != but && name.is_cache() == but.is_cache()) {
            let layout = self.files(id, &name).layout()?;
            bytes = bytes.saturating_add(layout.map_or(0, |layout| layout.length));
        }
        Ok(bytes)
    }

    /// Deletes an attempt's logs.
    pub(super) fn delete(&self, id: AttemptId) -> Result<(), LogError> {
        let directory = self.attempt(id);
        match fs::remove_dir_all(&directory) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(failed("delete", &directory)(error))
            }
            _ => {
                // The last one of its group takes that along.
                let _ = directory.parent().map(fs::remove_dir);
                Ok(())
            }
        }
    }

    /// An attempt's archives.
    pub(super) fn archives(&self, id: AttemptId) -> Result<Vec<StreamName>, LogError> {
        let mut names = self.names(id)?;
        names.retain(StreamName::is_archive);
        Ok(names)
    }

    /// Deletes an attempt's archives.
    pub(super) fn delete_artifacts(&self, id: AttemptId) -> Result<(), LogError> {
        let mut names = self.archives(id)?.into_iter();
        names.try_for_each(|name| self.remove(id, &name))
    }

    /// The streams of an attempt.
    fn names(&self, id: AttemptId) -> Result<Vec<StreamName>, LogError> {
        let directory = self.attempt(id);
        let entries = match fs::read_dir(&directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(failed("read", &directory))?,
        };
        let mut names = Vec::new();
        for entry in entries {
            let name = entry.map_err(failed("read", &directory))?.file_name();
            names.extend(name.to_str().and_then(|name| name.parse().ok()));
        }
        names.sort();
        Ok(names)
    }

    pub(super) fn list(&self, id: AttemptId) -> Result<Vec<StreamInfo>, LogError> {
        let names = self.names(id)?;
        names.iter().map(|name| self.info(id, name)).collect()
    }

    pub(super) fn info(&self, id: AttemptId, name: &StreamName) -> Result<StreamInfo, LogError> {
        self.files(id, name).info(name, false)
    }

    pub(super) fn read(
        &self,
        id: AttemptId,
        name: &StreamName,
        offset: u64,
        most: usize,
    ) -> Result<Piece, LogError> {
        let bytes = self.files(id, name).read(offset, most)?;
        if !bytes.is_empty() {
            return Ok(Piece { offset, bytes });
        }
        let info = self.info(id, name)?;
        match info.cut_to.filter(|cut_to| offset < *cut_to) {
            Some(next) => Err(LogError::Cut { next }),
            None => Ok(Piece { offset, bytes }),
        }
    }
}

/// Makes the entries of a directory durable; for what is written once, at the start.
fn sync_directory(directory: &Path) -> Result<(), LogError> {
    File::open(directory)
        .and_then(|directory| directory.sync_all())
        .map_err(failed("write to the disk", directory))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
use super::Logs;

#[cfg(test)]
mod tests;
