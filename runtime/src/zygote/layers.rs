//! Layers, unpacked and removed by workers of the zygote: where the owners of their files exist.

use std::os::fd::{AsFd, OwnedFd};

use super::wire::Job;
use super::{RequestError, Zygote};
use crate::container::StartError;
use crate::layer::{BoxFuture, Checked, Form, LayerWorker, Packed, UnpackError, Unpacked};

impl LayerWorker for Zygote {
    fn unpack<'a>(
        &'a self,
        stream: OwnedFd,
        recording: OwnedFd,
        target: &'a str,
        form: Form,
    ) -> BoxFuture<'a, Result<Unpacked, UnpackError>> {
        let job = Job::Unpack {
            target: target.to_owned(),
            form,
        };
        Box::pin(async move {
            // The worker has a copy of the stream now; ours must not outlive this call.
            let answer = self.work(job, &[stream.as_fd(), recording.as_fd()]).await;
            drop((stream, recording));
            outcome(answer)
        })
    }

    fn pack<'a>(
        &'a self,
        out: OwnedFd,
        recording: Option<OwnedFd>,
        name: &'a str,
    ) -> BoxFuture<'a, Result<Packed, UnpackError>> {
        let job = Job::PackLayer {
            name: name.to_owned(),
        };
        Box::pin(async move {
            let fds: Vec<_> = [Some(&out), recording.as_ref()]
                .into_iter()
                .flatten()
                .map(AsFd::as_fd)
                .collect();
            let answer = self.work(job, &fds).await;
            // Whoever reads the archive must see its end.
            drop(out);
            outcome(answer)
        })
    }

    fn check<'a>(
        &'a self,
        recording: OwnedFd,
        name: &'a str,
    ) -> BoxFuture<'a, Result<Checked, UnpackError>> {
        let job = Job::CheckLayer {
            name: name.to_owned(),
        };
        Box::pin(async move { outcome(self.work(job, &[recording.as_fd()]).await) })
    }

    fn remove<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<(), UnpackError>> {
        let job = Job::RemoveLayer {
            name: name.to_owned(),
        };
        Box::pin(async move { outcome(self.work(job, &[]).await) })
    }
}

/// What a worker answered: its own result, or why there is none.
fn outcome<T: serde::de::DeserializeOwned>(
    answer: Result<serde_json::Value, RequestError>,
) -> Result<T, UnpackError> {
    let worker = |reason: String| UnpackError::Worker { reason };
    let value = answer.map_err(|error| match error {
        RequestError::Refused(StartError::ZygoteGone { reason }) => worker(reason),
        error => worker(error.to_string()),
    })?;
    serde_json::from_value(value).map_err(|error| worker(error.to_string()))?
}
