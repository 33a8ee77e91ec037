//! Writing the maps of a child's fresh user namespace.

use std::io;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use rustix::process::Pid;

use super::detect::{helper, may_map_ids};
use super::id_map::lines;
use super::{Extent, IdMap, Rung};

/// Why a user namespace got no ids.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    /// The kernel refused the map.
    #[error("write {path}")]
    Write {
        /// `/proc/PID/uid_map` or one of its siblings.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The helper is not there or cannot be executed.
    #[error("run {program}")]
    Run {
        /// Which.
        program: &'static str,
        /// Why.
        source: io::Error,
    },
    /// The helper refused the map.
    #[error("{program} refused the ids: {message}")]
    Helper {
        /// Which.
        program: &'static str,
        /// What it printed.
        message: String,
    },
}

/// Gives the namespace of `child` its ids.
///
/// # Errors
/// See [`InstallError`]; the child is of no use afterwards.
pub(crate) fn install(map: &IdMap, child: Pid) -> Result<(), InstallError> {
    let write = |file: &str, text: &str| {
        let path = PathBuf::from(format!("/proc/{child}/{file}"));
        std::fs::write(&path, text).map_err(|source| InstallError::Write { path, source })
    };
    match map.rung {
        Rung::Root => {
            write("gid_map", &lines(&map.groups))?;
            write("uid_map", &lines(&map.users))
        }
        Rung::Single => {
            // user_namespaces(7): without privilege a group map needs setgroups(2) denied first.
            write("setgroups", "deny")?;
            write("gid_map", &lines(&map.groups))?;
            write("uid_map", &lines(&map.users))
        }
        Rung::Subordinate if may_map_ids() => {
            write("gid_map", &lines(&map.groups))?;
            write("uid_map", &lines(&map.users))
        }
        Rung::Subordinate => {
            run("newgidmap", child, &map.groups)?;
            run("newuidmap", child, &map.users)
        }
    }
}

fn run(program: &'static str, child: Pid, extents: &[Extent]) -> Result<(), InstallError> {
    let path = helper(program).unwrap_or_else(|| PathBuf::from(program));
    let mut command = Command::new(path);
    command.arg(child.to_string());
    for extent in extents {
        command.args([extent.inside, extent.outside, extent.count].map(|id| id.to_string()));
    }
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|source| InstallError::Run { program, source })?;
    if output.status.success() {
        return Ok(());
    }
    Err(InstallError::Helper {
        program,
        message: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
    })
}
