use protocol::Conclusion;

use super::harness::{TestRun, job, step};
use crate::backend::fake::{Fake, FakeImage};
use crate::backend::{ImageErrorKind, ImageProgress};
use crate::executor::Fault;

#[tokio::test(start_paused = true)]
async fn an_image_is_prepared_once_for_all_jobs() {
    let outcome = TestRun::of([
        job("a", &[], [step("one"), step("two")]),
        job("b", &[], [step("three")]),
        job("c", &["a"], [step("four")]),
    ])
    .on(Fake::default())
    .await;
    assert_eq!(outcome.report.conclusion, Conclusion::Success);
    let prepared = outcome
        .journal
        .iter()
        .filter(|entry| entry.starts_with("prepare"));
    assert_eq!(prepared.count(), 1);
    assert_eq!(outcome.backend.journal(), outcome.journal);
}

#[tokio::test(start_paused = true)]
async fn a_pull_is_told_with_its_size_and_its_warnings() {
    let news = vec![
        ImageProgress::Received {
            bytes: 1,
            total: None,
        },
        ImageProgress::Warning("The registry is down; the stored image is used.".to_owned()),
    ];
    let outcome = TestRun::of([job("main", &[], [step("build")])])
        .on(Fake::default().image("host", FakeImage::Pulled(3 << 20, news)))
        .await;
    insta::assert_snapshot!(outcome.output, @r"
    run RUN of `test`
    workspace: an overlay of the working tree; what steps write never reaches it
    network: private; steps reach what this machine reaches, but not this machine
    warning: The registry is down; the stored image is used.
    image host: 3.0 MiB pulled in 0ms
    ==> main / build (host)
    <== main / build: ok (0ms)

    JOB   STEP   RESULT  TIME  CPU  MEMORY  I/O  PIDS
    main  build  ok

    run: ok (0ms)
    ");
}

#[tokio::test(start_paused = true)]
async fn the_kind_of_an_image_error_decides_what_it_means() {
    use ImageErrorKind::{
        Corrupt, Internal, InvalidReference, NotFound, Unauthorized, Unavailable, Unsupported,
    };
    for (kind, conclusion, fault) in [
        (InvalidReference, Conclusion::Failure, None),
        (NotFound, Conclusion::Failure, None),
        (Unauthorized, Conclusion::Failure, None),
        (Unsupported, Conclusion::Failure, None),
        (Unavailable, Conclusion::Error, Some(Fault::Unavailable)),
        (Corrupt, Conclusion::Error, Some(Fault::Unavailable)),
        (Internal, Conclusion::Error, Some(Fault::Internal)),
    ] {
        let outcome = TestRun::of([job("main", &[], [step("build")])])
            .on(Fake::default().image("host", FakeImage::Fails(kind)))
            .await;
        assert_eq!(outcome.report.conclusion, conclusion, "{kind:?}");
        assert_eq!(outcome.report.fault, fault, "{kind:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_image_that_cannot_be_had_is_the_reason_of_its_step() {
    let outcome = TestRun::of([job("main", &[], [step("build"), step("test")])])
        .on(Fake::default().image("host", FakeImage::Fails(ImageErrorKind::Unavailable)))
        .await;
    insta::assert_snapshot!(outcome.output, @r"
    run RUN of `test`
    workspace: an overlay of the working tree; what steps write never reaches it
    network: private; steps reach what this machine reaches, but not this machine
    <== main / build: error, failed to get image host: Unavailable (0ms)
    <== main / test: skipped, `build` failed before

    JOB   STEP   RESULT   TIME  CPU  MEMORY  I/O  PIDS
    main  build  error
    main  test   skipped

    main / build: error: failed to get image host: Unavailable

    run: error (0ms)
    ");
}
