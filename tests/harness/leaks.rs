//! What a run must not leave behind: processes, mounts, scratch directories, control groups.
//!
//! A test's directory has a name like no other on the machine. A process of the test has it in its command line, its
//! environment, the path of its executable or the mounts it sees. A step knows nothing of that directory, but sees the
//! project, which holds a file of that name. So tests that run at the same time do not see each other's.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use rustix::process::{Pid, Signal, kill_process};

use crate::{TestEnvironment, wait};

/// Fails when anything is left after `patience`, leftovers on disk included.
pub(crate) fn assert_none(environment: &TestEnvironment, patience: Duration) {
    check(patience, || {
        let mut found = processes(environment.root());
        found.extend(scratch(&environment.data()));
        found.extend(cgroups());
        found
    });
}

/// Fails when a process or a mount is left after `patience`.
pub(crate) fn assert_dead(environment: &TestEnvironment, patience: Duration) {
    check(patience, || processes(environment.root()));
}

fn check(patience: Duration, look: impl Fn() -> Vec<String>) {
    let mut found = Vec::new();
    let gone = wait::until(patience, || {
        found = look();
        found.is_empty().then_some(())
    });
    assert!(gone.is_some(), "left behind:\n{}", found.join("\n"));
}

/// Kills what a test that has failed has not come to end itself.
pub(crate) fn end_all(root: &Path) {
    for (process, _) in traced(root) {
        if let Some(pid) = Pid::from_raw(process) {
            let _ = kill_process(pid, Signal::KILL);
        }
    }
}

/// Processes of the test, with what gives them away. A mount namespace lives as long as a process in it, so this finds
/// mounts, too.
fn processes(root: &Path) -> Vec<String> {
    traced(root).into_iter().map(|(_, trace)| trace).collect()
}

/// The same with their ids.
fn traced(root: &Path) -> Vec<(i32, String)> {
    let mark = root
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let own = std::process::id().to_string();
    let listing = fs::read_dir("/proc").expect("list the processes");
    listing
        .filter_map(Result::ok)
        .filter(|entry| {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            name.bytes().all(|byte| byte.is_ascii_digit()) && *name != *own
        })
        .filter_map(|entry| {
            let pid = entry.file_name().to_str()?.parse().ok()?;
            Some((pid, trace(&entry.path(), &mark)?))
        })
        .collect()
}

fn trace(process: &Path, mark: &str) -> Option<String> {
    let command = fs::read(process.join("cmdline")).unwrap_or_default();
    let command = String::from_utf8_lossy(&command).replace('\0', " ");
    let links =
        ["exe", "cwd", "root"].map(|link| fs::read_link(process.join(link)).unwrap_or_default());
    let by = if command.contains(mark) {
        "command line".to_owned()
    } else if let Some(link) = links
        .iter()
        .find(|link| link.to_string_lossy().contains(mark))
    {
        format!("path {}", link.display())
    } else if contains(&process.join("environ"), mark) {
        "environment".to_owned()
    } else if process.join("root/workspace").join(mark).exists() {
        "workspace".to_owned()
    } else {
        let mounts = fs::read_to_string(process.join("mountinfo")).unwrap_or_default();
        let line = mounts.lines().find(|line| line.contains(mark))?;
        format!("mount {line}")
    };
    let status = fs::read_to_string(process.join("status")).unwrap_or_default();
    let name = status
        .lines()
        .next()
        .unwrap_or("")
        .trim_start_matches("Name:")
        .trim()
        .to_owned();
    Some(format!(
        "process {} `{name}` ({command}) by its {by}",
        process.display()
    ))
}

fn contains(file: &Path, mark: &str) -> bool {
    fs::read(file).is_ok_and(|bytes| String::from_utf8_lossy(&bytes).contains(mark))
}

/// What is in the data directory's scratch and mount point directories.
fn scratch(data: &Path) -> Vec<String> {
    children(&data.join("rootfs"))
        .into_iter()
        .flat_map(|map| [map.join("scratch"), map.join("mnt")])
        .flat_map(|directory| children(&directory))
        .map(|path| format!("path {}", path.display()))
        .collect()
}

/// Control groups of agents that are gone: nobody holds their lock. Only of tests that have ended, whoever's they were.
fn cgroups() -> Vec<String> {
    let mut found = Vec::new();
    let mut open = vec![PathBuf::from("/sys/fs/cgroup")];
    while let Some(directory) = open.pop() {
        for child in children(&directory) {
            if !child.is_dir() || child.is_symlink() {
                continue;
            }
            let name = child.file_name().unwrap_or_default().to_string_lossy();
            if name.starts_with("slipway-") && is_abandoned(&child) {
                found.push(format!("cgroup {}", child.display()));
            }
            open.push(child);
        }
    }
    found
}

fn is_abandoned(group: &Path) -> bool {
    let Ok(group) = fs::File::open(group) else {
        return false;
    };
    flock(&group, FlockOperation::NonBlockingLockShared).is_ok()
}

fn children(directory: &Path) -> Vec<PathBuf> {
    fs::read_dir(directory)
        .into_iter()
        .flatten()
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .collect()
}
