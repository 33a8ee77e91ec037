//! Makes files durable, of many attempts at once: while the disk is busy with some, others gather for the next round.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::mpsc;

use tokio::sync::oneshot;

use super::disk::Disk;
use super::{LogError, failed};

/// More files than these are not written one by one, but with all that the file system has to write (syncfs(2)): each new file and
/// each directory by itself is a commit of the file system's journal. On ext4 128 of them took 150 ms, and syncfs 6.
const FEW: usize = 2;

/// What somebody waits for.
#[derive(Debug)]
struct Request {
    directory: PathBuf,
    files: Vec<PathBuf>,
    answer: oneshot::Sender<Result<(), LogError>>,
}

/// The way to the thread that does it. It ends when all of them are gone.
#[derive(Debug, Clone)]
pub(super) struct Syncer {
    requests: mpsc::Sender<Request>,
}

impl Syncer {
    pub(super) fn start(root: &Path, disk: Disk) -> Result<Self, LogError> {
        let (requests, received) = mpsc::channel();
        let file = File::open(root).map_err(failed("open", root))?;
        let root = root.to_owned();
        let thread = std::thread::Builder::new().name("log-sync".to_owned());
        thread
            .spawn({
                let root = root.clone();
                move || run(&disk, &root, &file, &received)
            })
            .map_err(failed("start a thread for", &root))?;
        Ok(Self { requests })
    }

    /// Waits until these files of a directory, and their names in it, are durable.
    pub(super) async fn sync(
        &self,
        directory: PathBuf,
        files: Vec<PathBuf>,
    ) -> Result<(), LogError> {
        let (answer, wait) = oneshot::channel();
        let ended =
            || failed("write to the disk", &directory)(std::io::ErrorKind::BrokenPipe.into());
        let request = Request {
            directory: directory.clone(),
            files,
            answer,
        };
        self.requests.send(request).map_err(|_| ended())?;
        wait.await.unwrap_or_else(|_| Err(ended()))
    }
}

fn run(disk: &Disk, root: &Path, root_file: &File, received: &mpsc::Receiver<Request>) {
    while let Ok(first) = received.recv() {
        let mut requests = vec![first];
        requests.extend(received.try_iter());
        let files: usize = requests.iter().map(|request| request.files.len()).sum();
        let all = (files > FEW).then(|| disk.write_out_all(root, root_file));
        for request in requests {
            let done = match &all {
                None => one_by_one(disk, root, &request),
                Some(Ok(())) => Ok(()),
                Some(Err(error)) => {
                    let error = std::io::Error::new(error.kind(), error.to_string());
                    Err(failed("write to the disk", &request.directory)(error))
                }
            };
            // Who asked may have gone.
            let _ = request.answer.send(done);
        }
    }
}

fn one_by_one(disk: &Disk, root: &Path, request: &Request) -> Result<(), LogError> {
    for path in &request.files {
        let written = disk.write_out(path);
        written.map_err(failed("write to the disk", path))?;
    }
    // The directory's own name, and that of the group it is in, are entries of those above.
    let mut directories = BTreeSet::from([request.directory.as_path(), root]);
    directories.extend(request.directory.parent());
    directories.into_iter().try_for_each(|directory| {
        let written = disk.write_out_directory(directory);
        written.map_err(failed("write to the disk", directory))
    })
}
