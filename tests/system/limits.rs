//! What a step may use: whatever it does, the limit holds, the cause names it, a neighbour does not notice, and nothing
//! is left. As root limits are held by control groups; a plain user has none here, and what can be held without is.

use std::fs;
use std::path::Path;
use std::process::Command;

use harness::{Finished, TestEnvironment, Who, for_everyone, for_plain_users, for_root, wait};
use serde_json::{Value, json};

use crate::support::run_local;

for_everyone!(
    a_fork_bomb_is_held_and_named,
    a_memory_hog_is_held_and_named,
    memory_is_that_of_all_processes_together,
    a_disk_filler_is_held_and_named,
    a_workspace_filler_is_held_and_named,
    a_log_flood_is_cut_off_and_named,
    a_zombie_maker_is_held_and_named,
    a_neighbour_notices_nothing,
    open_files_are_limited,
    a_limit_that_was_not_reached_explains_nothing,
    a_container_by_hand_has_limits,
);

for_root!(
    a_step_survives_a_memory_hog_of_its_own,
    the_machine_gives_no_more_than_it_says,
    cpu_time_is_limited,
    what_a_killed_step_used_is_counted,
    a_limit_too_low_to_start_is_named,
    a_step_is_not_charged_with_what_another_one_used,
    groups_of_version_2_are_used_where_there_are_no_others,
);

for_plain_users!(
    without_control_groups_there_is_one_warning,
    a_group_of_version_2_that_is_delegated_is_used,
);

/// A step that makes processes until it cannot.
const FORK_BOMB: &str = "i=0; while [ $i -lt 5000 ]; do sleep 1000 & i=$((i + 1)); done";
/// A step that never waits for its children.
const ZOMBIES: &str =
    "exec perl -e 'for (1..5000) { my $p = fork; exit 3 unless defined $p; exit 0 unless $p }'";
/// A step that keeps 300 MB in memory.
const HOG: &str = "head -c 300000000 /dev/zero | tail -c 290000000 | wc -c; exit 1";
/// A step that writes more to its root than it may.
const FILLER: &str = "head -c 64000000 /dev/zero > /tmp/big";

/// A pipeline of one step, named `step`, with these resources.
fn limited(resources: &str, script: &str) -> String {
    let script = serde_json::to_string(script).unwrap_or_default();
    format!("image: host\nsteps:\n  - name: step\n    resources: {resources}\n    run: {script}\n")
}

fn run(env: &TestEnvironment, pipeline: &str) -> Finished {
    env.pipeline(pipeline);
    run_local(env, &["--json"])
}

/// What is held less exactly than it could be is said, once.
fn a_container_by_hand_has_limits(env: &TestEnvironment) {
    let run = |words: &[&str]| env.agent(["run"].iter().chain(words)).run();
    let done = run(&["--pids-limit", "100", "host", "sh", "-c", FORK_BOMB]);
    assert_ne!(done.code(), 0, "{done}");
    let _ = done.says("the container could not make another process");
    let hog = ["host", "bash", "-o", "pipefail", "-ec", HOG];
    let done = run(&[&["--memory", "64m", "--cpus", "0.5"], &hog[..]].concat());
    assert_ne!(done.code(), 0, "{done}");
    let done = done.says("the container ran out of memory");
    if env.who() != Who::Root {
        let _ = done.says("warning: There are no control groups for you here: `cpus` is not held");
    }
    let wrong = |words: &[&str]| run(words).expect(125).errors();
    assert_eq!(
        wrong(&["--memory", "much", "host", "true"]),
        "error: --memory \"much\": it is no size such as 512m\n"
    );
    assert_eq!(
        wrong(&["--cpus", "0", "host", "true"]),
        "error: --cpus \"0\": it is no number of cores such as 1.5\n"
    );
}

/// The end of the step `step`.
#[track_caller]
fn end(done: &Finished) -> Value {
    end_of(done, "step")
}

#[track_caller]
fn end_of(done: &Finished, step: &str) -> Value {
    let events = done.events();
    let found = events
        .iter()
        .find(|event| event["type"] == "step_finished" && event["step"] == step);
    found
        .cloned()
        .unwrap_or_else(|| panic!("no end of {step}: {done}"))
}

