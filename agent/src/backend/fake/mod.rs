//! A backend that needs no kernel: every step does what its script says.
//!
//! Steps are found by the `CI_JOB` and `CI_STEP` they get; one without a script succeeds silently. Services are found by
//! job and name. What the executor asked for is kept in a journal.

mod files;
mod script;
mod services;
mod step;

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::DuplexStream;
use tokio::sync::watch;

pub(crate) use script::{Answer, End, FakeImage, Script};
pub(crate) use step::FakeStep;

use super::{
    Backend, BackendError, BuildRequest, ExitStatus, FilePart, FilesError, FoundFile, ImageError,
    JobRequest, Most, NetworkUse, PackedFiles, Prepared, ProgressFn, RestoredFiles, ServiceRequest,
    StartError, StepRequest,
};
use crate::building::Writer;

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
    restoring_takes: std::time::Duration,
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

    /// It takes so long to put files back.
    pub(crate) fn restoring_for(mut self, length: std::time::Duration) -> Self {
        self.restoring_takes = length;
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
        self.list(workspace, below).await
    }

    async fn pack_files(
        &self,
        workspace: &FakeWorkspace,
        paths: &[Vec<u8>],
        most: Most,
        out: &File,
    ) -> Result<PackedFiles, FilesError> {
        self.pack(workspace, paths, most, out).await
    }

    async fn save_files(
        &self,
        workspace: &FakeWorkspace,
        parts: &[FilePart],
        most: u64,
        forbidden: &[Vec<u8>],
        out: &File,
    ) -> Result<PackedFiles, FilesError> {
        self.save(workspace, parts, most, forbidden, out).await
    }

    async fn restore_files(
        &self,
        workspace: &FakeWorkspace,
        parts: &[FilePart],
        most: u64,
        time: Duration,
        archive: &File,
    ) -> Result<RestoredFiles, FilesError> {
        self.restore(workspace, parts, most, time, archive).await
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
        self.serve(request, output).await
    }

    async fn connect_service(
        &self,
        workspace: &FakeWorkspace,
        service: &str,
        port: u16,
    ) -> io::Result<DuplexStream> {
        self.connect(workspace, service, port).await
    }

    async fn exec_in_service(
        &self,
        workspace: &FakeWorkspace,
        service: &str,
        command: &[String],
    ) -> Result<ExitStatus, BackendError> {
        self.exec(workspace, service, command).await
    }
}
