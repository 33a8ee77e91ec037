//! `agent job`: one attempt at a server's job, in a process of its own. `agent start` calls it.
//!
//! ```text
//! standard input (Input) --> check out --> connect (the backend; still one thread) --> dispatcher, spool --> finished.json
//! ```
//! Whatever keeps the job from running is how it ended: the exit code is 0 as long as that can be written down.

use std::fs::OpenOptions;
use std::io;
use std::num::NonZeroUsize;
use std::os::unix::fs::OpenOptionsExt as _;
use std::sync::{Arc, Mutex, PoisonError};

use indexmap::IndexMap;
use pipelines::Tree;
use pipelines::plan::Plan;
use protocol::service::{Assignment, Terms};
use protocol::{Cause, Conclusion, Event, WorkspaceMode};
use repository::{Keep, Mirrors, Watch};
use runtime::zygote::Zygote;
use rustix::process::{Pid, Signal, getppid, set_parent_process_death_signal};
use tokio::sync::mpsc;

use super::error::starting;
use super::{CommandError, git_transport, predefined};
use crate::artifacts::ArtifactPlace;
use crate::attempt::{Finished, Heard, News, Order, Orders, Spool, Spooled, poke};
use crate::backend::{Backend, BackendOptions, ConnectError};
use crate::caches::{CacheError, Caches, Remote, Store};
use crate::chain::chain;
use crate::config::Config;
use crate::executor::{Before, Dispatcher, JobEnd, Publications, Request, Run, Settings};
use crate::exit_code::ExitCode;
use crate::log::RunDirectory;
use crate::machine::Machine;
use crate::mask::Masks;
use crate::secrets::Secrets;
use crate::sink::{Printer, Queue};
use crate::sources;
use crate::workspace::TreeFiles;

/// Runs the job that standard input names. `connect` is called on the process's only thread.
pub fn execute<B: Backend>(
    machine: &Machine,
    connect: impl FnOnce(BackendOptions) -> Result<B, ConnectError>,
) -> Result<ExitCode, CommandError> {
    let (input, mut orders) = Orders::open()?;
    die_with(input.daemon).map_err(starting("be ended with `agent start`"))?;
    let spool = Spool::at(input.directory);
    let assignment = input.assignment;
    let name = assignment.plan.jobs.first().map(|job| job.id.clone());
    let (replies, answers) = mpsc::unbounded_channel();
    let ready = prepare(assignment, &spool, machine, &mut orders, answers, connect);

    // From here on there are threads.
    let events = OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(spool.events())
        .and_then(News::of)
        .map_err(starting("write down events"))?;
    let (requests, receiver) = mpsc::unbounded_channel();
    let (lost, loss) = std::sync::mpsc::channel::<io::Error>();
    let stop = requests.clone();
    let printer = Printer::start(Box::new(Spooled), events, move |error| {
        // Nothing that happens now could be told. A job that is over does not listen.
        let _ = stop.send(Request::OutputLost);
        let _ = lost.send(error);
    })
    .map_err(starting("start the output thread"))?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(starting("start the async runtime"))?;
    let finished = match ready {
        Ok(ready) => {
            obey(orders, requests, replies)
                .map_err(starting("start the thread that hears orders"))?;
            let queue = printer.queue();
            runtime.block_on(ready.run(queue, receiver))
        }
        Err(obstacle) => obstacle.tell(&printer.queue(), name.unwrap_or_default()),
    };
    runtime.block_on(printer.finish(None));
    runtime.shutdown_background();
    if let Ok(error) = loss.try_recv() {
        return Err(starting("write down events")(error));
    }
    spool.finish(&finished)?;
    Ok(ExitCode::Success)
}

/// Removes what the containers of killed processes have left.
///
/// # Errors
/// When this host cannot run containers.
pub fn sweep(machine: &Machine) -> Result<ExitCode, CommandError> {
    machine.create_data()?;
    let zygote = Zygote::spawn(&machine.data).map_err(ConnectError::from)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(starting("start the async runtime"))?;
    if let Err(error) = runtime.block_on(zygote.sweep()) {
        tracing::warn!(%error, "the remains of a killed process cannot be removed");
    }
    mirrors(machine).prune(&Keep::default());
    Ok(ExitCode::Success)
}

fn mirrors(machine: &Machine) -> Mirrors {
    Mirrors::new(machine.data.join("mirrors"), git_transport::transport())
}

/// Has the kernel end this process with the daemon, and with it the zygote and every container.
fn die_with(daemon: u32) -> io::Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    // It may be gone already.
    let parent = getppid().map(Pid::as_raw_pid);
    match parent.is_some_and(|parent| u32::try_from(parent) == Ok(daemon)) {
        true => Ok(()),
        false => Err(io::Error::other("it is not there any more")),
    }
}

