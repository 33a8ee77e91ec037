//! The client's half of the OCI distribution protocol: manifests and blobs of a registry, nothing pushed.
//!
//! ```text
//! Reference -> endpoints (mirrors, then the registry) -> request (token, redirects, retries) -> bytes, verified
//! ```
//!
//! A registry's answer is hostile until proven otherwise: bounded, checked against its digest, its words printed without
//! control characters. Credentials go to the registry they are for and to the token server it names, never further.
//!
//! Neighbours: `image` reads what arrives here; `transport` offers it beside the other sources.

mod auth;
mod authorities;
mod blob;
mod challenge;
mod client;
mod connection;
mod credentials;
mod endpoint;
mod error;
mod helper;
mod keep;
mod login;
mod request;
mod retry;
mod settings;

#[cfg(test)]
pub(crate) mod fake;
#[cfg(test)]
mod slow;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod vendors;

pub use authorities::{AuthoritiesError, check_authorities};
pub use blob::Blob;
pub use client::{Client, Fetched};
pub use credentials::CredentialsError;
pub use error::{Corruption, Error, Outage, Place};
pub use keep::{KeptIn, forget_log_in, keep_log_in};
pub use settings::{Settings, Timing};
