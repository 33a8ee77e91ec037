//! SQLite: one thread writes, in batches that share a transaction and its write to the disk; others read.
//!
//! WAL with `synchronous = FULL`: what was answered survives a power cut.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, ErrorCode, ToSql, params_from_iter};
use tokio::sync::mpsc;

use super::clock::Clock;
use super::foresight::Foreseen;
use super::migration;
use super::transaction::{Dialect, Expected, Statements, Transaction};
use super::work::{self, Verdict, Work};
use super::{DatabaseError, Pool, Row, Signals, Value};
use crate::queue::Structures;

/// Operations of one transaction at most.
const BATCH: usize = 256;

/// Threads that read.
const READERS: usize = 2;

/// Pages that the writer keeps, KiB as a negative number: <https://sqlite.org/pragma.html#pragma_cache_size>.
const WRITERS_CACHE: &str = "PRAGMA cache_size = -4096";

/// Readers throw theirs away whenever something was written; the kernel has the pages as well.
const READERS_CACHE: &str = "PRAGMA cache_size = -1024";

/// Opens, makes or upgrades the database and starts its threads.
pub(super) fn open(path: &Path, signals: Arc<Signals>) -> Result<Pool, DatabaseError> {
    let clock = Clock::start();
    let structures = Arc::default();
    let mut writer = Session::open(path, &structures, WRITERS_CACHE)?;
    writer.batch("BEGIN IMMEDIATE")?;
    migration::migrate(&mut transaction(&mut writer))?;
    writer.batch("COMMIT")?;
    let (writes, received) = mpsc::channel(1_024);
    spawn("sqlite-writer", move || {
        write(writer, received, clock, &signals)
    })?;
    let (reads, received) = mpsc::channel::<Box<dyn Work>>(1_024);
    let received = Arc::new(std::sync::Mutex::new(received));
    for _ in 0..READERS {
        let session = Session::open(path, &structures, READERS_CACHE)?;
        let received = Arc::clone(&received);
        spawn("sqlite-reader", move || read(session, &received, clock))?;
    }
    Ok(Pool {
        light: writes.clone(),
        writes,
        reads,
    })
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> Result<(), DatabaseError> {
    let thread = std::thread::Builder::new().name(name.to_owned()).spawn(run);
    thread
        .map(drop)
        .map_err(|error| DatabaseError::Unavailable {
            message: error.to_string(),
        })
}

fn transaction(session: &mut Session) -> Transaction<'_> {
    Transaction {
        structures: Arc::clone(&session.structures),
        statements: session,
        dialect: Dialect::Sqlite,
        now: 0,
        news: std::collections::BTreeSet::new(),
        foreseen: Foreseen::default(),
    }
}

/// The writer: as many operations as have come share one transaction, each in a savepoint of its own.
fn write(
    mut session: Session,
    mut works: mpsc::Receiver<Box<dyn Work>>,
    clock: Clock,
    signals: &Signals,
) {
    while let Some(first) = works.blocking_recv() {
        if let Err(error) = session.control("BEGIN IMMEDIATE") {
            first.deliver(Some(error));
            continue;
        }
        let mut done: Vec<(Box<dyn Work>, Option<DatabaseError>)> = Vec::new();
        let mut news = std::collections::BTreeSet::new();
        let mut next = Some(first);
        while let Some(mut work) = next {
            let (failed, told) = run_one(&mut session, work.as_mut(), clock);
            news.extend(told);
            done.push((work, failed));
            next = (done.len() < BATCH)
                .then(|| works.try_recv().ok())
                .flatten();
        }
        let committed = session.control("COMMIT");
        if let Err(error) = &committed {
            tracing::error!(%error, operations = done.len(), "a transaction was not committed");
            if let Err(error) = session.batch("ROLLBACK") {
                tracing::debug!(%error, "nothing to roll back");
            }
            // Ids of what was not kept are given again.
            session.structures.clear();
        }
        for (work, failed) in done {
            let lost = committed
                .as_ref()
                .err()
                .map(|error| DatabaseError::Unavailable {
                    message: error.to_string(),
                });
            work.deliver(failed.or(lost));
        }
        if committed.is_ok() {
            news.into_iter().for_each(|news| signals.wake(news));
        }
    }
}

/// One operation in a savepoint. Its news, when it is to be committed.
fn run_one(
    session: &mut Session,
    work: &mut dyn Work,
    clock: Clock,
) -> (
    Option<DatabaseError>,
    std::collections::BTreeSet<super::News>,
) {
    let nothing = std::collections::BTreeSet::new;
    if let Err(error) = session.control("SAVEPOINT operation") {
        return (Some(error), nothing());
    }
    let mut transaction = transaction(session);
    transaction.now = clock.now();
    let verdict = work::run(work, &mut transaction);
    let news = std::mem::take(&mut transaction.news);
    let (undo, failed, news) = match verdict {
        Verdict::Commit => (Ok(()), None, news),
        Verdict::Rollback => (session.control("ROLLBACK TO operation"), None, nothing()),
        Verdict::Failed(error) => {
            session.structures.clear();
            let undo = session.control("ROLLBACK TO operation");
            (undo, Some(error), nothing())
        }
    };
    match undo.and_then(|()| session.control("RELEASE operation")) {
        Ok(()) => (failed, news),
        Err(error) => (failed.or(Some(error)), nothing()),
    }
}

