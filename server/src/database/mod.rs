//! The database: SQLite in the data directory, or PostgreSQL for several servers. One schema and one text of each statement.
//!
//! ```text
//! handler --write(operation)--> queue --> thread with a connection: begin, operation(&mut Transaction), commit --> answer, news
//! ```
//! An operation is a synchronous function of a [`Transaction`]: it never waits for anything but the database, holds no lock
//! of this process, and goes on to its end when whoever asked has gone. Operations that have come in the meantime share a
//! transaction: on SQLite one thread writes, on PostgreSQL several have a connection each.

mod clock;
mod encryption;
mod error;
mod foresight;
mod migration;
mod postgres;
mod signals;
mod sqlite;
mod transaction;
mod value;
mod work;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::mpsc;

pub use error::{DatabaseError, OperationError};

pub(crate) use error::refuse;
pub(crate) use foresight::{Foresight, Outlook, Question};
pub(crate) use signals::{Follower, Signals};
pub(crate) use transaction::{Dialect, News, Transaction, locking, skipping};
pub(crate) use value::{Row, Value, word};
use work::{Foresee, Work, work};

/// Where the database is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// A file that SQLite makes when it is not there.
    Sqlite(PathBuf),
    /// `postgres://user:password@host/database`.
    Postgres(String),
}

/// The ways to its threads.
#[derive(Debug, Clone)]
struct Pool {
    writes: mpsc::Sender<Box<dyn Work>>,
    light: mpsc::Sender<Box<dyn Work>>,
    reads: mpsc::Sender<Box<dyn Work>>,
}

/// A database, open.
#[derive(Debug, Clone)]
pub(crate) struct Database {
    pool: Pool,
    signals: Arc<Signals>,
    failing: Arc<AtomicBool>,
}

impl Database {
    /// Opens it, brings its schema up to date, and starts its threads. They end when every clone is gone.
    pub(crate) fn open(location: &Location) -> Result<Self, DatabaseError> {
        let signals = Arc::new(Signals::default());
        let pool = match location {
            Location::Sqlite(path) => sqlite::open(path, Arc::clone(&signals))?,
            Location::Postgres(url) => postgres::open(url, &signals)?,
        };
        Ok(Self {
            pool,
            signals,
            failing: Arc::default(),
        })
    }

    pub(crate) const fn signals(&self) -> &Arc<Signals> {
        &self.signals
    }

    /// Whether what was to be written last could not be.
    pub(crate) fn is_failing(&self) -> bool {
        self.failing.load(Ordering::Relaxed)
    }

