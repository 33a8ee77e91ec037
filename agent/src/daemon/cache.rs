//! Looks for caches in a job's name, and has their archives in the store.

use std::time::Duration;

use protocol::service::{AttemptId, CacheAnswer, CacheFound, CacheQuery, path};
use sha2::{Digest as _, Sha256};
use tokio::io::AsyncWriteExt as _;
use tokio::time::timeout;

use super::tell;
use crate::attempt::Spool;
use crate::caches::{CacheReply, Store, WANTED};
use crate::sink::sanitise;
use crate::source::{CallError, Client, Patience, persist};

/// How long the server may take to say what there is: a job waits for it.
const ASKING: Duration = Duration::from_secs(60);

/// How long fetching may take.
const FETCHING: Duration = Duration::from_secs(14 * 60);

/// How long a server is waited for whose storage is away: a job waits for it.
const AWAY: Duration = Duration::from_secs(60);

/// Times in a row that a fetch may be cut off without a byte.
const PATIENCE: u32 = 5;

/// What a job asks for, if it does; then it has been asked.
pub(super) fn asked(spool: &Spool) -> Option<CacheQuery> {
    let path = spool.path().join(WANTED);
    let text = std::fs::read(&path).ok()?;
    std::fs::remove_file(&path).ok()?;
    serde_json::from_slice(&text).ok()
}

/// Finds the cache, and fetches its archive where this machine has none like it.
pub(super) async fn look(
    client: Client,
    id: AttemptId,
    store: Store,
    query: CacheQuery,
) -> CacheReply {
    let address = path::of_attempt(path::CACHE_FIND, id);
    let asking = persist("cache", || client.post::<CacheAnswer>(&address, &query));
    let found = match timeout(ASKING, asking).await {
        Ok(Ok(CacheAnswer { found: Some(found) })) if found.is_sound() => found,
        Ok(Ok(CacheAnswer { found: Some(_) })) => {
            return CacheReply::Failed("the server names one that cannot be".to_owned());
        }
        Ok(Ok(CacheAnswer { found: None })) => return CacheReply::None,
        Ok(Err(error)) => return CacheReply::Failed(error.to_string()),
        Err(_) => return CacheReply::Failed("the server does not say what there is".to_owned()),
    };
    let why = match timeout(FETCHING, fetch(&client, id, &store, &found)).await {
        Ok(Ok(())) => {
            return CacheReply::Found {
                key: found.key,
                exact: found.exact,
                sha256: found.sha256,
            };
        }
        Ok(Err(why)) => why,
        Err(_) => "that takes too long".to_owned(),
    };
    CacheReply::Unfetched {
        sha256: found.sha256,
        why,
    }
}

/// Has the archive in the store.
async fn fetch(
    client: &Client,
    id: AttemptId,
    store: &Store,
    found: &CacheFound,
) -> Result<(), String> {
    if store.has(&found.sha256) {
        return Ok(());
    }
    if found.size > store.most_of_one() {
        let (size, most) = (found.size, store.most_of_one());
        return Err(format!(
            "it has {size} bytes, and all caches of this machine may have {most}"
        ));
    }
    let making = store.clone();
    let draft = tokio::task::spawn_blocking(move || making.draft())
        .await
        .map_err(|error| error.to_string())?
        .map_err(|error| error.to_string())?;
    let unwritten = |error: std::io::Error| format!("failed to write it: {error}");
    let mut file = tokio::fs::File::from_std(draft.file.try_clone().map_err(unwritten)?);
    let address = path::of_cache_archive(id, found.id);
    let client = client
        .clone()
        .with_patience(Patience::new(AWAY, |text| tell(sanitise(text))));
    let (mut hasher, mut offset, mut patience) = (Sha256::new(), 0, PATIENCE);
    while offset < found.size {
        let answer = client
            .persist("cache", || client.bytes(&address, offset))
            .await;
        let mut pieces = match answer {
            Ok(pieces) => pieces,
            // Shorter than it was said to be: the checksum tells.
            Err(CallError::Refused { status: 416, .. }) => break,
            Err(error) => return Err(error.to_string()),
        };
        let before = offset;
        loop {
            match pieces.next().await {
                Ok(Some(bytes)) => {
                    hasher.update(&bytes);
                    offset += bytes.len() as u64;
                    if offset > found.size {
                        return Err("the server sends more than it has said".to_owned());
                    }
                    file.write_all(&bytes).await.map_err(unwritten)?;
                }
                Ok(None) => break,
                Err(error) => {
                    tracing::debug!(%error, "a cache was cut off");
                    break;
                }
            }
        }
        patience = match offset > before {
            true => PATIENCE,
            false => patience - 1,
        };
        if patience == 0 {
            break;
        }
    }
    file.flush().await.map_err(unwritten)?;
    let digest: String = hasher
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    if digest != found.sha256 {
        return Err("its bytes are not those that were saved".to_owned());
    }
    let store = store.clone();
    let adding = tokio::task::spawn_blocking(move || store.add(draft, &digest)).await;
    match adding {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(error) => Err(error.to_string()),
    }
}
