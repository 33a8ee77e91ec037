//! When a service is ready, and when it is too late.

use std::time::Duration;

use pipelines::plan::Probe;
use protocol::Conclusion;

use super::super::harness::TestRun;
use super::{beside, service, with};
use crate::backend::fake::{Answer, End, Fake, FakeImage, Script};
use crate::backend::{ExitStatus, Healthcheck};

#[tokio::test(start_paused = true)]
async fn a_service_that_is_not_ready_in_time_is_stopped_and_fails_the_job() {
    let started = tokio::time::Instant::now();
    let outcome = beside(Some(Probe::Tcp(5432)))
        .on(Fake::default().service("main/db", Script::ends(End::OnKill)))
        .await;
    // Its time, and the grace period.
    assert_eq!(started.elapsed().as_secs(), 30 + 10);
    assert_eq!(outcome.report.conclusion, Conclusion::Failure);
    insta::assert_snapshot!(outcome.told(), @r"
    ==> main / service db (db:16)
    <== main / service db: failed, not ready within 30.0s: port 5432: connection refused (0ms)
    <== main / build: skipped, service `db` is not there
    <== main / test: skipped, service `db` is not there
    <== main: failed, service `db` was not ready within 30.0s: port 5432: connection refused (0ms)

    JOB   STEP        RESULT   TIME  CPU  MEMORY  I/O  PIDS
    main  service db  failed
    main  build       skipped
    main  test        skipped
    main  -           failed

    main / service db: failed: not ready within 30.0s: port 5432: connection refused
      it printed nothing

    main: failed: service `db` was not ready within 30.0s: port 5432: connection refused

    run: failed (0ms)
    ");
}

#[tokio::test(start_paused = true)]
async fn a_try_that_hangs_is_given_up_and_made_again() {
    let outcome = beside(Some(Probe::Tcp(1)))
        .on(Fake::default().answers("main/db", &[Answer::Hangs, Answer::Says(b"")]))
        .await;
    assert_eq!(outcome.report.conclusion, Conclusion::Success);
    let outcome = beside(Some(Probe::Tcp(1)))
        .on(Fake::default().answers("main/db", &[Answer::Hangs]))
        .await;
    let cause = "service `db` was not ready within 30.0s: no answer within ";
    assert!(outcome.output.contains(cause), "{}", outcome.output);
}

#[tokio::test(start_paused = true)]
async fn http_is_ready_when_the_status_is_good() {
    let probe = Probe::Http("http://localhost:8080/health".into());
    let outcome = TestRun::of([with([service("web", Some(probe))])])
        .on(Fake::default().answers(
            "main/web",
            &[
                Answer::Refused,
                Answer::Says(b"HTTP/1.1 503 Starting\r\n\r\n"),
                Answer::Says(b"HTTP/1.1 200 OK\r\n\r\nfine"),
            ],
        ))
        .await;
    assert_eq!(outcome.report.conclusion, Conclusion::Success);
    let asked = outcome.journal.iter();
    let asked = asked.filter(|entry| *entry == "connect main/web:8080");
    assert_eq!(asked.count(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_script_or_the_images_check_runs_in_the_services_container() {
    let once_failed = [
        Answer::Ends(ExitStatus::Code(1)),
        Answer::Ends(ExitStatus::Code(0)),
    ];
    let outcome = beside(Some(Probe::Run("pg_isready".into())))
        .on(Fake::default().answers("main/db", &once_failed))
        .await;
    assert_eq!(outcome.report.conclusion, Conclusion::Success);
    insta::assert_snapshot!(outcome.journal.join("\n"), @r"
    open main
    prepare db:16
    start service main/db
    exec main/db: sh -e -c pg_isready
    exec main/db: sh -e -c pg_isready
    prepare host
    start main/build
    start main/test
    terminate service main/db
    close main
    ");

    let check = Healthcheck {
        command: vec!["/check".to_owned(), "-q".to_owned()],
        interval: Duration::from_secs(30),
        timeout: Duration::from_secs(30),
        start_period: Duration::from_secs(120),
        retries: 3,
    };
    let fake = || Fake::default().image("db:16", FakeImage::Checks(check.clone()));
    let outcome = beside(None)
        .on(fake().answers("main/db", &once_failed))
        .await;
    assert_eq!(outcome.report.conclusion, Conclusion::Success);
    let checks = outcome.journal.iter();
    let checks = checks.filter(|entry| *entry == "exec main/db: /check -q");
    assert_eq!(checks.count(), 2);

    let outcome = beside(None)
        .on(fake().answers("main/db", &[Answer::Ends(ExitStatus::Code(7))]))
        .await;
    let cause = "not ready within 5m00s: the check ended with exit status 7";
    assert!(outcome.output.contains(cause), "{}", outcome.output);
}

#[tokio::test(start_paused = true)]
async fn a_line_of_its_log_shows_that_a_service_is_ready() {
    let mut logs = service("db", Some(Probe::Log("^ready to accept .*$".to_owned())));
    // A paused clock runs ahead of the thread that reads the log.
    logs.ready.as_mut().unwrap().timeout = Duration::MAX;
    let outcome = TestRun::of([with([logs])])
        .on(Fake::default().service(
            "main/db",
            Script::serves().writing(b"starting\nready to accept connections\n"),
        ))
        .await;
    assert_eq!(outcome.report.conclusion, Conclusion::Success);
    assert!(outcome.output.contains("=== main / service db: ready"));

    let silent = service("db", Some(Probe::Log("ready".to_owned())));
    let outcome = TestRun::of([with([silent])])
        .on(Fake::default().service("main/db", Script::serves().writing(b"starting\n")))
        .await;
    let cause = "<== main: failed, service `db` was not ready within 30.0s (0ms)";
    assert!(outcome.output.contains(cause), "{}", outcome.output);
}

#[tokio::test(start_paused = true)]
async fn a_wrong_ready_is_the_pipelines_mistake() {
    for (probe, message) in [
        (
            Probe::Http("http://example.org/".into()),
            "`http: http://example.org/` is not at the service itself",
        ),
        (
            Probe::Log("(".to_owned()),
            "`log: (` is no regular expression",
        ),
    ] {
        let outcome = beside(Some(probe)).on(Fake::default()).await;
        assert_eq!(outcome.report.conclusion, Conclusion::Failure);
        assert!(outcome.output.contains(message), "{}", outcome.output);
        assert!(!outcome.journal.join("\n").contains("start"));
    }
}
