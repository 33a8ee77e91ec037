//! Caches of repositories: which a job reads, which are kept, which go.
//! What goes is removed from the storage behind that ([`remains`]).

use std::collections::BTreeSet;

use protocol::cache::{Candidate, Scopes, choose};
use protocol::service::{
    AttemptId, Cache, CacheEnd, CacheFound, CacheId, CacheQuery, Caches, JobId, ProblemCode,
    Source, StreamInfo, StreamName, Trigger,
};

use super::remains::{self, What};
use crate::database::{DatabaseError, OperationError, Row, Transaction, refuse, word};

/// Caches of one repository; those not used for longest go.
const MOST: usize = 1_000;

/// How many are told of at once.
const PAGE: usize = 1_000;

/// An archive: a stream of the attempt that has made it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Archive {
    pub(crate) cache: CacheId,
    pub(crate) of: AttemptId,
    pub(crate) stream: StreamName,
    pub(crate) size: u64,
}

/// What an attempt's job may do with whose caches.
#[derive(Debug)]
struct Reach {
    repository: i64,
    scopes: Scopes,
}

impl Reach {
    /// `None`: of a pipeline without a repository nobody knows whose it is.
    fn of(tx: &mut Transaction<'_>, id: AttemptId) -> Result<Option<Self>, OperationError> {
        let row = tx.first(
            "SELECT r.id, r.url, r.default_branch, p.trigger_of, p.source FROM jobs j \
             JOIN pipelines p ON p.id = j.pipeline JOIN repositories r ON r.id = p.repository WHERE j.id = $1",
            &[id.job.0.into()],
        )?;
        let Some(row) = row.filter(|row| row.text(1).is_ok_and(|url| !url.is_empty())) else {
            return Ok(None);
        };
        let trigger: Trigger = row.json(3)?;
        let source: Option<Source> = match row.maybe_text(4)? {
            Some(_) => Some(row.json(4)?),
            None => None,
        };
        Ok(Some(Self {
            repository: row.int(0)?,
            scopes: Scopes::of(&trigger, source.as_ref(), row.maybe_text(2)?),
        }))
    }

    fn read(&self) -> Vec<String> {
        self.scopes.read().map(ToString::to_string).collect()
    }
}

/// The cache that an attempt is to start from, which is a use of it.
pub(crate) fn find(
    tx: &mut Transaction<'_>,
    id: AttemptId,
    query: &CacheQuery,
) -> Result<Option<CacheFound>, OperationError> {
    let Some(reach) = Reach::of(tx, id)? else {
        return Ok(None);
    };
    let rows = tx.query(
        "SELECT id, scope, key, created_at, size, sha256 FROM caches WHERE repository = $1 AND version = $2 \
         ORDER BY created_at, id",
        &[reach.repository.into(), (&query.version).into()],
    )?;
    let candidate = |row: &'_ Row| -> Result<(String, String, u64), DatabaseError> {
        Ok((
            row.text(1)?.to_owned(),
            row.text(2)?.to_owned(),
            row.number(3)?,
        ))
    };
    let all: Vec<_> = rows.iter().map(candidate).collect::<Result<_, _>>()?;
    let candidates: Vec<_> = all
        .iter()
        .map(|(scope, key, created_at)| Candidate {
            scope,
            key,
            created_at: *created_at,
        })
        .collect();
    let Some((number, exact)) = choose(&candidates, &reach.read(), &query.key, &query.fallback)
    else {
        return Ok(None);
    };
    let row = &rows[number];
    let found = CacheFound {
        id: CacheId(row.number(0)?),
        key: row.text(2)?.to_owned(),
        exact,
        size: row.number(4)?,
        sha256: row.text(5)?.to_owned(),
    };
    let now = tx.now();
    tx.execute(
        "UPDATE caches SET used_at = $2 WHERE id = $1",
        &[found.id.0.into(), now.into()],
    )?;
    Ok(Some(found))
}

