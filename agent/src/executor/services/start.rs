//! How a service begins: its values, its image, its log, its container.

use std::fmt;
use std::fs::File;
use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use indexmap::IndexMap;
use pipelines::plan::{Probe, Ready, Resources, Service};
use protocol::{Cause, Conclusion};

use super::health;
use super::http::{Target, TargetError};
use super::life::Life;
use super::log::look_for;
use super::probe::{SCRIPT, Trial};
use crate::backend::{Backend, BuildRequest, Healthcheck, Prepared, ServiceRequest};
use crate::executor::channel::{Channel, Log};
use crate::executor::environment::hostname;
use crate::executor::outcome::StepOutcome;
use crate::executor::stop::Reason;
use crate::log::{Listener, Outlet, Stream};

/// A service that can be started.
#[derive(Debug)]
pub(super) struct Startable<I> {
    pub(super) service: Service<String>,
    image: Arc<Prepared<I>>,
    readiness: Readiness,
}

/// How to see that a service is ready.
struct Readiness {
    trial: Trial,
    limit: Duration,
    /// Hears the log, where that shows it.
    listener: Option<Listener>,
}

impl fmt::Debug for Readiness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Readiness")
            .field("trial", &self.trial)
            .field("limit", &self.limit)
            .finish_non_exhaustive()
    }
}

/// A service whose container runs.
#[derive(Debug)]
pub(super) struct Started<S> {
    pub(super) running: S,
    pub(super) stream: Stream,
    pub(super) resources: Resources,
    pub(super) trial: Trial,
    pub(super) limit: Duration,
}

impl<B: Backend> Life<'_, B> {
    /// Puts in the values of this run, and gets the image. Given up when nothing needs the service any more.
    pub(super) async fn prepare(&self) -> Result<Startable<B::Image>, StepOutcome> {
        let service = self.service.bind(self.of.values);
        let service = service.map_err(|error| self.mistaken(&error))?;
        let image = tokio::select! {
            biased;
            () = self.over() => return Err(StepOutcome::stopped(&Reason::Cancelled)),
            image = self.image(&service) => image?,
        };
        let readiness = match &service.ready {
            Some(ready) => {
                Readiness::of(ready, &service.name).map_err(|mistake| self.mistaken(&mistake))?
            }
            None => Readiness::of_image(image.healthcheck.as_ref()),
        };
        Ok(Startable {
            service,
            image,
            readiness,
        })
    }

    /// Gets the image, or builds it.
    async fn image(
        &self,
        service: &Service<String>,
    ) -> Result<Arc<Prepared<B::Image>>, StepOutcome> {
        let context = self.of.context;
        let Some(build) = &service.build else {
            let image = context.images.get(&service.command.image).await;
            return image.map_err(|error| StepOutcome::from(&error));
        };
        let internal = |error| StepOutcome::internal(&error);
        let settings = &context.settings;
        let path = context.logs.service_log_path(self.of.job, &service.name);
        let (channel, output) =
            Channel::open(&context.logs, &path, settings.limits.log(), false).map_err(internal)?;
        let mut stream = channel
            .carry(Outlet::Kept(None), &settings.masks, None)
            .map_err(internal)?;
        let request = BuildRequest {
            name: &service.name,
            build,
            workspace: self.of.workspace,
            network: &service.network,
            resources: settings.limits.of(&Resources::default()),
        };
        let log = File::from(output);
        // What is beyond the log's bound is not kept; whoever writes it is not stopped for it.
        let write = |bytes: &[u8]| drop((&log).write_all(bytes));
        let built = context.backend.build(request, &write).await;
        drop(log);
        let kept = Log::Flowing(&mut stream).drained().await;
        let image = built.map_err(|error| StepOutcome::from(&error))?;
        kept.map_err(internal)?;
        Ok(Arc::new(image))
    }

    /// Starts the container.
    pub(super) async fn start(
        &self,
        startable: Startable<B::Image>,
    ) -> Result<Started<B::Step>, StepOutcome> {
        let context = self.of.context;
        let settings = &context.settings;
        let Startable {
            service,
            image,
            readiness,
        } = startable;
        let path = context.logs.service_log_path(self.of.job, &service.name);
        let internal = |error| StepOutcome::internal(&error);
        // It goes on behind what its build has told.
        let goes_on = service.build.is_some();
        let (channel, output) = Channel::open(&context.logs, &path, settings.limits.log(), goes_on)
            .map_err(internal)?;
        let resources = settings.limits.of(&Resources::default());
        let request = ServiceRequest {
            name: &service.name,
            image: &image.image,
            workspace: self.of.workspace,
            action: &service.command.action,
            env: self.environment(&service),
            hostname: hostname(&service.name),
            resources,
            network: &service.network,
            ports: settings.ports.of(self.of.job, &service.name),
        };
        let started = context.backend.start_service(request, output).await;
        let running = started.map_err(|error| StepOutcome::from(&error))?;
        // One whose output cannot be carried is killed by being dropped.
        let outlet = Outlet::Kept(readiness.listener);
        let stream = channel
            .carry(outlet, &settings.masks, None)
            .map_err(internal)?;
        Ok(Started {
            running,
            stream,
            resources,
            trial: readiness.trial,
            limit: readiness.limit,
        })
    }

    /// Its own variables and its secrets, and nothing else.
    fn environment(&self, service: &Service<String>) -> IndexMap<String, String> {
        let mut env = service.command.env.clone();
        for name in &service.secrets {
            // One that is missing was told of before the run.
            if let Some(secret) = self.of.context.settings.secrets.get(name) {
                env.insert(name.clone(), secret.expose().to_owned());
            }
        }
        env
    }

    /// The end of a service that the pipeline gets wrong.
    fn mistaken(&self, error: &dyn std::error::Error) -> StepOutcome {
        let message = self.of.place.located(error);
        StepOutcome::new(Conclusion::Failure, Some(Cause::Start { message }))
    }
}

