//! What runs, and what does not: `if`, `after`, `retry`, `silence_timeout`, matrices.

use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

use indexmap::IndexMap;
use pipelines::expression::Expression;
use pipelines::plan::{Cell, Condition, Job, Place, Retry, RetryCause, Step};
use protocol::Conclusion;

use super::harness::{TestRun, job, step};
use crate::backend::ExitStatus;
use crate::backend::fake::{End, Fake, Script};

fn when(expression: &str, step: Step) -> Step {
    let expression = Expression::parse(expression).unwrap();
    Step {
        condition: Condition::When { expression },
        place: Place {
            file: ".pipeline.yml".to_owned(),
            line: 7,
        },
        ..step
    }
}

fn job_when(expression: &str, job: Job) -> Job {
    let expression = Expression::parse(expression).unwrap();
    Job {
        condition: Condition::When { expression },
        ..job
    }
}

fn failing(place: &str) -> Fake {
    Fake::default().step(place, Script::exits(1))
}

#[tokio::test(start_paused = true)]
async fn what_ran_elsewhere_counts_as_if_it_had_run_here() {
    let condition = "failure() && needs.build.outputs.version == \"7\"";
    let mut run = TestRun::of([job_when(condition, job("report", &[], [step("tell")]))]);
    let outputs = IndexMap::from([("version".to_owned(), "7".to_owned())]);
    run.before.needs = IndexMap::from([("build".to_owned(), (Conclusion::Failure, outputs))]);
    run.before.failed = true;
    let outcome = run.on(Fake::default()).await;
    assert!(
        outcome.output.contains("==> report / tell"),
        "{}",
        outcome.output
    );
}

/// The table behind a run's output.
fn summary(output: &str) -> &str {
    &output[output.find("JOB ").unwrap()..]
}

