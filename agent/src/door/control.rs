//! What others may ask of a container's supervisor, and its answers.
//!
//! ```text
//! exec, kill, wait, .. --order--> supervisor --exec--> zygote --> worker in the container
//!                     <--answer--                                    |
//!                     <------- running, exited; signals -------------'   (the connection is handed on)
//! ```

use std::fs::File;
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use runtime::container::{
    ContainerHandle, Execution, Load, Process, Resources, StartError, Streams, TerminalSize,
};
use runtime::message::{Connection, Listener};
use runtime::zygote::Zygote;
use rustix::fs::{MemfdFlags, memfd_create};
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

/// Of the description of a process, bytes: more than the kernel takes as arguments.
const LARGEST: u64 = 8 << 20;
/// What somebody who has connected gets to say something, and to take an answer when the container is over.
const PATIENCE: Duration = Duration::from_secs(1);

/// What is asked for.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "order", rename_all = "snake_case")]
pub(super) enum Order {
    /// Start a process. Descriptors: a memory file with [`Further`] and, without a terminal, its streams. What becomes of it
    /// is for an [`Execution`].
    Exec {
        /// Its streams are a terminal of this size.
        terminal: Option<TerminalSize>,
    },
    /// Send a signal to the command's process group. Answered with `Done`.
    Signal {
        /// Which.
        number: i32,
    },
    /// Wait for the end. Answered with `Over`.
    Wait,
    /// Say what the container uses. Answered with `Uses`.
    Look,
}

/// A process to be started in a running container: what it does not say is the container's.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Further {
    pub(super) argv: Vec<String>,
    pub(super) env: Vec<(String, String)>,
    pub(super) workdir: Option<String>,
    pub(super) user: Option<String>,
}

/// What is answered.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Answer {
    /// It was.
    Done,
    /// The container is over; as `agent run` exits.
    Over(u8),
    /// This much, if its command runs.
    Uses(Option<Uses>),
}

/// What a container uses at a moment, and what it may.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Uses {
    /// It does.
    pub load: Load,
    /// It may.
    pub limits: Resources,
}

/// How far the container is, for those who ask.
#[derive(Debug, Clone)]
pub(super) enum Phase {
    /// There is no command yet.
    Preparing,
    /// It runs.
    Running(Arc<Running>),
    /// It is over; as `agent run` exits.
    Over(u8),
}

/// What it takes to do something with a running container.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) zygote: Arc<Zygote>,
    pub(super) handle: ContainerHandle,
    /// The container's command.
    pub(super) process: Process,
    /// What it may use.
    pub(super) limits: Resources,
}

