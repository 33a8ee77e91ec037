//! A backend that needs no kernel: every step does what its script says.
//!
//! Steps are found by the `CI_JOB` and `CI_STEP` they get; one without a script succeeds silently. Services are found by
//! job and name. What the executor asked for is kept in a journal.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, PipeWriter, Write as _};
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio::sync::{oneshot, watch};

use super::{
    Backend, BackendError, BuildRequest, Exceeded, Exit, ExitStatus, FileKind, FilePart,
    FilesError, FoundFile, Healthcheck, ImageError, ImageErrorKind, ImageProgress, JobRequest,
    Most, NetworkUse, PackedFiles, Prepared, ProgressFn, RestoredFiles, RunningStep,
    ServiceRequest, StartError, StartErrorKind, StepRequest,
};
use crate::building::Writer;
use crate::ports::{Port, PublishedPort};

/// What a step does: meet others, write, end.
#[derive(Debug, Clone)]
pub(crate) struct Script {
    /// Steps (`job/step`) that must have been started before this one does anything.
    pub(crate) meets: Vec<&'static str>,
    /// What it writes first, and how often.
    pub(crate) output: Vec<u8>,
    pub(crate) repeat: usize,
    /// Close the output right after.
    pub(crate) closes_output: bool,
    pub(crate) end: End,
    /// The limit it runs into.
    pub(crate) exceeded: Option<Exceeded>,
}

/// How a scripted step ends.
#[derive(Debug, Clone, Copy)]
pub(crate) enum End {
    Exit(ExitStatus),
    /// Hangs; ends with this on `SIGTERM`.
    OnTerminate(ExitStatus),
    /// Hangs and ignores `SIGTERM`.
    OnKill,
    /// Is never started.
    StartFails(StartErrorKind),
    /// The runtime loses it.
    WaitFails,
    /// The runtime cannot signal it.
    SignalFails,
}

impl Script {
    /// Ends with `end` without writing anything.
    pub(crate) const fn ends(end: End) -> Self {
        Self {
            meets: Vec::new(),
            output: Vec::new(),
            repeat: 1,
            closes_output: false,
            end,
            exceeded: None,
        }
    }

    /// Runs until it is told to end.
    pub(crate) const fn serves() -> Self {
        Self::ends(End::OnTerminate(ExitStatus::Code(0)))
    }

    /// Exits with `code`.
    pub(crate) const fn exits(code: u8) -> Self {
        Self::ends(End::Exit(ExitStatus::Code(code)))
    }

    /// Writes `output` first.
    pub(crate) fn writing(self, output: &[u8]) -> Self {
        Self {
            output: output.to_vec(),
            ..self
        }
    }
}

/// What comes of an attempt to use a service. Each attempt takes the next one; the last stays.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Answer {
    /// Nobody listens.
    Refused,
    /// A connection is accepted, and answered with this.
    Says(&'static [u8]),
    /// A command in its container ends so.
    Ends(ExitStatus),
    /// Nothing ever comes.
    Hangs,
}

/// What happens to an image.
#[derive(Debug, Clone)]
pub(crate) enum FakeImage {
    Fails(ImageErrorKind),
    /// Is pulled for ever.
    Hangs,
    /// Is pulled, with news.
    Pulled(u64, Vec<ImageProgress>),
    /// Is there and has a health check.
    Checks(Healthcheck),
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Fake {
    scripts: HashMap<String, Script>,
    answers: Mutex<HashMap<String, Vec<Answer>>>,
    uses: Vec<NetworkUse>,
    images: HashMap<String, FakeImage>,
    workspaces_fail: bool,
    files: Vec<&'static str>,
    packing_hangs: bool,
    restoring_fails: bool,
    journal: Arc<Mutex<Vec<String>>>,
    started: watch::Sender<Vec<String>>,
}

impl Fake {
    /// Scripts the step `place`, as `job/step`.
    pub(crate) fn step(mut self, place: &str, script: Script) -> Self {
        self.scripts.insert(place.to_owned(), script);
        self
    }

    /// Scripts the service `place`, as `job/service`. Without a script it runs until it is told to end.
    pub(crate) fn service(self, place: &str, script: Script) -> Self {
        self.step(&format!("service {place}"), script)
    }

    /// What comes of attempts to use the service `place`.
    pub(crate) fn answers(self, place: &str, answers: &[Answer]) -> Self {
        let all = &self.answers;
        all.lock()
            .unwrap()
            .insert(place.to_owned(), answers.to_vec());
        self
    }

    /// What every job is refused of the network, as soon as it has begun.
    pub(crate) fn refuses(mut self, refusal: NetworkUse) -> Self {
        self.uses.push(refusal);
        self
    }

