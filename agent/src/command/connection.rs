//! From options, variables and configuration to a client of the server.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use crate::cli::ServerOptions;
use crate::config;
use crate::source::{CallError, Client, ServerUrl, ServerUrlError, Trust};

/// Largest file with a token, bytes.
const LARGEST: u64 = 4096;

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum ConnectionError {
    /// Nobody has said where the server is.
    #[error("no server is named")]
    NoServer,
    /// The address is none.
    #[error(transparent)]
    Url(#[from] ServerUrlError),
    /// A file with a token cannot be read.
    #[error("failed to read the token file {path}: {source}", path = path.display())]
    TokenFile {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A token is not what one can be.
    #[error("the token is empty, or has characters that no token has")]
    Token,
    /// The server, or the way there.
    #[error(transparent)]
    Call(#[from] CallError),
}

/// What was said about the server, the first that said something.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) server: ServerUrl,
    pub(super) token: Option<String>,
    pub(super) trust: Trust,
}

impl Connection {
    /// Options and variables first, then the configuration.
    pub(super) fn of(
        options: &ServerOptions,
        configured: &config::Connection,
    ) -> Result<Self, ConnectionError> {
        let server = options.server.as_ref().or(configured.server.as_ref());
        let server = server
            .filter(|server| !server.is_empty())
            .ok_or(ConnectionError::NoServer)?
            .parse()?;
        let token = match (&options.token, &options.token_file) {
            (Some(token), _) if !token.is_empty() => Some(token.clone()),
            (_, Some(path)) => Some(read(path)?),
            _ => configured.token_file.as_deref().map(read).transpose()?,
        };
        let token = token.map(|token| token.trim().to_owned());
        let is_token =
            |token: &String| !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic());
        if token.as_ref().is_some_and(|token| !is_token(token)) {
            return Err(ConnectionError::Token);
        }
        let authorities = options.ca_file.as_ref().or(configured.ca_file.as_ref());
        Ok(Self {
            server,
            token,
            trust: Trust {
                authorities: authorities.cloned(),
            },
        })
    }

    /// A client that shows the token.
    pub(super) fn client(&self) -> Result<Client, ConnectionError> {
        if self.token.is_some() && self.server.is_in_the_clear() {
            crate::output::complain(format_args!(
                "warning: the token goes to {} without encryption",
                self.server
            ));
        }
        let token = self.token.as_deref();
        Ok(Client::new(self.server.clone(), token, &self.trust)?)
    }
}

fn read(path: &Path) -> Result<String, ConnectionError> {
    let mut text = String::new();
    let read = File::open(path).and_then(|file| file.take(LARGEST).read_to_string(&mut text));
    match read {
        Ok(_) => Ok(text),
        Err(source) => Err(ConnectionError::TokenFile {
            path: path.to_owned(),
            source,
        }),
    }
}
