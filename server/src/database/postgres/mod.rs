//! PostgreSQL: threads with a connection each, and two that pass news on between servers.
//!
//! ```text
//! write --> queue --> writers: BEGIN, as many operations as have come, COMMIT --> answers --> news here, and by NOTIFY elsewhere
//! write_lightly --> queue --> writers whose commits do not wait for the disk
//! read --> queue --> readers: statements, outside of transactions
//! ```
//! What the operations of a batch, or questions that have come together, are known to begin with is asked ahead, all on its way at
//! once: see [`foresight`](super::foresight).
//!
//! Rows that an operation depends on are locked (`FOR UPDATE`); who loses a race is run again from its start. A connection that
//! breaks is made anew; what ran in it is answered as unavailable, since nobody knows whether it was committed.
//!
//! A transaction that has news in it (`NOTIFY`) holds a lock of the whole cluster while it commits (PostgreSQL's `async.c`,
//! `PreCommit_Notify`), so that commits wait for each other's writes to the disk; hence news are sent behind the commit, by a
//! connection of their own.

mod ahead;
mod appetite;
mod news;
mod session;
mod values;
mod writer;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::mpsc;

use super::clock::Clock;
use super::encryption::Target;
use super::work::Work;
use super::{DatabaseError, Pool, Signals};
use crate::queue::Structures;
use news::Teller;
use session::{Kind, Session};

/// Threads that write what has to survive.
const WRITERS: usize = 3;

/// Threads whose commits do not wait for the disk. One alone would let all heartbeats wait for a slow operation.
const LIGHT: usize = 2;

/// Threads that read.
const READERS: usize = 3;

/// A server that stands still in the middle of a transaction, as a machine does that is suspended, keeps its locks no longer.
const LIMITS: &str =
    "-c lock_timeout=10s -c idle_in_transaction_session_timeout=15s -c statement_timeout=60s";

/// How long until a connection is made again that cannot be made.
const PAUSE: Duration = Duration::from_millis(500);

type Queue = Arc<Mutex<mpsc::Receiver<Box<dyn Work>>>>;

/// What every thread needs.
#[derive(Clone)]
struct Common {
    target: Target,
    structures: Arc<Structures>,
    clock: Clock,
}

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
    let common = Common {
        target,
        structures: Arc::default(),
        clock: Clock::start(),
    };
    Session::connect(&common, Kind::Writer)?.migrate(common.clock)?;
    let teller = Arc::new(Teller::new(Arc::clone(signals)));
    let start = |kind: Kind, count: usize| {
        let (works, received) = mpsc::channel(1_024);
        let received: Queue = Arc::new(Mutex::new(received));
        for _ in 0..count {
            let (common, received) = (common.clone(), Arc::clone(&received));
            let teller = Arc::clone(&teller);
            spawn(kind.name(), move || match kind {
                Kind::Reader => writer::read(&common, &received),
                Kind::Writer | Kind::Light => writer::write(&common, kind, &received, &teller),
            })?;
        }
        Ok(works)
    };
    let pool = Pool {
        writes: start(Kind::Writer, WRITERS)?,
        light: start(Kind::Light, LIGHT)?,
        reads: start(Kind::Reader, READERS)?,
    };
    news::start(&common, &teller, signals)?;
    Ok(pool)
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> Result<(), DatabaseError> {
    let thread = std::thread::Builder::new().name(name.to_owned()).spawn(run);
    thread
        .map(drop)
        .map_err(|error| DatabaseError::Unavailable {
            message: error.to_string(),
        })
}
