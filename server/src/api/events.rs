//! Events of attempts, for users.

use std::convert::Infallible;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::IntoResponse;
use axum::response::sse::Event;
use futures_util::stream;
use protocol::service::{AttemptId, EventPage};
use serde::Deserialize;

use super::answer::{live, shown};
use super::attempts::id;
use super::error::ApiError;
use super::extract::{Asked, Params, Reader, Waiting};
use super::logs::last_event_id;
use crate::database::News;
use crate::followers::Place;
use crate::operation::events::{self, Raw};
use crate::operation::view;
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
    waiting: Waiting,
    Params(params): Params<(u64, u32)>,
    headers: HeaderMap,
) -> Result<impl IntoResponse, ApiError> {
    let id = id(params);
    let place = waiting.enter(&service)?;
    let from = last_event_id(&headers).map_or(0, |last| last.saturating_add(1));
    service
        .database
        .read(move |tx| view::is_over(tx, id))
        .await?;
    let state = Follow {
        follower: service.database.signals().follow(News::Attempt(id)),
        service,
        id,
        from,
        page: None,
        is_complete: false,
        _place: place,
    };
    let events = stream::unfold(Some(state), |state| async move { state?.next().await });
    Ok(live(events))
}

struct Follow {
    service: Service,
    follower: crate::database::Follower,
    id: AttemptId,
    /// The number of the next event to be sent.
    from: u64,
    /// What was read last, which others are shown as well.
    page: Option<Arc<EventPage<Raw>>>,
    is_complete: bool,
    _place: Place,
}

type Next = Option<(Result<Event, Infallible>, Option<Follow>)>;

impl Follow {
    async fn next(mut self) -> Next {
        let mut ending = self.service.ending.clone();
        loop {
            let number = self.from;
            let read = self.page.as_ref().and_then(|page| {
                let place = usize::try_from(number.checked_sub(page.first)?).ok()?;
                page.events.get(place)
            });
            if let Some(event) = read {
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
            let (readings, database) = (&self.service.readings.events, &self.service.database);
            let page = readings.read((id, from), async || {
                let page = database.read(move |tx| events::page(tx, id, from));
                page.await.map(Arc::new)
            });
            match page.await {
                Ok(page) if page.events.is_empty() && !page.complete => {}
                Ok(page) => {
                    self.is_complete = page.complete;
                    self.page = Some(page);
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
