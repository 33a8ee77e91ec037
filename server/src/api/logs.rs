//! Logs: pieces come from agents, readers get ranges, followers get what comes.

use std::convert::Infallible;

use axum::Json;
use axum::body::Body as HttpBody;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::sse::Event;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::stream::{self, Stream, StreamExt as _, TryStreamExt as _};
use protocol::Output;
use protocol::service::{
    AgentId, AttemptId, LogKept, LogPiece, Problem, ProblemCode, StreamInfo, StreamName, limits,
    path,
};

use super::answer::live;
use super::attempts::id;
use super::error::ApiError;
use super::extract::{Agent, Params, Reader, Waiting, bytes};
use super::range::Range;
use super::unbroken::unbroken;
use crate::database::News;
use crate::followers::Place;
use crate::logs::{LogError, Piece};
use crate::operation::{attempt, view};
use crate::service::Service;

/// What is read at once.
const READ: usize = 256 << 10;

/// Where a log has nothing: `FROM-TO`, bytes.
const CUT: HeaderName = HeaderName::from_static("slipway-cut");

/// A piece comes.
pub(super) async fn append(
    State(service): State<Service>,
    Agent(agent): Agent,
    Params((job, attempt, name)): Params<(u64, u32, StreamName)>,
    request: Request,
) -> Result<Json<LogKept>, ApiError> {
    let id = id((job, attempt));
    let offset = request.headers().get(path::OFFSET_HEADER);
    let offset = offset.and_then(|offset| offset.to_str().ok()?.parse::<u64>().ok());
    let Some(offset) = offset else {
        let message = format!(
            "the header {} says where the piece starts",
            path::OFFSET_HEADER
        );
        return Err(ApiError::new(ProblemCode::Invalid, message));
    };
    let piece = bytes(request, &service).await?;
    let entered = service.logs.enter(id).await;
    unbroken(async move {
        let kept = keep(&service, agent, id, name, offset, piece).await;
        drop(entered);
        kept
    })
    .await
}

/// Keeps a piece, where its agent may write; the caller has gone through the attempt's gate.
async fn keep(
    service: &Service,
    agent: AgentId,
    id: AttemptId,
    name: StreamName,
    offset: u64,
    piece: Bytes,
) -> Result<Json<LogKept>, ApiError> {
    let unknown = (!service.logs.knows(id, &name)).then(|| name.clone());
    let stream = unknown.clone();
    service
        .database
        .read_foreseen(
            move |_| attempt::writing(id, stream.as_ref()),
            move |tx| attempt::writes(tx, agent, id, unknown.as_ref()),
        )
        .await?;
    if name.is_archive() {
        let end = offset.saturating_add(piece.len() as u64);
        check_room(service, id, name.clone(), end).await?;
    }
    service.metrics.logged(piece.len());
    let next = service.logs.append(id, name, offset, piece).await?;
    service.database.signals().wake(News::Attempt(id));
    Ok(Json(LogKept { next }))
}

/// Looks whether an archive may become so long, and whether an attempt may have so many more bytes of archives.
async fn check_room(
    service: &Service,
    id: AttemptId,
    name: StreamName,
    end: u64,
) -> Result<(), ApiError> {
    let limits = service.config.artifacts;
    let refused = |what: &str, most: u64, setting: &str| {
        let message = format!("{what} at most {most} bytes here");
        let problem = Problem::new(ProblemCode::TooLarge, message);
        let help = format!("the server's setting `{setting}` says how many");
        Err(problem.help(help).into())
    };
    if name.is_cache() {
        let most = service.config.caches.bytes;
        let others = service.logs.archive_bytes(id, name).await?;
        return match others.saturating_add(end) > most {
            true => refused(
                "the caches of a repository have together",
                most,
                "caches.bytes",
            ),
            false => Ok(()),
        };
    }
    if end > limits.bytes {
        return refused("an artifact has", limits.bytes, "artifacts.bytes");
    }
    let others = service.logs.archive_bytes(id, name).await?;
    let (most, setting) = limits.of_attempt();
    if others.saturating_add(end) > most {
        let what = "the artifacts of an attempt have together";
        let setting = format!("artifacts.{setting}");
        return refused(what, most, &setting);
    }
    Ok(())
}

