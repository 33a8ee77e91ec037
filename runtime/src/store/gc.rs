//! Removing what is not wanted any more: images by age and size, layers that no image has, documents, and what crashes
//! left. Nothing that a living process uses is touched (see `lease`).
//!
//! ```text
//! records that go -> layers without a record -> renamed to KEY.RANDOM.tmp -> emptied
//!                    (some at once, each under its lock, all leases and then all records read again: a pull leases a
//!                     layer before it unpacks it, and writes the record before it lets go)
//! ```

use std::collections::{HashMap, HashSet};
use std::time::{Duration, SystemTime};

use serde::Deserialize;

use super::Store;
use super::blobs::read_if_there;
use super::error::{Attempt, StoreError};
use super::fetch::trash;
use super::layers::{Facts, remove_file};
use super::record::Found;
use crate::image::Digest;
use crate::layer::LayerWorker;

/// Files without a name of their own are left by crashes when they are older.
const FRESH: Duration = Duration::from_secs(3600);
/// Locks that are held at once, so that leases and records are read once for so many layers. Each is an open file.
const AT_ONCE: usize = 128;

/// Which images stay. Those without a limit all stay; layers without an image never do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Retention {
    /// Images that were not asked for for so long go; zero is all of them.
    pub older_than: Option<Duration>,
    /// The images asked for longest ago go until the layers have at most so many bytes together.
    pub max_size: Option<u64>,
    /// Only say what would go.
    pub dry_run: bool,
}

/// What was removed, or would be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Collected {
    /// Names of images, as [`crate::image::Source`] prints them.
    pub images: Vec<String>,
    /// Names of layers.
    pub layers: Vec<String>,
    /// Of those layers, uncompressed bytes; without those of which that is not known.
    pub bytes: u64,
    /// Layers that no image has and that stay, since a process uses them.
    pub in_use: usize,
    /// Remains of pulls that were killed.
    pub remains: usize,
}

/// What a decision about an image needs.
#[derive(Debug)]
struct Candidate<'a> {
    layers: Vec<(&'a str, u64)>,
    used: SystemTime,
    in_use: bool,
}

impl Collected {
    fn add(&mut self, layer: &str, facts: Option<Facts>) {
        self.bytes += facts.map_or(0, |facts| facts.size);
        self.layers.push(layer.to_owned());
    }
}

impl Store {
    /// Removes what `retention` does not keep.
    ///
    /// # Errors
    /// The store cannot be read or written; what was removed until then stays removed.
    pub async fn collect(
        &self,
        retention: &Retention,
        worker: &dyn LayerWorker,
    ) -> Result<Collected, StoreError> {
        let going = self.doomed(retention)?;
        let mut collected = Collected::default();
        let mut gone = HashSet::new();
        let going = match retention.dry_run {
            true => going.iter().collect(),
            false => self.remove_unused(&going)?,
        };
        for found in going {
            collected.images.push(found.record.source().to_owned());
            gone.insert(found.key.clone());
        }
        collected.images.sort();
        self.collect_layers(retention.dry_run, &gone, worker, &mut collected)
            .await?;
        if !retention.dry_run {
            self.collect_documents()?;
            collected.remains = self.sweep(worker).await? + self.sweep_files()?;
            self.forget_made()?;
        }
        Ok(collected)
    }

    /// Removes names of images, and the layers that no other image has.
    pub(super) async fn remove_records(
        &self,
        records: &[Found],
        worker: &dyn LayerWorker,
    ) -> Result<Collected, StoreError> {
        let mut collected = Collected::default();
        for found in records {
            // Who begins to use it does so under its lock.
            let _lock = self.lock(&found.key, || ()).await?;
            remove_file(self.record_file(&found.key))?;
            collected.images.push(found.record.source().to_owned());
        }
        self.collect_layers(false, &HashSet::new(), worker, &mut collected)
            .await?;
        Ok(collected)
    }

    /// The images that go.
    fn doomed(&self, retention: &Retention) -> Result<Vec<Found>, StoreError> {
        let leases = self.in_use()?;
        let records = self.records()?;
        let names: Vec<Vec<String>> = records
            .iter()
            .map(|found| found.record.layer_names())
            .collect();
        let candidates: Vec<Candidate<'_>> = records
            .iter()
            .zip(&names)
            .map(|(found, names)| Candidate {
                layers: names
                    .iter()
                    .map(|name| (&**name, self.facts(name).map_or(0, |facts| facts.size)))
                    .collect(),
                used: found.used,
                in_use: leases.has_image(&found.key),
            })
            .collect();
        let chosen = choose(&candidates, retention, SystemTime::now());
        Ok(chosen.into_iter().map(|at| records[at].clone()).collect())
    }

