//! A blob on its way: bytes in order, however often the connection breaks, verified at the end.
//!
//! ```text
//! Idle --ask--> Streaming --chunk--> Streaming --all there, digest right--> end
//!   ^               |
//!   +--- broken ----+   a request for the rest (Range), bounded in number
//! ```

use bytes::Bytes;
use reqwest::header::{CONTENT_LENGTH, CONTENT_RANGE};
use reqwest::{Method, Response, StatusCode};
use tokio::time::Instant;

use super::client::Client;
use super::endpoint::Endpoint;
use super::error::{Corruption, Error, Outage};
use super::request::{Ask, place};
use super::retry::Retry;
use super::settings::LEAST;
use crate::image::{Digest, Hasher, Reference};

/// A server that breaks this often is given up, even when each connection brings a little.
const MAX_BREAKS: u32 = 100;

/// Windows in a row that may bring too little.
const MAX_SLOW: u32 = 2;

/// A blob on its way.
pub struct Blob<'a> {
    client: &'a Client,
    reference: &'a Reference,
    endpoints: Vec<Endpoint>,
    /// Into `endpoints`; goes on to the next one that has the blob, never back.
    current: usize,
    digest: Digest,
    size: u64,
    /// `None` when it is verified elsewhere.
    hasher: Option<Hasher>,
    /// Bytes handed out.
    offset: u64,
    /// Bytes of the current response that were handed out before, by a server that knows no ranges.
    surplus: u64,
    response: Option<Response>,
    breaks: u32,
    retry: Retry,
    /// When the bytes began to be counted, and where the download was then.
    window: (Instant, u64),
    /// Windows in a row that brought too little.
    slow: u32,
}

impl<'a> Blob<'a> {
    pub(super) fn new(
        client: &'a Client,
        reference: &'a Reference,
        endpoints: Vec<Endpoint>,
        digest: Digest,
        size: u64,
    ) -> Self {
        let retry = Retry::new(client.settings.timing);
        Self {
            client,
            reference,
            endpoints,
            current: 0,
            digest,
            size,
            hasher: Some(Hasher::default()),
            offset: 0,
            surplus: 0,
            response: None,
            breaks: 0,
            retry,
            window: (Instant::now(), 0),
            slow: 0,
        }
    }

    /// Whoever takes the bytes finds out whether they are what the descriptor says; here they are only counted.
    #[must_use]
    pub(crate) fn verified_elsewhere(self) -> Self {
        Self {
            hasher: None,
            ..self
        }
    }

