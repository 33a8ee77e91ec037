//! What can be asked of registries: a tag's digest, a manifest, a configuration, a layer.

use std::collections::HashMap;
use std::sync::{Mutex, OnceLock};

use reqwest::{Method, Url, redirect};

use super::auth::Authorization;
use super::authorities::check_authorities;
use super::blob::Blob;
use super::credentials::Credentials;
use super::endpoint::{Endpoint, endpoints, is_loopback};
use super::error::{Corruption, Error};
use super::request::{Ask, place};
use super::settings::Settings;
use crate::image::{Descriptor, Digest, MAX_MANIFEST, Reference};

/// The documents we read, the most useful first.
pub(super) const MANIFEST_TYPES: &str = "application/vnd.oci.image.index.v1+json, \
    application/vnd.docker.distribution.manifest.list.v2+json, \
    application/vnd.oci.image.manifest.v1+json, \
    application/vnd.docker.distribution.manifest.v2+json";

/// A client of all registries, with one pool of connections and one memory of tokens.
pub struct Client {
    /// Set up when first needed: it takes reading all of the machine's root certificates.
    secure: OnceLock<reqwest::Client>,
    /// For http on loopback addresses, which no proxy can reach and no certificate covers.
    loopback: reqwest::Client,
    pub(super) settings: Settings,
    pub(super) credentials: Credentials,
    /// By origin and repository. Never held across an await.
    pub(super) tokens: Mutex<HashMap<(String, String), Authorization>>,
}

/// A document as the registry serves it, its digest checked.
#[derive(Debug, Clone)]
pub struct Fetched {
    /// The document.
    pub bytes: Vec<u8>,
    /// Of the bytes.
    pub digest: Digest,
}

impl Client {
    /// Reads the log-ins and sets up connections; asks nothing yet.
    ///
    /// # Errors
    /// The log-ins or the named authorities cannot be read, or TLS cannot be set up.
    pub fn new(settings: &Settings) -> Result<Self, Error> {
        check_authorities()?;
        // The first choice in a process stands; whichever it is will do.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let loopback = builder(settings)
            .no_proxy()
            .tls_certs_only([])
            .build()
            .map_err(Error::Setup)?;
        Ok(Self {
            secure: OnceLock::new(),
            loopback,
            settings: settings.clone(),
            credentials: Credentials::load(settings.docker_config.as_deref())?,
            tokens: Mutex::default(),
        })
    }

    /// The connections that a URL is asked over.
    pub(super) fn http(&self, url: &Url) -> Result<&reqwest::Client, Error> {
        if url.scheme() == "http" && url.host_str().is_some_and(is_loopback) {
            return Ok(&self.loopback);
        }
        if let Some(client) = self.secure.get() {
            return Ok(client);
        }
        let client = builder(&self.settings).build().map_err(Error::Setup)?;
        Ok(self.secure.get_or_init(|| client))
    }

    /// What a tag points to now, without its content; `None` when the registry does not say.
    ///
    /// # Errors
    /// No endpoint answers, or the image is not there.
    pub async fn digest(&self, reference: &Reference) -> Result<Option<Digest>, Error> {
        let mut attempts = self.attempts(reference)?;
        while let Some(endpoint) = attempts.next() {
            let ask = Ask::new(
                reference,
                &endpoint,
                Method::HEAD,
                "manifests",
                &reference.version(),
            );
            match self.send(&ask.accept(MANIFEST_TYPES)).await {
                Ok(response) => return Ok(header_digest(&response)),
                Err(error) => attempts.failed(&endpoint, error),
            }
        }
        Err(attempts.into_error())
    }

    /// The document that the reference names.
    ///
    /// # Errors
    /// No endpoint answers, the image is not there, or it is not what its digest says.
    pub async fn manifest(&self, reference: &Reference) -> Result<Fetched, Error> {
        self.document(reference, &reference.version(), reference.digest(), None)
            .await
    }

