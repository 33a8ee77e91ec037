//! Calls to a server.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use protocol::service::{Problem, path, version};
use reqwest::{Method, RequestBuilder, Response, StatusCode, header};
use runtime::registry::check_authorities;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::persist::persist_for;
use super::{CallError, Patience, Pieces, ServerUrl};
use crate::chain::chain;

/// How long a connection may take to be there.
const CONNECT: Duration = Duration::from_secs(10);

/// How long an answer may take, unless the call waits by its nature.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long a connection is kept that nobody uses: less than a server keeps it.
const IDLE: Duration = Duration::from_secs(20);

/// However long a server says to wait.
const LATEST: Duration = Duration::from_secs(5 * 60);

/// Largest answer that is read, bytes.
const LARGEST: usize = 128 << 20;

/// Whom to trust beside the authorities that the machine knows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trust {
    /// A file with certificates in PEM.
    pub authorities: Option<PathBuf>,
}

/// Makes calls to one server. Clones share their connections.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    server: ServerUrl,
    /// What the server is shown, as the header says it.
    authorization: Option<Arc<str>>,
    patience: Option<Patience>,
}

impl std::fmt::Debug for Client {
    /// Without the token.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client")
            .field("server", &self.server)
            .finish_non_exhaustive()
    }
}

impl Client {
    /// A client that shows this token.
    ///
    /// # Errors
    /// [`CallError::Setup`].
    pub fn new(server: ServerUrl, token: Option<&str>, trust: &Trust) -> Result<Self, CallError> {
        check_authorities()?;
        let setup = |error: &dyn std::error::Error| CallError::Setup(chain(error));
        // A second one in a process is refused, and not needed.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("slipway-agent/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT)
            .redirect(reqwest::redirect::Policy::none())
            .pool_max_idle_per_host(4)
            .pool_idle_timeout(IDLE);
        if let Some(path) = &trust.authorities {
            let text = std::fs::read(path).map_err(|error| {
                CallError::Setup(format!("failed to read {}: {error}", path.display()))
            })?;
            let certificates =
                reqwest::Certificate::from_pem_bundle(&text).map_err(|error| setup(&error))?;
            builder = builder.tls_certs_merge(certificates);
        }
        let http = builder.build().map_err(|error| setup(&error))?;
        Ok(Self {
            http,
            server,
            authorization: token.map(|token| format!("Bearer {token}").into()),
            patience: None,
        })
    }

    /// The server.
    #[must_use]
    pub const fn server(&self) -> &ServerUrl {
        &self.server
    }

    /// The same with another token.
    #[must_use]
    pub fn with_token(&self, token: &str) -> Self {
        Self {
            authorization: Some(format!("Bearer {token}").into()),
            ..self.clone()
        }
    }

    /// The same for a person, who hears of a server that is full or away, and does not wait for ever.
    #[must_use]
    pub fn with_patience(self, patience: Patience) -> Self {
        Self {
            patience: Some(patience),
            ..self
        }
    }

    pub(super) fn patience(&self) -> Option<Patience> {
        self.patience.clone()
    }

