//! `agent start`: jobs of a server run as `run-local` runs them, and everything they leave arrives.

use std::fs;
use std::path::Path;

use harness::{Agent, Finished, Running, Service, TestEnvironment, for_everyone, for_one_user};
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::support::git;

for_everyone!(
    a_job_runs_and_every_byte_of_it_arrives,
    a_commit_is_checked_out_and_its_steps_cannot_harm_the_mirror,
);

for_one_user!(
    two_slots_run_two_jobs_at_once_and_one_runs_one,
    an_agent_is_known_again_and_says_anew_what_it_is,
    an_ephemeral_agent_runs_one_job_and_ends,
    what_jobs_on_other_agents_have_left_is_there,
    secrets_reach_the_step_and_neither_the_disk_nor_the_server,
    a_repository_that_cannot_be_had_is_told,
    a_directory_of_the_machine_is_no_repository_unless_its_owner_says_so,
    pointers_of_lfs_are_told,
    an_agent_that_waits_is_small,
    what_was_said_wrongly_is_told,
);

/// An agent that works for a service.
pub(crate) fn start<'e>(env: &'e TestEnvironment, service: &Service, more: &[&str]) -> Agent<'e> {
    let url = service.url();
    let arguments = ["start", "--server", &url, "--token", "registration-token"];
    env.agent(arguments.iter().copied().chain(more.iter().copied()))
}

/// Tells an agent to take no more, and waits until it has ended well.
pub(crate) fn drain(agent: Running) -> Finished {
    agent.signal(Signal::TERM);
    agent.finish().expect(0)
}

/// The plan of a pipeline.
pub(crate) fn plan(env: &TestEnvironment, pipeline: &str) -> String {
    env.pipeline(pipeline);
    env.agent(["plan", "--format", "json"])
        .run()
        .expect(0)
        .output()
}

pub(crate) fn host(steps: &str) -> String {
    format!("image: host\nsteps:\n{steps}")
}

/// Every file below a directory, as one text.
pub(crate) fn everything(directory: &Path) -> String {
    let mut text = String::new();
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            text += &everything(&path);
        } else {
            text += &String::from_utf8_lossy(&fs::read(&path).unwrap_or_default());
        }
    }
    text
}

fn kinds(events: &[Value]) -> Vec<&str> {
    events
        .iter()
        .filter_map(|event| event["type"].as_str())
        .collect()
}

fn a_job_runs_and_every_byte_of_it_arrives(env: &TestEnvironment) {
    let service = Service::start();
    let steps = "  - name: text\n    run: echo one; echo two >&2\n  \
                 - name: bytes\n    run: printf 'a\\000\\377\\r\\nno end'\n  \
                 - name: much\n    run: i=0; while [ $i -lt 40000 ]; do echo \"line $i of forty thousand, with some more to it\"; i=$((i+1)); done\n  \
                 - name: silent\n    run: 'true'\n  \
                 - name: fails\n    run: exit 3\n  \
                 - name: never\n    run: echo never\n";
    service.offer(12, &plan(env, &host(steps)), json!({}));
    let agent = start(env, &service, &[]).spawn();
    let (finish, attempt) = service.wait_for_finish(12);
    let _ = drain(agent)
        .says("job 12-1: main")
        .says("job 12-1: failure");

    assert_eq!(finish["conclusion"], "failure");
    assert_eq!(attempt.logs["step-0"], b"one\ntwo\n");
    assert_eq!(attempt.logs["step-1"], b"a\0\xff\r\nno end");
    let much: String = (0..40_000)
        .map(|line| format!("line {line} of forty thousand, with some more to it\n"))
        .collect();
    assert!(
        attempt.logs["step-2"] == much.as_bytes(),
        "the long log differs"
    );
    assert_eq!(attempt.logs["step-3"], b"");
    assert_eq!(
        attempt
            .logs
            .keys()
            .filter(|name| name.starts_with("step-5"))
            .count(),
        0
    );
    let times = String::from_utf8_lossy(&attempt.logs["step-2.times"]).into_owned();
    assert!(times.starts_with("0 "), "{times}");
    let kinds = kinds(&attempt.events);
    assert_eq!(
        (kinds[0], *kinds.last().expect("events")),
        ("run_started", "run_finished")
    );
    assert!(!kinds.contains(&"log"));
    let named: Vec<&str> = finish["logs"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|log| log["name"].as_str())
        .collect();
    assert_eq!(named.len(), attempt.logs.len(), "{named:?}");
    // All of it is at the server: nothing stays.
    assert!(!env.data().join("jobs/12-1").exists());
}

