//! Fifty jobs with three services each, all at once.

use std::fmt::Write as _;
use std::time::Duration;

use harness::{
    Agent, NetworkNamespaces, TestEnvironment, for_root, for_users_with_ranges, images, wait,
};
use rustix::process::Signal;

use crate::support::output_of;

for_users_with_ranges!(
    fifty_jobs_with_three_services_each_do_not_meet,
    fifty_jobs_that_are_killed_leave_nothing,
);

// What a user has on its way between processes counts for all its agents, those of other tests too.
for_root!(open_files_that_do_not_suffice_are_told);

const JOBS: usize = 50;

/// Jobs whose services are `one`, `two` and one that is named after the job, and say whose they are. A step asks its own by
/// their names, then whoever is at the first addresses of its network, then for the service of the job after it.
fn pipeline() -> String {
    let mut text = format!("image: \"{}\"\njobs:\n", images::plain());
    for job in 0..JOBS {
        let other = (job + 1) % JOBS;
        let _ = write!(text, "  job{job}:\n    services:\n");
        let own = format!("of{job}");
        for (service, ready) in [
            ("one", "tcp: 80"),
            ("two", "http: /"),
            (&own, "run: wget -q -O /dev/null http://127.0.0.1/"),
        ] {
            let _ = write!(
                text,
                "      {service}:\n        image: \"{image}\"\n        ready: {{ {ready} }}\n        \
                 args: [sh, -c, 'mkdir /www; echo {service} of {job} > /www/index.html; exec httpd -f -p 80 -h /www']\n",
                image = images::plain()
            );
        }
        let _ = write!(
            text,
            r#"    steps:
      - name: step{job}
        run: |
          ulimit -S -n
          for name in one two of{job}; do wget -q -O - http://$name/; done
          network=$(ip -o -4 addr show dev eth0 | grep -o 'inet [0-9]*[.][0-9]*[.][0-9]*' | cut -c 6-)
          for number in 1 2 3 4 5 6; do
            wget -q -O /tmp/$number http://$network.$number/ 2> /dev/null &
          done
          wait
          cat /tmp/[1-6] | sort
          if nslookup of{other}.pod. > /dev/null; then echo met another; fi
"#
        );
    }
    text
}

/// All jobs at once, where a shell has set limits.
fn with_open_files<'a>(env: &'a TestEnvironment, limit: &str) -> Agent<'a> {
    let script = format!("{limit}; exec \"$@\"");
    env.agent(["run-local", "--json", "--jobs-parallel", "50"])
        .executed_by(["sh", "-c", &script, "sh"])
}

fn fifty_jobs_with_three_services_each_do_not_meet(env: &TestEnvironment) {
    env.pipeline(&pipeline());
    // As most machines are set up: the agent has more than that open, and its containers are let have no more for it.
    let running = with_open_files(env, "ulimit -S -n 1024").spawn();
    let mut most = NetworkNamespaces::of(running.id());
    while !running.is_over() {
        let seen = NetworkNamespaces::of(running.id());
        if seen.count() >= most.count() {
            most = seen;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    let done = running.finish().expect(0);
    most.assert_gone(Duration::from_secs(1));
    // Each job has one for the network, one for each service, and one for its step: five, of which others may be gone already.
    assert!(most.count() > JOBS * 2, "{} namespaces", most.count());
    for job in 0..JOBS {
        let own = format!("1024\none of {job}\ntwo of {job}\nof{job} of {job}\n");
        let found = format!("of{job} of {job}\none of {job}\ntwo of {job}\n");
        assert_eq!(done.log(&format!("step{job}")), own + &found);
    }
}

fn open_files_that_do_not_suffice_are_told(env: &TestEnvironment) {
    env.pipeline(&pipeline());
    let done = with_open_files(env, "ulimit -n 400").run().expect(70);
    let errors: Vec<_> = done
        .events()
        .into_iter()
        .filter(|event| event["type"] == "service_finished" && event["cause"]["kind"] == "internal")
        .filter_map(|event| event["cause"]["message"].as_str().map(str::to_owned))
        .collect();
    let says = |text: &str| errors.iter().any(|error| error.contains(text));
    assert!(says("Too many open files"), "{errors:?}");
    assert!(!says("Message too long"), "{errors:?}");
    // The workspaces that could not be cleaned up for it: the next agent does.
    let _ = output_of(env, &images::plain(), "true");
}

fn fifty_jobs_that_are_killed_leave_nothing(env: &TestEnvironment) {
    env.pipeline(&pipeline());
    for signal in [Signal::KILL, Signal::TERM] {
        let running = with_open_files(env, "ulimit -S -n 1024").spawn();
        let namespaces = wait::until(wait::PATIENCE, || {
            Some(NetworkNamespaces::of(running.id())).filter(|found| found.count() > JOBS * 2)
        });
        let namespaces = namespaces.expect("namespaces of most jobs");
        running.signal(signal);
        let code = running.finish().code();
        assert!([137, 130].contains(&code), "{code}");
        namespaces.assert_gone(Duration::from_secs(1));
        env.assert_nothing_survives_a_second();
    }
    let _ = output_of(env, &images::plain(), "true");
}
