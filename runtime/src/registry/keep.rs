//! Writing log-ins as `docker login` does: into `config.json`, or to the helper that it names for the registry.

use std::io::Write as _;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use serde::Serialize as _;
use serde_json::{Map, Value, json};

use super::credentials::{CredentialsError, MAX_FILE, bare, default_path, server};
use super::helper;
use super::settings::Settings;

/// Where a log-in is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeptIn {
    /// A file, in which it can be read.
    File(PathBuf),
    /// A helper, by the name after `docker-credential-`.
    Helper(String),
}

/// Keeps a log-in for a registry (`docker.io`, `host:port`), in the place of an older one.
///
/// # Errors
/// The file cannot be read or replaced, or the helper does not take it.
pub async fn keep_log_in(
    settings: &Settings,
    registry: &str,
    user: &str,
    secret: &str,
) -> Result<KeptIn, CredentialsError> {
    if user.is_empty() || user.contains(':') {
        return Err(CredentialsError::User);
    }
    let mut file = ConfigFile::open(settings)?;
    let server = server(registry);
    if let Some(helper) = file.helper(server) {
        helper::store(&helper, server, user, secret).await?;
        // As Docker marks that there is one.
        file.set_auth(server, json!({}))?;
        return Ok(KeptIn::Helper(helper));
    }
    let text = format!("{user}:{secret}");
    let auth = base64::engine::general_purpose::STANDARD.encode(text);
    file.set_auth(server, json!({ "auth": auth }))?;
    Ok(KeptIn::File(file.path))
}

/// Forgets the log-in for a registry. Whether there was one.
///
/// # Errors
/// The file cannot be read or replaced, or the helper fails.
pub async fn forget_log_in(settings: &Settings, registry: &str) -> Result<bool, CredentialsError> {
    let mut file = ConfigFile::open(settings)?;
    let server = server(registry);
    let mut had = false;
    if let Some(helper) = file.helper(server) {
        had = helper::erase(&helper, server).await?;
    }
    Ok(file.remove_auth(server)? || had)
}

/// `config.json` as a document, so that what others keep in it stays.
struct ConfigFile {
    path: PathBuf,
    document: Map<String, Value>,
}

impl ConfigFile {
    fn open(settings: &Settings) -> Result<Self, CredentialsError> {
        let path = settings
            .docker_config
            .clone()
            .or_else(default_path)
            .ok_or(CredentialsError::NoPlace)?;
        let path = followed(path);
        let document = document(&path)?;
        Ok(Self { path, document })
    }

    /// The helper that is for a server.
    fn helper(&self, server: &str) -> Option<String> {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let own = self
            .document
            .get("credHelpers")
            .and_then(Value::as_object)
            .and_then(|helpers| helpers.iter().find(|(name, _)| bare(name) == bare(server)))
            .and_then(|(_, helper)| text(helper));
        own.or_else(|| self.document.get("credsStore").and_then(text))
            .filter(|helper| !helper.is_empty())
    }

    fn set_auth(&mut self, server: &str, auth: Value) -> Result<(), CredentialsError> {
        self.change(|document| {
            let auths = document.entry("auths").or_insert_with(|| json!({}));
            if !auths.is_object() {
                *auths = json!({});
            }
            if let Some(auths) = auths.as_object_mut() {
                // The same registry may be there under another spelling.
                auths.retain(|name, _| bare(name) != bare(server));
                auths.insert(server.to_owned(), auth);
            }
            true
        })?;
        Ok(())
    }

    fn remove_auth(&mut self, server: &str) -> Result<bool, CredentialsError> {
        if !self.document.contains_key("auths") {
            return Ok(false);
        }
        self.change(|document| {
            let Some(auths) = document.get_mut("auths").and_then(Value::as_object_mut) else {
                return false;
            };
            let before = auths.len();
            auths.retain(|name, _| bare(name) != bare(server));
            auths.len() < before
        })
    }

    /// Changes what is in the file now: it may be another since it was read, for a helper takes its time. `act` says whether
    /// there is something to write.
    fn change(
        &mut self,
        act: impl FnOnce(&mut Map<String, Value>) -> bool,
    ) -> Result<bool, CredentialsError> {
        let lock = || {
            let directory = self.path.parent().unwrap_or(Path::new("/"));
            std::fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(directory)?;
            // The directory's, since the file is replaced and another one would stay. Held for moments.
            let directory = std::fs::File::open(directory)?;
            directory.lock()?;
            Ok(directory)
        };
        let _lock = lock().map_err(|source| CredentialsError::Write {
            path: self.path.clone(),
            source,
        })?;
        self.document = document(&self.path)?;
        let is_changed = act(&mut self.document);
        if is_changed {
            self.write()?;
        }
        Ok(is_changed)
    }

