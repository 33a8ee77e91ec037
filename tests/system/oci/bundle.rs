//! A bundle of a test's own, and the operations on its container.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use harness::{Finished, TestEnvironment, images, wait};
use serde_json::{Value, json};

use crate::support::must;

/// A bundle and the container of it, which goes when this does.
pub(super) struct Bundle<'a> {
    pub(super) env: &'a TestEnvironment,
    /// The container's id and the directory's name.
    pub(super) id: String,
    /// `config.json`.
    pub(super) config: Value,
}

impl<'a> Bundle<'a> {
    /// One with busybox as its root, owned by the user, and with a configuration that runs a script.
    pub(super) fn new(env: &'a TestEnvironment, id: &str, script: &str) -> Self {
        let bundle = Self {
            env,
            id: id.to_owned(),
            config: default_config(&["sh", "-c", script]),
        };
        let root = bundle.root();
        fs::create_dir_all(&root).expect("make the bundle");
        must(
            Command::new("tar")
                .args(["--no-same-owner", "-xf"])
                .arg(images::path("busybox.tar"))
                .arg("-C")
                .arg(&root),
        );
        must(
            Command::new("chown")
                .args(["-R", "-h", &env.caller()])
                .arg(bundle.path()),
        );
        bundle
    }

    /// The bundle's directory.
    pub(super) fn path(&self) -> PathBuf {
        self.env.root().join(&self.id)
    }

    /// Its root file system.
    pub(super) fn root(&self) -> PathBuf {
        self.path().join("rootfs")
    }

    /// Writes a file into its root file system.
    pub(super) fn write(&self, path: &str, text: &str) {
        let path = Path::new(&self.id).join("rootfs").join(path);
        self.env.write(path, text);
    }

    /// Reads one there.
    pub(super) fn read(&self, path: &str) -> String {
        fs::read_to_string(self.root().join(path)).unwrap_or_default()
    }

    /// `agent oci` with these words behind it. The container's output is in files of its own, since it outlives the call.
    pub(super) fn agent(&self, words: &[&str]) -> Finished {
        let redirect = format!(
            "exec \"$@\" >>'{0}.out' 2>>'{0}.err' </dev/null",
            self.path().display()
        );
        let words = ["oci"].iter().chain(words);
        self.env
            .agent(words)
            .executed_by(["sh", "-c", &redirect, "sh"])
            .run()
    }

    /// What the container and the operations have written.
    pub(super) fn output(&self) -> String {
        self.file("out")
    }

    /// The same on standard error.
    pub(super) fn errors(&self) -> String {
        self.file("err")
    }

    fn file(&self, end: &str) -> String {
        let path = self.env.root().join(format!("{}.{end}", self.id));
        fs::read_to_string(path).unwrap_or_default()
    }

    /// `create`, with these options; whether it succeeded.
    pub(super) fn try_create(&self, options: &[&str]) -> bool {
        self.env.write(
            Path::new(&self.id).join("config.json"),
            self.config.to_string(),
        );
        let path = self.path();
        let bundle = path.to_string_lossy();
        let words = [&["create", "--bundle", &*bundle], options, &[&self.id]].concat();
        self.agent(&words).code() == 0
    }

    /// `create`.
    #[track_caller]
    pub(super) fn create(&self) {
        assert!(self.try_create(&[]), "{}", self.errors());
    }

    /// `start`; whether it succeeded.
    pub(super) fn try_start(&self) -> bool {
        self.agent(&["start", &self.id]).code() == 0
    }

    /// `start`.
    #[track_caller]
    pub(super) fn start(&self) {
        assert!(self.try_start(), "{}", self.errors());
    }

    /// `kill`; whether it succeeded.
    pub(super) fn kill(&self, signal: &str) -> bool {
        self.agent(&["kill", &self.id, signal]).code() == 0
    }

    /// `delete`; whether it succeeded.
    pub(super) fn delete(&self) -> bool {
        self.agent(&["delete", &self.id]).code() == 0
    }

