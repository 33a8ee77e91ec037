//! Credential helpers: programs that keep log-ins, asked on standard input (docker/docker-credential-helpers, README,
//! "Development": the verbs `get`, `store` and `erase`).

use std::process::Stdio;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::credentials::{Credential, CredentialsError};
use super::error::printable;

const MAX_ANSWER: u64 = 64 * 1024;
/// For a helper to answer; some ask a cloud's metadata service.
const TIMEOUT: Duration = Duration::from_secs(30);
/// What helpers say, in words and not by a status.
const NOT_FOUND: &str = "credentials not found";

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    username: String,
    secret: String,
}

#[derive(Serialize)]
struct LogIn<'a> {
    #[serde(rename = "ServerURL")]
    server: &'a str,
    #[serde(rename = "Username")]
    user: &'a str,
    #[serde(rename = "Secret")]
    secret: &'a str,
}

/// What a helper has for a server; `None` when it knows no log-in.
pub(super) async fn get(
    helper: &str,
    server: &str,
) -> Result<Option<Credential>, CredentialsError> {
    let Some(answer) = run(helper, "get", server.as_bytes(), None).await? else {
        return Ok(None);
    };
    // The answer is a secret: a parse error may quote it, so it is not passed on.
    let Answer { username, secret } = serde_json::from_slice(&answer)
        .map_err(|_| failed(helper, "answered something else than a log-in".to_owned()))?;
    Ok(match (&*username, &*secret) {
        (_, "") => None,
        ("<token>", _) => Some(Credential::IdentityToken(secret)),
        _ => Some(Credential::Basic {
            user: username,
            password: secret,
        }),
    })
}

/// Has a helper keep a log-in.
pub(super) async fn store(
    helper: &str,
    server: &str,
    user: &str,
    secret: &str,
) -> Result<(), CredentialsError> {
    let log_in = LogIn {
        server,
        user,
        secret,
    };
    let text = serde_json::to_vec(&log_in)
        .map_err(|_| failed(helper, "cannot be told this log-in".to_owned()))?;
    run(helper, "store", &text, Some(secret)).await.map(drop)
}

/// Has a helper forget a log-in. Whether it had one.
pub(super) async fn erase(helper: &str, server: &str) -> Result<bool, CredentialsError> {
    // Some helpers are content with erasing nothing.
    let had = run(helper, "get", server.as_bytes(), None).await?.is_some();
    Ok(run(helper, "erase", server.as_bytes(), None)
        .await?
        .is_some()
        && had)
}

/// What it prints, or `None` when it says that it knows no such log-in. What it says of a log-in may have the `secret` in it.
async fn run(
    helper: &str,
    verb: &str,
    input: &[u8],
    secret: Option<&str>,
) -> Result<Option<Vec<u8>>, CredentialsError> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if helper.is_empty() || !helper.chars().all(is_plain) {
        return Err(CredentialsError::HelperName(printable(helper)));
    }
    let (is_success, answer) = tokio::time::timeout(TIMEOUT, talk(helper, verb, input))
        .await
        .map_err(|_| failed(helper, format!("did not answer in {} s", TIMEOUT.as_secs())))?
        .map_err(|error| failed(helper, format!("did not run: {error}")))?;
    if is_success {
        return Ok(Some(answer));
    }
    let said = String::from_utf8_lossy(&answer);
    let message = printable(&secret.map_or_else(|| said.to_string(), |secret| hide(&said, secret)));
    if message.contains(NOT_FOUND) {
        Ok(None)
    } else {
        Err(failed(helper, format!("failed: {message}")))
    }
}

/// A text without a secret, as it is and as JSON has it. To be done before anything else changes it.
fn hide(text: &str, secret: &str) -> String {
    let quoted = serde_json::to_string(secret).unwrap_or_default();
    let escaped = quoted.trim_matches('"');
    let hidden = text.replace(secret, "***");
    match escaped {
        "" => hidden,
        escaped => hidden.replace(escaped, "***"),
    }
}

async fn talk(helper: &str, verb: &str, input: &[u8]) -> std::io::Result<(bool, Vec<u8>)> {
    let mut child = tokio::process::Command::new(format!("docker-credential-{helper}"))
        .arg(verb)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        // One that fails at once does not read; its answer says more than EPIPE.
        let _ = stdin.write_all(input).await;
    }
    let mut answer = Vec::new();
    if let Some(stdout) = child.stdout.take() {
        stdout.take(MAX_ANSWER).read_to_end(&mut answer).await?;
    }
    Ok((child.wait().await?.success(), answer))
}

fn failed(helper: &str, reason: String) -> CredentialsError {
    CredentialsError::Helper {
        helper: helper.to_owned(),
        reason,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_hidden_whatever_is_in_it() {
        for secret in ["a  b", "a\tb", "quo\"ted", "x"] {
            let quoted = serde_json::to_string(secret).unwrap();
            let said = printable(&hide(&format!("no: {secret} ({quoted})"), secret));
            assert_eq!(said, "no: *** (\"***\")");
        }
    }
}
