use pipelines::plan::{Action, Job, Plan, Step};

use super::Selection;

/// Jobs with their needs, each with a step `build` and one named after the job.
fn plan() -> Plan {
    let step = |name: &str, needs: &[&str]| Step {
        needs: needs.iter().map(|need| (*need).to_owned()).collect(),
        ..Step::new(name, "host", Action::Entrypoint { args: Vec::new() })
    };
    let job = |id: &str, needs: &[&str]| Job {
        needs: needs.iter().map(|need| (*need).to_owned()).collect(),
        ..Job::new(id, vec![step("build", &[]), step(id, &["build"])])
    };
    Plan::new(
        None,
        vec![
            job("compile", &[]),
            job("test", &["compile"]),
            job("docs", &[]),
            job("pack", &["test", "docs"]),
        ],
    )
}

/// Shows the jobs as `job(needs): steps`.
fn select(jobs: &[&str], without_needs: bool, step: Option<&str>) -> String {
    let selection = Selection {
        jobs: jobs.iter().map(|job| (*job).to_owned()).collect(),
        cells: Vec::new(),
        without_needs,
        step: step.map(ToOwned::to_owned),
    };
    match selection.apply(plan()) {
        Err(error) => error.to_string(),
        Ok(plan) => {
            let job = |job: &Job| {
                let steps: Vec<_> = job.steps.iter().map(|step| step.name.as_str()).collect();
                format!("{}({}): {}", job.id, job.needs.join(", "), steps.join(", "))
            };
            plan.jobs.iter().map(job).collect::<Vec<_>>().join("\n")
        }
    }
}

#[test]
fn a_job_brings_what_it_needs() {
    insta::assert_snapshot!(select(&["test"], false, None), @r"
    compile(): build, compile
    test(compile): build, test
    ");
    insta::assert_snapshot!(select(&["pack", "compile"], true, None), @r"
    compile(): build, compile
    pack(): build, pack
    ");
    assert_eq!(select(&[], false, None).lines().count(), 4);
}

#[test]
fn a_step_runs_alone() {
    insta::assert_snapshot!(select(&[], false, Some("pack")), @"pack(): pack");
    insta::assert_snapshot!(select(&["test"], false, Some("build")), @"test(): build");
}

#[test]
fn names_that_do_not_exist_are_told_with_what_was_probably_meant() {
    insta::assert_snapshot!(select(&["tset"], false, None), @"there is no job `tset`, did you mean `test`?; the jobs are `compile`, `test`, `docs`, `pack`");
    insta::assert_snapshot!(select(&["xyzzy"], false, None), @"there is no job `xyzzy`; the jobs are `compile`, `test`, `docs`, `pack`");
    insta::assert_snapshot!(select(&["docs"], false, Some("dcos")), @"there is no step `dcos`, did you mean `docs`?; the steps are `build`, `docs`");
    insta::assert_snapshot!(select(&[], false, Some("build")), @"step `build` exists in the jobs `compile`, `test`, `docs`, `pack`; choose one with --job");
}