    /// Carries out an operation that changes something.
    pub(crate) async fn write<T, F>(&self, operation: F) -> Result<T, OperationError>
    where
        T: Send + 'static,
        F: FnMut(&mut Transaction<'_>) -> Result<T, OperationError> + Send + 'static,
    {
        self.write_by(&self.pool.writes, None, operation).await
    }

    /// The same for one that says what it begins with.
    pub(crate) async fn write_foreseen<T, F>(
        &self,
        foresee: impl Fn(Outlook<'_>) -> Foresight + Send + 'static,
        operation: F,
    ) -> Result<T, OperationError>
    where
        T: Send + 'static,
        F: FnMut(&mut Transaction<'_>) -> Result<T, OperationError> + Send + 'static,
    {
        let foresee: Foresee = Box::new(foresee);
        self.write_by(&self.pool.writes, Some(foresee), operation)
            .await
    }

    /// The same for what the protocol makes up for when a database that crashes forgets it: an offer that nobody has accepted, the
    /// extension of a lease. It counts for everybody else at once, and whatever is written behind it is kept only with it.
    pub(crate) async fn write_lightly<T, F>(&self, operation: F) -> Result<T, OperationError>
    where
        T: Send + 'static,
        F: FnMut(&mut Transaction<'_>) -> Result<T, OperationError> + Send + 'static,
    {
        self.write_by(&self.pool.light, None, operation).await
    }

    /// The same for one that says what it begins with.
    pub(crate) async fn write_lightly_foreseen<T, F>(
        &self,
        foresee: impl Fn(Outlook<'_>) -> Foresight + Send + 'static,
        operation: F,
    ) -> Result<T, OperationError>
    where
        T: Send + 'static,
        F: FnMut(&mut Transaction<'_>) -> Result<T, OperationError> + Send + 'static,
    {
        let foresee: Foresee = Box::new(foresee);
        self.write_by(&self.pool.light, Some(foresee), operation)
            .await
    }

    async fn write_by<T, F>(
        &self,
        queue: &mpsc::Sender<Box<dyn Work>>,
        foresee: Option<Foresee>,
        operation: F,
    ) -> Result<T, OperationError>
    where
        T: Send + 'static,
        F: FnMut(&mut Transaction<'_>) -> Result<T, OperationError> + Send + 'static,
    {
        let (work, answer) = work(foresee, operation);
        queue.send(work).await.map_err(|_| DatabaseError::Closed)?;
        let done = answer.wait().await;
        let is_failing = matches!(
            done,
            Err(OperationError::Database(DatabaseError::Unavailable { .. }))
        );
        if is_failing != self.is_failing() {
            self.failing.store(is_failing, Ordering::Relaxed);
        }
        done
    }

    /// Carries out an operation that changes nothing. It sees everything whose answer was given before.
    pub(crate) async fn read<T, F>(&self, operation: F) -> Result<T, OperationError>
    where
        T: Send + 'static,
        F: FnMut(&mut Transaction<'_>) -> Result<T, OperationError> + Send + 'static,
    {
        self.read_by(None, operation).await
    }

    /// The same for one that says what it begins with.
    pub(crate) async fn read_foreseen<T, F>(
        &self,
        foresee: impl Fn(Outlook<'_>) -> Foresight + Send + 'static,
        operation: F,
    ) -> Result<T, OperationError>
    where
        T: Send + 'static,
        F: FnMut(&mut Transaction<'_>) -> Result<T, OperationError> + Send + 'static,
    {
        let foresee: Foresee = Box::new(foresee);
        self.read_by(Some(foresee), operation).await
    }

    async fn read_by<T, F>(
        &self,
        foresee: Option<Foresee>,
        operation: F,
    ) -> Result<T, OperationError>
    where
        T: Send + 'static,
        F: FnMut(&mut Transaction<'_>) -> Result<T, OperationError> + Send + 'static,
    {
        let (work, answer) = work(foresee, operation);
        self.pool
            .reads
            .send(work)
            .await
            .map_err(|_| DatabaseError::Closed)?;
        answer.wait().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_bug_in_one_operation_is_its_own_failure() {
        let directory = tempfile::TempDir::new().unwrap();
        let location = Location::Sqlite(directory.path().join("db"));
        let database = Database::open(&location).unwrap();
        let write = database.write(|tx| -> Result<(), OperationError> {
            tx.execute("UPDATE schema_version SET version = 70", &[])?;
            panic!("a bug");
        });
        assert!(write.await.is_err());
        let version = |tx: &mut Transaction<'_>| {
            Ok(tx.one("SELECT version FROM schema_version", &[])?.int(0)?)
        };
        assert_eq!(database.write(version).await.unwrap(), 12);
        assert_eq!(database.read(version).await.unwrap(), 12);
    }

    #[tokio::test]
    async fn the_schema_of_a_newer_program_is_left_alone() {
        let directory = tempfile::TempDir::new().unwrap();
        let location = Location::Sqlite(directory.path().join("db"));
        let database = Database::open(&location).unwrap();
        let newer =
            database.write(|tx| Ok(tx.execute("UPDATE schema_version SET version = 99", &[])?));
        assert_eq!(newer.await.unwrap(), 1);
        drop(database);
        let opened = Database::open(&location);
        assert!(matches!(
            opened,
            Err(DatabaseError::Newer { found: 99, .. })
        ));
    }
}
