//! The main job: pipelines run, end with the right code and say what happened.

use harness::{TestEnvironment, for_everyone, for_one_user};
use serde_json::Value;

use crate::support::{run_local, run_script};

for_everyone!(
    a_first_pipeline_runs_on_the_machines_own_image,
    a_failing_step_is_named_with_its_reason_and_last_lines,
    every_event_comes_in_its_order,
);

for_one_user!(
    an_allowed_failure_does_not_fail_the_run,
    a_job_waits_for_its_needs_and_is_skipped_when_one_fails,
    lines_of_parallel_jobs_are_prefixed_and_never_mixed,
    quiet_shows_failures_and_the_summary_only,
    variables_come_in_layers_and_the_command_line_is_strongest,
    one_job_or_one_step_can_be_chosen,
    a_name_that_does_not_exist_is_wrong_usage,
    an_invalid_pipeline_is_shown_with_all_its_mistakes,
    the_steps_own_bytes_are_untouched,
    a_step_that_times_out_says_so,
    a_long_log_is_kept_whole,
);

fn a_first_pipeline_runs_on_the_machines_own_image(env: &TestEnvironment) {
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/hello");
    env.copy_into_project(example.as_ref());
    let done = run_local(env, &[]).expect(0);
    assert_eq!(done.errors(), "", "{done}");
    let _ = done
        .says("run: ok")
        .says("workspace: an overlay")
        .says("network: private");
}

