use std::time::Duration;

use protocol::Conclusion;

use super::harness::{TestRun, job, step};
use crate::backend::ExitStatus;
use crate::backend::fake::{End, Fake, FakeImage, Script};
use crate::executor::Request;

fn hangs_politely() -> Script {
    Script::ends(End::OnTerminate(ExitStatus::Code(0))).writing(b"working\n")
}

#[tokio::test(start_paused = true)]
async fn a_step_that_takes_too_long_is_terminated() {
    let mut slow = step("slow");
    slow.timeout = Some(Duration::from_secs(60));
    let outcome = TestRun::of([job("main", &[], [slow, step("next")])])
        .on(Fake::default().step("main/slow", hangs_politely()))
        .await;
    assert_eq!(outcome.report.conclusion, Conclusion::Failure);
    insta::assert_snapshot!(outcome.output, @r"
    run RUN of `test`
    workspace: an overlay of the working tree; what steps write never reaches it
    network: private; steps reach what this machine reaches, but not this machine
    ==> main / slow (host)
    working
    <== main / slow: failed, timed out after 1m00s (0ms)
    <== main / next: skipped, `slow` failed before

    JOB   STEP  RESULT   TIME  CPU  MEMORY  I/O  PIDS
    main  slow  failed
    main  next  skipped

    main / slow: failed: timed out after 1m00s
      | working
      full log: DATA/runs/RUN/main/0-slow.log

    run: failed (0ms)
    ");
    insta::assert_snapshot!(outcome.journal.join("\n"), @r"
    open main
    prepare host
    start main/slow
    terminate main/slow
    close main
    ");
}

#[tokio::test(start_paused = true)]
async fn a_step_that_ignores_sigterm_is_killed_after_the_grace_period() {
    let mut slow = step("slow");
    slow.timeout = Some(Duration::from_secs(60));
    let started = tokio::time::Instant::now();
    let outcome = TestRun::of([job("main", &[], [slow])])
        .on(Fake::default().step("main/slow", Script::ends(End::OnKill)))
        .await;
    assert_eq!(started.elapsed().as_secs(), 70);
    insta::assert_snapshot!(outcome.journal.join("\n"), @r"
    open main
    prepare host
    start main/slow
    terminate main/slow
    kill main/slow
    close main
    ");
}

#[tokio::test(start_paused = true)]
async fn a_jobs_timeout_ends_its_step_and_covers_allowed_failures() {
    let mut slow = step("slow");
    slow.allow_failure = true;
    let mut limited = job("main", &[], [step("quick"), slow, step("next")]);
    limited.timeout = Some(Duration::from_secs(90));
    let outcome = TestRun::of([limited])
        .on(Fake::default().step("main/slow", hangs_politely()))
        .await;
    assert_eq!(outcome.report.conclusion, Conclusion::Failure);
    insta::assert_snapshot!(outcome.output, @r"
    run RUN of `test`
    workspace: an overlay of the working tree; what steps write never reaches it
    network: private; steps reach what this machine reaches, but not this machine
    ==> main / quick (host)
    <== main / quick: ok (0ms)
    ==> main / slow (host)
    working
    <== main / slow: failed, timed out after 1m30s (0ms)
    <== main / next: skipped, `slow` failed before
    <== main: failed, timed out after 1m30s (0ms)

    JOB   STEP   RESULT   TIME  CPU  MEMORY  I/O  PIDS
    main  quick  ok
    main  slow   failed
    main  next   skipped
    main  -      failed

    main / slow: failed: timed out after 1m30s
      | working
      full log: DATA/runs/RUN/main/1-slow.log

    main: failed: timed out after 1m30s

    run: failed (0ms)
    ");
}

#[tokio::test(start_paused = true)]
async fn a_jobs_timeout_covers_the_pull_of_its_images() {
    let mut limited = job("main", &[], [step("build")]);
    limited.timeout = Some(Duration::from_secs(90));
    let outcome = TestRun::of([limited])
        .on(Fake::default().image("host", FakeImage::Hangs))
        .await;
    assert_eq!(outcome.report.conclusion, Conclusion::Failure);
    insta::assert_snapshot!(outcome.journal.join("\n"), @r"
    open main
    prepare host
    close main
    ");
}

#[tokio::test(start_paused = true)]
async fn cancelling_terminates_steps_and_still_ends_with_the_summary() {
    let outcome = TestRun::of([
        job("build", &[], [step("make"), step("check")]),
        job("pack", &["build"], [step("tar")]),
    ])
    .with_requests(
        Fake::default().step(
            "build/make",
            Script::ends(End::OnTerminate(ExitStatus::Code(0))),
        ),
        async |backend, requests| {
            backend.started("build/make").await;
            requests.send(Request::Cancel).unwrap();
        },
    )
    .await;
    assert_eq!(outcome.report.conclusion, Conclusion::Cancelled);
    insta::assert_snapshot!(outcome.output, @r"
    run RUN of `test`
    workspace: an overlay of the working tree; what steps write never reaches it
    network: private; steps reach what this machine reaches, but not this machine
    ==> build / make (host)
    warning: Cancelled: running steps have 10.0s to end; cancel again to kill them.
    <== pack: cancelled (0ms)
    <== build / make: cancelled (0ms)
    <== build / check: cancelled (0ms)

    JOB    STEP   RESULT     TIME  CPU  MEMORY  I/O  PIDS
    build  make   cancelled
    build  check  cancelled
    pack   -      cancelled

    run: cancelled (0ms)
    ");
    insta::assert_snapshot!(outcome.journal.join("\n"), @r"
    open build
    prepare host
    start build/make
    terminate build/make
    close build
    ");
}

#[tokio::test(start_paused = true)]
async fn cancelling_again_kills_at_once() {
    let started = tokio::time::Instant::now();
    let outcome = TestRun::of([job("main", &[], [step("stubborn")])])
        .with_requests(
            Fake::default().step("main/stubborn", Script::ends(End::OnKill)),
            async |backend, requests| {
                backend.started("main/stubborn").await;
                requests.send(Request::Cancel).unwrap();
                requests.send(Request::Cancel).unwrap();
            },
        )
        .await;
    assert_eq!(started.elapsed().as_secs(), 0);
    assert_eq!(outcome.report.conclusion, Conclusion::Cancelled);
    assert_eq!(
        outcome
            .journal
            .iter()
            .filter(|entry| *entry == "kill main/stubborn")
            .count(),
        1
    );
}

#[tokio::test(start_paused = true)]
async fn a_stubborn_step_is_killed_after_the_grace_period_of_a_cancellation() {
    let started = tokio::time::Instant::now();
    TestRun::of([job("main", &[], [step("stubborn")])])
        .with_requests(
            Fake::default().step("main/stubborn", Script::ends(End::OnKill)),
            async |backend, requests| {
                backend.started("main/stubborn").await;
                requests.send(Request::Cancel).unwrap();
            },
        )
        .await;
    assert_eq!(started.elapsed().as_secs(), 10);
}

#[tokio::test(start_paused = true)]
async fn cancelling_does_not_wait_for_an_image() {
    let outcome = TestRun::of([job("main", &[], [step("build")])])
        .with_requests(
            Fake::default().image("host", FakeImage::Hangs),
            async |backend, requests| {
                while !backend.journal().contains(&"prepare host".to_owned()) {
                    tokio::task::yield_now().await;
                }
                requests.send(Request::Cancel).unwrap();
            },
        )
        .await;
    assert_eq!(outcome.report.conclusion, Conclusion::Cancelled);
    insta::assert_snapshot!(outcome.journal.join("\n"), @r"
    open main
    prepare host
    close main
    ");
}

#[tokio::test(start_paused = true)]
async fn a_step_that_cannot_be_signalled_is_an_error_and_not_a_hang() {
    let mut slow = step("slow");
    slow.timeout = Some(Duration::from_secs(60));
    let outcome = TestRun::of([job("main", &[], [slow])])
        .on(Fake::default().step("main/slow", Script::ends(End::SignalFails)))
        .await;
    assert_eq!(outcome.report.conclusion, Conclusion::Error);
    assert!(
        outcome.output.contains("failed to signal the step: lost"),
        "{}",
        outcome.output
    );
}
