//! The life of one attempt at the daemon's end.
//!
//! ```text
//! assigned --spool--accept--> running (a process; what it leaves is sent beside) --> over --> all is sent --> finish
//!     '-- refused                    '-- killed, or a daemon that was --------------> all is sent --> release
//! found on the disk at the start: finished --> all is sent --> finish;  unfinished --> all is sent --> release
//! the server says that it is another's: killed, thrown away
//! ```

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use protocol::service::{
    Assignment, AttemptId, CacheEnd, Finish, ProblemCode, Release, ReleaseReason, StreamName, path,
};
use protocol::{Cause, Conclusion, Event};
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout};

use super::cache;
use super::process::{Process, sweep};
use super::tell;
use super::upload::{Upload, UploadError};
use crate::attempt::{Finished, Input, Order, Spool};
use crate::caches::{CacheReply, Store};
use crate::source::{CallError, Client, persist};

/// How often the spool is looked at when nobody says that there is something: services do not.
const LOOK: Duration = Duration::from_millis(500);

/// How long small pieces gather before the next round.
const GATHER: Duration = Duration::from_millis(50);

/// More than this at once is not waited with, bytes.
const MUCH: u64 = 256 << 10;

/// How long a job that is to be killed has to write down how it ended.
const LAST_WORDS: Duration = Duration::from_secs(10);

/// How often what the server says it lacks is sent again.
const RESENDINGS: u32 = 10;

/// What the daemon tells an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Word {
    /// The server, or a person at it, wants it to stop.
    Order(Order),
    /// It is another's.
    Lost,
    /// The daemon is about to end.
    Shutdown,
}

/// What an attempt tells the daemon.
#[derive(Debug)]
pub(super) enum News {
    /// The server has let us have it.
    Accepted(AttemptId),
    /// Its process is over: its slot is free.
    Idle(AttemptId),
    /// The machine could do it, or could not.
    Machine(Result<(), String>),
    /// Nothing is left of it here, or nothing that could be done now.
    Done(AttemptId),
}

/// An attempt, as a task of its own.
pub(super) struct Attempt {
    pub(super) id: AttemptId,
    pub(super) spool: Spool,
    pub(super) client: Client,
    pub(super) words: mpsc::UnboundedReceiver<Word>,
    pub(super) news: mpsc::UnboundedSender<News>,
    /// Where archives of caches are.
    pub(super) caches: Store,
    /// Its process came to no end of its own: containers may have left something.
    pub(super) killed: bool,
    /// The daemon is about to end: nothing is waited for any longer.
    pub(super) hurried: bool,
    /// Somebody wants it to stop.
    pub(super) cancelled: watch::Sender<bool>,
}

/// What is to be said to the server when everything else is there.
enum Last {
    Finish(Finished),
    Release(ReleaseReason),
}

/// Why there is nothing to be said any more.
enum Stopped {
    /// It is another's: the spool is of no use.
    Lost,
    /// The daemon ends: the next one goes on.
    Shutdown,
    /// It was not taken.
    Declined,
    /// Nobody can do anything with it.
    Hopeless(String),
}

impl Attempt {
    /// Takes an assignment on and runs it.
    pub(super) async fn run(mut self, assignment: Assignment) {
        let ended = self.live(assignment).await;
        self.conclude(ended).await;
    }

    /// Does not take an assignment.
    pub(super) async fn decline(self) {
        self.give_back(ReleaseReason::Declined).await;
        let _ = self.news.send(News::Done(self.id));
    }

    /// Goes on with what an earlier daemon has left.
    pub(super) async fn resume(mut self) {
        let last = match self.spool.finished() {
            Ok(Some(finished)) => self.over(finished),
            Ok(None) => Last::Release(ReleaseReason::Restarted),
            Err(error) => self.broken(error.to_string()),
        };
        self.spool.remove_tree();
        let upload = self.upload();
        let ended = self.hand_over(upload, last).await;
        self.conclude(ended).await;
    }