/// Hands on what the daemon orders, on a thread of its own.
fn obey(
    mut orders: Orders,
    requests: mpsc::UnboundedSender<Request>,
    replies: mpsc::UnboundedSender<String>,
) -> io::Result<()> {
    let body = move || {
        loop {
            let order = match orders.wait() {
                Heard::Order(order) => order,
                Heard::Answer(reply) => {
                    // Nobody may wait for it any more.
                    let _ = replies.send(reply);
                    continue;
                }
            };
            let request = match order {
                Order::Cancel => Request::Cancel,
                Order::Abort => Request::Abort,
            };
            if requests.send(request).is_err() || order == Order::Abort {
                return;
            }
        }
    };
    let thread = std::thread::Builder::new().name("orders".to_owned());
    thread.spawn(body).map(|_| ())
}

/// Why a job does not run.
#[derive(Debug)]
enum Obstacle {
    /// Somebody wants it to stop.
    Stopped,
    /// The pipeline asks for what it does not get here: why.
    Refused(String),
    /// What failed and why.
    Failed(String),
    /// The same, of this machine: another one may have more luck.
    Machine(String),
}

impl Obstacle {
    fn of(error: &dyn std::error::Error) -> Self {
        Self::Failed(chain(error))
    }

    fn machine(error: &dyn std::error::Error) -> Self {
        Self::Machine(chain(error))
    }

    fn tell(self, queue: &Queue, job: String) -> Finished {
        let machine_fault = match &self {
            Self::Machine(message) => Some(message.clone()),
            _ => None,
        };
        let (conclusion, cause) = match self {
            Self::Stopped => (Conclusion::Cancelled, Cause::Cancelled),
            Self::Refused(message) => (Conclusion::Failure, Cause::Start { message }),
            Self::Failed(message) | Self::Machine(message) => {
                (Conclusion::Error, Cause::Internal { message })
            }
        };
        queue.push(Event::JobFinished {
            job,
            conclusion,
            cause: Some(cause.clone()),
            allowed: false,
            duration_ms: 0,
        });
        Finished {
            conclusion,
            cause: Some(cause),
            outputs: IndexMap::new(),
            machine_fault,
            artifacts: Vec::new(),
            caches: Vec::new(),
        }
    }
}

/// A job that can run.
struct Ready<B> {
    backend: B,
    plan: Plan,
    settings: Settings,
    logs: RunDirectory,
    warnings: Vec<String>,
}

/// Everything that comes before the first thread: files, secrets, the backend.
fn prepare<B: Backend>(
    assignment: Assignment,
    spool: &Spool,
    machine: &Machine,
    orders: &mut Orders,
    answers: mpsc::UnboundedReceiver<String>,
    connect: impl FnOnce(BackendOptions) -> Result<B, ConnectError>,
) -> Result<Ready<B>, Obstacle> {
    let config =
        Config::load(machine.config.as_ref()).map_err(|error| Obstacle::machine(&error))?;
    let mut warnings = Vec::new();
    let tree = spool.tree();
    match &assignment.source {
        None => std::fs::create_dir(&tree).map_err(|error| {
            Obstacle::Machine(format!("failed to make {}: {error}", tree.display()))
        })?,
        Some(source) => {
            let watch = Listening(Mutex::new(orders));
            let mirrors = mirrors(machine);
            let done = config
                .repositories
                .check_out(&mirrors, source, assignment.trigger.fork, &tree, &watch)
                .map_err(|error| match error.is_stop() {
                    true => Obstacle::Stopped,
                    false if error.is_this_machines() => Obstacle::machine(&error),
                    false => Obstacle::of(&error),
                })?;
            warnings.extend(sources::warnings(&done));
        }
    }
    let tree = tree
        .canonicalize()
        .map_err(|error| Obstacle::machine(&error))?;

    let secrets = Secrets::given(assignment.secrets, assignment.withheld)
        .map_err(|error| Obstacle::of(&error))?;
    secrets
        .check(&assignment.plan)
        .map_err(|error| Obstacle::Refused(error.to_string()))?;
    config
        .network
        .check(&assignment.plan, false)
        .map_err(|error| Obstacle::Refused(error.to_string()))?;
    let masks = Arc::new(Masks::default());
    masks
        .add(secrets.values())
        .map_err(|error| Obstacle::of(&error))?;
    let logs = RunDirectory::of_attempt(spool.path(), assignment.pipeline.to_string())
        .map_err(|error| Obstacle::machine(&error))?;

    let mut event = assignment.trigger.context();
    event.tree = Some(Tree::new(TreeFiles::new(&tree)));
    let mut predefined = assignment.variables;
    predefined.extend(predefined::variables(logs.id(), &event));
    let mut plan = assignment.plan;
    for job in &mut plan.jobs {
        // They ran elsewhere, or were skipped: the server has seen to it.
        job.needs.clear();
    }
    let needs = assignment.needs.into_iter();
    let before = Before {
        needs: needs
            .map(|(name, need)| (name, (need.conclusion, need.outputs)))
            .collect(),
        failed: assignment.failed,
    };
    let settings = Settings {
        parallel: std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
        grace: config.grace,
        limits: config.limits,
        workspace: WorkspaceMode::Overlay,
        event,
        predefined,
        secrets,
        masks,
        ports: Publications::default(),
        before,
        artifacts: Some(
            ArtifactPlace::streams(&logs.artifacts()).map_err(|error| Obstacle::of(&error))?,
        ),
        artifact_bytes: config
            .limits
            .artifact()
            .min(assignment.terms.artifact_bytes),
        artifacts_bytes: assignment.terms.artifacts_bytes,
        caches: caches(machine, &config, &plan, assignment.terms, spool, answers)
            .map_err(|error| Obstacle::machine(&error))?,
    };
    let backend = connect(BackendOptions {
        data: machine.data.clone(),
        tree,
        workspace: settings.workspace,
        keep: false,
        config,
    })
    .map_err(|error| Obstacle::machine(&error))?;
    warnings.extend(settings.limits.reductions(&plan));
    warnings.extend(backend.shortcomings(&settings.limits.asked(&plan)));
    Ok(Ready {
        backend,
        plan,
        settings,
        logs,
        warnings,
    })
}

