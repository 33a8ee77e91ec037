//! Bytes of something long, from an offset on, as they come.

use std::time::Duration;

use bytes::Bytes;
use reqwest::{Response, StatusCode, header};

use super::CallError;

/// How long nothing may come.
const SILENCE: Duration = Duration::from_secs(60);

/// What a server sends of something, from the offset on that was asked for.
#[derive(Debug)]
pub struct Pieces {
    response: Response,
    server: String,
    /// Bytes that come first and were not asked for: what is in front of a server may send all there is.
    skipped: u64,
}

impl Pieces {
    pub(super) fn of(response: Response, server: String, from: u64) -> Result<Self, CallError> {
        let skipped = match response.status() {
            StatusCode::PARTIAL_CONTENT if begin(&response) == Some(from) => 0,
            StatusCode::OK => from,
            status => {
                return Err(CallError::Foreign {
                    server,
                    status: status.as_u16(),
                    text: format!("not the bytes from {from} on, which it was asked for"),
                });
            }
        };
        Ok(Self {
            response,
            server,
            skipped,
        })
    }

    /// What comes next; `None` at the end.
    ///
    /// # Errors
    /// [`CallError::Unreachable`] when it breaks off, or nothing comes for a minute.
    pub async fn next(&mut self) -> Result<Option<Bytes>, CallError> {
        loop {
            let piece = tokio::time::timeout(SILENCE, self.response.chunk()).await;
            let piece = piece.map_err(|_| self.broken(format!("nothing came for {SILENCE:?}")))?;
            let piece = piece.map_err(|error| self.broken(error.without_url().to_string()))?;
            let Some(mut piece) = piece else {
                return Ok(None);
            };
            let known = usize::try_from(self.skipped).unwrap_or(usize::MAX);
            let known = piece.split_to(known.min(piece.len()));
            self.skipped -= known.len() as u64;
            if !piece.is_empty() {
                return Ok(Some(piece));
            }
        }
    }

    fn broken(&self, why: String) -> CallError {
        CallError::Unreachable {
            server: self.server.clone(),
            why,
        }
    }
}

/// Where the bytes of an answer begin (RFC 9110, section 14.4).
fn begin(response: &Response) -> Option<u64> {
    let range = response.headers().get(header::CONTENT_RANGE)?;
    let range = range.to_str().ok()?.strip_prefix("bytes ")?;
    range.split_once('-')?.0.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, range: Option<&str>, body: &'static str) -> Response {
        let mut answer = http::Response::builder().status(status);
        if let Some(range) = range {
            answer = answer.header("content-range", range);
        }
        answer.body(body).unwrap().into()
    }

    async fn all(response: Response, from: u64) -> Result<String, CallError> {
        let mut pieces = Pieces::of(response, "here".to_owned(), from)?;
        let mut all = Vec::new();
        while let Some(piece) = pieces.next().await? {
            all.extend_from_slice(&piece);
        }
        Ok(String::from_utf8(all).unwrap())
    }

    #[tokio::test]
    async fn bytes_are_those_from_the_offset_on_whatever_is_in_between() {
        let partial = answer(206, Some("bytes 2-4/5"), "cde");
        assert_eq!(all(partial, 2).await.unwrap(), "cde");
        assert_eq!(all(answer(200, None, "abcde"), 2).await.unwrap(), "cde");
        assert_eq!(all(answer(200, None, "a"), 2).await.unwrap(), "");
        assert_eq!(all(answer(200, None, "abcde"), 0).await.unwrap(), "abcde");
        for wrong in [
            Some("bytes 0-4/5"),
            Some("bytes x"),
            Some("lines 2-4/5"),
            None,
        ] {
            let error = all(answer(206, wrong, "abcde"), 2).await.unwrap_err();
            assert_eq!(
                error.to_string(),
                "here answers 206, and not as a Slipway server does: not the bytes from 2 on, which it was asked for"
            );
        }
    }
}
