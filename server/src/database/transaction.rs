//! What an operation sees of a database: statements, one clock, and news for others once it is committed.

use std::collections::BTreeSet;
use std::sync::Arc;

use protocol::service::{AttemptId, JobId, PipelineId};

use super::foresight::{Foreseen, Kept};
use super::{DatabaseError, Row, Value};
use crate::queue::Structures;

/// Executes statements. Parameters are `$1`, `$2`, .. in both databases.
pub(super) trait Statements {
    /// The rows a statement answers with.
    fn query(&mut self, sql: &'static str, values: &[Value<'_>])
    -> Result<Vec<Row>, DatabaseError>;

    /// How many rows a statement has changed.
    fn execute(&mut self, sql: &'static str, values: &[Value<'_>]) -> Result<u64, DatabaseError>;

    /// Executes a statement before anything that comes behind it, at the latest before the commit; see [`Transaction::later`].
    fn later(
        &mut self,
        sql: &'static str,
        values: &[Value<'_>],
        expected: Expected,
    ) -> Result<(), DatabaseError>;

    /// A statement was asked ahead, and its answer is wanted.
    fn has_asked(&mut self, _sql: &'static str) {}

    /// Where operations keep something for those behind them, when they do.
    fn kept(&mut self) -> Option<&mut Kept> {
        None
    }
}

/// What a statement has to have changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expected {
    Anything,
    /// At least one row. Where there is none, somebody else was faster, and the operation is run again.
    Something,
}

impl Expected {
    /// Looks whether it is so.
    pub(super) fn check(self, changed: u64) -> Result<(), DatabaseError> {
        match (self, changed) {
            (Self::Something, 0) => Err(DatabaseError::Busy {
                message: "a row has changed meanwhile".to_owned(),
            }),
            _ => Ok(()),
        }
    }
}

/// Which database it is, for the few statements that differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    Sqlite,
    Postgres,
}

/// News that others wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum News {
    /// Jobs are ready.
    Ready,
    /// An attempt has more events or bytes, or is over.
    Attempt(AttemptId),
    /// A pipeline or one of its jobs has changed.
    Pipeline(PipelineId),
}

impl News {
    /// As it travels between servers.
    pub(super) fn to_text(self) -> String {
        match self {
            Self::Ready => "ready".to_owned(),
            Self::Attempt(id) => id.to_string(),
            Self::Pipeline(id) => format!("pipeline {id}"),
        }
    }

    /// The other way round; `None` is from a newer server.
    pub(super) fn parse(text: &str) -> Option<Self> {
        if text == "ready" {
            return Some(Self::Ready);
        }
        if let Some(id) = text.strip_prefix("pipeline ") {
            return Some(Self::Pipeline(PipelineId(id.parse().ok()?)));
        }
        let (job, attempt) = text.split_once('-')?;
        Some(Self::Attempt(AttemptId {
            job: JobId(job.parse().ok()?),
            attempt: attempt.parse().ok()?,
        }))
    }
}

/// One operation's transaction. It is run again from its start when somebody else was faster, so an operation must not
/// keep anything but through it.
pub(crate) struct Transaction<'t> {
    pub(super) statements: &'t mut dyn Statements,
    pub(super) dialect: Dialect,
    pub(super) now: u64,
    pub(super) news: BTreeSet<News>,
    pub(super) structures: Arc<Structures>,
    pub(super) foreseen: Foreseen,
}

impl std::fmt::Debug for Transaction<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Transaction")
            .field("dialect", &self.dialect)
            .finish_non_exhaustive()
    }
}

impl Transaction<'_> {
    /// Unix milliseconds. For people only: nothing is decided by it but what tells of days (expiry of tokens).
    pub(crate) const fn now(&self) -> u64 {
        self.now
    }

    /// What is remembered of pipelines that do not change.
    pub(crate) fn structures(&self) -> &Structures {
        &self.structures
    }

    pub(crate) const fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// Wakes who waits for this, behind the commit.
    pub(crate) fn tell(&mut self, news: News) {
        self.news.insert(news);
    }

    /// The first row.
    pub(crate) fn first(
        &mut self,
        sql: &'static str,
        values: &[Value<'_>],
    ) -> Result<Option<Row>, DatabaseError> {
        Ok(self.query(sql, values)?.into_iter().next())
    }

    /// The one row that must be there.
    pub(crate) fn one(
        &mut self,
        sql: &'static str,
        values: &[Value<'_>],
    ) -> Result<Row, DatabaseError> {
        self.first(sql, values)?
            .ok_or(DatabaseError::Shape { column: 0 })
    }

    pub(crate) fn execute(
        &mut self,
        sql: &'static str,
        values: &[Value<'_>],
    ) -> Result<u64, DatabaseError> {
        self.statements.execute(sql, values)
    }

    /// Executes a statement whose answer the operation does not need: where the database is far it travels with the next one. That it
    /// fails comes out then, or at the commit.
    pub(crate) fn later(
        &mut self,
        sql: &'static str,
        values: &[Value<'_>],
    ) -> Result<(), DatabaseError> {
        self.statements.later(sql, values, Expected::Anything)
    }

    /// The same, and the operation is run again when it changes no row.
    pub(crate) fn later_changing(
        &mut self,
        sql: &'static str,
        values: &[Value<'_>],
    ) -> Result<(), DatabaseError> {
        self.statements.later(sql, values, Expected::Something)
    }
}

/// A query whose rows are locked until the transaction ends, where the database is shared: `locking!(tx, "SELECT ..")`, or with
/// `skipping!` without those that somebody else has locked. SQLite has one writer at a time.
macro_rules! locking {
    ($tx:expr, $sql:literal) => {
        match $tx.dialect() {
            $crate::database::Dialect::Sqlite => $sql,
            $crate::database::Dialect::Postgres => concat!($sql, " FOR UPDATE"),
        }
    };
}
macro_rules! skipping {
    ($tx:expr, $sql:literal) => {
        match $tx.dialect() {
            $crate::database::Dialect::Sqlite => $sql,
            $crate::database::Dialect::Postgres => concat!($sql, " FOR UPDATE SKIP LOCKED"),
        }
    };
}
pub(crate) use {locking, skipping};