/// A stream, of an attempt that exists.
async fn find(
    service: &Service,
    id: AttemptId,
    name: &StreamName,
) -> Result<(StreamInfo, bool), ApiError> {
    if name.as_artifact().is_some() {
        let message = "an artifact is no log: `../artifacts/NAME` has it once its job is over";
        return Err(ApiError::new(ProblemCode::NotFound, message));
    }
    if name.is_cache() {
        let message = "a cache is no log: only jobs read it";
        return Err(ApiError::new(ProblemCode::NotFound, message));
    }
    let wanted = name.clone();
    let (is_over, known) = service
        .database
        .read(move |tx| {
            let is_over = view::is_over(tx, id)?;
            let streams = view::streams(tx, id)?;
            let known = streams.into_iter().find(|stream| stream.name == wanted);
            Ok((is_over, known))
        })
        .await?;
    let info = match known {
        Some(info) => info,
        None => match service.logs.info(id, name.clone()).await {
            Ok(info) => info,
            Err(LogError::NotFound) if !is_over => StreamInfo {
                name: name.clone(),
                length: 0,
                complete: false,
                cut_from: None,
                cut_to: None,
            },
            Err(error) => return Err(error.into()),
        },
    };
    Ok((info, is_over))
}

/// Reads a log, or a range of it.
pub(super) async fn read(
    State(service): State<Service>,
    Reader: Reader,
    Params((job, attempt, name)): Params<(u64, u32, StreamName)>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let id = id((job, attempt));
    let (info, _) = find(&service, id, &name).await?;
    deliver(service, id, info, &headers, Content::Log).await
}

/// What a stream is, to who fetches it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Content {
    Log,
    Archive,
    Cache,
}