fn a_commit_is_checked_out_and_its_steps_cannot_harm_the_mirror(env: &TestEnvironment) {
    let upstream = env.root().join("upstream");
    env.write("upstream/file", "from the first commit\n");
    git(env, &upstream, &["init", "-q"]);
    git(env, &upstream, &["add", "-A"]);
    git(env, &upstream, &["commit", "-q", "-m", "first"]);
    let commit = git(env, &upstream, &["rev-parse", "HEAD"])
        .trim()
        .to_owned();
    env.write("config.yml", "repositories: { files: true }\n");
    let service = Service::start();
    let steps = "  - run: cat file; echo changed > file; rm -rf .git; pwd; echo $CI_COMMIT $CI_BRANCH $CI_PIPELINE_ID $EXTRA\n";
    let plan = plan(env, &host(steps));
    let more = json!({
        "source": { "url": upstream, "commit": commit, "ref": "refs/heads/trunk" },
        "trigger": { "event": "push", "branch": "trunk", "commit": commit },
        "variables": { "EXTRA": "given", "CI_BRANCH": "not yours" },
    });
    for job in [1, 2] {
        service.offer(job, &plan, more.clone());
    }
    let agent = start(env, &service, &[]).spawn();
    for job in [1, 2] {
        let (finish, attempt) = service.wait_for_finish(job);
        let log = String::from_utf8_lossy(&attempt.logs["step-0"]).into_owned();
        assert_eq!(finish["conclusion"], "success", "{log}");
        assert_eq!(
            log,
            format!("from the first commit\n/workspace\n{commit} trunk 7 given\n")
        );
    }
    let _ = drain(agent);
}

fn two_slots_run_two_jobs_at_once_and_one_runs_one(env: &TestEnvironment) {
    let service = Service::start();
    // Each waits for the other: one alone would never end.
    let shared = env.root().join("shared");
    env.write("shared/x", "");
    env.write(
        "config.yml",
        format!("host: {{ paths: [{}] }}\n", shared.display()),
    );
    let wait = |other: &str| {
        host(&format!(
            "  - run: while ! [ -e {}/{other} ]; do sleep 0.05; done\n",
            shared.display()
        ))
    };
    service.offer(1, &plan(env, &wait("go")), json!({}));
    service.offer(2, &plan(env, &host("  - run: echo second\n")), json!({}));
    let agent = start(
        env,
        &service,
        &[
            "--slots",
            "2",
            "--labels",
            "os=linux,gpu",
            "--name",
            "north",
        ],
    )
    .spawn();
    let _ = service.wait_for_finish(2);
    assert!(service.attempt(1).accepted);
    assert_eq!(service.attempt(1).finish, None);
    env.write("shared/go", "");
    let _ = service.wait_for_finish(1);
    let _ = drain(agent);
    let registered = &service.registered()[0];
    assert_eq!(registered["name"], "north");
    assert_eq!(registered["slots"], 2);
    assert_eq!(
        registered["labels"],
        json!({ "os": "linux", "gpu": "true" })
    );
}

fn an_agent_is_known_again_and_says_anew_what_it_is(env: &TestEnvironment) {
    let service = Service::start();
    for _ in 0..2 {
        let agent = start(env, &service, &[]).spawn();
        wait_for_heartbeat(&service);
        let _ = drain(agent);
    }
    assert_eq!(service.registered().len(), 1);
    let mode = std::os::unix::fs::PermissionsExt::mode(
        &fs::metadata(env.data().join("agent.json"))
            .expect("an identity")
            .permissions(),
    );
    assert_eq!(mode & 0o777, 0o600);
    // Two of them would send each other's jobs.
    let agent = start(env, &service, &[]).spawn();
    wait_for_heartbeat(&service);
    let _ = start(env, &service, &[])
        .run()
        .expect(2)
        .says("another `agent start` uses the data directory");
    let _ = drain(agent);
}

