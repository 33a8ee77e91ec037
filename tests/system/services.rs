//! Services beside steps: when they are ready, how they die, what is shown of them, when they are stopped.
//!
//! All of it needs the network of a job.

use std::fs;
use std::path::PathBuf;

use harness::{Finished, TestEnvironment, for_everyone, for_one_user, images};
use serde_json::{Value, json};

use crate::support::{configured, run_local};

for_everyone!(
    a_step_reaches_a_service_by_its_name_once_it_is_ready,
    a_service_that_dies_takes_its_step_with_it,
    services_are_stopped_behind_the_last_step,
);

for_one_user!(
    every_kind_of_probe_sees_that_a_service_is_ready,
    the_images_own_check_decides_where_the_pipeline_says_nothing,
    a_service_that_is_not_ready_in_time_fails_the_job,
    a_service_has_its_own_variables_and_no_workspace,
    the_secrets_of_a_service_are_masked_in_its_log,
    ctrl_c_while_a_service_starts_ends_the_run,
    a_service_without_anything_to_execute_is_the_pipelines_mistake,
    jobs_have_services_of_their_own,
);

/// A pipeline of the job `main` in busybox with these services, and these lines behind them.
fn pipeline(services: &str, rest: &str) -> String {
    let image = images::plain();
    format!(
        "image: \"{image}\"\njobs:\n  main:\n    services:\n{}\n{rest}\n",
        services.replace("IMAGE", &format!("\"{image}\""))
    )
}

/// One step, named `step`.
fn step(script: &str) -> String {
    let script = serde_json::to_string(script).unwrap_or_default();
    format!("    steps:\n      - name: step\n        run: {script}\n")
}

/// A web server that takes its time. The page is its name.
const WEB: &str = r#"
      web:
        image: IMAGE
        args:
          - sh
          - -c
          - |
            mkdir /www; echo page of web > /www/index.html
            sleep 0.5
            echo going to listen
            httpd -p 8080 -h /www
            echo listening now
            exec sleep 600
"#;

/// The events of one kind.
fn of_kind(done: &Finished, kind: &str) -> Vec<Value> {
    let mut events = done.events();
    events.retain(|event| event["type"] == kind);
    events
}

/// The kinds of a run's events in order, each with what it is about.
fn order(done: &Finished) -> Vec<String> {
    let told = |event: &Value| {
        let kind = event["type"].as_str()?;
        let what = event["service"].as_str().or(event["step"].as_str())?;
        (kind != "log").then(|| format!("{kind} {what}"))
    };
    done.events().iter().filter_map(told).collect()
}