    /// Whether a call that is made until it is answered has not been yet: one that is made by the way is to take nobody's place.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        self.patience.as_ref().is_some_and(Patience::is_tried)
    }

    /// Makes a call until the server has said something that will not change, as [`persist`](super::persist) does, for as long as
    /// this client's patience lasts.
    ///
    /// # Errors
    /// The refusal, or [`CallError::Lasting`].
    pub async fn persist<T, F: Future<Output = Result<T, CallError>>>(
        &self,
        what: &str,
        call: impl FnMut() -> F,
    ) -> Result<T, CallError> {
        persist_for(self.patience(), what, call).await
    }

    /// Gets something.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, CallError> {
        self.answer(self.request(Method::GET, path)).await
    }

    /// Gets something that the caller has as it was at `tag`, as soon as it is another, or `wait` is over: `None`. With its new tag; a
    /// server that gives none does not wait either.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn changed<T: DeserializeOwned>(
        &self,
        path: &str,
        tag: Option<&str>,
        wait: Duration,
    ) -> Result<Option<(T, Option<String>)>, CallError> {
        let mut request = self.request(Method::GET, path);
        if let Some(tag) = tag {
            request = request
                .header(header::IF_NONE_MATCH, tag)
                .header("prefer", format!("wait={}", wait.as_secs()));
        }
        let response = self.send(request, Some(PATIENCE + wait)).await?;
        if response.status() == StatusCode::NOT_MODIFIED {
            return Ok(None);
        }
        let tag = response.headers().get(header::ETAG);
        let tag = tag.and_then(|tag| Some(tag.to_str().ok()?.to_owned()));
        Ok(Some((self.read(response).await?, tag)))
    }

    /// Posts something and reads the answer.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &(impl Serialize + Sync),
    ) -> Result<T, CallError> {
        self.answer(self.request(Method::POST, path).json(body))
            .await
    }

    /// Posts something whose answer says nothing.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn tell(
        &self,
        path: &str,
        body: Option<&(impl Serialize + Sync)>,
    ) -> Result<(), CallError> {
        let request = self.request(Method::POST, path);
        let request = match body {
            Some(body) => request.json(body),
            None => request,
        };
        self.send(request, Some(PATIENCE)).await.map(|_| ())
    }

    /// Puts something whose answer says nothing.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn put(&self, path: &str, body: &(impl Serialize + Sync)) -> Result<(), CallError> {
        let request = self.request(Method::PUT, path).json(body);
        self.send(request, Some(PATIENCE)).await.map(|_| ())
    }

    /// Deletes something.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn delete(&self, path: &str) -> Result<(), CallError> {
        let request = self.request(Method::DELETE, path);
        self.send(request, Some(PATIENCE)).await.map(|_| ())
    }

    /// Posts something whose answer may take as long as `wait`, and may be that there is none.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn wait<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &(impl Serialize + Sync),
        wait: Duration,
    ) -> Result<Option<T>, CallError> {
        let request = self.request(Method::POST, path).json(body);
        let response = self.send(request, Some(PATIENCE + wait)).await?;
        if response.status() == StatusCode::NO_CONTENT {
            return Ok(None);
        }
        self.read(response).await.map(Some)
    }

    /// Sends a piece of a log.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn patch<T: DeserializeOwned>(
        &self,
        path: &str,
        offset: u64,
        bytes: Vec<u8>,
    ) -> Result<T, CallError> {
        let request = self
            .request(Method::PATCH, path)
            .header(path::OFFSET_HEADER, offset)
            .header(header::CONTENT_TYPE, "application/octet-stream")
            .body(bytes);
        self.answer(request).await
    }

    /// The bytes of something, from an offset on.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn bytes(&self, path: &str, from: u64) -> Result<Pieces, CallError> {
        let request = self
            .request(Method::GET, path)
            .header(header::RANGE, format!("bytes={from}-"));
        let response = self.send(request, None).await?;
        Pieces::of(response, self.server.to_string(), from)
    }

    /// A stream of server-sent events, from behind `last` on.
    ///
    /// # Errors
    /// See [`CallError`].
    pub(super) async fn stream(
        &self,
        path: &str,
        last: Option<&str>,
    ) -> Result<Response, CallError> {
        let mut request = self
            .request(Method::GET, path)
            .header(header::ACCEPT, "text/event-stream");
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        self.send(request, None).await
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self
            .http
            .request(method, self.server.join(path))
            .header(version::HEADER, version::header());
        match &self.authorization {
            Some(token) => request.header(header::AUTHORIZATION, &**token),
            None => request,
        }
    }

    async fn answer<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, CallError> {
        let response = self.send(request, Some(PATIENCE)).await?;
        self.read(response).await
    }

    async fn send(
        &self,
        request: RequestBuilder,
        patience: Option<Duration>,
    ) -> Result<Response, CallError> {
        let request = match patience {
            Some(patience) => request.timeout(patience),
            None => request,
        };
        let response = request
            .send()
            .await
            .map_err(|error| self.unreachable(error))?;
        if response.status().is_success() || response.status() == StatusCode::NOT_MODIFIED {
            return Ok(response);
        }
        let status = response.status().as_u16();
        let after = response
            .headers()
            .get(header::RETRY_AFTER)
            .and_then(|value| value.to_str().ok()?.parse().ok())
            .map(|seconds| Duration::from_secs(seconds).min(LATEST));
        let body = self.body(response).await?;
        match serde_json::from_slice::<Problem>(&body) {
            Ok(problem) => Err(CallError::Refused {
                status,
                problem: Box::new(problem),
                after,
            }),
            Err(_) => Err(self.foreign(status, &body)),
        }
    }

    async fn read<T: DeserializeOwned>(&self, response: Response) -> Result<T, CallError> {
        let status = response.status().as_u16();
        let body = self.body(response).await?;
        serde_json::from_slice(&body).map_err(|error| CallError::Foreign {
            server: self.server.to_string(),
            status,
            text: error.to_string(),
        })
    }

    async fn body(&self, mut response: Response) -> Result<Vec<u8>, CallError> {
        let mut body = Vec::new();
        while let Some(piece) = response
            .chunk()
            .await
            .map_err(|error| self.unreachable(error))?
        {
            if body.len() + piece.len() > LARGEST {
                return Err(self.foreign(response.status().as_u16(), b"an answer without end"));
            }
            body.extend_from_slice(&piece);
        }
        Ok(body)
    }

    pub(super) fn unreachable(&self, error: reqwest::Error) -> CallError {
        CallError::Unreachable {
            server: self.server.to_string(),
            // Its address is in the message already.
            why: chain(&error.without_url()),
        }
    }

    fn foreign(&self, status: u16, body: &[u8]) -> CallError {
        let text: String = String::from_utf8_lossy(body)
            .chars()
            .map(|character| {
                if character.is_control() {
                    ' '
                } else {
                    character
                }
            })
            .take(200)
            .collect();
        CallError::Foreign {
            server: self.server.to_string(),
            status,
            text,
        }
    }
}
