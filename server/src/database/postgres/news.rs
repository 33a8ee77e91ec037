//! News between servers: `NOTIFY` behind what was committed, and `LISTEN`.
//!
//! News that are lost with a connection, or with a server that dies between commit and `NOTIFY`, are made up for: who waits looks
//! now and then without any.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError, Weak};
use std::time::Duration;

use postgres::fallible_iterator::FallibleIterator as _;

use super::values::{failed, shown};
use super::{Common, DatabaseError, PAUSE, spawn};
use crate::database::{News, Signals};

/// The channel of news.
const CHANNEL: &str = "slipway";

/// News that wait to be sent, at most: when the database is away they are worth nothing after a while.
const WAITING: usize = 10_000;

/// How often it is looked whether anybody still wants to tell or hear.
const LOOK: Duration = Duration::from_secs(2);

/// Tells news: at once in this process, soon to other servers.
#[derive(Debug)]
pub(super) struct Teller {
    signals: Arc<Signals>,
    waiting: Mutex<BTreeSet<News>>,
    is_waiting: Condvar,
    /// The process of the database that sends ours: what comes from it is known.
    own: AtomicI32,
}

impl Teller {
    pub(super) fn new(signals: Arc<Signals>) -> Self {
        Self {
            signals,
            waiting: Mutex::default(),
            is_waiting: Condvar::new(),
            own: AtomicI32::new(0),
        }
    }

    /// Something was committed.
    pub(super) fn tell(&self, news: BTreeSet<News>) {
        if news.is_empty() {
            return;
        }
        news.iter().for_each(|news| self.signals.wake(*news));
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() < WAITING {
            waiting.extend(news);
        }
        drop(waiting);
        self.is_waiting.notify_one();
    }

    /// What is to be sent; empty now and then.
    fn next(&self) -> BTreeSet<News> {
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self
            .is_waiting
            .wait_timeout_while(waiting, LOOK, |waiting| waiting.is_empty());
        let (mut waiting, _) = waited.unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *waiting)
    }
}

/// Starts the two threads. They end some time after those who write and those who wait.
pub(super) fn start(
    common: &Common,
    teller: &Arc<Teller>,
    signals: &Arc<Signals>,
) -> Result<(), DatabaseError> {
    let (telling, own) = (common.clone(), Arc::downgrade(teller));
    spawn("postgres-tells", move || {
        while let Some(teller) = own.upgrade() {
            if let Err(error) = tell(&telling, teller, &own) {
                tracing::warn!(%error, "other servers do not hear of news");
            }
            std::thread::sleep(PAUSE);
        }
    })?;
    let (hearing, teller) = (common.clone(), Arc::downgrade(teller));
    let signals = Arc::downgrade(signals);
    spawn("postgres-hears", move || {
        while let Some(signals) = signals.upgrade() {
            if let Err(error) = listen(&hearing, signals, &teller) {
                tracing::warn!(%error, "news of other servers are not heard");
            }
            std::thread::sleep(PAUSE);
        }
    })
}

/// Sends news until the connection breaks or nobody has any more to tell.
fn tell(common: &Common, teller: Arc<Teller>, own: &Weak<Teller>) -> Result<(), DatabaseError> {
    let mut client = common.target.connect().map_err(failed)?;
    // News are of no worth behind a crash of the database.
    client
        .batch_execute("SET synchronous_commit = off")
        .map_err(failed)?;
    let process = client.query_one("SELECT pg_backend_pid()", &[]);
    teller
        .own
        .store(process.map_err(failed)?.get(0), Ordering::Relaxed);
    drop(teller);
    let statement = client
        .prepare("SELECT pg_notify($1, news) FROM unnest($2::text[]) AS news")
        .map_err(failed)?;
    while let Some(teller) = own.upgrade() {
        let news = teller.next();
        drop(teller);
        if news.is_empty() {
            if client.is_closed() {
                return Ok(());
            }
            continue;
        }
        let texts: Vec<String> = news.into_iter().map(News::to_text).collect();
        client
            .execute(&statement, &[&CHANNEL, &texts])
            .map_err(failed)?;
    }
    Ok(())
}

/// Hears news until the connection breaks or nobody wants to hear them.
fn listen(
    common: &Common,
    signals: Arc<Signals>,
    teller: &Weak<Teller>,
) -> Result<(), DatabaseError> {
    let connected = common.target.connect();
    let mut client = connected.map_err(|error| DatabaseError::Unavailable {
        message: shown(&error),
    })?;
    client
        .batch_execute(&format!("LISTEN {CHANNEL}"))
        .map_err(failed)?;
    // What happened while nobody listened.
    signals.wake_all();
    let signals = {
        let weak = Arc::downgrade(&signals);
        drop(signals);
        weak
    };
    loop {
        let mut notifications = client.notifications();
        let mut coming = notifications.timeout_iter(LOOK);
        while let Some(notification) = coming.next().map_err(failed)? {
            let own = teller
                .upgrade()
                .map(|teller| teller.own.load(Ordering::Relaxed));
            if own == Some(notification.process_id()) {
                continue;
            }
            if let (Some(news), Some(signals)) =
                (News::parse(notification.payload()), signals.upgrade())
            {
                signals.wake(news);
            }
        }
        drop(coming);
        drop(notifications);
        if client.is_closed() || teller.strong_count() == 0 {
            return Ok(());
        }
    }
}