    fn answer(&self, workspace: &FakeWorkspace, service: &str) -> Option<Answer> {
        let mut all = self.answers.lock().unwrap();
        let answers = all.get_mut(&format!("{}/{service}", workspace.0))?;
        Some(if answers.len() > 1 {
            answers.remove(0)
        } else {
            answers[0]
        })
    }

    fn launch(
        &self,
        place: String,
        script: Script,
        output: OwnedFd,
    ) -> Result<FakeStep, StartError> {
        if let End::StartFails(kind) = script.end {
            let message = format!("failed to start {place}");
            return Err(StartError { kind, message });
        }
        self.note(format!("start {place}"));
        self.started
            .send_modify(|started| started.push(place.clone()));
        Ok(FakeStep {
            place,
            started: self.started.subscribe(),
            output: Output::Unwritten(output.into()),
            killed: Arc::default(),
            terminated: false,
            ports: Vec::new(),
            journal: Arc::clone(&self.journal),
            script,
        })
    }

    /// Scripts an image.
    pub(crate) fn image(mut self, name: &str, image: FakeImage) -> Self {
        self.images.insert(name.to_owned(), image);
        self
    }

    /// What every workspace has in the end.
    pub(crate) fn with_files(mut self, files: &[&'static str]) -> Self {
        self.files = files.to_vec();
        self
    }

    /// Archives are written for ever.
    pub(crate) const fn packing_for_ever(mut self) -> Self {
        self.packing_hangs = true;
        self
    }

    /// No archive can be put back.
    pub(crate) const fn restoring_nothing(mut self) -> Self {
        self.restoring_fails = true;
        self
    }

    /// No workspace can be opened.
    pub(crate) const fn without_workspaces(mut self) -> Self {
        self.workspaces_fail = true;
        self
    }

    /// What has been asked for so far, in order.
    pub(crate) fn journal(&self) -> Vec<String> {
        self.journal.lock().unwrap().clone()
    }

    /// Waits until the step `place` has been started.
    pub(crate) async fn started(&self, place: &str) {
        let mut started = self.started.subscribe();
        started
            .wait_for(|started| started.iter().any(|other| other == place))
            .await
            .unwrap();
    }

    fn note(&self, entry: String) {
        self.journal.lock().unwrap().push(entry);
    }
}

/// `0: a b, ~: c`.
fn places(parts: &[FilePart]) -> String {
    let parts = parts.iter().map(|part| {
        let place = part
            .directory
            .map_or_else(|| "workspace".to_owned(), |number| number.to_string());
        format!("{place}:{}", part.below.join(","))
    });
    parts.collect::<Vec<_>>().join(" ")
}

/// A workspace is its job's name.
#[derive(Debug)]
pub(crate) struct FakeWorkspace(String);

impl Backend for Fake {
    type Image = String;
    type Workspace = FakeWorkspace;
    type Step = FakeStep;
    type Connection = DuplexStream;

    async fn prepare(
        &self,
        image: &str,
        progress: ProgressFn<'_>,
    ) -> Result<Prepared<String>, ImageError> {
        self.note(format!("prepare {image}"));
        let mut pulled_bytes = 0;
        let mut healthcheck = None;
        match self.images.get(image) {
            None => {}
            Some(FakeImage::Hangs) => std::future::pending().await,
            Some(FakeImage::Fails(kind)) => {
                return Err(ImageError {
                    kind: *kind,
                    message: format!("failed to get image {image}: {kind:?}"),
                });
            }
            Some(FakeImage::Checks(check)) => healthcheck = Some(check.clone()),
            Some(FakeImage::Pulled(bytes, news)) => {
                pulled_bytes = *bytes;
                news.iter().cloned().for_each(progress);
            }
        }
        Ok(Prepared {
            image: image.to_owned(),
            digest: None,
            pulled_bytes,
            healthcheck,
        })
    }

    async fn open_workspace(&self, job: JobRequest<'_>) -> Result<FakeWorkspace, BackendError> {
        let JobRequest {
            id,
            uses,
            directories,
            ..
        } = job;
        let with: String = directories.iter().map(|path| format!(" {path}")).collect();
        self.note(format!("open {id}{with}"));
        self.uses.iter().cloned().for_each(|one| uses(one));
        if self.workspaces_fail {
            return Err(BackendError::new("mount the workspace", "no space"));
        }
        Ok(FakeWorkspace(id.to_owned()))
    }

    async fn close_workspace(&self, workspace: FakeWorkspace) -> Result<(), BackendError> {
        self.note(format!("close {}", workspace.0));
        Ok(())
    }

