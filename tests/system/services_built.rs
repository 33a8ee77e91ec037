//! Services whose images are built from the workspace.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use harness::{Finished, TestEnvironment, for_everyone, for_one_user, images};
use serde_json::Value;

use crate::door_containers::agent;
use crate::support::run_local;

for_everyone!(a_step_uses_a_service_that_was_built_of_the_workspace,);

for_one_user!(
    a_build_that_fails_is_the_end_of_its_service,
    a_context_does_not_lead_out_of_the_workspace,
    the_commands_of_a_build_have_the_network_of_the_job,
    a_service_with_an_image_and_a_build_is_a_mistake,
);

const BASE: &str = "localhost/busybox";

/// The plain image under a name that a Dockerfile can say.
fn base(env: &TestEnvironment) {
    let plain = images::plain();
    let _ = agent(env, &["pull", "-q", &plain]).expect(0);
    let _ = agent(env, &["image", "tag", &plain, BASE]).expect(0);
}

fn write(env: &TestEnvironment, name: &str, content: &str) {
    env.write(env.project().join(name), content);
}

/// The job `main` with the service `web` as these lines say, and one step.
fn run(env: &TestEnvironment, web: &str, settings: &str, script: &str) -> Finished {
    env.pipeline(&format!(
        "image: \"{}\"\njobs:\n  main:\n{settings}    services:\n      web:\n{web}    steps:\n      - name: step\n        run: {script}\n",
        images::plain()
    ));
    run_local(env, &["--json"])
}

