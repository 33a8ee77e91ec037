use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::normalise::normalise;
use crate::{TestEnvironment, wait};

/// No run of a test takes longer; it is killed, and its output shown.
const LIMIT: Duration = Duration::from_secs(1500);

/// A call of the agent that a test puts together.
#[derive(Debug)]
pub struct Agent<'a> {
    environment: &'a TestEnvironment,
    arguments: Vec<OsString>,
    variables: Vec<(OsString, OsString)>,
    directory: PathBuf,
    prologue: Option<String>,
    stdin: Option<Vec<u8>>,
}

impl<'a> Agent<'a> {
    pub(crate) fn new<I>(environment: &'a TestEnvironment, arguments: I) -> Self
    where
        I: IntoIterator,
        I::Item: AsRef<OsStr>,
    {
        Self {
            environment,
            arguments: arguments
                .into_iter()
                .map(|argument| argument.as_ref().to_owned())
                .collect(),
            variables: Vec::new(),
            directory: environment.project(),
            prologue: None,
            stdin: None,
        }
    }

    /// Adds a variable to the agent's own environment.
    #[must_use]
    pub fn variable(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.variables
            .push((name.into(), value.as_ref().to_owned()));
        self
    }

    /// Calls it in another directory than the project.
    #[must_use]
    pub fn directory(mut self, directory: impl Into<PathBuf>) -> Self {
        self.directory = directory.into();
        self
    }

    /// Runs a script of `sh` before it, as the tests' own user and in a mount namespace of its own, where that user
    /// may: what the script mounts, only the agent sees.
    #[must_use]
    pub fn after(mut self, script: &str) -> Self {
        self.prologue = Some(script.to_owned());
        self
    }

    /// What the agent reads from its standard input; nothing without this.
    #[must_use]
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = Some(bytes.into());
        self
    }

    /// Runs it to its end.
    ///
    /// # Panics
    /// When it cannot be started or takes longer than any test may.
    #[must_use]
    pub fn run(self) -> Finished {
        self.spawn().finish()
    }

    /// Starts it.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn spawn(self) -> Running {
        let mut command = self.command();
        command
            .env_clear()
            .env(
                "PATH",
                "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            )
            .env("LANG", "C.UTF-8")
            .env("HOME", self.environment.home())
            .env("USER", &self.environment.account().name)
            .env("SLIPWAY_DATA", self.environment.data())
            .env("SLIPWAY_CONFIG", self.environment.root().join("config.yml"))
            .envs(self.variables)
            .current_dir(&self.directory)
            .stdin(if self.stdin.is_some() {
                Stdio::piped()
            } else {
                Stdio::null()
            })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let config = self.environment.root().join("config.yml");
        if !config.exists() {
            self.environment.write("config.yml", "{}\n");
        }
        let mut child = command
            .spawn()
            .unwrap_or_else(|error| panic!("start {command:?}: {error}"));
        if let (Some(bytes), Some(mut pipe)) = (self.stdin, child.stdin.take()) {
            // An agent that does not read it closes the pipe.
            let _ = pipe.write_all(&bytes);
        }
        let stdout = Capture::of(child.stdout.take().expect("standard output is a pipe"));
        let stderr = Capture::of(child.stderr.take().expect("standard error is a pipe"));
        Running {
            child,
            stdout,
            stderr,
            root: self.environment.root().to_owned(),
        }
    }

    /// Every link of the chain executes the next in its place, so that the child's process id is the agent's.
    fn command(&self) -> Command {
        let mut chain: Vec<OsString> = Vec::new();
        if let Some(script) = &self.prologue {
            chain.extend(["unshare", "--mount", "sh", "-ec"].map(Into::into));
            chain.push(format!("{script}\nexec \"$@\"").into());
            chain.push("sh".into());
        }
        let account = self.environment.account();
        if account.change {
            chain.push("setpriv".into());
            chain.push(format!("--reuid={}", account.uid).into());
            chain.push(format!("--regid={}", account.gid).into());
            chain.push("--init-groups".into());
        }
        chain.push(self.environment.root().join("agent").into());
        chain.extend(self.arguments.iter().cloned());
        let mut command = Command::new(&chain[0]);
        command.args(&chain[1..]);
        command
    }
}

/// A stream that is read as it comes.
#[derive(Debug)]
struct Capture {
    bytes: Arc<Mutex<Vec<u8>>>,
    closed: Arc<AtomicBool>,
    reader: JoinHandle<()>,
}

impl Capture {
    fn of(mut stream: impl Read + Send + 'static) -> Self {
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let closed = Arc::new(AtomicBool::new(false));
        let (shared, told) = (Arc::clone(&bytes), Arc::clone(&closed));
        let reader = std::thread::spawn(move || {
            let mut buffer = vec![0; 64 << 10];
            while let Ok(read @ 1..) = stream.read(&mut buffer) {
                if told.load(Ordering::Relaxed) {
                    break;
                }
                shared
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .extend_from_slice(&buffer[..read]);
            }
        });
        Self {
            bytes,
            closed,
            reader,
        }
    }

