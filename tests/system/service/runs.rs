//! Pipelines that a server runs, and how they end.

use rustix::process::Signal;
use serde_json::Value;

use harness::{TestEnvironment, for_everyone, for_one_user};

use super::{Ci, repository, wait_for_state};
use crate::agents::drain;

for_everyone!(a_submitted_pipeline_runs_and_is_followed_to_its_end);

for_one_user!(
    pipelines_that_fail_are_invalid_or_do_not_run_have_their_exit_codes,
    jobs_that_need_others_get_their_outputs_on_any_agent,
    a_job_is_cancelled_and_tried_again
);

fn a_submitted_pipeline_runs_and_is_followed_to_its_end(env: &TestEnvironment) {
    let pipeline = "image: host\njobs:\n  greet:\n    steps:\n      - name: hello\n        run: echo hello; printf 'a\\000b\\n'\n      \
                    - name: file\n        run: cat file; echo $CI_BRANCH\n";
    env.write("project/file", "of the commit\n");
    repository(env, pipeline);
    env.write("project/file", "not committed\n");
    let ci = Ci::start(env);
    let agent = ci.agent("data", &[]);
    let done = ci.submit(&["--ref", "trunk"]).expect(0);
    let output = done.output();
    for part in [
        "==> greet / hello (host)\nhello\na\0b\n",
        "==> greet / file (host)\nof the commit\ntrunk\n",
        "<== greet / hello: ok",
    ] {
        assert!(output.contains(part), "{part:?} is missing in:\n{output}");
    }
    let log = ci.user(&["logs", "1", "--step", "hello"]).run().expect(0);
    assert_eq!(log.stdout(), b"hello\na\0b\n");
    let _ = drain(agent);
    ci.stop();
}

fn pipelines_that_fail_are_invalid_or_do_not_run_have_their_exit_codes(env: &TestEnvironment) {
    repository(env, "image: host\nsteps:\n  - run: echo before; exit 4\n");
    let ci = Ci::start(env);
    let agent = ci.agent("data", &[]);
    let _ = ci
        .submit(&[])
        .expect(1)
        .says("before")
        .says("exit status 4");
    repository(env, "image: host\nsteps:\n  - runn: x\n");
    let _ = ci.submit(&[]).expect(65).says("did you mean `run`?");
    // Nobody has to follow it to hear of that, now or later.
    let told = ci.user(&["submit"]).run().expect(65);
    let pipeline = told.output().trim().to_owned();
    let _ = told.says("did you mean `run`?");
    let shown = ci.user(&["jobs", "--pipeline", &pipeline]).run().expect(0);
    let _ = shown.says("did you mean `run`?").does_not_say("CREATED");
    let again = ci.user(&["retry", "--all", "--pipeline", &pipeline]).run();
    let _ = again
        .says("has no jobs that could run again")
        .says("submit it anew");
    repository(
        env,
        "image: host\non: { push: { branches: [main] } }\nsteps:\n  - run: x\n",
    );
    let _ = ci
        .submit(&["--event", "push"])
        .expect(0)
        .says("Nothing runs");
    let _ = ci
        .submit(&["--ref", "no-such-branch"])
        .says("no-such-branch");
    let wrong = ci.user(&["jobs"]).variable("SLIPWAY_TOKEN", "wrong").run();
    let _ = wrong.expect(2).says("token");
    let _ = drain(agent);
    ci.server.signal(Signal::TERM);
    let url = ci.url.clone();
    let _ = ci.server.finish().expect(0);
    let away = env.agent(["jobs", "--server", &url, "--token", "x"]).run();
    let _ = away.expect(69).says("failed to reach http://127.0.0.1:");
}

fn jobs_that_need_others_get_their_outputs_on_any_agent(env: &TestEnvironment) {
    let pipeline = "image: host\njobs:\n  build:\n    runs_on: { kind: one }\n    outputs: { v: \"${{ steps.s.outputs.v }}\" }\n    steps:\n      \
                    - name: s\n        run: echo v=4.2 >> \"$SLIPWAY_OUTPUT\"\n  \
                    deploy:\n    needs: [build]\n    runs_on: { kind: two }\n    steps:\n      - run: echo \"deploys ${{ needs.build.outputs.v }}\"\n";
    repository(env, pipeline);
    let ci = Ci::start(env);
    let one = ci.agent("one", &["--labels", "kind=one"]);
    let two = ci.agent("two", &["--labels", "kind=two"]);
    let _ = ci.submit(&[]).expect(0).says("deploys 4.2");
    let agents: Vec<Value> = [1, 2]
        .map(|job| ci.json(&["jobs", &job.to_string(), "--json"])["agent"].clone())
        .into();
    assert_ne!(agents[0], agents[1]);
    let _ = drain(one);
    let _ = drain(two);
    ci.stop();
}

fn a_job_is_cancelled_and_tried_again(env: &TestEnvironment) {
    repository(
        env,
        "image: host\nsteps:\n  - run: echo begin; exec sleep 1000\n",
    );
    let ci = Ci::start(env);
    let agent = ci.agent("data", &[]);
    let mut following = ci.user(&["submit", "--follow"]).spawn();
    following.wait_for("begin");
    let _ = ci.user(&["cancel", "1"]).run().expect(0);
    let _ = following.finish().expect(130).says("cancelled");
    let _ = ci.user(&["retry", "1"]).run().expect(0);
    let again = ci.json(&["jobs", "--json"]);
    let newest = again["jobs"][0]["id"].to_string();
    let _ = wait_for_state(&ci, &newest, "running");
    let _ = ci.user(&["cancel", &newest]).run().expect(0);
    let ended = wait_for_state(&ci, &newest, "finished");
    assert_eq!(ended["conclusion"], "cancelled");
    let _ = drain(agent);
    ci.stop();
}