fn a_failing_step_is_named_with_its_reason_and_last_lines(env: &TestEnvironment) {
    env.pipeline(
        "image: host\nsteps:\n  - name: build\n    run: echo built\n  - name: check\n    run: |\n      \
         echo 1 + 1 = 3\n      printf 'no newline'\n      exit 3\n  - name: pack\n    run: echo never\n",
    );
    let done = run_local(env, &[]).expect(1);
    insta::allow_duplicates! {
        insta::assert_snapshot!(done.snapshot(), @r"
        run [RUN]
        workspace: an overlay of the working tree; what steps write never reaches it
        network: private; steps reach what this machine reaches, but not this machine
        ==> main / build (host)
        built
        <== main / build: ok ([TIME])
        ==> main / check (host)
        1 + 1 = 3
        no newline
        <== main / check: failed, exit status 3 ([TIME])
        <== main / pack: skipped, `check` failed before

        JOB  STEP  RESULT  TIME  CPU  MEMORY  I/O  PIDS
        main  build  ok  [TIME]  [TIME]  [SIZE]  [IO]  [PIDS]
        main  check  failed  [TIME]  [TIME]  [SIZE]  [IO]  [PIDS]
        main  pack  skipped

        main / check: failed: exit status 3
          | 1 + 1 = 3
          | no newline
          full log: [ROOT]/data/runs/[RUN]/main/1-check.log

        run: failed ([TIME])
        ");
    }
}

fn every_event_comes_in_its_order(env: &TestEnvironment) {
    env.pipeline(
        "name: events\nimage: host\njobs:\n  one:\n    steps: [{ name: a, run: echo A }, { name: b, run: exit 4 }, { name: c, run: echo C }]\n  \
         two:\n    needs: [one]\n    steps: [{ run: echo never }]\n",
    );
    let done = run_local(env, &["--json"]).expect(1);
    let told: Vec<String> = done.events().iter().map(short).collect();
    insta::allow_duplicates! {
        insta::assert_snapshot!(told.join("\n"), @r#"
        run_started pipeline="events" jobs=["one","two"] workspace="overlay" network="private"
        job_started job="one"
        image_started
        image_ready
        step_started job="one" step="a" index=0
        log job="one" step="a" offset=0 text="A\n"
        step_finished job="one" step="a" conclusion="success"
        step_started job="one" step="b" index=1
        step_finished job="one" step="b" conclusion="failure" cause={"code":4,"kind":"exit"}
        step_finished job="one" step="c" conclusion="skipped" cause={"kind":"skipped","reason":"earlier_failure","step":"b"}
        job_finished job="one" conclusion="failure"
        job_finished job="two" conclusion="skipped" cause={"kind":"skipped","reason":"needs","unmet":"one"}
        run_finished conclusion="failure"
        "#);
    }
}

/// An event without what differs from run to run.
fn short(event: &Value) -> String {
    let mut line = event["type"].as_str().unwrap_or("?").to_owned();
    for key in [
        "pipeline",
        "jobs",
        "workspace",
        "network",
        "job",
        "step",
        "index",
        "offset",
        "text",
        "conclusion",
        "cause",
    ] {
        if let Some(value) = event.get(key) {
            line.push_str(&format!(" {key}={value}"));
        }
    }
    line
}

fn an_allowed_failure_does_not_fail_the_run(env: &TestEnvironment) {
    env.pipeline(
        "image: host\njobs:\n  flaky:\n    allow_failure: true\n    steps: [{ run: exit 1 }]\n  \
         sure:\n    needs: [flaky]\n    steps:\n      - { name: soft, run: exit 2, allow_failure: true }\n      - { name: hard, run: echo went on }\n",
    );
    let done = run_local(env, &[]).expect(0);
    let _ = done
        .says("failed (allowed)")
        .says("went on")
        .says("run: ok");
}

fn a_job_waits_for_its_needs_and_is_skipped_when_one_fails(env: &TestEnvironment) {
    env.pipeline(
        "image: host\njobs:\n  last:\n    needs: [left, right]\n    steps: [{ run: echo last }]\n  \
         left:\n    needs: [first]\n    steps: [{ run: echo left }]\n  right:\n    needs: [first]\n    steps: [{ run: exit 1 }]\n  \
         first:\n    steps: [{ run: echo first }]\n",
    );
    let done = run_local(env, &["--json"]).expect(1);
    let ends: Vec<String> = done
        .events()
        .iter()
        .filter(|event| event["type"] == "job_finished")
        .map(|event| format!("{}: {}", event["job"], event["conclusion"]))
        .collect();
    assert_eq!(
        ends.first().map(String::as_str),
        Some("\"first\": \"success\""),
        "{ends:?}"
    );
    // It is told as soon as it is certain, whether or not the other need still runs.
    let place = |end: &str| ends.iter().position(|other| other == end);
    let (failed, skipped) = (
        place("\"right\": \"failure\""),
        place("\"last\": \"skipped\""),
    );
    assert!(failed.is_some() && failed < skipped, "{ends:?}");
    assert!(
        ends.contains(&"\"left\": \"success\"".to_owned()),
        "{ends:?}"
    );
}

fn lines_of_parallel_jobs_are_prefixed_and_never_mixed(env: &TestEnvironment) {
    let job = |letter: &str| {
        format!(
            "  {letter}:\n    steps:\n      - run: for i in $(seq 500); do printf {letter}{letter}; echo {letter}{letter}; done\n"
        )
    };
    env.pipeline(&format!("image: host\njobs:\n{}{}", job("x"), job("y")));
    let done = run_local(env, &["--jobs-parallel", "2"]).expect(0);
    let output = done.output();
    for letter in ["x", "y"] {
        let whole = format!("[{letter}] {}", letter.repeat(4));
        assert_eq!(
            output.lines().filter(|line| *line == whole).count(),
            500,
            "{done}"
        );
    }
    assert!(!output.contains("xy") && !output.contains("yx"), "{done}");
}

fn quiet_shows_failures_and_the_summary_only(env: &TestEnvironment) {
    env.pipeline("image: host\nsteps:\n  - { name: fine, run: echo chatter }\n  - { name: broken, run: \"echo reason; exit 1\" }\n");
    let _ = run_local(env, &["--quiet"])
        .expect(1)
        .does_not_say("chatter")
        .says("reason")
        .says("main / broken: failed");
}

fn variables_come_in_layers_and_the_command_line_is_strongest(env: &TestEnvironment) {
    env.pipeline(
        "image: host\nenv: { A: pipeline, B: pipeline, C: pipeline, D: pipeline }\njobs:\n  j:\n    env: { B: job, C: job, D: job }\n    \
         steps:\n      - name: step\n        env: { C: step, D: step }\n        run: echo $A $B $C $D $E; env\n",
    );
    let done = env
        .agent([
            "run-local",
            "--json",
            "--env",
            "D=line",
            "--env",
            "E=two\nlines",
        ])
        .variable("SECRET_OF_THE_CALLER", "leaked")
        .run()
        .expect(0)
        .does_not_say("leaked");
    let log = done.log("step");
    assert!(
        log.starts_with("pipeline job step line two lines\n"),
        "{log}"
    );
    for expected in [
        "E=two\nlines\n",
        "CI=true\n",
        "SLIPWAY=true\n",
        "CI_JOB=j\n",
        "CI_STEP=step\n",
        "CI_WORKSPACE=/workspace\n",
        "CI_EVENT=manual\n",
    ] {
        assert!(log.contains(expected), "no {expected:?} in {log}");
    }
}

fn one_job_or_one_step_can_be_chosen(env: &TestEnvironment) {
    env.pipeline(
        "image: host\njobs:\n  a:\n    steps: [{ name: one, run: echo a-one }, { name: two, run: echo a-two }]\n  \
         b:\n    needs: [a]\n    steps: [{ name: three, run: echo b-three }]\n  c:\n    steps: [{ name: one, run: echo c-one }]\n",
    );
    let _ = run_local(env, &["--job", "b"])
        .expect(0)
        .says("a-one")
        .says("b-three")
        .does_not_say("c-one");
    let _ = run_local(env, &["--job", "b", "--no-needs"])
        .expect(0)
        .says("b-three")
        .does_not_say("a-one");
    let _ = run_local(env, &["--step", "two"])
        .expect(0)
        .says("a-two")
        .does_not_say("a-one")
        .does_not_say("b-three");
    let _ = run_local(env, &["--step", "one"]).expect(2).says("--job");
    let _ = run_local(env, &["--job", "c", "--step", "one"])
        .expect(0)
        .says("c-one");
}

fn a_name_that_does_not_exist_is_wrong_usage(env: &TestEnvironment) {
    env.pipeline("image: host\njobs:\n  build:\n    steps: [{ name: make, run: echo made }]\n");
    let _ = run_local(env, &["--job", "biuld"])
        .expect(2)
        .says("`biuld`")
        .says("`build`")
        .does_not_say("made");
    let _ = run_local(env, &["--step", "mkae"])
        .expect(2)
        .says("`mkae`")
        .says("`make`");
    let _ = run_local(env, &["--env", "novalue"])
        .expect(2)
        .says("NAME=VALUE");
    let _ = run_local(env, &["--no-such-option"]).expect(2);
    let _ = run_local(env, &["nowhere"]).expect(2).says("nowhere");
}

fn an_invalid_pipeline_is_shown_with_all_its_mistakes(env: &TestEnvironment) {
    env.pipeline("image: host\njobs:\n  a:\n    needs: [b]\n    steps:\n      - comands: make\n  c:\n    timeout: soon\n    steps: [{ run: true }]\n");
    let done = run_local(env, &[])
        .expect(65)
        .says(".pipeline.yml:6:9")
        .says("`b`")
        .says("soon")
        .says("help");
    assert_eq!(done.stdout(), b"", "{done}");
}

fn the_steps_own_bytes_are_untouched(env: &TestEnvironment) {
    let done = run_script(
        env,
        "host",
        r"printf '\033[31mred\033[0m 10%%\r100%%\n\377\376 raw\n'",
        &[],
    )
    .expect(0);
    let bytes = b"\x1b[31mred\x1b[0m 10%\r100%\n\xff\xfe raw\n";
    assert!(
        done.stdout()
            .windows(bytes.len())
            .any(|window| window == bytes),
        "{done}"
    );
}

fn a_step_that_times_out_says_so(env: &TestEnvironment) {
    env.pipeline("image: host\nsteps:\n  - { name: slow, run: \"echo before; sleep 1000\", timeout: 300ms }\n");
    let done = run_local(env, &["--json"]).expect(1);
    assert_eq!(done.log("slow"), "before\n");
    let end = done
        .events()
        .into_iter()
        .find(|event| event["type"] == "step_finished");
    let cause = end.map(|event| event["cause"].to_string());
    assert_eq!(
        cause.as_deref(),
        Some(r#"{"kind":"timeout","limit_ms":300}"#)
    );
}

fn a_long_log_is_kept_whole(env: &TestEnvironment) {
    let log = run_script(env, "host", "seq 200000", &["--json"])
        .expect(0)
        .log("step");
    let expected: String = (1..=200_000).map(|number| format!("{number}\n")).collect();
    assert!(
        log == expected,
        "{} bytes instead of {}",
        log.len(),
        expected.len()
    );
}