    /// The next bytes; `None` after the last, when all of them have arrived and are what the descriptor says. What was
    /// handed out before an error must not be kept.
    ///
    /// # Errors
    /// No endpoint has the blob, the connection breaks too often, or the content is not the one meant.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, Error> {
        loop {
            let Some(response) = &mut self.response else {
                self.open().await?;
                continue;
            };
            match response.chunk().await {
                Ok(Some(chunk)) => {
                    let known = self.surplus.min(chunk.len() as u64);
                    self.surplus -= known;
                    let chunk = chunk.slice(usize::try_from(known).unwrap_or(chunk.len())..);
                    if chunk.is_empty() {
                        continue;
                    }
                    self.offset += chunk.len() as u64;
                    if self.offset > self.size {
                        let actual = self.offset;
                        return Err(self.corrupt(Corruption::Size {
                            expected: self.size,
                            actual,
                        }));
                    }
                    if let Some(hasher) = &mut self.hasher {
                        hasher.update(&chunk);
                    }
                    self.demand_progress()?;
                    self.retry = Retry::new(self.client.settings.timing);
                    return Ok(Some(chunk));
                }
                Ok(None) if self.offset == self.size => return self.verify().map(|()| None),
                Ok(None) => self.broken(None).await?,
                Err(error) => self.broken(Some(error)).await?,
            }
        }
    }

    /// Refuses a server that sends just enough to keep the connection. One window may have another reason: a reader that
    /// was busy, or stopped.
    fn demand_progress(&mut self) -> Result<(), Error> {
        let within = self.client.settings.timing.window;
        let (since, offset) = self.window;
        if since.elapsed() < within {
            return Ok(());
        }
        let bytes = self.offset - offset;
        self.window = (Instant::now(), self.offset);
        if bytes >= LEAST || self.offset == self.size {
            self.slow = 0;
            return Ok(());
        }
        self.slow += 1;
        if self.slow < MAX_SLOW {
            return Ok(());
        }
        Err(Error::Unavailable {
            place: place(&self.ask()),
            outage: Outage::Slow { bytes, within },
        })
    }

    /// Asks for what is missing, of the current endpoint and then the next ones.
    async fn open(&mut self) -> Result<(), Error> {
        loop {
            let ask = self.ask();
            let error = match self.client.send(&ask).await {
                Ok(response) => match accept(&response, self.offset, self.size) {
                    Ok(surplus) => {
                        self.surplus = surplus;
                        self.response = Some(response);
                        self.window = (Instant::now(), self.offset);
                        return Ok(());
                    }
                    Err(corruption) => self.corrupt(corruption),
                },
                Err(error) => error,
            };
            if self.current + 1 >= self.endpoints.len() {
                return Err(error);
            }
            tracing::debug!(%error, "asking the next endpoint");
            self.current += 1;
        }
    }

    async fn broken(&mut self, error: Option<reqwest::Error>) -> Result<(), Error> {
        self.response = None;
        self.breaks += 1;
        let pause = self.retry.next(None).filter(|_| self.breaks < MAX_BREAKS);
        let Some(pause) = pause else {
            let Self {
                breaks,
                offset,
                size,
                ..
            } = *self;
            let outage = match error {
                Some(error) if breaks == 1 => Outage::Transport(error.without_url()),
                _ => Outage::Broken {
                    breaks,
                    offset,
                    size,
                },
            };
            return Err(Error::Unavailable {
                place: place(&self.ask()),
                outage,
            });
        };
        tracing::debug!(
            offset = self.offset,
            size = self.size,
            breaks = self.breaks,
            "the connection broke"
        );
        tokio::time::sleep(pause).await;
        Ok(())
    }

    fn verify(&self) -> Result<(), Error> {
        let actual = self.hasher.clone().map(Hasher::finish);
        let Some(actual) = actual.filter(|actual| *actual != self.digest) else {
            return Ok(());
        };
        Err(self.corrupt(Corruption::Digest {
            expected: self.digest,
            actual,
        }))
    }

    fn ask(&self) -> Ask<'_> {
        let endpoint = &self.endpoints[self.current];
        Ask::new(
            self.reference,
            endpoint,
            Method::GET,
            "blobs",
            &self.digest.to_string(),
        )
        .from(self.offset)
    }

    fn corrupt(&self, corruption: Corruption) -> Error {
        Error::Corrupt {
            place: place(&self.ask()),
            corruption,
        }
    }
}

/// Checks that an answer is the part asked for; returns how many of its bytes we have already.
fn accept(response: &Response, offset: u64, size: u64) -> Result<u64, Corruption> {
    let header = |name| {
        response
            .headers()
            .get(name)
            .and_then(|value| value.to_str().ok())
    };
    let (surplus, expected) = if response.status() == StatusCode::PARTIAL_CONTENT {
        let from =
            header(CONTENT_RANGE).and_then(|range| range.strip_prefix("bytes ")?.split('-').next());
        if from.and_then(|from| from.parse().ok()) != Some(offset) {
            return Err(Corruption::Range { offset });
        }
        (0, size - offset)
    } else {
        (offset, size)
    };
    match header(CONTENT_LENGTH).and_then(|length| length.parse::<u64>().ok()) {
        Some(actual) if actual != expected => Err(Corruption::Size { expected, actual }),
        _ => Ok(surplus),
    }
}

impl std::fmt::Debug for Blob<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Blob")
            .field("digest", &self.digest)
            .field("offset", &self.offset)
            .field("size", &self.size)
            .finish_non_exhaustive()
    }
}