    /// Removes records, but for those that somebody has begun to use, and those that somebody holds now. Returns the rest.
    fn remove_unused<'a>(&self, records: &'a [Found]) -> Result<Vec<&'a Found>, StoreError> {
        let mut removed = Vec::new();
        for batch in records.chunks(AT_ONCE) {
            let mut locked = Vec::new();
            for found in batch {
                locked.extend(self.try_lock(&found.key)?.map(|lock| (found, lock)));
            }
            let leases = self.in_use()?;
            for (found, _lock) in &locked {
                let path = self.record_file(&found.key);
                let used = std::fs::metadata(&path).and_then(|metadata| metadata.modified());
                if leases.has_image(&found.key) || used.is_ok_and(|used| used != found.used) {
                    continue;
                }
                remove_file(path)?;
                removed.push(*found);
            }
        }
        Ok(removed)
    }

    async fn collect_layers(
        &self,
        dry_run: bool,
        gone: &HashSet<String>,
        worker: &dyn LayerWorker,
        collected: &mut Collected,
    ) -> Result<(), StoreError> {
        let Some(wanted) = self.referenced(gone)? else {
            return Ok(());
        };
        let mut names = self.layer_names()?;
        names.retain(|name| !wanted.contains(name));
        if dry_run {
            let leases = self.in_use()?;
            for name in names {
                match leases.has_layer(&name) {
                    true => collected.in_use += 1,
                    false => collected.add(&name, self.facts(&name)),
                }
            }
            return Ok(());
        }
        for batch in names.chunks(AT_ONCE) {
            for trash in self.take_unused(batch, collected)? {
                // Without a lock: nobody else knows of it, but for a sweep.
                if let Err(error) = worker.remove(&trash).await {
                    tracing::debug!(%error, trash, "left for the next sweep");
                }
            }
        }
        Ok(())
    }

    /// Takes the names of layers away that no image has and nobody uses. Returns what they are called until they are
    /// removed.
    fn take_unused(
        &self,
        names: &[String],
        collected: &mut Collected,
    ) -> Result<Vec<String>, StoreError> {
        let mut locked = Vec::new();
        for name in names {
            match self.try_lock(name)? {
                // Somebody else was faster where it is not there.
                Some(lock) if self.has_layer(name) => locked.push((name, lock)),
                Some(_) => {}
                None => collected.in_use += 1,
            }
        }
        // In this order: a pull that is over has written its record.
        let leases = self.in_use()?;
        let wanted = self.referenced(&HashSet::new())?;
        let mut taken = Vec::new();
        for (name, _lock) in &locked {
            let is_wanted = wanted.as_ref().is_none_or(|wanted| wanted.contains(*name));
            if is_wanted || leases.has_layer(name) {
                collected.in_use += 1;
                continue;
            }
            let facts = self.facts(name);
            taken.push(self.take_away(name)?);
            collected.add(name, facts);
        }
        Ok(taken)
    }

    /// Takes a layer's name away; the caller holds its lock. Returns what it is called until it is removed.
    fn take_away(&self, name: &str) -> Result<String, StoreError> {
        let (from, trash) = (self.layer(name), trash(name));
        std::fs::rename(&from, self.layer(&trash))
            .map_err(|source| StoreError::new(Attempt::Remove, &from, source))?;
        self.forget_layer(name)?;
        Ok(trash)
    }

    /// Takes a layer's name away and removes it; the caller holds its lock.
    pub(super) async fn discard_layer(
        &self,
        name: &str,
        worker: &dyn LayerWorker,
    ) -> Result<(), StoreError> {
        let trash = self.take_away(name)?;
        if let Err(error) = worker.remove(&trash).await {
            tracing::debug!(%error, name, "left for the next sweep");
        }
        Ok(())
    }

    /// Layers that records have, without those of `gone`; `None` when a newer program has written records that this one
    /// cannot read.
    fn referenced(&self, gone: &HashSet<String>) -> Result<Option<HashSet<String>>, StoreError> {
        /// What every version's record has.
        #[derive(Deserialize)]
        struct Any {
            layers: Vec<Digest>,
        }
        let mut wanted = HashSet::new();
        for (key, path) in self.record_paths()? {
            if gone.contains(&key) {
                continue;
            }
            let Some(bytes) = read_if_there(&path)? else {
                continue;
            };
            match serde_json::from_slice::<Any>(&bytes) {
                Ok(any) => wanted.extend(any.layers.iter().map(Digest::hex)),
                // A power cut may leave an empty file.
                Err(error) if error.is_syntax() || error.is_eof() => {}
                Err(error) => {
                    tracing::warn!(%error, path = %path.display(), "nothing is collected: a newer program's record");
                    return Ok(None);
                }
            }
        }
        Ok(Some(wanted))
    }

    /// Removes what crashes left of files: old ones that never got their name, and what is beside a layer that is not there.
    fn sweep_files(&self) -> Result<usize, StoreError> {
        let mut count = 0;
        let directory = self.meta.join("tmp");
        let failed = |source| StoreError::new(Attempt::List, &directory, source);
        for entry in std::fs::read_dir(&directory).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let modified = entry.metadata().and_then(|metadata| metadata.modified());
            let age = modified.map(|time| time.elapsed().unwrap_or_default());
            if age.is_ok_and(|age| age > FRESH) {
                remove_file(entry.path())?;
                count += 1;
            }
        }
        for name in self.names_beside()? {
            // Whoever makes the layer holds its lock, and gives it its name last.
            if !self.has_layer(&name)
                && let Some(_lock) = self.try_lock(&name)?
                && !self.has_layer(&name)
            {
                self.forget_layer(&name)?;
                count += 1;
            }
        }
        Ok(count)
    }
}

