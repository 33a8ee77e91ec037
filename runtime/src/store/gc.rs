//! Removing what is not wanted any more: images by age and size, layers that no image has, documents, and what crashes
//! left. Nothing that a living process uses is touched (see `lease`).
//!
//! ```text
//! records that go -> layers without a record -> renamed to KEY.RANDOM.tmp -> emptied
//!                    (each under its lock, all leases and then all records read again: a pull leases a layer before it
//!                     unpacks it, and writes the record before it lets go)
//! ```

use std::collections::{HashMap, HashSet};
use std::time::{Duration, SystemTime};

use serde::Deserialize;

use super::Store;
use super::blobs::read_if_there;
use super::error::{Attempt, StoreError};
use super::fetch::trash;
use super::layers::remove_file;
use super::record::{Found, Record};
use crate::image::Digest;
use crate::layer::LayerWorker;

/// A document that nothing refers to may be about to be: a pull writes it before the record.
const FRESH: Duration = Duration::from_secs(3600);

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

/// What became of a layer that was to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Removal {
    Done,
    InUse,
    /// Somebody else was faster.
    Others,
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
        for found in &going {
            if retention.dry_run || self.remove_record(found)? {
                collected.images.push(found.record.source().to_owned());
                gone.insert(found.key.clone());
            }
        }
        collected.images.sort();
        self.collect_layers(retention.dry_run, &gone, worker, &mut collected)
            .await?;
        if !retention.dry_run {
            self.collect_documents()?;
            collected.remains = self.sweep(worker).await? + self.sweep_files()?;
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

    /// Removes a record, unless somebody has begun to use it.
    fn remove_record(&self, found: &Found) -> Result<bool, StoreError> {
        let Some(_lock) = self.try_lock(&found.key)? else {
            return Ok(false);
        };
        let path = self.record_file(&found.key);
        let used = std::fs::metadata(&path).and_then(|metadata| metadata.modified());
        if self.in_use()?.has_image(&found.key) || used.is_ok_and(|used| used != found.used) {
            return Ok(false);
        }
        remove_file(path)?;
        Ok(true)
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
        for name in self.layer_names()? {
            if wanted.contains(&name) {
                continue;
            }
            let size = self.facts(&name).map_or(0, |facts| facts.size);
            let removal = match dry_run {
                true if self.in_use()?.has_layer(&name) => Removal::InUse,
                true => Removal::Done,
                false => self.remove_layer(&name, worker).await?,
            };
            match removal {
                Removal::Done => {
                    collected.bytes += size;
                    collected.layers.push(name);
                }
                Removal::InUse => collected.in_use += 1,
                Removal::Others => {}
            }
        }
        Ok(())
    }

    /// Removes a layer that no image has, unless somebody uses it.
    async fn remove_layer(
        &self,
        name: &str,
        worker: &dyn LayerWorker,
    ) -> Result<Removal, StoreError> {
        let Some(lock) = self.try_lock(name)? else {
            return Ok(Removal::InUse);
        };
        if !self.has_layer(name) {
            return Ok(Removal::Others);
        }
        // In this order: a pull that is over has written its record.
        let is_used = self.in_use()?.has_layer(name);
        let is_wanted = self
            .referenced(&HashSet::new())?
            .is_none_or(|wanted| wanted.contains(name));
        if is_used || is_wanted {
            return Ok(Removal::InUse);
        }
        self.discard_layer(name, worker).await?;
        drop(lock);
        Ok(Removal::Done)
    }

    /// Takes a layer's name away and removes it; the caller holds its lock.
    pub(super) async fn discard_layer(
        &self,
        name: &str,
        worker: &dyn LayerWorker,
    ) -> Result<(), StoreError> {
        let (from, trash) = (self.layer(name), trash(name));
        std::fs::rename(&from, self.layer(&trash))
            .map_err(|source| StoreError::new(Attempt::Remove, &from, source))?;
        self.forget_layer(name)?;
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

    /// Removes old documents that no record refers to. None at all while there is a newer program's record, which may refer
    /// to any.
    fn collect_documents(&self) -> Result<(), StoreError> {
        let mut wanted = HashSet::new();
        for (_, path) in self.record_paths()? {
            let Some(bytes) = read_if_there(&path)? else {
                continue;
            };
            match Record::parse(&bytes) {
                Some(record) => {
                    for digest in [record.digest, record.config].into_iter().flatten() {
                        self.add_documents(digest, &mut wanted)?;
                    }
                }
                // A power cut may leave an empty file.
                None if serde_json::from_slice::<serde_json::Value>(&bytes).is_err() => {}
                None => return Ok(()),
            }
        }
        let directory = self.meta.join("blobs/sha256");
        let failed = |source| StoreError::new(Attempt::List, &directory, source);
        for entry in std::fs::read_dir(&directory).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let is_wanted = entry
                .file_name()
                .to_str()
                .is_none_or(|name| wanted.contains(name));
            let age = entry
                .metadata()
                .and_then(|metadata| metadata.modified())
                .map(|time| time.elapsed().unwrap_or_default());
            if !is_wanted && age.is_ok_and(|age| age > FRESH) {
                remove_file(entry.path())?;
            }
        }
        Ok(())
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

    /// A document and, when it is an index, the manifests of it that are here.
    fn add_documents(
        &self,
        digest: Digest,
        wanted: &mut HashSet<String>,
    ) -> Result<(), StoreError> {
        #[derive(Deserialize, Default)]
        struct Index {
            #[serde(default)]
            manifests: Vec<crate::image::Descriptor>,
        }
        let mut rest = vec![digest];
        while let Some(digest) = rest.pop() {
            if wanted.insert(digest.hex())
                && let Some(bytes) = read_if_there(&self.blob_path(&digest))?
            {
                let index = serde_json::from_slice::<Index>(&bytes).unwrap_or_default();
                rest.extend(index.manifests.iter().map(|descriptor| descriptor.digest));
            }
        }
        Ok(())
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
