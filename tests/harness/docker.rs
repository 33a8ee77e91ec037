use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::wait;

/// It stores a key, starts containerd, and looks at every network of the machine.
const START: Duration = Duration::from_secs(60);

/// Docker's daemon with storage of its own, without a network. Dropped, it ends, and its containers with it. Root alone
/// can start one.
#[derive(Debug)]
pub struct Docker {
    process: Child,
    socket: PathBuf,
}

impl Docker {
    /// Starts it, everything of it in `directory`; `driver` is what layers are stacked with, `vfs` or `overlay2`.
    ///
    /// # Errors
    /// What it says when it does not start, which is what is missing where it is not installed.
    ///
    /// # Panics
    /// When the directory cannot be written.
    pub fn start(directory: &Path, driver: &str) -> Result<Self, String> {
        fs::create_dir_all(directory).expect("make Docker's directory");
        let path = |name: &str| directory.join(name);
        fs::write(path("config.json"), "{}").expect("write Docker's configuration");
        let socket = path("sock");
        let log = fs::File::create(path("log")).expect("make Docker's log");
        // It is asked to end when the tests do, however they end.
        let process = Command::new("setpriv")
            .args(["--pdeathsig", "TERM", "dockerd"])
            .arg("--config-file")
            .arg(path("config.json"))
            .args([
                "--bridge=none",
                "--iptables=false",
                "--ip-masq=false",
                "--ip-forward=false",
            ])
            .args(["--storage-driver", driver, "--data-root"])
            .arg(path("data"))
            .arg("--exec-root")
            .arg(path("exec"))
            .arg("--pidfile")
            .arg(path("pid"))
            .arg("--host")
            .arg(format!("unix://{}", socket.display()))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .map_err(|error| format!("dockerd: {error}"))?;
        let mut docker = Self { process, socket };
        let answers = wait::until(START, || {
            if !matches!(docker.process.try_wait(), Ok(None)) {
                return Some(false);
            }
            let done = docker.client().arg("version").output().ok()?;
            done.status.success().then_some(true)
        });
        match answers {
            Some(true) => Ok(docker),
            _ => Err(fs::read_to_string(path("log")).unwrap_or_default()),
        }
    }

    /// `docker`, as this daemon's client.
    #[must_use]
    pub fn client(&self) -> Command {
        let mut command = Command::new("docker");
        command.arg("--host").arg(self.host());
        command
    }

    /// What `DOCKER_HOST` is for it.
    #[must_use]
    pub fn host(&self) -> String {
        format!("unix://{}", self.socket.display())
    }

    /// The daemon's process.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.process.id()
    }
}

impl Drop for Docker {
    fn drop(&mut self) {
        // Killed it would leave its mounts.
        if let Ok(None) = self.process.try_wait()
            && let Some(pid) = i32::try_from(self.process.id())
                .ok()
                .and_then(Pid::from_raw)
        {
            let _ = kill_process(pid, Signal::TERM);
        }
        let _ = self.process.wait();
    }
}
