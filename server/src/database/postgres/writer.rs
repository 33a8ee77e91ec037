//! The threads: each takes operations from a queue and carries them out on its connection.
//!
//! Operations that have come in the meantime share a transaction and its write to the disk. They need no savepoints: where one
//! fails, or is refused after it has written, everything of the batch is undone and each is run again by itself.

use std::collections::BTreeSet;
use std::sync::PoisonError;
use std::time::Duration;

use super::appetite::Appetite;
use super::news::Teller;
use super::session::{Kind, Session};
use super::{Common, Queue};
use crate::database::work::{Verdict, Work};
use crate::database::{DatabaseError, News};

/// How often an operation that loses races is run.
const ATTEMPTS: u32 = 8;

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

/// Reads, one operation at a time: no statement of theirs depends on another one's moment.
pub(super) fn read(common: &Common, works: &Queue) {
    let mut thread = Thread::new(common, Kind::Reader);
    while let Some(taken) = take(works, 1) {
        for mut work in taken {
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
        if taken.len() > 1 {
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
        for work in works {
            let met_others = match session.carry_out(work.as_mut(), clock, &mut news) {
                Verdict::Commit => continue,
                Verdict::Rollback if !session.has_written() => continue,
                Verdict::Rollback => false,
                Verdict::Failed(error) => {
                    tracing::debug!(%error, "operations are run again one by one");
                    matches!(error, DatabaseError::Busy { .. })
                }
            };
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