    async fn list_files(
        &self,
        workspace: &FakeWorkspace,
        below: &[Vec<u8>],
    ) -> Result<Vec<FoundFile>, FilesError> {
        let below: Vec<_> = below
            .iter()
            .map(|path| String::from_utf8_lossy(path))
            .collect();
        self.note(format!("list {} {}", workspace.0, below.join(" ")));
        let found = |path: &&str| FoundFile {
            path: path.as_bytes().to_vec(),
            kind: FileKind::File,
        };
        Ok(self.files.iter().map(found).collect())
    }

    async fn pack_files(
        &self,
        workspace: &FakeWorkspace,
        paths: &[Vec<u8>],
        most: Most,
        mut out: &File,
    ) -> Result<PackedFiles, FilesError> {
        let all = paths.join(&b' ');
        let text = String::from_utf8_lossy(&all);
        // What ends in `z` can be compressed.
        let archive = text.trim_end_matches('z').as_bytes();
        self.note(format!("pack {} {text}", workspace.0));
        if self.packing_hangs {
            std::future::pending().await
        }
        for (bytes, most) in [(&all[..], most.contents), (archive, most.archive)] {
            if bytes.len() as u64 > most {
                return Err(FilesError {
                    is_of_the_files: true,
                    message: format!("more than {most} bytes"),
                });
            }
        }
        out.write_all(archive).unwrap();
        Ok(PackedFiles {
            files: paths.len() as u64,
            bytes: 7,
            size: archive.len() as u64,
            sha256: "ab".repeat(32),
        })
    }

    async fn save_files(
        &self,
        workspace: &FakeWorkspace,
        parts: &[FilePart],
        most: u64,
        forbidden: &[Vec<u8>],
        mut out: &File,
    ) -> Result<PackedFiles, FilesError> {
        self.note(format!("save {} {}", workspace.0, places(parts)));
        if self.packing_hangs {
            std::future::pending().await
        }
        let text = self.files.join(" ");
        let is_forbidden = |word: &Vec<u8>| text.contains(&*String::from_utf8_lossy(word));
        if forbidden.iter().any(is_forbidden) {
            return Err(FilesError {
                is_of_the_files: true,
                message: "`file` holds the value of a secret".to_owned(),
            });
        }
        if text.len() as u64 > most {
            return Err(FilesError {
                is_of_the_files: true,
                message: format!("more than {most} bytes"),
            });
        }
        out.write_all(text.as_bytes()).unwrap();
        Ok(PackedFiles {
            files: self.files.len() as u64,
            bytes: 7,
            size: text.len() as u64,
            sha256: crate::caches::sha256(text.as_bytes()),
        })
    }

    async fn restore_files(
        &self,
        workspace: &FakeWorkspace,
        parts: &[FilePart],
        _most: u64,
        mut archive: &File,
    ) -> Result<RestoredFiles, FilesError> {
        self.note(format!("restore {} {}", workspace.0, places(parts)));
        let mut text = String::new();
        std::io::Read::read_to_string(&mut archive, &mut text).unwrap();
        if self.restoring_fails {
            return Err(FilesError {
                is_of_the_files: true,
                message: "its archive is damaged: bad luck".to_owned(),
            });
        }
        Ok(RestoredFiles {
            files: text.split_whitespace().count() as u64,
            bytes: 7,
        })
    }

    async fn start(
        &self,
        request: StepRequest<'_, String, FakeWorkspace>,
        output: OwnedFd,
    ) -> Result<FakeStep, StartError> {
        let place = format!("{}/{}", request.env["CI_JOB"], request.env["CI_STEP"]);
        assert_eq!(request.workspace.0, request.env["CI_JOB"]);
        let script = self
            .scripts
            .get(&place)
            .cloned()
            .unwrap_or_else(|| Script::exits(0));
        self.launch(place, script, output)
    }

    async fn build(
        &self,
        request: BuildRequest<'_, FakeWorkspace>,
        log: Writer<'_>,
    ) -> Result<Prepared<String>, ImageError> {
        let context = &request.build.context;
        self.note(format!("build {context} for {}", request.name));
        log(b"building\n");
        self.prepare(context, &|_| ()).await
    }

    async fn start_service(
        &self,
        request: ServiceRequest<'_, String, FakeWorkspace>,
        output: OwnedFd,
    ) -> Result<FakeStep, StartError> {
        let place = format!("service {}/{}", request.workspace.0, request.name);
        for (name, value) in &request.env {
            self.note(format!("{place} has {name}={value}"));
        }
        let script = self.scripts.get(&place).cloned();
        let script = script.unwrap_or_else(Script::serves);
        let mut service = self.launch(place, script, output)?;
        // Any that is free is 40000.
        let published = |port: &Port| {
            let mut at = port.host;
            if at.port() == 0 {
                at.set_port(40_000);
            }
            PublishedPort { port: *port, at }
        };
        service.ports = request.ports.iter().map(published).collect();
        Ok(service)
    }

