use std::ffi::{OsStr, OsString};
use std::io::Write;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use crate::capture::Capture;
use crate::terminal::Terminal;
use crate::{Finished, Running, TestEnvironment, World};

/// A call of the agent that a test puts together.
#[derive(Debug)]
pub struct Agent<'a> {
    environment: &'a TestEnvironment,
    arguments: Vec<OsString>,
    variables: Vec<(OsString, OsString)>,
    directory: PathBuf,
    prologue: Option<String>,
    group: Option<u32>,
    inside: Option<String>,
    network: Option<String>,
    stdin: Option<Vec<u8>>,
    on_terminal: bool,
    program: PathBuf,
    around: Vec<OsString>,
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
            group: None,
            inside: None,
            network: None,
            stdin: None,
            on_terminal: false,
            program: environment.root().join("agent"),
            around: Vec::new(),
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

    /// Runs it on a machine of its own in a world: instead of [`Agent::after`].
    #[must_use]
    pub fn in_world(mut self, world: &World) -> Self {
        self.network = Some(world.machine());
        let resolv_conf = world.resolv_conf();
        self.after(&format!(
            "mount --bind {} /etc/resolv.conf",
            resolv_conf.display()
        ))
    }

    /// Runs it in a network namespace that has a name (ip-netns(8)).
    #[must_use]
    pub fn in_network(mut self, name: &str) -> Self {
        self.network = Some(name.to_owned());
        self
    }

    /// Has the agent's user be in this group besides its own, where the tests run as root.
    #[must_use]
    pub const fn in_group(mut self, group: u32) -> Self {
        self.group = Some(group);
        self
    }

    /// Runs it inside a user namespace in which its user is root, after a script of `sh`: what that changes, only the
    /// agent sees.
    #[must_use]
    pub fn in_a_user_namespace_after(mut self, script: &str) -> Self {
        self.inside = Some(script.to_owned());
        self
    }

    /// Runs the tests' own build of it, without these defences (`runtime::security::Defence`).
    #[must_use]
    pub fn weakened(mut self, dropped: &[&str]) -> Self {
        self.program = self.environment.weakened_agent();
        self.variable("SLIPWAY_WEAKEN", dropped.join(","))
    }

    /// Has a program execute it: these words stand before its own.
    #[must_use]
    pub fn executed_by<I>(mut self, words: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<OsString>,
    {
        self.around.extend(words.into_iter().map(Into::into));
        self
    }

    /// Runs it at a terminal, as the leader of a session there, as a login shell would be. Both outputs come out of it
    /// together; nothing but keys goes in.
    #[must_use]
    pub fn on_terminal(mut self) -> Self {
        self.on_terminal = true;
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
        let config = self.environment.root().join("config.yml");
        if !config.exists() {
            self.environment.write("config.yml", "{}\n");
        }
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
            .env("SLIPWAY_CONFIG", config)
            .current_dir(&self.directory);
        let root = self.environment.root().to_owned();
        if self.on_terminal {
            command.env("TERM", "xterm-256color").envs(self.variables);
            at_a_terminal(command, root)
        } else {
            command.envs(self.variables);
            with_pipes(command, self.stdin, root)
        }
    }

    /// Every link of the chain executes the next in its place, so that the child's process id is the agent's.
    fn command(&self) -> Command {
        let mut chain: Vec<OsString> = Vec::new();
        if self.on_terminal {
            // Whoever runs the tests in the background has its children ignore Ctrl-C; nobody's shell at a terminal does.
            let defaults = ["env", "--default-signal=INT,QUIT"];
            chain.extend(["setsid", "--ctty"].map(Into::into));
            chain.extend(defaults.map(Into::into));
        }
        if let Some(script) = &self.prologue {
            chain.extend(["unshare", "--mount", "sh", "-ec"].map(Into::into));
            chain.extend(then_exec(script));
        }
        if let Some(network) = &self.network {
            chain.push("nsenter".into());
            chain.push(format!("--net=/run/netns/{network}").into());
        }
        let account = self.environment.account();
        if account.change {
            chain.push("setpriv".into());
            chain.push(format!("--reuid={}", account.uid).into());
            chain.push(format!("--regid={}", account.gid).into());
            chain.push(self.group.map_or_else(
                || "--init-groups".into(),
                |group| format!("--groups={group}").into(),
            ));
        }
        if let Some(script) = &self.inside {
            chain.extend(["unshare", "--user", "--map-root-user", "sh", "-ec"].map(Into::into));
            chain.extend(then_exec(script));
        }
        chain.extend(self.around.iter().cloned());
        chain.push(self.program.clone().into());
        chain.extend(self.arguments.iter().cloned());
        let mut command = Command::new(&chain[0]);
        command.args(&chain[1..]);
        command
    }
}

/// The arguments of `sh -c` that run a script and then, in its place, whatever stands behind them.
fn then_exec(script: &str) -> [OsString; 2] {
    [format!("{script}\nexec \"$@\"").into(), "sh".into()]
}

fn with_pipes(mut command: Command, stdin: Option<Vec<u8>>, root: PathBuf) -> Running {
    command
        .stdin(match stdin {
            Some(_) => Stdio::piped(),
            None => Stdio::null(),
        })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = start(&mut command);
    let stdout = Capture::of(child.stdout.take().expect("standard output is a pipe"));
    let stderr = Capture::of(child.stderr.take().expect("standard error is a pipe"));
    // Only now: an agent may answer before it has read everything.
    if let (Some(bytes), Some(mut pipe)) = (stdin, child.stdin.take()) {
        // An agent that does not read it closes the pipe.
        let _ = pipe.write_all(&bytes);
    }
    Running {
        child,
        stdout,
        stderr: Some(stderr),
        terminal: None,
        root,
    }
}

/// The command's own copies of the terminal are closed with it: the terminal ends with the agent.
fn at_a_terminal(mut command: Command, root: PathBuf) -> Running {
    let (terminal, programs) = Terminal::open();
    let copy = || Stdio::from(programs.try_clone().expect("duplicate a descriptor"));
    command.stdin(copy()).stdout(copy()).stderr(copy());
    Running {
        child: start(&mut command),
        stdout: Capture::of(terminal.output()),
        stderr: None,
        terminal: Some(terminal),
        root,
    }
}

fn start(command: &mut Command) -> Child {
    command
        .spawn()
        .unwrap_or_else(|error| panic!("start {command:?}: {error}"))
}
