//! The backend that runs steps in containers of our own runtime.
//!
//! [`crate::images`] gets images, `specification` turns a step's request into what the runtime wants, `step` is a started
//! one, `bound` watches what it writes, and `ahead` has its successor built meanwhile. `network` is the private network of a
//! job, and `services` are those of its containers that others get at.

mod ahead;
#[cfg(test)]
mod allow_lists;
mod bound;
mod build;
mod files;
mod network;
mod services;
mod specification;
mod step;
mod workspace;

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ipnet::Ipv4Net;
use pipelines::plan::{self, Resources};
use protocol::WorkspaceMode;
use runtime::container::{ContainerSpec, Network, StartError as Refusal};
use runtime::network::{Pod, PodError, Policy, PublishError};
use runtime::zygote::{Hold, HoldError, RequestError, Zygote};
use tokio::net::TcpStream;
use tokio::sync::OnceCell;

use super::{
    Backend, BackendError, BackendOptions, BuildRequest, ConnectError, ExitStatus, FilePart,
    FilesError, FoundFile, ImageError, JobRequest, Most, PackedFiles, Prepared, ProgressFn,
    RestoredFiles, ServiceRequest, StartError, StartErrorKind, StepRequest,
};
use crate::building::Writer;
use crate::chain::chain;
use crate::enforcement::shortcomings;
use crate::images::{Image, Images};
use crate::open_files;
use crate::ports::Opened;
use ahead::Ahead;
use network::JobNetwork;
use services::{Service, Services};
use step::Step;
use workspace::Workspace;

