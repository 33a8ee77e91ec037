use std::time::Duration;

use pipelines::expression::Template;
use pipelines::plan::{Cache, Job};
use protocol::Conclusion;

use super::harness::{Outcome, TestRun, job, step};
use crate::backend::fake::{Fake, Script};
use crate::executor::Request;

fn cache(key: &str, fallback: &[&str], paths: &[&str]) -> Cache {
    let all = |texts: &[&str]| {
        texts
            .iter()
            .map(|text| Template::parse(text).unwrap())
            .collect()
    };
    Cache {
        key: Template::parse(key).unwrap(),
        fallback: all(fallback),
        paths: all(paths),
    }
}

fn with(caches: Vec<Cache>) -> Job {
    Job {
        cache: caches,
        ..job("main", &[], [step("build")])
    }
}

/// A run whose caches are in a directory, which other runs may have been in.
async fn run(data: &tempfile::TempDir, caches: Vec<Cache>, backend: Fake) -> Outcome {
    let mut run = TestRun::of([with(caches)]);
    run.caches = Some(data.path().to_owned());
    run.on(backend).await
}

/// What was told of caches.
fn told(outcome: &Outcome) -> String {
    let lines = outcome.told().lines();
    let of_caches = lines.filter(|line| line.contains("ache "));
    of_caches.collect::<Vec<_>>().join("\n")
}

