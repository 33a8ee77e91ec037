//! A connection with its prepared statements, and the transactions on it.
//!
//! What an operation does not need the answer of waits here, and is sent in one go with the next statement: of a transaction most of
//! the time is the way there and back, and the threads that change at both ends.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use futures_util::future::{join, join_all};
use tokio::runtime::Runtime;
use tokio_postgres::{Client, Statement};

use super::Common;
use super::values::{Owned, failed, parameters, shown};
use super::writer::Ran;
use crate::database::clock::Clock;
use crate::database::foresight::{Foreseen, Kept};
use crate::database::migration;
use crate::database::transaction::{Dialect, Expected, Statements, Transaction};
use crate::database::work::{self, Verdict, Work};
use crate::database::{DatabaseError, News, Row, Value};
use crate::queue::Structures;

/// None of them counts in a transaction.
const WITHOUT_LIMITS: &str = "SET LOCAL lock_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0; \
     SET LOCAL statement_timeout = 0";

/// Two servers that start at once change the schema one after the other.
const MIGRATION_LOCK: &str = "SELECT pg_advisory_xact_lock(5911487)";

/// A batch that meets another server's is given up long before the database would look for a deadlock (after one second): its
/// operations wait one by one.
const BEGIN_BATCH: &str = "BEGIN; SET LOCAL lock_timeout = '50ms'";

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Reader,
    /// What is committed is on the disk when its answer is given.
    Writer,
    /// What is committed counts at once, and may be gone behind a crash of the database.
    Light,
}

impl Kind {
    /// Of its threads.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Reader => "postgres-reads",
            Self::Writer => "postgres-writes",
            Self::Light => "postgres-light",
        }
    }

    const fn setting(self) -> Option<&'static str> {
        match self {
            Self::Reader => Some("SET default_transaction_read_only = on"),
            Self::Writer => None,
            Self::Light => Some("SET synchronous_commit = off"),
        }
    }
}

pub(super) struct Session {
    pub(super) client: Client,
    /// What the connection lives in, and the thread waits with.
    pub(super) runtime: Runtime,
    /// In the order in which they are to be executed.
    waiting: Vec<Later>,
    kind: Kind,
    statements: HashMap<&'static str, Statement>,
    pub(super) structures: Arc<Structures>,
    /// The operation has sent something else than questions.
    has_written: bool,
    /// A statement of the operation has failed: its transaction can only be undone.
    has_failed: bool,
    /// What operations of the batch that is under way have kept for those behind them; `None` while they do not.
    kept: Option<Kept>,
}

/// A statement that waits for the next one.
struct Later {
    statement: Statement,
    values: Vec<Value<'static>>,
    expected: Expected,
}

/// So many wait at most: a library that has more in flight no longer promises their order.
pub(super) const WAITING: usize = 24;

