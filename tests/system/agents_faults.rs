//! Agents, servers and networks that die: no byte is lost, nothing is left running, and jobs that were not finished are given back.

use std::fs;

use harness::{Service, TestEnvironment, for_everyone, for_one_user};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use crate::agents::{drain, host, plan, start, wait_for_heartbeat};

for_everyone!(
    a_server_that_is_away_loses_nothing_and_stops_nothing,
    a_killed_agent_leaves_nothing_and_its_next_start_gives_the_job_back,
);

for_one_user!(
    a_job_that_was_over_when_its_agent_died_is_finished_by_the_next,
    a_killed_process_of_a_job_is_told_and_the_job_given_back,
    a_proxy_that_stutters_and_a_spoiled_log_change_nothing,
    a_job_that_is_anothers_is_killed_and_thrown_away,
    a_cancelled_job_may_clean_up_and_an_aborted_one_may_not,
    a_server_that_is_slow_with_caches_keeps_nobody_who_wants_to_stop,
    a_repository_whose_host_says_nothing_keeps_nobody_who_wants_to_stop,
    an_agent_that_drains_ends_behind_its_jobs_and_a_second_signal_gives_them_back,
    a_server_that_drains_its_agent_gives_it_no_more,
    a_job_that_a_full_disk_ended_is_given_back_and_the_agent_goes_on,
    an_agent_without_room_takes_no_jobs_until_there_is_some,
    an_agent_that_is_to_end_does_not_wait_for_a_server_that_is_away,
    a_job_that_cannot_be_read_is_given_back_with_the_reason,
    a_job_whose_events_are_too_large_is_given_back_with_the_reason,
    a_job_that_was_over_and_whose_events_are_too_large_is_not_sent_again_and_again,
);

/// A job that waits for a file `go` of the machine, and what tells it to go on.
fn waiting(env: &TestEnvironment, service: &Service, job: u64, script: &str) {
    let shared = env.root().join("shared");
    env.write("shared/x", "");
    env.write(
        "config.yml",
        format!("grace: 5s\nhost: {{ paths: [{}] }}\n", shared.display()),
    );
    let steps = format!(
        "  - run: |\n      {script}\n      while ! [ -e {}/go ]; do sleep 0.05; done\n      echo end\n",
        shared.display()
    );
    service.offer(job, &plan(env, &host(&steps)), json!({}));
}

fn has_begun(service: &Service, job: u64) {
    service.wait(job, |attempt| {
        attempt
            .logs
            .get("step-0")
            .is_some_and(|log| log.ends_with(b"begin\n"))
    });
}

fn a_server_that_is_away_loses_nothing_and_stops_nothing(env: &TestEnvironment) {
    let service = Service::start();
    waiting(env, &service, 1, "echo begin");
    let agent = start(env, &service, &[]).spawn();
    has_begun(&service, 1);
    service.set(|faults| faults.away = true);
    env.write("shared/go", "");
    // The job is over, and nobody is there to be told.
    let spool = env.data().join("jobs/1-1/finished.json");
    let over = harness::wait::until(harness::wait::PATIENCE, || spool.exists().then_some(()));
    assert!(over.is_some(), "the job did not go on");
    service.set(|faults| faults.away = false);
    let (finish, attempt) = service.wait_for_finish(1);
    assert_eq!(finish["conclusion"], "success");
    assert_eq!(attempt.logs["step-0"], b"begin\nend\n");
    let _ = drain(agent);
}

fn a_killed_agent_leaves_nothing_and_its_next_start_gives_the_job_back(env: &TestEnvironment) {
    let service = Service::start();
    waiting(env, &service, 1, "(sleep 5000 &); echo begin");
    let agent = start(env, &service, &[]).spawn();
    has_begun(&service, 1);
    agent.signal(Signal::KILL);
    let _ = agent.finish();
    env.assert_nothing_survives_a_second();
    let agent = start(env, &service, &[]).spawn();
    let attempt = service.wait(1, |attempt| attempt.release.is_some());
    assert_eq!(attempt.release, Some(json!({ "reason": "restarted" })));
    assert_eq!(attempt.logs["step-0"], b"begin\n");
    let _ = drain(agent).says("job 1-1: an earlier agent has left it");
    assert!(!env.data().join("jobs/1-1").exists());
}

