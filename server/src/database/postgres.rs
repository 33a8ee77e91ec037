//! PostgreSQL: several threads with a connection each, and one that hears news of other servers.
//!
//! Rows that an operation depends on are locked (`FOR UPDATE`); who loses a race is run again from its start. A connection that
//! breaks is made anew; what ran in it is answered as unavailable, since nobody knows whether it was committed.

use std::collections::{BTreeSet, HashMap};
use std::error::Error as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use postgres::fallible_iterator::FallibleIterator as _;
use postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};
use postgres::{Client, Statement};
use tokio::sync::mpsc;

use super::clock::Clock;
use super::encryption::Target;
use super::migration;
use super::transaction::{Dialect, Statements, Transaction};
use super::work::{self, Verdict, Work};
use super::{DatabaseError, News, Pool, Row, Signals, Value};
use crate::queue::Structures;

/// Threads that read and write.
const THREADS: usize = 8;

/// How often an operation that loses races is run.
const ATTEMPTS: u32 = 8;

/// A server that stands still in the middle of a transaction, as a machine does that is suspended, keeps its locks no longer.
const LIMITS: &str =
    "-c lock_timeout=10s -c idle_in_transaction_session_timeout=15s -c statement_timeout=60s";

/// None of them counts in a transaction.
const WITHOUT_LIMITS: &str = "SET LOCAL lock_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0; \
     SET LOCAL statement_timeout = 0";

/// The channel of news.
const CHANNEL: &str = "slipway";

/// How long until a connection is made again that cannot be made.
const PAUSE: Duration = Duration::from_millis(500);

/// Two servers that start at once change the schema one after the other.
const MIGRATION_LOCK: &str = "SELECT pg_advisory_xact_lock(5911487)";

type Queue = Arc<Mutex<mpsc::Receiver<Box<dyn Work>>>>;

