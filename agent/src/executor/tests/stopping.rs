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
    insta::assert_snapshot!(outcome.output, @"");
    insta::assert_snapshot!(outcome.journal.join("\n"), @"");
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
    insta::assert_snapshot!(outcome.journal.join("\n"), @"");
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
    insta::assert_snapshot!(outcome.output, @"");
}

#[tokio::test(start_paused = true)]
async fn a_jobs_timeout_covers_the_pull_of_its_images() {
    let mut limited = job("main", &[], [step("build")]);
    limited.timeout = Some(Duration::from_secs(90));
    let outcome = TestRun::of([limited])
        .on(Fake::default().image("host", FakeImage::Hangs))
        .await;
    assert_eq!(outcome.report.conclusion, Conclusion::Failure);
    insta::assert_snapshot!(outcome.journal.join("\n"), @"");
}

#[tokio::test(start_paused = true)]
async fn cancelling_terminates_steps_and_still_ends_with_the_summary() {
    let outcome = TestRun::of([
        job("build", &[], [step("make"), step("check")]),
        job("pack", &["build"], [step("tar")]),
    ])
    .with_requests(
        Fake::default().step("build/make", hangs_politely()),
        async |backend, requests| {
            backend.started("build/make").await;
            requests.send(Request::Cancel).unwrap();
        },
    )
    .await;
    assert_eq!(outcome.report.conclusion, Conclusion::Cancelled);
    insta::assert_snapshot!(outcome.output, @"");
    insta::assert_snapshot!(outcome.journal.join("\n"), @"");
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
    insta::assert_snapshot!(outcome.journal.join("\n"), @"");
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