fn a_job_that_was_over_when_its_agent_died_is_finished_by_the_next(env: &TestEnvironment) {
    let service = Service::start();
    waiting(env, &service, 1, "echo begin");
    let agent = start(env, &service, &[]).spawn();
    has_begun(&service, 1);
    service.set(|faults| faults.away = true);
    env.write("shared/go", "");
    let spool = env.data().join("jobs/1-1/finished.json");
    let over = harness::wait::until(harness::wait::PATIENCE, || spool.exists().then_some(()));
    assert!(over.is_some(), "the job did not go on");
    agent.signal(Signal::KILL);
    let _ = agent.finish();
    service.set(|faults| faults.away = false);
    let agent = start(env, &service, &[]).spawn();
    let (finish, attempt) = service.wait_for_finish(1);
    assert_eq!(finish["conclusion"], "success");
    assert_eq!(attempt.logs["step-0"], b"begin\nend\n");
    assert_eq!(attempt.release, None);
    let _ = drain(agent);
}

/// The processes that another has started.
fn children(id: u32) -> Vec<i32> {
    let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap_or_default();
    children
        .split_whitespace()
        .filter_map(|id| id.parse().ok())
        .collect()
}

fn a_killed_process_of_a_job_is_told_and_the_job_given_back(env: &TestEnvironment) {
    let service = Service::start();
    waiting(env, &service, 1, "echo begin");
    let agent = start(env, &service, &[]).spawn();
    has_begun(&service, 1);
    let [job] = children(agent.id())[..] else {
        panic!("the agent has one job: {:?}", children(agent.id()));
    };
    kill_process(Pid::from_raw(job).expect("a process"), Signal::KILL)
        .expect("kill the job's process");
    let attempt = service.wait(1, |attempt| attempt.release.is_some());
    let release = attempt.release.unwrap_or_default();
    assert_eq!(release["reason"], "broken");
    let message = release["message"].as_str().unwrap_or_default();
    assert!(message.contains("signal: 9 (SIGKILL)"), "{message}");
    assert_eq!(attempt.logs["step-0"], b"begin\n");
    let _ = drain(agent);
}

fn a_proxy_that_stutters_and_a_spoiled_log_change_nothing(env: &TestEnvironment) {
    let service = Service::start();
    service.set(|faults| {
        faults.stutter = true;
        faults.spoil = Some("step-0".to_owned());
    });
    let steps = "  - run: i=0; while [ $i -lt 60000 ]; do echo \"line $i, and as much as makes it two megabytes\"; i=$((i+1)); done\n";
    service.offer(1, &plan(env, &host(steps)), json!({}));
    let agent = start(env, &service, &[]).spawn();
    let (finish, attempt) = service.wait_for_finish(1);
    let _ = drain(agent);
    assert_eq!(finish["conclusion"], "success");
    let expected: String = (0..60_000)
        .map(|line| format!("line {line}, and as much as makes it two megabytes\n"))
        .collect();
    assert!(
        attempt.logs["step-0"] == expected.as_bytes(),
        "the log differs"
    );
}

fn a_job_that_is_anothers_is_killed_and_thrown_away(env: &TestEnvironment) {
    for by_heartbeat in [true, false] {
        let service = Service::start();
        let _ = fs::remove_file(env.root().join("shared/go"));
        waiting(env, &service, 1, "(sleep 5000 &); echo begin");
        let agent = start(env, &service, &[]).spawn();
        has_begun(&service, 1);
        match by_heartbeat {
            true => service.set(|faults| faults.order = Some("lost")),
            false => {
                service.set(|faults| faults.fence = true);
                env.write("shared/go", "");
            }
        }
        let gone = harness::wait::until(harness::wait::PATIENCE, || {
            (!env.data().join("jobs/1-1").exists()).then_some(())
        });
        assert!(gone.is_some(), "its spool stays");
        assert!(children(agent.id()).is_empty(), "its process stays");
        let _ = drain(agent).says("job 1-1: it is another agent's, or over");
        assert_eq!(service.attempt(1).release, None);
    }
}

