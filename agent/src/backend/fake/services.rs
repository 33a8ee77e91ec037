//! Services of the fake backend: they run until they are told to end, and answer as they were told to.

use std::io;
use std::os::fd::OwnedFd;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};

use super::script::{Answer, Script};
use super::{Fake, FakeStep, FakeWorkspace};
use crate::backend::{BackendError, ExitStatus, ServiceRequest, StartError};
use crate::ports::{Port, PublishedPort};

impl Fake {
    pub(super) async fn serve(
        &self,
        request: ServiceRequest<'_, String, FakeWorkspace>,
        output: OwnedFd,
    ) -> Result<FakeStep, StartError> {
        let place = format!("service {}/{}", request.workspace.0, request.name);
        for (name, value) in &request.env {
            self.note(format!("{place} has {name}={value}"));
        }
        let script = self.scripts.get(&place).cloned();
        let script = script.unwrap_or_else(Script::serves);
        let mut service = self.launch(place, script, output)?;
        // Any that is free is 40000.
        let published = |port: &Port| {
            let mut at = port.host;
            if at.port() == 0 {
                at.set_port(40_000);
            }
            PublishedPort { port: *port, at }
        };
        service.ports = request.ports.iter().map(published).collect();
        Ok(service)
    }

    pub(super) async fn connect(
        &self,
        workspace: &FakeWorkspace,
        service: &str,
        port: u16,
    ) -> io::Result<DuplexStream> {
        self.note(format!("connect {}/{service}:{port}", workspace.0));
        match self.answer(workspace, service) {
            Some(Answer::Hangs) => std::future::pending().await,
            None | Some(Answer::Refused | Answer::Ends(_)) => {
                Err(io::ErrorKind::ConnectionRefused.into())
            }
            Some(Answer::Says(text)) => {
                let (ours, mut theirs) = tokio::io::duplex(64 << 10);
                theirs.write_all(text).await?;
                // What is asked may come or not.
                tokio::spawn(async move {
                    let mut asked = Vec::new();
                    theirs.shutdown().await?;
                    theirs.read_to_end(&mut asked).await
                });
                Ok(ours)
            }
        }
    }

    pub(super) async fn exec(
        &self,
        workspace: &FakeWorkspace,
        service: &str,
        command: &[String],
    ) -> Result<ExitStatus, BackendError> {
        let command = command.join(" ");
        self.note(format!("exec {}/{service}: {command}", workspace.0));
        match self.answer(workspace, service) {
            Some(Answer::Hangs) => std::future::pending().await,
            Some(Answer::Ends(status)) => Ok(status),
            _ => Err(BackendError::new("execute the check", "no such program")),
        }
    }

    fn answer(&self, workspace: &FakeWorkspace, service: &str) -> Option<Answer> {
        let mut all = self.answers.lock().unwrap();
        let answers = all.get_mut(&format!("{}/{service}", workspace.0))?;
        Some(if answers.len() > 1 {
            answers.remove(0)
        } else {
            answers[0]
        })
    }
}
