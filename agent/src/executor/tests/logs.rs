use protocol::Conclusion;

use super::harness::{Format, TestRun, job, step};
use crate::backend::ExitStatus;
use crate::backend::fake::{End, Fake, Script};
use crate::log::{RunDirectory, StepId};

#[tokio::test(start_paused = true)]
async fn every_byte_of_a_big_log_is_shown_before_the_step_ends() {
    let line = [&[b'x'; 99][..], b"\n"].concat();
    let script = Script {
        repeat: 50_000,
        ..Script::exits(0).writing(&line)
    };
    let outcome = TestRun::of([job("main", &[], [step("loud")])])
        .on(Fake::default().step("main/loud", script))
        .await;
    let shown = outcome
        .output
        .lines()
        .filter(|shown| shown.len() == 99)
        .count();
    assert_eq!(shown, 50_000);
    let end = outcome.output.find("<== main / loud").unwrap();
    assert!(!outcome.output[end..].contains("xxx"));
}

#[tokio::test(start_paused = true)]
async fn a_step_may_close_its_output_and_go_on() {
    let mut quiet = step("quiet");
    quiet.timeout = Some(std::time::Duration::from_secs(5));
    let script = Script {
        closes_output: true,
        ..Script::ends(End::OnTerminate(ExitStatus::Code(0))).writing(b"bye\n")
    };
    let outcome = TestRun::of([job("main", &[], [quiet])])
        .on(Fake::default().step("main/quiet", script))
        .await;
    assert_eq!(outcome.report.conclusion, Conclusion::Failure);
    insta::assert_snapshot!(outcome.journal.join("\n"), @r"
    open main
    prepare host
    start main/quiet
    terminate main/quiet
    close main
    ");
}

/// What the directory of a job's logs is called.
fn directory_of(job: &str) -> String {
    let data = tempfile::tempdir().unwrap();
    let logs = RunDirectory::create(data.path(), jiff::Timestamp::UNIX_EPOCH).unwrap();
    let path = logs.log_path(&StepId {
        job: job.to_owned(),
        step: "same".to_owned(),
        index: 0,
    });
    let directory = path.parent().and_then(|directory| directory.file_name());
    directory.unwrap().to_str().unwrap().to_owned()
}

#[tokio::test(start_paused = true)]
async fn a_log_that_cannot_be_kept_ends_the_step_with_an_error() {
    // Two steps whose logs would be one file: the second cannot create it.
    let mut plan = job("main", &[], [step("same")]);
    plan.steps[0].name = "same".to_owned();
    let backend = Fake::default().step("main/same", Script::exits(0).writing(b"text\n"));
    let mut jobs = vec![plan.clone(), plan];
    jobs[0].id = "main!".to_owned();
    jobs[1].id = directory_of("main!");
    jobs[1].needs = vec!["main!".to_owned()];
    let outcome = TestRun::of(jobs).on(backend).await;
    assert_eq!(outcome.report.conclusion, Conclusion::Error);
    assert!(
        outcome
            .output
            .contains("failed to create the log file DATA/runs/RUN/main-")
            && outcome.output.contains("/0-same.log: File exists"),
        "{}",
        outcome.output
    );
}

#[tokio::test(start_paused = true)]
async fn a_character_that_was_cut_by_a_read_is_whole_in_json() {
    let script = Script {
        repeat: 40_000,
        ..Script::exits(0).writing("añ→🦀\n".as_bytes())
    };
    let outcome = TestRun {
        format: Format::Json,
        ..TestRun::of([job("main", &[], [step("loud")])])
    }
    .on(Fake::default().step("main/loud", script))
    .await;
    let mut text = String::new();
    for line in outcome.output.lines() {
        let event: protocol::Event = serde_json::from_str(line).unwrap();
        if let protocol::Event::Log { offset, output, .. } = event {
            let protocol::Output::Text(piece) = output else {
                panic!("a piece is not text");
            };
            assert_eq!(offset, text.len() as u64);
            text.push_str(&piece);
        }
    }
    assert_eq!(text, "añ→🦀\n".repeat(40_000));
}