pub(crate) fn wait_for_heartbeat(service: &Service) {
    let before = service.heartbeats();
    let came = harness::wait::until(harness::wait::PATIENCE, || {
        (service.heartbeats() > before).then_some(())
    });
    assert!(came.is_some(), "no heartbeat");
}

fn an_ephemeral_agent_runs_one_job_and_ends(env: &TestEnvironment) {
    let service = Service::start();
    let plan = plan(env, &host("  - run: echo once\n"));
    service.offer(1, &plan, json!({}));
    service.offer(2, &plan, json!({}));
    let _ = start(env, &service, &["--ephemeral", "--slots", "3"])
        .run()
        .expect(0);
    assert!(service.attempt(1).finish.is_some());
    assert!(!service.attempt(2).accepted);
    assert_eq!(service.registered()[0]["ephemeral"], true);
    assert!(!env.data().join("agent.json").exists());
}

fn what_jobs_on_other_agents_have_left_is_there(env: &TestEnvironment) {
    let service = Service::start();
    let pipeline = "image: host\njobs:\n  build:\n    outputs: { version: \"1\" }\n    steps: [{ run: x }]\n  \
                    deploy:\n    needs: [build]\n    outputs: { told: \"${{ needs.build.outputs.version }}!\" }\n    steps:\n      \
                    - run: echo \"${{ needs.build.outputs.version }} ${{ needs.build.conclusion }}\"\n";
    let mut plan: Value = serde_json::from_str(&plan(env, pipeline)).expect("a plan");
    let jobs = plan["jobs"].as_array_mut().expect("jobs");
    jobs.retain(|job| job["id"] == "deploy");
    let needs = json!({ "needs": { "build": { "conclusion": "success", "outputs": { "version": "4.2" } } } });
    service.offer(1, &plan.to_string(), needs);
    let agent = start(env, &service, &[]).spawn();
    let (finish, attempt) = service.wait_for_finish(1);
    let _ = drain(agent);
    assert_eq!(attempt.logs["step-0"], b"4.2 success\n");
    assert_eq!(finish["outputs"], json!({ "told": "4.2!" }));
}

fn secrets_reach_the_step_and_neither_the_disk_nor_the_server(env: &TestEnvironment) {
    let service = Service::start();
    let shared = env.root().join("shared");
    env.write("shared/x", "");
    env.write(
        "config.yml",
        format!("host: {{ paths: [{}] }}\n", shared.display()),
    );
    let pipeline = format!(
        "image: host\njobs:\n  main:\n    outputs: {{ leak: \"${{{{ steps.a.outputs.leak }}}}\", fine: \"yes\" }}\n    steps:\n      \
         - name: a\n        secrets: [TOKEN]\n        run: |\n          echo \"it is $TOKEN\"; echo \"$TOKEN\" | base64; echo \"leak=$TOKEN\" >> \"$SLIPWAY_OUTPUT\"\n          \
         echo \"$TOKEN\" | cut -c1-5; while ! [ -e {}/go ]; do sleep 0.05; done\n",
        shared.display()
    );
    let plan = plan(env, &pipeline);
    service.offer(
        1,
        &plan,
        json!({ "secrets": { "TOKEN": "hunter2-and-more" } }),
    );
    let agent = start(env, &service, &[]).spawn();
    service.wait(1, |attempt| {
        attempt
            .logs
            .get("step-0")
            .is_some_and(|log| log.ends_with(b"hunte\n"))
    });
    let on_disk = everything(&env.data().join("jobs"));
    assert!(on_disk.contains("it is ***"), "{on_disk}");
    assert!(!on_disk.contains("hunter2"), "{on_disk}");
    env.write("shared/go", "");
    let (finish, attempt) = service.wait_for_finish(1);
    let _ = drain(agent);
    assert_eq!(attempt.logs["step-0"], b"it is ***\n***\nhunte\n");
    assert_eq!(finish["outputs"], json!({ "fine": "yes" }));
    let all = format!("{attempt:?}");
    assert!(!all.contains("hunter2"), "{all}");
    assert!(
        all.contains("The output `leak` has the value of a secret in it"),
        "{all}"
    );
}

