//! The backend that runs steps in containers of our own runtime.
//!
//! [`crate::images`] gets images, `specification` turns a step's request into what the runtime wants, `step` is a started
//! one, `bound` watches what it writes, and `ahead` has its successor built meanwhile.

mod ahead;
mod bound;
mod specification;
mod step;

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;

use pipelines::plan::Resources;
use protocol::WorkspaceMode;
use runtime::container::{Container, ContainerSpec, StartError as Refusal};
use runtime::zygote::{Hold, HoldError, RequestError, Zygote};
use tokio::net::TcpStream;
use tokio::sync::OnceCell;

use super::{
    Backend, BackendError, BackendOptions, ConnectError, ExitStatus, ImageError, JobRequest,
    Prepared, ProgressFn, ServiceRequest, StartError, StartErrorKind, StepRequest,
};
use crate::chain::chain;
use crate::enforcement::shortcomings;
use crate::images::{Image, Images};
use ahead::Ahead;
use step::Step;

/// Runs steps in containers.
#[derive(Debug)]
pub struct Containers {
    zygote: Arc<Zygote>,
    ahead: Ahead,
    images: Images,
    options: BackendOptions,
    kept: Option<PathBuf>,
    swept: OnceCell<()>,
    tidied: OnceCell<()>,
}

impl Containers {
    /// Starts the zygote. To be called on the process's only thread.
    ///
    /// # Errors
    /// When this host cannot run containers, or the data directory cannot be used.
    pub fn connect(options: BackendOptions) -> Result<Self, ConnectError> {
        let zygote = Zygote::spawn(&options.data)?;
        let kept = options.keep.then(|| zygote.keep());
        let images = Images::new(&zygote, &options.data, &options.tree, &options.config)?;
        Ok(Self {
            zygote: Arc::new(zygote),
            ahead: Ahead::default(),
            images,
            options,
            kept,
            swept: OnceCell::new(),
            tidied: OnceCell::new(),
        })
    }

    /// Starts a container, in what was built ahead where that fits.
    async fn launch(
        &self,
        workspace: &str,
        spec: &ContainerSpec,
        streams: [OwnedFd; 3],
    ) -> Result<Container, RequestError> {
        if let Some(spare) = self.ahead.take(workspace, spec).await {
            match spare.start(spec, &streams).await {
                Err(error) if error.is_of_the_spare() => {
                    tracing::debug!(%error, "the container that was built ahead is gone");
                }
                result => return result,
            }
        }
        self.zygote.start(spec, streams).await
    }

    /// Removes what killed agents have left, once and beside other work.
    async fn sweep(&self) {
        if let Err(error) = self.zygote.sweep().await {
            tracing::warn!(%error, "the remains of an earlier agent cannot be removed");
        }
    }
}

/// Why a workspace could not be opened, and what can be done about it where that is known.
fn with_advice(error: &HoldError) -> String {
    let advice = match error {
        HoldError::Request(RequestError::Refused(Refusal::MountBelow { .. })) => {
            "; unmount it, or run with --in-place"
        }
        HoldError::Request(RequestError::Refused(Refusal::UpperOnOverlay)) => {
            "; name a directory on another file system with SLIPWAY_DATA, or run with --in-place"
        }
        _ => "",
    };
    format!("{}{advice}", chain(error))
}

impl Backend for Containers {
    type Image = Image;
    type Workspace = String;
    type Step = Step;
    type Connection = TcpStream;

    async fn prepare(
        &self,
        image: &str,
        progress: ProgressFn<'_>,
    ) -> Result<Prepared<Image>, ImageError> {
        self.images.get(&self.zygote, image, None, progress).await
    }

    async fn open_workspace(&self, job: JobRequest<'_>) -> Result<String, BackendError> {
        let hold = match self.options.workspace {
            WorkspaceMode::Overlay => Hold::Overlay,
            WorkspaceMode::InPlace => Hold::Bind,
        };
        let name = format!("workspace.{}", job.id);
        let (held, ()) = tokio::join!(self.zygote.hold(&name, &self.options.tree, hold), async {
            self.swept.get_or_init(|| self.sweep()).await;
        });
        held.map_err(|error| BackendError::new("open the workspace", with_advice(&error)))?;
        Ok(name)
    }

    async fn close_workspace(&self, workspace: String) -> Result<(), BackendError> {
        self.ahead.forget(&workspace).await;
        // Once, and when a job has all it needs.
        self.tidied
            .get_or_init(|| self.images.tidy(&self.zygote))
            .await;
        if self.options.keep {
            return Ok(());
        }
        self.zygote
            .release(&workspace)
            .await
            .map_err(|error| BackendError::new("close the workspace", error))
    }

    fn end(&self) {
        self.zygote.end();
    }

    async fn overfilled(&self, workspace: &String, limit: u64) {
        match self.options.workspace {
            WorkspaceMode::Overlay => bound::exceeded(&self.zygote, workspace, limit).await,
            // The tree is the user's own.
            WorkspaceMode::InPlace => std::future::pending().await,
        }
    }

    fn shortcomings(&self, wanted: &Resources) -> Vec<String> {
        shortcomings(
            &self.zygote.enforcement(),
            &specification::resources(wanted),
        )
    }

    fn kept(&self) -> Option<PathBuf> {
        self.kept.clone()
    }

    async fn start(
        &self,
        request: StepRequest<'_, Image, String>,
        output: OwnedFd,
    ) -> Result<Step, StartError> {
        let internal = |message: String| StartError {
            kind: StartErrorKind::Internal,
            message,
        };
        let input = File::open("/dev/null")
            .map_err(|error| internal(format!("open /dev/null: {error}")))?;
        let error = output
            .try_clone()
            .map_err(|error| internal(format!("duplicate the step's output: {error}")))?;
        let (workspace, followed) = (request.workspace.clone(), request.followed);
        let spec = specification::of(request)?;
        let started = self.launch(&workspace, &spec, [input.into(), output, error]);
        match started.await {
            Ok(container) => {
                if followed {
                    self.ahead.order(&self.zygote, &workspace, &spec);
                }
                Ok(Step::new(container))
            }
            Err(RequestError::Refused(refused)) => Err(StartError {
                kind: specification::blame(&refused),
                message: refused.to_string(),
            }),
            Err(error) => Err(internal(error.to_string())),
        }
    }

    async fn start_service(
        &self,
        _request: ServiceRequest<'_, Image, String>,
        _output: OwnedFd,
    ) -> Result<Step, StartError> {
        Err(StartError {
            kind: StartErrorKind::Internal,
            message: NO_NETWORK.to_owned(),
        })
    }

    async fn connect_service(
        &self,
        _workspace: &String,
        _service: &str,
        _port: u16,
    ) -> io::Result<TcpStream> {
        Err(io::Error::other(NO_NETWORK))
    }

    async fn exec_in_service(
        &self,
        _workspace: &String,
        _service: &str,
        _command: &[String],
    ) -> Result<ExitStatus, BackendError> {
        Err(BackendError::new("execute the check", NO_NETWORK))
    }
}

/// Why there are no services yet.
const NO_NETWORK: &str = "services need a private network, which this version does not make";