/// A reader: each operation sees one state of the database.
fn read(
    mut session: Session,
    works: &std::sync::Mutex<mpsc::Receiver<Box<dyn Work>>>,
    clock: Clock,
) {
    loop {
        let next = match works.lock() {
            Ok(mut works) => works.blocking_recv(),
            Err(_) => None,
        };
        let Some(mut work) = next else { return };
        if let Err(error) = session.control("BEGIN") {
            work.deliver(Some(error));
            continue;
        }
        let mut transaction = transaction(&mut session);
        transaction.now = clock.now();
        let verdict = work::run(work.as_mut(), &mut transaction);
        let failed = match verdict {
            Verdict::Failed(error) => Some(error),
            Verdict::Commit | Verdict::Rollback => None,
        };
        if let Err(error) = session.control("ROLLBACK") {
            tracing::debug!(%error, "a reader could not end its transaction");
        }
        work.deliver(failed);
    }
}

/// A connection with its statements.
pub(super) struct Session {
    connection: Connection,
    /// SQLite numbers `?1` and names `$1`.
    texts: HashMap<&'static str, Arc<str>>,
    structures: Arc<Structures>,
}

impl Session {
    fn open(path: &Path, structures: &Arc<Structures>, cache: &str) -> Result<Self, DatabaseError> {
        let connection = Connection::open(path).map_err(failed)?;
        connection
            .busy_timeout(Duration::from_secs(10))
            .map_err(failed)?;
        connection.set_prepared_statement_cache_capacity(256);
        let session = Self {
            connection,
            texts: HashMap::new(),
            structures: Arc::clone(structures),
        };
        session.batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; \
             PRAGMA temp_store = MEMORY; PRAGMA journal_size_limit = 67108864; PRAGMA wal_autocheckpoint = 4000",
        )?;
        session.batch(cache)?;
        Ok(session)
    }

    fn batch(&self, sql: &str) -> Result<(), DatabaseError> {
        self.connection.execute_batch(sql).map_err(failed)
    }

    /// One statement without an answer, prepared once.
    fn control(&self, sql: &str) -> Result<(), DatabaseError> {
        let mut statement = self.connection.prepare_cached(sql).map_err(failed)?;
        statement.execute([]).map(drop).map_err(failed)
    }

    fn text(&mut self, sql: &'static str) -> Arc<str> {
        match self.texts.entry(sql) {
            Entry::Occupied(known) => Arc::clone(known.get()),
            Entry::Vacant(new) => Arc::clone(new.insert(sql.replace('$', "?").into())),
        }
    }
}

impl Statements for Session {
    fn query(
        &mut self,
        sql: &'static str,
        values: &[Value<'_>],
    ) -> Result<Vec<Row>, DatabaseError> {
        let text = self.text(sql);
        let mut statement = self.connection.prepare_cached(&text).map_err(failed)?;
        let columns = statement.column_count();
        let mut rows = statement.query(params_from_iter(values)).map_err(failed)?;
        let mut found = Vec::new();
        while let Some(row) = rows.next().map_err(failed)? {
            let mut values = Vec::with_capacity(columns);
            for column in 0..columns {
                values.push(match row.get_ref(column).map_err(failed)? {
                    ValueRef::Null => Value::Null,
                    ValueRef::Integer(number) => Value::Int(number),
                    ValueRef::Text(text) => {
                        let text = std::str::from_utf8(text);
                        let text = text.map_err(|_| DatabaseError::Shape { column })?;
                        Value::Text(text.to_owned().into())
                    }
                    ValueRef::Blob(bytes) => Value::Blob(bytes.to_vec().into()),
                    ValueRef::Real(_) => return Err(DatabaseError::Shape { column }),
                });
            }
            found.push(Row(values));
        }
        Ok(found)
    }

    fn execute(&mut self, sql: &'static str, values: &[Value<'_>]) -> Result<u64, DatabaseError> {
        let text = self.text(sql);
        let mut statement = self.connection.prepare_cached(&text).map_err(failed)?;
        let changed = statement
            .execute(params_from_iter(values))
            .map_err(failed)?;
        Ok(changed as u64)
    }

    fn later(
        &mut self,
        sql: &'static str,
        values: &[Value<'_>],
        expected: Expected,
    ) -> Result<(), DatabaseError> {
        expected.check(self.execute(sql, values)?)
    }
}

impl ToSql for Value<'_> {
    fn to_sql(&self) -> rusqlite::Result<rusqlite::types::ToSqlOutput<'_>> {
        let value = match self {
            Self::Null => ValueRef::Null,
            Self::Int(number) => ValueRef::Integer(*number),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
            Self::Blob(bytes) => ValueRef::Blob(bytes),
        };
        Ok(rusqlite::types::ToSqlOutput::Borrowed(value))
    }
}

fn failed(error: rusqlite::Error) -> DatabaseError {
    let message = error.to_string();
    match error.sqlite_error_code() {
        Some(ErrorCode::ConstraintViolation) => DatabaseError::Duplicate { message },
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            DatabaseError::Busy { message }
        }
        Some(
            ErrorCode::DiskFull
            | ErrorCode::SystemIoFailure
            | ErrorCode::CannotOpen
            | ErrorCode::ReadOnly
            | ErrorCode::DatabaseCorrupt
            | ErrorCode::NotADatabase,
        ) => DatabaseError::Unavailable { message },
        _ => DatabaseError::Statement { message },
    }
}