fn a_fork_bomb_is_held_and_named(env: &TestEnvironment) {
    let done = run(env, &limited("{ pids: 100 }", FORK_BOMB)).expect(1);
    let end = end(&done);
    assert_eq!(end["cause"]["kind"], "pids", "{end}");
    assert_eq!(end["cause"]["limit"], 100, "{end}");
    let peak = end["usage"]["peak_pids"].as_u64();
    match env.who() {
        Who::Root => assert!(peak.is_some_and(|peak| (90..=100).contains(&peak)), "{end}"),
        Who::Subordinate | Who::Solo => assert_eq!(peak, None),
    }
}

fn a_zombie_maker_is_held_and_named(env: &TestEnvironment) {
    let done = run(env, &limited("{ pids: 100 }", ZOMBIES)).expect(1);
    let cause = &end(&done)["cause"];
    assert_eq!(*cause, json!({ "kind": "pids", "limit": 100, "code": 3 }));
}

fn a_disk_filler_is_held_and_named(env: &TestEnvironment) {
    let done = run(env, &limited("{ disk: 8MiB }", FILLER)).expect(1);
    let cause = &end(&done)["cause"];
    assert_eq!(cause["kind"], "disk", "{cause}");
    assert_eq!(cause["limit_bytes"], 8 << 20, "{cause}");
    // What fits, fits.
    let fits = "head -c 8000000 /dev/zero > /tmp/big && wc -c < /tmp/big";
    let done = run(env, &limited("{ disk: 8MiB }", fits)).expect(0);
    assert_eq!(done.log("step"), "8000000\n");
}

fn a_workspace_filler_is_held_and_named(env: &TestEnvironment) {
    // Two steps of one job: what the first has left counts.
    let fills =
        "mkdir -p a/b; head -c 24000000 /dev/zero > a/b/big-$CI_STEP; sleep 0.5; echo went on";
    let resources = "{ disk: 32MiB }";
    let pipeline = format!(
        "image: host\nresources: {resources}\nsteps:\n  - {{ name: first, run: '{fills}' }}\n  - {{ name: step, run: '{fills}; sleep 1000' }}\n"
    );
    let done = run(env, &pipeline).expect(1);
    assert_eq!(done.log("first"), "went on\n");
    let cause = &end(&done)["cause"];
    assert_eq!(
        *cause,
        json!({ "kind": "disk", "limit_bytes": 32 << 20, "code": 137 })
    );
}

fn a_log_flood_is_cut_off_and_named(env: &TestEnvironment) {
    env.write("config.yml", "limits: { log: 1MiB }\n");
    let done = run(env, &limited("{}", "yes")).expect(1);
    let cause = &end(&done)["cause"];
    assert_eq!(
        *cause,
        json!({ "kind": "log_limit", "limit_bytes": 1 << 20 })
    );
    assert_eq!(done.log("step").len(), 1 << 20);
}

fn a_neighbour_notices_nothing(env: &TestEnvironment) {
    let hog = serde_json::to_string(HOG).unwrap_or_default();
    let bomb = serde_json::to_string(&format!("{FORK_BOMB}; wait")).unwrap_or_default();
    let done = run(
        env,
        &format!(
            "image: host\njobs:\n  \
             bomb:\n    steps: [{{ name: bomb, run: {bomb}, resources: {{ pids: 100 }} }}]\n  \
             hog:\n    steps: [{{ name: hog, run: {hog}, resources: {{ memory: 64MiB }} }}]\n  \
             neighbour:\n    steps:\n      - name: neighbour\n        resources: {{ pids: 100 }}\n        run: |\n          \
             for i in $(seq 200); do test \"$(seq 100 | wc -l)\" = 100 || exit 1; done\n          \
             head -c 20000000 /dev/zero > /tmp/file && tail -c 10000000 /tmp/file | wc -c\n"
        ),
    )
    .expect(1);
    assert_eq!(end_of(&done, "bomb")["cause"]["kind"], "pids");
    assert_eq!(end_of(&done, "hog")["cause"]["kind"], "oom");
    assert_eq!(end_of(&done, "neighbour")["conclusion"], "success");
    assert_eq!(done.log("neighbour"), "10000000\n");
}

fn open_files_are_limited(env: &TestEnvironment) {
    let script = "ulimit -Sn; ulimit -Hn";
    let done = run(env, &limited("{ nofile: 64 }", script)).expect(0);
    assert_eq!(done.log("step"), "64\n64\n");
}

