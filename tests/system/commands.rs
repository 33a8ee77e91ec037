//! The commands that run nothing: what they print, to whom, and how they end.

use std::fs;
use std::process::Command;

use harness::{TestEnvironment, for_one_user, images};

use crate::support::{clean, must, run_local};

for_one_user!(
    lint_speaks_to_programs,
    lint_reads_standard_input,
    a_plan_is_printed_in_four_ways,
    a_listing_and_a_dry_run_start_nothing,
    everything_in_a_plan_can_be_explained,
    a_shell_completes_jobs_steps_and_cells,
    a_shell_completes_images,
);

const WRONG: &str = "image: host\nsteps:\n  - rum: x\n";

const MATRIX: &str = r#"
image: host
jobs:
  test:
    matrix: { rust: ["1.90", beta] }
    steps: [{ name: unit, run: "echo running ${{ matrix.rust }}" }, { name: "$(touch owned)", run: echo odd }]
  deploy:
    needs: [test]
    if: event == "push"
    steps: [{ name: push-it, run: ./deploy.sh, env: { A: b } }]
"#;

fn json(text: &str) -> serde_json::Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error} in {text}"))
}

fn lint_speaks_to_programs(env: &TestEnvironment) {
    env.pipeline(WRONG);
    let lint = |format: &str| env.agent(["lint", "--format", format]).run().expect(65);
    let list = json(&lint("json").output());
    assert_eq!(list[0]["code"], "unknown-key");
    assert_eq!(list[0]["start"]["line"], 3);
    let log = json(&lint("sarif").output());
    assert_eq!(log["runs"][0]["results"][0]["ruleId"], "unknown-key");
    let github = lint("github").output();
    assert!(
        github.starts_with("::error file=.pipeline.yml,line=3,"),
        "{github}"
    );
    // A warning is an error for whoever is strict.
    env.pipeline("image: host\nsteps: [{ run: x, snapshot: true }]\n");
    let warned = env.agent(["lint", "--format", "json"]).run().expect(0);
    assert_eq!(json(&warned.output())[0]["severity"], "warning");
    let strict = env.agent(["lint", "--format", "json", "--strict"]).run();
    assert_eq!(json(&strict.expect(65).output())[0]["severity"], "error");
    env.pipeline("image: host\nsteps: [{ run: x }]\n");
    assert_eq!(lint_output(env, "json"), "[]\n");
    assert_eq!(lint_output(env, "github"), "");
}

fn lint_output(env: &TestEnvironment, format: &str) -> String {
    env.agent(["lint", "--format", format])
        .run()
        .expect(0)
        .output()
}

fn lint_reads_standard_input(env: &TestEnvironment) {
    let lint = |text: &str| env.agent(["lint", "-"]).stdin(text).run();
    let _ = lint(WRONG).expect(65).says("<stdin>:3:5");
    let _ = lint("image: host\nsteps: [{ run: x }]\n").expect(0);
    let _ = clean(lint(&"#".repeat(2 << 20)))
        .expect(65)
        .says("file-too-large");
}

fn a_plan_is_printed_in_four_ways(env: &TestEnvironment) {
    env.pipeline(MATRIX);
    let plan = |options: &[&str]| {
        let arguments = ["plan"].iter().chain(options);
        env.agent(arguments).run().expect(0).output()
    };
    let whole = json(&plan(&["--format", "json", "--event", "push"]));
    assert_eq!(whole["jobs"][0]["id"], "test (1.90)");
    assert_eq!(
        whole["jobs"][2]["needs"],
        serde_json::json!(["test (1.90)", "test (beta)"])
    );
    assert!(whole["jobs"][2]["if"].is_null(), "{whole}");
    let narrow = json(&plan(&[
        "--format",
        "json",
        "--job",
        "test",
        "--matrix",
        "rust=beta",
    ]));
    assert_eq!(narrow["jobs"].as_array().map(Vec::len), Some(1));
    assert!(
        plan(&[]).contains("reason: 'if: event == \"push\" is false"),
        "{}",
        plan(&[])
    );
    assert!(plan(&["--format", "dot"]).starts_with("digraph pipeline {"));
    assert!(plan(&["--format", "mermaid"]).contains("j1 --> j2"));
    env.pipeline(WRONG);
    let _ = env
        .agent(["plan"])
        .run()
        .expect(65)
        .says("did you mean `run`?");
}

fn a_listing_and_a_dry_run_start_nothing(env: &TestEnvironment) {
    env.pipeline(MATRIX);
    let _ = run_local(env, &["--list"])
        .expect(0)
        .says("test (1.90)\n  unit\n")
        .says("deploy  needs: test (1.90), test (beta)  skipped, if: event == \"push\" is false")
        .does_not_say("running 1.90\n");
    let _ = run_local(env, &["--dry-run", "--event", "push"])
        .expect(0)
        .says("job test (beta)\n  step unit\n    image: host\n    | echo running beta\n")
        .says("job deploy\n  step push-it\n    image: host\n    env: A\n    | ./deploy.sh\n")
        .does_not_say("workspace:");
    assert!(!env.data().join("runs").exists());
}