    async fn conclude(self, ended: Result<(), Stopped>) {
        if self.killed
            && let Err((_, error)) = sweep().await
        {
            tracing::warn!(error, "what a killed job has left stays for the next one");
        }
        match ended {
            Ok(()) => self.throw_away().await,
            Err(Stopped::Lost) => {
                tell(format_args!(
                    "job {}: it is another agent's, or over",
                    self.id
                ));
                self.throw_away().await;
            }
            Err(Stopped::Shutdown) => {}
            // Else the server would learn of it by waiting for a time to be over, and never why.
            Err(Stopped::Declined) => {
                self.give_back(ReleaseReason::Declined).await;
                self.throw_away().await;
            }
            Err(Stopped::Hopeless(message)) => {
                tell(format_args!("error: job {}: {message}", self.id));
                self.give_back(ReleaseReason::Broken { message }).await;
                self.throw_away().await;
            }
        }
        // The daemon outlives every attempt.
        let _ = self.news.send(News::Done(self.id));
    }

    /// Says it once: nothing depends on it.
    async fn give_back(&self, reason: ReleaseReason) {
        let address = path::of_attempt(path::RELEASE, self.id);
        let said = self.client.tell(&address, Some(&Release { reason })).await;
        if let Err(error) = said {
            tracing::debug!(%error, "the server does not take it back");
        }
    }

    async fn throw_away(&self) {
        let spool = self.spool.clone();
        let _ = tokio::task::spawn_blocking(move || spool.remove()).await;
    }

    async fn live(&mut self, assignment: Assignment) -> Result<(), Stopped> {
        // First a place for what it leaves: a job that was never accepted has lost nothing.
        if let Err(error) = self.spool.create(&assignment) {
            tell(format_args!("error: job {}: {error}", self.id));
            let _ = self.news.send(News::Machine(Err(error.to_string())));
            return Err(Stopped::Declined);
        }
        self.accept().await?;
        let _ = self.news.send(News::Accepted(self.id));
        let names = assignment.plan.jobs.iter().map(|job| job.id.as_str());
        tell(format_args!(
            "job {}: {}",
            self.id,
            names.collect::<Vec<_>>().join(", ")
        ));
        let last = if self.hurried {
            // While it was accepted the daemon was told to end at once.
            Last::Release(ReleaseReason::Shutdown)
        } else {
            let input = Input {
                assignment,
                directory: self.spool.path().to_owned(),
                daemon: std::process::id(),
            };
            match Process::start(&input).await {
                Ok(process) => {
                    drop(input);
                    return self.attend(process).await;
                }
                Err(error) => self.broken(format!("failed to start the job's process: {error}")),
            }
        };
        let _ = self.news.send(News::Idle(self.id));
        let upload = self.upload();
        self.hand_over(upload, last).await
    }

    fn upload(&self) -> Upload {
        let cancelled = self.cancelled.subscribe();
        Upload::new(&self.client, self.id, &self.spool, cancelled)
    }

    /// The machine could not do it.
    fn broken(&self, message: String) -> Last {
        tell(format_args!("error: job {}: {message}", self.id));
        let _ = self.news.send(News::Machine(Err(message.clone())));
        Last::Release(ReleaseReason::Broken { message })
    }

    /// The job's process came to its end. What this machine is to blame for is given back.
    fn over(&self, mut finished: Finished) -> Last {
        match finished.machine_fault.take() {
            Some(message) => self.broken(message),
            None => {
                // One that came to nothing for somebody else's sake says nothing about this machine.
                if matches!(
                    finished.conclusion,
                    Conclusion::Success | Conclusion::Failure
                ) {
                    let _ = self.news.send(News::Machine(Ok(())));
                }
                Last::Finish(finished)
            }
        }
    }

    /// Tells the server that this agent has it. An answer that is lost is asked for again.
    async fn accept(&mut self) -> Result<(), Stopped> {
        let address = path::of_attempt(path::ACCEPT, self.id);
        let client = self.client.clone();
        let accept = persist("accept", || client.tell(&address, None::<&()>));
        match self.unless_told(accept).await? {
            Ok(()) => Ok(()),
            Err(error) => Err(refusal(error)),
        }
    }

