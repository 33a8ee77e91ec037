use std::fs;

use pipelines::expression::Template;
use pipelines::plan::{Artifact, Job, When};
use protocol::Conclusion;

use super::harness::{Format, Outcome, TestRun, job, step};
use crate::backend::fake::{Fake, Script};
use crate::executor::{Fault, Request};

fn artifact(name: &str, paths: &[&str], when: When) -> Artifact {
    Artifact {
        name: Template::parse(name).unwrap(),
        paths: paths
            .iter()
            .map(|path| Template::parse(path).unwrap())
            .collect(),
        when,
        expire: None,
    }
}

fn leaving(artifacts: Vec<Artifact>) -> Job {
    Job {
        artifacts,
        ..job("main", &[], [step("build")])
    }
}

fn kept(outcome: &Outcome) -> Vec<String> {
    let directory = outcome.data.path().join("artifacts/main");
    let Ok(entries) = fs::read_dir(directory) else {
        return Vec::new();
    };
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.collect();
    names.sort();
    names
}

#[tokio::test(start_paused = true)]
async fn files_are_packed_behind_the_steps_and_told() {
    let artifacts = vec![artifact(
        "app-${{ job.id }}",
        &["dist", "!**/*.map"],
        When::Success,
    )];
    let backend = Fake::default().with_files(&["dist/b", "dist/a", "dist/a.map"]);
    let outcome = TestRun::of([leaving(artifacts)]).on(backend).await;
    insta::assert_snapshot!(outcome.told(), @r"
    ==> main / build (host)
    <== main / build: ok (0ms)
    === main / artifact app-main: 2 files, 13 B, in DATA/artifacts/main/app-main.tar.gz

    JOB   STEP   RESULT  TIME  CPU  MEMORY  I/O  PIDS
    main  build  ok

    run: ok (0ms)
    ");
    let journal = &outcome.journal[2..];
    assert_eq!(
        journal,
        [
            "start main/build",
            "list main dist",
            "pack main dist/a dist/b",
            "close main"
        ]
    );
    let archive = outcome.data.path().join("artifacts/main/app-main.tar.gz");
    assert_eq!(fs::read(archive).unwrap(), b"dist/a dist/b");
}

#[tokio::test(start_paused = true)]
async fn when_says_after_which_ends() {
    for (code, expected) in [
        (0, ["always.tar.gz", "success.tar.gz"]),
        (1, ["always.tar.gz", "failure.tar.gz"]),
    ] {
        let artifacts = [
            ("always", When::Always),
            ("failure", When::Failure),
            ("success", When::Success),
        ]
        .map(|(name, when)| artifact(name, &["a"], when));
        let backend = Fake::default()
            .with_files(&["a"])
            .step("main/build", Script::exits(code));
        let outcome = TestRun::of([leaving(artifacts.into())]).on(backend).await;
        assert_eq!(kept(&outcome), expected);
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_to_keep_is_a_warning_and_too_much_a_failure() {
    let nothing = vec![artifact("app", &["target"], When::Success)];
    let outcome = TestRun::of([leaving(nothing)]).on(Fake::default()).await;
    assert_eq!(outcome.report.conclusion, Conclusion::Success);
    let warning = "warning: Artifact `app` of job `main` is not kept: no file of the workspace is what its `paths` say.";
    assert!(outcome.told().contains(warning), "{}", outcome.told());

    let long: &'static str = Box::leak("a".repeat(200).into_boxed_str());
    let much = || vec![artifact("app", &["a*"], When::Always)];
    let backend = Fake::default().with_files(&[long]);
    let outcome = TestRun::of([leaving(much())]).on(backend).await;
    assert_eq!(outcome.report.conclusion, Conclusion::Failure);
    let line = "<== main: failed, artifact `app` cannot be kept: more than 100 bytes";
    assert!(outcome.told().contains(line), "{}", outcome.told());
    assert_eq!(kept(&outcome), [""; 0]);

    // Of a job that has failed anyway, that stays the reason.
    let backend = Fake::default()
        .with_files(&[long])
        .step("main/build", Script::exits(3));
    let outcome = TestRun::of([leaving(much())]).on(backend).await;
    let warning = "warning: Artifact `app` of job `main` is not kept: more than 100 bytes.";
    assert!(outcome.told().contains(warning), "{}", outcome.told());
}

#[tokio::test(start_paused = true)]
async fn all_of_a_job_together_are_bounded_too() {
    let long: &'static str = Box::leak("a".repeat(90).into_boxed_str());
    let both = ["one", "two"].map(|name| artifact(name, &["a*"], When::Always));
    let backend = Fake::default().with_files(&[long]);
    let outcome = TestRun::of([leaving(both.into())]).on(backend).await;
    assert_eq!(outcome.report.conclusion, Conclusion::Failure);
    let line = "artifact `two` cannot be kept: more than 60 bytes (all of the job's may have 150 bytes together)";
    assert!(outcome.told().contains(line), "{}", outcome.told());
    assert_eq!(kept(&outcome), ["one.tar.gz"]);

    // That is what archives have, not what is in them.
    let packed: &'static str = Box::leak("z".repeat(90).into_boxed_str());
    let both = [("one", "a*"), ("two", "z*")];
    let both = both.map(|(name, path)| artifact(name, &[path], When::Always));
    let backend = Fake::default().with_files(&[long, packed]);
    let outcome = TestRun::of([leaving(both.into())]).on(backend).await;
    assert_eq!(outcome.report.conclusion, Conclusion::Success);
    assert_eq!(kept(&outcome), ["one.tar.gz", "two.tar.gz"]);
}

#[tokio::test(start_paused = true)]
async fn names_that_cannot_be_are_the_pipelines_mistake() {
    let outputs = vec![
        artifact("app", &["a"], When::Success),
        artifact("${{ job.status }}/x", &["a"], When::Success),
    ];
    let backend = Fake::default().with_files(&["a"]);
    let outcome = TestRun::of([leaving(outputs)]).on(backend).await;
    assert_eq!(outcome.report.conclusion, Conclusion::Failure);
    assert_eq!(outcome.report.fault, None::<Fault>);
    assert!(
        outcome.told().contains("cannot be its name"),
        "{}",
        outcome.told()
    );
    let twice = vec![
        artifact("app", &["a"], When::Success),
        artifact("${{ 'app' }}", &["a"], When::Success),
    ];
    let backend = Fake::default().with_files(&["a"]);
    let outcome = TestRun::of([leaving(twice)]).on(backend).await;
    assert!(
        outcome
            .told()
            .contains("another one of the job has this name"),
        "{}",
        outcome.told()
    );
}

#[tokio::test(start_paused = true)]
async fn an_event_has_all_that_a_program_wants() {
    let artifacts = vec![artifact("app", &["a"], When::Success)];
    let backend = Fake::default().with_files(&["a"]);
    let run = TestRun {
        format: Format::Json,
        ..TestRun::of([leaving(artifacts)])
    };
    let outcome = run.on(backend).await;
    let line = outcome
        .output
        .lines()
        .find(|line| line.contains("artifact_kept"));
    insta::assert_snapshot!(line.unwrap(), @r#"{"type":"artifact_kept","job":"main","artifact":"app","files":1,"bytes":7,"size":1,"sha256":"abababababababababababababababababababababababababababababababab","path":"DATA/artifacts/main/app.tar.gz"}"#);
}

#[tokio::test(start_paused = true)]
async fn a_job_that_is_killed_does_not_wait_for_its_archive() {
    let artifacts = vec![artifact("app", &["a"], When::Always)];
    let backend = Fake::default().with_files(&["a"]).packing_for_ever();
    let outcome = TestRun::of([leaving(artifacts)])
        .with_requests(backend, async |backend, requests| {
            while !backend
                .journal()
                .iter()
                .any(|entry| entry.starts_with("pack"))
            {
                tokio::task::yield_now().await;
            }
            requests.send(Request::Abort).unwrap();
        })
        .await;
    assert!(
        outcome.told().contains("is not kept: the job was killed"),
        "{}",
        outcome.told()
    );
    assert_eq!(kept(&outcome), [""; 0], "not even a part of it");
}

#[tokio::test(start_paused = true)]
async fn a_secret_is_no_part_of_a_name() {
    let backend = Fake::default().with_files(&["a"]);
    let run = TestRun {
        secret: Some(("TOKEN", "hunter2")),
        ..TestRun::of([leaving(vec![artifact(
            "app-hunter2",
            &["a"],
            When::Success,
        )])])
    };
    let outcome = run.on(backend).await;
    assert_eq!(kept(&outcome), [""; 0]);
    let told = outcome.told();
    assert!(
        told.contains("its name has the value of a secret in it") && !told.contains("hunter2"),
        "{told}"
    );
}
