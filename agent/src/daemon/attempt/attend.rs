//! An attempt whose process runs: orders and answers go in, and what it leaves is sent beside.

use std::sync::Arc;
use std::time::Duration;

use protocol::service::ReleaseReason;
use protocol::{Cause, Conclusion};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

use super::{Attempt, LAST_WORDS, Last, News, Stopped, Word};
use crate::attempt::{Finished, Order};
use crate::caches::CacheReply;
use crate::daemon::process::Process;
use crate::daemon::upload::{Upload, UploadError};
use crate::daemon::{cache, tell};

/// How often the spool is looked at when nobody says that there is something: services do not.
const LOOK: Duration = Duration::from_millis(500);

/// How long small pieces gather before the next round.
const GATHER: Duration = Duration::from_millis(50);

/// More than this at once is not waited with, bytes.
const MUCH: u64 = 256 << 10;

impl Attempt {
    /// Waits for the job's process, passes orders on to it, and has what it leaves sent.
    pub(super) async fn attend(&mut self, mut process: Process) -> Result<(), Stopped> {
        let (wake, over) = (Arc::new(Notify::new()), watch::channel(false));
        let (over, is_over) = over;
        let upload = self.upload();
        let mut sending = AbortOnDrop(tokio::spawn(follow(upload, Arc::clone(&wake), is_over)));
        let mut sent = None;
        let mut ordered = None;
        let mut kill_at = None;
        let mut shutdown = false;
        let mut looking: Option<AbortOnDrop<CacheReply>> = None;
        loop {
            tokio::select! {
                biased;
                word = self.words.recv() => match word {
                    Some(Word::Order(order)) if ordered < Some(order.rank()) => {
                        ordered = Some(order.rank());
                        self.cancelled.send_replace(true);
                        tell(format_args!("job {}: {}", self.id, order.word()));
                        process.order(order).await;
                        if order == Order::Abort {
                            kill_at = Some(Instant::now() + LAST_WORDS);
                        }
                    }
                    Some(Word::Order(_)) => {}
                    Some(Word::Lost) => {
                        self.kill(process).await;
                        return Err(Stopped::Lost);
                    }
                    Some(Word::Shutdown) | None => {
                        shutdown = true;
                        self.hurried = true;
                        process.kill();
                    }
                },
                result = &mut sending.0, if sent.is_none() => match settled(result) {
                    Ok(upload) => sent = Some(upload),
                    Err(stopped) => {
                        self.kill(process).await;
                        return Err(stopped);
                    }
                },
                () = sleep_until(kill_at.unwrap_or_else(Instant::now)), if kill_at.is_some() => {
                    kill_at = None;
                    process.kill();
                }
                reply = answered(&mut looking) => {
                    looking = None;
                    process.answer(&reply).await;
                }
                is_over = process.hear() => match is_over {
                    true => break,
                    false => {
                        wake.notify_one();
                        // One that asks again has not waited for the answer.
                        if let Some(query) = cache::asked(&self.spool) {
                            let (client, store) = (self.client.clone(), self.caches.clone());
                            let look = cache::look(client, self.id, store, query);
                            looking = Some(AbortOnDrop(tokio::spawn(look)));
                        }
                    }
                },
            }
        }
        let ending = process.end().await;
        let spool = self.spool.clone();
        tokio::task::spawn_blocking(move || spool.remove_tree());
        let _ = self.news.send(News::Idle(self.id));
        let last = self.last(ordered, shutdown, ending);
        over.send_replace(true);
        let upload = match sent {
            Some(upload) => upload,
            None => settled(self.unless_told(&mut sending.0).await?)?,
        };
        self.hand_over(upload, last).await
    }

    async fn kill(&mut self, mut process: Process) {
        self.killed = true;
        process.kill();
        process.end().await;
    }

    /// What is to be said of a job whose process is over.
    fn last(&mut self, ordered: Option<u8>, shutdown: bool, ending: String) -> Last {
        let finished = self.spool.finished();
        self.killed = !matches!(finished, Ok(Some(_)));
        match finished {
            Ok(Some(finished)) => self.over(finished),
            Ok(None) if shutdown => Last::Release(ReleaseReason::Shutdown),
            // It was to be killed and was: that is how it ended.
            Ok(None) if ordered == Some(Order::Abort.rank()) => Last::Finish(Finished {
                conclusion: Conclusion::Cancelled,
                cause: Some(Cause::Cancelled),
                outputs: indexmap::IndexMap::new(),
                machine_fault: None,
                artifacts: Vec::new(),
                caches: Vec::new(),
            }),
            Ok(None) => self.broken(format!(
                "the job's process ended without a result: {ending}"
            )),
            Err(error) => self.broken(error.to_string()),
        }
    }
}

/// Sends what comes until the process is over and all of it is sent.
async fn follow(
    mut upload: Upload,
    wake: Arc<Notify>,
    mut over: watch::Receiver<bool>,
) -> Result<Upload, UploadError> {
    loop {
        let is_over = *over.borrow_and_update();
        let bytes = match upload.round().await {
            Ok(bytes) => bytes,
            // A machine with too many open files, say. It goes by, and is no reason to end the job.
            Err(error @ (UploadError::Spool(_) | UploadError::Read { .. })) if !is_over => {
                tracing::debug!(%error, "what a job has left is sent later");
                0
            }
            Err(error) => return Err(error),
        };
        if is_over && bytes == 0 {
            return Ok(upload);
        }
        if is_over || bytes > MUCH {
            continue;
        }
        if bytes > 0 {
            tokio::time::sleep(GATHER).await;
        }
        tokio::select! {
            () = wake.notified() => {}
            _ = over.changed() => {}
            () = tokio::time::sleep(LOOK) => {}
        }
    }
}

/// What was found, once it is known; never where nobody looks.
async fn answered(looking: &mut Option<AbortOnDrop<CacheReply>>) -> CacheReply {
    match looking {
        Some(task) => (&mut task.0)
            .await
            .unwrap_or_else(|error| CacheReply::Failed(error.to_string())),
        None => std::future::pending().await,
    }
}

/// A task that ends with who waits for it.
struct AbortOnDrop<T>(JoinHandle<T>);

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn settled(
    result: Result<Result<Upload, UploadError>, tokio::task::JoinError>,
) -> Result<Upload, Stopped> {
    match result {
        Ok(Ok(upload)) => Ok(upload),
        Ok(Err(UploadError::Fenced(_))) => Err(Stopped::Lost),
        Ok(Err(error)) => Err(Stopped::Hopeless(error.to_string())),
        Err(error) => Err(Stopped::Hopeless(format!(
            "what sends has ended early: {error}"
        ))),
    }
}

impl Order {
    const fn rank(self) -> u8 {
        match self {
            Self::Cancel => 1,
            Self::Abort => 2,
        }
    }

    const fn word(self) -> &'static str {
        match self {
            Self::Cancel => "cancelled",
            Self::Abort => "aborted",
        }
    }
}
