//! The events of an attempt: kept as they came, in batches, and read by their numbers.

use protocol::service::{
    AgentId, AttemptId, AttemptState, EventBatch, EventPage, Problem, ProblemCode, limits,
};
use serde_json::value::RawValue;

use super::attempt::held;
use crate::database::{News, OperationError, Transaction, Value, refuse};

/// An event as it came: nothing of it is asked.
pub(crate) type Raw = Box<RawValue>;

/// Events of one page at most.
const PAGE: usize = 1_000;

/// Bytes of the events of one page, unless one event alone has more.
const PAGE_BYTES: u64 = 1 << 20;

/// Keeps events. Those that are here already are passed over; the number of the next one is returned.
pub(crate) fn append(
    tx: &mut Transaction<'_>,
    agent: AgentId,
    id: AttemptId,
    batch: &EventBatch<Raw>,
) -> Result<u64, OperationError> {
    if held(tx, agent, id)?.state != crate::queue::State::Running {
        return refuse(ProblemCode::Conflict, "the attempt was not accepted yet");
    }
    let row = tx.one(
        "SELECT events, event_bytes FROM attempts WHERE job = $1 AND attempt = $2",
        &[id.job.0.into(), id.attempt.into()],
    )?;
    let next: u64 = row.number(0)?;
    if batch.first > next {
        let message = format!("events from {next} on have not come yet");
        return Err(Problem::new(ProblemCode::Gap, message).next(next).into());
    }
    let known = usize::try_from(next - batch.first).unwrap_or(usize::MAX);
    let Some(new) = batch.events.get(known..).filter(|new| !new.is_empty()) else {
        return Ok(next);
    };
    let after = next + new.len() as u64;
    if after > limits::EVENTS {
        let message = format!("an attempt has at most {} events", limits::EVENTS);
        return refuse(ProblemCode::TooLarge, message);
    }
    let body = Value::json(&new)?;
    let bytes = row.number::<u64>(1)?.saturating_add(body.len());
    if bytes > limits::EVENT_BYTES {
        let most = limits::EVENT_BYTES;
        let message = format!("the events of an attempt have at most {most} bytes together");
        return refuse(ProblemCode::TooLarge, message);
    }
    tx.later(
        "INSERT INTO events (job, attempt, first, body) VALUES ($1, $2, $3, $4)",
        &[id.job.0.into(), id.attempt.into(), next.into(), body],
    )?;
    tx.later(
        "UPDATE attempts SET events = $1, event_bytes = $2 WHERE job = $3 AND attempt = $4",
        &[
            after.into(),
            bytes.into(),
            id.job.0.into(),
            id.attempt.into(),
        ],
    )?;
    tx.tell(News::Attempt(id));
    Ok(after)
}

/// Throws away what has come, of an attempt whose agent has fewer: it sends all that it has again.
pub(crate) fn restart(
    tx: &mut Transaction<'_>,
    agent: AgentId,
    id: AttemptId,
) -> Result<(), OperationError> {
    held(tx, agent, id)?;
    let of = [id.job.0.into(), id.attempt.into()];
    tx.execute("DELETE FROM events WHERE job = $1 AND attempt = $2", &of)?;
    tx.execute(
        "UPDATE attempts SET events = 0, event_bytes = 0 WHERE job = $1 AND attempt = $2",
        &of,
    )?;
    Ok(())
}

/// Reads events from a number on.
pub(crate) fn page(
    tx: &mut Transaction<'_>,
    id: AttemptId,
    from: u64,
) -> Result<EventPage<Raw>, OperationError> {
    let row = tx.first(
        "SELECT events, state FROM attempts WHERE job = $1 AND attempt = $2",
        &[id.job.0.into(), id.attempt.into()],
    )?;
    let Some(row) = row else {
        let message = format!("job {} has no attempt {}", id.job, id.attempt);
        return refuse(ProblemCode::NotFound, message);
    };
    let count: u64 = row.number(0)?;
    let is_over = row.word::<AttemptState>(1)? != AttemptState::Running;
    let first = from.min(count);
    let lengths = tx.query(
        "SELECT first, octet_length(body) FROM events WHERE job = $1 AND attempt = $2 AND first >= \
         (SELECT COALESCE(max(first), 0) FROM events WHERE job = $1 AND attempt = $2 AND first <= $3) ORDER BY first LIMIT 200",
        &[id.job.0.into(), id.attempt.into(), first.into()],
    )?;
    let mut bytes: u64 = 0;
    let mut last = first;
    for (index, batch) in lengths.iter().enumerate() {
        bytes = bytes.saturating_add(batch.number(1)?);
        if index > 0 && bytes > PAGE_BYTES {
            break;
        }
        last = batch.number(0)?;
    }
    let batches = tx.query(
        "SELECT first, body FROM events WHERE job = $1 AND attempt = $2 AND first >= \
         (SELECT COALESCE(max(first), 0) FROM events WHERE job = $1 AND attempt = $2 AND first <= $3) AND first <= $4 ORDER BY first",
        &[id.job.0.into(), id.attempt.into(), first.into(), last.into()],
    )?;
    let mut events: Vec<Raw> = Vec::new();
    let mut bytes: u64 = 0;
    for batch in &batches {
        let start: u64 = batch.number(0)?;
        let known: Vec<Raw> = batch.json(1)?;
        let skip = usize::try_from(first.saturating_sub(start)).unwrap_or(usize::MAX);
        for event in known.into_iter().skip(skip) {
            bytes += event.get().len() as u64;
            if events.len() >= PAGE || (bytes > PAGE_BYTES && !events.is_empty()) {
                break;
            }
            events.push(event);
        }
        // What was left out of one batch is not followed by the next.
        if events.len() >= PAGE || bytes > PAGE_BYTES {
            break;
        }
    }
    let next = first + events.len() as u64;
    Ok(EventPage {
        first,
        events,
        next,
        complete: is_over && next == count,
    })
}
