//! What happens when an agent or the server is killed.

use rustix::process::Signal;

use harness::{TestEnvironment, for_one_user};

use super::{Ci, repository};
use crate::agents::drain;

for_one_user!(
    a_killed_agents_job_is_run_by_another,
    a_server_that_is_killed_and_started_again_has_lost_nothing
);

fn a_killed_agents_job_is_run_by_another(env: &TestEnvironment) {
    let shared = env.root().join("shared");
    env.write("shared/x", "");
    repository(
        env,
        &format!(
            "image: host\nsteps:\n  - run: echo begin; while ! [ -e {}/go ]; do sleep 0.05; done; echo end\n",
            shared.display()
        ),
    );
    let ci = Ci::start(env);
    env.write(
        "config.yml",
        format!(
            "repositories: {{ files: true }}\nhost: {{ paths: [{}] }}\n",
            shared.display()
        ),
    );
    let agent = ci.agent("one", &[]);
    let mut following = ci.user(&["submit", "--follow"]).spawn();
    following.wait_for("begin\n");
    agent.signal(Signal::KILL);
    let _ = agent.finish();
    // The same machine: its next start gives the job back at once, and takes it again.
    let agent = ci.agent("one", &[]);
    env.write("shared/go", "");
    let done = following.finish().expect(0);
    assert!(done.output().contains("end\n"), "{done}");
    let job = ci.json(&["jobs", "1", "--json"]);
    assert_eq!(job["attempts"].as_array().map(Vec::len), Some(2), "{job:#}");
    let _ = ci
        .user(&["logs", "1", "--attempt", "1"])
        .run()
        .expect(0)
        .says("begin");
    let _ = drain(agent);
    ci.stop();
}

fn a_server_that_is_killed_and_started_again_has_lost_nothing(env: &TestEnvironment) {
    let shared = env.root().join("shared");
    env.write("shared/x", "");
    repository(
        env,
        &format!(
            "image: host\nsteps:\n  - run: echo begin; while ! [ -e {}/go ]; do sleep 0.05; done; i=0; while [ $i -lt 20000 ]; do echo \"line $i\"; i=$((i+1)); done\n",
            shared.display()
        ),
    );
    let mut ci = Ci::start(env);
    env.write(
        "config.yml",
        format!(
            "repositories: {{ files: true }}\nhost: {{ paths: [{}] }}\n",
            shared.display()
        ),
    );
    let agent = ci.agent("data", &[]);
    let mut following = ci.user(&["submit", "--follow"]).spawn();
    following.wait_for("begin\n");
    ci.server.signal(Signal::KILL);
    ci.server.wait_for_end();
    env.write("shared/go", "");
    let address = ci.url.trim_start_matches("http://").to_owned();
    let token = ci.token.clone();
    drop(ci);
    let mut ci = Ci::start_at(env, &address);
    ci.token = token;
    let done = following.finish().expect(0);
    let expected: String = (0..20_000).map(|line| format!("line {line}\n")).collect();
    let expected = format!("begin\n{expected}");
    assert!(
        done.output().contains(&expected),
        "what was followed differs"
    );
    let log = ci.user(&["logs", "1"]).run().expect(0);
    assert!(log.output() == expected, "the log differs");
    let _ = drain(agent);
    ci.stop();
}
