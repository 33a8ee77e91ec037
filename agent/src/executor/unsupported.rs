//! What a plan may ask for and this version cannot do. The compiler refuses it with a place; a plan may also come from
//! elsewhere, and nothing in it is to be passed over in silence.

use pipelines::plan::{Job, Plan, Step};

/// A plan asks for something that cannot be carried out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{of} has `{key}`, which this version cannot carry out")]
pub struct Unsupported {
    /// The job, or the step and its job.
    of: String,
    key: &'static str,
}

/// Finds the first such key.
pub(super) fn check(plan: &Plan) -> Result<(), Unsupported> {
    for job in &plan.jobs {
        if let Some(key) = of_job(job) {
            let of = format!("job `{}`", job.id);
            return Err(Unsupported { of, key });
        }
        for step in job.steps.iter().chain(&job.after) {
            if let Some(key) = of_step(step) {
                let of = format!("step `{}` of job `{}`", step.name, job.id);
                return Err(Unsupported { of, key });
            }
        }
    }
    Ok(())
}

fn of_job(job: &Job) -> Option<&'static str> {
    first(&[("reports", !job.reports.is_empty())])
}

fn of_step(step: &Step) -> Option<&'static str> {
    let keys = [
        ("from", step.from.is_some()),
        ("snapshot", step.snapshot),
        ("inputs", !step.inputs.is_empty()),
    ];
    first(&keys)
}

fn first(keys: &[(&'static str, bool)]) -> Option<&'static str> {
    let asked = keys.iter().find(|(_, is_asked)| *is_asked);
    asked.map(|(key, _)| *key)
}

#[cfg(test)]
mod tests {
    use pipelines::plan::Plan;
    use pipelines::{Options, Severity, Source, compile_with};

    use super::check;

    fn plan(text: &str) -> Plan {
        let options = Options {
            not_yet: Severity::Warning,
            ..Options::default()
        };
        let compilation = compile_with(&Source::new("f", text), &options);
        compilation
            .plan
            .unwrap_or_else(|| panic!("{:?}", compilation.diagnostics))
    }

    #[test]
    fn everything_that_the_compiler_warns_of_is_refused_by_name() {
        for (of, key, value) in [
            ("job", "reports", "{ junit: x.xml }"),
            ("step", "snapshot", "true"),
            ("step", "inputs", "[a]"),
            ("step", "from", "first"),
        ] {
            let entry = format!("{key}: {value}");
            let (of_job, of_step) = if of == "job" {
                (entry, String::new())
            } else {
                (String::new(), format!(", {entry}"))
            };
            let plan = plan(&format!(
                "image: host\njobs:\n  j:\n    {of_job}\n    steps: [{{ name: first, run: x }}, {{ name: s, run: x{of_step} }}]\n"
            ));
            let error = check(&plan).unwrap_err().to_string();
            let named = if of == "job" {
                "job `j` has"
            } else {
                "step `s` of job `j` has"
            };
            assert!(error.starts_with(&format!("{named} `{key}")), "{error}");
        }
        check(&plan("image: host\nsteps: [{ run: x, network: none }]\n")).unwrap();
    }
}