    /// Replaces the file in one step; nobody but its owner can read the new one (`tempfile` makes it so).
    fn write(&self) -> Result<(), CredentialsError> {
        let write = || {
            let directory = self.path.parent().unwrap_or(Path::new("/"));
            let mut file = tempfile::NamedTempFile::new_in(directory)?;
            let mut text = Vec::new();
            let format = serde_json::ser::PrettyFormatter::with_indent(b"\t");
            self.document
                .serialize(&mut serde_json::Serializer::with_formatter(
                    &mut text, format,
                ))?;
            text.push(b'\n');
            file.write_all(&text)?;
            file.as_file().sync_all()?;
            file.persist(&self.path)?;
            Ok(())
        };
        write().map_err(|source| CredentialsError::Write {
            path: self.path.clone(),
            source,
        })
    }
}

/// Where links lead, so that what is there is replaced and not the link; also when there is nothing yet.
fn followed(mut path: PathBuf) -> PathBuf {
    const MOST: usize = 16;
    for _ in 0..MOST {
        let Ok(target) = std::fs::read_link(&path) else {
            break;
        };
        path = path.parent().unwrap_or(Path::new("/")).join(target);
    }
    path.canonicalize().unwrap_or(path)
}

/// What is in a file; nothing when it is not there.
fn document(path: &Path) -> Result<Map<String, Value>, CredentialsError> {
    match read(path) {
        Ok(bytes) if bytes.is_empty() => Ok(Map::new()),
        Ok(bytes) => serde_json::from_slice(&bytes).map_err(|source| CredentialsError::Json {
            path: path.to_owned(),
            source,
        }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Map::new()),
        Err(source) => Err(CredentialsError::Read {
            path: path.to_owned(),
            source,
        }),
    }
}

fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    use std::io::Read as _;
    let mut bytes = Vec::new();
    std::fs::File::open(path)?
        .take(MAX_FILE)
        .read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::super::fake::settings_with;
    use super::*;

    fn text(settings: &Settings) -> String {
        std::fs::read_to_string(settings.docker_config.as_ref().unwrap()).unwrap()
    }

    #[tokio::test]
    async fn a_log_in_is_written_as_docker_writes_it_and_the_rest_stays() {
        let settings = settings_with(
            r#"{"HttpHeaders":{"a":"b"},"auths":{"https://registry.example/v1/":{"auth":"b2xk"}}}"#,
        );
        let kept = keep_log_in(&settings, "registry.example", "me", "s:ecret")
            .await
            .unwrap();
        let path = settings.docker_config.clone().unwrap();
        assert_eq!(kept, KeptIn::File(path.canonicalize().unwrap()));
        insta::assert_snapshot!(text(&settings), @r#"
        {
        	"HttpHeaders": {
        		"a": "b"
        	},
        	"auths": {
        		"registry.example": {
        			"auth": "bWU6czplY3JldA=="
        		}
        	}
        }
        "#);
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        keep_log_in(&settings, "docker.io", "me", "hub")
            .await
            .unwrap();
        assert!(text(&settings).contains("\"https://index.docker.io/v1/\""));
        assert!(forget_log_in(&settings, "registry.example").await.unwrap());
        assert!(!forget_log_in(&settings, "registry.example").await.unwrap());
        assert!(!text(&settings).contains("registry.example"));
    }

    #[tokio::test]
    async fn what_others_write_meanwhile_stays() {
        let settings = settings_with("{}");
        let mut file = ConfigFile::open(&settings).unwrap();
        keep_log_in(&settings, "other.example", "me", "secret")
            .await
            .unwrap();
        file.set_auth("registry.example", json!({})).unwrap();
        let text = text(&settings);
        assert!(text.contains("other.example") && text.contains("registry.example"));
    }

    #[tokio::test]
    async fn a_link_to_a_file_that_is_not_there_yet_stays_a_link() {
        let place = tempfile::tempdir().unwrap();
        let link = place.path().join("config.json");
        std::os::unix::fs::symlink("kept/elsewhere.json", &link).unwrap();
        let settings = Settings {
            docker_config: Some(link.clone()),
            ..Settings::default()
        };
        let kept = keep_log_in(&settings, "a.example", "me", "secret").await;
        let target = place.path().join("kept/elsewhere.json");
        assert_eq!(kept.unwrap(), KeptIn::File(target.clone()));
        assert!(link.is_symlink() && target.is_file());
    }

    #[tokio::test]
    async fn a_file_that_is_not_dockers_is_left_alone() {
        let settings = settings_with("[]");
        let error = keep_log_in(&settings, "a.example", "me", "secret")
            .await
            .unwrap_err();
        assert!(error.to_string().contains("are not valid"), "{error}");
        assert_eq!(text(&settings), "[]");
        let error = keep_log_in(&settings, "a.example", "m:e", "secret")
            .await
            .unwrap_err();
        insta::assert_snapshot!(error, @"a user's name must not have a colon or be empty");
    }
}
