//! The life of one attempt at the daemon's end.
//!
//! ```text
//! assigned --spool--accept--> running (a process; what it leaves is sent beside) --> over --> all is sent --> finish
//!     '-- refused                    '-- killed, or a daemon that was --------------> all is sent --> release
//! found on the disk at the start: finished --> all is sent --> finish;  unfinished --> all is sent --> release
//! the server says that it is another's: killed, thrown away
//! ```

mod attend;
mod hand_over;

use std::time::Duration;

use protocol::Conclusion;
use protocol::service::{Assignment, AttemptId, ProblemCode, Release, ReleaseReason, path};
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

use super::process::{Process, sweep};
use super::tell;
use super::upload::Upload;
use crate::attempt::{Finished, Input, Order, Spool};
use crate::caches::Store;
use crate::source::{CallError, Client, persist};

/// How long a job that is to be killed has to write down how it ended.
const LAST_WORDS: Duration = Duration::from_secs(10);

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

fn refusal(error: CallError) -> Stopped {
    match error.code() {
        Some(ProblemCode::Fenced | ProblemCode::NotFound) => Stopped::Lost,
        _ => Stopped::Hopeless(error.to_string()),
    }
}
