//! One question to one server until it is answered: log-in, redirects, retries.
//!
//! ```text
//! send -> 2xx                  answered
//!      -> 3xx                  follow by hand: the log-in stays behind when the origin changes
//!      -> 401                  once: read the challenge, log in, send again
//!      -> 429, 5xx, no answer  pause and send again, a bounded number of times
//!      -> else                 a typed error with the server's words
//! ```

use std::time::{Duration, SystemTime};

use reqwest::header::{
    ACCEPT, AUTHORIZATION, HeaderMap, LOCATION, RANGE, RETRY_AFTER, WWW_AUTHENTICATE,
};
use reqwest::{Method, Response, StatusCode, Url};
use serde::Deserialize;

use super::auth::{self, Authorization, MAX_TOKEN, Plan, TokenRequest};
use super::challenge::{self, Challenge};
use super::client::{Client, header_digest};
use super::credentials::Credential;
use super::endpoint::{Endpoint, allows_http, host_and_port};
use super::error::{Corruption, Error, Outage, Place, printable};
use super::retry::{Retry, retry_after};
use crate::image::{Digest, Reference};

const MAX_REDIRECTS: usize = 5;
/// Of an error's document, bytes that are read for its message.
const MAX_MESSAGE: u64 = 16 * 1024;
/// Its message is worth no more than this.
const MESSAGE_WAIT: Duration = Duration::from_secs(10);

/// One question.
#[derive(Debug)]
pub(super) struct Ask<'a> {
    reference: &'a Reference,
    endpoint: &'a Endpoint,
    method: Method,
    url: Url,
    accept: Option<&'static str>,
    /// The first byte wanted.
    from: u64,
}

impl<'a> Ask<'a> {
    pub(super) fn new(
        reference: &'a Reference,
        endpoint: &'a Endpoint,
        method: Method,
        kind: &str,
        version: &str,
    ) -> Self {
        let url = endpoint.url(kind, version);
        Self {
            reference,
            endpoint,
            method,
            url,
            accept: None,
            from: 0,
        }
    }

    pub(super) fn accept(mut self, types: &'static str) -> Self {
        self.accept = Some(types);
        self
    }

    pub(super) fn from(mut self, offset: u64) -> Self {
        self.from = offset;
        self
    }
}

/// For an error about a question.
pub(super) fn place(ask: &Ask<'_>) -> Place {
    Place {
        image: ask.reference.to_string(),
        url: shown(&ask.url),
    }
}

/// A URL without what may be secret in it.
pub(super) fn shown(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.set_fragment(None);
    // These fail only for URLs that have no host.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    printable(url.as_str())
}

impl Client {
    /// Asks for a whole document of at most `limit` bytes; also returns the digest that the server says it has.
    pub(super) async fn fetch(
        &self,
        ask: &Ask<'_>,
        limit: u64,
    ) -> Result<(Option<Digest>, Vec<u8>), Error> {
        let mut retry = Retry::new(self.settings.timing);
        loop {
            let response = self.send(ask).await?;
            let told = header_digest(&response);
            match body(response, limit, self.settings.timing.document).await {
                Ok(Some(bytes)) => return Ok((told, bytes)),
                Ok(None) => {
                    let corruption = Corruption::TooLarge { limit };
                    return Err(Error::Corrupt {
                        place: place(ask),
                        corruption,
                    });
                }
                Err(error) => match retry.next(None) {
                    Some(pause) => tokio::time::sleep(pause).await,
                    None => return Err(error.at(place(ask))),
                },
            }
        }
    }

    /// Asks until there is an answer worth having: 200, or 206 when a part was asked for.
    pub(super) async fn send(&self, ask: &Ask<'_>) -> Result<Response, Error> {
        let mut retry = Retry::new(self.settings.timing);
        let mut has_logged_in = false;
        loop {
            let failure = match self.follow(ask).await {
                Ok(response) if response.status().is_success() => return Ok(response),
                Ok(response) if response.status() == StatusCode::UNAUTHORIZED && !has_logged_in => {
                    has_logged_in = true;
                    if self.log_in(ask, response.headers()).await? {
                        continue;
                    }
                    return Err(refused(ask, response).await);
                }
                Ok(response) => refused(ask, response).await,
                Err(error) => error,
            };
            let Error::Unavailable { outage, .. } = &failure else {
                return Err(failure);
            };
            match retry.next(outage.retry_after()) {
                Some(pause) => {
                    tracing::debug!(%failure, ?pause, "trying again");
                    tokio::time::sleep(pause).await;
                }
                None => return Err(failure),
            }
        }
    }

