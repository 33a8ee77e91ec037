//! The life of one container, from its image to its end.
//!
//! ```text
//! zygote --> claim (record, socket) --> prepare (image, volumes) --> start --> running --> exited, or removed
//!                                            '--- signals, and orders of others (control) ---'
//! ```

use std::path::Path;
use std::sync::Arc;

use runtime::container::{Container, ContainerSpec, Process, Resources, Streams as Inside};
use runtime::message::Listener;
use runtime::zygote::{Hold, Zygote};
use rustix::process::Signal;
use tokio::sync::watch;

use super::attend::attend;
use super::containers::Place;
use super::control::{self, Phase, Running};
use super::detached::Caller;
use super::log::Log;
use super::network::{self, Private};
use super::record::{Record, Stage};
use super::signals::Signals;
use super::streams::Streams;
use super::trace::Stopwatch;
use super::volume::VolumeSource;
use super::{Containers, DoorError, Ending, Name, Request, specification};
use crate::backend::ConnectError;
use crate::clock;
use crate::config::Config;
use crate::enforcement::shortcomings;
use crate::images::{Image, Images, announce};
use crate::networks::Networks;
use crate::open_files;
use crate::output::complain;

/// What a supervisor works with.
#[derive(Debug, Clone, Copy)]
pub struct Setting<'a> {
    /// The agent's data directory, which exists.
    pub data: &'a Path,
    /// What relative paths are relative to.
    pub base: &'a Path,
    /// The machine's configuration.
    pub config: &'a Config,
}

/// What a container is started with.
struct Tools<'a> {
    zygote: &'a Arc<Zygote>,
    images: &'a Images,
    networks: &'a Networks,
    stopwatch: Stopwatch,
}

/// Runs a container to its end. To be called on the process's only thread, which forks.
///
/// # Errors
/// When the command could not be run; how it ended is no error.
pub fn supervise(request: &Request, setting: Setting<'_>) -> Result<Ending, DoorError> {
    supervise_for(request, setting, None)
}

/// The same for a caller who only waits until the command runs.
pub(super) fn supervise_for(
    request: &Request,
    setting: Setting<'_>,
    caller: Option<Caller>,
) -> Result<Ending, DoorError> {
    let mut stopwatch = Stopwatch::start();
    let zygote = Zygote::spawn(setting.data).map_err(ConnectError::from)?;
    open_files::raise_limit();
    stopwatch.lap("start the zygote");
    for sentence in shortcomings(&zygote.enforcement(), &request.resources) {
        complain(format_args!("warning: {sentence}"));
    }
    let images = Images::new(&zygote, setting.data, setting.base, setting.config)
        .map_err(ConnectError::from)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(DoorError::system("start the async runtime"))?;
    let zygote = Arc::new(zygote);
    let tools = Tools {
        zygote: &zygote,
        images: &images,
        networks: &setting.config.network,
        stopwatch,
    };
    let ending = runtime.block_on(live(request, setting, tools, caller));
    zygote.end();
    // Threads that wait for standard input or for a terminal that does not move must not hold the agent.
    runtime.shutdown_background();
    ending
}

/// From the container's name to its end.
async fn live(
    request: &Request,
    setting: Setting<'_>,
    mut tools: Tools<'_>,
    caller: Option<Caller>,
) -> Result<Ending, DoorError> {
    let zygote = tools.zygote;
    let containers = Containers::of(setting.data);
    let (orders, mut signals) = Signals::catch()?;
    let (mut place, listener) = claim(&containers, request)?;
    let (tell, phase) = watch::channel(Phase::Preparing);
    let server = tokio::spawn(control::serve(listener, phase, orders));
    let started = tokio::select! {
        started = start(request, &place, &mut tools, &mut signals) => started,
        () = Caller::gone(caller.as_ref()) => Err(DoorError::Interrupted {
            number: Signal::HUP.as_raw(),
        }),
    };
    let began = clock::unix_ms();
    let sweep = tokio::spawn(sweep(Arc::clone(zygote)));
    let outcome = match started {
        Ok(started) => {
            let outcome = run(started, zygote, &mut place, &tell, &mut signals, caller).await;
            let ending = *outcome.as_ref().unwrap_or(&Ending::Failed);
            let written = if request.remove {
                place.remove()
            } else {
                place.advance(Stage::exited(began, clock::unix_ms(), ending))
            };
            written.and(outcome)
        }
        // What never ran leaves nothing: its error is told.
        Err(error) => place.remove().and(Err(error)),
    };
    // Only now: who has waited finds the name free, or the end written down.
    let code = outcome.as_ref().unwrap_or(&Ending::Failed).code();
    let _ = tell.send(Phase::Over(code));
    let _ = server.await;
    let _ = sweep.await;
    tools.images.tidy(zygote).await;
    if !request.remove && place.record.name.is_random() {
        containers.tidy();
    }
    outcome
}

/// Removes what killed supervisors have left, beside everything else.
async fn sweep(zygote: Arc<Zygote>) {
    if let Err(error) = zygote.sweep().await {
        tracing::warn!(%error, "the remains of an earlier agent cannot be removed");
    }
}

