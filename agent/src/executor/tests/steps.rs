use std::os::unix::fs::PermissionsExt as _;

use protocol::Conclusion;

use super::harness::{Format, TestRun, job, step};
use crate::backend::fake::{End, Fake, Script};
use crate::backend::{ExitStatus, StartErrorKind};
use crate::executor::Fault;

#[tokio::test(start_paused = true)]
async fn a_run_shows_each_step_and_ends_with_a_summary() {
    let outcome = TestRun::of([job("main", &[], [step("build"), step("test")])])
        .on(Fake::default()
            .step(
                "main/build",
                Script::exits(0).writing(b"compiling\nno newline"),
            )
            .step("main/test", Script::exits(0).writing(b"10%\r100%\n")))
        .await;
    assert_eq!(outcome.report.conclusion, Conclusion::Success);
    insta::assert_snapshot!(outcome.output, @r"
    run RUN of `test`
    workspace: an overlay of the working tree; what steps write never reaches it
    network: private; steps reach what this machine reaches, but not this machine
    ==> main / build (host)
    compiling
    no newline
    <== main / build: ok (0ms)
    ==> main / test (host)
    10%<CR>100%
    <== main / test: ok (0ms)

    JOB   STEP   RESULT  TIME  CPU  MEMORY  I/O  PIDS
    main  build  ok
    main  test   ok

    run: ok (0ms)
    ");
    insta::assert_snapshot!(outcome.journal.join("\n"), @r"
    open main
    prepare host
    start main/build
    start main/test
    close main
    ");
}

#[tokio::test(start_paused = true)]
async fn a_failing_step_skips_the_rest_and_shows_its_last_lines_again() {
    let outcome = TestRun::of([job(
        "main",
        &[],
        [step("build"), step("test"), step("pack")],
    )])
    .on(Fake::default().step(
        "main/test",
        Script::exits(2).writing(b"1 + 1 = 3\n\x1b[31mFAIL\x1b[0m arithmetic\n"),
    ))
    .await;
    assert_eq!(outcome.report.conclusion, Conclusion::Failure);
    insta::assert_snapshot!(outcome.output, @r"
    run RUN of `test`
    workspace: an overlay of the working tree; what steps write never reaches it
    network: private; steps reach what this machine reaches, but not this machine
    ==> main / build (host)
    <== main / build: ok (0ms)
    ==> main / test (host)
    1 + 1 = 3
    <ESC>[31mFAIL<ESC>[0m arithmetic
    <== main / test: failed, exit status 2 (0ms)
    <== main / pack: skipped, `test` failed before

    JOB   STEP   RESULT   TIME  CPU  MEMORY  I/O  PIDS
    main  build  ok
    main  test   failed
    main  pack   skipped

    main / test: failed: exit status 2
      | 1 + 1 = 3
      | FAIL arithmetic
      full log: DATA/runs/RUN/main/1-test.log

    run: failed (0ms)
    ");
}

#[tokio::test(start_paused = true)]
async fn quiet_shows_only_failures_and_the_summary() {
    let outcome = TestRun {
        format: Format::Quiet,
        ..TestRun::of([job("main", &[], [step("build"), step("test")])])
    }
    .on(Fake::default()
        .step("main/build", Script::exits(0).writing(b"compiling\n"))
        .step("main/test", Script::exits(1).writing(b"broken\n")))
    .await;
    insta::assert_snapshot!(outcome.output, @r"
    <== main / test: failed, exit status 1 (0ms)
    JOB   STEP   RESULT  TIME  CPU  MEMORY  I/O  PIDS
    main  build  ok
    main  test   failed

    main / test: failed: exit status 1
      | broken
      full log: DATA/runs/RUN/main/1-test.log

    run: failed (0ms)
    ");
}

#[tokio::test(start_paused = true)]
async fn json_has_one_event_a_line() {
    let outcome = TestRun {
        format: Format::Json,
        ..TestRun::of([
            job("a", &[], [step("one"), step("two")]),
            job("b", &["a"], [step("three")]),
        ])
    }
    .on(Fake::default().step("a/one", Script::exits(3).writing(b"caf\xc3\xa9\n")))
    .await;
    insta::assert_snapshot!(outcome.output, @r#"
    {"type":"run_started","id":"RUN","at":0,"pipeline":"test","jobs":["a","b"],"workspace":"overlay","network":"private"}
    {"type":"job_started","job":"a","at":0}
    {"type":"image_started","image":"host"}
    {"type":"image_ready","image":"host","pulled_bytes":0,"duration_ms":0}
    {"type":"step_started","job":"a","step":"one","index":0,"image":"host","at":0}
    {"type":"log","job":"a","step":"one","offset":0,"text":"café\n"}
    {"type":"step_finished","job":"a","step":"one","conclusion":"failure","cause":{"kind":"exit","code":3},"allowed":false,"duration_ms":0}
    {"type":"step_finished","job":"a","step":"two","conclusion":"skipped","cause":{"kind":"skipped","reason":"earlier_failure","step":"one"},"allowed":false,"duration_ms":0}
    {"type":"job_finished","job":"a","conclusion":"failure","allowed":false,"duration_ms":0}
    {"type":"job_finished","job":"b","conclusion":"skipped","cause":{"kind":"skipped","reason":"needs","unmet":"a"},"allowed":false,"duration_ms":0}
    {"type":"run_finished","conclusion":"failure","duration_ms":0}
    "#);
}

#[tokio::test(start_paused = true)]
async fn allowed_failures_are_shown_and_do_not_count() {
    let mut lint = step("lint");
    lint.allow_failure = true;
    let mut nightly = job("nightly", &[], [step("try")]);
    nightly.allow_failure = true;
    let outcome = TestRun::of([nightly, job("main", &["nightly"], [lint, step("build")])])
        .on(Fake::default()
            .step(
                "nightly/try",
                Script::ends(End::Exit(ExitStatus::Signal(11))),
            )
            .step("main/lint", Script::exits(1)))
        .await;
    assert_eq!(outcome.report.conclusion, Conclusion::Success);
    insta::assert_snapshot!(outcome.output, @r"
    run RUN of `test`
    workspace: an overlay of the working tree; what steps write never reaches it
    network: private; steps reach what this machine reaches, but not this machine
    ==> nightly / try (host)
    <== nightly / try: failed, killed by signal 11 (SIGSEGV) (0ms)
    <== nightly: failed (allowed) (0ms)
    ==> main / lint (host)
    <== main / lint: failed (allowed), exit status 1 (0ms)
    ==> main / build (host)
    <== main / build: ok (0ms)

    JOB      STEP   RESULT            TIME  CPU  MEMORY  I/O  PIDS
    nightly  try    failed (allowed)
    main     lint   failed (allowed)
    main     build  ok

    nightly / try: failed (allowed): killed by signal 11 (SIGSEGV)
      it printed nothing

    main / lint: failed (allowed): exit status 1
      it printed nothing

    run: ok (0ms)
    ");
}

#[tokio::test(start_paused = true)]
async fn a_job_whose_needs_failed_is_skipped_and_independent_ones_go_on() {
    let outcome = TestRun {
        parallel: 1,
        ..TestRun::of([
            job("build", &[], [step("make")]),
            job("test", &["build"], [step("check")]),
            job("pack", &["test"], [step("tar")]),
            job("docs", &[], [step("book")]),
        ])
    }
    .on(Fake::default().step("build/make", Script::exits(1)))
    .await;
    assert_eq!(outcome.report.conclusion, Conclusion::Failure);
    insta::assert_snapshot!(outcome.output, @r"
    run RUN of `test`
    workspace: an overlay of the working tree; what steps write never reaches it
    network: private; steps reach what this machine reaches, but not this machine
    ==> build / make (host)
    <== build / make: failed, exit status 1 (0ms)
    <== test: skipped, `build` did not succeed
    <== pack: skipped, `test` did not succeed
    ==> docs / book (host)
    <== docs / book: ok (0ms)

    JOB    STEP  RESULT   TIME  CPU  MEMORY  I/O  PIDS
    build  make  failed
    test   -     skipped
    pack   -     skipped
    docs   book  ok

    build / make: failed: exit status 1
      it printed nothing

    run: failed (0ms)
    ");
}

#[tokio::test(start_paused = true)]
async fn jobs_run_at_the_same_time_with_prefixed_lines() {
    let meeting = |other, output: &[u8]| Script {
        meets: vec![other],
        ..Script::exits(0).writing(output)
    };
    let outcome = TestRun::of([
        job("one", &[], [step("a")]),
        job("two", &[], [step("b")]),
        job("last", &["one", "two"], [step("c")]),
    ])
    .on(Fake::default()
        .step("one/a", meeting("two/b", b"1\n2\n3"))
        .step("two/b", meeting("one/a", b"x\ny\n"))
        .step("last/c", Script::exits(0).writing(b"end\n")))
    .await;
    let own = |prefix: &str| {
        let lines = outcome.output.lines();
        lines
            .filter(|line| line.starts_with(prefix))
            .collect::<Vec<_>>()
            .join("\n")
    };
    insta::assert_snapshot!(own("[one]"), @r"
    [one] ==> a (host)
    [one] 1
    [one] 2
    [one] 3
    [one] <== a: ok (0ms)
    ");
    insta::assert_snapshot!(own("[two]"), @r"
    [two] ==> b (host)
    [two] x
    [two] y
    [two] <== b: ok (0ms)
    ");
    insta::assert_snapshot!(own("[last]"), @r"
    [last] ==> c (host)
    [last] end
    [last] <== c: ok (0ms)
    ");
}

#[tokio::test(start_paused = true)]
async fn steps_of_a_job_run_at_the_same_time_when_they_do_not_need_each_other() {
    let mut plan = job("main", &[], [step("a"), step("b")]);
    plan.steps[1].needs.clear();
    let meeting = |other| Script {
        meets: vec![other],
        ..Script::exits(0).writing(b"here\n")
    };
    let outcome = TestRun::of([plan])
        .on(Fake::default()
            .step("main/a", meeting("main/b"))
            .step("main/b", meeting("main/a")))
        .await;
    assert_eq!(outcome.report.conclusion, Conclusion::Success);
    assert!(
        outcome.output.contains("[main/a] here\n"),
        "{}",
        outcome.output
    );
    assert!(
        outcome.output.contains("[main/b] here\n"),
        "{}",
        outcome.output
    );
}

#[tokio::test(start_paused = true)]
async fn a_step_that_cannot_start_is_the_pipelines_failure_or_ours() {
    for (kind, conclusion) in [
        (StartErrorKind::Request, Conclusion::Failure),
        (StartErrorKind::Internal, Conclusion::Error),
    ] {
        let outcome = TestRun::of([job("main", &[], [step("build")])])
            .on(Fake::default().step("main/build", Script::ends(End::StartFails(kind))))
            .await;
        assert_eq!(outcome.report.conclusion, conclusion);
        assert!(
            outcome.output.contains("failed to start main/build"),
            "{}",
            outcome.output
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_runtime_that_loses_a_step_is_an_error() {
    let outcome = TestRun::of([job("main", &[], [step("build"), step("test")])])
        .on(Fake::default().step("main/build", Script::ends(End::WaitFails)))
        .await;
    assert_eq!(outcome.report.fault, Some(Fault::Internal));
    insta::assert_snapshot!(outcome.output, @r"
    run RUN of `test`
    workspace: an overlay of the working tree; what steps write never reaches it
    network: private; steps reach what this machine reaches, but not this machine
    ==> main / build (host)
    <== main / build: error, failed to wait for the step: lost (0ms)
    <== main / test: skipped, `build` failed before

    JOB   STEP   RESULT   TIME  CPU  MEMORY  I/O  PIDS
    main  build  error
    main  test   skipped

    main / build: error: failed to wait for the step: lost
      it printed nothing

    run: error (0ms)
    ");
}

#[tokio::test(start_paused = true)]
async fn a_workspace_that_cannot_be_opened_fails_the_job_with_an_error() {
    let outcome = TestRun::of([job("main", &[], [step("build")])])
        .on(Fake::default().without_workspaces())
        .await;
    assert_eq!(outcome.report.conclusion, Conclusion::Error);
    insta::assert_snapshot!(outcome.output, @r"
    run RUN of `test`
    workspace: an overlay of the working tree; what steps write never reaches it
    network: private; steps reach what this machine reaches, but not this machine
    <== main: error, failed to mount the workspace: no space (0ms)

    JOB   STEP  RESULT  TIME  CPU  MEMORY  I/O  PIDS
    main  -     error

    main: error: failed to mount the workspace: no space

    run: error (0ms)
    ");
}

#[tokio::test(start_paused = true)]
async fn a_failure_outweighs_an_error() {
    let outcome = TestRun::of([
        job("lost", &[], [step("a")]),
        job("broken", &[], [step("b")]),
    ])
    .on(Fake::default()
        .step("lost/a", Script::ends(End::WaitFails))
        .step("broken/b", Script::exits(1)))
    .await;
    assert_eq!(outcome.report.conclusion, Conclusion::Failure);
}

#[tokio::test(start_paused = true)]
async fn logs_are_kept_for_their_owner_only() {
    let outcome = TestRun::of([job("main", &[], [step("build")])])
        .on(Fake::default().step("main/build", Script::exits(0).writing(b"kept\n")))
        .await;
    let runs = outcome.data.path().join("runs");
    let run = std::fs::read_dir(&runs).unwrap().next().unwrap().unwrap();
    let log = run.path().join("main/0-build.log");
    assert_eq!(std::fs::read(&log).unwrap(), b"kept\n");
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode();
    assert_eq!(mode(&log) & 0o777, 0o600);
    assert_eq!(mode(&runs) & 0o777, 0o700);
}
