//! Podman with this runtime in the place of its own.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use harness::{Finished, TestEnvironment, for_users_with_ranges, images, wait};

for_users_with_ranges!(podman_runs_stops_and_forgets_containers);

/// An environment of podman's own in which the agent is its runtime. It is called `crun`: podman lets a runtime of that name
/// alone do without control groups of podman's making.
struct Podman<'a> {
    env: &'a TestEnvironment,
}

impl<'a> Podman<'a> {
    fn new(env: &'a TestEnvironment) -> Self {
        let root = env.root().to_string_lossy();
        env.write(
            "crun",
            format!("#!/bin/sh\nSLIPWAY_DATA={root}/data exec {root}/agent oci \"$@\"\n"),
        );
        let program = env.root().join("crun");
        std::fs::set_permissions(program, PermissionsExt::from_mode(0o755))
            .expect("make it a program");
        env.write(
            "containers.conf",
            format!(
                "[engine]\nruntime = \"crun\"\ncgroup_manager = \"cgroupfs\"\nevents_logger = \"none\"\n\
                 [engine.runtimes]\ncrun = [\"{root}/crun\"]\n\
                 [containers]\ncgroups = \"disabled\"\ndefault_ulimits = [\"nofile=512:512\", \"nproc=4096:4096\"]\n"
            ),
        );
        env.write("xdg/.keep", "");
        Self { env }
    }

    /// `podman` with these words, as the user of the test.
    fn run(&self, words: &[&str]) -> Finished {
        let at = |name: &str| self.env.root().join(name).to_string_lossy().into_owned();
        let (storage, runroot) = (at("home/storage"), at("xdg/run"));
        let own = [
            "podman",
            "--storage-driver",
            "vfs",
            "--root",
            &storage,
            "--runroot",
            &runroot,
        ];
        let command: Vec<String> = own
            .iter()
            .chain(words)
            .map(|word| (*word).to_owned())
            .collect();
        // The agent that the harness would call is the last word: a shell drops it.
        let script = "i=$#; for last; do :; done; set -- \"$@\"; n=$((i - 1)); exec perl -e 'pop @ARGV; exec @ARGV' \"$@\"";
        let around = ["sh", "-c", script, "sh"].map(str::to_owned);
        self.env
            .agent([""; 0])
            .executed_by(around.into_iter().chain(command))
            .variable("CONTAINERS_CONF", at("containers.conf"))
            .variable("XDG_RUNTIME_DIR", at("xdg"))
            .run()
    }
}

impl Drop for Podman<'_> {
    fn drop(&mut self) {
        let _ = self.run(&["rm", "--all", "--force", "--time", "0"]);
        // What other ids own, only the user's own namespace may remove.
        if self.env.who() != harness::Who::Root {
            let home = self.env.root().join("home/storage");
            let _ = self.run(&["unshare", "rm", "-rf", &home.to_string_lossy()]);
        }
        // Of an engine without root a process stays behind that holds its namespace.
        let pause = self.env.root().join("xdg/libpod/tmp/pause.pid");
        if let Ok(id) = std::fs::read_to_string(pause) {
            let _ = Command::new("kill").arg(id.trim()).status();
        }
    }
}

fn podman_runs_stops_and_forgets_containers(env: &TestEnvironment) {
    let podman = Podman::new(env);
    let archive = images::path("podman.docker.tar");
    let _ = podman
        .run(&["load", "--quiet", "-i", &archive.to_string_lossy()])
        .expect(0);
    let image = "localhost/tree";
    let run = ["run", "--rm", "--network", "none", "--entrypoint", "sh"];

    let words = [
        &run[..],
        &[
            "--hostname",
            "web",
            "-e",
            "A=b",
            image,
            "-c",
            "id -u; hostname; echo $A; exit 3",
        ],
    ]
    .concat();
    let done = podman.run(&words).expect(3);
    assert_eq!(done.output(), "0\nweb\nb\n");

    // The default seccomp profile of podman's is in force beside ours, and user, mounts and limits are the caller's.
    env.write("shared/in", "from outside\n");
    let volume = format!("{}:/mnt:ro", env.root().join("shared").display());
    let script = "grep -E 'Seccomp_filters|CapEff' /proc/self/status; id -u; cat /mnt/in; touch /mnt/x 2>/dev/null || echo read only; ulimit -n";
    let words = [
        &run[..],
        &["--user", "33:33", "-v", &volume, image, "-c", script],
    ]
    .concat();
    let done = podman.run(&words).expect(0);
    assert_eq!(
        done.output().replace('\t', " "),
        "CapEff: 0000000000000000\nSeccomp_filters: 2\n33\nfrom outside\nread only\n512\n"
    );

    let words = [&run[..], &["-t", image, "-c", "tty"]].concat();
    assert_eq!(podman.run(&words).expect(0).output(), "/dev/pts/0\r\n");

    let script = "trap 'echo asked; exit 7' TERM; echo ready; while :; do sleep 1 & wait $!; done";
    let words = [
        "run",
        "-d",
        "--name",
        "web",
        "--network",
        "none",
        "--entrypoint",
        "sh",
        image,
        "-c",
        script,
    ];
    let _ = podman.run(&words).expect(0);
    let ready = wait::until(wait::PATIENCE, || {
        podman
            .run(&["logs", "web"])
            .output()
            .contains("ready")
            .then_some(())
    });
    assert!(ready.is_some(), "the container does not come up");
    let _ = podman.run(&["stop", "--time", "60", "web"]).expect(0);
    assert_eq!(podman.run(&["wait", "web"]).expect(0).output(), "7\n");
    assert_eq!(
        podman.run(&["logs", "web"]).expect(0).output(),
        "ready\nasked\n"
    );
    let _ = podman.run(&["rm", "web"]).expect(0);
}
