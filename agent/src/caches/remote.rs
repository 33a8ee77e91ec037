//! Caches of a server's job. The process of a job has no connection to the server: the daemon has.
//!
//! ```text
//! job     jobs/12-1/cache-wanted.json, a byte of news --> daemon --> server: what is there for this key?
//!         <-- one line on standard input: CacheReply <-- daemon: has its archive in the store, fetched where it was not
//! job     packs into the store; jobs/12-1/logs/cache-0 is the same file --> daemon sends it as it sends logs
//! ```
//! The server decides which jobs share what. What it says of a job's caches at its end is in `finished.json`.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use protocol::service::{CacheEnd, CacheQuery, StreamName};
use serde::{Deserialize, Serialize};
use tokio::sync::{Mutex as AsyncMutex, mpsc};

use super::error::{CacheError, failed};
use super::store::{Draft, Store};
use super::{Hit, Kept, Made, Wanted};
use crate::log::ATTEMPT_LOGS;

/// Where a job says what it looks for.
pub const WANTED: &str = "cache-wanted.json";

/// What the daemon answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CacheReply {
    /// It is in the store.
    Found {
        /// Its key.
        key: String,
        /// It is the key that was asked for.
        exact: bool,
        /// Its archive.
        sha256: String,
    },
    /// There is none.
    None,
    /// There is one, whose archive cannot be fetched.
    Unfetched {
        /// Which one.
        sha256: String,
        /// Why not.
        why: String,
    },
    /// Nobody can say: why.
    Failed(String),
}

/// Caches of one job of a server. Cheap to copy.
#[derive(Debug, Clone)]
pub struct Remote {
    store: Store,
    /// The attempt's directory.
    spool: PathBuf,
    /// What the daemon answers, to one question at a time.
    replies: Arc<AsyncMutex<mpsc::UnboundedReceiver<String>>>,
    /// What is kept so far, and how many bytes that are.
    kept: Arc<Mutex<(Vec<CacheEnd>, u64)>>,
    /// Says that there is news.
    poke: fn(),
}

impl Remote {
    /// Those of the job whose attempt has a directory; `poke` tells the daemon that there is something new, which then answers.
    #[must_use]
    pub fn new(
        store: Store,
        spool: PathBuf,
        replies: mpsc::UnboundedReceiver<String>,
        poke: fn(),
    ) -> Self {
        Self {
            store,
            spool,
            replies: Arc::new(AsyncMutex::new(replies)),
            kept: Arc::default(),
            poke,
        }
    }

    pub(super) const fn store(&self) -> &Store {
        &self.store
    }

    /// What the server is to be told of at the end.
    #[must_use]
    pub fn take_kept(&self) -> Vec<CacheEnd> {
        std::mem::take(&mut self.lock().0)
    }

    /// How many bytes the job may keep beside what it has kept: what waits in its directory until it is sent does not go to make
    /// room in the store.
    pub(super) fn room(&self) -> u64 {
        self.store.most_of_one().saturating_sub(self.lock().1)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, (Vec<CacheEnd>, u64)> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) async fn find(&self, wanted: &Wanted) -> Result<Option<Hit>, CacheError> {
        let mut replies = self.replies.lock().await;
        // An answer that nobody has waited for.
        while replies.try_recv().is_ok() {}
        self.ask(wanted)?;
        (self.poke)();
        let reply = replies.recv().await;
        let gone = |why: &str| CacheError::Gone(why.to_owned());
        let reply = reply.ok_or_else(|| gone("`agent start` does not answer"))?;
        let reply: CacheReply =
            serde_json::from_str(&reply).map_err(|error| CacheError::Gone(error.to_string()))?;
        match reply {
            CacheReply::None => Ok(None),
            CacheReply::Failed(why) => Err(CacheError::Server(why)),
            CacheReply::Unfetched { sha256, why } => Err(CacheError::Unfetched { sha256, why }),
            CacheReply::Found { key, exact, sha256 } => {
                let (store, digest) = (self.store.clone(), sha256.clone());
                let found = super::blocking(move || store.find(&digest)).await?;
                let (archive, size) =
                    found.ok_or_else(|| gone("its archive is not there any more"))?;
                Ok(Some(Hit {
                    key,
                    is_exact: exact,
                    archive,
                    size,
                    sha256,
                }))
            }
        }
    }

    /// Writes the question down, whole or not at all.
    fn ask(&self, wanted: &Wanted) -> Result<(), CacheError> {
        let query = CacheQuery {
            key: wanted.key.clone(),
            fallback: wanted.fallback.clone(),
            version: wanted.version(),
        };
        let path = self.spool.join(WANTED);
        let unfinished = self.spool.join(format!("{WANTED}.new"));
        let write = || -> io::Result<()> {
            let mut file = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o600)
                .open(&unfinished)?;
            file.write_all(&serde_json::to_vec(&query)?)?;
            fs::rename(&unfinished, &path)
        };
        write().map_err(failed("write", &path))
    }

    pub(super) fn keep(
        &self,
        wanted: &Wanted,
        draft: Draft,
        made: &Made,
    ) -> Result<Kept, CacheError> {
        let mut state = self.lock();
        let (kept, bytes) = &mut *state;
        let most = self.store.most_of_one().saturating_sub(*bytes);
        if made.size > most {
            return Err(CacheError::TooLarge {
                size: made.size,
                most,
            });
        }
        let number = u32::try_from(kept.len()).unwrap_or(u32::MAX);
        let stream = StreamName::cache(number);
        let path = self.spool.join(ATTEMPT_LOGS).join(stream.to_string());
        let blob = self.store.add(draft, &made.sha256)?;
        // It may have to make room before it is sent.
        fs::hard_link(&blob, &path).map_err(failed("make", &path))?;
        *bytes += made.size;
        kept.push(CacheEnd {
            stream,
            key: wanted.key.clone(),
            version: wanted.version(),
            files: made.files,
            sha256: made.sha256.clone(),
            instead_of: made.instead_of.clone(),
        });
        Ok(Kept::First)
    }
}

#[cfg(test)]
mod tests;
