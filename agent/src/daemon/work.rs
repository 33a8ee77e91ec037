//! The one that owns what the agent holds: asks for jobs, says that it lives, and passes on what attempts and the server say.
//!
//! ```text
//! working --SIGTERM, a refusal, an ephemeral one's job--> draining --nothing is held--> over
//!                                                            '--SIGTERM--> aborting --nothing is held--> over
//! ```

use std::collections::HashMap;
use std::time::Duration;

use protocol::service::{
    Acquire, Assignment, AttemptId, Heartbeat, HeartbeatAnswer, Order as ServerOrder, path,
};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use super::attempt::{Attempt, News, Word};
use super::fitness::Fitness;
use super::offer::{self, Offer};
use super::signals::Signals;
use super::{DaemonError, Ending, Settings, tell};
use crate::attempt::{Order, Spool};
use crate::source::{Backoff, CallError, Client};

/// How long the server is asked to keep a call without a job waiting.
const WAIT: Duration = Duration::from_secs(50);

/// How long at least lies between two calls for a job that were answered with none.
const SOONEST: Duration = Duration::from_secs(1);

/// How often a heartbeat is due until the server says otherwise.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// What is held of one attempt.
struct Held {
    words: mpsc::UnboundedSender<Word>,
    /// The server has let us have it.
    accepted: bool,
    /// Its process runs, or is about to.
    running: bool,
}

/// How far the agent is in coming to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Working,
    /// Takes no more.
    Draining,
    /// Gives back what it holds.
    Aborting,
}

/// Owns what the agent holds.
pub(super) struct Daemon {
    settings: Settings,
    client: Client,
    held: HashMap<AttemptId, Held>,
    attempts: JoinSet<()>,
    news: mpsc::UnboundedReceiver<News>,
    teller: mpsc::UnboundedSender<News>,
    stage: Stage,
    /// The server wants it to take no more.
    server_drains: bool,
    /// Of an ephemeral one: it has had its job.
    spent: bool,
    backoff: Backoff,
    /// The server does not answer.
    away: bool,
    /// The server does not want this agent: why it ends when nothing is held any more.
    refused: Option<CallError>,
    /// What the server says of heartbeats that it does not take.
    unheard: Option<String>,
    fitness: Fitness,
    /// Nothing has happened since memory was given back.
    rested: bool,
}

impl Daemon {
    pub(super) fn new(settings: Settings, client: Client) -> Self {
        let (teller, news) = mpsc::unbounded_channel();
        let fitness = Fitness::new(settings.data.clone(), settings.free_disk);
        Self {
            settings,
            client,
            held: HashMap::new(),
            attempts: JoinSet::new(),
            news,
            teller,
            stage: Stage::Working,
            server_drains: false,
            spent: false,
            backoff: Backoff::default(),
            away: false,
            refused: None,
            unheard: None,
            fitness,
            rested: false,
        }
    }

