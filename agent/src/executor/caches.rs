//! Puts back what earlier jobs have kept, before the first step, and keeps what this one has made, behind the last. No cache
//! changes how a job ends: what goes wrong is a warning.

use std::time::Duration;

use pipelines::plan::{Cache, CachePath, is_cache_key};
use protocol::{Conclusion, Event, RunValues, WorkspaceMode};
use tokio::time::{Instant, timeout, timeout_at};

use super::context::{CancelLevel, cancelled};
use super::job::JobRunner;
use super::message::Message;
use crate::backend::{Backend, FilePart, FilesError};
use crate::caches::{CacheError, Caches, Kept, Made, Wanted};
use crate::clock::milliseconds;

/// How long putting all of a job's back may take together, and keeping one: longer than making anew what is worth a cache. The job's
/// own `timeout` begins behind the first and does not know of the second.
const LONGEST: Duration = Duration::from_secs(15 * 60);

/// How much longer what puts one back may take to give up, and to take away again what it has put there. Then it is killed.
const GIVING_UP: Duration = Duration::from_secs(60);

/// What is told when that is over.
const TOO_LONG: &str = "it takes more than 15 minutes";

/// The caches of a job, which it has if it could be said what they are.
#[derive(Debug, Default)]
pub(super) struct JobCaches {
    caches: Vec<JobCache>,
    /// Every directory that is in one of them, by its path, those above before those below.
    directories: Vec<String>,
}

#[derive(Debug)]
struct JobCache {
    wanted: Wanted,
    parts: Vec<FilePart>,
    /// There is one of this key already, or nobody can say.
    is_there: bool,
    /// What there was could not be used: SHA-256 of its archive.
    unusable: Option<String>,
}

