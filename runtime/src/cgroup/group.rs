//! One container's group: a directory, or on version 1 one in each tree.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Controller, Reading, Version, v1, v2};
use crate::container::{Load, Resources};

/// A group of ours.
#[derive(Debug, Clone)]
pub(crate) struct Group {
    version: Version,
    /// Its directories, with what is in force there.
    parts: Vec<(Vec<Controller>, PathBuf)>,
    /// What was used in it before.
    before: Reading,
    /// What it holds to; nobody knows when a limit could not be written.
    in_force: Option<Resources>,
}

/// Processes of the smallest container: what its group has for a peak before its command has started another one. Its
/// helper, its first process and its command.
const LEAST_PEAK: u64 = 3;

/// What a container may leave in memory in a group that another one gets, bytes: files it has read. What the kernel frees
/// later, and has counted ahead for each processor, is between 1 and 2 MiB after the smallest container.
const LEFT_IN_MEMORY: u64 = 4 << 20;

/// Something to write into a group's files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Setting {
    controller: Controller,
    file: &'static str,
    value: String,
    /// A kernel without the file has nothing to be told.
    optional: bool,
}

impl Setting {
    pub(super) fn new(controller: Controller, file: &'static str, value: impl ToString) -> Self {
        Self {
            controller,
            file,
            value: value.to_string(),
            optional: false,
        }
    }

    pub(super) fn optional(self) -> Self {
        Self {
            optional: true,
            ..self
        }
    }
}

impl Group {
    /// Makes a group named `name` below each of `bases`.
    ///
    /// # Errors
    /// With the directory that cannot be made; what was made is gone again.
    pub(super) fn create(
        version: Version,
        bases: &[(Vec<Controller>, PathBuf)],
        name: &str,
    ) -> Result<Self, (PathBuf, io::Error)> {
        let mut group = Self {
            version,
            parts: Vec::with_capacity(bases.len()),
            before: Reading::default(),
            in_force: Some(Resources::default()),
        };
        for (controllers, base) in bases {
            let path = base.join(name);
            if let Err(error) = fs::create_dir(&path) {
                group.remove();
                return Err((path, error));
            }
            group.parts.push((controllers.clone(), path));
        }
        Ok(group)
    }

    /// Holds what will run in it to limits; those whose controller is missing are passed over, as [`super::Outlook`]
    /// tells.
    ///
    /// # Errors
    /// With the file that does not take its value.
    pub(super) fn limit(&mut self, resources: &Resources) -> Result<(), (PathBuf, io::Error)> {
        let before = self.in_force.take().unwrap_or_default();
        self.write(match self.version {
            Version::One => v1::change(&before, resources),
            Version::Two => v2::settings(resources),
        })?;
        self.in_force = Some(*resources);
        Ok(())
    }

    fn write(&self, settings: Vec<Setting>) -> Result<(), (PathBuf, io::Error)> {
        for setting in settings {
            let Some(directory) = self.part(setting.controller) else {
                continue;
            };
            let path = directory.join(setting.file);
            match write(&path, &setting.value) {
                Err(error) if setting.optional && error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err((path, error)),
                Ok(()) => {}
            }
        }
        Ok(())
    }

    /// Moves a process into it; slow, see the module.
    ///
    /// # Errors
    /// With the file that does not take it.
    pub(super) fn enter(&self, process: u32) -> Result<(), (PathBuf, io::Error)> {
        for (_, directory) in &self.parts {
            let path = directory.join("cgroup.procs");
            write(&path, &process.to_string()).map_err(|error| (path, error))?;
        }
        Ok(())
    }

    /// On version 2, its directory, for a clone into it.
    ///
    /// # Errors
    /// Those of open(2).
    pub(super) fn open(&self) -> io::Result<OwnedFd> {
        let path = self.parts.first().map(|(_, path)| path);
        let path = path.ok_or(io::ErrorKind::NotFound)?;
        File::open(path).map(OwnedFd::from)
    }

    /// On version 2, lets `owner` clone into it.
    ///
    /// # Errors
    /// Those of chown(2).
    pub(super) fn give(&self, owner: (u32, u32)) -> io::Result<()> {
        for (_, directory) in &self.parts {
            let path = directory.join("cgroup.procs");
            std::os::unix::fs::chown(path, Some(owner.0), Some(owner.1))?;
        }
        Ok(())
    }

    /// What the container in it has used so far.
    pub(crate) fn read(&self) -> Reading {
        self.read_all().since(&self.before)
    }

    /// What the container in it uses now; `None` where a controller that counts it is missing.
    pub(crate) fn load(&self) -> Option<Load> {
        let values = Values { group: self };
        let reading = self.read();
        let (memory, pids) = match self.version {
            Version::One => v1::now(&values)?,
            Version::Two => v2::now(&values)?,
        };
        Some(Load {
            cpu: Duration::from_micros(reading.user_us? + reading.system_us?),
            memory,
            pids,
            read: reading.read_bytes,
            written: reading.written_bytes,
        })
    }