impl Session {
    pub(super) fn connect(common: &Common, kind: Kind) -> Result<Self, DatabaseError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| DatabaseError::Unavailable {
                message: error.to_string(),
            })?;
        let connected = runtime.block_on(common.target.connect_within());
        let client = connected.map_err(|error| DatabaseError::Unavailable {
            message: shown(&error),
        })?;
        // A database that was away may have gone back, and give ids again.
        common.structures.clear();
        if let Some(setting) = kind.setting() {
            runtime
                .block_on(client.batch_execute(setting))
                .map_err(failed)?;
        }
        Ok(Self {
            client,
            runtime,
            waiting: Vec::new(),
            kind,
            statements: HashMap::new(),
            structures: Arc::clone(&common.structures),
            has_written: false,
            has_failed: false,
            kept: None,
        })
    }

    pub(super) fn migrate(&mut self, clock: Clock) -> Result<(), DatabaseError> {
        self.end("BEGIN")?;
        // A large table takes as long as it takes, and so does another server that is at it.
        self.end(WITHOUT_LIMITS)?;
        self.end(MIGRATION_LOCK)?;
        let mut transaction = Transaction {
            structures: Arc::clone(&self.structures),
            statements: self,
            dialect: Dialect::Postgres,
            now: clock.now(),
            news: BTreeSet::new(),
            foreseen: Foreseen::default(),
        };
        migration::migrate(&mut transaction)?;
        self.end("COMMIT")
    }

    /// Runs one operation, a writer's in a transaction of its own.
    pub(super) fn run(&mut self, work: &mut dyn Work, clock: Clock) -> Ran {
        let mut news = BTreeSet::new();
        if self.kind == Kind::Reader {
            return match self.carry_out(work, clock.now(), Foreseen::default(), &mut news) {
                Verdict::Commit | Verdict::Rollback => Ran::Done(BTreeSet::new()),
                // Questions are asked again where the connection broke.
                Verdict::Failed(error) if self.client.is_closed() => Ran::NotBegun(error),
                Verdict::Failed(error) => Ran::Failed(error),
            };
        }
        if let Err(error) = self.end("BEGIN") {
            return Ran::NotBegun(error);
        }
        let ended = match self.carry_out(work, clock.now(), Foreseen::default(), &mut news) {
            Verdict::Commit => self.commit(),
            Verdict::Rollback => self.roll_back(),
            Verdict::Failed(error) => {
                // That a broken connection takes no word is known already.
                let _ = self.roll_back();
                Err(error)
            }
        };
        match ended {
            Ok(()) => Ran::Done(news),
            Err(error) => Ran::Failed(error),
        }
    }

    /// Begins a transaction of several operations.
    pub(super) fn begin_batch(&mut self) -> Result<(), DatabaseError> {
        self.end(BEGIN_BATCH)
    }

    /// Has operations keep something for those behind them, or not any more.
    pub(super) fn keeps(&mut self, keeps: bool) {
        self.kept = match keeps {
            true => Some(self.kept.take().unwrap_or_default()),
            false => None,
        };
    }

    /// Runs an operation in the transaction that has begun. What it tells, when it is to be committed, comes to `news`.
    pub(super) fn carry_out(
        &mut self,
        work: &mut dyn Work,
        now: u64,
        foreseen: Foreseen,
        news: &mut BTreeSet<News>,
    ) -> Verdict {
        (self.has_written, self.has_failed) = (false, false);
        let mut transaction = Transaction {
            structures: Arc::clone(&self.structures),
            statements: self,
            dialect: Dialect::Postgres,
            now,
            news: BTreeSet::new(),
            foreseen,
        };
        let verdict = work::run(work, &mut transaction);
        let told = std::mem::take(&mut transaction.news);
        let strayed = transaction.foreseen.end().err();
        match (verdict, strayed) {
            (Verdict::Commit | Verdict::Rollback, Some(error)) => Verdict::Failed(error),
            (verdict, _) => self.judged(verdict, told, news),
        }
    }

    /// What is to become of an operation that has ended.
    fn judged(&self, verdict: Verdict, told: BTreeSet<News>, news: &mut BTreeSet<News>) -> Verdict {
        match verdict {
            // The database would undo what it is told to commit, without a word.
            Verdict::Commit | Verdict::Rollback if self.has_failed => {
                Verdict::Failed(DatabaseError::Busy {
                    message: "an operation has gone on behind a statement that failed".to_owned(),
                })
            }
            Verdict::Commit => {
                news.extend(told);
                Verdict::Commit
            }
            verdict => verdict,
        }
    }

    /// Whether the last operation has sent something else than questions.
    pub(super) const fn has_written(&self) -> bool {
        self.has_written
    }

    pub(super) fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    /// Commits what was done, or undoes it where something of it fails that has waited.
    pub(super) fn commit(&mut self) -> Result<(), DatabaseError> {
        self.keeps(false);
        if let Err(error) = self.flush() {
            let _ = self.roll_back();
            return Err(error);
        }
        match self.end("COMMIT") {
            // Only who lost a race is told for sure that nothing has happened; behind any other word it may have.
            Err(DatabaseError::Statement { message }) => {
                Err(DatabaseError::Unavailable { message })
            }
            other => other,
        }
    }

    pub(super) fn roll_back(&mut self) -> Result<(), DatabaseError> {
        self.keeps(false);
        self.waiting.clear();
        self.end("ROLLBACK")
    }

    fn end(&self, how: &'static str) -> Result<(), DatabaseError> {
        let ended = self.runtime.block_on(self.client.batch_execute(how));
        ended.map_err(failed)
    }

    /// Sends what waits.
    pub(super) fn flush(&mut self) -> Result<(), DatabaseError> {
        let waiting = std::mem::take(&mut self.waiting);
        match waiting.is_empty() {
            true => Ok(()),
            false => self.runtime.block_on(executed(&self.client, &waiting)),
        }
    }

    pub(super) fn prepared(&mut self, sql: &'static str) -> Result<Statement, DatabaseError> {
        if let Some(known) = self.statements.get(sql) {
            return Ok(known.clone());
        }
        let prepared = self.runtime.block_on(self.client.prepare(sql));
        let statement = prepared.map_err(failed)?;
        self.statements.insert(sql, statement.clone());
        Ok(statement)
    }

    fn ask(&mut self, sql: &'static str, values: &[Value<'_>]) -> Result<Vec<Row>, DatabaseError> {
        let statement = self.prepared(sql)?;
        let waiting = std::mem::take(&mut self.waiting);
        let parameters = parameters(values);
        let rows = self.client.query(&statement, &parameters);
        let both = join(executed(&self.client, &waiting), rows);
        let (waited, rows) = self.runtime.block_on(both);
        waited?;
        taken(&rows.map_err(failed)?)
    }

    fn tell(&mut self, sql: &'static str, values: &[Value<'_>]) -> Result<u64, DatabaseError> {
        let statement = self.prepared(sql)?;
        let waiting = std::mem::take(&mut self.waiting);
        let parameters = parameters(values);
        let told = self.client.execute(&statement, &parameters);
        let both = join(executed(&self.client, &waiting), told);
        let (waited, told) = self.runtime.block_on(both);
        waited?;
        told.map_err(failed)
    }

    fn wait(
        &mut self,
        sql: &'static str,
        values: &[Value<'_>],
        expected: Expected,
    ) -> Result<(), DatabaseError> {
        if self.waiting.len() >= WAITING {
            self.flush()?;
        }
        let statement = self.prepared(sql)?;
        let values = values.iter().cloned().map(Value::into_owned).collect();
        self.waiting.push(Later {
            statement,
            values,
            expected,
        });
        Ok(())
    }
}