fn a_cancelled_job_may_clean_up_and_an_aborted_one_may_not(env: &TestEnvironment) {
    for (order, log) in [("cancel", "begin\ncleaned up\n"), ("abort", "begin\n")] {
        let service = Service::start();
        // A shell of its own: dash loses signals that arrive while it starts something.
        waiting(
            env,
            &service,
            1,
            "exec perl -e '$| = 1; $SIG{TERM} = sub { print \"cleaned up\\n\"; exit 0 }; print \"begin\\n\"; sleep 1 while 1'",
        );
        let agent = start(env, &service, &[]).spawn();
        has_begun(&service, 1);
        service.set(|faults| faults.order = Some(order));
        let (finish, attempt) = service.wait_for_finish(1);
        assert_eq!(finish["conclusion"], "cancelled", "{order}");
        assert_eq!(
            String::from_utf8_lossy(&attempt.logs["step-0"]),
            log,
            "{order}"
        );
        let _ = drain(agent);
    }
}

fn a_server_that_is_slow_with_caches_keeps_nobody_who_wants_to_stop(env: &TestEnvironment) {
    let pipeline = "image: host\njobs:\n  main:\n    cache: [{ key: k, paths: [target] }]\n    \
                    steps: [{ run: 'mkdir target; echo x > target/x' }]\n";
    let terms = json!({ "terms": {
        "accept_ms": 10_000, "lease_ms": 60_000, "heartbeat_ms": 100, "log_bytes": 1 << 28, "cache_bytes": 1 << 28
    } });
    let warned = |attempt: &harness::AttemptState, what: &str| {
        let text = format!("{:?}", attempt.events);
        assert!(text.contains(what), "{text}");
    };
    // While it does not say what there is.
    let service = Service::start();
    service.set(|faults| faults.silent = Some("/caches"));
    service.offer(1, &plan(env, pipeline), terms.clone());
    let agent = start(env, &service, &[]).spawn();
    service.wait_for_silence();
    service.set(|faults| faults.order = Some("cancel"));
    let (finish, attempt) = service.wait_for_finish(1);
    assert_eq!(finish["conclusion"], "cancelled", "{attempt:#?}");
    let _ = drain(agent);
    // While it does not take what there is: the job is over.
    let service = Service::start();
    service.set(|faults| faults.silent = Some("/logs/cache-0"));
    service.offer(2, &plan(env, pipeline), terms);
    let agent = start(env, &service, &[]).spawn();
    service.wait_for_silence();
    service.set(|faults| faults.order = Some("cancel"));
    let (finish, attempt) = service.wait_for_finish(2);
    assert_eq!(finish["conclusion"], "success", "{attempt:#?}");
    assert_eq!(finish["caches"], json!(null), "{finish:#}");
    warned(
        &attempt,
        "Cache `k` is not kept: the job was cancelled before all of it was sent.",
    );
    let _ = drain(agent);
}

fn a_repository_whose_host_says_nothing_keeps_nobody_who_wants_to_stop(env: &TestEnvironment) {
    for order in ["cancel", "abort"] {
        let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("find a free port");
        let port = silent.local_addr().expect("learn the port").port();
        let service = Service::start();
        let source = json!({ "source": {
            "url": format!("http://127.0.0.1:{port}/x"),
            "commit": "0123456789012345678901234567890123456789",
        } });
        service.offer(1, &plan(env, &host("  - run: echo never\n")), source);
        let agent = start(env, &service, &[]).spawn();
        let held = silent.accept().expect("be asked");
        service.set(|faults| faults.order = Some(order));
        let (finish, attempt) = service.wait_for_finish(1);
        assert_eq!(finish["conclusion"], "cancelled", "{order}");
        assert!(attempt.logs.is_empty(), "{order}");
        drop(held);
        let _ = drain(agent);
    }
}