/// Why one is not put back or kept.
#[derive(Debug, thiserror::Error)]
enum Obstacle {
    #[error(transparent)]
    Store(#[from] CacheError),
    #[error(transparent)]
    Files(#[from] FilesError),
    #[error("{TOO_LONG}")]
    TooLong,
    #[error("the job is being cancelled")]
    Cancelled,
}

impl JobCaches {
    /// Where steps are to find directories of the job's own.
    pub(super) fn directories(&self) -> &[String] {
        &self.directories
    }
}

impl<B: Backend> JobRunner<B> {
    /// Says what the caches of the job are, with what is known before its first step.
    pub(super) fn plan_caches(&self) -> JobCaches {
        let mut planned = JobCaches::default();
        let mut all: Vec<Wanted> = Vec::new();
        for cache in &self.job.cache {
            match self.wanted(cache) {
                Ok(wanted) if self.stays(&wanted) => {
                    let message = "with --in-place what is in the workspace stays there, and nothing of it is restored or saved";
                    self.warn_of(&wanted.key, message);
                }
                Ok(wanted) if all.iter().any(|other| is_the_same(other, &wanted)) => {
                    self.warn_of(&wanted.key, "another one of the job is the same");
                }
                Ok(wanted) => all.push(wanted),
                Err(message) => {
                    let job = &self.job.id;
                    let message = format!("A cache of job `{job}` is left out: {message}.");
                    self.context
                        .tell(Message::Event(Event::Warning { message }));
                }
            }
        }
        let directories = all.iter().flat_map(Wanted::directories);
        let mut directories: Vec<String> = directories.map(ToString::to_string).collect();
        // A name comes before all that it is the beginning of.
        directories.sort();
        directories.dedup();
        for wanted in all {
            let places = wanted.places().into_iter().map(|place| FilePart {
                directory: place.directory.map(|path| {
                    let path = path.to_string();
                    // All of them are in it.
                    directories
                        .iter()
                        .position(|other| *other == path)
                        .unwrap_or(usize::MAX)
                }),
                below: place.below.into_iter().map(str::to_owned).collect(),
            });
            planned.caches.push(JobCache {
                parts: places.collect(),
                wanted,
                is_there: true,
                unusable: None,
            });
        }
        planned.directories = directories;
        planned
    }

    /// Whether steps write to what outlives them anyway: an older state would take the place of what somebody works on.
    fn stays(&self, wanted: &Wanted) -> bool {
        let is_in_workspace = |path: &CachePath| matches!(path, CachePath::Workspace(_));
        self.context.settings.workspace == WorkspaceMode::InPlace
            && wanted.paths.iter().any(is_in_workspace)
    }

    /// One of them with its expressions evaluated. What is wrong with it is told by the compiler where it can know.
    fn wanted(&self, cache: &Cache) -> Result<Wanted, String> {
        let values: &RunValues = &self.values;
        let text = |template: &pipelines::expression::Template| {
            let text = template.text(values);
            text.map_err(|error| self.job.place.located(&error))
        };
        let key = |template| {
            let key = text(template)?;
            if !is_cache_key(&key) {
                let error = format!("{key:?} cannot be its key");
                return Err(self.job.place.located(error));
            }
            // It stands in databases and names of files, none of which is masked.
            match self.context.settings.masks.text(key.clone()) {
                masked if masked == key => Ok(key),
                _ => Err("its key has the value of a secret in it".to_owned()),
            }
        };
        let paths = cache.paths.iter().map(|path| {
            let path = text(path)?;
            CachePath::parse(&path).map_err(|error| {
                let error = format!("{path:?} cannot be kept: {error}");
                self.job.place.located(error)
            })
        });
        let fallback = cache.fallback.iter().map(key);
        Ok(Wanted::new(
            key(&cache.key)?,
            fallback.collect::<Result<_, _>>()?,
            paths.collect::<Result<_, _>>()?,
        ))
    }

    /// Puts back what there is, one after the other.
    pub(super) async fn restore_caches(&self, workspace: &B::Workspace, planned: &mut JobCaches) {
        let Some(caches) = &self.context.settings.caches else {
            if let Some(cache) = planned.caches.first() {
                self.warn_of(&cache.wanted.key, "the server keeps no caches");
            }
            return;
        };
        let until = Instant::now() + LONGEST;
        for cache in &mut planned.caches {
            let restoring = timeout_at(
                until + GIVING_UP,
                self.restore(caches, workspace, cache, until),
            );
            let outcome = tokio::select! {
                biased;
                () = cancelled(&self.cancel) => Err(Obstacle::Cancelled),
                outcome = restoring => outcome.unwrap_or(Err(Obstacle::TooLong)),
            };
            match outcome {
                Ok(is_there) => cache.is_there = is_there,
                Err(Obstacle::Cancelled) => return,
                Err(obstacle) => {
                    let message = format!("it is not restored: {obstacle}");
                    self.warn_of(&cache.wanted.key, &message);
                }
            }
        }
    }

    /// Whether there is one of this very key, or may be: what is to take its place must not be made of what a restore has left that came to no
    /// end.
    async fn restore(
        &self,
        caches: &Caches,
        workspace: &B::Workspace,
        cache: &mut JobCache,
        until: Instant,
    ) -> Result<bool, Obstacle> {
        let begun = Instant::now();
        let job = self.job.id.clone();
        let key = cache.wanted.key.clone();
        // Until something is put back.
        cache.is_there = false;
        let found = timeout_at(until, caches.find(&cache.wanted))
            .await
            .map_err(|_| Obstacle::TooLong)?;
        if let Err(CacheError::Unfetched { sha256, .. }) = &found {
            cache.unusable = Some(sha256.clone());
        }
        let Some(hit) = found? else {
            self.context
                .tell(Message::Event(Event::CacheMissed { job, key }));
            return Ok(false);
        };
        cache.is_there = true;
        let most = caches.store().most_of_one();
        let time = until.saturating_duration_since(Instant::now());
        let restored = self
            .context
            .backend
            .restore_files(workspace, &cache.parts, most, time, &hit.archive)
            .await;
        let restored = restored.inspect_err(|error| {
            if error.is_of_the_files {
                cache.is_there = false;
                cache.unusable = Some(hit.sha256);
            }
        })?;
        self.context.tell(Message::Event(Event::CacheRestored {
            job,
            key,
            found: (!hit.is_exact).then_some(hit.key),
            files: restored.files,
            size: hit.size,
            duration_ms: milliseconds(begun.elapsed()),
        }));
        Ok(hit.is_exact)
    }

    /// Keeps what a job that has succeeded leaves, of every cache that was not there under its key.
    pub(super) async fn save_caches(
        &self,
        workspace: &B::Workspace,
        planned: &JobCaches,
        ended: Conclusion,
    ) {
        let Some(caches) = &self.context.settings.caches else {
            return;
        };
        if ended != Conclusion::Success {
            return;
        }
        for cache in planned.caches.iter().filter(|cache| !cache.is_there) {
            let mut cancel = self.cancel.clone();
            let saving = timeout(LONGEST, self.save(caches, workspace, cache));
            let outcome = tokio::select! {
                biased;
                Ok(_) = cancel.wait_for(|level| *level > CancelLevel::None) => {
                    Err(Obstacle::Cancelled)
                }
                outcome = saving => outcome.unwrap_or(Err(Obstacle::TooLong)),
            };
            if let Err(obstacle) = outcome {
                self.warn_of(&cache.wanted.key, &format!("it is not saved: {obstacle}"));
            }
        }
    }

    async fn save(
        &self,
        caches: &Caches,
        workspace: &B::Workspace,
        cache: &JobCache,
    ) -> Result<(), Obstacle> {
        let begun = Instant::now();
        let context = &self.context;
        let draft = caches.draft().await?;
        let forbidden = context.settings.masks.patterns();
        let most = caches.room();
        let saved = context
            .backend
            .save_files(workspace, &cache.parts, most, &forbidden, &draft.file)
            .await?;
        let key = cache.wanted.key.clone();
        if saved.files == 0 {
            self.warn_of(&key, "it is not saved: there is nothing at its paths");
            return Ok(());
        }
        let made = Made {
            size: saved.size,
            sha256: saved.sha256.clone(),
            files: saved.files,
            instead_of: cache.unusable.clone(),
        };
        let kept = caches.keep(&cache.wanted, draft, made).await?;
        context.tell(Message::Event(Event::CacheSaved {
            job: self.job.id.clone(),
            key,
            is_taken: kept == Kept::Taken,
            files: saved.files,
            size: saved.size,
            sha256: saved.sha256,
            duration_ms: milliseconds(begun.elapsed()),
        }));
        Ok(())
    }

    fn warn_of(&self, key: &str, message: &str) {
        let message = format!("Cache `{key}` of job `{}`: {message}.", self.job.id);
        self.context
            .tell(Message::Event(Event::Warning { message }));
    }
}

/// Whether two caches would be kept in the same place.
fn is_the_same(one: &Wanted, other: &Wanted) -> bool {
    one.key == other.key && one.paths == other.paths
}