/// Where a cache is, for an attempt that may read it.
pub(crate) fn archive(
    tx: &mut Transaction<'_>,
    id: AttemptId,
    cache: CacheId,
) -> Result<Archive, OperationError> {
    let row = tx.first(
        "SELECT repository, scope, id, job, attempt, stream, size FROM caches WHERE id = $1",
        &[cache.0.into()],
    )?;
    if let (Some(row), Some(reach)) = (row, Reach::of(tx, id)?)
        && row.int(0)? == reach.repository
    {
        let scope = row.text(1)?;
        if reach.scopes.read().any(|read| read.to_string() == scope) {
            return Ok(archive_of(&row, 2)?);
        }
    }
    let message = format!("there is no cache {cache} that job {} reads", id.job);
    refuse(ProblemCode::NotFound, message)
}

/// From the columns `id, job, attempt, stream, size`, which begin somewhere.
fn archive_of(row: &Row, at: usize) -> Result<Archive, DatabaseError> {
    Ok(Archive {
        cache: CacheId(row.number(at)?),
        of: AttemptId {
            job: JobId(row.number(at + 1)?),
            attempt: row.number(at + 2)?,
        },
        stream: row.word(at + 3)?,
        size: row.number(at + 4)?,
    })
}

/// Keeps what an attempt leaves. The first under a key stays, unless it is what the attempt could not use; what was not used for longest makes room for what comes. Archives
/// that nothing is said of, among the attempt's rows and those that were `found` in the storage, or whose key is taken, are not kept;
/// neither is one whose archive has not come: no job ends another way for a cache.
pub(crate) fn keep(
    tx: &mut Transaction<'_>,
    id: AttemptId,
    caches: &[CacheEnd],
    streams: &[StreamInfo],
    found: &[StreamName],
    bytes: u64,
) -> Result<(), OperationError> {
    let rows = tx.query(
        "SELECT name FROM streams WHERE job = $1 AND attempt = $2 AND name LIKE 'cache-%'",
        &[id.job.0.into(), id.attempt.into()],
    )?;
    let named: Vec<StreamName> = rows
        .iter()
        .map(|row| row.word(0))
        .collect::<Result<_, _>>()?;
    let all = named.iter().chain(found);
    let mut surplus: BTreeSet<&StreamName> = all.filter(|name| name.is_cache()).collect();
    let reach = match surplus.is_empty() && caches.is_empty() {
        true => return Ok(()),
        false => Reach::of(tx, id)?,
    };
    if let Some(reach) = reach {
        let (now, scope) = (tx.now(), reach.scopes.own.to_string());
        for cache in caches {
            let mut streams = streams.iter();
            let Some(stream) = streams.find(|stream| stream.name == cache.stream) else {
                tracing::warn!(%id, stream = %cache.stream, "a cache has no archive, and is not kept");
                continue;
            };
            if let Some(unusable) = &cache.instead_of {
                give_place(tx, &reach, cache, unusable)?;
            }
            let is_new = tx.execute(
                "INSERT INTO caches (repository, scope, version, key, job, attempt, stream, size, files, sha256, created_at, used_at) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $11) ON CONFLICT (repository, scope, version, key) DO NOTHING",
                &[
                    reach.repository.into(),
                    (&scope).into(),
                    (&cache.version).into(),
                    (&cache.key).into(),
                    id.job.0.into(),
                    id.attempt.into(),
                    word(&cache.stream)?,
                    stream.length.into(),
                    cache.files.into(),
                    (&cache.sha256).into(),
                    now.into(),
                ],
            )?;
            if is_new > 0 {
                surplus.remove(&cache.stream);
            }
        }
        make_room(tx, reach.repository, bytes)?;
    }
    for stream in surplus {
        remains::note(tx, id, &What::Stream(stream.clone()))?;
    }
    Ok(())
}

/// Gives away what an attempt has found under the key, and could not use. What another scope has stays: its own jobs find out.
fn give_place(
    tx: &mut Transaction<'_>,
    reach: &Reach,
    cache: &CacheEnd,
    unusable: &str,
) -> Result<(), OperationError> {
    let row = tx.first(
        "SELECT id, job, attempt, stream, size FROM caches \
         WHERE repository = $1 AND scope = $2 AND version = $3 AND key = $4 AND sha256 = $5",
        &[
            reach.repository.into(),
            reach.scopes.own.to_string().into(),
            (&cache.version).into(),
            (&cache.key).into(),
            unusable.into(),
        ],
    )?;
    let Some(row) = row else {
        return Ok(());
    };
    let archive = archive_of(&row, 0)?;
    tracing::info!(cache = %archive.cache, "a cache that could not be used is replaced");
    give_away(tx, &archive)
}