    fn read_all(&self) -> Reading {
        let values = Values { group: self };
        match self.version {
            Version::One => v1::read(&values),
            Version::Two => v2::read(&values),
        }
    }

    /// On version 1, whether nothing but its helper is in it any more.
    pub(super) fn is_left_to_helper(&self) -> bool {
        let values = Values { group: self };
        values.number(Controller::Pids, "pids.current") == Some(1)
    }

    /// On version 1, makes it as good as new for the helper in it; false where what the last container has left would
    /// show, or something fails.
    pub(super) fn renew(&mut self, name: &str, helper: u32) -> bool {
        let values = Values { group: self };
        let before = self.read_all();
        let memory = values.number(Controller::Memory, "memory.usage_in_bytes");
        let Some(in_force) = self.in_force else {
            return false;
        };
        if memory.unwrap_or(0) > LEFT_IN_MEMORY || before.oom_kills > 0 {
            return false;
        }
        let peak = values.number(Controller::Pids, "pids.peak");
        if (before.refused_forks > 0 || peak > Some(LEAST_PEAK)) && !self.renew_pids(name, helper) {
            return false;
        }
        self.before = before;
        // Other limits stay: the next container's are the same for the most part. This one could end the helper.
        let without = Resources {
            memory: None,
            ..self.in_force.unwrap_or(in_force)
        };
        self.limit(&without)
            .and_then(|()| self.write(v1::renewal()))
            .is_ok()
    }

    /// Makes the part that counts processes anew, where a peak cannot be forgotten and refused forks cannot either.
    fn renew_pids(&mut self, name: &str, helper: u32) -> bool {
        let pids = self
            .parts
            .iter_mut()
            .find(|(controllers, _)| *controllers == [Controller::Pids]);
        let Some((_, old)) = pids else {
            return false;
        };
        let new = old.with_file_name(name);
        let moved = fs::create_dir(&new)
            .and_then(|()| write(&new.join("cgroup.procs"), &helper.to_string()));
        // The one that is no longer a part of the group is empty.
        let done = moved.is_ok();
        let other = if done {
            std::mem::replace(old, new)
        } else {
            new
        };
        let _ = fs::remove_dir(other);
        if done && let Some(in_force) = &mut self.in_force {
            in_force.pids = None;
        }
        done
    }

    /// Removes it; false while something is in it.
    pub(super) fn remove(&mut self) -> bool {
        self.parts.retain(|(_, path)| match fs::remove_dir(path) {
            Ok(()) => false,
            Err(error) => error.kind() != io::ErrorKind::NotFound,
        });
        self.parts.is_empty()
    }

    fn part(&self, controller: Controller) -> Option<&Path> {
        let part = self
            .parts
            .iter()
            .find(|(controllers, _)| controllers.contains(&controller));
        part.map(|(_, path)| path.as_path())
    }
}

/// The numbers in a group's files.
#[derive(Debug)]
pub(super) struct Values<'a> {
    group: &'a Group,
}

impl Values<'_> {
    /// A file of a controller that is in force.
    pub(super) fn text(&self, controller: Controller, file: &str) -> Option<String> {
        read(&self.group.part(controller)?.join(file)).ok()
    }

    /// A file that holds one number.
    pub(super) fn number(&self, controller: Controller, file: &str) -> Option<u64> {
        self.text(controller, file)?.trim().parse().ok()
    }

    /// A line `key number` of a file.
    pub(super) fn field(&self, controller: Controller, file: &str, key: &str) -> Option<u64> {
        field(&self.text(controller, file)?, key)
    }

    /// The same of a file that needs no controller.
    pub(super) fn own_field(&self, file: &str, key: &str) -> Option<u64> {
        let (_, directory) = self.group.parts.first()?;
        field(&read(&directory.join(file)).ok()?, key)
    }
}

fn field(text: &str, key: &str) -> Option<u64> {
    text.lines()
        .find_map(|line| line.strip_prefix(key)?.strip_prefix(' ')?.parse().ok())
}

/// What is in one of the kernel's files: most are less than a page, and have no size that could be asked for.
fn read(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut text = vec![0; 4096];
    let mut length = 0;
    loop {
        match file.read(&mut text[length..])? {
            0 => break,
            count => length += count,
        }
        if length == text.len() {
            text.resize(length * 2, 0);
        }
    }
    text.truncate(length);
    String::from_utf8(text).map_err(|_| io::ErrorKind::InvalidData.into())
}

/// Writes a value in one call, into a file that must exist.
pub(super) fn write(path: &Path, value: &str) -> io::Result<()> {
    fs::OpenOptions::new()
        .write(true)
        .open(path)?
        .write_all(value.as_bytes())
}

#[cfg(test)]
mod tests;
