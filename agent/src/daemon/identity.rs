//! Who this agent is to its server.
//!
//! ```text
//! <data>/agent.json   the server, the agent's id and its secret; readable by its owner only
//! ```

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use protocol::service::{AgentDescription, AgentId, ProblemCode, Registered, path};
use serde::{Deserialize, Serialize};

use super::tell;
use crate::sink::sanitise;
use crate::source::{CallError, Client, Patience};

/// Largest file that is read, bytes.
const LARGEST: u64 = 64 << 10;

#[derive(Serialize, Deserialize)]
struct Kept {
    server: String,
    agent: AgentId,
    secret: String,
}

/// Why the agent cannot say who it is.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The file cannot be read or written.
    #[error("failed to {operation} {path}: {source}", path = path.display())]
    File {
        /// What was tried.
        operation: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// There is no file and no token.
    #[error("this agent is not registered with {0}, and there is no registration token")]
    NoToken(String),
    /// The server does not take the token.
    #[error("failed to register: {0}")]
    Register(#[source] CallError),
    /// The server does not take the description.
    #[error("failed to say what this agent is: {0}")]
    Describe(#[source] CallError),
}

/// Who this agent is: its id, and a client that says so. Registers where the server does not know it.
pub(super) async fn establish(
    data: &Path,
    client: &Client,
    token: Option<&str>,
    description: &AgentDescription,
) -> Result<(AgentId, Client), IdentityError> {
    let file = data.join("agent.json");
    // Nothing else tells whoever has just started it that the address is wrong.
    let patient = client.clone().with_patience(Patience::endless(|text| {
        tell(sanitise(text));
    }));
    if let Some(kept) = read(&file)?.filter(|kept| kept.server == client.server().to_string()) {
        let known = patient.with_token(&kept.secret);
        let said = known.persist("describe", || known.put(path::SELF, description));
        match said.await {
            Ok(()) => return Ok((kept.agent, client.with_token(&kept.secret))),
            // It was forgotten.
            Err(error) if error.code() == Some(ProblemCode::Unauthorized) && token.is_some() => {}
            Err(error) => return Err(IdentityError::Describe(error)),
        }
    }
    let token = token.ok_or_else(|| IdentityError::NoToken(client.server().to_string()))?;
    let stranger = patient.with_token(token);
    let registering = stranger.persist("register", || stranger.post(path::AGENTS, description));
    let registered: Registered = registering.await.map_err(IdentityError::Register)?;
    let kept = Kept {
        server: client.server().to_string(),
        agent: registered.agent,
        secret: registered.secret,
    };
    write(&file, &kept)?;
    Ok((kept.agent, client.with_token(&kept.secret)))
}

/// Forgets who this agent is.
pub(super) fn forget(data: &Path) {
    let _ = std::fs::remove_file(data.join("agent.json"));
}

fn read(path: &Path) -> Result<Option<Kept>, IdentityError> {
    let failed = |source| IdentityError::File {
        operation: "read",
        path: path.to_owned(),
        source,
    };
    let mut text = String::new();
    match File::open(path).and_then(|file| file.take(LARGEST).read_to_string(&mut text)) {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    }
    match serde_json::from_str(&text) {
        Ok(kept) => Ok(Some(kept)),
        Err(error) => Err(failed(error.into())),
    }
}

fn write(path: &Path, kept: &Kept) -> Result<(), IdentityError> {
    let unfinished = path.with_extension("json.new");
    let write = || -> io::Result<()> {
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&unfinished)?;
        file.write_all(&serde_json::to_vec(kept)?)?;
        file.sync_all()?;
        std::fs::rename(&unfinished, path)
    };
    write().map_err(|source| IdentityError::File {
        operation: "write",
        path: path.to_owned(),
        source,
    })
}
