//! Opens the storage of logs, when it is the one that belongs to the database.
//!
//! A directory has a file that tells it from others, a bucket an object; the database knows what it says. The bucket's is written in
//! the transaction that notes it, so that of servers that start at once on different buckets one is told from the other.

use std::time::Duration;

use tokio::runtime::Handle;

use crate::config::{Config, Storage};
use crate::database::{Database, OperationError, refuse};
use crate::logs::{Directory, LogError, Logs, Objects};
use crate::operation::{attempt, storage, trace};
use crate::run::ServerError;

/// What servers have noted that did not tell buckets apart.
const OBJECTS: &str = "objects";

/// For all that is asked of it. Less than a database waits for somebody in the midst of a transaction.
const PATIENCE: Duration = Duration::from_secs(10);

fn failed(error: &dyn std::fmt::Display) -> ServerError {
    ServerError::Storage {
        message: error.to_string(),
    }
}

/// A storage as far as it can be had without the database.
#[derive(Debug)]
pub(crate) enum Taken {
    /// No other server uses it.
    Directory(Directory),
    /// Others may.
    Bucket(String),
}

/// Takes the storage of logs, before anything is done to a database that may be another server's.
pub(crate) async fn take(config: &Config) -> Result<Taken, ServerError> {
    match &config.storage {
        Storage::Directory(directory) => {
            let (directory, retention) = (directory.clone(), config.retention);
            let opening =
                tokio::task::spawn_blocking(move || Directory::open(directory, retention));
            let logs = opening.await.map_err(|error| failed(&error))?;
            Ok(Taken::Directory(logs.map_err(|error| failed(&error))?))
        }
        Storage::Objects(url) => Ok(Taken::Bucket(url.clone())),
    }
}

/// The storage of logs, if it is the database's.
pub(crate) async fn open(
    taken: Taken,
    config: &Config,
    database: &Database,
) -> Result<Logs, ServerError> {
    match taken {
        Taken::Directory(logs) => {
            let identity = format!("directory {}", logs.identity());
            let noted = identity.clone();
            let known = database.write(move |tx| storage::belongs(tx, &noted));
            let known = known.await.map_err(|error| failed(&error))?;
            if known != identity {
                return Err(ServerError::OtherStorage { known, identity });
            }
            let going_on = database.read(attempt::going_on).await;
            let going_on = going_on.map_err(|error| failed(&error))?;
            logs.distrust(&going_on).map_err(|error| failed(&error))?;
            Ok(Logs::Directory(logs))
        }
        Taken::Bucket(url) => {
            let options = &config.storage_options;
            let objects = Objects::open(&url, options, database.clone(), config.retention);
            let objects = objects.map_err(|error| failed(&error))?;
            recognise(&objects, database).await?;
            Ok(Logs::Objects(objects))
        }
    }
}

/// What was found.
#[derive(Debug)]
enum Bucket {
    Known,
    /// The database's is another one.
    Other {
        known: String,
        identity: String,
    },
    /// It is another database's.
    Taken(String),
}

/// Looks whether a bucket is the database's. One that nobody has used becomes that.
async fn recognise(objects: &Objects, database: &Database) -> Result<(), ServerError> {
    let fresh = [random()?, random()?];
    // What tells this database from others stays when what follows is undone: a marker that was written says it.
    let [installation, marker] = fresh;
    let installation = database.write(move |tx| trace::installation(tx, &installation));
    let installation = installation.await.map_err(|error| failed(&error))?;
    let (objects, runtime) = (objects.clone(), Handle::current());
    let looking = database.write(move |tx| {
        let known = storage::noted(tx)?;
        let is_fresh = known.is_empty() || known == OBJECTS;
        let marker = is_fresh.then(|| format!("{installation} {marker}"));
        let found = wait(&runtime, identify(&objects, marker))?;
        let identity = match &found {
            Some(found) => format!("{OBJECTS} {found}"),
            None => {
                "a bucket that no server has used, or one whose object `identity` may not be read"
                    .to_owned()
            }
        };
        match found {
            _ if known == identity => {}
            // Whoever has written it has not come to note it.
            Some(found) if is_fresh && found.starts_with(&installation) => {
                storage::note(tx, &identity)?;
            }
            Some(found) if is_fresh => return Ok(Bucket::Taken(found)),
            _ => return Ok(Bucket::Other { known, identity }),
        }
        Ok(Bucket::Known)
    });
    match looking.await.map_err(|error| failed(&error))? {
        Bucket::Known => Ok(()),
        Bucket::Other { known, identity } => Err(ServerError::OtherStorage { known, identity }),
        Bucket::Taken(marker) => Err(ServerError::TakenStorage { marker }),
    }
}

/// What a bucket's marker says. Where there is none it is made, if there is something to say.
async fn identify(objects: &Objects, marker: Option<String>) -> Result<Option<String>, LogError> {
    match (objects.marked().await?, marker) {
        (None, Some(marker)) => objects.mark(&marker).await.map(Some),
        (found, _) => Ok(found),
    }
}

/// Waits for the bucket, on a thread of the database.
fn wait<T>(
    runtime: &Handle,
    work: impl Future<Output = Result<T, LogError>>,
) -> Result<T, OperationError> {
    let done = runtime.block_on(async { tokio::time::timeout(PATIENCE, work).await });
    let unavailable = protocol::service::ProblemCode::Unavailable;
    match done {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(error)) => refuse(unavailable, error.to_string()),
        Err(_) => refuse(
            unavailable,
            format!("the bucket does not answer within {PATIENCE:?}"),
        ),
    }
}

fn random() -> Result<String, ServerError> {
    let mut bits = [0; 8];
    getrandom::fill(&mut bits).map_err(|error| failed(&error))?;
    Ok(format!("{:016x}", u64::from_le_bytes(bits)))
}
