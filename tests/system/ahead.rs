//! Containers that are built while the step before them runs.

use std::fs;
use std::path::PathBuf;

use harness::{TestEnvironment, for_everyone, wait};
use rustix::process::{Pid, Signal, kill_process};

for_everyone!(
    a_step_finds_its_container_built,
    a_container_that_is_gone_before_its_step_is_no_loss,
    nothing_is_built_for_a_step_that_never_comes,
);

/// Two steps of one kind; the first runs until the file `go` is there.
const PIPELINE: &str = "image: host
steps:
  - { name: first, run: 'echo up; until [ -e go ]; do sleep 0.05; done; echo mine > /tmp/left' }
  - { name: second, run: 'ls /tmp; echo $CI_STEP; test -n \"$WORD\"', env: { WORD: said } }
";

/// First processes of containers that wait for their command: inits of a PID namespace, without a child.
fn waiting(env: &TestEnvironment) -> Vec<i32> {
    // The project, as the mount at the workspace names it.
    let mark = env.root().file_name().unwrap_or_default();
    let mark = mark.to_string_lossy().into_owned();
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let waits = |path: PathBuf| {
        let pid: i32 = path.file_name()?.to_str()?.parse().ok()?;
        let status = fs::read_to_string(path.join("status")).ok()?;
        let ids = status
            .lines()
            .find_map(|line| line.strip_prefix("NSpid:"))?;
        let ids: Vec<_> = ids.split_whitespace().collect();
        let children = fs::read_to_string(path.join(format!("task/{pid}/children"))).ok()?;
        let is_init = ids.len() == 3 && ids.last() == Some(&"1");
        let mounts = fs::read_to_string(path.join("mountinfo")).ok()?;
        let is_ours = mounts
            .lines()
            .any(|line| line.contains(&mark) && line.contains(" /workspace "));
        (is_ours && is_init && children.is_empty()).then_some(pid)
    };
    processes.filter_map(|entry| waits(entry.path())).collect()
}

fn the_one_waiting(env: &TestEnvironment) -> i32 {
    let found = wait::until(wait::PATIENCE, || waiting(env).first().copied());
    found.expect("a container is built while the first step runs")
}

fn a_step_finds_its_container_built(env: &TestEnvironment) {
    env.pipeline(PIPELINE);
    let mut running = env.agent(["run-local", "--in-place"]).spawn();
    running.wait_for("up\n");
    let _ = the_one_waiting(env);
    env.write("project/go", "");
    let done = running.finish().expect(0);
    // Its own root, its own name, its own environment; what the first step left is not there.
    assert!(
        done.output().contains("\nsecond\n") && !done.output().contains("left"),
        "{done}"
    );
}

fn a_container_that_is_gone_before_its_step_is_no_loss(env: &TestEnvironment) {
    env.pipeline(PIPELINE);
    let mut running = env.agent(["run-local", "--in-place"]).spawn();
    running.wait_for("up\n");
    let waiting = the_one_waiting(env);
    kill_process(
        Pid::from_raw(waiting).expect("a process's id"),
        Signal::KILL,
    )
    .expect("kill it");
    env.write("project/go", "");
    let done = running.finish().expect(0);
    assert!(done.output().contains("\nsecond\n"), "{done}");
}

fn nothing_is_built_for_a_step_that_never_comes(env: &TestEnvironment) {
    // Another kind of container comes next, and then none.
    env.pipeline(
        "image: host
steps:
  - { name: first, run: 'echo up; until [ -e go ]; do sleep 0.05; done' }
  - { name: second, network: none, run: 'true' }
",
    );
    let mut running = env.agent(["run-local", "--in-place"]).spawn();
    running.wait_for("up\n");
    assert_eq!(waiting(env), Vec::<i32>::new());
    env.write("project/go", "");
    let _ = running.finish().expect(0);
}
