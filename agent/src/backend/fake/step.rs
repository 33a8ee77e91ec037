//! A step of the fake backend: it writes, and ends as its script says.

use std::io::{PipeWriter, Write as _};
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use tokio::sync::{oneshot, watch};

use super::Fake;
use super::script::{End, Script};
use crate::backend::{BackendError, Exit, ExitStatus, RunningStep, StartError};
use crate::ports::PublishedPort;

/// A step in progress.
#[derive(Debug)]
pub(crate) struct FakeStep {
    place: String,
    script: Script,
    started: watch::Receiver<Vec<String>>,
    output: Output,
    terminated: bool,
    pub(super) ports: Vec<PublishedPort>,
    killed: Arc<AtomicBool>,
    journal: Arc<Mutex<Vec<String>>>,
}

#[derive(Debug)]
enum Output {
    Unwritten(PipeWriter),
    Writing(oneshot::Receiver<PipeWriter>),
    Written(#[expect(dead_code, reason = "held open until the step ends")] PipeWriter),
    Closed,
}

impl Fake {
    pub(super) fn launch(
        &self,
        place: String,
        script: Script,
        output: OwnedFd,
    ) -> Result<FakeStep, StartError> {
        if let End::StartFails(kind) = script.end {
            let message = format!("failed to start {place}");
            return Err(StartError { kind, message });
        }
        self.note(format!("start {place}"));
        self.started
            .send_modify(|started| started.push(place.clone()));
        Ok(FakeStep {
            place,
            started: self.started.subscribe(),
            output: Output::Unwritten(output.into()),
            killed: Arc::default(),
            terminated: false,
            ports: Vec::new(),
            journal: Arc::clone(&self.journal),
            script,
        })
    }
}

impl FakeStep {
    /// Writes; on a thread where the pipe may become full. A little is written at once: while a task waits for a thread,
    /// a paused clock runs ahead.
    async fn write(&mut self) {
        for place in &self.script.meets {
            self.started
                .wait_for(|started| started.iter().any(|other| other == place))
                .await
                .unwrap();
        }
        self.output = match std::mem::replace(&mut self.output, Output::Closed) {
            Output::Unwritten(mut pipe) if self.script.repeat == 1 => {
                pipe.write_all(&self.script.output).unwrap();
                if self.script.closes_output {
                    Output::Closed
                } else {
                    Output::Written(pipe)
                }
            }
            Output::Unwritten(mut pipe) => {
                let (sender, receiver) = oneshot::channel();
                let script = self.script.clone();
                let killed = Arc::clone(&self.killed);
                std::thread::spawn(move || {
                    for _ in 0..script.repeat {
                        if killed.load(Ordering::Relaxed) || pipe.write_all(&script.output).is_err()
                        {
                            break;
                        }
                    }
                    let _ = sender.send(pipe);
                });
                Output::Writing(receiver)
            }
            other => other,
        };
        if let Output::Writing(receiver) = &mut self.output {
            let pipe = receiver.await.unwrap();
            self.output = if self.script.closes_output {
                Output::Closed
            } else {
                Output::Written(pipe)
            };
        }
    }

    fn note(&self, signal: &str) {
        self.journal
            .lock()
            .unwrap()
            .push(format!("{signal} {}", self.place));
    }
}

impl RunningStep for FakeStep {
    fn ports(&self) -> &[PublishedPort] {
        &self.ports
    }

    async fn wait(&mut self) -> Result<Exit, BackendError> {
        self.write().await;
        let status = match self.script.end {
            _ if self.killed.load(Ordering::Relaxed) => ExitStatus::Signal(9),
            End::Exit(status) => status,
            End::OnTerminate(status) if self.terminated => status,
            End::WaitFails => return Err(BackendError::new("wait for the step", "lost")),
            End::OnTerminate(_) | End::OnKill | End::StartFails(_) | End::SignalFails => {
                std::future::pending().await
            }
        };
        Ok(Exit {
            status,
            usage: None,
            exceeded: self.script.exceeded,
        })
    }

    fn terminate(&mut self) -> Result<(), BackendError> {
        self.note("terminate");
        self.terminated = true;
        match self.script.end {
            End::SignalFails => Err(BackendError::new("signal the step", "lost")),
            _ => Ok(()),
        }
    }

    fn kill(&mut self) -> Result<(), BackendError> {
        self.note("kill");
        self.killed.store(true, Ordering::Relaxed);
        Ok(())
    }
}