fn a_limit_that_was_not_reached_explains_nothing(env: &TestEnvironment) {
    let resources = "{ memory: 256MiB, pids: 100, disk: 64MiB, cpus: 1 }";
    let done = run(env, &limited(resources, "exit 3")).expect(1);
    assert_eq!(end(&done)["cause"], json!({ "kind": "exit", "code": 3 }));
}

fn a_memory_hog_is_held_and_named(env: &TestEnvironment) {
    let done = run(env, &limited("{ memory: 64MiB }", HOG)).expect(1);
    let end = end(&done);
    assert_eq!(end["cause"]["kind"], "oom", "{end}");
    assert_eq!(end["cause"]["limit_bytes"], 64 << 20, "{end}");
    if env.who() == Who::Root {
        let peak = end["usage"]["peak_memory_bytes"].as_u64().unwrap_or(0);
        assert!((32 << 20..=64 << 20).contains(&peak), "{end}");
    }
}

/// Each by itself is within the limit; and what they share counts once.
fn memory_is_that_of_all_processes_together(env: &TestEnvironment) {
    let of = |before: &str, each: &str, then: &str| {
        let script = format!(
            "exec perl -e '{before} for (1..6) {{ fork or do {{ {each}; sleep 1000 }} }} {then}'"
        );
        run(env, &limited("{ memory: 128MiB }", &script))
    };
    let done = of("", "$x = q(x) x 30e6", "wait; exit 3").expect(1);
    let cause = &end(&done)["cause"];
    let code = match env.who() {
        // The kernel has killed one of them (version 1).
        Who::Root => 3,
        _ => 137,
    };
    let expected = json!({ "kind": "oom", "limit_bytes": 128 << 20, "code": code });
    assert_eq!(*cause, expected, "{done}");
    let shared = "$x = q(x) x 50e6;";
    let _ = of(shared, "1", "sleep 1; exit 0").expect(0);
}

/// Where there are control groups, the kernel ends the process that wants more (on version 1).
fn a_step_survives_a_memory_hog_of_its_own(env: &TestEnvironment) {
    let survivor = format!("({HOG}) || true");
    let done = run(env, &limited("{ memory: 64MiB }", &survivor)).expect(0);
    assert_eq!(end_of(&done, "step")["cause"], Value::Null);
}

fn the_machine_gives_no_more_than_it_says(env: &TestEnvironment) {
    env.write("config.yml", "limits: { max: { memory: 64MiB } }\n");
    let done = run(env, &limited("{ memory: 2GiB }", HOG)).expect(1);
    assert_eq!(end(&done)["cause"]["limit_bytes"], 64 << 20);
    let _ = done.says("Step `step` asks for more `memory` than this machine gives");
    // Nor to who asks for nothing.
    let done = run(env, &limited("{}", HOG)).expect(1);
    assert_eq!(end(&done)["cause"]["kind"], "oom");
}

fn cpu_time_is_limited(env: &TestEnvironment) {
    let script = "cat /sys/fs/cgroup/cpu*/slipway-*/container-*/cpu.cfs_quota_us | sort -u";
    let done = run(env, &limited("{ cpus: 0.123 }", script)).expect(0);
    let log = done.log("step");
    assert!(log.lines().any(|line| line == "12300"), "{log}");
}

fn what_a_killed_step_used_is_counted(env: &TestEnvironment) {
    env.write("config.yml", "grace: 100ms\n");
    let script = "trap '' TERM; while :; do :; done";
    let done = run(
        env,
        &format!("image: host\nsteps: [{{ name: step, timeout: 1s, run: \"{script}\" }}]\n"),
    )
    .expect(1);
    let end = end(&done);
    assert_eq!(end["cause"]["kind"], "timeout");
    let used = end["usage"]["user_us"].as_u64().unwrap_or(0);
    assert!(used > 50_000, "{end}");
}

