//! How somebody shows a repository's host who they are.

use std::fmt;

use git2::{Cred, CredentialType, RemoteCallbacks};
use serde::{Deserialize, Serialize};

use crate::Url;

/// A value nobody sees by accident. Written out in full for the process that makes a transfer, and for nobody else.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Hides a value.
    #[must_use]
    pub const fn new(value: String) -> Self {
        Self(value)
    }

    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// What is shown to a host.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Credentials {
    /// Nothing, beyond what the URL says.
    #[default]
    None,
    /// A forge's token, for `https`. The user name is one that every forge takes.
    Token(Secret),
    /// For `https`.
    Password {
        /// The user.
        user: String,
        /// Their password or token.
        password: Secret,
    },
    /// For `ssh`: a private key in OpenSSH's or PEM format. It is never written to a file.
    Key {
        /// The key's text.
        private: Secret,
        /// What it is encrypted with.
        passphrase: Option<Secret>,
    },
}

/// The user whose password a token is.
const TOKEN_USER: &str = "x-access-token";

/// Answers a host's question, and does not repeat an answer that was refused: libgit2 would ask for ever.
pub(crate) fn answer<'c>(
    callbacks: &mut RemoteCallbacks<'c>,
    url: &'c Url,
    credentials: &'c Credentials,
) {
    let mut asked = 0_u32;
    callbacks.credentials(move |at, user, kinds| {
        if !url.is_at_host_of(at) {
            return Err(refused(ELSEWHERE));
        }
        // SSH asks for the user's name first where the URL has none.
        if kinds.contains(CredentialType::USERNAME) {
            return Cred::username(url.user().unwrap_or("git"));
        }
        asked += 1;
        if asked > 1 {
            return Err(refused("the host refused the credentials"));
        }
        let user = user.or(url.user()).unwrap_or("git");
        match credentials {
            Credentials::Key {
                private,
                passphrase,
            } if kinds.contains(CredentialType::SSH_KEY) => {
                let passphrase = passphrase.as_ref().map(Secret::expose);
                Cred::ssh_key_from_memory(user, None, private.expose(), passphrase)
            }
            Credentials::Token(token) if kinds.contains(CredentialType::USER_PASS_PLAINTEXT) => {
                Cred::userpass_plaintext(TOKEN_USER, token.expose())
            }
            Credentials::Password { user, password }
                if kinds.contains(CredentialType::USER_PASS_PLAINTEXT) =>
            {
                Cred::userpass_plaintext(user, password.expose())
            }
            _ => match (url.user(), url.password()) {
                (Some(user), Some(password))
                    if kinds.contains(CredentialType::USER_PASS_PLAINTEXT) =>
                {
                    Cred::userpass_plaintext(user, password)
                }
                (Some(token), None)
                    if kinds.contains(CredentialType::USER_PASS_PLAINTEXT)
                        && url.scheme() != crate::Scheme::Ssh =>
                {
                    Cred::userpass_plaintext(token, "")
                }
                _ => Err(refused(
                    "the host asks for credentials, and there are none of a kind that it takes",
                )),
            },
        }
    });
}

/// Whether there is anything that must not be shown to another host.
pub(crate) fn are_secret(url: &Url, credentials: &Credentials) -> bool {
    !matches!(credentials, Credentials::None) || url.user().is_some()
}

/// Why a host that another one has redirected to is told nothing.
pub(crate) const ELSEWHERE: &str = "the host redirects to another one, and credentials are shown to the host only that they are for: name the new address";

fn refused(message: &str) -> git2::Error {
    git2::Error::new(git2::ErrorCode::Auth, git2::ErrorClass::Callback, message)
}
