//! Who works for a server, and who may talk to it.

use harness::{TestEnvironment, for_one_user};

use super::{Ci, repository, wait_for_state};
use crate::agents::drain;

for_one_user!(tokens_and_agents_are_made_listed_drained_and_forgotten);

fn tokens_and_agents_are_made_listed_drained_and_forgotten(env: &TestEnvironment) {
    repository(env, "image: host\nsteps:\n  - run: echo hello\n");
    let ci = Ci::start(env);
    let mut agent = ci.agent("data", &["--name", "north", "--labels", "os=linux"]);
    let listed = harness::wait::until(harness::wait::PATIENCE, || {
        let agents = ci.json(&["agents", "--json"]);
        agents
            .as_array()
            .filter(|agents| !agents.is_empty())
            .cloned()
    });
    let id = listed.expect("an agent")[0]["id"].to_string();
    let _ = ci
        .user(&["agents"])
        .run()
        .expect(0)
        .says("north")
        .says("os=linux");
    let _ = ci.user(&["drain", &id, "--wait"]).run().expect(0);
    let _ = agent.wait_for_complaint("the server wants this agent to take no more jobs");
    let _ = ci.user(&["submit"]).run().expect(0);
    let _ = ci
        .user(&["jobs"])
        .run()
        .expect(0)
        .says("waits for an agent");
    let _ = ci.user(&["drain", &id, "--undo"]).run().expect(0);
    let _ = wait_for_state(&ci, "1", "finished");

    let reader = ci
        .user(&[
            "tokens",
            "create",
            "me",
            "--role",
            "reader",
            "--expires",
            "1h",
        ])
        .run()
        .expect(0);
    let reader = reader.output().trim().to_owned();
    let as_reader =
        |arguments: &[&str]| ci.user(arguments).variable("SLIPWAY_TOKEN", &reader).run();
    let _ = as_reader(&["jobs"]).expect(0);
    let _ = as_reader(&["cancel", "1"]).expect(2);
    let tokens = ci.json(&["tokens", "list", "--json"]);
    let mine = tokens["tokens"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|token| token["name"] == "me");
    let mine = mine.expect("the token")["id"].to_string();
    let _ = ci.user(&["tokens", "revoke", &mine]).run().expect(0);
    let _ = as_reader(&["jobs"]).expect(2);
    let _ = drain(agent);
    let _ = ci.user(&["agents", "--remove", &id]).run().expect(0);
    assert_eq!(ci.json(&["agents", "--json"]), serde_json::json!([]));
    ci.stop();
}
