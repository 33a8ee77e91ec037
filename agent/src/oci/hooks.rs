//! Hooks: programs of whoever made the bundle, run as the caller and with the container's state on their standard input
//! (config.md, "POSIX-platform Hooks").

use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Command;

use super::OciError;
use super::config::Hook;
use super::state::State;

/// Of what a hook complains, bytes are told up to this many.
const COMPLAINT: usize = 4096;

/// How long what a hook has written last may be on its way to us after its end. Something that it leaves behind may have
/// its streams for ever.
const LAST_WORDS: Duration = Duration::from_millis(100);

/// Runs the hooks of a list, in its order, until one fails.
pub(super) async fn run(list: &'static str, hooks: &[Hook], state: &State) -> Result<(), OciError> {
    for (index, hook) in hooks.iter().enumerate() {
        call(hook, state).await.map_err(|problem| OciError::Hook {
            list,
            index,
            path: hook.path.clone(),
            problem,
        })?;
    }
    Ok(())
}

/// Runs all of them, and answers what failed.
pub(super) async fn run_all(list: &'static str, hooks: &[Hook], state: &State) -> Vec<String> {
    let mut failures = Vec::new();
    for (index, hook) in hooks.iter().enumerate() {
        if let Err(problem) = call(hook, state).await {
            let error = OciError::Hook {
                list,
                index,
                path: hook.path.clone(),
                problem,
            };
            failures.push(error.to_string());
        }
    }
    failures
}

async fn call(hook: &Hook, state: &State) -> Result<(), String> {
    let told = |error: std::io::Error| error.to_string();
    let mut command = Command::new(&hook.path);
    if let Some((name, arguments)) = hook.args.split_first() {
        command.arg0(name).args(arguments);
    }
    let env = hook.env.iter().filter_map(|text| text.split_once('='));
    let mut child = command
        .env_clear()
        .envs(env)
        .current_dir(&state.bundle)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
        .map_err(told)?;
    let text = serde_json::to_vec(state).map_err(|error| error.to_string())?;
    let (input, errors) = (child.stdin.take(), child.stderr.take());
    let group = child.id().and_then(|id| i32::try_from(id).ok());
    let group = group.and_then(Pid::from_raw);
    let all = async {
        let mut complaint = Vec::new();
        let feed = async {
            if let Some(mut input) = input {
                // Not every hook reads.
                let _ = input.write_all(&text).await;
            }
        };
        let listen = async {
            if let Some(errors) = errors {
                drain(errors, &mut complaint).await;
            }
        };
        let streams = async { tokio::join!(feed, listen) };
        let status = {
            tokio::pin!(streams);
            tokio::select! {
                status = child.wait() => {
                    let _ = tokio::time::timeout(LAST_WORDS, streams).await;
                    status
                }
                _ = &mut streams => child.wait().await,
            }
        };
        let status = status.map_err(told)?;
        if status.success() {
            return Ok(());
        }
        let complaint = String::from_utf8_lossy(&complaint);
        match complaint.trim() {
            "" => Err(status.to_string()),
            complaint => Err(format!("{status}: {complaint}")),
        }
    };
    match hook.timeout {
        None | Some(0) => all.await,
        Some(seconds) => {
            let limit = Duration::from_secs(seconds.into());
            let in_time = tokio::time::timeout(limit, all).await;
            in_time.unwrap_or_else(|_| {
                // One that has ended in this moment needs no signal.
                let _ = group.map(|group| kill_process_group(group, Signal::KILL));
                Err(format!("it took longer than {seconds} s"))
            })
        }
    }
}

/// Reads to the end, and keeps the beginning: a writer whose reader is gone would be killed.
async fn drain(mut from: impl AsyncRead + Unpin, beginning: &mut Vec<u8>) {
    let mut buffer = [0; COMPLAINT];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        let room = COMPLAINT.saturating_sub(beginning.len());
        beginning.extend(buffer.iter().take(count.min(room)));
    }
}
