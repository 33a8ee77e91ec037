//! Log-ins, from Docker's `config.json` (docker/cli, cli/config/configfile) and the helpers it names.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use serde::Deserialize;

use super::helper;

/// A larger file is refused, in bytes.
pub(super) const MAX_FILE: u64 = 4 * 1024 * 1024;
/// The key of Docker Hub.
const DOCKER_HUB: &str = "https://index.docker.io/v1/";

/// Who we are to a registry.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Credential {
    /// Name and password.
    Basic { user: String, password: String },
    /// An OAuth2 refresh token.
    IdentityToken(String),
}

/// All log-ins of one `config.json`.
#[derive(Debug, Default)]
pub(super) struct Credentials {
    path: PathBuf,
    config: ConfigFile,
}

/// Why log-ins cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    /// The file named in the settings, or one that is there but not for us to read.
    #[error("failed to read the log-ins in {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Not Docker's format.
    #[error("the log-ins in {} are not valid: {source}", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// Where.
        source: serde_json::Error,
    },
    /// `auth` of a registry.
    #[error("the log-in for {registry} in {} is not base64 of `user:password`", path.display())]
    Auth {
        /// The file.
        path: PathBuf,
        /// The registry.
        registry: String,
    },
    /// It cannot be replaced.
    #[error("failed to write the log-ins to {}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// There is nowhere to keep them.
    #[error("there is no place for log-ins: neither $DOCKER_CONFIG nor $HOME is set")]
    NoPlace,
    /// The format has no room for it.
    #[error("a user's name must not have a colon or be empty")]
    User,
    /// A helper's name could be a path.
    #[error("`{0}` is not the name of a credential helper")]
    HelperName(String),
    /// It did not start, answer in time, or answer in the protocol.
    #[error("the credential helper docker-credential-{helper} {reason}")]
    Helper {
        /// The name after `docker-credential-`.
        helper: String,
        /// What it did.
        reason: String,
    },
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ConfigFile {
    auths: BTreeMap<String, Auth>,
    creds_store: Option<String>,
    cred_helpers: BTreeMap<String, String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Auth {
    auth: Option<String>,
    username: Option<String>,
    password: Option<String>,
    identitytoken: Option<String>,
}

impl Credentials {
    /// Reads the file given, or the default one if there is one.
    pub(super) fn load(given: Option<&Path>) -> Result<Self, CredentialsError> {
        let path = match given.map(Path::to_owned).or_else(default_path) {
            Some(path) => path,
            None => return Ok(Self::default()),
        };
        let read = |path: &Path| {
            use std::io::Read as _;
            let mut bytes = Vec::new();
            std::fs::File::open(path)?
                .take(MAX_FILE)
                .read_to_end(&mut bytes)?;
            Ok(bytes)
        };
        match read(&path) {
            Ok(bytes) => {
                let config =
                    serde_json::from_slice(&bytes).map_err(|source| CredentialsError::Json {
                        path: path.clone(),
                        source,
                    })?;
                Ok(Self { path, config })
            }
            Err(error) if given.is_none() && is_absent(&error) => Ok(Self::default()),
            Err(source) => Err(CredentialsError::Read { path, source }),
        }
    }

    /// The log-in for a repository: a helper of its registry, the entry with the longest matching name, the common helper.
    pub(super) async fn find(
        &self,
        registry: &str,
        repository: &str,
    ) -> Result<Option<Credential>, CredentialsError> {
        let server = server(registry);
        for (name, helper) in &self.config.cred_helpers {
            if bare(name) == bare(server) {
                return helper::get(helper, server).await;
            }
        }
        let wanted = format!("{}/{repository}", bare(server));
        let matching = |name: &str| {
            let name = bare(name);
            wanted
                .strip_prefix(name)
                .is_some_and(|rest| rest.starts_with('/'))
                .then_some(name.len())
        };
        let best = self
            .config
            .auths
            .iter()
            .filter_map(|entry| Some((matching(entry.0)?, entry)));
        if let Some((_, (name, auth))) = best.max_by_key(|(length, _)| *length)
            && let Some(credential) = auth.credential().map_err(|()| CredentialsError::Auth {
                path: self.path.clone(),
                registry: name.clone(),
            })?
        {
            return Ok(Some(credential));
        }
        match &self.config.creds_store {
            Some(helper) if !helper.is_empty() => helper::get(helper, server).await,
            _ => Ok(None),
        }
    }
}

impl Auth {
    fn credential(&self) -> Result<Option<Credential>, ()> {
        let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        if let Some(token) = given(&self.identitytoken) {
            return Ok(Some(Credential::IdentityToken(token)));
        }
        if let Some(auth) = given(&self.auth) {
            let bytes = base64::engine::general_purpose::STANDARD
                .decode(auth.trim())
                .map_err(|_| ())?;
            let text = String::from_utf8(bytes).map_err(|_| ())?;
            let (user, password) = text.split_once(':').ok_or(())?;
            // Docker pads with NUL.
            let password = password.trim_end_matches('\0').to_owned();
            return Ok(Some(Credential::Basic {
                user: user.to_owned(),
                password,
            }));
        }
        Ok(given(&self.username)
            .zip(given(&self.password))
            .map(|(user, password)| Credential::Basic { user, password }))
    }
}

/// What a registry is called in `config.json` and by helpers.
pub(super) fn server(registry: &str) -> &str {
    match registry {
        "docker.io" => DOCKER_HUB,
        registry => registry,
    }
}

pub(super) fn default_path() -> Option<PathBuf> {
    let directory = match std::env::var_os("DOCKER_CONFIG").filter(|dir| !dir.is_empty()) {
        Some(directory) => PathBuf::from(directory),
        None => {
            PathBuf::from(std::env::var_os("HOME").filter(|dir| !dir.is_empty())?).join(".docker")
        }
    };
    Some(directory.join("config.json"))
}

/// Not there, or in a home directory of someone else's (a service user with root's `HOME`).
fn is_absent(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{NotADirectory, NotFound, PermissionDenied};
    matches!(error.kind(), NotFound | NotADirectory | PermissionDenied)
}

/// A key without scheme and API version: `https://index.docker.io/v1/` is `index.docker.io`.
pub(super) fn bare(name: &str) -> &str {
    let name = name
        .strip_prefix("https://")
        .or_else(|| name.strip_prefix("http://"))
        .unwrap_or(name);
    let name = name.trim_end_matches('/');
    let name = name
        .strip_suffix("/v1")
        .or_else(|| name.strip_suffix("/v2"))
        .unwrap_or(name);
    match name {
        "docker.io" | "registry-1.docker.io" => "index.docker.io",
        name => name,
    }
}

impl std::fmt::Debug for Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Basic { .. } => "Basic",
            Self::IdentityToken(_) => "IdentityToken",
        })
    }
}

