//! The threads: each takes operations from a queue and carries them out on its connection.
//!
//! Operations that have come in the meantime share a transaction and its write to the disk. They need no savepoints: where one
//! fails, or is refused after it has written, everything of the batch is undone and each is run again by itself, without foresight.

use std::collections::{BTreeSet, VecDeque};
use std::sync::PoisonError;
use std::time::Duration;

use super::appetite::Appetite;
use super::news::Teller;
use super::session::{Kind, Session};
use super::{Common, Queue};
use crate::database::foresight::Foreseen;
use crate::database::work::{Verdict, Work};
use crate::database::{DatabaseError, News};

/// How often an operation that loses races is run.
const ATTEMPTS: u32 = 8;

/// Questions that travel together, at most.
const QUESTIONS: usize = 16;

/// The next operations, at most so many; `None` when there will be none.
fn take(works: &Queue, most: usize) -> Option<Vec<Box<dyn Work>>> {
    let mut works = works.lock().unwrap_or_else(PoisonError::into_inner);
    let mut taken = vec![works.blocking_recv()?];
    while taken.len() < most
        && let Ok(next) = works.try_recv()
    {
        taken.push(next);
    }
    Some(taken)
}

/// The next questions: those that are foreseen, as many as have come, and at most one that may take its time.
fn take_questions(works: &Queue) -> Option<Vec<Box<dyn Work>>> {
    let mut works = works.lock().unwrap_or_else(PoisonError::into_inner);
    let mut taken = vec![works.blocking_recv()?];
    while taken.len() < QUESTIONS
        && taken.last().is_some_and(|last| last.foresees())
        && let Ok(next) = works.try_recv()
    {
        taken.push(next);
    }
    Some(taken)
}

/// Reads, each operation by itself: no statement of theirs depends on another one's moment. What is foreseen travels together.
pub(super) fn read(common: &Common, works: &Queue) {
    let mut thread = Thread::new(common, Kind::Reader);
    while let Some(taken) = take_questions(works) {
        let mut ahead = thread.look_ahead(&taken);
        for mut work in taken {
            let foreseen = ahead.pop_front();
            if let Some(foreseen) = foreseen
                && thread.answered(work.as_mut(), foreseen)
            {
                work.deliver(None);
                continue;
            }
            let (failed, _) = thread.alone(work.as_mut());
            work.deliver(failed);
        }
    }
}

/// Writes, in batches.
pub(super) fn write(common: &Common, kind: Kind, works: &Queue, teller: &Teller) {
    let mut thread = Thread::new(common, kind);
    let mut appetite = Appetite::new();
    while let Some(mut taken) = take(works, appetite.most()) {
        // They have come at the same time, or nearly so: any order will do.
        taken.sort_by_key(|work| !work.foresees());
        if taken.len() > 1 || taken.iter().any(|work| work.foresees()) {
            match thread.together(&mut taken) {
                Together::Committed(news) => {
                    appetite.fed();
                    taken.into_iter().for_each(|work| work.deliver(None));
                    teller.tell(news);
                    continue;
                }
                Together::Lost(message) => {
                    for work in taken {
                        let message = message.clone();
                        work.deliver(Some(DatabaseError::Unavailable { message }));
                    }
                    continue;
                }
                Together::Undone { met_others } => {
                    if met_others {
                        appetite.spoiled();
                    }
                }
            }
        } else {
            appetite.fed();
        }
        for mut work in taken {
            let (failed, news) = thread.alone(work.as_mut());
            work.deliver(failed);
            teller.tell(news);
        }
    }
}

/// What became of a batch.
enum Together {
    Committed(BTreeSet<News>),
    /// The connection broke, perhaps behind the commit.
    Lost(String),
    /// Nothing of it has happened.
    Undone {
        met_others: bool,
    },
}

/// A thread's connection, when it has one.
struct Thread<'c> {
    common: &'c Common,
    kind: Kind,
    session: Option<Session>,
}

impl<'c> Thread<'c> {
    const fn new(common: &'c Common, kind: Kind) -> Self {
        Self {
            common,
            kind,
            session: None,
        }
    }

    fn session(&mut self) -> Result<&mut Session, DatabaseError> {
        match &mut self.session {
            Some(_) => {}
            none => *none = Some(Session::connect(self.common, self.kind)?),
        }
        self.session.as_mut().ok_or(DatabaseError::Closed)
    }

