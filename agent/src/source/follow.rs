//! Server-sent events (HTML Living Standard, section 9.2), as far as our server uses them, and going on behind a cut.

use std::collections::VecDeque;

use reqwest::Response;
use tokio::time::Instant;

use super::patience::Trouble;
use super::{Backoff, CallError, Client};

/// Longest event, bytes.
const LONGEST: usize = 16 << 20;

/// Follows something that grows.
#[derive(Debug)]
pub struct Follower {
    client: Client,
    path: String,
    /// The id of the last event.
    last: Option<String>,
    response: Option<Response>,
    buffer: Vec<u8>,
    ready: VecDeque<Followed>,
    backoff: Backoff,
    /// The server is not to be asked before. Kept here: who waits for the next event may stop, and wait for it again.
    not_before: Option<Instant>,
    trouble: Trouble,
}

/// One event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Followed {
    /// Its kind; `message` where it says none.
    pub event: String,
    /// Where to go on behind it.
    pub id: Option<String>,
    /// What it says.
    pub data: String,
}

impl Follower {
    /// Follows what is at `path`, from behind the event `last` on, if there is one.
    #[must_use]
    pub fn new(client: &Client, path: String, last: Option<String>) -> Self {
        Self {
            client: client.clone(),
            path,
            last,
            response: None,
            buffer: Vec::new(),
            ready: VecDeque::new(),
            backoff: Backoff::default(),
            not_before: None,
            trouble: Trouble::new(client.patience()),
        }
    }

    /// The next event. Connects again, and goes on where it was, for as long as the server can be reached some day. The end of
    /// the stream is an event too (`end`): the caller stops there. Cancel safe.
    ///
    /// # Errors
    /// When the server refuses.
    pub async fn next(&mut self) -> Result<Followed, CallError> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                if event.id.is_some() {
                    self.last.clone_from(&event.id);
                }
                return Ok(event);
            }
            let Some(response) = &mut self.response else {
                self.connect().await?;
                continue;
            };
            match response.chunk().await {
                Ok(Some(piece)) => {
                    self.buffer.extend_from_slice(&piece);
                    self.backoff = Backoff::default();
                    self.ready.extend(take(&mut self.buffer));
                    if self.buffer.len() > LONGEST {
                        self.cut();
                    }
                }
                Ok(None) | Err(_) => self.cut(),
            }
        }
    }

    /// What comes up to the event `last` is known.
    pub fn skip_to(&mut self, last: String) {
        self.last = Some(last);
    }

    async fn connect(&mut self) -> Result<(), CallError> {
        if let Some(at) = self.not_before {
            tokio::time::sleep_until(at).await;
            self.not_before = None;
        }
        match self.client.stream(&self.path, self.last.as_deref()).await {
            Ok(response) => {
                self.trouble.over();
                self.response = Some(response);
                Ok(())
            }
            Err(error) if error.is_worth_another_attempt() => {
                let wait = self.backoff.wait();
                let wait = error.after().map_or(wait, |after| after.max(wait));
                tracing::debug!(%error, "the server cannot be followed for now");
                let wait = self.trouble.failed(error, wait)?;
                self.not_before = Some(Instant::now() + wait);
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    fn cut(&mut self) {
        self.response = None;
        self.buffer.clear();
        self.not_before = Some(Instant::now() + self.backoff.wait());
    }
}

/// Takes the events that are whole.
fn take(buffer: &mut Vec<u8>) -> Vec<Followed> {
    let mut events = Vec::new();
    let mut taken = 0;
    while let Some(length) = buffer[taken..].windows(2).position(|pair| pair == b"\n\n") {
        let text = String::from_utf8_lossy(&buffer[taken..taken + length]);
        taken += length + 2;
        let mut event = Followed::default();
        let mut has_data = false;
        for line in text.lines() {
            let (field, value) = line.split_once(':').unwrap_or((line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "event" => value.clone_into(&mut event.event),
                "id" => event.id = Some(value.to_owned()),
                "data" => {
                    if has_data {
                        event.data.push('\n');
                    }
                    has_data = true;
                    event.data.push_str(value);
                }
                // A comment keeps the connection alive.
                _ => {}
            }
        }
        if event.event.is_empty() {
            "message".clone_into(&mut event.event);
        }
        if has_data || event.event != "message" {
            events.push(event);
        }
    }
    buffer.drain(..taken);
    events
}

#[cfg(test)]
mod tests {
    use super::{Followed, take};

    #[test]
    fn events_are_whole_or_wait() {
        let mut buffer = b": hello\n\nid: 7\nevent: log\ndata: a\ndata:  b\n\ndata: {".to_vec();
        let event = Followed {
            event: "log".to_owned(),
            id: Some("7".to_owned()),
            data: "a\n b".to_owned(),
        };
        assert_eq!(take(&mut buffer), [event]);
        assert_eq!(buffer, b"data: {");
        buffer.extend_from_slice(b"}\n\nevent: end\n\n");
        let events = take(&mut buffer);
        assert_eq!(
            (events[0].data.as_str(), events[1].event.as_str()),
            ("{}", "end")
        );
    }
}
