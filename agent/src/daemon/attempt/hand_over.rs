//! The end of an attempt: everything is sent, and then that it is over.

use std::collections::BTreeMap;

use protocol::Event;
use protocol::service::{CacheEnd, Finish, ProblemCode, Release, StreamName, path};

use super::{Attempt, Last, Stopped, refusal};
use crate::attempt::Finished;
use crate::daemon::tell;
use crate::daemon::upload::{Upload, UploadError};
use crate::source::{CallError, persist};

/// How often what the server says it lacks is sent again.
const RESENDINGS: u32 = 10;

impl Attempt {
    /// Sends what is left, and then that it is over.
    pub(super) async fn hand_over(
        &mut self,
        mut upload: Upload,
        last: Last,
    ) -> Result<(), Stopped> {
        let mut resendings = 0;
        let mut told = 0;
        loop {
            if let Err(error) = self.unless_told(upload.round()).await? {
                match error {
                    UploadError::Fenced(_) => return Err(Stopped::Lost),
                    // It can never be whole there. Why is worth more to who reads it than that something lacks.
                    error @ UploadError::Refused(_) if matches!(last, Last::Finish(_)) => {
                        return Err(Stopped::Hopeless(error.to_string()));
                    }
                    // What cannot be sent is not a reason to be silent about the end.
                    error => tell(format_args!("error: job {}: {error}", self.id)),
                }
            }
            if let Last::Finish(finished) = &last
                && upload.refused().len() > told
            {
                told = upload.refused().len();
                self.tell_refused(upload.refused(), &finished.caches);
                continue;
            }
            let said = match &last {
                Last::Finish(finished) => self.finish(&mut upload, finished).await?,
                Last::Release(reason) => {
                    let release = Release {
                        reason: reason.clone(),
                    };
                    let address = path::of_attempt(path::RELEASE, self.id);
                    let client = self.client.clone();
                    let saying = persist("release", || client.tell(&address, Some(&release)));
                    self.unless_told(saying).await?
                }
            };
            let error = match said {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            match error.problem() {
                Some(problem)
                    if problem.code == ProblemCode::Incomplete && resendings < RESENDINGS =>
                {
                    tracing::warn!(job = %self.id, missing = ?problem.missing, "the server lacks something");
                    resendings += 1;
                    upload.rewind(&problem.missing);
                }
                _ => return Err(refusal(error)),
            }
        }
    }

    /// Says in the job's own log which of its caches the server does not take.
    fn tell_refused(&self, refused: &BTreeMap<StreamName, String>, caches: &[CacheEnd]) {
        let warnings = caches.iter().filter_map(|cache| {
            let why = refused.get(&cache.stream)?;
            let message = format!("Cache `{}` is not kept: {why}.", cache.key);
            Some(Event::Warning { message })
        });
        if let Err(error) = self.spool.add_events(warnings) {
            tell(format_args!("error: job {}: {error}", self.id));
        }
    }

    async fn finish(
        &mut self,
        upload: &mut Upload,
        finished: &Finished,
    ) -> Result<Result<(), CallError>, Stopped> {
        let (events, logs) = match self.unless_told(upload.ends()).await? {
            Ok(ends) => ends,
            Err(error) => return Err(Stopped::Hopeless(error.to_string())),
        };
        // What the server has refused is nothing that it could keep.
        let is_there = |cache: &&CacheEnd| logs.iter().any(|log| log.name == cache.stream);
        let caches = finished.caches.iter().filter(is_there).cloned().collect();
        let finish = Finish {
            conclusion: finished.conclusion,
            cause: finished.cause.clone(),
            outputs: finished.outputs.clone(),
            events,
            logs,
            artifacts: finished.artifacts.clone(),
            caches,
        };
        let address = path::of_attempt(path::FINISH, self.id);
        let client = self.client.clone();
        let said = persist("finish", || client.tell(&address, Some(&finish)));
        let said = self.unless_told(said).await?;
        if said.is_ok() {
            tell(format_args!(
                "job {}: {}",
                self.id,
                finished.conclusion.as_str()
            ));
        }
        Ok(said)
    }
}