impl std::fmt::Debug for Auth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Auth")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn found(config: &str, registry: &str, repository: &str) -> String {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("config.json");
        std::fs::write(&path, config).unwrap();
        let result = match Credentials::load(Some(&path)) {
            Ok(credentials) => credentials.find(registry, repository).await,
            Err(error) => Err(error),
        };
        match result {
            Ok(None) => "none".to_owned(),
            Ok(Some(Credential::Basic { user, password })) => format!("{user} / {password}"),
            Ok(Some(Credential::IdentityToken(token))) => format!("token {token}"),
            Err(error) => error
                .to_string()
                .replace(&*directory.path().to_string_lossy(), "DIR"),
        }
    }

    #[tokio::test]
    async fn the_longest_matching_name_wins() {
        let config = r#"{"auths":{
            "https://index.docker.io/v1/":{"auth":"aHViOnNlY3JldA=="},
            "registry.example:5000":{"username":"all","password":"p:w"},
            "registry.example:5000/team":{"auth":"dGVhbTpzZWNyZXQ="},
            "token.example":{"auth":"dG9rZW46","identitytoken":"refresh"},
            "empty.example":{}},"HttpHeaders":{}}"#;
        insta::assert_snapshot!(found(config, "docker.io", "library/debian").await, @"hub / secret");
        insta::assert_snapshot!(found(config, "registry.example:5000", "other").await, @"all / p:w");
        insta::assert_snapshot!(found(config, "registry.example:5000", "team/image").await, @"team / secret");
        insta::assert_snapshot!(found(config, "registry.example:5000", "teamwork/image").await, @"all / p:w");
        insta::assert_snapshot!(found(config, "registry.example", "team/image").await, @"none");
        insta::assert_snapshot!(found(config, "token.example", "x").await, @"token refresh");
        insta::assert_snapshot!(found(config, "empty.example", "x").await, @"none");
    }

    #[tokio::test]
    async fn mistakes_name_the_file_and_never_the_secret() {
        insta::assert_snapshot!(found("{", "a", "b").await, @"the log-ins in DIR/config.json are not valid: EOF while parsing an object at line 1 column 1");
        insta::assert_snapshot!(found(r#"{"auths":{"a.example":{"auth":"c2VjcmV0"}}}"#, "a.example", "b").await, @"the log-in for a.example in DIR/config.json is not base64 of `user:password`");
        insta::assert_snapshot!(found(r#"{"credsStore":"../../bin/sh"}"#, "a.example", "b").await, @"`../../bin/sh` is not the name of a credential helper");
        // Not found, or permission denied when `PATH` has a directory that is not for this user.
        let missing = found(
            r#"{"credHelpers":{"a.example":"slipway-not-there"}}"#,
            "a.example",
            "b",
        )
        .await;
        let (said, _) = missing.rsplit_once(": ").unwrap();
        insta::assert_snapshot!(said, @"the credential helper docker-credential-slipway-not-there did not run");
        let missing = Credentials::load(Some(Path::new("/nonexistent/config.json"))).unwrap_err();
        insta::assert_snapshot!(missing, @"failed to read the log-ins in /nonexistent/config.json: No such file or directory (os error 2)");
    }
}
