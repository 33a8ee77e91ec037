//! `agent run-local`: the pipeline of a working tree, on this machine.
//!
//! ```text
//! read (config, pipeline, git) --> connect (the backend; still one thread) --> tokio runtime: dispatcher, sink, signals
//! ```
//! The backend is connected before any thread exists, because it forks.

use std::io::{self, Write as _};
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use pipelines::Severity;
use pipelines::plan::Plan;
use protocol::{Conclusion, Event, WorkspaceMode};
use tokio::sync::{mpsc, oneshot};

use super::compiled::{self, Compiled};
use super::error::starting;
use super::{CommandError, listing, predefined, printing, signals};
use crate::artifacts::{ArtifactError, ArtifactPlace};
use crate::backend::{Backend, BackendOptions, ConnectError};
use crate::caches::{CacheError, Caches, Local, Store};
use crate::cli::{NetworkMode, RunLocal};
use crate::config::Config;
use crate::executor::{Before, Dispatcher, Fault, Publications, Report, Request, Run, Settings};
use crate::exit_code::ExitCode;
use crate::log::RunDirectory;
use crate::machine::Machine;
use crate::mask::Masks;
use crate::output::Stdout;
use crate::secrets::Secrets;
use crate::sink::{
    Json, Layout, Plain, Printer, Queue, Recorded, Sink, Style, Terminal, Verbosity,
};

/// How long output may take to drain after a cancelled run.
const DRAIN: Duration = Duration::from_secs(1);

/// Runs the pipeline. `connect` is called on the process's only thread.
pub fn execute<B: Backend>(
    arguments: &RunLocal,
    machine: &Machine,
    connect: impl FnOnce(BackendOptions) -> Result<B, ConnectError>,
) -> Result<ExitCode, CommandError> {
    let config = Config::load(machine.config.as_ref())?;
    let Compiled {
        directory,
        event,
        mut warnings,
        plan,
        ..
    } = compiled::compile(
        &arguments.directory,
        &arguments.choice,
        Severity::Error,
        false,
        machine,
    )?;
    let Some(plan) = plan else {
        return Ok(ExitCode::InvalidPipeline);
    };
    if let Some(reason) = &plan.not_triggered {
        let mut stderr = io::stderr().lock();
        // There is nobody to tell when that fails.
        let _ = writeln!(stderr, "Nothing runs: {reason}.");
        return Ok(ExitCode::Success);
    }

    if arguments.list {
        printing::print(&listing::list(&plan))?;
        return Ok(ExitCode::Success);
    }
    let (secrets, exposed) =
        Secrets::gather(&arguments.secrets, &arguments.secret_files, |name| {
            std::env::var_os(name)
        })?;
    warnings.extend(exposed);
    secrets.check(&plan)?;
    let by_option = arguments.choice.network == Some(NetworkMode::Host);
    config.network.check(&plan, by_option)?;
    let ports = Publications::read(&arguments.publish, &plan)?;
    if arguments.dry_run {
        printing::print(&listing::dry_run(&plan))?;
        return Ok(ExitCode::Success);
    }
    let masks = Arc::new(Masks::default());
    masks.add(secrets.values())?;

    machine.create_data()?;
    let logs = Arc::new(RunDirectory::create(&machine.data, jiff::Timestamp::now())?);
    let settings = Settings {
        parallel: parallel(arguments),
        grace: config.grace,
        limits: config.limits,
        workspace: workspace_mode(arguments),
        predefined: predefined::variables(logs.id(), &event),
        event,
        secrets,
        masks,
        ports,
        before: Before::default(),
        artifacts: artifact_place(arguments, &plan, &logs)?,
        artifact_bytes: config.limits.artifact(),
        artifacts_bytes: u64::MAX,
        caches: caches(machine, &config, &plan, &directory)?,
    };
    let backend = connect(BackendOptions {
        data: machine.data.clone(),
        tree: directory,
        workspace: settings.workspace,
        keep: arguments.keep,
        config,
    })?;

    if let Some(path) = backend.kept() {
        warnings.push(format!(
            "What steps write to the workspace is kept for a week in {}.",
            path.display()
        ));
    }

    warnings.extend(settings.limits.reductions(&plan));
    warnings.extend(backend.shortcomings(&settings.limits.asked(&plan)));
    let sink = sink(arguments, machine, &plan, settings.parallel, &logs)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(starting("start the async runtime"))?;
    let report = runtime.block_on(run(sink, warnings, |queue, requests| Run {
        backend: Arc::new(backend),
        plan,
        settings,
        logs,
        queue,
        requests,
    }));
    // A log thread may still wait for a terminal that does not move; it must not hold the agent.
    runtime.shutdown_background();
    report.map(exit_code)
}

