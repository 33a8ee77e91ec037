//! The services of a job, as far as others have to get at them: by connections, and by commands in their containers.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::{Mutex, MutexGuard, PoisonError};

use runtime::container::{ContainerHandle, Execution, ExitStatus as Status, Process, Streams};
use runtime::message::Connection;
use runtime::zygote::Zygote;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

use crate::backend::{BackendError, ExitStatus};
use crate::chain::chain;

/// By name.
#[derive(Debug, Default)]
pub(super) struct Services(Mutex<HashMap<String, Service>>);

/// A service that was started.
#[derive(Debug)]
pub(super) struct Service {
    pub(super) address: IpAddr,
    pub(super) container: ContainerHandle,
    /// What it executes.
    pub(super) process: Process,
}

impl Services {
    pub(super) fn add(&self, name: &str, service: Service) {
        self.all().insert(name.to_owned(), service);
    }

    /// Where a service's port is.
    pub(super) fn address(&self, name: &str, port: u16) -> io::Result<SocketAddr> {
        let all = self.all();
        let service = all.get(name).ok_or(io::ErrorKind::NotFound)?;
        Ok(SocketAddr::new(service.address, port))
    }

    /// Executes a command in a service's container, as the service is executed, and waits for its end.
    pub(super) async fn execute(
        &self,
        zygote: &Zygote,
        name: &str,
        command: &[String],
    ) -> Result<ExitStatus, BackendError> {
        let failed = |error| BackendError::new("execute the check", error);
        let (container, process) = self.copy(name).map_err(|error| failed(error.to_string()))?;
        let process = Process {
            argv: command.to_vec(),
            ..process
        };
        let (ours, theirs) = sockets().map_err(|error| failed(error.to_string()))?;
        let streams = nothing().map_err(|error| failed(error.to_string()))?;
        let asked = zygote.exec(&container, &process, streams, theirs.as_fd());
        asked.await.map_err(|error| failed(chain(&error)))?;
        drop(theirs);
        let connection = Connection::new(ours).map_err(|error| failed(error.to_string()))?;
        let execution = Execution::begin(connection).await;
        let execution = execution.map_err(|error| failed(chain(&error)))?;
        let exit = execution
            .wait()
            .await
            .map_err(|error| failed(chain(&error)))?;
        Ok(match exit.status {
            Status::Code(code) => ExitStatus::Code(code),
            Status::Signal(signal) => ExitStatus::Signal(signal),
        })
    }

    fn copy(&self, name: &str) -> io::Result<(ContainerHandle, Process)> {
        let all = self.all();
        let service = all.get(name).ok_or(io::ErrorKind::NotFound)?;
        Ok((service.container.try_clone()?, service.process.clone()))
    }

    fn all(&self) -> MutexGuard<'_, HashMap<String, Service>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection for what a process in a container tells.
fn sockets() -> io::Result<(OwnedFd, OwnedFd)> {
    let flags = SocketFlags::CLOEXEC;
    Ok(socketpair(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        flags,
        None,
    )?)
}

/// What a check reads and writes.
fn nothing() -> io::Result<Streams> {
    let open = || File::options().read(true).write(true).open("/dev/null");
    Ok(Streams::Files([
        open()?.into(),
        open()?.into(),
        open()?.into(),
    ]))
}
