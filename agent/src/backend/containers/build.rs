//! Images of services that are built from the workspace.

use std::path::Path;

use pipelines::plan;
use runtime::build::{
    self, BuildFailure, Connection, Context, ContextError, FailureKind, Refusal, Request, Tools,
};
use runtime::dockerfile::{self, Problem};
use runtime::layer::BoxFuture;
use runtime::network::Policy;
use runtime::store::PullPolicy;
use rustix::io::Errno;

use super::network::JobNetwork;
use super::{Containers, NO_HOST_NETWORK, Workspace, specification};
use crate::backend::{BuildRequest, ImageError, ImageErrorKind, Prepared};
use crate::building::{Connects, Ground, Writer, failed};
use crate::chain::chain;
use crate::images::Image;

const DOCKERFILE: &str = "Dockerfile";

/// The network of a service's job, as the service may use it.
struct JobConnection<'a> {
    network: &'a JobNetwork,
    wanted: &'a plan::Network<String>,
    allows_host: bool,
    service: &'a str,
    policy: Policy,
}

impl Connects for JobConnection<'_> {
    fn key(&self) -> String {
        match self.wanted {
            plan::Network::None => "none".to_owned(),
            plan::Network::Host => "host".to_owned(),
            plan::Network::Default => "job".to_owned(),
            plan::Network::Allow(list) => {
                let mut list = list.clone();
                list.sort();
                format!("job {}", list.join(" "))
            }
        }
    }

    fn connect(&self) -> BoxFuture<'_, Result<Connection, Refusal>> {
        Box::pin(async move {
            match self.wanted {
                plan::Network::None => Ok(Connection::None),
                plan::Network::Host if self.allows_host => Ok(Connection::Host),
                plan::Network::Host => Err(Refusal {
                    kind: FailureKind::Dockerfile,
                    message: NO_HOST_NETWORK.to_owned(),
                }),
                plan::Network::Default | plan::Network::Allow(_) => {
                    let interface = self.network.attach().await;
                    let interface = interface.map_err(|error| failed(chain(&error)))?;
                    self.network
                        .admit(&interface, self.service, self.policy.clone());
                    Ok(Connection::Private(interface))
                }
            }
        })
    }
}

impl Containers {
    /// Builds an image of files of the tree that the job began with.
    pub(super) async fn build_image(
        &self,
        request: BuildRequest<'_, Workspace>,
        log: Writer<'_>,
    ) -> Result<Prepared<Image>, ImageError> {
        let wanted = request.build;
        let name = wanted.dockerfile.as_deref().unwrap_or(DOCKERFILE);
        let shown = shown(&wanted.context, name);
        let context = Context::open_below(&self.options.tree, Path::new(&wanted.context));
        let context = context.map_err(|error| unread(&error, &wanted.context))?;
        let bytes = context.read(name).map_err(|error| unread(&error, &shown))?;
        let bytes = bytes.ok_or_else(|| not_built(format!("there is no {shown}")))?;
        let context = context.ignoring(Some(name));
        let context = context.map_err(|error| unread(&error, &wanted.context))?;
        let text = String::from_utf8_lossy(&bytes);
        let tell = |problem: &Problem| {
            log(problem.render(&shown, &text).as_bytes());
            format!("{shown}:{problem}")
        };
        let file = dockerfile::parse(&bytes).map_err(|problems| {
            let told: Vec<String> = problems.iter().map(tell).collect();
            not_built(told.first().cloned().unwrap_or_default())
        })?;
        let policy = specification::policy(request.network);
        let network = JobConnection {
            network: &request.workspace.network,
            wanted: request.network,
            allows_host: self.options.config.network.host,
            service: request.name,
            policy: policy.map_err(|error| not_built(error.message))?,
        };
        let ground = Ground {
            zygote: &self.zygote,
            images: &self.images,
            network: &network,
            resources: specification::resources(&request.resources),
            asks: false,
            log,
        };
        let args = wanted.args.clone().into_iter().collect();
        let request = Request {
            dockerfile: &file,
            context: &context,
            target: wanted.target.as_deref(),
            args: &args,
            uses_cache: true,
            names: &[],
        };
        let tools = Tools {
            zygote: &self.zygote,
            store: self.images.store(),
            host: &ground,
        };
        let built = build::build(&request, tools).await;
        let built = built.map_err(|BuildFailure { kind, problem }| ImageError {
            kind: match kind {
                FailureKind::Dockerfile | FailureKind::Instruction => ImageErrorKind::NotBuilt,
                FailureKind::Unavailable => ImageErrorKind::Unavailable,
                FailureKind::Internal => ImageErrorKind::Internal,
            },
            message: tell(&problem),
        })?;
        let name = built.names.first().map_or("", String::as_str);
        let here = Some(PullPolicy::IfMissing);
        self.images.get(&self.zygote, name, here, &|_| ()).await
    }
}

/// A Dockerfile's path from the root of the workspace.
fn shown(context: &str, name: &str) -> String {
    match context.trim_matches('/') {
        "" | "." => name.to_owned(),
        context => format!("{}/{name}", context.trim_start_matches("./")),
    }
}

const fn not_built(message: String) -> ImageError {
    ImageError {
        kind: ImageErrorKind::NotBuilt,
        message,
    }
}

/// That a directory of the workspace is not as it should be is the pipeline's fault. The machine's path to it is nobody's
/// business.
fn unread(error: &ContextError, what: &str) -> ImageError {
    let why = match error {
        ContextError::Open { source, .. } | ContextError::Read { source, .. } => {
            match source.raw_os_error() {
                Some(errno) if errno == Errno::XDEV.raw_os_error() => {
                    "it leads out of the workspace".to_owned()
                }
                _ => source.to_string(),
            }
        }
        ContextError::TooLarge { .. } => error.to_string(),
    };
    not_built(format!("failed to open `{what}`: {why}"))
}