    async fn connect_service(
        &self,
        workspace: &FakeWorkspace,
        service: &str,
        port: u16,
    ) -> io::Result<DuplexStream> {
        self.note(format!("connect {}/{service}:{port}", workspace.0));
        match self.answer(workspace, service) {
            Some(Answer::Hangs) => std::future::pending().await,
            None | Some(Answer::Refused | Answer::Ends(_)) => {
                Err(io::ErrorKind::ConnectionRefused.into())
            }
            Some(Answer::Says(text)) => {
                let (ours, mut theirs) = tokio::io::duplex(64 << 10);
                theirs.write_all(text).await?;
                // What is asked may come or not.
                tokio::spawn(async move {
                    let mut asked = Vec::new();
                    theirs.shutdown().await?;
                    theirs.read_to_end(&mut asked).await
                });
                Ok(ours)
            }
        }
    }

    async fn exec_in_service(
        &self,
        workspace: &FakeWorkspace,
        service: &str,
        command: &[String],
    ) -> Result<ExitStatus, BackendError> {
        let command = command.join(" ");
        self.note(format!("exec {}/{service}: {command}", workspace.0));
        match self.answer(workspace, service) {
            Some(Answer::Hangs) => std::future::pending().await,
            Some(Answer::Ends(status)) => Ok(status),
            _ => Err(BackendError::new("execute the check", "no such program")),
        }
    }
}

/// A step in progress.
#[derive(Debug)]
pub(crate) struct FakeStep {
    place: String,
    script: Script,
    started: watch::Receiver<Vec<String>>,
    output: Output,
    terminated: bool,
    ports: Vec<PublishedPort>,
    killed: Arc<AtomicBool>,
    journal: Arc<Mutex<Vec<String>>>,
}

#[derive(Debug)]
enum Output {
    Unwritten(PipeWriter),
    Writing(oneshot::Receiver<PipeWriter>),
    Written(#[expect(dead_code, reason = "held open until the step ends")] PipeWriter),
    Closed,
}

impl FakeStep {
    /// Writes; on a thread where the pipe may become full. A little is written at once: while a task waits for a thread,
    /// a paused clock runs ahead.
    async fn write(&mut self) {
        for place in &self.script.meets {
            self.started
                .wait_for(|started| started.iter().any(|other| other == place))
                .await
                .unwrap();
        }
        self.output = match std::mem::replace(&mut self.output, Output::Closed) {
            Output::Unwritten(mut pipe) if self.script.repeat == 1 => {
                pipe.write_all(&self.script.output).unwrap();
                if self.script.closes_output {
                    Output::Closed
                } else {
                    Output::Written(pipe)
                }
            }
            Output::Unwritten(mut pipe) => {
                let (sender, receiver) = oneshot::channel();
                let script = self.script.clone();
                let killed = Arc::clone(&self.killed);
                std::thread::spawn(move || {
                    for _ in 0..script.repeat {
                        if killed.load(Ordering::Relaxed) || pipe.write_all(&script.output).is_err()
                        {
                            break;
                        }
                    }
                    let _ = sender.send(pipe);
                });
                Output::Writing(receiver)
            }
            other => other,
        };
        if let Output::Writing(receiver) = &mut self.output {
            let pipe = receiver.await.unwrap();
            self.output = if self.script.closes_output {
                Output::Closed
            } else {
                Output::Written(pipe)
            };
        }
    }

    fn note(&self, signal: &str) {
        self.journal
            .lock()
            .unwrap()
            .push(format!("{signal} {}", self.place));
    }
}

impl RunningStep for FakeStep {
    fn ports(&self) -> &[PublishedPort] {
        &self.ports
    }

    async fn wait(&mut self) -> Result<Exit, BackendError> {
        self.write().await;
        let status = match self.script.end {
            _ if self.killed.load(Ordering::Relaxed) => ExitStatus::Signal(9),
            End::Exit(status) => status,
            End::OnTerminate(status) if self.terminated => status,
            End::WaitFails => return Err(BackendError::new("wait for the step", "lost")),
            End::OnTerminate(_) | End::OnKill | End::StartFails(_) | End::SignalFails => {
                std::future::pending().await
            }
        };
        Ok(Exit {
            status,
            usage: None,
            exceeded: self.script.exceeded,
        })
    }

    fn terminate(&mut self) -> Result<(), BackendError> {
        self.note("terminate");
        self.terminated = true;
        match self.script.end {
            End::SignalFails => Err(BackendError::new("signal the step", "lost")),
            _ => Ok(()),
        }
    }

    fn kill(&mut self) -> Result<(), BackendError> {
        self.note("kill");
        self.killed.store(true, Ordering::Relaxed);
        Ok(())
    }
}