/// Where caches are, when there are any and the server keeps some.
fn caches(
    machine: &Machine,
    config: &Config,
    plan: &Plan,
    terms: Terms,
    spool: &Spool,
    answers: mpsc::UnboundedReceiver<String>,
) -> Result<Option<Caches>, CacheError> {
    if terms.cache_bytes == 0 || plan.jobs.iter().all(|job| job.cache.is_empty()) {
        return Ok(None);
    }
    let store = Store::open(&machine.data, config.limits.caches())?;
    let store = store.with_at_most(terms.cache_bytes);
    let remote = Remote::new(store, spool.path().to_owned(), answers, poke);
    Ok(Some(Caches::Remote(remote)))
}

impl<B: Backend> Ready<B> {
    async fn run(self, queue: Queue, requests: mpsc::UnboundedReceiver<Request>) -> Finished {
        let masks = Arc::clone(&self.settings.masks);
        let caches = self.settings.caches.clone();
        let name = self.plan.jobs.first().map(|job| job.id.clone());
        let dispatcher = Dispatcher::new(Run {
            backend: Arc::new(self.backend),
            plan: self.plan,
            settings: self.settings,
            logs: Arc::new(self.logs),
            queue: queue.clone(),
            requests,
        });
        let dispatcher = match dispatcher {
            Ok(dispatcher) => dispatcher,
            Err(error) => return Obstacle::of(&error).tell(&queue, name.unwrap_or_default()),
        };
        for message in self.warnings {
            queue.push(Event::Warning { message });
        }
        let (_, ends) = dispatcher.run_jobs().await;
        match ends.into_iter().next() {
            Some(end) => {
                let mut finished = finished(end, &masks, &queue);
                if let Some(Caches::Remote(remote)) = caches {
                    finished.caches = remote.take_kept();
                }
                finished
            }
            None => Obstacle::Failed("the server sent a plan without a job".to_owned())
                .tell(&queue, String::new()),
        }
    }
}

/// The end of the job, without what must not leave this machine.
fn finished(end: JobEnd, masks: &Arc<Masks>, queue: &Queue) -> Finished {
    let mut outputs = end.outputs;
    outputs.retain(|name, value| {
        let is_fit = masks.text(value.clone()) == *value;
        if !is_fit {
            let message = format!(
                "The output `{name}` has the value of a secret in it and is not passed on."
            );
            queue.push(Event::Warning { message });
        }
        is_fit
    });
    Finished {
        conclusion: end.conclusion,
        cause: end.cause.map(|cause| masks.cause(cause)),
        outputs,
        machine_fault: end.machine_fault.map(|message| masks.text(message)),
        artifacts: end.artifacts,
        caches: Vec::new(),
    }
}

/// Ends a checkout when the daemon orders anything.
struct Listening<'o>(Mutex<&'o mut Orders>);

impl Watch for Listening<'_> {
    fn goes_on(&self) -> bool {
        let mut orders = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        orders.peek().is_none()
    }
}
