//! The seam between the executor and whatever runs containers.
//!
//! The executor decides *what* runs and *when*; a [`Backend`] knows *how*. No type of the runtime crosses this line, so
//! the executor is tested against a scripted backend that needs no kernel.
//!
//! ```text
//! prepare(image) ----> Prepared<Image> --.
//! open_workspace(job) -> Workspace -------+--> start_service(ServiceRequest, output) -> Step
//!                            |            |      '-- connect_service(name, port), exec_in_service(name, command)
//!                            |            '--> start(StepRequest, output) -> Step --wait()--> Exit
//!                            |                                                |-- terminate(), kill()
//!                     close_workspace                                 nothing of it survives wait()
//! ```

mod containers;
mod error;
mod exchange;
#[cfg(test)]
pub(crate) mod fake;
mod files;
mod options;
mod request;

use std::fmt::Debug;
use std::fs::File;
use std::future::Future;
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::Duration;

use pipelines::plan::Resources;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::building::Writer;
use crate::ports::PublishedPort;

pub use containers::Containers;
pub use error::{BackendError, ImageError, ImageErrorKind, StartError, StartErrorKind};
pub use exchange::Exchange;
pub use files::{FileKind, FilePart, FilesError, FoundFile, Most, PackedFiles, RestoredFiles};
pub use options::{BackendOptions, ConnectError};
pub use request::{
    BuildRequest, Exceeded, Exit, ExitStatus, Healthcheck, ImageProgress, JobRequest, NetworkUse,
    NetworkUseFn, Place, Prepared, ProgressFn, ServiceRequest, StepRequest,
};