    /// Runs operations in one transaction.
    fn together(&mut self, works: &mut [Box<dyn Work>]) -> Together {
        let clock = self.common.clock;
        let undone = Together::Undone { met_others: false };
        // Who finds no connection, or a broken one, learns so operation by operation.
        let Ok(session) = self.session() else {
            return undone;
        };
        if session.begin_batch().is_err() {
            self.session = None;
            return undone;
        }
        let mut news = BTreeSet::new();
        let undone_for = match all(session, works, clock.now(), &mut news) {
            Verdict::Commit => None,
            Verdict::Rollback => Some(false),
            Verdict::Failed(error) => {
                tracing::debug!(%error, "operations are run again one by one");
                Some(matches!(error, DatabaseError::Busy { .. }))
            }
        };
        if let Some(met_others) = undone_for {
            if session.roll_back().is_err() {
                self.session = None;
            }
            return Together::Undone { met_others };
        }
        match session.commit() {
            Ok(()) => Together::Committed(news),
            Err(DatabaseError::Busy { .. }) => Together::Undone { met_others: true },
            Err(error @ DatabaseError::Unavailable { .. }) => {
                self.session = None;
                Together::Lost(error.to_string())
            }
            // A statement that was sent before the commit has failed.
            Err(error) => {
                tracing::debug!(%error, "operations are run again one by one");
                Together::Undone { met_others: false }
            }
        }
    }

    /// What questions foresee; where it cannot be had they are asked one by one.
    fn look_ahead(&mut self, works: &[Box<dyn Work>]) -> VecDeque<Foreseen> {
        let now = self.common.clock.now();
        let ahead = self
            .session()
            .and_then(|session| session.look_ahead(works, now));
        ahead.unwrap_or_else(|error| {
            tracing::debug!(%error, "questions are asked one by one");
            VecDeque::new()
        })
    }

    /// Whether a question could be answered with what it foresaw.
    fn answered(&mut self, work: &mut dyn Work, foreseen: Foreseen) -> bool {
        let now = self.common.clock.now();
        let verdict = self
            .session
            .as_mut()
            .map(|session| session.carry_out(work, now, foreseen, &mut BTreeSet::new()));
        matches!(verdict, Some(Verdict::Commit | Verdict::Rollback))
    }

    /// Runs one operation, again while it loses races. A connection that is found broken before anything was asked of it costs one
    /// more attempt.
    fn alone(&mut self, work: &mut dyn Work) -> (Option<DatabaseError>, BTreeSet<News>) {
        let clock = self.common.clock;
        for attempt in 1.. {
            let session = match self.session() {
                Ok(session) => session,
                Err(error) => return (Some(error), BTreeSet::new()),
            };
            let error = match session.run(work, clock) {
                Ran::Done(news) => return (None, news),
                // Who finds its row made by another one sees it when it looks again.
                Ran::Failed(
                    error @ (DatabaseError::Busy { .. } | DatabaseError::Duplicate { .. }),
                ) if attempt < ATTEMPTS => {
                    tracing::debug!(%error, "an operation is run again");
                    pause(attempt);
                    continue;
                }
                Ran::Failed(error) => {
                    if matches!(error, DatabaseError::Unavailable { .. }) || session.is_closed() {
                        self.session = None;
                    }
                    error
                }
                Ran::NotBegun(error) => {
                    self.session = None;
                    if attempt < 3 {
                        continue;
                    }
                    error
                }
            };
            return (Some(error), BTreeSet::new());
        }
        (Some(DatabaseError::Closed), BTreeSet::new())
    }
}

/// Runs the operations of a batch, those that foresee something first: what is to become of all of them.
fn all(
    session: &mut Session,
    works: &mut [Box<dyn Work>],
    now: u64,
    news: &mut BTreeSet<News>,
) -> Verdict {
    let mut ahead = match session.look_ahead(works, now) {
        Ok(ahead) => ahead,
        Err(error) => return Verdict::Failed(error),
    };
    for work in works {
        let foreseen = ahead.pop_front();
        session.keeps(foreseen.is_some());
        let foreseen = foreseen.unwrap_or_default();
        match session.carry_out(work.as_mut(), now, foreseen, news) {
            Verdict::Commit => {}
            Verdict::Rollback if !session.has_written() => {}
            verdict => return verdict,
        }
    }
    Verdict::Commit
}

/// What became of one operation.
pub(super) enum Ran {
    Done(BTreeSet<News>),
    Failed(DatabaseError),
    /// Nothing of the operation was sent.
    NotBegun(DatabaseError),
}

/// Those who raced do not meet again at the same moment.
fn pause(attempt: u32) {
    let mut bits = [0; 1];
    let _ = getrandom::fill(&mut bits);
    let pause = u64::from(attempt) * (1 + u64::from(bits[0]) % 8);
    std::thread::sleep(Duration::from_millis(pause));
}