    /// Sends once, and goes where it is sent on to.
    async fn follow(&self, ask: &Ask<'_>) -> Result<Response, Error> {
        let mut url = ask.url.clone();
        for _ in 0..=MAX_REDIRECTS {
            let mut headers = HeaderMap::new();
            if let Some(types) = ask.accept {
                headers.insert(ACCEPT, reqwest::header::HeaderValue::from_static(types));
            }
            let mut request = self
                .http(&url)?
                .request(ask.method.clone(), url.clone())
                .headers(headers);
            if ask.from > 0 {
                request = request.header(RANGE, format!("bytes={}-", ask.from));
            }
            if url.origin() == ask.url.origin() {
                request = match self.authorization(ask) {
                    None => request,
                    Some(Authorization::Basic { user, password }) => {
                        request.basic_auth(user, Some(password))
                    }
                    Some(Authorization::Bearer(token)) => {
                        request.header(AUTHORIZATION, format!("Bearer {token}"))
                    }
                };
            }
            let response = request
                .send()
                .await
                .map_err(|error| transport(ask, error))?;
            if !response.status().is_redirection() || response.status() == StatusCode::NOT_MODIFIED
            {
                return Ok(response);
            }
            url = self.redirected(ask, &url, &response)?;
        }
        Err(Error::Redirect {
            place: place(ask),
            target: format!("{} (too many redirects)", shown(&url)),
        })
    }

    /// Where a redirect leads, if we may go there: not from https to http.
    fn redirected(&self, ask: &Ask<'_>, from: &Url, response: &Response) -> Result<Url, Error> {
        let location = response
            .headers()
            .get(LOCATION)
            .and_then(|value| value.to_str().ok());
        let target = location.and_then(|location| from.join(location).ok());
        let refuse = |target: String| Error::Redirect {
            place: place(ask),
            target,
        };
        let Some(target) = target else {
            return Err(refuse("nowhere".to_owned()));
        };
        let is_downgrade = target.scheme() == "http"
            && from.scheme() == "https"
            && !allows_http(&self.settings, &host_and_port(&target));
        if !matches!(target.scheme(), "http" | "https") || target.host().is_none() || is_downgrade {
            return Err(refuse(shown(&target)));
        }
        Ok(target)
    }

    /// Makes the next request carry what the server wants; `false` when we have nothing.
    async fn log_in(&self, ask: &Ask<'_>, headers: &HeaderMap) -> Result<bool, Error> {
        let refuse = |reason| Error::Challenge {
            place: place(ask),
            reason,
        };
        let mut challenges: Vec<Challenge> = Vec::new();
        for header in headers.get_all(WWW_AUTHENTICATE) {
            let read = header.to_str().ok().and_then(challenge::parse);
            challenges.extend(
                read.ok_or_else(|| refuse("the registry's WWW-Authenticate header is malformed"))?,
            );
        }
        // A 401 has to say what it wants (RFC 9110, 15.5.2); one that does not is a plain refusal.
        if challenges.is_empty() {
            return Ok(false);
        }
        let credential = self
            .credentials
            .find(&ask.endpoint.registry, &ask.endpoint.repository)
            .await?;
        let authorization = match auth::plan(
            &challenges,
            credential,
            ask.endpoint,
            &ask.url,
            &self.settings,
        ) {
            Plan::Nothing => return Ok(false),
            Plan::Refuse(reason) => return Err(refuse(reason)),
            Plan::Basic { user, password } => Authorization::Basic { user, password },
            Plan::Token(request) => Authorization::Bearer(self.token(ask, request).await?),
        };
        if let Ok(mut tokens) = self.tokens.lock() {
            tokens.insert(token_key(ask), authorization);
        }
        Ok(true)
    }

    async fn token(&self, ask: &Ask<'_>, request: TokenRequest) -> Result<String, Error> {
        let TokenRequest {
            url,
            credential,
            form,
        } = request;
        let token_place = Ask {
            url: url.clone(),
            ..Ask::new(ask.reference, ask.endpoint, Method::GET, "", "")
        };
        let http = self.http(&url)?;
        let send = async || {
            let mut request = match &form {
                None => http.get(url.clone()),
                Some(form) => http.post(url.clone()).form(form),
            };
            if let Some(Credential::Basic { user, password }) = &credential {
                request = request.basic_auth(user, Some(password));
            }
            let response = request
                .send()
                .await
                .map_err(|error| transport(&token_place, error))?;
            if response.status().is_success() {
                Ok(response)
            } else {
                Err(refused(&token_place, response).await)
            }
        };
        let mut retry = Retry::new(self.settings.timing);
        let response = loop {
            match send().await {
                Err(Error::Unavailable { place, outage }) => {
                    match retry.next(outage.retry_after()) {
                        Some(pause) => tokio::time::sleep(pause).await,
                        None => return Err(Error::Unavailable { place, outage }),
                    }
                }
                result => break result?,
            }
        };
        let bytes = body(response, MAX_TOKEN, self.settings.timing.document)
            .await
            .map_err(|error| error.at(place(&token_place)))?;
        bytes
            .and_then(|bytes| auth::token_of(&bytes))
            .ok_or_else(|| Error::Challenge {
                place: place(&token_place),
                reason: "the token server gave no token",
            })
    }