/// Which images go: those too old, then the oldest until the rest is small enough.
fn choose(all: &[Candidate<'_>], retention: &Retention, now: SystemTime) -> Vec<usize> {
    let age = |candidate: &Candidate<'_>| now.duration_since(candidate.used).unwrap_or_default();
    let mut going: Vec<usize> = (0..all.len())
        .filter(|at| !all[*at].in_use)
        .filter(|at| {
            retention
                .older_than
                .is_some_and(|limit| age(&all[*at]) >= limit)
        })
        .collect();
    let Some(limit) = retention.max_size else {
        return going;
    };
    let doomed: HashSet<usize> = going.iter().copied().collect();
    // How many images that stay have each layer.
    let mut holders: HashMap<&str, (usize, u64)> = HashMap::new();
    let staying = (0..all.len()).filter(|at| !doomed.contains(at));
    for (layer, size) in staying.flat_map(|at| all[at].layers.iter().copied()) {
        holders.entry(layer).or_insert((0, size)).0 += 1;
    }
    let mut total: u64 = holders.values().map(|(_, size)| size).sum();
    let mut oldest: Vec<usize> = (0..all.len())
        .filter(|at| !all[*at].in_use && !doomed.contains(at))
        .collect();
    oldest.sort_by_key(|at| all[*at].used);
    for at in oldest {
        if total <= limit {
            break;
        }
        for (layer, _) in &all[at].layers {
            if let Some((count, size)) = holders.get_mut(layer) {
                *count -= 1;
                total -= if *count == 0 { *size } else { 0 };
            }
        }
        going.push(at);
    }
    going.sort_unstable();
    going
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_images_asked_for_longest_ago_go_first_and_none_in_use() {
        let now = SystemTime::now();
        let image = |layers: &[(&'static str, u64)], hours: u64, in_use| Candidate {
            layers: layers.to_vec(),
            used: now - Duration::from_secs(hours * 3600),
            in_use,
        };
        let all = [
            image(&[("base", 100), ("a", 10)], 1, false),
            image(&[("base", 100), ("b", 20)], 50, true),
            image(&[("base", 100), ("c", 30)], 40, false),
            image(&[("d", 40)], 30, false),
        ];
        let chosen = |older_than: Option<u64>, max_size| {
            let retention = Retention {
                older_than: older_than.map(|hours| Duration::from_secs(hours * 3600)),
                max_size,
                dry_run: false,
            };
            choose(&all, &retention, now)
        };
        assert_eq!(chosen(None, None), [0; 0]);
        assert_eq!(chosen(Some(35), None), [2]);
        assert_eq!(chosen(Some(0), None), [0, 2, 3]);
        // 200 bytes in all.
        assert_eq!(chosen(None, Some(200)), [0; 0]);
        assert_eq!(chosen(None, Some(199)), [2]);
        assert_eq!(chosen(None, Some(169)), [2, 3]);
        // What is in use stays, though it is too much.
        assert_eq!(chosen(None, Some(0)), [0, 2, 3]);
        assert_eq!(chosen(Some(35), Some(130)), [2, 3]);
    }
}