#[tokio::test(start_paused = true)]
async fn after_a_failure_only_those_run_that_ask_how_things_went() {
    let outcome = TestRun::of([job(
        "main",
        &[],
        [
            step("build"),
            step("test"),
            when("failure()", step("report")),
            when("always()", step("clean")),
            when(
                "success() && steps.build.conclusion == \"success\"",
                step("never"),
            ),
        ],
    )])
    .on(failing("main/build"))
    .await;
    assert_eq!(outcome.report.conclusion, Conclusion::Failure);
    insta::assert_snapshot!(summary(&outcome.output), @r#"
    JOB   STEP    RESULT   TIME  CPU  MEMORY  I/O  PIDS
    main  build   failed
    main  test    skipped
    main  report  ok
    main  clean   ok
    main  never   skipped

    main / build: failed: exit status 1
      it printed nothing

    run: failed (0ms)
    "#);
}

#[tokio::test(start_paused = true)]
async fn a_step_that_its_if_leaves_out_stops_nothing() {
    let never = Step {
        condition: Condition::Never {
            reason: "if: branch == \"main\" is false: branch is \"dev\"".to_owned(),
        },
        ..step("deploy")
    };
    let outcome = TestRun::of([job(
        "main",
        &[],
        [
            step("build"),
            never,
            when("steps.deploy.conclusion == \"skipped\"", step("tell")),
        ],
    )])
    .on(Fake::default())
    .await;
    assert_eq!(outcome.report.conclusion, Conclusion::Success);
    insta::assert_snapshot!(summary(&outcome.output), @r#"
    JOB   STEP    RESULT   TIME  CPU  MEMORY  I/O  PIDS
    main  build   ok
    main  deploy  skipped
    main  tell    ok

    run: ok (0ms)
    "#);
}

#[tokio::test(start_paused = true)]
async fn an_if_that_cannot_be_evaluated_fails_its_step_and_says_where() {
    let outcome = TestRun::of([job("main", &[], [when("env.NOPE == \"1\"", step("build"))])])
        .on(Fake::default())
        .await;
    assert_eq!(outcome.report.conclusion, Conclusion::Failure);
    insta::assert_snapshot!(summary(&outcome.output), @r#"
    JOB   STEP   RESULT  TIME  CPU  MEMORY  I/O  PIDS
    main  build  failed

    main / build: failed: .pipeline.yml:7: `env.NOPE == "1"`: the environment has no variable `NOPE`

    run: failed (0ms)
    "#);
}

#[tokio::test(start_paused = true)]
async fn jobs_may_ask_how_the_jobs_they_need_went() {
    let outcome = TestRun::of([
        job("build", &[], [step("build")]),
        job("test", &["build"], [step("test")]),
        job_when("failure()", job("tell", &["test"], [step("tell")])),
        job_when(
            "needs.build.conclusion == \"failure\" && always()",
            job("why", &["build"], [step("why")]),
        ),
        job("last", &["tell"], [step("last")]),
    ])
    .on(failing("build/build"))
    .await;
    assert_eq!(outcome.report.conclusion, Conclusion::Failure);
    insta::assert_snapshot!(summary(&outcome.output), @r#"
    JOB    STEP   RESULT   TIME  CPU  MEMORY  I/O  PIDS
    build  build  failed
    test   -      skipped
    tell   tell   ok
    why    why    ok
    last   last   ok

    build / build: failed: exit status 1
      it printed nothing

    run: failed (0ms)
    "#);
}

#[tokio::test(start_paused = true)]
async fn after_runs_whatever_happened_and_changes_nothing() {
    let job = Job {
        after: vec![step("collect"), when("failure()", step("tell"))],
        ..job("main", &[], [step("build"), step("test")])
    };
    let fake = failing("main/build").step("main/collect", Script::exits(3));
    let outcome = TestRun::of([job.clone()]).on(fake).await;
    assert_eq!(outcome.report.conclusion, Conclusion::Failure);
    insta::assert_snapshot!(summary(&outcome.output), @r#"
    JOB   STEP     RESULT            TIME  CPU  MEMORY  I/O  PIDS
    main  build    failed
    main  test     skipped
    main  collect  failed (allowed)
    main  tell     ok

    main / build: failed: exit status 1
      it printed nothing

    main / collect: failed (allowed): exit status 3
      it printed nothing

    run: failed (0ms)
    "#);
    let fake = Fake::default().step("main/collect", Script::exits(3));
    let outcome = TestRun::of([job]).on(fake).await;
    assert_eq!(outcome.report.conclusion, Conclusion::Success);
}

fn retried(max: u32, on: Vec<RetryCause>, delay: Duration) -> Step {
    Step {
        retry: Some(Retry {
            max: NonZeroU32::new(max).unwrap(),
            on,
            delay,
        }),
        ..step("build")
    }
}

#[tokio::test(start_paused = true)]
async fn a_step_is_tried_again_for_the_causes_it_names() {
    let step = retried(2, vec![RetryCause::Exit(7)], Duration::from_secs(5));
    let fake = Fake::default().step("main/build", Script::exits(7).writing(b"no luck\n"));
    let outcome = TestRun::of([job("main", &[], [step.clone()])])
        .on(fake)
        .await;
    assert_eq!(outcome.report.conclusion, Conclusion::Failure);
    insta::assert_snapshot!(outcome.output, @r#"
    run RUN of `test`
    workspace: an overlay of the working tree; what steps write never reaches it
    network: private; steps reach what this machine reaches, but not this machine
    ==> main / build (host)
    no luck
    <=> main / build: failed, exit status 7; attempt 2 of 3 in 5.0s
    no luck
    <=> main / build: failed, exit status 7; attempt 3 of 3 in 5.0s
    no luck
    <== main / build: failed, exit status 7 (0ms)

    JOB   STEP   RESULT  TIME  CPU  MEMORY  I/O  PIDS
    main  build  failed

    main / build: failed: exit status 7
      | no luck
      | no luck
      | no luck
      full log: DATA/runs/RUN/main/0-build.log

    run: failed (0ms)
    "#);
    let starts = outcome
        .journal
        .iter()
        .filter(|line| *line == "start main/build");
    assert_eq!(starts.count(), 3);

    let fake = failing("main/build");
    let outcome = TestRun::of([job("main", &[], [step])]).on(fake).await;
    assert!(!outcome.output.contains("attempt"), "{}", outcome.output);
}

#[tokio::test(start_paused = true)]
async fn a_job_that_runs_out_of_time_does_not_wait_for_another_attempt() {
    let step = retried(9, vec![RetryCause::Failure], Duration::from_secs(3600));
    let job = Job {
        timeout: Some(Duration::from_secs(60)),
        ..job("main", &[], [step])
    };
    let outcome = TestRun::of([job]).on(failing("main/build")).await;
    assert_eq!(outcome.report.conclusion, Conclusion::Failure);
    assert_eq!(
        outcome
            .journal
            .iter()
            .filter(|line| *line == "start main/build")
            .count(),
        1
    );
}

#[tokio::test(start_paused = true)]
async fn a_step_that_says_nothing_for_too_long_is_ended() {
    let silent = Step {
        silence_timeout: Some(Duration::from_millis(30)),
        ..step("build")
    };
    let script = Script::ends(End::OnTerminate(ExitStatus::Signal(15))).writing(b"working\n");
    let outcome = TestRun::of([job("main", &[], [silent])])
        .on(Fake::default().step("main/build", script))
        .await;
    assert_eq!(outcome.report.conclusion, Conclusion::Failure);
    assert!(
        outcome.output.contains("failed, wrote nothing for 30ms"),
        "{}",
        outcome.output
    );
}

fn cell(number: i64, fail_fast: bool, max_parallel: usize) -> Job {
    let values = [("n".to_owned(), number.into())];
    Job {
        cell: Some(Cell {
            job: "test".to_owned(),
            values: values.into_iter().collect::<IndexMap<_, _>>(),
            fail_fast,
            max_parallel: NonZeroUsize::new(max_parallel),
        }),
        ..job(&format!("test ({number})"), &[], [step("run")])
    }
}

#[tokio::test(start_paused = true)]
async fn the_first_cell_that_fails_stops_the_others() {
    let hangs = Script::ends(End::OnTerminate(ExitStatus::Signal(15)));
    let fails = Script {
        meets: vec!["test (2)/run"],
        ..Script::exits(1)
    };
    let fake = Fake::default()
        .step("test (1)/run", fails)
        .step("test (2)/run", hangs);
    let cells = [cell(1, true, 2), cell(2, true, 2), cell(3, true, 2)];
    let other = job("other", &[], [step("run")]);
    let outcome = TestRun::of(cells.into_iter().chain([other])).on(fake).await;
    // Somebody's failure, and nobody's cancel.
    assert_eq!(outcome.report.conclusion, Conclusion::Failure);
    insta::assert_snapshot!(summary(&outcome.output), @r#"
    JOB       STEP  RESULT     TIME  CPU  MEMORY  I/O  PIDS
    test (1)  run   failed
    test (2)  run   cancelled
    test (2)  -     cancelled
    test (3)  -     cancelled
    other     run   ok

    test (1) / run: failed: exit status 1
      it printed nothing

    run: failed (0ms)
    "#);
}

#[tokio::test(start_paused = true)]
async fn without_fail_fast_every_cell_runs_as_many_at_once_as_may() {
    let cells = [cell(1, false, 1), cell(2, false, 1), cell(3, false, 1)];
    let outcome = TestRun::of(cells).on(failing("test (1)/run")).await;
    assert_eq!(outcome.report.conclusion, Conclusion::Failure);
    insta::assert_snapshot!(outcome.journal.join("\n"), @r#"
    open test (1)
    prepare host
    start test (1)/run
    close test (1)
    open test (2)
    start test (2)/run
    close test (2)
    open test (3)
    start test (3)/run
    close test (3)
    "#);
}
