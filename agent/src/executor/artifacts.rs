//! Keeps the files that a job is to leave, behind its last step.

use pipelines::plan::{Artifact, When, is_artifact_name};
use protocol::service::ArtifactEnd;
use protocol::{Cause, Conclusion, Event};

use super::context::CancelLevel;
use super::job::JobRunner;
use super::message::Message;
use super::outcome::{Fault, JobOutcome};
use crate::artifacts::{Chosen, Selection};
use crate::backend::{Backend, Most, PackedFiles};
use crate::clock::milliseconds;

/// Why an artifact is not kept.
#[derive(Debug)]
enum Obstacle {
    /// There is nothing to keep: no failure.
    Nothing(String),
    /// What the pipeline asks for cannot be had.
    Pipeline(String),
    /// The machine failed.
    Machine(String),
}

impl<B: Backend> JobRunner<B> {
    /// Keeps every artifact that is due after this end of the job. One that cannot be kept makes a success none; on any other
    /// end it is a warning, which tells no less.
    pub(super) async fn keep_artifacts(
        &self,
        workspace: &B::Workspace,
        mut outcome: JobOutcome,
    ) -> JobOutcome {
        let ended = outcome.conclusion;
        let mut left = self.context.settings.artifacts_bytes;
        for artifact in &self.job.artifacts {
            if !is_due(artifact.when, ended) {
                continue;
            }
            let written = artifact.name.text(&self.values);
            // It stands in addresses, names of files and the server's database, none of which is masked.
            let written = written.map_err(|error| self.job.place.located(&error));
            let name =
                written.and_then(
                    |name| match self.context.settings.masks.text(name.clone()) {
                        masked if masked == name => Ok(name),
                        _ => Err("its name has the value of a secret in it".to_owned()),
                    },
                );
            let shown = name.clone().unwrap_or_else(|_| "?".to_owned());
            let kept = match name {
                Ok(name) if outcome.artifacts.iter().any(|other| other.name == name) => {
                    let message = "another one of the job has this name".to_owned();
                    Err(Obstacle::Pipeline(message))
                }
                Ok(name) => self.keep(workspace, artifact, name, left).await,
                Err(message) => Err(Obstacle::Pipeline(message)),
            };
            match kept {
                Ok((end, size)) => {
                    left = left.saturating_sub(size);
                    outcome.artifacts.push(end);
                }
                Err(obstacle) => self.miss(shown, obstacle, &mut outcome),
            }
        }
        outcome
    }

    async fn keep(
        &self,
        workspace: &B::Workspace,
        artifact: &Artifact,
        name: String,
        left: u64,
    ) -> Result<(ArtifactEnd, u64), Obstacle> {
        if !is_artifact_name(&name) {
            let message = format!(
                "{name:?} cannot be its name: at most 64 letters, digits, `_`, `-` and `.`, no `.` first"
            );
            return Err(Obstacle::Pipeline(message));
        }
        let pipeline =
            |error: &dyn std::error::Error| Obstacle::Pipeline(self.job.place.located(error));
        let paths = artifact.paths.iter().map(|path| path.text(&self.values));
        let paths: Vec<String> = paths
            .collect::<Result<_, _>>()
            .map_err(|error| pipeline(&error))?;
        let selection = Selection::parse(&paths).map_err(|error| pipeline(&error))?;
        let mut cancel = self.cancel.clone();
        let packing = self.pack(workspace, &name, &selection, left);
        let (packed, path) = tokio::select! {
            biased;
            Ok(_) = cancel.wait_for(|level| *level == CancelLevel::Kill) => {
                return Err(Obstacle::Nothing("the job was killed".to_owned()));
            }
            packed = packing => packed?,
        };
        self.context.tell(Message::Event(Event::ArtifactKept {
            job: self.job.id.clone(),
            artifact: name.clone(),
            files: packed.files,
            bytes: packed.bytes,
            size: packed.size,
            sha256: packed.sha256.clone(),
            path,
        }));
        let end = ArtifactEnd {
            name,
            files: packed.files,
            bytes: packed.bytes,
            sha256: packed.sha256,
            expire_ms: artifact.expire.map(milliseconds),
        };
        Ok((end, packed.size))
    }