fn a_shell_completes_jobs_steps_and_cells(env: &TestEnvironment) {
    env.pipeline(MATRIX);
    let offered = |words: &[&str]| offered(env, &[&["run-local"], words].concat());
    assert_eq!(offered(&["--job", "''"]), "deploy\ntest\n");
    assert_eq!(offered(&["--job", "de"]), "deploy\n");
    // What a shell would act on is not offered.
    assert_eq!(offered(&["--step", "''"]), "push-it\nunit\n");
    assert_eq!(offered(&["--matrix", "rust"]), "rust=1.90\nrust=beta\n");
    env.pipeline("image: host\njobs:\n  a: { services: { db: { image: x }, cache: { image: x } }, steps: [{ run: x }] }\n");
    assert_eq!(offered(&["--publish", "''"]), "cache:\ndb:\n");
    assert_eq!(offered(&["-p", "d"]), "db:\n");
}

/// What bash offers for the last of these words.
fn offered(env: &TestEnvironment, words: &[&str]) -> String {
    let script = env.root().join("complete.sh");
    let complete = must(Command::new(env.root().join("agent")).env("COMPLETE", "bash"));
    fs::write(&script, complete).expect("keep the script");
    let line = format!(
        "source '{}'; COMP_WORDS=(agent {}); COMP_CWORD={}; COMP_TYPE=9; f=$(complete -p agent | sed 's/.*-F \\([^ ]*\\).*/\\1/'); $f agent {}; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
        script.display(),
        words.join(" "),
        words.len(),
        words.last().unwrap_or(&"''"),
    );
    let mut bash = match env.is_set_up_by_root() {
        true => Command::new("setpriv"),
        false => Command::new("env"),
    };
    if env.is_set_up_by_root() {
        let id = env.uid().to_string();
        bash.args(["--reuid", &id, "--regid", &id, "--clear-groups"]);
    }
    let bash = bash.args(["bash", "-c", &line]);
    let bash = bash.env("SLIPWAY_DATA", env.data()).env("HOME", env.home());
    must(bash.current_dir(env.project()))
}

fn a_shell_completes_images(env: &TestEnvironment) {
    // Where there is no store none is made.
    assert_eq!(offered(env, &["image", "rm", "deb"]), "\n");
    assert!(!env.data().join("images").exists());
    let busybox = images::busybox();
    let _ = env.agent(["pull", &busybox]).run().expect(0);
    for name in ["debian", "quay.example/team/app"] {
        let _ = env.agent(["tag", &busybox, name]).run().expect(0);
    }
    assert_eq!(offered(env, &["image", "rm", "deb"]), "debian:latest\n");
    assert_eq!(
        offered(env, &["run", "q"]),
        "quay.example/team/app:latest\n"
    );
    assert_eq!(
        offered(env, &["pull", "docker"]),
        "docker.io/library/debian:latest\n"
    );
}

fn everything_in_a_plan_can_be_explained(env: &TestEnvironment) {
    env.write("project/ci.yml", "env: { LEVEL: shared }\n");
    env.pipeline(
        r#"include: [{ path: ci.yml }]
image: host
env: { A: pipeline, B: pipeline }
jobs:
  test:
    matrix: { rust: ["1.90", beta] }
    env: { RUST: "${{ matrix.rust }}", B: job }
    timeout: 40m
    steps:
      - { name: unit, run: cargo test, env: { A: step }, user: "0", network: none, secrets: [TOKEN] }
      - { name: told, if: failure(), run: echo told }
  deploy:
    needs: [test]
    if: event == "push"
    steps: [{ name: push-it, run: ./deploy.sh }]
"#,
    );
    let explain = |options: &[&str]| {
        let arguments = ["explain"].iter().chain(options);
        env.agent(arguments).run().expect(0).output()
    };
    let whole = explain(&["--env", "C=given"]);
    let job = whole.split("job deploy").next().unwrap_or_default();
    let first = job.split("job test (beta)").next().unwrap_or_default();
    assert_eq!(
        first,
        "job test (1.90)  .pipeline.yml:5
  runs at once
  cell: rust=1.90
  timeout: 40m
  step unit  .pipeline.yml:10
    runs at once
    image: host  (from the pipeline, .pipeline.yml:2)
    shell: sh -e  (by default)
    user: 0  (from the step, .pipeline.yml:10)
    network: none  (from the step)
    env.LEVEL: shared  (from the pipeline, ci.yml:1)
    env.A: step  (from the step, .pipeline.yml:10)
    env.B: job  (from the job, .pipeline.yml:7)
    env.RUST: 1.90  (from the job, .pipeline.yml:7, by its matrix cell)
    env.C: given  (from the command line)
    secrets.TOKEN: ***  (from the step, .pipeline.yml:10)
    | cargo test
  step told  .pipeline.yml:11
    is decided when its turn comes (after unit), if: failure()
    image: host  (from the pipeline, .pipeline.yml:2)
    shell: sh -e  (by default)
    env.LEVEL: shared  (from the pipeline, ci.yml:1)
    env.A: pipeline  (from the pipeline, .pipeline.yml:3)
    env.B: job  (from the job, .pipeline.yml:7)
    env.RUST: 1.90  (from the job, .pipeline.yml:7, by its matrix cell)
    env.C: given  (from the command line)
    | echo told
"
    );
    let deploy = explain(&["deploy"]);
    assert!(
        deploy.starts_with(
            "job deploy  .pipeline.yml:12\n  is skipped, if: event == \"push\" is false"
        ),
        "{deploy}"
    );
    let _ = env
        .agent(["explain", "deploi"])
        .run()
        .expect(2)
        .says("deploy");
}