/// Carries out a run: events and output to `sink`, signals to the run.
async fn run<B: Backend>(
    sink: Box<dyn Sink>,
    warnings: Vec<String>,
    assemble: impl FnOnce(Queue, mpsc::UnboundedReceiver<Request>) -> Run<B>,
) -> Result<Report, CommandError> {
    let (requests, receiver) = mpsc::unbounded_channel();
    signals::forward(&requests).map_err(starting("handle signals"))?;
    let stdout = Stdout::open().map_err(starting("open standard output"))?;
    // A terminal or a reader that is gone has seen enough. A file that takes no more is a fault.
    let is_read = Stdout::is_read();
    let (tell, mut fault) = oneshot::channel();
    let broken = move |error: io::Error| {
        tracing::debug!(%error, "standard output is broken");
        // A run that is over does not listen.
        let _ = requests.send(Request::OutputLost);
        if !is_read {
            let _ = tell.send(error);
        }
    };
    let printer =
        Printer::start(sink, stdout, broken).map_err(starting("start the output thread"))?;
    let queue = printer.queue();
    let dispatcher = Dispatcher::new(assemble(queue.clone(), receiver))?;
    for message in warnings {
        queue.push(Event::Warning { message });
    }
    let report = dispatcher.run().await;
    let patience = (report.conclusion == Conclusion::Cancelled).then_some(DRAIN);
    printer.finish(patience).await;
    match fault.try_recv() {
        Ok(error) => Err(starting("write to standard output")(error)),
        Err(_) => Ok(report),
    }
}

/// Where artifacts go, when there are any: where the user says, else to the run's own directory. The working tree is only
/// written to where that was asked for.
fn artifact_place(
    arguments: &RunLocal,
    plan: &Plan,
    logs: &RunDirectory,
) -> Result<Option<ArtifactPlace>, ArtifactError> {
    if plan.jobs.iter().all(|job| job.artifacts.is_empty()) {
        return Ok(None);
    }
    let directory = arguments.artifacts.clone();
    ArtifactPlace::jobs(&directory.unwrap_or_else(|| logs.artifacts())).map(Some)
}

/// Where caches are, when there are any: in the data directory, for each working tree by itself.
fn caches(
    machine: &Machine,
    config: &Config,
    plan: &Plan,
    tree: &Path,
) -> Result<Option<Caches>, CacheError> {
    if plan.jobs.iter().all(|job| job.cache.is_empty()) {
        return Ok(None);
    }
    let store = Store::open(&machine.data, config.limits.caches())?;
    let tree = tree.as_os_str().as_encoded_bytes().escape_ascii();
    Ok(Some(Caches::Local(Local::new(
        store,
        format!("tree:{tree}"),
    ))))
}

const fn workspace_mode(arguments: &RunLocal) -> WorkspaceMode {
    if arguments.in_place {
        WorkspaceMode::InPlace
    } else {
        WorkspaceMode::Overlay
    }
}

fn parallel(arguments: &RunLocal) -> NonZeroUsize {
    arguments
        .jobs_parallel
        .or_else(|| std::thread::available_parallelism().ok())
        .unwrap_or(NonZeroUsize::MIN)
}

fn sink(
    arguments: &RunLocal,
    machine: &Machine,
    plan: &Plan,
    parallel: NonZeroUsize,
    logs: &Arc<RunDirectory>,
) -> Result<Box<dyn Sink>, CommandError> {
    if arguments.json {
        return Ok(Box::new(Json::default()));
    }
    let layout = Layout::of(plan, parallel)?;
    let watched = Stdout::is_terminal();
    let style = if watched && !machine.no_colour {
        Style::Colour
    } else {
        Style::Plain
    };
    let verbosity = if arguments.quiet {
        Verbosity::Quiet
    } else {
        Verbosity::Full
    };
    let plain = Plain::new(layout, style, verbosity, Arc::clone(logs));
    Ok(
        match (watched && !machine.no_status_line, arguments.record_network) {
            (true, true) => Box::new(Recorded::new(Terminal::new(plain, Stdout::width))),
            (true, false) => Box::new(Terminal::new(plain, Stdout::width)),
            (false, true) => Box::new(Recorded::new(plain)),
            (false, false) => Box::new(plain),
        },
    )
}

const fn exit_code(report: Report) -> ExitCode {
    match (report.conclusion, report.fault) {
        (Conclusion::Success | Conclusion::Skipped, _) => ExitCode::Success,
        (Conclusion::Failure, _) => ExitCode::Failed,
        (Conclusion::Cancelled, _) => ExitCode::Cancelled,
        (Conclusion::Error, Some(Fault::Unavailable)) => ExitCode::Unavailable,
        (Conclusion::Error, Some(Fault::Internal) | None) => ExitCode::Internal,
    }
}

#[cfg(test)]
#[path = "run_local_tests.rs"]
mod tests;