/// Runs steps in containers, or pretends to.
pub trait Backend: Debug + Send + Sync + 'static {
    /// A prepared image; shared by every step that names it.
    type Image: Debug + Send + Sync + 'static;
    /// A job's workspace.
    type Workspace: Debug + Send + Sync + 'static;
    /// A started step, or a started service.
    type Step: RunningStep;
    /// A connection to a service.
    type Connection: AsyncRead + AsyncWrite + Debug + Send + Unpin;

    /// Resolves `image`, as written in the pipeline, and pulls it when it is not here yet.
    ///
    /// Called once per image and run. The future may be dropped at any await point: the store must survive that.
    fn prepare(
        &self,
        image: &str,
        progress: ProgressFn<'_>,
    ) -> impl Future<Output = Result<Prepared<Self::Image>, ImageError>> + Send;

    /// Builds the image of a service. What goes on is written to `log`, which may be called often and from any thread.
    ///
    /// The future may be dropped at any await point, as that of [`Backend::prepare`].
    fn build(
        &self,
        request: BuildRequest<'_, Self::Workspace>,
        log: Writer<'_>,
    ) -> impl Future<Output = Result<Prepared<Self::Image>, ImageError>> + Send;

    /// Makes the workspace of a job, which every step of the job will see, and the job's network.
    fn open_workspace(
        &self,
        job: JobRequest<'_>,
    ) -> impl Future<Output = Result<Self::Workspace, BackendError>> + Send;

    /// Gives a workspace back. Called once for each opened one, also after failures and cancellations, when all of its
    /// steps and services are over.
    fn close_workspace(
        &self,
        workspace: Self::Workspace,
    ) -> impl Future<Output = Result<(), BackendError>> + Send;

    /// Where what steps wrote to their workspaces is after the run, when it was asked to be kept.
    fn kept(&self) -> Option<PathBuf> {
        None
    }

    /// What there is at and below these paths of a workspace, when no step of it runs any more. What is not there is passed
    /// over, and no link is followed.
    fn list_files(
        &self,
        workspace: &Self::Workspace,
        below: &[Vec<u8>],
    ) -> impl Future<Output = Result<Vec<FoundFile>, FilesError>> + Send;

    /// Writes what is at these paths of a workspace to `out` as a gzipped tar archive. What was written is no archive when
    /// this fails or is dropped.
    fn pack_files(
        &self,
        workspace: &Self::Workspace,
        paths: &[Vec<u8>],
        most: Most,
        out: &File,
    ) -> impl Future<Output = Result<PackedFiles, FilesError>> + Send;

    /// Writes files of a workspace and of the job's directories to `out` as an archive for [`Backend::restore_files`], of at most
    /// `most` bytes, contents and archive each. None of the `forbidden` texts may be in any of them. What was written is no archive
    /// when this fails or is dropped.
    fn save_files(
        &self,
        workspace: &Self::Workspace,
        parts: &[FilePart],
        most: u64,
        forbidden: &[Vec<u8>],
        out: &File,
    ) -> impl Future<Output = Result<PackedFiles, FilesError>> + Send;

    /// Puts the files of such an archive back, before the first step. The archive is not believed anything: what is in it reaches
    /// nothing but the paths of its parts. When this fails, as it does when it takes longer than `time`, what was not there before is
    /// taken away again; when it is dropped, it stops where it is.
    fn restore_files(
        &self,
        workspace: &Self::Workspace,
        parts: &[FilePart],
        most: u64,
        time: Duration,
        archive: &File,
    ) -> impl Future<Output = Result<RestoredFiles, FilesError>> + Send;

    /// Returns when steps have written more than `limit` bytes to a workspace; never where that is not bounded.
    fn overfilled(
        &self,
        _workspace: &Self::Workspace,
        _limit: u64,
    ) -> impl Future<Output = ()> + Send {
        std::future::pending()
    }

    /// What of these limits is not held here, or not as exactly as it might be: full sentences for the user.
    fn shortcomings(&self, _wanted: &Resources) -> Vec<String> {
        Vec::new()
    }

    /// Ends the backend when all workspaces are closed. Nothing is started afterwards.
    fn end(&self) {}

    /// Starts a step whose standard output and standard error are both `output`, the write end of a pipe.
    ///
    /// The backend must not keep a copy of `output`: the end of the log is the end of the pipe.
    fn start(
        &self,
        request: StepRequest<'_, Self::Image, Self::Workspace>,
        output: OwnedFd,
    ) -> impl Future<Output = Result<Self::Step, StartError>> + Send;

    /// Starts a service; `output` is as for a step. Its name leads to it on the job's network until it is over, and
    /// the ports that are asked for do so on the machine.
    fn start_service(
        &self,
        request: ServiceRequest<'_, Self::Image, Self::Workspace>,
        output: OwnedFd,
    ) -> impl Future<Output = Result<Self::Step, StartError>> + Send;

    /// Connects to a port of a started service as a step of the job would. May be dropped at any await point.
    ///
    /// # Errors
    /// Those of connect(2): the text is shown to the user as the reason why the service is not ready.
    fn connect_service(
        &self,
        workspace: &Self::Workspace,
        service: &str,
        port: u16,
    ) -> impl Future<Output = io::Result<Self::Connection>> + Send;

    /// Executes a command in the container of a started service, with its environment, user and directory, and waits for
    /// its end. What it prints goes nowhere. Dropping the future ends the command.
    ///
    /// # Errors
    /// When it cannot be executed: no such program, or the service is over. The text is shown to the user as well.
    fn exec_in_service(
        &self,
        workspace: &Self::Workspace,
        service: &str,
        command: &[String],
    ) -> impl Future<Output = Result<ExitStatus, BackendError>> + Send;
}

/// A step that has been started.
///
/// Dropping it without waiting is the backstop for a panic: it must kill the step.
pub trait RunningStep: Debug + Send + 'static {
    /// The step's files, once; `None` from a backend that has none.
    fn take_exchange(&mut self) -> Option<Exchange> {
        None
    }

    /// Where the ports are that were asked for; none of a step. They lead to it until [`RunningStep::wait`] returns.
    fn ports(&self) -> &[PublishedPort] {
        &[]
    }

    /// Waits for the step's end. When this returns, no process of the step is left. Cancel safe: may be dropped and
    /// called again, but not after it has returned.
    fn wait(&mut self) -> impl Future<Output = Result<Exit, BackendError>> + Send;

    /// Asks the step to end: `SIGTERM`. A step that is over already is not an error.
    fn terminate(&mut self) -> Result<(), BackendError>;

    /// Ends every process of the step: `SIGKILL`. A step that is over already is not an error.
    fn kill(&mut self) -> Result<(), BackendError>;
}