    /// A manifest that an index of the image points to.
    ///
    /// # Errors
    /// As for [`Client::manifest`].
    pub async fn manifest_of(
        &self,
        reference: &Reference,
        descriptor: &Descriptor,
    ) -> Result<Fetched, Error> {
        let digest = descriptor.digest;
        self.document(
            reference,
            &digest.to_string(),
            Some(digest),
            Some(descriptor.size),
        )
        .await
    }

    /// The start of a blob's download. Nothing is asked before the first [`Blob::chunk`].
    ///
    /// # Errors
    /// A setting is no URL.
    pub fn blob<'a>(
        &'a self,
        reference: &'a Reference,
        descriptor: &Descriptor,
    ) -> Result<Blob<'a>, Error> {
        let endpoints = endpoints(reference, &self.settings)?;
        Ok(Blob::new(
            self,
            reference,
            endpoints,
            descriptor.digest,
            descriptor.size,
        ))
    }

    async fn document(
        &self,
        reference: &Reference,
        version: &str,
        digest: Option<Digest>,
        size: Option<u64>,
    ) -> Result<Fetched, Error> {
        let mut attempts = self.attempts(reference)?;
        while let Some(endpoint) = attempts.next() {
            let ask = Ask::new(reference, &endpoint, Method::GET, "manifests", version)
                .accept(MANIFEST_TYPES);
            match self.document_at(&ask, digest, size).await {
                Ok(fetched) => return Ok(fetched),
                Err(error) => attempts.failed(&endpoint, error),
            }
        }
        Err(attempts.into_error())
    }

    /// The document at one endpoint, checked.
    async fn document_at(
        &self,
        ask: &Ask<'_>,
        digest: Option<Digest>,
        size: Option<u64>,
    ) -> Result<Fetched, Error> {
        let (told, bytes) = self.fetch(ask, MAX_MANIFEST).await?;
        let corrupt = |corruption| Error::Corrupt {
            place: place(ask),
            corruption,
        };
        if let Some(expected) = size.filter(|size| *size != bytes.len() as u64) {
            return Err(corrupt(Corruption::Size {
                expected,
                actual: bytes.len() as u64,
            }));
        }
        let actual = Digest::of(&bytes);
        // What was asked for decides; what the server says of itself must be true as well.
        if let Some(expected) = [digest, told]
            .into_iter()
            .flatten()
            .find(|expected| *expected != actual)
        {
            return Err(corrupt(Corruption::Digest { expected, actual }));
        }
        Ok(Fetched {
            bytes,
            digest: actual,
        })
    }

    fn attempts(&self, reference: &Reference) -> Result<Attempts, Error> {
        Ok(Attempts {
            endpoints: endpoints(reference, &self.settings)?.into_iter(),
            last: Error::Registry(reference.registry().to_owned()),
        })
    }
}

/// The endpoints of a registry, asked in turn: the first answer counts, else the registry's own error, which comes last.
#[derive(Debug)]
struct Attempts {
    endpoints: std::vec::IntoIter<Endpoint>,
    last: Error,
}

impl Attempts {
    fn next(&mut self) -> Option<Endpoint> {
        self.endpoints.next()
    }

    fn failed(&mut self, endpoint: &Endpoint, error: Error) {
        tracing::debug!(%error, registry = endpoint.registry, "no answer");
        self.last = error;
    }

    fn into_error(self) -> Error {
        self.last
    }
}

fn builder(settings: &Settings) -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .user_agent(concat!("slipway/", env!("CARGO_PKG_VERSION")))
        .redirect(redirect::Policy::none())
        .connect_timeout(settings.timing.connect)
        .read_timeout(settings.timing.idle)
}

/// `Docker-Content-Digest`.
pub(super) fn header_digest(response: &reqwest::Response) -> Option<Digest> {
    response
        .headers()
        .get("docker-content-digest")?
        .to_str()
        .ok()?
        .parse()
        .ok()
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}
