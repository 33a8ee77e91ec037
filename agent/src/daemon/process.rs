//! The process of a job.

use std::io;
use std::process::Stdio;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::task::JoinHandle;
use zeroize::Zeroizing;

use crate::attempt::{Input, Order};
use crate::caches::CacheReply;

/// So much of what it complains about is kept, bytes.
const COMPLAINTS: usize = 4 << 10;

/// Variables that are the daemon's alone.
const OURS: [&str; 2] = ["SLIPWAY_TOKEN", "SLIPWAY_TOKEN_FILE"];

/// Looks whether this host can run containers, and removes what killed processes have left; in a process of its own, which
/// is the one that makes a zygote. What it complains about, when it cannot, and its exit code.
pub(super) async fn sweep() -> Result<(), (Option<i32>, String)> {
    let mut command = this_program(&["job", "--sweep"]);
    command.stdin(Stdio::null()).stdout(Stdio::null());
    match command.output().await {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => {
            let text = String::from_utf8_lossy(&output.stderr);
            let text = text.trim().trim_start_matches("error: ").to_owned();
            Err((output.status.code(), text))
        }
        Err(error) => Err((None, error.to_string())),
    }
}

fn this_program(arguments: &[&str]) -> Command {
    let mut command = Command::new("/proc/self/exe");
    command
        .arg0("agent")
        .args(arguments)
        // What a terminal sends to the daemon is the daemon's to pass on.
        .process_group(0)
        .kill_on_drop(true);
    for name in OURS {
        command.env_remove(name);
    }
    command
}

/// A job's process that runs. Dropping it kills it.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    orders: ChildStdin,
    news: ChildStdout,
    complaints: JoinHandle<String>,
}

impl Process {
    /// Starts this program again, and tells it what to do.
    pub(super) async fn start(input: &Input) -> io::Result<Self> {
        let mut command = this_program(&["job"]);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn()?;
        let lost = || io::Error::other("a pipe is missing");
        let mut orders = child.stdin.take().ok_or_else(lost)?;
        let news = child.stdout.take().ok_or_else(lost)?;
        let mut errors = child.stderr.take().ok_or_else(lost)?;
        let complaints = tokio::spawn(async move {
            let mut kept = Vec::new();
            let mut piece = [0; 1024];
            while let Ok(count @ 1..) = errors.read(&mut piece).await {
                kept.extend_from_slice(&piece[..count]);
                let surplus = kept.len().saturating_sub(COMPLAINTS);
                kept.drain(..surplus);
            }
            String::from_utf8_lossy(&kept).trim().to_owned()
        });
        let mut line = Zeroizing::new(serde_json::to_vec(input)?);
        line.push(b'\n');
        // A process that ends at once says why by itself.
        if let Err(error) = orders.write_all(&line).await {
            tracing::debug!(%error, "the job's process does not listen");
        }
        Ok(Self {
            child,
            orders,
            news,
            complaints,
        })
    }

    /// Passes an order on. One that is over does not listen.
    pub(super) async fn order(&mut self, order: Order) {
        if let Err(error) = self.orders.write_all(order.line()).await {
            tracing::debug!(%error, ?order, "the job's process does not listen");
        }
    }

    /// Answers what it has asked.
    pub(super) async fn answer(&mut self, reply: &CacheReply) {
        let text = serde_json::to_string(reply).unwrap_or_default();
        let line = format!("{}{text}\n", crate::attempt::ANSWER);
        if let Err(error) = self.orders.write_all(line.as_bytes()).await {
            tracing::debug!(%error, "the job's process does not listen");
        }
    }

    /// Kills it, and everything it has started with it.
    pub(super) fn kill(&mut self) {
        if let Err(error) = self.child.start_kill() {
            tracing::debug!(%error, "the job's process is over");
        }
    }

    /// Waits for its end, or for news of it: `false`. Cancel safe.
    pub(super) async fn hear(&mut self) -> bool {
        let mut piece = [0; 4096];
        match self.news.read(&mut piece).await {
            Ok(1..) => false,
            // Its last descriptor is closed: it is over, or about to be.
            _ => true,
        }
    }

    /// Waits for it, and answers what it has complained about and how it ended, for a person.
    pub(super) async fn end(mut self) -> String {
        let status = match self.child.wait().await {
            Ok(status) => status.to_string(),
            Err(error) => error.to_string(),
        };
        drop(self.orders);
        // A grandchild might hold the pipe for a moment longer; nobody waits for it.
        let complaints =
            tokio::time::timeout(std::time::Duration::from_secs(1), self.complaints).await;
        match complaints {
            Ok(Ok(text)) if !text.is_empty() => format!("{status}: {text}"),
            _ => status,
        }
    }
}