fn a_repository_that_cannot_be_had_is_told(env: &TestEnvironment) {
    let service = Service::start();
    let plan = plan(env, &host("  - run: echo never\n"));
    let commit = "0123456789012345678901234567890123456789";
    for (job, url) in [
        (1, "ext::sh -c id"),
        (2, "http://192.0.2.1/x"),
        (3, "https://me:hunter2@host:0/x"),
    ] {
        service.offer(
            job,
            &plan,
            json!({ "source": { "url": url, "commit": commit } }),
        );
    }
    let agent = start(env, &service, &[]).spawn();
    for (job, why) in [
        (1, "has a space, a control character or a backslash"),
        (2, "without encryption"),
        (3, "has a port that is not a number"),
    ] {
        let (finish, attempt) = service.wait_for_finish(job);
        assert_eq!(finish["conclusion"], "error");
        let message = finish["cause"]["message"].as_str().unwrap_or_default();
        assert!(message.contains(why), "{message}");
        assert!(!message.contains("hunter2"), "{message}");
        assert_eq!(kinds(&attempt.events), ["job_finished"]);
    }
    let _ = drain(agent);
}

fn a_directory_of_the_machine_is_no_repository_unless_its_owner_says_so(env: &TestEnvironment) {
    let service = Service::start();
    let source = json!({ "source": { "url": "/etc", "commit": "0123456789012345678901234567890123456789" } });
    service.offer(1, &plan(env, &host("  - run: echo never\n")), source);
    let agent = start(env, &service, &[]).spawn();
    let (finish, _) = service.wait_for_finish(1);
    let _ = drain(agent);
    let message = finish["cause"]["message"].as_str().unwrap_or_default();
    assert!(
        message.contains("`repositories: { files: true }`"),
        "{message}"
    );
}

fn pointers_of_lfs_are_told(env: &TestEnvironment) {
    let upstream = env.root().join("upstream");
    let pointer = format!(
        "version https://git-lfs.github.com/spec/v1\noid sha256:{:064}\nsize 3\n",
        7
    );
    env.write("upstream/art.png", pointer);
    git(env, &upstream, &["init", "-q"]);
    git(env, &upstream, &["add", "-A"]);
    git(env, &upstream, &["commit", "-q", "-m", "first"]);
    let commit = git(env, &upstream, &["rev-parse", "HEAD"])
        .trim()
        .to_owned();
    env.write("config.yml", "repositories: { files: true }\n");
    let service = Service::start();
    let source = json!({ "source": { "url": upstream, "commit": commit } });
    service.offer(1, &plan(env, &host("  - run: echo hello\n")), source);
    let agent = start(env, &service, &[]).spawn();
    let (_, attempt) = service.wait_for_finish(1);
    let _ = drain(agent);
    let all = format!("{:?}", attempt.events);
    assert!(
        all.contains(
            "1 file of the commit is a pointer of Git LFS, whose content is not fetched: art.png."
        ),
        "{all}"
    );
}

fn an_agent_that_waits_is_small(env: &TestEnvironment) {
    let service = Service::start();
    service.offer(1, &plan(env, &host("  - run: seq 100000\n")), json!({}));
    let agent = start(env, &service, &[]).spawn();
    let _ = service.wait_for_finish(1);
    let resident = || -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", agent.id()));
        let status = status.expect("the agent's status");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        line.and_then(|line| line.split_whitespace().next()?.parse().ok())
            .expect("the agent's memory")
    };
    // It has had a job, and gives back what that needed as soon as it rests.
    let small = harness::wait::until(harness::wait::PATIENCE, || {
        (resident() < 15 << 10).then_some(())
    });
    let at_last = resident();
    let _ = drain(agent);
    assert!(small.is_some(), "{at_last} KiB");
}

fn what_was_said_wrongly_is_told(env: &TestEnvironment) {
    let _ = env
        .agent(["start"])
        .run()
        .expect(2)
        .says("no server is named");
    let wrong = ["start", "--server", "ci.example.org"];
    let _ = env
        .agent(wrong)
        .run()
        .expect(2)
        .says("begins with https://");
    let service = Service::start();
    let url = service.url();
    let _ = env
        .agent(["start", "--server", &url])
        .run()
        .expect(2)
        .says("there is no registration token");
    let _ = start(env, &service, &["--labels", "=x"])
        .run()
        .expect(2)
        .says("is no label");
    let _ = env
        .agent(["job"])
        .run()
        .expect(2)
        .says("`agent start` is what calls this command");
}
