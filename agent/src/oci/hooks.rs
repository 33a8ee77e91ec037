//! Hooks outside of the container: programs of whoever made the bundle, run as the caller and with the container's state on their
//! standard input (config.md, "POSIX-platform Hooks").

use std::future::Future;
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

/// Runs the hooks of a list, in its order, until one fails. Dropping this kills the one that runs.
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

/// Runs all of them, and answers what failed. Dropping this kills the one that runs.
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
    in_time(hook, execute(hook, state)).await
}

/// Waits for a hook as long as it may take; dropping its future ends it.
pub(super) async fn in_time(
    hook: &Hook,
    called: impl Future<Output = Result<(), String>>,
) -> Result<(), String> {
    match hook.timeout {
        None | Some(0) => called.await,
        Some(seconds) => {
            let limit = Duration::from_secs(seconds.into());
            let in_time = tokio::time::timeout(limit, called).await;
            in_time.unwrap_or_else(|_| Err(format!("it took longer than {seconds} s")))
        }
    }
}

async fn execute(hook: &Hook, state: &State) -> Result<(), String> {
    let told = |error: std::io::Error| error.to_string();
    let mut command = Command::new(&hook.path);
    if let Some((name, arguments)) = hook.args.split_first() {
        command.arg0(name).args(arguments);
    }
    let env = hook.env.iter().flatten();
    let mut child = command
        .env_clear()
        .envs(env.filter_map(|text| text.split_once('=')))
        .current_dir(&state.bundle)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
        .map_err(told)?;
    let mut group = Group::of(child.id());
    let text = serde_json::to_vec(state).map_err(|error| error.to_string())?;
    let (input, errors) = (child.stdin.take(), child.stderr.take());
    let feed = async {
        if let Some(mut input) = input {
            // Not every hook reads.
            let _ = input.write_all(&text).await;
        }
    };
    let mut complaint = Complaint::default();
    let listen = async {
        match errors {
            Some(errors) => complaint.heard_until(errors, child.wait()).await,
            None => child.wait().await,
        }
    };
    let ended = {
        tokio::pin!(feed, listen);
        tokio::select! {
            ended = &mut listen => ended,
            () = &mut feed => listen.await,
        }
    };
    let status = ended.map_err(told)?;
    // What it leaves behind may stay.
    group.leave();
    outcome(status.success(), &status.to_string(), &complaint)
}

/// How a hook ended, and what it said to that.
pub(super) fn outcome(success: bool, status: &str, complaint: &Complaint) -> Result<(), String> {
    if success {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&complaint.0);
    match text.trim() {
        "" => Err(status.to_owned()),
        text => Err(format!("{status}: {text}")),
    }
}

/// The beginning of what a hook has written to its standard error.
#[derive(Debug, Default)]
pub(super) struct Complaint(Vec<u8>);

impl Complaint {
    /// Listens until the hook's end, and a little longer.
    pub(super) async fn heard_until<T>(
        &mut self,
        errors: impl AsyncRead + Unpin,
        end: impl Future<Output = T>,
    ) -> T {
        let drained = drain(errors, &mut self.0);
        tokio::pin!(drained, end);
        tokio::select! {
            ended = &mut end => {
                let _ = tokio::time::timeout(LAST_WORDS, drained).await;
                ended
            }
            () = &mut drained => end.await,
        }
    }
}

/// A hook's process group, which is killed when nobody waits for the hook any more.
struct Group(Option<Pid>);

impl Group {
    fn of(leader: Option<u32>) -> Self {
        let leader = leader.and_then(|id| i32::try_from(id).ok());
        Self(leader.and_then(Pid::from_raw))
    }

    /// Lets go of what is left of it.
    const fn leave(&mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // One that has ended in this moment needs no signal.
            let _ = kill_process_group(group, Signal::KILL);
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