/// The kept log of the service, in the run that was the last.
fn log_of(env: &TestEnvironment) -> String {
    let runs = fs::read_dir(env.data().join("runs")).expect("list the runs");
    let mut runs: Vec<PathBuf> = runs.map(|run| run.expect("a run").path()).collect();
    runs.sort_by_key(|run| fs::metadata(run).and_then(|run| run.modified()).ok());
    let path = runs.pop().expect("a run").join("main/service-web.log");
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Why the service ended.
fn cause(done: &Finished) -> Value {
    let events = done.events();
    let end = events
        .iter()
        .find(|event| event["type"] == "service_finished");
    end.expect("the service has an end")["cause"].clone()
}

fn a_step_uses_a_service_that_was_built_of_the_workspace(env: &TestEnvironment) {
    base(env);
    write(
        env,
        "ci/web/Dockerfile.test",
        &format!(
            "FROM {BASE} AS pages\nARG TITLE\nWORKDIR /www\nCOPY page .\nRUN echo \"$TITLE: $(cat page)\" > index.html && echo made it\n\
             FROM {BASE} AS server\nCOPY --from=pages /www/index.html /www/\nCMD [\"httpd\", \"-f\", \"-p\", \"8080\", \"-h\", \"/www\"]\n\
             FROM nowhere.invalid/never\n"
        ),
    );
    write(env, "ci/web/page", "first\n");
    let web = "        build:
          context: ./ci/web
          dockerfile: Dockerfile.test
          target: server
          args: { TITLE: \"for ${{ branch == 'x' ? 'x' : 'you' }}\" }
        ready: { tcp: 8080 }
";
    let get = "wget -q -O - http://web:8080/";
    let done = run(env, web, "", get).expect(0);
    assert_eq!(done.log("step"), "for you: first\n");
    let log = log_of(env);
    assert!(
        log.starts_with("[1/8] FROM localhost/busybox AS pages\n"),
        "{log}"
    );
    assert!(log.contains("\nmade it\n"), "{log}");
    // A second run makes nothing anew, and one of another file does.
    let done = run(env, web, "", get).expect(0);
    assert_eq!(done.log("step"), "for you: first\n");
    assert!(!log_of(env).contains("\nmade it\n"));
    write(env, "ci/web/page", "second\n");
    let done = run(env, web, "", get).expect(0);
    assert_eq!(done.log("step"), "for you: second\n");
    env.assert_nothing_left();
}

fn a_build_that_fails_is_the_end_of_its_service(env: &TestEnvironment) {
    base(env);
    let web = "        build: ci/web\n";
    let failed = |dockerfile: &str| {
        write(env, "ci/web/Dockerfile", dockerfile);
        let done = run(env, web, "", "'true'").expect(1);
        let events = done.events();
        assert!(!events.iter().any(|event| event["type"] == "step_started"));
        cause(&done).to_string()
    };
    insta::assert_snapshot!(failed(&format!("FROM {BASE}\nRUN echo to the log; exit 4\n")), @r#"{"kind":"image","message":"ci/web/Dockerfile:2:5: `echo to the log; exit 4` ended with exit code 4"}"#);
    let log = log_of(env);
    assert!(
        log.contains("\nto the log\nerror: `echo to the log; exit 4` ended"),
        "{log}"
    );
    insta::assert_snapshot!(failed("FRM x\n"), @r#"{"kind":"image","message":"ci/web/Dockerfile:1:1: there is no instruction `FRM`"}"#);
    insta::assert_snapshot!(failed(&format!("FROM {BASE}\nCOPY gone /\n")), @r#"{"kind":"image","message":"ci/web/Dockerfile:2:6: there is no `gone` in the context"}"#);
    fs::remove_file(env.project().join("ci/web/Dockerfile")).expect("remove it");
    let done = run(env, web, "", "'true'").expect(1);
    insta::assert_snapshot!(cause(&done).to_string(), @r#"{"kind":"image","message":"there is no ci/web/Dockerfile"}"#);
}

fn a_context_does_not_lead_out_of_the_workspace(env: &TestEnvironment) {
    base(env);
    let outside = env.root().join("outside");
    fs::create_dir(&outside).expect("make a directory");
    env.own(&outside);
    env.write(outside.join("Dockerfile"), format!("FROM {BASE}\n"));
    symlink("../outside", env.project().join("link")).expect("link");
    let done = run(env, "        build: link\n", "", "'true'").expect(1);
    insta::assert_snapshot!(cause(&done).to_string(), @r#"{"kind":"image","message":"failed to open `link`: it leads out of the workspace"}"#);
    for path in ["../outside", "/etc", "a/../../outside"] {
        let done = run(env, &format!("        build: {path}\n"), "", "'true'").expect(65);
        let _ = done.says("leads out of the workspace");
    }
    // A Dockerfile that is a link to somewhere else is not there.
    fs::create_dir(env.project().join("inside")).expect("make a directory");
    symlink(
        outside.join("Dockerfile"),
        env.project().join("inside/Dockerfile"),
    )
    .expect("link");
    let done = run(env, "        build: inside\n", "", "'true'").expect(1);
    insta::assert_snapshot!(cause(&done).to_string(), @r#"{"kind":"image","message":"there is no inside/Dockerfile"}"#);
}

fn the_commands_of_a_build_have_the_network_of_the_job(env: &TestEnvironment) {
    base(env);
    write(
        env,
        "web/Dockerfile",
        &format!(
            "FROM {BASE}\nRUN ls /sys/class/net > /net; nc -w 5 192.0.2.7 81 </dev/null || true\nCMD [\"sleep\", \"600\"]\n"
        ),
    );
    let web = "        build: web\n        ready: { run: \"test $(wc -l < /net) = 2\" }\n";
    let done = run(
        env,
        web,
        "    network: { allow: [\"192.0.2.8:81\"] }\n",
        "'true'",
    )
    .expect(0);
    let refused = done.events().into_iter().any(|event| {
        event["type"] == "network_refused" && event["host"] == "192.0.2.7" && event["step"] == "web"
    });
    assert!(refused, "{done}");
    // What a command has made with one network is not made again for another: this is another command.
    let only = format!("FROM {BASE}\nRUN ls /sys/class/net >/net\nCMD [\"sleep\", \"600\"]\n");
    write(env, "web/Dockerfile", &only);
    let web = "        build: web\n        ready: { run: \"test $(cat /net) = lo\" }\n";
    let _ = run(env, web, "    network: none\n", "'true'").expect(0);
}

fn a_service_with_an_image_and_a_build_is_a_mistake(env: &TestEnvironment) {
    let done = run(env, "        build: web\n        image: x\n", "", "'true'").expect(65);
    let _ = done.says("a service has `image` or `build`, and not both");
    let done = run(env, "        env: { A: b }\n", "", "'true'").expect(65);
    let _ = done.says("image: postgres:16");
}