/// Containers of one run share groups, one after the other.
fn a_step_is_not_charged_with_what_another_one_used(env: &TestEnvironment) {
    let many = "for i in 1 2 3 4 5 6 7; do sleep 0.1 & done; wait";
    let mut pipeline = "image: host\nsteps:\n".to_owned();
    for number in 0..6 {
        pipeline += &format!("  - {{ name: many-{number}, run: '{many}' }}\n");
        pipeline += &format!("  - {{ name: one-{number}, run: ':' }}\n");
    }
    let done = run(env, &pipeline).expect(0);
    for number in 0..6 {
        let peak =
            |name: &str| end_of(&done, &format!("{name}-{number}"))["usage"]["peak_pids"].clone();
        assert_eq!((peak("many"), peak("one")), (json!(8), json!(1)), "{done}");
    }
}

fn a_limit_too_low_to_start_is_named(env: &TestEnvironment) {
    let done = run(env, &limited("{ memory: 4KiB }", "true")).expect(1);
    let cause = &end(&done)["cause"];
    assert_eq!(cause["kind"], "start", "{cause}");
    let message = cause["message"].as_str().unwrap_or_default();
    assert_eq!(
        message,
        "its limit of 4096 bytes of memory leaves no room to start it"
    );
}

/// Takes the trees of version 1 away from the agent, so that it sees a machine that has version 2 only.
pub(crate) const ONLY_VERSION_2: &str =
    "for tree in cpu cpuacct memory pids blkio; do umount /sys/fs/cgroup/$tree; done";

fn groups_of_version_2_are_used_where_there_are_no_others(env: &TestEnvironment) {
    env.pipeline(
        "image: host\nsteps:\n  - { name: first, run: cat /proc/self/cgroup }\n  - { name: step, timeout: 1s, run: \"while :; do :; done\" }\n",
    );
    let done = env
        .agent(["run-local", "--json"])
        .after(ONLY_VERSION_2)
        .run()
        .expect(1);
    // In a namespace of its own, its group is the root.
    assert!(
        done.log("first").lines().any(|line| line == "0::/"),
        "{done}"
    );
    // Only a group counts what a killed step has used.
    assert!(end(&done)["usage"]["user_us"].as_u64() > Some(0), "{done}");
}

fn without_control_groups_there_is_one_warning(env: &TestEnvironment) {
    env.pipeline(
        "image: host\nresources: { cpus: 1, memory: 64MiB }\nsteps:\n  - { name: step, run: echo fine }\n  - { name: hog, run: \"head -c 300000000 /dev/zero | tail -c 290000000\", shell: [bash, -o, pipefail, -e] }\n",
    );
    let done = run_local(env, &["--json"]).expect(1);
    let warnings: Vec<_> = done
        .events()
        .iter()
        .filter(|event| event["type"] == "warning")
        .map(|event| event["message"].as_str().unwrap_or_default().to_owned())
        .collect();
    assert_eq!(
        warnings,
        [
            "There are no control groups for you here: `cpus` is not held, `memory` is held a moment late; \
             `agent doctor` says how to get control groups."
        ]
    );
    assert_eq!(end_of(&done, "hog")["cause"]["kind"], "oom");
    // Nobody asked for a limit, and nobody hears of it.
    let done = run(env, &limited("{}", "true")).expect(0);
    let _ = done.does_not_say("control groups");
}

fn a_group_of_version_2_that_is_delegated_is_used(env: &TestEnvironment) {
    if !env.is_set_up_by_root() {
        return;
    }
    let tree = Path::new("/sys/fs/cgroup/unified");
    let name = env.root().file_name().unwrap_or_default();
    let group = tree.join(name);
    fs::create_dir(&group).expect("make a control group");
    let done = Command::new("chown")
        .args(["-R", &env.caller()])
        .arg(&group)
        .status();
    assert!(done.is_ok_and(|status| status.success()));
    env.pipeline(
        "image: host\nsteps: [{ name: step, timeout: 1s, run: \"while :; do :; done\" }]\n",
    );
    let enter = format!(
        "{ONLY_VERSION_2}\necho $$ > {}/cgroup.procs",
        group.display()
    );
    let done = env
        .agent(["run-local", "--json"])
        .after(&enter)
        .run()
        .expect(1);
    assert!(end(&done)["usage"]["user_us"].as_u64() > Some(0), "{done}");
    // What the agent made in it is gone, and nobody is left in it.
    let removed = wait::until(wait::PATIENCE, || fs::remove_dir(&group).ok());
    assert!(removed.is_some(), "{} is in use", group.display());
}