/// Runs steps in containers.
#[derive(Debug)]
pub struct Containers {
    zygote: Arc<Zygote>,
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
        // Behind the zygote: containers keep the limit that the agent was started with.
        open_files::raise_limit();
        let kept = options.keep.then(|| zygote.keep());
        let images = Images::new(&zygote, &options.data, &options.tree, &options.config)?;
        Ok(Self {
            zygote: Arc::new(zygote),
            images,
            options,
            kept,
            swept: OnceCell::new(),
            tidied: OnceCell::new(),
        })
    }

    /// Starts a step's container, in what was built ahead where that fits.
    async fn launch(
        &self,
        workspace: &Workspace,
        step: &str,
        policy: Policy,
        spec: &ContainerSpec,
        streams: [OwnedFd; 3],
    ) -> Result<Step, StartError> {
        if let Some((spare, interface)) = workspace.ahead.take(spec).await {
            if let Some(interface) = &interface {
                workspace.network.admit(interface, step, policy.clone());
            }
            match spare.start(spec, &streams).await {
                Err(error) if error.is_of_the_spare() => {
                    tracing::debug!(%error, "the container that was built ahead is gone");
                }
                result => {
                    return result
                        .map(|container| Step::new(container, interface))
                        .map_err(blamed);
                }
            }
        }
        if spec.network != Network::Pod {
            let started = self.zygote.start(spec, streams).await;
            return started
                .map(|container| Step::new(container, None))
                .map_err(blamed);
        }
        let interface = workspace.network.attach().await.map_err(no_network)?;
        workspace.network.admit(&interface, step, policy);
        let started = self.zygote.start_in(&interface, spec, streams).await;
        started
            .map(|container| Step::new(container, Some(interface)))
            .map_err(blamed)
    }

    /// Makes a private network with an interface, and lets go of it; answers its range.
    ///
    /// # Errors
    /// See [`PodError`].
    pub async fn try_network(&self) -> Result<Ipv4Net, PodError> {
        let pod = Pod::open(&self.zygote, &self.options.config.network.pools, 1).await?;
        pod.attach().await?;
        Ok(pod.subnet())
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
    type Workspace = Workspace;
    type Step = Step;
    type Connection = TcpStream;

    async fn prepare(
        &self,
        image: &str,
        progress: ProgressFn<'_>,
    ) -> Result<Prepared<Image>, ImageError> {
        self.images.get(&self.zygote, image, None, progress).await
    }

    async fn build(
        &self,
        request: BuildRequest<'_, Workspace>,
        log: Writer<'_>,
    ) -> Result<Prepared<Image>, ImageError> {
        self.build_image(request, log).await
    }

    async fn open_workspace(&self, job: JobRequest<'_>) -> Result<Workspace, BackendError> {
        let hold = match self.options.workspace {
            WorkspaceMode::Overlay => Hold::Overlay,
            WorkspaceMode::InPlace => Hold::Bind,
        };
        let pools = &self.options.config.network.pools;
        let directories = job.directories.iter().enumerate().map(|(number, path)| {
            let name = format!("directory.{number}.{}", job.id);
            (name, PathBuf::from(path))
        });
        let workspace = Workspace {
            name: format!("workspace.{}", job.id),
            directories: directories.collect(),
            network: Arc::new(JobNetwork::new(
                &self.zygote,
                pools,
                job.on_network,
                job.uses,
            )),
            services: Services::default(),
            ahead: Ahead::default(),
        };
        if job.on_network > 0 {
            workspace.network.make_ahead();
        }
        let holding = self.zygote.hold(&workspace.name, &self.options.tree, hold);
        let (held, ()) = tokio::join!(holding, async {
            self.swept.get_or_init(|| self.sweep()).await;
        });
        held.map_err(|error| BackendError::new("open the workspace", with_advice(&error)))?;
        for (name, path) in &workspace.directories {
            let held = self.zygote.hold_fresh(name).await;
            held.map_err(|error| {
                BackendError::new(
                    "make a directory of the job",
                    format!("{}: {}", path.display(), chain(&error)),
                )
            })?;
        }
        Ok(workspace)
    }

    async fn close_workspace(&self, workspace: Workspace) -> Result<(), BackendError> {
        workspace.ahead.forget().await;
        // Once, and when a job has all it needs.
        self.tidied
            .get_or_init(|| self.images.tidy(&self.zygote))
            .await;
        if self.options.keep {
            return Ok(());
        }
        let mut closed = Ok(());
        let names = workspace.directories.iter().map(|(name, _)| name);
        for name in names.chain([&workspace.name]) {
            let released = self.zygote.release(name).await;
            closed = closed.and(released);
        }
        closed.map_err(|error| BackendError::new("close the workspace", error))
    }

    async fn list_files(
        &self,
        workspace: &Workspace,
        below: &[Vec<u8>],
    ) -> Result<Vec<FoundFile>, FilesError> {
        let found = self.zygote.list(&workspace.name, below).await;
        let found = found.map_err(|error| files::failed(&error))?;
        Ok(found.into_iter().map(files::found).collect())
    }

    async fn pack_files(
        &self,
        workspace: &Workspace,
        paths: &[Vec<u8>],
        most: Most,
        out: &File,
    ) -> Result<PackedFiles, FilesError> {
        let bounds = files::bounds(most.contents, most.archive);
        let packed = self.zygote.pack(&workspace.name, paths, bounds, out);
        packed
            .await
            .map(files::packed)
            .map_err(|error| files::failed(&error))
    }

    async fn save_files(
        &self,
        workspace: &Workspace,
        parts: &[FilePart],
        most: u64,
        forbidden: &[Vec<u8>],
        out: &File,
    ) -> Result<PackedFiles, FilesError> {
        let parts = files::parts(workspace, parts);
        let saved = self
            .zygote
            .save(&parts, files::bounds(most, most), forbidden, out);
        saved
            .await
            .map(files::packed)
            .map_err(|error| files::failed(&error))
    }

    async fn restore_files(
        &self,
        workspace: &Workspace,
        parts: &[FilePart],
        most: u64,
        time: Duration,
        archive: &File,
    ) -> Result<RestoredFiles, FilesError> {
        let parts = files::parts(workspace, parts);
        let restored = self
            .zygote
            .restore(&parts, files::limits(most), time, archive);
        restored
            .await
            .map(files::restored)
            .map_err(|error| files::not_restored(&error))
    }

    fn end(&self) {
        self.zygote.end();
    }

    async fn overfilled(&self, workspace: &Workspace, limit: u64) {
        match self.options.workspace {
            WorkspaceMode::Overlay => {
                let directories = workspace.directories.iter().map(|(name, _)| name.as_str());
                let names: Vec<_> = std::iter::once(&*workspace.name)
                    .chain(directories)
                    .collect();
                bound::exceeded(&self.zygote, &names, limit).await;
            }
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
        request: StepRequest<'_, Image, Workspace>,
        output: OwnedFd,
    ) -> Result<Step, StartError> {
        if *request.network == plan::Network::Host && !self.options.config.network.host {
            return Err(StartError {
                kind: StartErrorKind::Request,
                message: NO_HOST_NETWORK.to_owned(),
            });
        }
        let policy = specification::policy(request.network)?;
        let workspace = request.workspace;
        let spec = specification::of(&request, &workspace.name, &workspace.directories)?;
        let streams = streams(output)?;
        let step = self
            .launch(workspace, request.name, policy, &spec, streams)
            .await?;
        if request.followed {
            workspace
                .ahead
                .order(&self.zygote, &workspace.network, &spec);
        }
        Ok(step)
    }

    async fn start_service(
        &self,
        request: ServiceRequest<'_, Image, Workspace>,
        output: OwnedFd,
    ) -> Result<Step, StartError> {
        let spec = specification::of_service(&request)?;
        let (workspace, name) = (request.workspace, request.name);
        let interface = workspace.network.attach().await.map_err(no_network)?;
        let policy = specification::policy(request.network)?;
        workspace.network.admit(&interface, name, policy);
        let Some(address) = interface.addresses().first().copied() else {
            return Err(internal("a private network without addresses".to_owned()));
        };
        let pod = workspace.network.pod().await.map_err(no_network)?;
        // Before it starts: where they cannot be had, there is nothing to end.
        let ports = Opened::open(request.ports, &pod.dialer(), address)
            .map_err(|error| unpublished(&error))?;
        let started = self.zygote.start_in(&interface, &spec, streams(output)?);
        let container = started.await.map_err(blamed)?;
        interface.name(name);
        let service = Service {
            address,
            container: container.handle().try_clone().map_err(|error| {
                internal(format!("duplicate the service's descriptor: {error}"))
            })?,
            process: spec.process,
        };
        workspace.services.add(name, service);
        Ok(Step::new(container, Some(interface)).at(ports))
    }

    async fn connect_service(
        &self,
        workspace: &Workspace,
        service: &str,
        port: u16,
    ) -> io::Result<TcpStream> {
        let address = workspace.services.address(service, port)?;
        let pod = workspace.network.pod().await.map_err(io::Error::other)?;
        pod.connect(address).await
    }

    async fn exec_in_service(
        &self,
        workspace: &Workspace,
        service: &str,
        command: &[String],
    ) -> Result<ExitStatus, BackendError> {
        let services = &workspace.services;
        services.execute(&self.zygote, service, command).await
    }
}

/// What a step is told that asks for what this machine does not give.
const NO_HOST_NETWORK: &str = "`network: host` is not allowed on this machine (its configuration can: `network: { host: true }`)";

const fn internal(message: String) -> StartError {
    StartError {
        kind: StartErrorKind::Internal,
        message,
    }
}

fn no_network(error: PodError) -> StartError {
    internal(format!(
        "failed to make the private network: {}",
        chain(&error)
    ))
}

/// That a port cannot be had is the fault of whoever asked for it, but for what only a machine can do wrong.
fn unpublished(error: &PublishError) -> StartError {
    let asked = |message| StartError {
        kind: StartErrorKind::Request,
        message,
    };
    match error {
        PublishError::Taken { .. } | PublishError::Privileged { .. } => asked(chain(error)),
        PublishError::Io { source, .. } if source.kind() == io::ErrorKind::AddrNotAvailable => {
            asked(format!("failed to {}", chain(error)))
        }
        PublishError::Io { .. } => internal(format!("failed to {}", chain(error))),
    }
}

/// Whose fault it is that a container did not start.
fn blamed(error: RequestError) -> StartError {
    match error {
        RequestError::Refused(refused) => StartError {
            kind: specification::blame(&refused),
            message: refused.to_string(),
        },
        error => internal(chain(&error)),
    }
}

/// Nothing to read, and everything that is written to one pipe.
fn streams(output: OwnedFd) -> Result<[OwnedFd; 3], StartError> {
    let input =
        File::open("/dev/null").map_err(|error| internal(format!("open /dev/null: {error}")))?;
    let error = output
        .try_clone()
        .map_err(|error| internal(format!("duplicate the step's output: {error}")))?;
    Ok([input.into(), output, error])
}