    /// `state`, if there is a container.
    pub(super) fn state(&self) -> Option<Value> {
        let done = self.env.agent(["oci", "state", &self.id]).run();
        (done.code() == 0).then(|| serde_json::from_str(&done.output()).expect("a state is JSON"))
    }

    /// Its status; empty for no container.
    pub(super) fn status(&self) -> String {
        let state = self.state().unwrap_or_default();
        state["status"].as_str().unwrap_or_default().to_owned()
    }

    /// The container's first process.
    #[track_caller]
    pub(super) fn pid(&self) -> i64 {
        let state = self.state().expect("there is a container");
        state["pid"].as_i64().expect("it has a process")
    }

    /// Waits until the container is over.
    #[track_caller]
    pub(super) fn wait(&self) {
        let over = wait::until(wait::PATIENCE, || {
            (self.status() == "stopped").then_some(())
        });
        assert!(over.is_some(), "{}: {}", self.status(), self.errors());
    }

    /// From `create` to the end; what the container has written.
    #[track_caller]
    pub(super) fn run(&self) -> String {
        self.create();
        self.start();
        self.wait();
        assert!(self.delete(), "{}", self.errors());
        self.output()
    }

    /// The error with which `create` refuses the bundle.
    #[track_caller]
    pub(super) fn refusal(&self) -> String {
        let before = self.errors().len();
        assert!(!self.try_create(&[]), "it was created: {}", self.config);
        assert_eq!(self.status(), "", "something of it is left");
        let errors = self.errors().split_off(before);
        let root = self.env.root().to_string_lossy();
        errors.trim_end().replace(&*root, "ROOT")
    }
}

impl Drop for Bundle<'_> {
    fn drop(&mut self) {
        let _ = self.agent(&["delete", "--force", &self.id]);
    }
}

/// The configuration that runtime-tools' generator begins with (`generate.New`), without its seccomp profile.
fn default_config(args: &[&str]) -> Value {
    let capabilities = json!([
        "CAP_CHOWN",
        "CAP_DAC_OVERRIDE",
        "CAP_FSETID",
        "CAP_FOWNER",
        "CAP_MKNOD",
        "CAP_NET_RAW",
        "CAP_SETGID",
        "CAP_SETUID",
        "CAP_SETFCAP",
        "CAP_SETPCAP",
        "CAP_NET_BIND_SERVICE",
        "CAP_SYS_CHROOT",
        "CAP_KILL",
        "CAP_AUDIT_WRITE"
    ]);
    json!({
        "ociVersion": "1.0.2",
        "root": {"path": "rootfs"},
        "hostname": "mrsdalloway",
        "process": {
            "user": {"uid": 0, "gid": 0},
            "args": args,
            "cwd": "/",
            "env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm"],
            "capabilities": {
                "bounding": capabilities, "effective": capabilities, "permitted": capabilities,
                "inheritable": capabilities, "ambient": capabilities
            },
            "rlimits": [{"type": "RLIMIT_NOFILE", "hard": 1024, "soft": 1024}]
        },
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc", "options": ["nosuid", "noexec", "nodev"]},
            {"destination": "/dev", "type": "tmpfs", "source": "tmpfs",
             "options": ["nosuid", "strictatime", "mode=755", "size=65536k"]},
            {"destination": "/dev/pts", "type": "devpts", "source": "devpts",
             "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]},
            {"destination": "/dev/shm", "type": "tmpfs", "source": "shm",
             "options": ["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]},
            {"destination": "/dev/mqueue", "type": "mqueue", "source": "mqueue",
             "options": ["nosuid", "noexec", "nodev"]},
            {"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["nosuid", "noexec", "nodev", "ro"]}
        ],
        "linux": {
            "resources": {"devices": [{"allow": false, "access": "rwm"}]},
            "namespaces": [{"type": "pid"}, {"type": "network"}, {"type": "ipc"}, {"type": "uts"}, {"type": "mount"}]
        }
    })
}