/// The kept log of a service of the job `main`, in the only run.
fn log_of(env: &TestEnvironment, service: &str) -> String {
    let runs = fs::read_dir(env.data().join("runs")).expect("list the runs");
    let mut runs: Vec<PathBuf> = runs.map(|run| run.expect("a run").path()).collect();
    let run = runs.pop().expect("a run");
    assert!(runs.is_empty(), "one run");
    let path = run.join(format!("main/service-{service}.log"));
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn a_step_reaches_a_service_by_its_name_once_it_is_ready(env: &TestEnvironment) {
    let services = format!("{WEB}        ready: {{ tcp: 8080 }}");
    env.pipeline(&pipeline(&services, &step("wget -q -O - http://web:8080/")));
    let done = run_local(env, &["--json"]).expect(0);
    assert_eq!(done.log("step"), "page of web\n");
    assert_eq!(
        order(&done),
        [
            "service_started web",
            "service_ready web",
            "step_started step",
            "step_finished step",
            "service_finished web",
        ]
    );
    let end = &of_kind(&done, "service_finished")[0];
    assert_eq!(end["conclusion"], "success", "{end}");
    assert!(end["usage"]["max_rss_bytes"].as_u64() > Some(0), "{end}");
    assert_eq!(log_of(env, "web"), "going to listen\nlistening now\n");
}

fn every_kind_of_probe_sees_that_a_service_is_ready(env: &TestEnvironment) {
    for probe in [
        "tcp: 8080",
        "http: http://localhost:8080/index.html",
        "http: http://web:8080/",
        "run: wget -q -O /dev/null http://127.0.0.1:8080/",
        "log: ^listening (now|soon)$",
    ] {
        let services = format!("{WEB}        ready: {{ {probe} }}");
        env.pipeline(&pipeline(&services, &step("wget -q -O - http://web:8080/")));
        let done = run_local(env, &["--json"]).expect(0);
        assert_eq!(done.log("step"), "page of web\n", "{probe}");
    }
}

fn the_images_own_check_decides_where_the_pipeline_says_nothing(env: &TestEnvironment) {
    let check = json!({
        "Test": ["CMD-SHELL", "wget -q -O /dev/null http://127.0.0.1:8080/"],
        "Interval": 1_000_000_000,
    });
    let image = configured(env, &json!({ "Healthcheck": check }));
    let services = WEB.replace("IMAGE", &image);
    env.pipeline(&pipeline(&services, &step("wget -q -O - http://web:8080/")));
    let done = run_local(env, &["--json"]).expect(0);
    assert_eq!(done.log("step"), "page of web\n");
}

fn a_service_that_is_not_ready_in_time_fails_the_job(env: &TestEnvironment) {
    let services = "
      db:
        image: IMAGE
        args: [sh, -c, 'echo thinking; exec sleep 600']
        ready: { tcp: 5432, timeout: 1s }
";
    env.pipeline(&pipeline(services, &step("echo unreached")));
    let done = run_local(env, &[])
        .expect(1)
        .says("<== main / service db: failed, not ready within 1.0s: port 5432: ")
        .says("<== main / step: skipped, service `db` is not there")
        .says("main: failed: service `db` was not ready within 1.0s")
        .says("  | thinking\n")
        .does_not_say("unreached");
    drop(done);
    assert_eq!(log_of(env, "db"), "thinking\n");
}

/// The service ends when the step says so, so that neither waits for time.
fn a_service_that_dies_takes_its_step_with_it(env: &TestEnvironment) {
    let services = "
      db:
        image: IMAGE
        args: [sh, -c, 'nc -l -p 99 > /dev/null; echo out of luck; exit 3']
";
    let rest = step("until echo end | nc db 99; do sleep 0.1; done; sleep 600")
        + "      - { name: next, run: echo next }\n    after:\n      - { name: collect, run: echo collected }\n";
    env.pipeline(&pipeline(services, &rest));
    let _ = run_local(env, &[])
        .expect(1)
        .says("<== main / service db: failed, exit status 3")
        .says("<== main / step: failed, service `db` ended: exit status 3")
        .says("<== main / next: skipped, `step` failed before")
        .says("collected\n")
        .says("  | out of luck\n")
        .says("service-db.log");
}

fn services_are_stopped_behind_the_last_step(env: &TestEnvironment) {
    let services = "
      polite:
        image: IMAGE
        args: [sh, -c, 'trap \"echo told to end; exit 0\" TERM; echo here; sleep 600 & wait']
        ready: { log: here }
      stubborn:
        image: IMAGE
        args: [sh, -c, 'trap \"\" TERM; echo here; while :; do sleep 0.1; done']
        ready: { log: here }
";
    env.write("config.yml", "grace: 300ms\n");
    let rest = step("true") + "    after:\n      - { name: last, run: 'true' }\n";
    env.pipeline(&pipeline(services, &rest));
    let done = run_local(env, &["--json"]).expect(0);
    let order = order(&done);
    let position = |what: &str| order.iter().position(|told| told == what);
    let last = position("step_finished last");
    assert!(last.is_some(), "{done}");
    for service in ["polite", "stubborn"] {
        assert!(
            position(&format!("service_finished {service}")) > last,
            "{done}"
        );
    }
    for end in of_kind(&done, "service_finished") {
        assert_eq!(end["conclusion"], "success", "{end}");
    }
    assert_eq!(log_of(env, "polite"), "here\ntold to end\n");
}

fn a_service_has_its_own_variables_and_no_workspace(env: &TestEnvironment) {
    let services = "
      db:
        image: IMAGE
        env: { OWN: yes please }
        args: [sh, -c, 'echo $OWN-$OF_JOB-$CI-; ls /workspace || echo no workspace; echo end; exec sleep 600']
        ready: { log: end }
    env: { OF_JOB: x }
";
    env.pipeline(&pipeline(services, &step("exit 1")));
    let _ = run_local(env, &[])
        .expect(1)
        .says("  | yes please---\n")
        .says("  | no workspace\n");
}

fn the_secrets_of_a_service_are_masked_in_its_log(env: &TestEnvironment) {
    let services = "
      db:
        image: IMAGE
        secrets: [PASSWORD]
        args: [sh, -c, 'echo \"it is $PASSWORD\"; exec sleep 600']
        ready: { log: it is }
";
    env.pipeline(&pipeline(services, &step("echo \"[$PASSWORD]\"")));
    let _ = run_local(env, &[])
        .expect(2)
        .says("service `db` of job `main` needs the secret PASSWORD");
    let done = env
        .agent(["run-local", "--json", "--secret", "PASSWORD"])
        .variable("PASSWORD", "correct horse")
        .run()
        .expect(0);
    assert_eq!(done.log("step"), "[]\n");
    assert_eq!(log_of(env, "db"), "it is ***\n");
}

fn ctrl_c_while_a_service_starts_ends_the_run(env: &TestEnvironment) {
    let services = "
      db:
        image: IMAGE
        args: [sleep, '600']
        ready: { tcp: 5432, timeout: 10m }
";
    env.pipeline(&pipeline(services, &step("echo unreached")));
    let mut running = env.agent(["run-local"]).spawn();
    running.wait_for("==> main / service db");
    running.interrupt();
    let _ = running
        .finish()
        .expect(130)
        .says("<== main / service db: cancelled")
        .does_not_say("unreached");
}

fn a_service_without_anything_to_execute_is_the_pipelines_mistake(env: &TestEnvironment) {
    env.pipeline(&pipeline(
        "      db: { image: IMAGE }",
        &step("echo unreached"),
    ));
    let _ = run_local(env, &[])
        .expect(1)
        .says("service db: failed, ")
        .says("neither an entrypoint nor a command");
    let wrong =
        "      db: { image: IMAGE, args: [sleep, '600'], ready: { http: 'http://example.org/' } }";
    env.pipeline(&pipeline(wrong, &step("echo unreached")));
    let _ = run_local(env, &[])
        .expect(1)
        .says("`http: http://example.org/` is not at the service itself");
}

/// The same name and the same port, at the same time.
fn jobs_have_services_of_their_own(env: &TestEnvironment) {
    let image = images::plain();
    let job = |name: &str| {
        format!(
            "  {name}:
    services:
      web:
        image: \"{image}\"
        args: [sh, -c, 'mkdir /www; echo {name} > /www/index.html; exec httpd -f -p 80 -h /www']
        ready: {{ http: / }}
    steps: [{{ name: {name}, run: 'wget -q -O - http://web/' }}]
"
        )
    };
    let (one, two) = (job("one"), job("two"));
    env.pipeline(&format!("image: \"{image}\"\njobs:\n{one}{two}"));
    let done = run_local(env, &["--json", "--jobs-parallel", "2"]).expect(0);
    assert_eq!(done.log("one"), "one\n");
    assert_eq!(done.log("two"), "two\n");
}
