use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::wait;

/// The network namespaces of an agent's processes, as they were at some moment, so that a test can see them go.
///
/// The kernel keeps one as long as a process is in it or has a descriptor of it. Their numbers are given out again at once, also
/// to tests beside this one, and so are process ids, but not with the same beginning: only these very processes are looked at.
#[derive(Debug)]
pub struct NetworkNamespaces {
    links: BTreeSet<PathBuf>,
    /// When each process began.
    processes: BTreeMap<PathBuf, u64>,
}

impl NetworkNamespaces {
    /// Those of a process and of everything that came from it, without the one that the test is in.
    #[must_use]
    pub fn of(agent: u32) -> Self {
        let mut links = BTreeSet::new();
        let mut processes = BTreeMap::new();
        let mut rest = vec![agent];
        while let Some(id) = rest.pop() {
            let process = PathBuf::from(format!("/proc/{id}"));
            let Some(begin) = begin(&process) else {
                continue;
            };
            links.extend(held_by(&process));
            for task in entries(&process.join("task")) {
                let children = fs::read_to_string(task.join("children")).unwrap_or_default();
                let children = children.split_whitespace();
                rest.extend(children.filter_map(|id| id.parse::<u32>().ok()));
            }
            processes.insert(process, begin);
        }
        for own in held_by(Path::new("/proc/self")) {
            links.remove(&own);
        }
        Self { links, processes }
    }

    /// How many there were.
    #[must_use]
    pub fn count(&self) -> usize {
        self.links.len()
    }

    /// Fails when a process still keeps one after `patience`.
    ///
    /// # Panics
    /// With who keeps which.
    pub fn assert_gone(&self, patience: Duration) {
        let mut found = Vec::new();
        let gone = wait::until(patience, || {
            found = self.kept();
            found.is_empty().then_some(())
        });
        assert!(
            gone.is_some(),
            "network namespaces left behind:\n{}",
            found.join("\n")
        );
    }

    /// Which processes keep which of them.
    fn kept(&self) -> Vec<String> {
        self.processes
            .iter()
            .filter(|(process, then)| begin(process) == Some(**then))
            .flat_map(|(process, _)| {
                let held = held_by(process);
                let command = fs::read(process.join("cmdline")).unwrap_or_default();
                let command = String::from_utf8_lossy(&command).replace('\0', " ");
                let told = |link: &PathBuf| {
                    format!("{} by {} ({command})", link.display(), process.display())
                };
                held.intersection(&self.links).map(told).collect::<Vec<_>>()
            })
            .collect()
    }
}

/// The network namespaces that a process is in or has descriptors of, as `net:[NUMBER]`. One that has ended is in none.
fn held_by(process: &Path) -> BTreeSet<PathBuf> {
    entries(&process.join("fd"))
        .into_iter()
        .chain([process.join("ns/net")])
        .filter_map(|path| fs::read_link(path).ok())
        .filter(|link| link.to_string_lossy().starts_with("net:["))
        .collect()
}

/// When a process began, in the kernel's ticks since the machine did (proc_pid_stat(5)).
fn begin(process: &Path) -> Option<u64> {
    let stat = fs::read_to_string(process.join("stat")).ok()?;
    let (_, behind_name) = stat.rsplit_once(')')?;
    behind_name.split_whitespace().nth(19)?.parse().ok()
}

fn entries(directory: &Path) -> Vec<PathBuf> {
    fs::read_dir(directory)
        .into_iter()
        .flatten()
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .collect()
}
