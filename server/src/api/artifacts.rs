//! Artifacts: what jobs have left for others to fetch.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::Response;
use protocol::service::{Artifacts, JobId, ProblemCode, StreamInfo, StreamName};

use super::attempts::id;
use super::error::ApiError;
use super::extract::{Params, Reader};
use super::logs::{Content, deliver, set};
use crate::operation::artifact;
use crate::service::Service;

/// What a job has left.
pub(super) async fn list(
    State(service): State<Service>,
    Reader: Reader,
    Params(id): Params<JobId>,
) -> Result<Json<Artifacts>, ApiError> {
    let artifacts = service
        .database
        .read(move |tx| artifact::list(tx, id))
        .await?;
    Ok(Json(artifacts))
}

/// The archive of one artifact, or a range of it.
pub(super) async fn read(
    State(service): State<Service>,
    Reader: Reader,
    Params((job, attempt, name)): Params<(u64, u32, String)>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let id = id((job, attempt));
    let Some(stream) = StreamName::artifact(&name) else {
        let message = "an artifact's name has at most 64 letters, digits, `_`, `-` and `.`";
        return Err(ApiError::new(ProblemCode::Invalid, message));
    };
    let wanted = name.clone();
    let found = service
        .database
        .read(move |tx| artifact::find(tx, id, &wanted))
        .await?;
    if found.expired {
        let message = format!("artifact {name} of job {job} has expired");
        return Err(ApiError::new(ProblemCode::NotFound, message));
    }
    let info = StreamInfo {
        name: stream,
        length: found.size,
        complete: true,
        cut_from: None,
        cut_to: None,
    };
    let mut response = deliver(service, id, info, &headers, Content::Archive).await?;
    let disposition = format!("attachment; filename=\"{name}.tar.gz\"");
    set(&mut response, header::CONTENT_DISPOSITION, &disposition);
    Ok(response)
}
