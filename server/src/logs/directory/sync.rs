//! Makes files durable, of many attempts at once: while the disk is busy with some, others gather for the next round. A round ends
//! with all that the file system has to write (syncfs(2)): names are in it, and failures that a file does not tell of any more.

use std::path::{Path, PathBuf};
use std::sync::mpsc;

use tokio::sync::oneshot;

use super::disk::Disk;
use super::{LogError, failed};

/// More files than these are not written one by one first: each new file by itself is a commit of the file system's journal. On ext4
/// 128 of them took 150 ms, and syncfs 6.
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
        let thread = std::thread::Builder::new().name("log-sync".to_owned());
        thread
            .spawn(move || run(&disk, &received))
            .map_err(failed("start a thread for", root))?;
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

fn run(disk: &Disk, received: &mpsc::Receiver<Request>) {
    while let Ok(first) = received.recv() {
        let mut requests = vec![first];
        requests.extend(received.try_iter());
        let files: usize = requests.iter().map(|request| request.files.len()).sum();
        let each = |request: &Request| match files <= FEW {
            true => one_by_one(disk, request),
            false => Ok(()),
        };
        let done: Vec<_> = requests.iter().map(each).collect();
        let all = disk.write_out_all();
        for (request, done) in requests.into_iter().zip(done) {
            let done = done.and_then(|()| match &all {
                Ok(()) => Ok(()),
                Err(error) => {
                    let error = std::io::Error::new(error.kind(), error.to_string());
                    Err(failed("write to the disk", &request.directory)(error))
                }
            });
            // Who asked may have gone.
            let _ = request.answer.send(done);
        }
    }
}

fn one_by_one(disk: &Disk, request: &Request) -> Result<(), LogError> {
    request.files.iter().try_for_each(|path| {
        let written = disk.write_out(path);
        written.map_err(failed("write to the disk", path))
    })
}
