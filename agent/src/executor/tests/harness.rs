//! Runs a plan on a fake backend and gives back everything there is to see.

use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use indexmap::IndexMap;
use pipelines::Context;
use pipelines::plan::{Action, Job, Plan, Step};
use protocol::{Event, WorkspaceMode};
use tokio::sync::mpsc;

use crate::artifacts::ArtifactPlace;
use crate::backend::fake::Fake;
use crate::caches::{Caches, Local, Store};
use crate::executor::{Before, Dispatcher, Publications, Report, Request, Run, Settings};
use crate::limits::Limits;
use crate::log::{Chunk, RunDirectory};
use crate::mask::Masks;
use crate::secrets::Secrets;
use crate::sink::{Json, Layout, Plain, Printer, Sink, Style, Verbosity};

/// A step that needs the one before it.
pub(super) fn step(name: &str) -> Step {
    let action = Action::Script {
        script: name.into(),
        shell: vec!["sh".into(), "-e".into()],
    };
    Step::new(name, "host", action)
}

/// A job of steps one after the other.
pub(super) fn job(id: &str, needs: &[&str], steps: impl IntoIterator<Item = Step>) -> Job {
    let mut steps: Vec<Step> = steps.into_iter().collect();
    for index in 1..steps.len() {
        steps[index].needs = vec![steps[index - 1].name.clone()];
    }
    Job {
        needs: needs.iter().map(|need| (*need).to_owned()).collect(),
        ..Job::new(id, steps)
    }
}

/// What came of a run.
pub(super) struct Outcome {
    pub(super) report: Report,
    /// What a user saw; times left out, control characters by name.
    pub(super) output: String,
    /// What the backend was asked for.
    pub(super) journal: Vec<String>,
    pub(super) backend: Arc<Fake>,
    pub(super) data: tempfile::TempDir,
}

/// What every run on a private network begins with.
const HEAD: &str = "run RUN of `test`
workspace: an overlay of the working tree; what steps write never reaches it
network: private; steps reach what this machine reaches, but not this machine
";

impl Outcome {
    /// What a user saw behind the lines that every run begins with.
    #[track_caller]
    pub(super) fn told(&self) -> &str {
        let told = self.output.strip_prefix(HEAD);
        told.unwrap_or_else(|| panic!("it begins otherwise:\n{}", self.output))
    }
}

/// A run about to be started.
pub(super) struct TestRun {
    pub(super) jobs: Vec<Job>,
    pub(super) parallel: usize,
    pub(super) format: Format,
    /// As in the machine's configuration.
    pub(super) limits: Limits,
    /// A secret's name and value, where there is one.
    pub(super) secret: Option<(&'static str, &'static str)>,
    /// As `--publish` has it.
    pub(super) publish: Vec<String>,
    /// What ran elsewhere.
    pub(super) before: Before,
    /// Where caches of other runs are.
    pub(super) caches: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq)]
pub(super) enum Format {
    Plain,
    Quiet,
    Json,
}

impl TestRun {
    pub(super) fn of(jobs: impl IntoIterator<Item = Job>) -> Self {
        Self {
            jobs: jobs.into_iter().collect(),
            parallel: 4,
            format: Format::Plain,
            limits: Limits::default(),
            secret: None,
            publish: Vec::new(),
            before: Before::default(),
            caches: None,
        }
    }

    pub(super) async fn on(self, backend: Fake) -> Outcome {
        self.with_requests(backend, async |_, _| {}).await
    }