fn an_agent_that_drains_ends_behind_its_jobs_and_a_second_signal_gives_them_back(
    env: &TestEnvironment,
) {
    let service = Service::start();
    waiting(env, &service, 1, "echo begin");
    let agent = start(env, &service, &[]).spawn();
    has_begun(&service, 1);
    agent.signal(Signal::TERM);
    service.offer(2, &plan(env, &host("  - run: echo late\n")), json!({}));
    wait_for_heartbeat(&service);
    wait_for_heartbeat(&service);
    assert_eq!(service.attempt(1).finish, None);
    env.write("shared/go", "");
    let _ = agent.finish().expect(0).says("takes no more jobs");
    assert_eq!(
        service.attempt(1).finish.unwrap_or_default()["conclusion"],
        "success"
    );
    assert!(!service.attempt(2).accepted);

    let _ = fs::remove_file(env.root().join("shared/go"));
    let service = Service::start();
    waiting(env, &service, 1, "echo begin");
    let agent = start(env, &service, &[]).spawn();
    has_begun(&service, 1);
    agent.signal(Signal::TERM);
    wait_for_heartbeat(&service);
    agent.signal(Signal::TERM);
    let _ = agent.finish().expect(130);
    assert_eq!(
        service.attempt(1).release,
        Some(json!({ "reason": "shutdown" }))
    );
}

fn an_agent_that_is_to_end_does_not_wait_for_a_server_that_is_away(env: &TestEnvironment) {
    let service = Service::start();
    waiting(env, &service, 1, "echo begin");
    let agent = start(env, &service, &[]).spawn();
    has_begun(&service, 1);
    service.set(|faults| faults.away = true);
    agent.signal(Signal::TERM);
    let mut agent = agent;
    let _ = agent.wait_for_complaint("takes no more jobs");
    agent.signal(Signal::TERM);
    let _ = agent.finish().expect(130);
    env.assert_nothing_survives();
    service.set(|faults| faults.away = false);
    let agent = start(env, &service, &[]).spawn();
    let attempt = service.wait(1, |attempt| attempt.release.is_some());
    assert_eq!(attempt.release, Some(json!({ "reason": "restarted" })));
    let _ = drain(agent);
}

fn a_server_that_drains_its_agent_gives_it_no_more(env: &TestEnvironment) {
    let service = Service::start();
    service.set(|faults| faults.drain = true);
    let agent = start(env, &service, &[]).spawn();
    for _ in 0..3 {
        wait_for_heartbeat(&service);
    }
    service.offer(1, &plan(env, &host("  - run: echo later\n")), json!({}));
    for _ in 0..5 {
        wait_for_heartbeat(&service);
    }
    assert!(!service.attempt(1).accepted);
    service.set(|faults| faults.drain = false);
    let _ = service.wait_for_finish(1);
    let _ = drain(agent);
}

fn a_job_that_a_full_disk_ended_is_given_back_and_the_agent_goes_on(env: &TestEnvironment) {
    if !env.is_set_up_by_root() {
        return;
    }
    let service = Service::start();
    let much = "  - run: i=0; while [ $i -lt 100000 ]; do echo \"line $i that goes to a disk that is too small\"; i=$((i+1)); done\n";
    service.offer(1, &plan(env, &host(much)), json!({}));
    env.write("data/jobs/here", "");
    env.write("config.yml", "agent: { free_disk: 100KiB }\n");
    env.own(&env.data());
    let jobs = env.data().join("jobs");
    let small = format!(
        "mount -t tmpfs -o size=1m,mode=777 tmpfs {}",
        jobs.display()
    );
    let agent = start(env, &service, &[]).after(&small).spawn();
    let attempt = service.wait(1, |attempt| attempt.release.is_some());
    let told = format!("{:?}", attempt.release);
    assert!(
        attempt.finish.is_none()
            && told.contains("broken")
            && told.contains("No space left on device"),
        "{told}"
    );
    // What was sent of it is what it wrote.
    let log = String::from_utf8_lossy(&attempt.logs["step-0"]).into_owned();
    assert!(log.starts_with("line 0 that goes to a disk"), "{log:.200}");
    service.offer(2, &plan(env, &host("  - run: echo fits\n")), json!({}));
    let (finish, attempt) = service.wait_for_finish(2);
    assert_eq!(finish["conclusion"], "success");
    assert_eq!(attempt.logs["step-0"], b"fits\n");
    let _ = drain(agent);
}