    pub(super) async fn work(mut self, signals: &mut Signals) -> Result<Ending, DaemonError> {
        self.resume();
        let mut acquiring: JoinSet<Result<Option<Offer>, CallError>> = JoinSet::new();
        let mut beating: JoinSet<Result<HeartbeatAnswer, CallError>> = JoinSet::new();
        let mut every = HEARTBEAT;
        let mut beat_at = tokio::time::Instant::now();
        let (mut acquire_at, mut asked_at) = (beat_at, beat_at);
        loop {
            if self.stage > Stage::Working && self.held.is_empty() {
                return match (self.refused, self.stage) {
                    (Some(error), _) => Err(DaemonError::Refused(error)),
                    (None, Stage::Aborting) => Ok(Ending::Aborted),
                    (None, _) => Ok(Ending::Drained),
                };
            }
            let free = self.free();
            let may_acquire = free > 0 && acquiring.is_empty();
            tokio::select! {
                biased;
                () = signals.next() => {
                    self.stop();
                    acquiring.abort_all();
                }
                Some(news) = self.news.recv() => {
                    match &news {
                        News::Machine(Ok(())) => acquire_at = acquire_at.min(asked_at + SOONEST),
                        // What is asked for already is not wanted any more.
                        News::Machine(Err(_)) => acquiring.abort_all(),
                        _ => {}
                    }
                    self.on_news(news);
                }
                Some(result) = acquiring.join_next() => match result {
                    Ok(Ok(None)) => {
                        self.on_answer();
                        // A server that does not wait is not to be asked all the time.
                        acquire_at = acquire_at.max(asked_at + SOONEST);
                    }
                    Ok(Ok(Some(Offer::Job(assignment)))) => {
                        self.on_answer();
                        self.take(*assignment);
                    }
                    Ok(Ok(Some(Offer::Unreadable(id, message)))) => {
                        self.on_answer();
                        acquire_at = acquire_at.max(asked_at + SOONEST);
                        self.attempts.spawn(offer::give_back(self.client.clone(), id, message));
                    }
                    Ok(Err(error)) if error.is_worth_another_attempt() => {
                        acquire_at = tokio::time::Instant::now() + self.on_silence(&error);
                    }
                    Ok(Err(error)) => self.on_refusal(error),
                    // Aborted, because it takes no more.
                    Err(_) => {}
                },
                Some(result) = beating.join_next() => {
                    match result {
                        Ok(Ok(answer)) => {
                            every = Duration::from_millis(answer.heartbeat_ms.clamp(100, 600_000));
                            beat_at = beat_at.min(tokio::time::Instant::now() + every);
                            self.on_heartbeat(&answer);
                            if self.free() == 0 {
                                acquiring.abort_all();
                            }
                        }
                        Ok(Err(error)) => self.on_unheard(&error),
                        // Aborted, because it was not answered in time.
                        Err(_) => {}
                    }
                }
                () = tokio::time::sleep_until(acquire_at), if may_acquire => {
                    if let Some(pause) = self.fitness.pause() {
                        acquire_at = tokio::time::Instant::now() + pause;
                        continue;
                    }
                    let client = self.client.clone();
                    asked_at = tokio::time::Instant::now();
                    let ask = Acquire { free, wait_ms: u64::try_from(WAIT.as_millis()).unwrap_or_default() };
                    acquiring.spawn(async move { client.wait(path::ACQUIRE, &ask, WAIT).await });
                }
                () = tokio::time::sleep_until(beat_at) => {
                    beat_at = tokio::time::Instant::now() + every;
                    self.rest();
                    // One that is not answered yet may never be: a server that hangs must not cost the leases.
                    beating.abort_all();
                    let client = self.client.clone();
                    let held = self.held.iter().filter(|(_, held)| held.accepted);
                    let heartbeat = Heartbeat { held: held.map(|(id, _)| *id).collect() };
                    beating.spawn(async move { client.post(path::HEARTBEAT, &heartbeat).await });
                }
            }
        }
    }

    /// Gives memory back, once each time there has been something to do and there is nothing now.
    fn rest(&mut self) {
        if self.rested || !self.held.is_empty() {
            return;
        }
        match runtime::idle::give_back() {
            Ok(()) => self.rested = true,
            // A thread that has read a file or looked a name up is about to end.
            Err(error) => tracing::debug!(%error, "memory is given back later"),
        }
    }

    /// The server is there.
    fn on_answer(&mut self) {
        self.backoff = Backoff::default();
        if std::mem::take(&mut self.away) {
            tell("the server is back");
        }
    }

    /// The server is not there; how long to leave it alone.
    fn on_silence(&mut self, error: &CallError) -> Duration {
        if !std::mem::replace(&mut self.away, true) {
            tell(format_args!(
                "warning: {error}; what is held goes on, and the server is asked again"
            ));
        }
        let wait = self.backoff.wait();
        error.after().map_or(wait, |after| after.max(wait))
    }

    /// How many more jobs it can run, and wants to.
    fn free(&self) -> u32 {
        if self.stage > Stage::Working || self.server_drains || self.spent {
            return 0;
        }
        let running = self.held.values().filter(|held| held.running).count();
        let running = u32::try_from(running).unwrap_or(u32::MAX);
        self.settings.description.slots.saturating_sub(running)
    }

    /// Takes up what an earlier daemon has left.
    fn resume(&mut self) {
        for (id, spool) in Spool::all(&self.settings.data) {
            if !spool.is_whole() {
                spool.remove();
                continue;
            }
            tell(format_args!("job {id}: an earlier agent has left it"));
            let attempt = self.hold(id, spool, true, false);
            self.attempts.spawn(attempt.resume());
        }
    }

