//! What a command says of a job, or an agent, that is in no state for it.

use harness::{TestEnvironment, for_one_user};
use rustix::process::Signal;

use super::{Ci, repository, wait_for_state};

for_one_user!(
    what_is_done_to_jobs_says_how_far_they_are,
    an_agent_that_is_gone_is_drained_with_a_word,
    an_agent_that_does_not_reach_its_server_says_so,
    why_a_job_does_not_run_or_has_failed_is_told_later_too,
);

const JOBS: &str = "image: host
jobs:
  quick: { steps: [{ run: echo quick }] }
  deploy: { approval: true, steps: [{ run: echo deployed }] }
  far: { runs_on: { os: plan9 }, steps: [{ run: echo far }] }
  long: { steps: [{ run: 'echo begin; exec sleep 1000' }] }
";

fn what_is_done_to_jobs_says_how_far_they_are(env: &TestEnvironment) {
    repository(env, JOBS);
    let ci = Ci::start(env);
    let agent = ci.agent("data", &["--slots", "2"]);
    let of = |words: &[&str]| ci.user(words).run();
    let _ = of(&["submit"]).expect(0);
    let _ = wait_for_state(&ci, "1", "finished");
    let _ = wait_for_state(&ci, "4", "running");

    let told = of(&["cancel", "1"]).expect(0).errors();
    assert_eq!(told, "job 1 (quick) is over: success\n");
    let _ = of(&["approve", "1"])
        .expect(1)
        .says("job 1 asks for no approval");
    let _ = of(&["approve", "--pipeline", "1"])
        .expect(1)
        .says("pipeline 1 asks for no approval")
        .says("a job that waits for approval is approved by its own number");
    let _ = of(&["retry", "4"])
        .expect(1)
        .says("job 4 is not over yet")
        .says("it runs: wait for its end, or stop it with `agent cancel`");
    let _ = of(&["retry", "3"])
        .expect(1)
        .says("job 3 is not over yet")
        .says("it has not run yet");
    let _ = of(&["retry", "--pipeline", "1"])
        .expect(1)
        .says("no job of pipeline 1 is over without success")
        .says("it goes on");
    let far = of(&["logs", "3"]).expect(0);
    assert_eq!(
        (far.output().as_str(), far.errors().as_str()),
        ("", "job 3 (far) has no log: no agent has os=plan9\n")
    );

    let mut following = ci.user(&["logs", "-f", "2"]).spawn();
    following.wait_for_complaint("job 2 (deploy) has no log: waits for approval\n");
    let _ = of(&["approve", "2"])
        .expect(0)
        .says("job 2 (deploy) is approved: ");
    assert_eq!(following.finish().expect(0).output(), "deployed\n");
    let _ = wait_for_state(&ci, "2", "finished");
    let _ = of(&["approve", "2"]).expect(1).says("job 2 is over");

    let told = of(&["cancel", "3"]).expect(0).errors();
    assert_eq!(told, "job 3 (far): cancelled\n");
    let _ = of(&["logs", "3"])
        .expect(0)
        .says("job 3 (far) has no log: cancelled");
    let _ = of(&["cancel", "4"]).expect(0).says("job 4 (long)");
    let _ = wait_for_state(&ci, "4", "finished");
    let told = of(&["cancel", "--pipeline", "1"]).expect(0).errors();
    assert_eq!(told, "pipeline 1 is over: cancelled\n");
    let _ = of(&["retry", "3"])
        .expect(0)
        .says("job 3 (far) is to run again: ");
    let _ = crate::agents::drain(agent);
    ci.stop();
}

fn an_agent_that_is_gone_is_drained_with_a_word(env: &TestEnvironment) {
    env.write(
        "server/server.yml",
        "lease: { lasts: 2s, heartbeat: 500ms, wait: 1s }\n",
    );
    repository(env, JOBS);
    let ci = Ci::start(env);
    let mut agent = ci.agent("data", &["--name", "north"]);
    agent.wait_for_complaint("agent 1 ");
    agent.signal(Signal::KILL);
    let _ = agent.finish();
    let offline = harness::wait::until(harness::wait::PATIENCE, || {
        (ci.json(&["agents", "--json"])[0]["state"] == "offline").then_some(())
    });
    offline.expect("an agent that is offline");
    let _ = ci
        .user(&["drain", "1", "--wait"])
        .run()
        .expect(0)
        .says("agent 1 (north) is not there: it was seen ");
    let _ = ci
        .user(&["drain", "99"])
        .run()
        .expect(1)
        .says("there is no agent 99");
    ci.stop();
}

fn an_agent_that_does_not_reach_its_server_says_so(env: &TestEnvironment) {
    let ci = Ci::start(env);
    let wrong = ["start", "--server", &ci.url, "--token", &ci.token];
    let _ = env
        .agent(wrong)
        .run()
        .expect(2)
        .says("`agent tokens create NAME --registration` makes one")
        .does_not_say("Authorization");
    let refused = ci.user(&["jobs"]).variable("SLIPWAY_TOKEN", "wrong").run();
    let _ = refused
        .says("`agent tokens create` makes one")
        .does_not_say("Authorization");
    let token = ci.user(&["tokens", "create", "agents", "--registration"]);
    let token = token.run().expect(0).output();
    let address = ci.url.trim_start_matches("http://").to_owned();
    let url = ci.url.clone();
    ci.stop();
    let arguments = ["start", "--server", &url, "--token", token.trim()];
    let mut agent = env.agent(arguments).spawn();
    let said = agent.wait_for_complaint("does the server run?");
    assert!(
        said.contains("warning: the server is away since "),
        "{said}"
    );
    let ci = Ci::start_at(env, &address);
    let _ = agent.wait_for_complaint("the server answers again\nagent 1 (");
    let _ = crate::agents::drain(agent);
    // It is known now, and asks no less for that.
    ci.stop();
    let mut agent = env.agent(arguments).spawn();
    let _ = agent.wait_for_complaint("warning: the server is away since ");
    agent.signal(Signal::TERM);
    let _ = agent.finish().expect(0);
}

fn why_a_job_does_not_run_or_has_failed_is_told_later_too(env: &TestEnvironment) {
    repository(
        env,
        "image: host\njobs:\n  \
         main: { steps: [{ run: 'echo $S', secrets: [S] }] }\n  \
         after: { needs: [main], steps: [{ run: 'true' }] }\n",
    );
    let ci = Ci::start(env);
    let of = |words: &[&str]| ci.user(words).run();
    let _ = of(&["submit"]).expect(0);
    let _ = of(&["jobs", "1"])
        .expect(0)
        .says(": no agent is there yet\n");
    let agent = ci.agent("data", &[]);
    let _ = wait_for_state(&ci, "1", "finished");
    let _ = of(&["jobs", "1"])
        .expect(0)
        .says("attempt 1 by agent 1: failure ")
        .says("needs the secret S");
    let silent = of(&["logs", "1"]).expect(0);
    assert_eq!(silent.output(), "");
    let _ = silent
        .says("attempt 1 of job 1 (main) has no log: failure: ")
        .says("needs the secret S");
    let _ = wait_for_state(&ci, "2", "finished");
    let _ = of(&["jobs", "2"])
        .expect(0)
        .says("job 2 (after) of pipeline 1: skipped: ")
        .says("main");
    let _ = crate::agents::drain(agent);
    ci.stop();
}
