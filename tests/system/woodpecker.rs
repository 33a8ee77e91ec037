//! A judge from outside: the scenarios of Woodpecker's own end-to-end suite, in our language, with the statuses that it
//! expects of pipeline, workflows (here: jobs) and steps.
//!
//! Source: woodpecker-ci/woodpecker, `e2e/scenarios/fixtures` (Copyright 2026 Woodpecker Authors, Apache-2.0). What a mocked step
//! does there by a variable, ours does itself. Left out of what is expected: the `clone` step, which is no step here; and a
//! step of a workflow that never ran (`killed` there, with a note that it should not be), which is not reported here.

use harness::{TestEnvironment, for_root};
use serde_json::Value;

// As root, whose limits of memory are held by control groups.
for_root!(the_scenarios_of_woodpecker_end_as_it_expects);

/// A scenario: its file, the exit code, and how jobs (`job`) and steps (`job/step`) end, failures with their exit status.
type Scenario = (
    &'static str,
    &'static str,
    i32,
    &'static [(&'static str, &'static str)],
);

macro_rules! scenario {
    ($name:literal, $code:literal, $($what:literal: $end:literal),*) => {
        ($name, include_str!(concat!("woodpecker/", $name, ".yml")), $code, &[$(($what, $end)),*])
    };
}

const SCENARIOS: [Scenario; 15] = [
    scenario!("01_simple_success", 0, "main/build": "success", "main/test": "success"),
    scenario!("02_step_failure", 1, "main": "failure", "main/build": "failure 1", "main/deploy": "skipped"),
    scenario!("03_failure_ignore", 0, "main/lint": "failure 1", "main/build": "success"),
    scenario!("04_on_failure_notify", 1, "main/build": "failure 2", "main/notify": "success"),
    scenario!("05_service", 0, "woodpecker": "success", "woodpecker/test": "success"),
    scenario!("06_parallel_steps", 0, "main/test-unit": "success", "main/test-integration": "success", "main/deploy": "success"),
    scenario!("07_oom_killed", 1, "main/hungry": "failure 137"),
    scenario!("08_multi_step_on_failure", 1, "main/build": "failure 1", "main/always-cleanup": "success", "main/deploy": "skipped"),
    scenario!("09_multi_workflow_parallel", 0, "build": "success", "lint": "success", "build/compile": "success", "build/test": "success", "lint/lint": "success"),
    scenario!("10_multi_workflow_failure", 1, "failing": "failure", "passing": "success", "passing/ok-step": "success", "failing/bad-step": "failure 1"),
    scenario!("11_multi_workflow_failure_ignore", 1, "flaky": "failure", "main": "success", "main/build": "success", "flaky/flaky": "failure 1"),
    scenario!("12_multi_workflow_depends_on", 0, "build": "success", "deploy": "success", "notify": "success", "build/compile": "success", "build/unit-test": "success", "deploy/deploy": "success", "notify/notify": "success"),
    scenario!("13_multi_workflow_depends_on_failure", 1, "build": "failure", "deploy": "skipped", "build/compile": "failure 1"),
    scenario!("14_multi_workflow_optional_depends_on", 0, "check-a": "success", "deploy": "success", "check-a/check-a": "success", "deploy/deploy": "success"),
    scenario!("15_step_optional_depends_on", 0, "main": "success", "main/build": "success", "main/deploy": "success"),
];

/// Those that are refused here before anything runs, and the reason.
const REFUSED: [(&str, &str); 2] = [
    // There, the workflow that needs what does not exist is dropped and the pipeline succeeds without it. Here that is a mistake.
    (
        include_str!("woodpecker/16_multi_workflow_missing_required_depends_on.yml"),
        "error[unknown-need]",
    ),
    (
        include_str!("woodpecker/17_step_missing_required_depends_on.yml"),
        "error[unknown-need]",
    ),
];

fn the_scenarios_of_woodpecker_end_as_it_expects(env: &TestEnvironment) {
    let run = |pipeline: &str, options: &[&str]| {
        env.pipeline(pipeline);
        let arguments = ["run-local", "--event", "push"].iter().chain(options);
        env.agent(arguments).run()
    };
    for (name, pipeline, code, expected) in SCENARIOS {
        let done = run(pipeline, &["--json"]).expect(code);
        let ends: Vec<(String, String)> = done.events().iter().filter_map(end).collect();
        for (what, end) in expected {
            let found = ends.iter().find(|(found, _)| found == what);
            let found = found.map(|(_, end)| end.as_str());
            assert_eq!(found, Some(*end), "{what} of {name}: {ends:?}");
        }
    }
    for (pipeline, reason) in REFUSED {
        let _ = run(pipeline, &[]).expect(65).says(reason);
    }
}

/// What ended, and how.
fn end(event: &Value) -> Option<(String, String)> {
    let text = |key: &str| event[key].as_str();
    let what = match text("type")? {
        "step_finished" => format!("{}/{}", text("job")?, text("step")?),
        "job_finished" => text("job")?.to_owned(),
        _ => return None,
    };
    let conclusion = text("conclusion")?;
    Some((
        what,
        match event["cause"]["code"].as_u64() {
            Some(code) => format!("{conclusion} {code}"),
            None => conclusion.to_owned(),
        },
    ))
}
