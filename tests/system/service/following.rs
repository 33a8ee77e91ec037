//! What who follows a pipeline hears.

use harness::{TestEnvironment, for_everyone};

use super::{Ci, repository};
use crate::agents::drain;

for_everyone!(who_follows_is_told_what_a_job_waits_for);

fn who_follows_is_told_what_a_job_waits_for(env: &TestEnvironment) {
    repository(
        env,
        "image: host\njobs:\n  deploy: { approval: true, steps: [{ run: echo deployed }] }\n  \
         app: { runs_on: { os: plan9 }, steps: [{ run: echo built }] }\n",
    );
    let ci = Ci::start(env);
    let mut agent = ci.agent("data", &[]);
    agent.wait_for_complaint("agent 1 ");
    let mut following = ci.user(&["submit", "--follow"]).spawn();
    following.wait_for("... deploy: waits for approval: `agent approve 1`\n");
    following.wait_for("... app: no agent has os=plan9\n");
    let _ = ci.user(&["approve", "1"]).run().expect(0);
    let other = ci.agent("other", &["--labels", "os=plan9"]);
    let done = following.finish().expect(0);
    let output = done.output();
    assert!(output.contains("deployed\n"), "{output}");
    assert!(output.contains("built\n"), "{output}");
    // Once, and nothing of a working tree that there is not.
    assert_eq!(output.matches("waits for approval").count(), 1, "{output}");
    assert!(!output.contains("working tree"), "{output}");
    for agent in [agent, other] {
        let _ = drain(agent);
    }
    ci.stop();
}
