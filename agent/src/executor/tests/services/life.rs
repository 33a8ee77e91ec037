//! From before the first step to behind the last.

use std::time::Duration;

use pipelines::plan::{Build, Probe, Service};
use protocol::Conclusion;

use super::super::harness::{Format, TestRun, step};
use super::{beside, service, with};
use crate::backend::ImageErrorKind;
use crate::backend::fake::{Answer, End, Fake, FakeImage, Script};
use crate::executor::Request;

#[tokio::test(start_paused = true)]
async fn a_service_is_ready_before_the_first_step_and_is_stopped_behind_the_last() {
    let mut job = with([service("db", Some(Probe::Tcp(5432)))]);
    job.after = vec![step("collect")];
    let outcome = TestRun::of([job])
        .on(Fake::default().answers(
            "main/db",
            &[Answer::Refused, Answer::Refused, Answer::Says(b"")],
        ))
        .await;
    assert_eq!(outcome.report.conclusion, Conclusion::Success);
    insta::assert_snapshot!(outcome.told(), @r"
    ==> main / service db (db:16)
    === main / service db: ready (0ms)
    ==> main / build (host)
    <== main / build: ok (0ms)
    ==> main / test (host)
    <== main / test: ok (0ms)
    ==> main / collect (host)
    <== main / collect: ok (0ms)
    <== main / service db: ok (0ms)

    JOB   STEP        RESULT  TIME  CPU  MEMORY  I/O  PIDS
    main  build       ok
    main  test        ok
    main  collect     ok
    main  service db  ok

    run: ok (0ms)
    ");
    insta::assert_snapshot!(outcome.journal.join("\n"), @r"
    open main
    prepare db:16
    start service main/db
    connect main/db:5432
    connect main/db:5432
    connect main/db:5432
    prepare host
    start main/build
    start main/test
    start main/collect
    terminate service main/db
    close main
    ");
}

/// The service `db`, built of the directory `ci/db`.
fn built() -> Service {
    let mut db = service("db", None);
    db.command.image = "ci/db".into();
    db.build = Some(Build {
        context: "ci/db".to_owned(),
        dockerfile: None,
        target: None,
        args: indexmap::IndexMap::new(),
    });
    db
}

#[tokio::test(start_paused = true)]
async fn a_service_that_is_built_starts_when_it_is() {
    let outcome = TestRun::of([with([built()])]).on(Fake::default()).await;
    assert_eq!(outcome.report.conclusion, Conclusion::Success);
    assert_eq!(
        outcome.journal[..4],
        [
            "open main",
            "build ci/db for db",
            "prepare ci/db",
            "start service main/db"
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_service_that_cannot_be_built_fails_its_job() {
    let fails = FakeImage::Fails(ImageErrorKind::NotBuilt);
    let run = TestRun::of([with([built()])]);
    let outcome = run.on(Fake::default().image("ci/db", fails)).await;
    assert_eq!(outcome.report.conclusion, Conclusion::Failure);
    assert!(!outcome.journal.iter().any(|line| line.starts_with("start")));
}

#[tokio::test(start_paused = true)]
async fn the_services_of_a_job_start_side_by_side_from_images_that_are_prepared_once() {
    let services = ["one", "two", "three"].map(|name| service(name, Some(Probe::Tcp(1))));
    let mut fake = Fake::default();
    for name in ["main/one", "main/two", "main/three"] {
        fake = fake.answers(name, &[Answer::Refused, Answer::Says(b"")]);
    }
    let outcome = TestRun::of([with(services)]).on(fake).await;
    assert_eq!(outcome.report.conclusion, Conclusion::Success);
    let positions = |start: &str| {
        let entries = outcome.journal.iter().enumerate();
        let found = entries.filter(|(_, entry)| entry.starts_with(start));
        found.map(|(position, _)| position).collect::<Vec<_>>()
    };
    let (first_step, last_step) = (
        positions("start main/build")[0],
        positions("start main/test")[0],
    );
    assert_eq!(positions("prepare db:16").len(), 1);
    assert_eq!(positions("start service ").len(), 3);
    assert_eq!(positions("connect ").len(), 6);
    assert!(
        positions("connect ")
            .iter()
            .all(|position| *position < first_step)
    );
    assert_eq!(positions("terminate service ").len(), 3);
    assert!(
        positions("terminate ")
            .iter()
            .all(|position| *position > last_step)
    );
}

#[tokio::test(start_paused = true)]
async fn what_a_service_writes_is_kept_apart_and_shown_when_its_job_fails() {
    let outcome = beside(None)
        .on(Fake::default()
            .service(
                "main/db",
                Script::serves().writing(b"\x1b[1mlistening\x1b[0m\nFATAL: no such table\n"),
            )
            .step("main/build", Script::exits(1).writing(b"cannot query\n")))
        .await;
    insta::assert_snapshot!(outcome.told(), @r"
    ==> main / service db (db:16)
    === main / service db: ready (0ms)
    ==> main / build (host)
    cannot query
    <== main / build: failed, exit status 1 (0ms)
    <== main / test: skipped, `build` failed before
    <== main / service db: ok (0ms)

    JOB   STEP        RESULT   TIME  CPU  MEMORY  I/O  PIDS
    main  build       failed
    main  test        skipped
    main  service db  ok

    main / build: failed: exit status 1
      | cannot query
      full log: DATA/runs/RUN/main/0-build.log

    main / service db: ok
      | listening
      | FATAL: no such table
      full log: DATA/runs/RUN/main/service-db.log

    run: failed (0ms)
    ");
}

#[tokio::test(start_paused = true)]
async fn a_service_has_its_own_variables_only() {
    let mut db = service("db", None);
    db.command.env.insert("PASSWORD".to_owned(), "test".into());
    let mut job = with([db]);
    for step in &mut job.steps {
        step.command.env.insert("OWN".to_owned(), "x".into());
    }
    let outcome = TestRun::of([job]).on(Fake::default()).await;
    let has: Vec<_> = outcome
        .journal
        .iter()
        .filter(|entry| entry.starts_with("service main/db has"))
        .collect();
    assert_eq!(has, ["service main/db has PASSWORD=test"]);
}

#[tokio::test(start_paused = true)]
async fn a_services_secrets_are_in_its_environment_and_masked_in_its_log() {
    let mut db = service("db", None);
    db.secrets = vec!["PASSWORD".to_owned()];
    let outcome = TestRun {
        secret: Some(("PASSWORD", "correct horse")),
        ..TestRun::of([with([db])])
    }
    .on(Fake::default()
        .service(
            "main/db",
            Script::serves().writing(b"password is correct horse\n"),
        )
        .step("main/build", Script::exits(1)))
    .await;
    let has = "service main/db has PASSWORD=correct horse";
    assert!(outcome.journal.iter().any(|entry| entry == has));
    assert!(
        outcome.output.contains("| password is ***\n"),
        "{}",
        outcome.output
    );
    assert!(!outcome.output.contains("correct horse"));
}

#[tokio::test(start_paused = true)]
async fn cancelling_while_services_start_stops_them() {
    let outcome = beside(Some(Probe::Tcp(1)))
        .with_requests(
            Fake::default().answers("main/db", &[Answer::Hangs]),
            async |backend, requests| {
                backend.started("service main/db").await;
                requests.send(Request::Cancel).unwrap();
            },
        )
        .await;
    assert_eq!(outcome.report.conclusion, Conclusion::Cancelled);
    insta::assert_snapshot!(outcome.told(), @r"
    warning: Cancelled: running steps have 10.0s to end; cancel again to kill them.
    ==> main / service db (db:16)
    <== main / build: cancelled (0ms)
    <== main / test: cancelled (0ms)
    <== main / service db: cancelled (0ms)

    JOB   STEP        RESULT     TIME  CPU  MEMORY  I/O  PIDS
    main  build       cancelled
    main  test        cancelled
    main  service db  cancelled

    run: cancelled (0ms)
    ");
    insta::assert_snapshot!(outcome.journal.join("\n"), @r"
    open main
    prepare db:16
    start service main/db
    connect main/db:1
    terminate service main/db
    close main
    ");

    // One whose image is on its way is not waited for.
    let outcome = beside(None)
        .with_requests(
            Fake::default().image("db:16", FakeImage::Hangs),
            async |backend, requests| {
                while !backend.journal().contains(&"prepare db:16".to_owned()) {
                    tokio::task::yield_now().await;
                }
                requests.send(Request::Cancel).unwrap();
            },
        )
        .await;
    assert_eq!(outcome.report.conclusion, Conclusion::Cancelled);
    assert!(!outcome.journal.join("\n").contains("start"));
}

#[tokio::test(start_paused = true)]
async fn cancelling_again_kills_services_at_once() {
    let started = tokio::time::Instant::now();
    let outcome = beside(None)
        .with_requests(
            Fake::default()
                .service("main/db", Script::ends(End::OnKill))
                .step("main/build", Script::ends(End::OnKill)),
            async |backend, requests| {
                backend.started("main/build").await;
                requests.send(Request::Cancel).unwrap();
                requests.send(Request::Cancel).unwrap();
            },
        )
        .await;
    assert_eq!(started.elapsed().as_secs(), 0);
    assert_eq!(outcome.report.conclusion, Conclusion::Cancelled);
}

#[tokio::test(start_paused = true)]
async fn a_jobs_timeout_counts_while_services_start() {
    let mut job = with([service("db", Some(Probe::Tcp(1)))]);
    job.timeout = Some(Duration::from_secs(7));
    let started = tokio::time::Instant::now();
    let outcome = TestRun::of([job]).on(Fake::default()).await;
    assert_eq!(started.elapsed().as_secs(), 7);
    assert_eq!(outcome.report.conclusion, Conclusion::Failure);
    insta::assert_snapshot!(outcome.told(), @r"
    ==> main / service db (db:16)
    <== main / build: skipped, service `db` is not there
    <== main / test: skipped, service `db` is not there
    <== main / service db: cancelled (0ms)
    <== main: failed, timed out after 7.0s (0ms)

    JOB   STEP        RESULT     TIME  CPU  MEMORY  I/O  PIDS
    main  build       skipped
    main  test        skipped
    main  service db  cancelled
    main  -           failed

    main / service db: cancelled
      it printed nothing

    main: failed: timed out after 7.0s

    run: failed (0ms)
    ");
}

#[tokio::test(start_paused = true)]
async fn where_the_ports_of_a_service_are_is_told_once_it_runs() {
    let run = || TestRun {
        publish: ["db:9000:5432", "db:127.0.0.1::53/udp", "db:[::1]:80:80"]
            .map(str::to_owned)
            .to_vec(),
        ..TestRun::of([with([
            service("db", Some(Probe::Tcp(5432))),
            service("cache", None),
        ])])
    };
    let fake = || Fake::default().answers("main/db", &[Answer::Says(b"")]);
    let outcome = run().on(fake()).await;
    let told: Vec<&str> = outcome.output.lines().collect();
    let told = told.iter().filter(|line| line.contains("service db"));
    let told: Vec<&str> = told.copied().take(5).collect();
    insta::assert_snapshot!(told.join("\n"), @r"
    ==> main / service db (db:16)
    === main / service db: port 5432 is at localhost:9000 and at all other addresses of this machine
    === main / service db: port 53/udp is at 127.0.0.1:40000
    === main / service db: port 80 is at [::1]:80
    === main / service db: ready (0ms)
    ");
    let quiet = TestRun {
        format: Format::Quiet,
        ..run()
    };
    let outcome = quiet.on(fake()).await;
    assert!(!outcome.output.contains("9000"), "{}", outcome.output);
    let outcome = TestRun {
        format: Format::Json,
        ..run()
    }
    .on(fake())
    .await;
    let told = outcome
        .output
        .lines()
        .find(|line| line.contains("port_published"));
    insta::assert_snapshot!(told.unwrap_or_default(), @r#"{"type":"port_published","job":"main","service":"db","port":5432,"protocol":"tcp","host":"::","host_port":9000}"#);
}