    fn take(&mut self, assignment: Assignment) {
        let id = assignment.id;
        if self.held.contains_key(&id) {
            // The answer to its acceptance is on its way.
            return;
        }
        let spool = Spool::of(&self.settings.data, id);
        let attempt = self.hold(id, spool, false, true);
        // The disk may have become full since it was asked for.
        if self.fitness.pause().is_some() {
            self.attempts.spawn(attempt.decline());
            return;
        }
        self.spent = self.settings.description.ephemeral;
        self.attempts.spawn(attempt.run(assignment));
    }

    fn hold(&mut self, id: AttemptId, spool: Spool, accepted: bool, running: bool) -> Attempt {
        let (words, receiver) = mpsc::unbounded_channel();
        let held = Held {
            words,
            accepted,
            running,
        };
        self.held.insert(id, held);
        self.rested = false;
        Attempt {
            id,
            spool,
            client: self.client.clone(),
            caches: self.settings.caches.clone(),
            words: receiver,
            news: self.teller.clone(),
            killed: false,
            hurried: false,
            cancelled: watch::Sender::new(false),
        }
    }

    fn on_news(&mut self, news: News) {
        match news {
            News::Accepted(id) => {
                if let Some(held) = self.held.get_mut(&id) {
                    held.accepted = true;
                }
            }
            News::Idle(id) => {
                if let Some(held) = self.held.get_mut(&id) {
                    held.running = false;
                }
            }
            News::Machine(result) => self.fitness.learn(&result),
            News::Done(id) => {
                let was = self.held.remove(&id);
                let had_its_job = was.is_some_and(|held| held.accepted);
                if self.spent {
                    match had_its_job {
                        true => self.stage = self.stage.max(Stage::Draining),
                        // It went to somebody else.
                        false => self.spent = false,
                    }
                }
            }
        }
        // What has ended needs not be remembered.
        while self.attempts.try_join_next().is_some() {}
    }

    /// A heartbeat was not taken. What is held goes on: its own calls find out what is wrong with it.
    fn on_unheard(&mut self, error: &CallError) {
        if error.is_worth_another_attempt() {
            return;
        }
        let why = error.to_string();
        if self.unheard.as_ref() != Some(&why) {
            tell(format_args!(
                "warning: the server does not hear that this agent lives: {why}"
            ));
            self.unheard = Some(why);
        }
    }

    fn on_heartbeat(&mut self, answer: &HeartbeatAnswer) {
        self.unheard = None;
        if answer.drain != self.server_drains {
            self.server_drains = answer.drain;
            tell(match answer.drain {
                true => "the server wants this agent to take no more jobs",
                false => "the server gives this agent jobs again",
            });
        }
        for standing in &answer.held {
            let word = match standing.order {
                ServerOrder::Continue | ServerOrder::Unknown => continue,
                ServerOrder::Cancel => Word::Order(Order::Cancel),
                ServerOrder::Abort => Word::Order(Order::Abort),
                ServerOrder::Lost => Word::Lost,
            };
            if let Some(held) = self.held.get(&standing.id) {
                // It may have ended by itself.
                let _ = held.words.send(word);
            }
        }
    }

    /// The server refuses to give jobs: it does not know this agent any more, or not its version. What is held goes on to its
    /// end first: that may be heard.
    fn on_refusal(&mut self, error: CallError) {
        if !self.held.is_empty() {
            tell(format_args!(
                "error: the server gives this agent no jobs: {error}"
            ));
        }
        self.stage = self.stage.max(Stage::Draining);
        self.refused = Some(error);
    }

    /// One step further to the end.
    fn stop(&mut self) {
        if self.stage == Stage::Working {
            self.stage = Stage::Draining;
            let running = self.held.len();
            if running > 0 {
                tell(format_args!(
                    "takes no more jobs, and ends behind the {running} that it has; once more ends them"
                ));
            }
            return;
        }
        self.stage = Stage::Aborting;
        for held in self.held.values() {
            let _ = held.words.send(Word::Shutdown);
        }
    }
}