#[tokio::test(start_paused = true)]
async fn what_one_run_keeps_the_next_one_finds_before_its_first_step() {
    let data = tempfile::tempdir().unwrap();
    let caches = || {
        vec![cache(
            "deps-${{ job.id }}",
            &["deps-"],
            &["~/.tool", "target", "a/b", "/opt/x"],
        )]
    };
    let first = run(&data, caches(), Fake::default().with_files(&["x", "y"])).await;
    insta::assert_snapshot!(told(&first), @"
    === main / cache deps-main: there is none yet
    === main / cache deps-main: saved: 2 files, 3 B (0ms)
    ");
    assert_eq!(
        first.journal,
        [
            "open main /opt/x ~/.tool",
            "prepare host",
            "start main/build",
            "save main workspace:a/b,target 1: 0:",
            "close main"
        ]
    );
    let second = run(&data, caches(), Fake::default()).await;
    insta::assert_snapshot!(told(&second), @"=== main / cache deps-main: restored: 2 files, 3 B (0ms)");
    assert_eq!(second.journal[1], "restore main workspace:a/b,target 1: 0:");
    let other = vec![cache(
        "deps-2",
        &["no", "deps-"],
        &["~/.tool", "target", "a/b", "/opt/x"],
    )];
    let third = run(&data, other, Fake::default().with_files(&["z"])).await;
    insta::assert_snapshot!(told(&third), @"
    === main / cache deps-2: restored from deps-main: 2 files, 3 B (0ms)
    === main / cache deps-2: saved: 1 file, 1 B (0ms)
    ");
}

#[tokio::test(start_paused = true)]
async fn whatever_goes_wrong_is_a_warning() {
    let data = tempfile::tempdir().unwrap();
    let caches = || vec![cache("k", &[], &["target"])];
    let empty = run(&data, caches(), Fake::default()).await;
    insta::assert_snapshot!(told(&empty), @"
    === main / cache k: there is none yet
    warning: Cache `k` of job `main`: it is not saved: there is nothing at its paths.
    ");
    let large = Fake::default().with_files(&["a file whose name is longer than all that the caches of this machine may have together, which is 100 bytes"]);
    let large = run(&data, caches(), large).await;
    insta::assert_snapshot!(told(&large), @"
    === main / cache k: there is none yet
    warning: Cache `k` of job `main`: it is not saved: more than 100 bytes.
    ");
    run(&data, caches(), Fake::default().with_files(&["x"])).await;
    let damaged = Fake::default().with_files(&["x"]).restoring_nothing();
    let damaged = run(&data, caches(), damaged).await;
    insta::assert_snapshot!(told(&damaged), @"
    warning: Cache `k` of job `main`: it is not restored: its archive is damaged: bad luck.
    === main / cache k: saved: 1 file, 1 B (0ms)
    ");
    for outcome in [empty, large, damaged] {
        assert_eq!(outcome.report.conclusion, Conclusion::Success);
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_job_starts_from_takes_nothing_of_its_time_and_all_of_it_has_a_time_of_its_own() {
    let data = tempfile::tempdir().unwrap();
    let caches = || vec![cache("a", &[], &["a"]), cache("b", &[], &["b"])];
    run(&data, caches(), Fake::default().with_files(&["x"])).await;
    let slow = Fake::default().restoring_for(Duration::from_secs(10 * 60));
    let mut run = TestRun::of([Job {
        timeout: Some(Duration::from_secs(60)),
        ..with(caches())
    }]);
    run.caches = Some(data.path().to_owned());
    let outcome = run.on(slow).await;
    insta::assert_snapshot!(told(&outcome), @"
    === main / cache a: restored: 1 file, 1 B (0ms)
    warning: Cache `b` of job `main`: it is not restored: it takes too long.
    ");
    assert_eq!(outcome.report.conclusion, Conclusion::Success);
}

#[tokio::test(start_paused = true)]
async fn what_makes_no_sense_is_left_out_and_told() {
    let data = tempfile::tempdir().unwrap();
    let caches = vec![
        cache("${{ job.id }}\n", &[], &["a"]),
        cache("k", &[], &["${{ job.id }}/../.."]),
        cache("same", &[], &["a", "b"]),
        cache("same", &[], &["b", "./a"]),
        cache("same", &[], &["a"]),
    ];
    let outcome = run(&data, caches, Fake::default().with_files(&["x"])).await;
    insta::assert_snapshot!(told(&outcome), @r#"
    warning: A cache of job `main` is left out: "main\n" cannot be its key.
    warning: A cache of job `main` is left out: "main/../.." cannot be kept: a `..` leads out of what can be kept.
    warning: Cache `same` of job `main`: another one of the job is the same.
    === main / cache same: there is none yet
    === main / cache same: there is none yet
    === main / cache same: saved: 1 file, 1 B (0ms)
    === main / cache same: saved: 1 file, 1 B (0ms)
    "#);
}

#[tokio::test(start_paused = true)]
async fn a_secret_is_in_no_key_and_in_no_file() {
    let data = tempfile::tempdir().unwrap();
    let mut with_secret = TestRun::of([with(vec![
        cache("k", &[], &["a"]),
        cache("hunter22-${{ job.id }}", &[], &["a"]),
    ])]);
    with_secret.secret = Some(("TOKEN", "hunter22"));
    with_secret.caches = Some(data.path().to_owned());
    let outcome = with_secret
        .on(Fake::default().with_files(&["say-hunter22-to-nobody"]))
        .await;
    insta::assert_snapshot!(told(&outcome), @"
    warning: A cache of job `main` is left out: its key has the value of a secret in it.
    === main / cache k: there is none yet
    warning: Cache `k` of job `main`: it is not saved: `file` holds the value of a secret.
    ");
}

#[tokio::test(start_paused = true)]
async fn only_a_job_that_has_succeeded_keeps_anything() {
    let data = tempfile::tempdir().unwrap();
    let failing = Fake::default()
        .with_files(&["x"])
        .step("main/build", Script::exits(1));
    let outcome = run(&data, vec![cache("k", &[], &["a"])], failing).await;
    assert!(!outcome.journal.iter().any(|line| line.starts_with("save")));
    let mut hanging = TestRun::of([with(vec![cache("k", &[], &["a"])])]);
    hanging.caches = Some(data.path().to_owned());
    let backend = Fake::default().with_files(&["x"]).packing_for_ever();
    let outcome = hanging
        .with_requests(backend, async |backend, requests| {
            while !backend
                .journal()
                .iter()
                .any(|line| line.starts_with("save"))
            {
                tokio::task::yield_now().await;
            }
            requests.send(Request::Cancel).unwrap();
        })
        .await;
    insta::assert_snapshot!(told(&outcome), @"
    === main / cache k: there is none yet
    warning: Cache `k` of job `main`: it is not saved: the job is being cancelled.
    ");
    assert_eq!(outcome.journal.last().unwrap(), "close main");
}
