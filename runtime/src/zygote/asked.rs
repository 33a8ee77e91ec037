//! A message to the zygote taken apart: what is asked for together with the descriptors that it takes. What comes is the agent's,
//! and yet nothing of it is believed: a message that makes no sense has an answer, and the zygote goes on.

use std::os::fd::OwnedFd;
use std::path::{Component, Path, PathBuf};

use super::start::Start;
use super::wire::{HeldSource, Job, Request};
use crate::container::namespaces::Namespaces;
use crate::container::{StartError, Streams, TerminalSize};
use crate::network::pod::PodSpec;

/// A request with its descriptors.
#[derive(Debug)]
pub(super) enum Asked {
    /// See [`Request::Start`].
    Start {
        start: Start,
        /// The memory file.
        spec: OwnedFd,
        streams: Streams,
        network: Option<OwnedFd>,
        group: Option<OwnedFd>,
    },
    /// See [`Request::Help`].
    Help { socket: OwnedFd },
    /// See [`Request::Exec`].
    Exec {
        namespaces: Namespaces,
        container: OwnedFd,
        /// The memory file.
        process: OwnedFd,
        streams: Streams,
        group: Option<OwnedFd>,
    },
    /// See [`Request::Hold`].
    Hold {
        name: String,
        source: HeldSource,
        tree: Option<OwnedFd>,
        upper: Option<PathBuf>,
    },
    /// See [`Request::Release`].
    Release { name: String },
    /// See [`Request::Pod`].
    Pod { spec: PodSpec },
    /// See [`Request::Work`].
    Work { job: Job, fds: Vec<OwnedFd> },
}

impl Asked {
    /// Takes a message apart, without its first descriptor, which is where the answer goes.
    pub(super) fn read(text: &[u8], fds: Vec<OwnedFd>) -> Result<Self, StartError> {
        let request = serde_json::from_slice(text).map_err(|error| malformed(&error))?;
        let mut fds = fds.into_iter();
        let asked = match request {
            Request::Start(start) => {
                check_below(&start.upper)?;
                if start.joined != start.namespaces.has_place() {
                    // Without one it would be on the machine's.
                    return Err(malformed(&"a private network and no place in it"));
                }
                let spec = next(&mut fds)?;
                let streams = streams(start.terminal, &mut fds)?;
                let network = if_any(start.joined, &mut fds)?;
                let group = if_any(start.grouped, &mut fds)?;
                Self::Start {
                    start,
                    spec,
                    streams,
                    network,
                    group,
                }
            }
            Request::Help => Self::Help {
                socket: next(&mut fds)?,
            },
            Request::Exec {
                namespaces,
                terminal,
                grouped,
            } => Self::Exec {
                namespaces,
                container: next(&mut fds)?,
                process: next(&mut fds)?,
                streams: streams(terminal, &mut fds)?,
                group: if_any(grouped, &mut fds)?,
            },
            Request::Hold {
                name,
                source,
                upper,
            } => {
                check_name(&name)?;
                upper.as_deref().map_or(Ok(()), check_below)?;
                Self::Hold {
                    tree: if_any(source == HeldSource::Tree, &mut fds)?,
                    name,
                    source,
                    upper,
                }
            }
            Request::Release { name } => {
                check_name(&name)?;
                Self::Release { name }
            }
            Request::Pod(spec) => Self::Pod { spec },
            // Which ones it takes is the job's.
            Request::Work(job) => {
                return Ok(Self::Work {
                    job,
                    fds: fds.collect(),
                });
            }
        };
        match fds.len() {
            0 => Ok(asked),
            more => Err(malformed(&format!("{more} descriptors too many came"))),
        }
    }
}

fn malformed(problem: &dyn std::fmt::Display) -> StartError {
    StartError::Malformed {
        problem: problem.to_string(),
    }
}

fn next(fds: &mut impl Iterator<Item = OwnedFd>) -> Result<OwnedFd, StartError> {
    fds.next()
        .ok_or_else(|| malformed(&"a descriptor is missing"))
}

fn if_any(
    announced: bool,
    fds: &mut impl Iterator<Item = OwnedFd>,
) -> Result<Option<OwnedFd>, StartError> {
    announced.then(|| next(fds)).transpose()
}

fn streams(
    terminal: Option<TerminalSize>,
    fds: &mut impl Iterator<Item = OwnedFd>,
) -> Result<Streams, StartError> {
    match terminal {
        Some(size) => Ok(Streams::Terminal(size)),
        None => Ok(Streams::Files([next(fds)?, next(fds)?, next(fds)?])),
    }
}

/// Something held has the name of a file.
pub(super) fn check_name(name: &str) -> Result<(), StartError> {
    let mut parts = Path::new(name).components();
    match (parts.next(), parts.next()) {
        (Some(Component::Normal(only)), None) if only == name && !name.contains('\0') => Ok(()),
        _ => Err(malformed(&format!("{name:?} is no name"))),
    }
}

/// An upper layer is below `scratch/`.
fn check_below(path: &Path) -> Result<(), StartError> {
    let normal = |part: Component<'_>| matches!(part, Component::Normal(_));
    let plain = path.components().all(normal) && path.components().next().is_some();
    if plain && !path.as_os_str().as_encoded_bytes().contains(&0) {
        Ok(())
    } else {
        Err(malformed(&format!("{path:?} leads elsewhere")))
    }
}

#[cfg(test)]
mod tests;