/// Rows as they are here.
pub(super) fn taken(rows: &[postgres::Row]) -> Result<Vec<Row>, DatabaseError> {
    let row = |row: &postgres::Row| {
        let columns = 0..row.len();
        let values = columns.map(|column| {
            let value: Option<Owned> = row.try_get(column).map_err(failed)?;
            Ok(value.map_or(Value::Null, |value| value.0))
        });
        values.collect::<Result<_, _>>().map(Row)
    };
    rows.iter().map(row).collect()
}

/// Executes statements in their order, all on their way at once. The first that has failed made those behind it fail.
async fn executed(client: &Client, waiting: &[Later]) -> Result<(), DatabaseError> {
    let each = waiting.iter().map(|later| async {
        let values = parameters(&later.values);
        let changed = client.execute(&later.statement, &values).await;
        later.expected.check(changed.map_err(failed)?)
    });
    join_all(each).await.into_iter().collect()
}

impl Statements for Session {
    fn query(
        &mut self,
        sql: &'static str,
        values: &[Value<'_>],
    ) -> Result<Vec<Row>, DatabaseError> {
        self.has_written |= !sql.starts_with("SELECT");
        self.ask(sql, values)
            .inspect_err(|_| self.has_failed = true)
    }

    fn execute(&mut self, sql: &'static str, values: &[Value<'_>]) -> Result<u64, DatabaseError> {
        self.has_written = true;
        self.tell(sql, values)
            .inspect_err(|_| self.has_failed = true)
    }

    fn later(
        &mut self,
        sql: &'static str,
        values: &[Value<'_>],
        expected: Expected,
    ) -> Result<(), DatabaseError> {
        self.has_written = true;
        self.wait(sql, values, expected)
            .inspect_err(|_| self.has_failed = true)
    }

    fn has_asked(&mut self, sql: &'static str) {
        self.has_written |= !sql.starts_with("SELECT");
    }

    fn kept(&mut self) -> Option<&mut Kept> {
        self.kept.as_mut()
    }
}
