//! Events of attempts, for users.

use std::convert::Infallible;

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::IntoResponse;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::stream;
use protocol::service::{AttemptId, EventPage};
use serde::Deserialize;

use super::answer::shown;
use super::attempts::id;
use super::error::ApiError;
use super::extract::{Asked, Params, Reader};
use super::logs::last_event_id;
use crate::database::News;
use crate::operation::events::{self, Raw};
use crate::service::Service;

/// Where a page starts.
#[derive(Debug, Default, Deserialize)]
pub(super) struct From {
    #[serde(default)]
    from: u64,
}

/// A page of events.
pub(super) async fn page(
    State(service): State<Service>,
    Reader: Reader,
    Params(params): Params<(u64, u32)>,
    Asked(From { from }): Asked<From>,
) -> Result<Json<EventPage<Raw>>, ApiError> {
    let id = id(params);
    shown(&service, move |tx| events::page(tx, id, from)).await
}

/// Follows the events: everything behind `Last-Event-ID`, then what comes, until the attempt is over.
pub(super) async fn follow(
    State(service): State<Service>,
    Reader: Reader,
    Params(params): Params<(u64, u32)>,
    headers: HeaderMap,
) -> Result<impl IntoResponse, ApiError> {
    let id = id(params);
    let from = last_event_id(&headers).map_or(0, |last| last.saturating_add(1));
    service
        .database
        .read(move |tx| events::page(tx, id, from))
        .await?;
    let state = Follow {
        follower: service.database.signals().follow(News::Attempt(id)),
        service,
        id,
        from,
        waiting: Vec::new().into_iter(),
        is_complete: false,
    };
    let events = stream::unfold(Some(state), |state| async move { state?.next().await });
    Ok(Sse::new(events).keep_alive(KeepAlive::default()))
}

struct Follow {
    service: Service,
    follower: crate::database::Follower,
    id: AttemptId,
    /// The number of the next event to be sent.
    from: u64,
    waiting: std::vec::IntoIter<Raw>,
    is_complete: bool,
}

type Next = Option<(Result<Event, Infallible>, Option<Follow>)>;

impl Follow {
    async fn next(mut self) -> Next {
        let mut ending = self.service.ending.clone();
        loop {
            if let Some(event) = self.waiting.next() {
                let number = self.from;
                self.from += 1;
                let event = Event::default()
                    .event("event")
                    .id(number.to_string())
                    .data(event.get());
                return Some((Ok(event), Some(self)));
            }
            if self.is_complete {
                let end = Event::default().event("end").data("{}");
                return Some((Ok(end), None));
            }
            let news = self.follower.news();
            tokio::pin!(news);
            news.as_mut().enable();
            let (id, from) = (self.id, self.from);
            let database = &self.service.database;
            let page = database.read(move |tx| events::page(tx, id, from)).await;
            match page {
                Ok(page) if page.events.is_empty() && !page.complete => {}
                Ok(page) => {
                    self.is_complete = page.complete;
                    self.waiting = page.events.into_iter();
                    continue;
                }
                Err(error) => {
                    tracing::warn!(%error, "events cannot be followed");
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