    fn so_far(&self) -> Vec<u8> {
        self.bytes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

/// An agent that runs.
#[derive(Debug)]
pub struct Running {
    child: Child,
    stdout: Capture,
    stderr: Capture,
    root: PathBuf,
}

impl Running {
    /// Waits until the agent has printed `text` on its standard output.
    ///
    /// # Panics
    /// When it does not come, with all that came.
    pub fn wait_for(&mut self, text: &str) {
        let seen = wait::until(wait::PATIENCE, || {
            let over = matches!(self.child.try_wait(), Ok(Some(_)));
            let found = String::from_utf8_lossy(&self.stdout.so_far()).contains(text);
            (found || over).then_some(found)
        });
        assert!(
            seen == Some(true),
            "`{text}` did not come; standard output:\n{}\nstandard error:\n{}",
            String::from_utf8_lossy(&self.stdout.so_far()),
            String::from_utf8_lossy(&self.stderr.so_far())
        );
    }

    /// Sends a signal to the agent alone.
    pub fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        // An agent that is gone already needs no signal.
        let _ = id.map(|id| kill_process(id, signal));
    }

    /// Presses Ctrl-C.
    pub fn interrupt(&self) {
        self.signal(Signal::INT);
    }

    /// Closes the pipe the agent's standard output goes to, once there is more in it.
    pub fn close_output(&self) {
        self.stdout.closed.store(true, Ordering::Relaxed);
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// When it takes longer than any test may.
    #[must_use]
    pub fn finish(mut self) -> Finished {
        let status = wait::until(LIMIT, || self.child.try_wait().expect("wait for the agent"));
        if status.is_none() {
            self.signal(Signal::KILL);
        }
        let killed = self.child.wait().expect("wait for the agent");
        // A process that outlived the agent with its streams open would keep these for ever.
        let closed = wait::until(wait::PATIENCE, || {
            (self.stdout.reader.is_finished() && self.stderr.reader.is_finished()).then_some(())
        });
        let finished = Finished {
            status: status.unwrap_or(killed),
            stdout: self.stdout.so_far(),
            stderr: self.stderr.so_far(),
            root: self.root,
        };
        assert!(
            status.is_some(),
            "the agent did not end in {LIMIT:?}:\n{finished}"
        );
        assert!(
            closed.is_some(),
            "something holds the agent's output open after its end:\n{finished}"
        );
        finished
    }
}

/// What an agent left when it ended. Shown, it is everything that a failed assertion needs.
#[derive(Debug)]
pub struct Finished {
    status: ExitStatus,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    root: PathBuf,
}

impl Finished {
    /// The exit code, 128 and the signal for a death by signal, as a shell says it.
    #[must_use]
    pub fn code(&self) -> i32 {
        self.status
            .code()
            .unwrap_or_else(|| 128 + self.status.signal().unwrap_or(0))
    }

    /// Standard output's bytes.
    #[must_use]
    pub fn stdout(&self) -> &[u8] {
        &self.stdout
    }

    /// Standard output as text.
    #[must_use]
    pub fn output(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// Standard error as text.
    #[must_use]
    pub fn errors(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }

    /// Standard output without what differs from run to run.
    #[must_use]
    pub fn snapshot(&self) -> String {
        normalise(&self.output(), &self.root)
    }

    /// Standard error without what differs from run to run.
    #[must_use]
    pub fn errors_snapshot(&self) -> String {
        normalise(&self.errors(), &self.root)
    }

    /// Checks the exit code.
    ///
    /// # Panics
    /// When it is another, with all output.
    #[track_caller]
    #[must_use]
    pub fn expect(self, code: i32) -> Self {
        assert!(self.code() == code, "expected exit code {code}:\n{self}");
        self
    }

    /// Checks that a text stands in either output.
    ///
    /// # Panics
    /// When it does not, with all output.
    #[track_caller]
    #[must_use]
    pub fn says(self, text: &str) -> Self {
        assert!(
            self.output().contains(text) || self.errors().contains(text),
            "`{text}` is nowhere in:\n{self}"
        );
        self
    }

    /// Checks that a text stands in neither output.
    ///
    /// # Panics
    /// When it does, with all output.
    #[track_caller]
    #[must_use]
    pub fn does_not_say(self, text: &str) -> Self {
        assert!(
            !self.output().contains(text) && !self.errors().contains(text),
            "`{text}` should not be in:\n{self}"
        );
        self
    }

    /// The events of `--json`.
    ///
    /// # Panics
    /// When a line of standard output is not a JSON object.
    #[track_caller]
    #[must_use]
    pub fn events(&self) -> Vec<Value> {
        self.output()
            .lines()
            .map(|line| match serde_json::from_str(line) {
                Ok(event @ Value::Object(_)) => event,
                other => panic!("{line:?} is no event ({other:?}):\n{self}"),
            })
            .collect()
    }

    /// What a step wrote, from the events of `--json`. Text only.
    #[track_caller]
    #[must_use]
    pub fn log(&self, step: &str) -> String {
        self.events()
            .iter()
            .filter(|event| event["type"] == "log" && event["step"] == step)
            .filter_map(|event| event["text"].as_str())
            .collect()
    }
}

impl fmt::Display for Finished {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "exit code {} ({})", self.code(), self.status)?;
        writeln!(formatter, "--- standard output\n{}", self.output())?;
        writeln!(formatter, "--- standard error\n{}", self.errors())?;
        writeln!(formatter, "--- in {}", Path::new(&self.root).display())
    }
}