/// Connects, makes or upgrades the schema and starts the threads.
pub(super) fn open(url: &str, signals: &Arc<Signals>) -> Result<Pool, DatabaseError> {
    let mut target = Target::parse(url)?;
    let config = &mut target.config;
    config
        .application_name("slipway-server")
        .connect_timeout(Duration::from_secs(5))
        .keepalives_idle(Duration::from_secs(10))
        .tcp_user_timeout(Duration::from_secs(15));
    if config.get_options().is_none() {
        config.options(LIMITS);
    }
    let clock = Clock::start();
    let structures = Arc::default();
    let mut session = Session::connect(&target, &structures)?;
    session.migrate(clock)?;
    let (works, received) = mpsc::channel(1_024);
    let received: Queue = Arc::new(Mutex::new(received));
    for _ in 0..THREADS {
        let (target, received) = (target.clone(), Arc::clone(&received));
        let structures = Arc::clone(&structures);
        spawn("postgres", move || {
            work(&target, &structures, &received, clock)
        })?;
    }
    let signals = Arc::downgrade(signals);
    spawn("postgres-news", move || {
        while let Some(signals) = signals.upgrade() {
            if let Err(error) = listen(&target, &signals) {
                tracing::warn!(%error, "news of other servers are not heard");
            }
            drop(signals);
            std::thread::sleep(PAUSE);
        }
    })?;
    Ok(Pool {
        writes: works.clone(),
        reads: works,
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

/// Hears news until the connection breaks or, now and then, nobody wants to hear them.
fn listen(target: &Target, signals: &Arc<Signals>) -> Result<(), DatabaseError> {
    let mut client = target.connect().map_err(failed)?;
    client
        .batch_execute(&format!("LISTEN {CHANNEL}"))
        .map_err(failed)?;
    // What happened while nobody listened.
    signals.wake_all();
    loop {
        let mut notifications = client.notifications();
        let mut coming = notifications.timeout_iter(Duration::from_secs(2));
        while let Some(notification) = coming.next().map_err(failed)? {
            if let Some(news) = News::parse(notification.payload()) {
                signals.wake(news);
            }
        }
        drop(coming);
        drop(notifications);
        if client.is_closed() || Arc::strong_count(signals) == 1 {
            return Ok(());
        }
    }
}

fn work(target: &Target, structures: &Arc<Structures>, works: &Queue, clock: Clock) {
    let mut session: Option<Session> = None;
    loop {
        let next = match works.lock() {
            Ok(mut works) => works.blocking_recv(),
            Err(_) => None,
        };
        let Some(mut work) = next else { return };
        let connect = || Session::connect(target, structures);
        let failed = carry_out(&connect, &mut session, work.as_mut(), clock);
        work.deliver(failed);
    }
}

/// Runs an operation, again while it loses races. A connection that is found broken before anything was asked of it costs one more
/// attempt.
fn carry_out(
    connect: &dyn Fn() -> Result<Session, DatabaseError>,
    session: &mut Option<Session>,
    work: &mut dyn Work,
    clock: Clock,
) -> Option<DatabaseError> {
    for attempt in 1.. {
        let current = match session {
            Some(current) => current,
            None => match connect() {
                Ok(new) => session.insert(new),
                Err(error) => return Some(error),
            },
        };
        match current.run(work, clock) {
            Ran::Done => return None,
            // Who finds its row made by another one sees it when it looks again.
            Ran::Failed(error @ (DatabaseError::Busy { .. } | DatabaseError::Duplicate { .. })) => {
                if attempt >= ATTEMPTS {
                    return Some(error);
                }
                // Those who raced do not meet again at the same moment.
                let mut bits = [0; 1];
                let _ = getrandom::fill(&mut bits);
                let pause = u64::from(attempt) * (1 + u64::from(bits[0]) % 8);
                std::thread::sleep(Duration::from_millis(pause));
            }
            Ran::Failed(error @ DatabaseError::Unavailable { .. }) => {
                *session = None;
                return Some(error);
            }
            Ran::Failed(error) => {
                if current.client.is_closed() {
                    *session = None;
                }
                return Some(error);
            }
            Ran::NotBegun(error) => {
                *session = None;
                if attempt >= 3 {
                    return Some(error);
                }
            }
        }
    }
    None
}

enum Ran {
    Done,
    Failed(DatabaseError),
    /// Nothing of the operation was sent.
    NotBegun(DatabaseError),
}

/// A connection with its prepared statements.
struct Session {
    client: Client,
    statements: HashMap<&'static str, Statement>,
    structures: Arc<Structures>,
}

impl Session {
    fn connect(target: &Target, structures: &Arc<Structures>) -> Result<Self, DatabaseError> {
        let client = target
            .connect()
            .map_err(|error| DatabaseError::Unavailable {
                message: shown(&error),
            })?;
        Ok(Self {
            client,
            statements: HashMap::new(),
            structures: Arc::clone(structures),
        })
    }

    fn migrate(&mut self, clock: Clock) -> Result<(), DatabaseError> {
        self.client.batch_execute("BEGIN").map_err(failed)?;
        // A large table takes as long as it takes, and so does another server that is at it.
        self.client.batch_execute(WITHOUT_LIMITS).map_err(failed)?;
        self.client.batch_execute(MIGRATION_LOCK).map_err(failed)?;
        let mut transaction = Transaction {
            structures: Arc::clone(&self.structures),
            statements: self,
            dialect: Dialect::Postgres,
            now: clock.now(),
            news: BTreeSet::new(),
        };
        migration::migrate(&mut transaction)?;
        self.client.batch_execute("COMMIT").map_err(failed)
    }

    fn run(&mut self, work: &mut dyn Work, clock: Clock) -> Ran {
        if let Err(error) = self.client.batch_execute("BEGIN") {
            return Ran::NotBegun(failed(error));
        }
        let mut transaction = Transaction {
            structures: Arc::clone(&self.structures),
            statements: self,
            dialect: Dialect::Postgres,
            now: clock.now(),
            news: BTreeSet::new(),
        };
        let verdict = work::run(work, &mut transaction);
        let news = std::mem::take(&mut transaction.news);
        let ended = match verdict {
            Verdict::Commit => self.tell(&news).and_then(|()| self.end("COMMIT")),
            Verdict::Rollback => self.end("ROLLBACK"),
            Verdict::Failed(error) => {
                // That a broken connection takes no word is known already.
                let _ = self.end("ROLLBACK");
                Err(error)
            }
        };
        match ended {
            Ok(()) => Ran::Done,
            Err(error) => Ran::Failed(error),
        }
    }

    fn end(&mut self, how: &'static str) -> Result<(), DatabaseError> {
        self.client.batch_execute(how).map_err(failed)
    }

    /// News go to every server, this one too, when the transaction is committed.
    fn tell(&mut self, news: &BTreeSet<News>) -> Result<(), DatabaseError> {
        for news in news {
            self.execute(
                "SELECT pg_notify('slipway', $1)",
                &[Value::from(news.to_text())],
            )?;
        }
        Ok(())
    }

    fn prepared(&mut self, sql: &'static str) -> Result<Statement, DatabaseError> {
        if let Some(known) = self.statements.get(sql) {
            return Ok(known.clone());
        }
        let statement = self.client.prepare(sql).map_err(failed)?;
        self.statements.insert(sql, statement.clone());
        Ok(statement)
    }
}

/// Values as the client wants them.
fn parameters<'v>(values: &'v [Value<'v>]) -> Vec<&'v (dyn ToSql + Sync)> {
    values
        .iter()
        .map(|value| value as &(dyn ToSql + Sync))
        .collect()
}

impl Statements for Session {
    fn query(
        &mut self,
        sql: &'static str,
        values: &[Value<'_>],
    ) -> Result<Vec<Row>, DatabaseError> {
        let statement = self.prepared(sql)?;
        let rows = self
            .client
            .query(&statement, &parameters(values))
            .map_err(failed)?;
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

    fn execute(&mut self, sql: &'static str, values: &[Value<'_>]) -> Result<u64, DatabaseError> {
        let statement = self.prepared(sql)?;
        self.client
            .execute(&statement, &parameters(values))
            .map_err(failed)
    }
}

impl ToSql for Value<'_> {
    fn to_sql(
        &self,
        kind: &Type,
        out: &mut bytes::BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        match self {
            Self::Null => Ok(IsNull::Yes),
            Self::Int(number) if *kind == Type::INT4 => i32::try_from(*number)?.to_sql(kind, out),
            Self::Int(number) => number.to_sql(kind, out),
            Self::Text(text) => text.as_ref().to_sql(kind, out),
            Self::Blob(bytes) => bytes.as_ref().to_sql(kind, out),
        }
    }

    fn accepts(_kind: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

/// A value that is there.
struct Owned(Value<'static>);

impl<'r> FromSql<'r> for Owned {
    fn from_sql(
        kind: &Type,
        raw: &'r [u8],
    ) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Self(match *kind {
            Type::INT8 => Value::Int(i64::from_sql(kind, raw)?),
            Type::INT4 => Value::Int(i32::from_sql(kind, raw)?.into()),
            Type::BYTEA => Value::Blob(raw.to_vec().into()),
            Type::VOID => Value::Null,
            _ => Value::Text(String::from_sql(kind, raw)?.into()),
        }))
    }

    fn accepts(kind: &Type) -> bool {
        matches!(*kind, Type::INT8 | Type::INT4 | Type::BYTEA | Type::VOID)
            || <String as FromSql<'_>>::accepts(kind)
    }
}

/// What an error and its causes say; a URL's password is in none of them.
fn shown(error: &postgres::Error) -> String {
    let mut message = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        message.push_str(": ");
        message.push_str(&cause.to_string());
        source = cause.source();
    }
    message
}

#[expect(clippy::needless_pass_by_value, reason = "for `map_err`")]
fn failed(error: postgres::Error) -> DatabaseError {
    use postgres::error::SqlState;
    let message = shown(&error);
    match error.code() {
        // A connection that broke has no state of its own.
        None if error.is_closed() => DatabaseError::Unavailable { message },
        None => DatabaseError::Unavailable { message },
        Some(code) => match *code {
            SqlState::T_R_SERIALIZATION_FAILURE
            | SqlState::T_R_DEADLOCK_DETECTED
            | SqlState::LOCK_NOT_AVAILABLE => DatabaseError::Busy { message },
            SqlState::UNIQUE_VIOLATION => DatabaseError::Duplicate { message },
            SqlState::ADMIN_SHUTDOWN
            | SqlState::QUERY_CANCELED
            | SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT
            | SqlState::CRASH_SHUTDOWN
            | SqlState::CANNOT_CONNECT_NOW
            | SqlState::DISK_FULL
            | SqlState::OUT_OF_MEMORY
            | SqlState::TOO_MANY_CONNECTIONS
            | SqlState::READ_ONLY_SQL_TRANSACTION => DatabaseError::Unavailable { message },
            _ => DatabaseError::Statement { message },
        },
    }
}