    /// Waits for the job's process, passes orders on to it, and has what it leaves sent.
    async fn attend(&mut self, mut process: Process) -> Result<(), Stopped> {
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

    /// Sends what is left, and then that it is over.
    async fn hand_over(&mut self, mut upload: Upload, last: Last) -> Result<(), Stopped> {
        let mut resendings = 0;
        let mut told = 0;
        loop {
            if let Err(error) = self.unless_told(upload.round()).await? {
                match error {
                    UploadError::Fenced(_) => return Err(Stopped::Lost),
                    // It can never be whole there. Why is worth more to who reads it than that something lacks.
                    error @ UploadError::Refused(_) if matches!(last, Last::Finish(_)) => {
                        return Err(Stopped::Hopeless(error.to_string()));
                    }
                    // What cannot be sent is not a reason to be silent about the end.
                    error => tell(format_args!("error: job {}: {error}", self.id)),
                }
            }
            if let Last::Finish(finished) = &last
                && upload.refused().len() > told
            {
                told = upload.refused().len();
                self.tell_refused(upload.refused(), &finished.caches);
                continue;
            }
            let said = match &last {
                Last::Finish(finished) => self.finish(&mut upload, finished).await?,
                Last::Release(reason) => {
                    let release = Release {
                        reason: reason.clone(),
                    };
                    let address = path::of_attempt(path::RELEASE, self.id);
                    let client = self.client.clone();
                    let saying = persist("release", || client.tell(&address, Some(&release)));
                    self.unless_told(saying).await?
                }
            };
            let error = match said {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            match error.problem() {
                Some(problem)
                    if problem.code == ProblemCode::Incomplete && resendings < RESENDINGS =>
                {
                    tracing::warn!(job = %self.id, missing = ?problem.missing, "the server lacks something");
                    resendings += 1;
                    upload.rewind(&problem.missing);
                }
                _ => return Err(refusal(error)),
            }
        }
    }

    /// Says in the job's own log which of its caches the server does not take.
    fn tell_refused(&self, refused: &BTreeMap<StreamName, String>, caches: &[CacheEnd]) {
        let warnings = caches.iter().filter_map(|cache| {
            let why = refused.get(&cache.stream)?;
            let message = format!("Cache `{}` is not kept: {why}.", cache.key);
            Some(Event::Warning { message })
        });
        if let Err(error) = self.spool.add_events(warnings) {
            tell(format_args!("error: job {}: {error}", self.id));
        }
    }

    async fn finish(
        &mut self,
        upload: &mut Upload,
        finished: &Finished,
    ) -> Result<Result<(), CallError>, Stopped> {
        let (events, logs) = match self.unless_told(upload.ends()).await? {
            Ok(ends) => ends,
            Err(error) => return Err(Stopped::Hopeless(error.to_string())),
        };
        // What the server has refused is nothing that it could keep.
        let is_there = |cache: &&CacheEnd| logs.iter().any(|log| log.name == cache.stream);
        let caches = finished.caches.iter().filter(is_there).cloned().collect();
        let finish = Finish {
            conclusion: finished.conclusion,
            cause: finished.cause.clone(),
            outputs: finished.outputs.clone(),
            events,
            logs,
            artifacts: finished.artifacts.clone(),
            caches,
        };
        let address = path::of_attempt(path::FINISH, self.id);
        let client = self.client.clone();
        let said = persist("finish", || client.tell(&address, Some(&finish)));
        let said = self.unless_told(said).await?;
        if said.is_ok() {
            tell(format_args!(
                "job {}: {}",
                self.id,
                word(finished.conclusion)
            ));
        }
        Ok(said)
    }

    /// Does something that may take for ever, unless the daemon says that it is of no use any more.
    async fn unless_told<T>(&mut self, work: impl Future<Output = T>) -> Result<T, Stopped> {
        let mut work = std::pin::pin!(work);
        loop {
            if self.hurried {
                // One more chance: most of the time the server is there.
                return timeout(LAST_WORDS, work)
                    .await
                    .map_err(|_| Stopped::Shutdown);
            }
            tokio::select! {
                biased;
                word = self.words.recv() => match word {
                    Some(Word::Lost) => return Err(Stopped::Lost),
                    // What has ended already cannot be stopped. What may be left out is.
                    Some(Word::Order(_)) => drop(self.cancelled.send_replace(true)),
                    Some(Word::Shutdown) | None => self.hurried = true,
                },
                done = &mut work => return Ok(done),
            }
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

fn refusal(error: CallError) -> Stopped {
    match error.code() {
        Some(ProblemCode::Fenced | ProblemCode::NotFound) => Stopped::Lost,
        _ => Stopped::Hopeless(error.to_string()),
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

const fn word(conclusion: Conclusion) -> &'static str {
    match conclusion {
        Conclusion::Success => "success",
        Conclusion::Failure => "failure",
        Conclusion::Error => "error",
        Conclusion::Skipped => "skipped",
        Conclusion::Cancelled => "cancelled",
    }
}