impl Readiness {
    /// As its `ready` says.
    fn of(ready: &Ready<String>, service: &str) -> Result<Self, Mistake> {
        let mut listener = None;
        let trial = match &ready.probe {
            Probe::Tcp(port) => Trial::Tcp(*port),
            Probe::Http(text) => {
                let target = Target::parse(text, service);
                Trial::Http(target.map_err(|source| Mistake::Http {
                    text: text.clone(),
                    source,
                })?)
            }
            Probe::Run(script) => Trial::Command {
                argv: ["sh", "-e", "-c", script].map(str::to_owned).to_vec(),
                longest: SCRIPT,
            },
            Probe::Log(pattern) => {
                let looked_for = look_for(pattern);
                let (hears, answer) = looked_for.map_err(|source| Mistake::Log {
                    pattern: pattern.clone(),
                    source,
                })?;
                listener = Some(hears);
                Trial::Log(answer)
            }
        };
        Ok(Self {
            trial,
            limit: ready.timeout,
            listener,
        })
    }

    /// As its image says.
    fn of_image(check: Option<&Healthcheck>) -> Self {
        let (trial, limit) = match check {
            Some(check) => {
                let trial = Trial::Command {
                    argv: check.command.clone(),
                    longest: check.timeout,
                };
                (trial, health::patience(check))
            }
            None => (Trial::Running, Duration::MAX),
        };
        Self {
            trial,
            limit,
            listener: None,
        }
    }
}

/// What is wrong with a service's `ready`.
#[derive(Debug, thiserror::Error)]
enum Mistake {
    #[error("`http: {text}` {source}")]
    Http { text: String, source: TargetError },
    #[error("`log: {pattern}` is no regular expression: {source}")]
    Log {
        pattern: String,
        source: regex_lite::Error,
    },
}