    /// Runs while `drive` sends requests.
    pub(super) async fn with_requests(
        self,
        backend: Fake,
        drive: impl AsyncFnOnce(Arc<Fake>, mpsc::UnboundedSender<Request>),
    ) -> Outcome {
        let backend = Arc::new(backend);
        let names: Vec<String> = self.secret.iter().map(|(name, _)| (*name).into()).collect();
        let value = |_: &str| self.secret.map(|(_, value)| value.into());
        let (secrets, _) = Secrets::gather(&names, &[], value).unwrap();
        let masks = Arc::new(Masks::default());
        masks.add(secrets.values()).unwrap();
        let data = tempfile::tempdir().unwrap();
        let logs = RunDirectory::create(data.path(), jiff::Timestamp::UNIX_EPOCH).unwrap();
        let logs = Arc::new(logs);
        let store = Store::open(self.caches.as_deref().unwrap_or(data.path()), 100).unwrap();
        let caches = Caches::Local(Local::new(store, "tree".to_owned()));
        let parallel = NonZeroUsize::new(self.parallel).unwrap();
        let plan = Plan::new(Some("test".to_owned()), self.jobs);
        let layout = Layout::of(&plan, parallel).unwrap();
        let ports = Publications::read(&self.publish, &plan).unwrap();
        let plain = |verbosity| {
            Box::new(Plain::new(
                layout,
                Style::Plain,
                verbosity,
                Arc::clone(&logs),
            ))
        };
        let sink: Box<dyn Sink> = match self.format {
            Format::Plain => plain(Verbosity::Full),
            Format::Quiet => plain(Verbosity::Quiet),
            Format::Json => Box::new(Json::default()),
        };
        let output = Shared::default();
        let printer = Printer::start(Box::new(Timeless(sink)), output.clone(), |error| {
            panic!("{error}")
        })
        .unwrap();
        let (requests, receiver) = mpsc::unbounded_channel();
        let dispatcher = Dispatcher::new(Run {
            backend: Arc::clone(&backend),
            plan,
            settings: Settings {
                parallel,
                grace: Duration::from_secs(10),
                limits: self.limits,
                workspace: WorkspaceMode::Overlay,
                event: Context::of(pipelines::Event::Manual),
                predefined: IndexMap::from([("CI".to_owned(), "true".to_owned())]),
                ports,
                secrets,
                masks,
                before: self.before,
                artifacts: Some(ArtifactPlace::jobs(&data.path().join("artifacts")).unwrap()),
                artifact_bytes: 100,
                artifacts_bytes: 150,
                caches: Some(caches),
            },
            logs: Arc::clone(&logs),
            queue: printer.queue(),
            requests: receiver,
        })
        .unwrap();
        let (report, ()) = tokio::join!(dispatcher.run(), drive(Arc::clone(&backend), requests));
        printer.finish(None).await;
        let output = String::from_utf8(output.0.lock().unwrap().clone()).unwrap();
        Outcome {
            report,
            output: output
                .replace(&data.path().display().to_string(), "DATA")
                .replace(logs.id(), "RUN")
                .replace('\x1b', "<ESC>")
                .replace('\r', "<CR>"),
            journal: backend.journal(),
            backend,
            data,
        }
    }
}

#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Takes the times out of events.
struct Timeless(Box<dyn Sink>);

impl Sink for Timeless {
    fn event(&mut self, event: &Event, out: &mut dyn Write) -> io::Result<()> {
        let mut event = event.clone();
        match &mut event {
            Event::RunStarted { at, .. }
            | Event::JobStarted { at, .. }
            | Event::ServiceStarted { at, .. }
            | Event::StepStarted { at, .. } => *at = 0,
            Event::ImageReady { duration_ms, .. }
            | Event::StepFinished { duration_ms, .. }
            | Event::ServiceReady { duration_ms, .. }
            | Event::CacheRestored { duration_ms, .. }
            | Event::CacheSaved { duration_ms, .. }
            | Event::ServiceFinished { duration_ms, .. }
            | Event::JobFinished { duration_ms, .. }
            | Event::RunFinished { duration_ms, .. } => *duration_ms = 0,
            Event::ImageStarted { .. }
            | Event::JobWaiting { .. }
            | Event::Log { .. }
            | Event::StepRetrying { .. }
            | Event::NetworkReached { .. }
            | Event::ArtifactKept { .. }
            | Event::CacheMissed { .. }
            | Event::PortPublished { .. }
            | Event::NetworkRefused { .. }
            | Event::Warning { .. } => {}
        }
        self.0.event(&event, out)
    }

    fn log(&mut self, chunk: &Chunk, out: &mut dyn Write) -> io::Result<()> {
        self.0.log(chunk, out)
    }
}