    /// Finds the files and writes their archive; answers what is in it and where it is.
    async fn pack(
        &self,
        workspace: &B::Workspace,
        name: &str,
        selection: &Selection,
        left: u64,
    ) -> Result<(PackedFiles, Option<String>), Obstacle> {
        let backend = &self.context.backend;
        let settings = &self.context.settings;
        let Some(place) = &settings.artifacts else {
            return Err(Obstacle::Machine("there is no place for it".to_owned()));
        };
        let most = Most {
            contents: settings.artifact_bytes,
            archive: settings.artifact_bytes.min(left),
        };
        let files = |error: crate::backend::FilesError| match error.is_of_the_files {
            true if left < settings.artifact_bytes => Obstacle::Pipeline(format!(
                "{} (all of the job's may have {} bytes together)",
                error.message, settings.artifacts_bytes
            )),
            true => Obstacle::Pipeline(error.message),
            false => Obstacle::Machine(error.message),
        };
        let machine = |error: crate::artifacts::ArtifactError| Obstacle::Machine(error.to_string());
        let found = backend
            .list_files(workspace, &selection.roots())
            .await
            .map_err(files)?;
        let Chosen {
            paths,
            special,
            unreadable,
        } = selection.choose(found);
        for (count, what) in [
            (special, "devices, pipes or sockets"),
            (unreadable, "directories that cannot be read"),
        ] {
            if count > 0 {
                self.tell_warning(format!(
                    "Artifact `{name}` of job `{}`: {count} {what} are left out.",
                    self.job.id
                ));
            }
        }
        if paths.is_empty() {
            let message = "no file of the workspace is what its `paths` say".to_owned();
            return Err(Obstacle::Nothing(message));
        }
        let draft = place.draft(&self.job.id, name).map_err(machine)?;
        let packed = backend
            .pack_files(workspace, &paths, most, &draft.file)
            .await
            .map_err(files)?;
        // What it waits for is a disk.
        let kept = tokio::task::spawn_blocking(move || draft.keep()).await;
        let kept = kept.map_err(|error| Obstacle::Machine(error.to_string()))?;
        let path = kept.map_err(machine)?;
        Ok((packed, path.map(|path| path.display().to_string())))
    }

    /// Says that an artifact is not kept, as an end of the job where it had none that is worse.
    fn miss(&self, artifact: String, obstacle: Obstacle, outcome: &mut JobOutcome) {
        let is_success = outcome.conclusion == Conclusion::Success;
        match obstacle {
            Obstacle::Pipeline(message) if is_success => {
                outcome.conclusion = Conclusion::Failure;
                outcome.allowed = self.job.allow_failure;
                outcome.cause = Some(Cause::Artifact { artifact, message });
                outcome.outputs.clear();
            }
            Obstacle::Machine(message) if is_success => {
                outcome.conclusion = Conclusion::Error;
                outcome.fault = Some(Fault::Internal);
                outcome.machine_fault = Some(message.clone());
                outcome.cause = Some(Cause::Artifact { artifact, message });
                outcome.outputs.clear();
            }
            Obstacle::Nothing(message)
            | Obstacle::Pipeline(message)
            | Obstacle::Machine(message) => self.tell_warning(format!(
                "Artifact `{artifact}` of job `{}` is not kept: {message}.",
                self.job.id
            )),
        }
    }

    fn tell_warning(&self, message: String) {
        self.context
            .tell(Message::Event(Event::Warning { message }));
    }
}

/// Whether an artifact is kept after this end.
const fn is_due(when: When, ended: Conclusion) -> bool {
    match when {
        When::Always => true,
        When::Success => matches!(ended, Conclusion::Success),
        When::Failure => matches!(ended, Conclusion::Failure | Conclusion::Error),
    }
}
