//! Services that fail, and what fails with them.

use std::time::Duration;

use pipelines::plan::{Network, Probe};
use protocol::{Cause, Conclusion, Event, Protocol};

use super::super::harness::{Format, TestRun, step};
use super::{beside, dies_beside, service, when, with};
use crate::backend::fake::{End, Fake, FakeImage, Script};
use crate::backend::{ExitStatus, ImageErrorKind, NetworkUse, Place, StartErrorKind};
use crate::executor::Fault;

#[tokio::test(start_paused = true)]
async fn a_service_that_dies_stops_the_step_that_needs_it_with_that_reason() {
    let mut job = with([service("db", None)]);
    job.steps[1].condition = when("always()");
    job.after = vec![step("collect")];
    let outcome = TestRun::of([job])
        .on(Fake::default()
            .service("main/db", dies_beside("main/build", ExitStatus::Signal(11)))
            .step("main/build", Script::serves()))
        .await;
    assert_eq!(outcome.report.conclusion, Conclusion::Failure);
    insta::assert_snapshot!(outcome.told(), @r"
    ==> main / service db (db:16)
    === main / service db: ready (0ms)
    ==> main / build (host)
    <== main / service db: failed, killed by signal 11 (SIGSEGV) (0ms)
    <== main / build: failed, service `db` ended: killed by signal 11 (SIGSEGV) (0ms)
    ==> main / test (host)
    <== main / test: ok (0ms)
    ==> main / collect (host)
    <== main / collect: ok (0ms)

    JOB   STEP        RESULT  TIME  CPU  MEMORY  I/O  PIDS
    main  service db  failed
    main  build       failed
    main  test        ok
    main  collect     ok

    main / service db: failed: killed by signal 11 (SIGSEGV)
      | out of luck
      full log: DATA/runs/RUN/main/service-db.log

    main / build: failed: service `db` ended: killed by signal 11 (SIGSEGV)
      it printed nothing

    run: failed (0ms)
    ");
    insta::assert_snapshot!(outcome.journal.join("\n"), @r"
    open main
    prepare db:16
    start service main/db
    prepare host
    start main/build
    terminate main/build
    start main/test
    start main/collect
    close main
    ");
}

#[tokio::test(start_paused = true)]
async fn a_step_off_the_jobs_network_does_not_need_its_services() {
    let mut job = with([service("db", None)]);
    for step in &mut job.steps {
        step.network = Network::None;
    }
    let outcome = TestRun::of([job])
        .on(Fake::default()
            .service("main/db", dies_beside("main/build", ExitStatus::Code(0)))
            .step(
                "main/build",
                Script {
                    meets: vec!["service main/db"],
                    ..Script::exits(0)
                },
            ))
        .await;
    assert_eq!(outcome.report.conclusion, Conclusion::Success);
    assert!(
        outcome
            .output
            .contains("<== main / service db: failed, exit status 0 before its time"),
        "{}",
        outcome.output
    );
}

#[tokio::test(start_paused = true)]
async fn a_failure_that_is_allowed_does_not_bring_a_service_back() {
    let mut job = with([service("db", None)]);
    job.steps[0].allow_failure = true;
    job.steps[0].retry = Some(pipelines::plan::Retry {
        max: 3.try_into().unwrap(),
        on: vec![pipelines::plan::RetryCause::Failure],
        delay: Duration::ZERO,
    });
    let outcome = TestRun::of([job])
        .on(Fake::default()
            .service("main/db", dies_beside("main/build", ExitStatus::Code(3)))
            .step("main/build", Script::serves()))
        .await;
    assert_eq!(outcome.report.conclusion, Conclusion::Failure);
    insta::assert_snapshot!(outcome.told(), @r"
    ==> main / service db (db:16)
    === main / service db: ready (0ms)
    ==> main / build (host)
    <== main / service db: failed, exit status 3 (0ms)
    <== main / build: failed (allowed), service `db` ended: exit status 3 (0ms)
    <== main / test: failed, service `db` ended: exit status 3 (0ms)

    JOB   STEP        RESULT            TIME  CPU  MEMORY  I/O  PIDS
    main  service db  failed
    main  build       failed (allowed)
    main  test        failed

    main / service db: failed: exit status 3
      | out of luck
      full log: DATA/runs/RUN/main/service-db.log

    main / build: failed (allowed): service `db` ended: exit status 3
      it printed nothing

    main / test: failed: service `db` ended: exit status 3

    run: failed (0ms)
    ");
}

#[tokio::test(start_paused = true)]
async fn a_service_that_dies_before_it_is_ready_fails_the_job() {
    let mut job = with(["db", "web"].map(|name| service(name, Some(Probe::Tcp(80)))));
    job.services[1].command.image = "web:1".into();
    // A paused clock runs ahead of the thread that reads the log of the one that dies.
    for service in &mut job.services {
        service.ready.as_mut().unwrap().timeout = Duration::MAX;
    }
    job.steps[1].condition = when("failure()");
    job.after = vec![step("collect")];
    let script = Script {
        meets: vec!["service main/web"],
        ..Script::exits(1).writing(b"no data directory\n")
    };
    let outcome = TestRun::of([job])
        .on(Fake::default().service("main/db", script))
        .await;
    assert_eq!(outcome.report.conclusion, Conclusion::Failure);
    insta::assert_snapshot!(outcome.told(), @r"
    ==> main / service db (db:16)
    ==> main / service web (web:1)
    <== main / service db: failed, exit status 1 (0ms)
    <== main / build: skipped, service `db` is not there
    ==> main / test (host)
    <== main / test: ok (0ms)
    ==> main / collect (host)
    <== main / collect: ok (0ms)
    <== main / service web: cancelled (0ms)
    <== main: failed, service `db` ended: exit status 1 (0ms)

    JOB   STEP         RESULT     TIME  CPU  MEMORY  I/O  PIDS
    main  service db   failed
    main  build        skipped
    main  test         ok
    main  collect      ok
    main  service web  cancelled
    main  -            failed

    main / service db: failed: exit status 1
      | no data directory
      full log: DATA/runs/RUN/main/service-db.log

    main / service web: cancelled
      it printed nothing

    main: failed: service `db` ended: exit status 1

    run: failed (0ms)
    ");
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_started_is_the_jobs_reason() {
    let run = async |fake: Fake| beside(Some(Probe::Tcp(1))).on(fake).await;
    let outcome =
        run(Fake::default().image("db:16", FakeImage::Fails(ImageErrorKind::NotFound))).await;
    assert_eq!(outcome.report.conclusion, Conclusion::Failure);
    insta::assert_snapshot!(outcome.told(), @r"
    <== main / service db: failed, failed to get image db:16: NotFound (0ms)
    <== main / build: skipped, service `db` is not there
    <== main / test: skipped, service `db` is not there
    <== main: failed, service `db`: failed to get image db:16: NotFound (0ms)

    JOB   STEP        RESULT   TIME  CPU  MEMORY  I/O  PIDS
    main  service db  failed
    main  build       skipped
    main  test        skipped
    main  -           failed

    main / service db: failed: failed to get image db:16: NotFound

    main: failed: service `db`: failed to get image db:16: NotFound

    run: failed (0ms)
    ");

    let outcome =
        run(Fake::default().image("db:16", FakeImage::Fails(ImageErrorKind::Unavailable))).await;
    assert_eq!(outcome.report.conclusion, Conclusion::Error);
    assert_eq!(outcome.report.fault, Some(Fault::Unavailable));

    let fails = |kind| Fake::default().service("main/db", Script::ends(End::StartFails(kind)));
    let outcome = run(fails(StartErrorKind::Request)).await;
    assert_eq!(outcome.report.conclusion, Conclusion::Failure);
    let outcome = run(fails(StartErrorKind::Internal)).await;
    assert_eq!(outcome.report.fault, Some(Fault::Internal));
    for lost in [End::WaitFails, End::SignalFails] {
        let outcome = run(Fake::default().service("main/db", Script::ends(lost))).await;
        assert_eq!(outcome.report.conclusion, Conclusion::Error, "{lost:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_service_that_writes_more_than_is_kept_is_ended() {
    let script = Script {
        meets: vec!["main/build"],
        ..Script::ends(End::OnKill).writing(&[b'x'; 2 << 10])
    };
    let outcome = TestRun {
        limits: serde_yaml::from_str("log: 1KiB").unwrap(),
        ..beside(None)
    }
    .on(Fake::default()
        .service("main/db", script)
        .step("main/build", Script::serves()))
    .await;
    assert_eq!(outcome.report.conclusion, Conclusion::Failure);
    let cause = "<== main / build: failed, service `db` ended: wrote more output than 1.0 KiB";
    assert!(outcome.output.contains(cause), "{}", outcome.output);
}

#[tokio::test(start_paused = true)]
async fn events_tell_of_services_and_refusals_in_order() {
    let refusal = NetworkUse {
        step: "build".to_owned(),
        place: Place {
            host: "example.org".to_owned(),
            port: 443,
            protocol: Protocol::Tcp,
        },
        refusal: Some("it is not in `allow`".to_owned()),
    };
    let run = |format| TestRun {
        format,
        ..beside(None)
    };
    let fake = || {
        let fake = Fake::default().refuses(refusal.clone());
        fake.service("main/db", dies_beside("main/build", ExitStatus::Code(1)))
            .step("main/build", Script::serves())
    };
    let outcome = run(Format::Json).on(fake()).await;
    insta::assert_snapshot!(outcome.output, @r#"
    {"type":"run_started","id":"RUN","at":0,"pipeline":"test","jobs":["main"],"workspace":"overlay","network":"private"}
    {"type":"job_started","job":"main","at":0}
    {"type":"network_refused","job":"main","step":"build","host":"example.org","port":443,"protocol":"tcp","reason":"it is not in `allow`"}
    {"type":"image_started","image":"db:16"}
    {"type":"image_ready","image":"db:16","pulled_bytes":0,"duration_ms":0}
    {"type":"service_started","job":"main","service":"db","image":"db:16","at":0}
    {"type":"service_ready","job":"main","service":"db","duration_ms":0}
    {"type":"image_started","image":"host"}
    {"type":"image_ready","image":"host","pulled_bytes":0,"duration_ms":0}
    {"type":"step_started","job":"main","step":"build","index":0,"image":"host","at":0}
    {"type":"service_finished","job":"main","service":"db","conclusion":"failure","cause":{"kind":"exit","code":1},"duration_ms":0}
    {"type":"step_finished","job":"main","step":"build","conclusion":"failure","cause":{"kind":"service","service":"db","why":{"kind":"exit","code":1}},"allowed":false,"duration_ms":0}
    {"type":"step_finished","job":"main","step":"test","conclusion":"skipped","cause":{"kind":"skipped","reason":"earlier_failure","step":"build"},"allowed":false,"duration_ms":0}
    {"type":"job_finished","job":"main","conclusion":"failure","allowed":false,"duration_ms":0}
    {"type":"run_finished","conclusion":"failure","duration_ms":0}
    "#);
    let finished = outcome.output.lines().filter_map(|line| {
        let event: Event = serde_json::from_str(line).unwrap();
        match event {
            Event::StepFinished { cause, .. } => cause,
            _ => None,
        }
    });
    let cause = Cause::Service {
        service: "db".to_owned(),
        why: Box::new(Cause::Exit { code: 1 }),
    };
    assert_eq!(finished.into_iter().next(), Some(cause));

    let outcome = run(Format::Quiet).on(fake()).await;
    insta::assert_snapshot!(outcome.output, @r"
    =!= main / build: a connection to example.org:443 is refused: it is not in `allow`
    <== main / service db: failed, exit status 1 (0ms)
    <== main / build: failed, service `db` ended: exit status 1 (0ms)
    JOB   STEP        RESULT   TIME  CPU  MEMORY  I/O  PIDS
    main  service db  failed
    main  build       failed
    main  test        skipped

    main / service db: failed: exit status 1
      | out of luck
      full log: DATA/runs/RUN/main/service-db.log

    main / build: failed: service `db` ended: exit status 1
      it printed nothing

    run: failed (0ms)
    ");
}