/// Gives away what a repository has too much of: of forks and pull requests first, which are many and which nobody else reads, and of
/// these and of the others what was not used for longest.
fn make_room(tx: &mut Transaction<'_>, repository: i64, bytes: u64) -> Result<(), OperationError> {
    let rows = tx.query(
        "SELECT id, job, attempt, stream, size FROM caches WHERE repository = $1 \
         ORDER BY CASE WHEN scope LIKE 'fork:%' OR scope LIKE 'pull-request:%' THEN 1 ELSE 0 END, used_at DESC, id DESC",
        &[repository.into()],
    )?;
    let mut total = 0_u64;
    for (number, row) in rows.iter().enumerate() {
        let archive = archive_of(row, 0)?;
        total = total.saturating_add(archive.size);
        if total > bytes || number >= MOST {
            give_away(tx, &archive)?;
        }
    }
    Ok(())
}

/// Nobody finds it any more, and what it is goes.
fn give_away(tx: &mut Transaction<'_>, archive: &Archive) -> Result<(), OperationError> {
    tx.execute(
        "DELETE FROM caches WHERE id = $1",
        &[archive.cache.0.into()],
    )?;
    remains::note(tx, archive.of, &What::Stream(archive.stream.clone()))?;
    Ok(())
}

/// Gives away some that no job has started from for so long, milliseconds. How many.
pub(crate) fn expire_due(tx: &mut Transaction<'_>, keep: u64) -> Result<usize, OperationError> {
    let before = tx.now().saturating_sub(keep);
    let rows = tx.query(
        "SELECT id, job, attempt, stream, size FROM caches WHERE used_at < $1 ORDER BY used_at LIMIT 100",
        &[before.into()],
    )?;
    for row in &rows {
        give_away(tx, &archive_of(row, 0)?)?;
    }
    Ok(rows.len())
}

/// Those of the repositories that somebody may see, at most a page.
pub(crate) fn list(
    tx: &mut Transaction<'_>,
    may_see: impl Fn(&str) -> bool,
) -> Result<Caches, OperationError> {
    let mut caches = Vec::new();
    let mut behind = (i64::MAX, i64::MAX);
    loop {
        let rows = tx.query(
            "SELECT c.id, r.url, c.scope, c.key, c.size, c.files, c.sha256, c.job, c.created_at, c.used_at FROM caches c \
             JOIN repositories r ON r.id = c.repository WHERE (c.used_at, c.id) < ($1, $2) \
             ORDER BY c.used_at DESC, c.id DESC LIMIT $3",
            &[behind.0.into(), behind.1.into(), PAGE.into()],
        )?;
        for row in &rows {
            behind = (row.int(9)?, row.int(0)?);
            if may_see(row.text(1)?) {
                caches.push(cache_of(row)?);
            }
            if caches.len() >= PAGE {
                return Ok(Caches { caches });
            }
        }
        if rows.len() < PAGE {
            return Ok(Caches { caches });
        }
    }
}

fn cache_of(row: &Row) -> Result<Cache, DatabaseError> {
    Ok(Cache {
        id: CacheId(row.number(0)?),
        repository: row.text(1)?.to_owned(),
        scope: row.text(2)?.to_owned(),
        key: row.text(3)?.to_owned(),
        size: row.number(4)?,
        files: row.number(5)?,
        sha256: row.text(6)?.to_owned(),
        job: JobId(row.number(7)?),
        created_at: row.number(8)?,
        used_at: row.number(9)?,
    })
}

/// Gives one away, because somebody wants it gone.
pub(crate) fn remove(tx: &mut Transaction<'_>, cache: CacheId) -> Result<(), OperationError> {
    let row = tx.first(
        "SELECT id, job, attempt, stream, size FROM caches WHERE id = $1",
        &[cache.0.into()],
    )?;
    match row {
        Some(row) => give_away(tx, &archive_of(&row, 0)?),
        None => refuse(ProblemCode::NotFound, format!("there is no cache {cache}")),
    }
}
