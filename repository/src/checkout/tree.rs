//! Goes through a commit's trees.

use std::collections::HashSet;

use git2::{ObjectType, Oid};

use super::limits::Budget;
use super::writer::Directory;
use super::{CheckedOut, Limits, NAMED};
use crate::{Commit, Error, Mirror, Watch, lfs, name};

/// Most bytes of a link's target: that of Linux.
const LONGEST_TARGET: usize = 4095;

/// A submodule's place in a tree.
#[derive(Debug)]
pub(super) struct Gitlink {
    /// From the root of its repository.
    pub(super) path: String,
    pub(super) commit: Commit,
    /// Empty.
    pub(super) directory: Directory,
}

/// A walk through the trees of one commit.
pub(super) struct Walk<'a> {
    pub(super) mirror: &'a Mirror,
    pub(super) commit: Commit,
    pub(super) limits: &'a Limits,
    pub(super) watch: &'a dyn Watch,
    pub(super) budget: &'a mut Budget,
    pub(super) done: &'a mut CheckedOut,
    /// Where the repository is in the whole.
    pub(super) prefix: &'a str,
    /// Submodules that were found.
    pub(super) links: Vec<Gitlink>,
}

/// One entry of a tree.
struct Entry {
    name: Vec<u8>,
    id: Oid,
    mode: i32,
}

impl Walk<'_> {
    /// Writes the whole tree below `root`.
    pub(super) fn run(&mut self, root: Directory) -> Result<(), Error> {
        let tree = self.mirror.commit(self.commit)?.tree_id();
        // Depth first by hand: the stack of a thread is no place for somebody else's depth.
        let mut open = vec![(root, self.entries(tree, "")?, String::new())];
        while let Some((directory, entries, path)) = open.last_mut() {
            let Some(entry) = entries.pop() else {
                open.pop();
                continue;
            };
            if !self.watch.goes_on() {
                return Err(Error::Stopped);
            }
            let shown = format!("{path}{}", String::from_utf8_lossy(&entry.name));
            if let Some((below, id)) = self.entry(directory, &entry, &shown)? {
                if open.len() >= self.limits.depth {
                    return Err(self.hostile(&shown, "directories are nested too deeply"));
                }
                let entries = self.entries(id, &shown)?;
                open.push((below, entries, format!("{shown}/")));
            }
        }
        Ok(())
    }

    /// Writes one entry; answers a directory that is to be filled, and its tree.
    fn entry(
        &mut self,
        directory: &Directory,
        entry: &Entry,
        path: &str,
    ) -> Result<Option<(Directory, Oid)>, Error> {
        if let Some(what) = name::objection(&entry.name) {
            return Err(self.hostile(path, what));
        }
        match entry.mode & 0o170_000 {
            0o040_000 => {
                self.take(path, 0)?;
                Ok(Some((directory.directory(&entry.name)?, entry.id)))
            }
            0o160_000 => {
                self.take(path, 0)?;
                self.links.push(Gitlink {
                    path: path.to_owned(),
                    commit: Commit::new(entry.id),
                    directory: directory.directory(&entry.name)?,
                });
                if self.links.len() > self.limits.submodules {
                    return Err(self.hostile(path, "there are too many submodules"));
                }
                Ok(None)
            }
            0o120_000 => {
                if name::is_gitmodules(&entry.name) {
                    return Err(self.hostile(path, "`.gitmodules` is a link"));
                }
                let target = self.blob(entry.id, path, LONGEST_TARGET as u64)?;
                if target.is_empty() || target.contains(&0) {
                    return Err(self.hostile(path, "a link that leads nowhere"));
                }
                directory.link(&entry.name, &target)?;
                Ok(None)
            }
            0o100_000 => {
                let content = self.blob(entry.id, path, self.limits.file_bytes)?;
                if lfs::is_pointer(&content) {
                    self.done.lfs += 1;
                    if self.done.lfs_examples.len() < NAMED {
                        let full = format!("{}{path}", self.prefix);
                        self.done.lfs_examples.push(full);
                    }
                }
                directory.file(&entry.name, &content, entry.mode & 0o111 != 0)?;
                Ok(None)
            }
            _ => Err(self.hostile(path, "neither file, link, directory nor submodule")),
        }
    }

    fn blob(&mut self, id: Oid, path: &str, most: u64) -> Result<Vec<u8>, Error> {
        let damaged = |error: git2::Error| self.mirror.damaged(&error);
        let repository = &self.mirror.repository;
        let odb = repository.odb().map_err(damaged)?;
        let (size, kind) = odb.read_header(id).map_err(damaged)?;
        if kind != ObjectType::Blob {
            return Err(self.hostile(path, "an object of another kind than its tree says"));
        }
        if size as u64 > most {
            return Err(self.hostile(path, &format!("{size} bytes, more than {most}")));
        }
        self.take(path, size as u64)?;
        let object = odb.read(id).map_err(|error| self.mirror.damaged(&error))?;
        Ok(object.data().to_vec())
    }

    /// The entries of a tree, the last one first. Two of one name are an attack: one may be a link to where the other is
    /// then written.
    fn entries(&self, id: Oid, path: &str) -> Result<Vec<Entry>, Error> {
        let tree = self.mirror.repository.find_tree(id);
        let tree = tree.map_err(|error| self.mirror.damaged(&error))?;
        let mut seen = HashSet::with_capacity(tree.len());
        let mut entries = Vec::with_capacity(tree.len());
        for entry in tree.iter().rev() {
            let name = entry.name_bytes().to_vec();
            if !seen.insert(name.clone()) {
                let path = format!("{path}/{}", String::from_utf8_lossy(&name));
                return Err(self.hostile(&path, "two entries of one name"));
            }
            entries.push(Entry {
                name,
                id: entry.id(),
                mode: entry.filemode_raw(),
            });
        }
        Ok(entries)
    }

    fn take(&mut self, path: &str, bytes: u64) -> Result<(), Error> {
        self.budget
            .take(bytes)
            .map_err(|what| self.hostile(path, what))
    }

    fn hostile(&self, path: &str, what: &str) -> Error {
        let shown: String = format!("{}{}", self.prefix, path.trim_start_matches('/'))
            .chars()
            .map(|character| {
                if character.is_control() {
                    '?'
                } else {
                    character
                }
            })
            .take(300)
            .collect();
        Error::Hostile {
            commit: self.commit,
            path: shown,
            what: what.to_owned(),
        }
    }
}
