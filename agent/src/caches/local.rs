//! Caches of `agent run-local`: of one working tree, on this machine.

use protocol::cache::{Candidate, choose};

use super::error::CacheError;
use super::index::{self, Entry};
use super::store::{Draft, Store};
use super::{Hit, Kept, Made, Wanted};
use crate::clock::unix_ms;

/// Everything that one user runs here is trusted alike: there is one scope.
const SCOPE: &str = "local";

/// Caches of a working tree.
#[derive(Debug, Clone)]
pub struct Local {
    store: Store,
    repository: String,
}

impl Local {
    /// Those of the working tree at a path, as a text that stands for it alone.
    #[must_use]
    pub const fn new(store: Store, repository: String) -> Self {
        Self { store, repository }
    }

    pub(super) const fn store(&self) -> &Store {
        &self.store
    }

    pub(super) fn find(&self, wanted: &Wanted) -> Result<Option<Hit>, CacheError> {
        let version = wanted.version();
        let mut all = index::all(&self.store, &self.repository);
        all.retain(|entry| entry.version == version);
        loop {
            let candidates: Vec<_> = all
                .iter()
                .map(|entry| Candidate {
                    scope: &entry.scope,
                    key: &entry.key,
                    created_at: entry.created_at,
                })
                .collect();
            let chosen = choose(
                &candidates,
                &[SCOPE.to_owned()],
                &wanted.key,
                &wanted.fallback,
            );
            let Some((number, is_exact)) = chosen else {
                return Ok(None);
            };
            let entry = all.swap_remove(number);
            // One that is gone or damaged is none.
            if let Some((archive, size)) = self.store.find(&entry.sha256)? {
                return Ok(Some(Hit {
                    key: entry.key,
                    is_exact,
                    archive,
                    size,
                    sha256: entry.sha256,
                }));
            }
        }
    }

    pub(super) fn keep(
        &self,
        wanted: &Wanted,
        draft: Draft,
        made: &Made,
    ) -> Result<Kept, CacheError> {
        let entry = Entry {
            repository: self.repository.clone(),
            scope: SCOPE.to_owned(),
            version: wanted.version(),
            key: wanted.key.clone(),
            sha256: made.sha256.clone(),
            size: made.size,
            files: made.files,
            created_at: unix_ms(),
        };
        draft.settle()?;
        let guard = self.store.lock()?;
        let all = index::all(&self.store, &self.repository);
        let mut others = all.iter();
        let taken = others.find(|it| it.version == entry.version && it.key == entry.key);
        match taken {
            Some(other) if made.instead_of.as_ref() != Some(&other.sha256) => {
                return Ok(Kept::Taken);
            }
            Some(unusable) => unusable.remove(&self.store, &guard)?,
            None => {}
        }
        // Before there is one with the same contents again.
        index::forget_gone(&self.store, &guard, &self.repository);
        self.store.adopt(&guard, draft, &made.sha256)?;
        Ok(match entry.add(&self.store, &guard)? {
            true => Kept::First,
            false => Kept::Taken,
        })
    }
}
