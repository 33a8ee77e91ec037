//! `agent run-local`: the pipeline of a working tree, on this machine.
//!
//! ```text
//! read (config, pipeline, git) --> connect (the backend; still one thread) --> tokio runtime: dispatcher, sink, signals
//! ```
//! The backend is connected before any thread exists, because it forks.

use std::io;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use pipelines::plan::Plan;
use pipelines::{Overrides, compile};
use protocol::{Conclusion, Event, WorkspaceMode};
use tokio::sync::mpsc;

use super::{CommandError, lint, predefined, signals};
use crate::backend::{Backend, BackendOptions, ConnectError};
use crate::cli::RunLocal;
use crate::config::Config;
use crate::executor::{Dispatcher, Fault, Report, Request, Run, Selection, Settings};
use crate::exit_code::ExitCode;
use crate::log::RunDirectory;
use crate::machine::Machine;
use crate::output::Stdout;
use crate::sink::{Json, Layout, Plain, Printer, Queue, Sink, Style, Terminal, Verbosity};
use crate::workspace;

/// How long output may take to drain after a cancelled run.
const DRAIN: Duration = Duration::from_secs(1);

/// Runs the pipeline. `connect` is called on the process's only thread.
pub fn execute<B: Backend>(
    arguments: &RunLocal,
    machine: &Machine,
    connect: impl FnOnce(BackendOptions) -> Result<B, ConnectError>,
) -> Result<ExitCode, CommandError> {
    let config = Config::load(machine.config.as_ref())?;
    let overrides = Overrides {
        image: arguments.image.clone(),
        env: arguments.env.iter().cloned().collect(),
    };
    overrides.check()?;
    let found = workspace::find(&arguments.directory)?;
    let compilation = compile(&found.source, &overrides);
    lint::show(&found.source, &compilation.diagnostics, machine);
    let Some(plan) = compilation.plan else {
        return Ok(ExitCode::InvalidPipeline);
    };
    let plan = selection(arguments).apply(plan)?;

    machine.create_data()?;
    let logs = Arc::new(RunDirectory::create(&machine.data, jiff::Timestamp::now())?);
    let mut warnings = Vec::new();
    let git = match workspace::git_facts(&found.directory) {
        Ok(facts) => facts,
        Err(error) => {
            warnings.push(format!(
                "The variables that tell about the commit are missing: {error}."
            ));
            workspace::GitFacts::default()
        }
    };
    let settings = Settings {
        parallel: parallel(arguments),
        grace: config.grace,
        workspace: workspace_mode(arguments),
        network: arguments.network.as_str().to_owned(),
        predefined: predefined::variables(logs.id(), &git),
    };
    let backend = connect(BackendOptions {
        data: machine.data.clone(),
        tree: found.directory,
        workspace: settings.workspace,
        network: arguments.network,
        keep: arguments.keep,
        config,
    })?;

    if let Some(path) = backend.kept() {
        warnings.push(format!(
            "What steps write to the workspace is kept for a week in {}.",
            path.display()
        ));
    }

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
    let broken = move |error: io::Error| {
        tracing::debug!(%error, "standard output is broken");
        // A run that is over does not listen.
        let _ = requests.send(Request::OutputLost);
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
    Ok(report)
}

fn selection(arguments: &RunLocal) -> Selection {
    Selection {
        jobs: arguments.jobs.clone(),
        without_needs: arguments.no_needs,
        step: arguments.step.clone(),
    }
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
    Ok(if watched && !machine.no_status_line {
        Box::new(Terminal::new(plain, Stdout::width))
    } else {
        Box::new(plain)
    })
}

const fn exit_code(report: Report) -> ExitCode {
    match (report.conclusion, report.fault) {
        (Conclusion::Success | Conclusion::Skipped, _) => ExitCode::Success,
        (Conclusion::Failure, _) => ExitCode::PipelineFailed,
        (Conclusion::Cancelled, _) => ExitCode::Cancelled,
        (Conclusion::Error, Some(Fault::Unavailable)) => ExitCode::Unavailable,
        (Conclusion::Error, Some(Fault::Internal) | None) => ExitCode::Internal,
    }
}

fn starting(operation: &'static str) -> impl FnOnce(io::Error) -> CommandError {
    move |source| CommandError::Start { operation, source }
}

#[cfg(test)]
#[path = "run_local_tests.rs"]
mod tests;