/// Answers with a stream, or the range of it that is asked for. A storage that is away is told before anything is answered: what is cut
/// off would be taken for damage.
pub(super) async fn deliver(
    service: Service,
    id: AttemptId,
    info: StreamInfo,
    headers: &HeaderMap,
    content: Content,
) -> Result<Response, ApiError> {
    let range = headers
        .get(header::RANGE)
        .and_then(|range| range.to_str().ok());
    let range = range.and_then(|range| Range::parse(range, info.length));
    let (status, start, end) = match range {
        None => (StatusCode::OK, 0, info.length),
        Some(Ok(Range { start, end })) => {
            let end = match (info.cut_from, info.cut_to) {
                (Some(from), Some(to)) if start < from => end.min(from).min(to),
                (Some(_), Some(to)) if start < to => return Err(cut(to)),
                _ => end,
            };
            (StatusCode::PARTIAL_CONTENT, start, end)
        }
        Some(Err(())) => {
            let problem = Problem::new(ProblemCode::Offset, "the range lies behind the end");
            let mut response = ApiError::from(problem.next(info.length)).into_response();
            set(
                &mut response,
                header::CONTENT_RANGE,
                &format!("bytes */{}", info.length),
            );
            return Ok(response);
        }
    };
    let mut pieces = Box::pin(pieces(service, id, info.clone(), start, end));
    let first = pieces.try_next().await?;
    let first = stream::iter(first.map(Ok));
    let body = HttpBody::from_stream(first.chain(pieces));
    let mut response = (status, body).into_response();
    let kind = match content {
        Content::Log => "text/plain; charset=utf-8",
        Content::Archive => "application/gzip",
        Content::Cache => "application/zstd",
    };
    set(&mut response, header::CONTENT_TYPE, kind);
    set(&mut response, header::ACCEPT_RANGES, "bytes");
    // A log may hold what a browser would run.
    set(&mut response, header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    if status == StatusCode::PARTIAL_CONTENT {
        let range = format!("bytes {start}-{}/{}", end.saturating_sub(1), info.length);
        set(&mut response, header::CONTENT_RANGE, &range);
    }
    // Of a log that is cut a line stands for what lacks.
    if status == StatusCode::PARTIAL_CONTENT || info.cut_from.is_none() {
        let length = (end - start).to_string();
        set(&mut response, header::CONTENT_LENGTH, &length);
    }
    if let (Some(from), Some(to)) = (info.cut_from, info.cut_to) {
        set(&mut response, CUT, &format!("{from}-{to}"));
    }
    Ok(response)
}

fn cut(next: u64) -> ApiError {
    let message = format!("nothing is kept before {next}");
    Problem::new(ProblemCode::Offset, message).next(next).into()
}

pub(super) fn set(response: &mut Response, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}

/// The bytes from one offset to another. Where some were not kept, a line says so.
fn pieces(
    service: Service,
    id: AttemptId,
    info: StreamInfo,
    start: u64,
    end: u64,
) -> impl Stream<Item = Result<Bytes, LogError>> {
    stream::try_unfold(start, move |offset| {
        let (logs, info) = (service.logs.clone(), info.clone());
        async move {
            if offset >= end {
                return Ok(None);
            }
            let most = usize::try_from(end - offset).unwrap_or(READ).min(READ);
            match logs.read(id, info.name.clone(), offset, most).await {
                Ok(Piece { bytes, .. }) if bytes.is_empty() => Ok(None),
                Ok(Piece { bytes, .. }) => {
                    let next = offset + bytes.len() as u64;
                    Ok(Some((bytes, next)))
                }
                Err(LogError::Cut { next }) => {
                    let line = format!("\n[{} bytes are not kept]\n", next - offset);
                    Ok(Some((Bytes::from(line), next)))
                }
                Err(error) => Err(error),
            }
        }
    })
}

/// Follows a log: everything from `Last-Event-ID` on, then what comes, until the attempt is over.
pub(super) async fn follow(
    State(service): State<Service>,
    waiting: Waiting,
    Params((job, attempt, name)): Params<(u64, u32, StreamName)>,
    headers: HeaderMap,
) -> Result<impl IntoResponse, ApiError> {
    let id = id((job, attempt));
    let place = waiting.enter(&service)?;
    find(&service, id, &name).await?;
    let offset = last_event_id(&headers).unwrap_or(0);
    let state = Follow {
        follower: service.database.signals().follow(News::Attempt(id)),
        service,
        id,
        name,
        offset,
        is_over: false,
        _place: place,
    };
    let events = stream::unfold(Some(state), |state| async move { state?.next().await });
    Ok(live(events))
}

/// Where a client that was cut off wants to go on.
pub(super) fn last_event_id(headers: &HeaderMap) -> Option<u64> {
    headers.get("last-event-id")?.to_str().ok()?.parse().ok()
}

struct Follow {
    service: Service,
    follower: crate::database::Follower,
    id: AttemptId,
    name: StreamName,
    offset: u64,
    /// The attempt was over before the last look at the log: nothing more will come.
    is_over: bool,
    _place: Place,
}

type Next = Option<(Result<Event, Infallible>, Option<Follow>)>;

impl Follow {
    /// The next event; nothing at all when the server ends or storage fails: the client comes again.
    async fn next(mut self) -> Next {
        let mut ending = self.service.ending.clone();
        loop {
            let news = self.follower.news();
            tokio::pin!(news);
            news.as_mut().enable();
            let logs = &self.service.logs;
            match logs
                .read(self.id, self.name.clone(), self.offset, READ)
                .await
            {
                Ok(Piece { bytes, .. }) if bytes.is_empty() => {}
                Ok(piece) => {
                    self.offset = piece.offset + piece.bytes.len() as u64;
                    let event = event(&piece, self.offset);
                    return Some((Ok(event), Some(self)));
                }
                Err(LogError::Cut { next }) => {
                    self.offset = next;
                    continue;
                }
                // It has not begun.
                Err(LogError::NotFound) => {}
                Err(error) => {
                    tracing::warn!(%error, "a log cannot be followed");
                    return None;
                }
            }
            if self.is_over {
                let end = Event::default().event("end").data("{}");
                return Some((Ok(end.id(self.offset.to_string())), None));
            }
            let id = self.id;
            let (ends, database) = (&self.service.readings.ends, &self.service.database);
            let is_over = ends.read(id, async || {
                database.read(move |tx| view::is_over(tx, id)).await
            });
            match is_over.await {
                Ok(true) => {
                    self.is_over = true;
                    continue;
                }
                Ok(false) => {}
                Err(error) => {
                    tracing::warn!(%error, "a log cannot be followed");
                    return None;
                }
            }
            tokio::select! {
                () = news => {}
                () = tokio::time::sleep(super::UNTOLD) => {}
                _ = ending.wait_for(|ending| *ending) => return None,
            }
        }
    }
}

fn event(piece: &Piece, next: u64) -> Event {
    let output = match std::str::from_utf8(&piece.bytes) {
        Ok(text) => Output::Text(text.to_owned()),
        Err(_) => Output::Base64(STANDARD.encode(&piece.bytes)),
    };
    let piece = LogPiece {
        offset: piece.offset,
        output,
    };
    // A number and a text have a JSON form.
    let data = serde_json::to_string(&piece).unwrap_or_default();
    Event::default()
        .event("log")
        .id(next.to_string())
        .data(data)
}

/// What a piece may have.
pub(super) const PIECE: usize = limits::LOG_PIECE;
