//! Further processes in running containers.

use std::os::fd::{AsFd as _, BorrowedFd};

use super::Zygote;
use super::request::{RequestError, memory_file, not_sent, reply_sockets, with_streams};
use super::wire::Request;
use crate::container::handle::Way;
use crate::container::{ContainerHandle, Execution, Process, Streams};
use crate::message::{Connection, send};

impl Zygote {
    /// Starts a process in a running container, with everything that is taken from the container's command taken from it.
    /// What becomes of it is told on `answers`, the other end of which is for [`crate::container::Execution`].
    ///
    /// # Errors
    /// When the zygote could not be asked; everything else is told on `answers`.
    pub async fn exec(
        &self,
        container: &ContainerHandle,
        process: &Process,
        streams: Streams,
        answers: BorrowedFd<'_>,
    ) -> Result<(), RequestError> {
        let process = memory_file(process).map_err(|source| RequestError::Io {
            operation: "pass the process's specification",
            source,
        })?;
        let way = container.group.as_ref().map(|member| &member.way);
        let request = Request::Exec {
            namespaces: container.namespaces,
            terminal: streams.terminal(),
            grouped: matches!(way, Some(Way::Directory(_))),
        };
        let fds = vec![answers, container.init.as_fd(), process.as_fd()];
        let mut fds = with_streams(fds, &streams);
        match way {
            Some(Way::Helper(helper)) => send(helper, &request, &fds).map_err(not_sent),
            Some(Way::Directory(group)) => {
                fds.push(group.as_fd());
                self.send(&request, &fds).await
            }
            None => self.send(&request, &fds).await,
        }
    }

    /// The same for whoever wants to know by itself what becomes of it: returns when it runs.
    ///
    /// # Errors
    /// See [`RequestError`].
    pub async fn run(
        &self,
        container: &ContainerHandle,
        process: &Process,
        streams: Streams,
    ) -> Result<Execution, RequestError> {
        let (ours, theirs) = reply_sockets().map_err(not_sent)?;
        self.exec(container, process, streams, theirs.as_fd())
            .await?;
        drop(theirs);
        let answers = Connection::new(ours).map_err(not_sent)?;
        Execution::begin(answers).await
    }
}