/// Gives the container its name.
fn claim(containers: &Containers, request: &Request) -> Result<(Place, Listener), DoorError> {
    loop {
        let name = match &request.name {
            Some(name) => name.clone(),
            None => Name::random().map_err(DoorError::system("get random bytes"))?,
        };
        let record = Record {
            name,
            image: request.image.clone(),
            command: Vec::new(),
            created: clock::unix_ms(),
            supervisor: std::process::id(),
            ports: Vec::new(),
            stage: Stage::Preparing,
        };
        match containers.claim(record) {
            Err(DoorError::NameTaken { .. }) if request.name.is_none() => {}
            result => return result,
        }
    }
}

/// A container whose command runs.
struct Started {
    container: Container,
    process: Process,
    limits: Resources,
    streams: Streams,
    log: Arc<Log>,
    private: Option<Private>,
}

/// What a container's start takes.
struct Prepared {
    spec: ContainerSpec,
    streams: Streams,
    inside: Inside,
    log: Arc<Log>,
    private: Option<Private>,
}

/// Gets everything ready, which a signal ends, and starts the command, which gets the signals from then on: what it prints
/// first may be answered by one before we know that it runs.
async fn start(
    request: &Request,
    place: &Place,
    tools: &mut Tools<'_>,
    signals: &mut Signals,
) -> Result<Started, DoorError> {
    let Prepared {
        spec,
        mut streams,
        inside,
        log,
        private,
    } = tokio::select! {
        prepared = prepare(request, place, tools) => prepared?,
        number = signals.next() => return Err(DoorError::Interrupted { number }),
    };
    let started = match &private {
        Some(private) => {
            let start = tools.zygote.start_in(&private.interface, &spec, inside);
            start.await
        }
        None => tools.zygote.start(&spec, inside).await,
    };
    let mut container = started.map_err(DoorError::Start)?;
    if request.trace {
        let table = tools.stopwatch.table(container.trace());
        complain(format_args!("{}", table.trim_end()));
    }
    if let Some(terminal) = container.take_terminal() {
        streams.attach(terminal)?;
    }
    Ok(Started {
        container,
        process: spec.process,
        limits: spec.resources,
        streams,
        log,
        private,
    })
}

/// Gets the image, mounts the volumes and makes the streams.
async fn prepare(
    request: &Request,
    place: &Place,
    tools: &mut Tools<'_>,
) -> Result<Prepared, DoorError> {
    let (zygote, stopwatch) = (tools.zygote, &mut tools.stopwatch);
    stopwatch.lap("open the store, claim the name");
    let name = place.record.name.as_str();
    let (image, private) = tokio::try_join!(
        image(request, zygote, tools.images),
        network::connect(request, name, zygote, tools.networks),
    )?;
    stopwatch.lap("get the image, make the network");
    let spec = specification::of(request, &place.record.name, &image)?;
    for (number, volume) in (0..).zip(&request.volumes) {
        if let VolumeSource::Path(path) = &volume.source {
            hold(zygote, &specification::held_name(number), path).await?;
        }
    }
    let log = Arc::new(Log::create(&place.path)?);
    let (streams, inside) = Streams::connect(request.wiring, Some(Arc::clone(&log)))?;
    stopwatch.lap("mount volumes, make streams");
    Ok(Prepared {
        spec,
        streams,
        inside,
        log,
        private,
    })
}

async fn hold(zygote: &Zygote, name: &str, path: &Path) -> Result<(), DoorError> {
    // What is missing is told as that, and not as what mounting makes of it.
    let missing = |source| DoorError::NoVolume {
        path: path.to_owned(),
        source,
    };
    path.symlink_metadata().map_err(missing)?;
    let held = zygote.hold(name, path, Hold::Bind).await;
    held.map_err(|source| DoorError::Hold {
        path: path.to_owned(),
        source,
    })
}

async fn image(request: &Request, zygote: &Zygote, images: &Images) -> Result<Image, DoorError> {
    let progress = announce(&request.image);
    let prepared = images
        .get(zygote, &request.image, request.policy, &progress)
        .await?;
    Ok(prepared.image)
}

/// Lets others know, and waits until the command has ended and all it wrote is out.
async fn run(
    started: Started,
    zygote: &Arc<Zygote>,
    place: &mut Place,
    tell: &watch::Sender<Phase>,
    signals: &mut Signals,
    caller: Option<Caller>,
) -> Result<Ending, DoorError> {
    let Started {
        mut container,
        process,
        limits,
        streams,
        log,
        private,
    } = started;
    let copy = || {
        let copy = container.handle().try_clone();
        copy.map_err(DoorError::system("duplicate the container's descriptor"))
    };
    let (handle, own) = (copy()?, copy()?);
    place.record.command.clone_from(&process.argv);
    place.record.ports = private.as_ref().map(Private::published).unwrap_or_default();
    place.advance(Stage::Running {
        started: clock::unix_ms(),
    })?;
    let running = Running {
        zygote: Arc::clone(zygote),
        handle,
        process,
        limits,
    };
    let _ = tell.send(Phase::Running(Arc::new(running)));
    if let Some(caller) = caller {
        caller.release(&place.record.name)?;
    }
    // A container that is gone needs no signal.
    let send = async |number| drop(own.signal(number));
    let ending = attend(container.wait(), send, streams, signals).await?;
    if let Some(private) = &private {
        private.interface.settle().await;
    }
    // Only now: it is the container's as long as that runs.
    drop(private);
    if let Some(error) = log.broken() {
        complain(format_args!(
            "warning: the container's log is not complete: {error}"
        ));
    }
    Ok(ending)
}