/// Answers everybody who connects until the container is over and everybody who waited for that knows. Signals that come
/// before there is a command go to `signals`.
pub(super) async fn serve(
    listener: Listener,
    phase: watch::Receiver<Phase>,
    signals: mpsc::UnboundedSender<i32>,
) {
    let mut answering = JoinSet::new();
    let mut end = phase.clone();
    loop {
        tokio::select! {
            connection = listener.accept() => match connection {
                Ok(connection) => {
                    answering.spawn(answer(connection, phase.clone(), signals.clone()));
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(PATIENCE).await;
                }
            },
            Some(_) = answering.join_next() => {}
            _ = over(&mut end) => break,
        }
    }
    let all = async { while answering.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(PATIENCE, all).await;
}

async fn answer(
    connection: Connection,
    phase: watch::Receiver<Phase>,
    signals: mpsc::UnboundedSender<i32>,
) {
    let order = tokio::time::timeout(PATIENCE, connection.receive::<Order>()).await;
    // Many connect only to see that somebody is there.
    let Ok(Ok(Some((order, fds)))) = order else {
        return;
    };
    let result = match order {
        Order::Wait => wait(&connection, phase).await,
        Order::Signal { number } => {
            match &*phase.borrow() {
                // There is nobody to tell when that fails, as when it comes too late.
                Phase::Running(running) => drop(running.handle.signal(number)),
                Phase::Preparing => drop(signals.send(number)),
                Phase::Over(_) => {}
            }
            connection.send(&Answer::Done, &[]).await
        }
        Order::Look => {
            let uses = match &*phase.borrow() {
                // What is gone meanwhile uses nothing.
                Phase::Running(running) => running.handle.load().ok().map(|load| Uses {
                    load,
                    limits: running.limits,
                }),
                Phase::Preparing | Phase::Over(_) => None,
            };
            connection.send(&Answer::Uses(uses), &[]).await
        }
        Order::Exec { terminal } => {
            let running = match &*phase.borrow() {
                Phase::Running(running) => Some(Arc::clone(running)),
                Phase::Preparing | Phase::Over(_) => None,
            };
            match exec(&connection, running, terminal, fds).await {
                Ok(()) => Ok(()),
                Err(error) => Execution::refuse(&connection, error).await,
            }
        }
    };
    if let Err(error) = result {
        tracing::debug!(%error, "nobody waits for the answer");
    }
}

/// Waits for the end; the exit code, or `None` when nobody knows any more.
async fn over(phase: &mut watch::Receiver<Phase>) -> Option<u8> {
    let over = phase
        .wait_for(|phase| matches!(phase, Phase::Over(_)))
        .await;
    match over.as_deref() {
        Ok(Phase::Over(code)) => Some(*code),
        _ => None,
    }
}

/// Also over when nobody waits any more.
async fn wait(connection: &Connection, mut phase: watch::Receiver<Phase>) -> io::Result<()> {
    tokio::select! {
        code = over(&mut phase) => match code {
            Some(code) => connection.send(&Answer::Over(code), &[]).await,
            None => Ok(()),
        },
        _ = connection.receive::<Order>() => Ok(()),
    }
}

/// Has the zygote start a process and hands the connection on to it.
async fn exec(
    connection: &Connection,
    running: Option<Arc<Running>>,
    terminal: Option<TerminalSize>,
    fds: Vec<OwnedFd>,
) -> Result<(), StartError> {
    let running = running.ok_or(StartError::ContainerGone)?;
    let wrong = |reason: &str| StartError::ZygoteGone {
        reason: reason.to_owned(),
    };
    let mut fds = fds.into_iter();
    let further = fds
        .next()
        .ok_or_else(|| wrong("no process came with the order"))?;
    let further = read(further).map_err(|error| wrong(&error.to_string()))?;
    let streams = match terminal {
        Some(size) => Streams::Terminal(size),
        None => {
            let files: Vec<_> = fds.collect();
            let files = files.try_into().map_err(|_| wrong("streams are missing"))?;
            Streams::Files(files)
        }
    };
    let process = further.with(&running.process);
    running
        .zygote
        .exec(&running.handle, &process, streams, connection.as_fd())
        .await
        .map_err(|error| wrong(&error.to_string()))
}

impl Further {
    /// As a memory file to be sent.
    pub(super) fn to_file(&self) -> io::Result<OwnedFd> {
        let mut file = File::from(memfd_create("process", MemfdFlags::CLOEXEC)?);
        file.write_all(&serde_json::to_vec(self)?)?;
        file.rewind()?;
        Ok(file.into())
    }

    /// The process, in a container whose command is this.
    fn with(self, command: &Process) -> Process {
        let mut env = command.env.clone();
        // Of another user it is another one's.
        if self.user.is_some() {
            env.retain(|(name, _)| name != "HOME");
        }
        for (name, value) in self.env {
            env.retain(|(other, _)| *other != name);
            env.push((name, value));
        }
        let cwd = match self.workdir {
            Some(directory) => command.cwd.join(directory),
            None => command.cwd.clone(),
        };
        Process {
            argv: self.argv,
            env,
            cwd,
            create_cwd: false,
            user: self.user.or_else(|| command.user.clone()),
            nesting: command.nesting,
            privileges: command.privileges.clone(),
        }
    }
}

fn read(file: OwnedFd) -> io::Result<Further> {
    let mut text = Vec::new();
    File::from(file).take(LARGEST).read_to_end(&mut text)?;
    Ok(serde_json::from_slice(&text)?)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn what_a_process_does_not_say_is_the_containers() {
        let command = Process {
            argv: vec!["sleep".to_owned()],
            env: vec![
                ("A".to_owned(), "1".to_owned()),
                ("HOME".to_owned(), "/srv".to_owned()),
            ],
            cwd: PathBuf::from("/srv"),
            create_cwd: true,
            user: Some("app".to_owned()),
            nesting: false,
            privileges: None,
        };
        let further = Further {
            argv: vec!["sh".to_owned()],
            ..Further::default()
        };
        let process = further.clone().with(&command);
        assert_eq!(
            (process.env, process.cwd),
            (command.env.clone(), command.cwd.clone())
        );
        assert_eq!(process.user.as_deref(), Some("app"));
        let other = Further {
            env: vec![("A".to_owned(), "2".to_owned())],
            workdir: Some("below".to_owned()),
            user: Some("0".to_owned()),
            ..further
        };
        let process = other.with(&command);
        assert_eq!(process.env, [("A".to_owned(), "2".to_owned())]);
        assert_eq!(process.cwd, PathBuf::from("/srv/below"));
    }

    #[test]
    fn a_process_crosses_in_a_file() {
        let further = Further {
            argv: vec!["x".repeat(1 << 20)],
            ..Further::default()
        };
        assert_eq!(read(further.to_file().unwrap()).unwrap(), further);
    }
}
