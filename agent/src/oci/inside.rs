//! `startContainer` hooks: programs of the container's root, run in the container before its command and with what the command
//! will have of rights, so that a hook can do nothing that the command could not. They come in as `agent exec` does.

use std::fs::File;
use std::io::{self, Seek as _, Write as _};
use std::os::fd::OwnedFd;
use std::sync::Arc;

use runtime::container::{ContainerHandle, Execution, ExitStatus, Process, Streams};
use runtime::zygote::Zygote;
use rustix::fs::{MemfdFlags, memfd_create};
use tokio::net::unix::pipe;

use super::config::Hook;
use super::hooks::{Complaint, outcome};
use super::state::State;
use super::{OciError, hooks};

const LIST: &str = "startContainer";

/// A container that hooks are to be run in.
#[derive(Debug)]
pub(super) struct Inside {
    pub(super) zygote: Arc<Zygote>,
    pub(super) container: ContainerHandle,
    pub(super) command: Process,
    pub(super) state: State,
}

impl Inside {
    /// Runs the hooks in their order, until one fails. Dropping this kills the one that runs.
    pub(super) async fn run(&self, hooks: &[Hook]) -> Result<(), OciError> {
        for (index, hook) in hooks.iter().enumerate() {
            let called = hooks::in_time(hook, self.call(hook)).await;
            called.map_err(|problem| OciError::Hook {
                list: LIST,
                index,
                path: hook.path.clone(),
                problem,
            })?;
        }
        Ok(())
    }

    async fn call(&self, hook: &Hook) -> Result<(), String> {
        let (streams, errors) = self.streams().map_err(|error| error.to_string())?;
        let process = self.process(hook);
        let running = self.zygote.run(&self.container, &process, streams);
        let running: Execution = running.await.map_err(|error| error.to_string())?;
        let mut complaint = Complaint::default();
        let exit = complaint.heard_until(errors, running.wait()).await;
        let status = exit.map_err(|error| error.to_string())?.status;
        let told = match status {
            ExitStatus::Code(code) => format!("exit status: {code}"),
            ExitStatus::Signal(number) => format!("signal: {number}"),
        };
        outcome(status == ExitStatus::Code(0), &told, &complaint)
    }

    /// The hook as the container's command would be.
    fn process(&self, hook: &Hook) -> Process {
        let arguments = hook.args.iter().skip(1).cloned();
        let own = hook.env.as_ref().map(|texts| {
            let pairs = texts.iter().filter_map(|text| text.split_once('='));
            pairs
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect()
        });
        Process {
            argv: [hook.path.clone()].into_iter().chain(arguments).collect(),
            env: own.unwrap_or_else(|| self.command.env.clone()),
            cwd: "/".into(),
            create_cwd: false,
            ..self.command.clone()
        }
    }

    /// The state on standard input, and the end of standard error that is ours.
    fn streams(&self) -> io::Result<(Streams, pipe::Receiver)> {
        let mut state = File::from(memfd_create("state", MemfdFlags::CLOEXEC)?);
        state.write_all(&serde_json::to_vec(&self.state)?)?;
        state.rewind()?;
        let nothing = File::options().write(true).open("/dev/null")?;
        let (reader, writer) = io::pipe()?;
        let files: [OwnedFd; 3] = [state.into(), nothing.into(), writer.into()];
        Ok((
            Streams::Files(files),
            pipe::Receiver::from_owned_fd(reader.into())?,
        ))
    }
}