fn an_agent_without_room_takes_no_jobs_until_there_is_some(env: &TestEnvironment) {
    if !env.is_set_up_by_root() {
        return;
    }
    let service = Service::start();
    service.offer(1, &plan(env, &host("  - run: echo fits\n")), json!({}));
    env.write("data/jobs/here", "");
    env.write("config.yml", "agent: { free_disk: 32MiB }\n");
    let small = format!(
        "mount -t tmpfs -o size=64m,mode=777 tmpfs {data} && head -c 40m /dev/zero > {data}/much && chmod 666 {data}/much",
        data = env.data().display()
    );
    let mut agent = start(env, &service, &[]).after(&small).spawn();
    let _ = agent.wait_for_complaint("less than 32 MiB are free in ");
    wait_for_heartbeat(&service);
    assert!(!service.attempt(1).accepted);
    // Its mounts are its own: the file is reached through it.
    let much = format!("/proc/{}/root{}/much", agent.id(), env.data().display());
    fs::remove_file(much).expect("make room");
    let (finish, attempt) = service.wait_for_finish(1);
    assert_eq!(finish["conclusion"], "success");
    assert_eq!(attempt.logs["step-0"], b"fits\n");
    let _ = drain(agent);
}

fn a_job_that_cannot_be_read_is_given_back_with_the_reason(env: &TestEnvironment) {
    let service = Service::start();
    let hello = plan(env, &host("  - run: echo hello\n"));
    service.offer(1, &hello, json!({ "terms": "of tomorrow" }));
    service.offer(2, &hello, json!({}));
    let mut agent = start(env, &service, &[]).spawn();
    let given_back = service.wait(1, |attempt| attempt.release.is_some());
    assert!(!given_back.accepted);
    let release = given_back.release.unwrap_or_default();
    assert_eq!(release["reason"], "unreadable");
    let message = release["message"].as_str().unwrap_or_default();
    assert!(message.starts_with("terms: invalid type"), "{message}");
    let _ = agent.wait_for_complaint("job 1-1 cannot be read, and is given back");
    let (finish, _) = service.wait_for_finish(2);
    assert_eq!(finish["conclusion"], "success");
    let _ = drain(agent);
}

fn a_job_whose_events_are_too_large_is_given_back_with_the_reason(env: &TestEnvironment) {
    // While it runs, and when only its end is too much.
    for at_once in [true, false] {
        let service = Service::start();
        waiting(env, &service, 1, "echo begin");
        if at_once {
            service.set(|faults| faults.most_events = Some(0));
        }
        let agent = start(env, &service, &[]).spawn();
        if !at_once {
            has_begun(&service, 1);
            let begun = service.wait(1, |attempt| {
                let last = attempt.events.last();
                last.is_some_and(|last| last["type"] == "step_started")
            });
            let most = begun.events.len() as u64;
            service.set(|faults| faults.most_events = Some(most));
            env.write("shared/go", "");
        }
        let attempt = service.wait(1, |attempt| attempt.release.is_some());
        let release = attempt.release.unwrap_or_default();
        assert_eq!(release["reason"], "broken");
        assert_eq!(
            release["message"],
            "the server refuses what the job has left: scripted: too_large"
        );
        // What can never be whole is not sent again and again.
        assert_eq!(attempt.finishes, 0);
        let _ = drain(agent);
        assert!(!env.data().join("jobs/1-1").exists());
    }
}

fn a_job_that_was_over_and_whose_events_are_too_large_is_not_sent_again_and_again(
    env: &TestEnvironment,
) {
    let service = Service::start();
    waiting(env, &service, 1, "echo begin");
    let agent = start(env, &service, &[]).spawn();
    has_begun(&service, 1);
    service.set(|faults| faults.away = true);
    env.write("shared/go", "");
    let spool = env.data().join("jobs/1-1/finished.json");
    let over = harness::wait::until(harness::wait::PATIENCE, || spool.exists().then_some(()));
    assert!(over.is_some(), "the job did not go on");
    agent.signal(Signal::KILL);
    let _ = agent.finish();
    service.set(|faults| {
        faults.away = false;
        faults.most_events = Some(1);
    });
    let agent = start(env, &service, &[]).spawn();
    let attempt = service.wait(1, |attempt| attempt.release.is_some());
    let release = attempt.release.unwrap_or_default();
    assert_eq!(
        release["message"],
        "the server refuses what the job has left: scripted: too_large"
    );
    assert_eq!(attempt.finishes, 0);
    let _ = drain(agent);
}
