//! What several subjects need.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use harness::{Finished, Running, TestEnvironment, images};
use serde_json::{Value, json};

/// Runs one script as the only step, named `step`, in an image; more options may follow `run-local`.
pub(crate) fn run_script(
    environment: &TestEnvironment,
    image: &str,
    script: &str,
    options: &[&str],
) -> Finished {
    environment.pipeline(&single_step(image, script));
    run_local(environment, options)
}

/// `agent run-local` with options, in the project.
pub(crate) fn run_local(environment: &TestEnvironment, options: &[&str]) -> Finished {
    environment.agent(["run-local"].iter().chain(options)).run()
}

/// What the script prints in an image, where it succeeds.
#[track_caller]
pub(crate) fn output_of(environment: &TestEnvironment, image: &str, script: &str) -> String {
    run_script(environment, image, script, &["--json"])
        .expect(0)
        .log("step")
}

/// Whatever went wrong, the agent did not panic.
#[track_caller]
pub(crate) fn clean(done: Finished) -> Finished {
    done.does_not_say("panicked").does_not_say("RUST_BACKTRACE")
}

/// A pipeline of one step, named `step`, that runs a script.
pub(crate) fn single_step(image: &str, script: &str) -> String {
    let script = serde_json::to_string(script).unwrap_or_default();
    format!("image: \"{image}\"\nsteps:\n  - name: step\n    run: {script}\n")
}

/// The process id of an agent's zygote. The agent's other child is the keeper of its control groups, where it has any.
pub(crate) fn zygote_of(agent: u32) -> String {
    let children = format!("/proc/{agent}/task/{agent}/children");
    let children = std::fs::read_to_string(children).expect("list the agent's children");
    let is_zygote = |child: &&str| {
        let command = std::fs::read(format!("/proc/{child}/cmdline")).unwrap_or_default();
        command.starts_with(b"slipway-zygote")
    };
    let found = children.split_whitespace().find(is_zygote);
    found.expect("the agent has a zygote").to_owned()
}

/// Runs git in a directory, as the user of the test. The answer is what it prints.
#[track_caller]
pub(crate) fn git(env: &TestEnvironment, directory: &Path, arguments: &[&str]) -> String {
    let id = env.uid().to_string();
    let identity = [
        "user.name=t",
        "user.email=t@example.org",
        "init.defaultBranch=trunk",
    ];
    must(
        Command::new("setpriv")
            .args(["--reuid", &id, "--regid", &id, "--clear-groups", "git"])
            .args(identity.iter().flat_map(|setting| ["-c", setting]))
            .args(arguments)
            .env("HOME", env.home())
            .current_dir(directory),
    )
}

/// Runs a program of the machine that a test is set up with. The answer is what it prints.
#[track_caller]
pub(crate) fn must(command: &mut Command) -> String {
    let done = command
        .output()
        .unwrap_or_else(|error| panic!("start {command:?}: {error}"));
    assert!(
        done.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&done.stderr)
    );
    String::from_utf8_lossy(&done.stdout).into_owned()
}

/// The most memory that a program and what comes from it had, each process at its own worst, in KiB; and how it ended.
pub(crate) fn peak_of(running: Running) -> (Finished, u64) {
    let mut peaks = BTreeMap::new();
    while !running.is_over() {
        let mut rest = vec![running.id()];
        while let Some(id) = rest.pop() {
            let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
            let high = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
            let high = high.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
            let peak = peaks.entry(id).or_insert(0);
            *peak = high.unwrap_or(0).max(*peak);
            for task in fs::read_dir(format!("/proc/{id}/task"))
                .into_iter()
                .flatten()
                .flatten()
            {
                let children = fs::read_to_string(task.path().join("children")).unwrap_or_default();
                rest.extend(
                    children
                        .split_whitespace()
                        .filter_map(|id| id.parse::<u32>().ok()),
                );
            }
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    (running.finish(), peaks.values().sum())
}

/// Numbers between 0 and 1 that a seed reproduces (xorshift64*, Vigna 2016).
pub(crate) struct Moments {
    pub(crate) seed: u32,
    state: u64,
}

impl Moments {
    pub(crate) fn new(seed: u32) -> Self {
        Self {
            seed,
            state: u64::from(seed) | 1 << 40,
        }
    }

    pub(crate) fn next(&mut self) -> f64 {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        let bits = self.state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32;
        f64::from(u32::try_from(bits).unwrap_or_default()) / f64::from(u32::MAX)
    }
}

/// An archive of busybox, with this as its configuration of containers.
pub(crate) fn configured(env: &TestEnvironment, config: &Value) -> String {
    let directory = env.root().join("configured");
    fs::create_dir_all(&directory).expect("make a directory");
    let layer = images::path("busybox.tar");
    let sum = must(Command::new("sha256sum").arg(&layer));
    let digest = sum.split_whitespace().next().expect("a digest");
    let write = |name: &str, content: Value| {
        fs::write(directory.join(name), content.to_string()).expect("write the image");
    };
    let layers = json!({ "type": "layers", "diff_ids": [format!("sha256:{digest}")] });
    let whole =
        json!({ "architecture": "amd64", "os": "linux", "config": config, "rootfs": layers });
    write("config.json", whole);
    let image =
        json!({ "Config": "config.json", "RepoTags": ["configured:1"], "Layers": ["layer.tar"] });
    write("manifest.json", json!([image]));
    fs::copy(layer, directory.join("layer.tar")).expect("copy the layer");
    let archive = env.root().join("configured.tar");
    must(
        Command::new("tar")
            .arg("-cf")
            .arg(&archive)
            .arg("-C")
            .arg(&directory)
            .args(["config.json", "manifest.json", "layer.tar"]),
    );
    env.own(&archive);
    format!("docker-archive:{}", archive.display())
}