    fn authorization(&self, ask: &Ask<'_>) -> Option<Authorization> {
        self.tokens.lock().ok()?.get(&token_key(ask)).cloned()
    }
}

fn token_key(ask: &Ask<'_>) -> (String, String) {
    (
        ask.url.origin().ascii_serialization(),
        ask.endpoint.repository.clone(),
    )
}

pub(super) fn transport(ask: &Ask<'_>, error: reqwest::Error) -> Error {
    transport_at(place(ask), error)
}

pub(super) fn transport_at(place: Place, error: reqwest::Error) -> Error {
    Error::Unavailable {
        place,
        outage: Outage::Transport(error.without_url()),
    }
}

/// The error that a status stands for.
async fn refused(ask: &Ask<'_>, response: Response) -> Error {
    refused_at(place(ask), response).await
}

/// The same for a question that is not about an image.
pub(super) async fn refused_at(place: Place, response: Response) -> Error {
    let status = response.status();
    let wait = response
        .headers()
        .get(RETRY_AFTER)
        .and_then(|value| value.to_str().ok());
    let wait = wait.and_then(|value| retry_after(value, SystemTime::now()));
    let message = message(response).await;
    let (code, outage) = (status.as_u16(), |outage| Error::Unavailable {
        place: place.clone(),
        outage,
    });
    match status {
        StatusCode::TOO_MANY_REQUESTS => outage(Outage::Quota {
            retry_after: wait,
            message,
        }),
        StatusCode::REQUEST_TIMEOUT => outage(Outage::Status {
            status: code,
            message,
        }),
        _ if status.is_server_error() => outage(Outage::Status {
            status: code,
            message,
        }),
        StatusCode::NOT_FOUND => Error::NotFound { place, message },
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Error::Unauthorized {
            place,
            status: code,
            message,
        },
        _ => Error::Refused {
            place,
            status: code,
            message,
        },
    }
}

/// `{"errors":[{"code":..,"message":..}]}` (distribution specification, "Error Codes"); nothing else is repeated.
#[derive(Deserialize)]
struct Complaints {
    errors: Vec<Complaint>,
}

#[derive(Deserialize)]
struct Complaint {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
}

async fn message(response: Response) -> String {
    let Ok(Some(bytes)) = body(response, MAX_MESSAGE, MESSAGE_WAIT).await else {
        return String::new();
    };
    let complaint = serde_json::from_slice::<Complaints>(&bytes)
        .ok()
        .and_then(|mut c| c.errors.drain(..).next());
    complaint.map_or_else(String::new, |Complaint { code, message }| {
        printable(if message.is_empty() { &code } else { &message })
    })
}

/// Why a document did not arrive.
pub(super) enum Unread {
    Transport(reqwest::Error),
    /// This much came within the time that there is.
    Slow(u64, Duration),
}

impl Unread {
    pub(super) fn at(self, place: Place) -> Error {
        match self {
            Self::Transport(error) => transport_at(place, error),
            Self::Slow(bytes, within) => Error::Unavailable {
                place,
                outage: Outage::Slow { bytes, within },
            },
        }
    }
}

/// The whole body, or `None` when it is larger than `limit`.
pub(super) async fn body(
    mut response: Response,
    limit: u64,
    within: Duration,
) -> Result<Option<Vec<u8>>, Unread> {
    let mut bytes = Vec::new();
    let end = tokio::time::Instant::now() + within;
    loop {
        match tokio::time::timeout_at(end, response.chunk()).await {
            Ok(Ok(Some(chunk))) if bytes.len() as u64 + chunk.len() as u64 > limit => {
                return Ok(None);
            }
            Ok(Ok(Some(chunk))) => bytes.extend_from_slice(&chunk),
            Ok(Ok(None)) => return Ok(Some(bytes)),
            Ok(Err(error)) => return Err(Unread::Transport(error)),
            Err(_) => return Err(Unread::Slow(bytes.len() as u64, within)),
        }
    }
}
