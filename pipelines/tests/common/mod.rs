//! What has to hold for every input: no panic, places that exist, and plans that keep what a plan promises.

use std::collections::HashSet;

use pipelines::{Compilation, Overrides, Severity, Source, Span, compile, plan::Plan, render};

/// Compiles and checks everything that has to hold for any input.
pub(crate) fn check(bytes: &[u8]) -> Compilation {
    let source = Source::new("f.yml", bytes);
    let compilation = compile(&source, &Overrides::default());
    let errors = compilation
        .diagnostics
        .iter()
        .filter(|d| d.severity == Severity::Error)
        .count();
    assert_eq!(
        compilation.plan.is_none(),
        errors > 0,
        "a plan and errors exclude each other"
    );
    for diagnostic in &compilation.diagnostics {
        check_span(source.text(), diagnostic.span);
        for related in &diagnostic.related {
            check_span(source.text(), related.span);
        }
        assert!(
            !diagnostic.message.contains(|c: char| c.is_control()),
            "{:?}",
            diagnostic.message
        );
    }
    assert!(
        compilation
            .diagnostics
            .is_sorted_by_key(|diagnostic| diagnostic.span)
    );
    let rendered = render::human(&source, &compilation.diagnostics, false);
    assert!(!rendered.contains('\u{1b}'));
    assert_eq!(
        render::machine(&source, &compilation.diagnostics).len(),
        compilation.diagnostics.len()
    );
    if let Some(plan) = &compilation.plan {
        check_plan(plan);
    }
    compilation
}

fn check_span(text: &str, span: Span) {
    assert!(
        text.get(span.start..span.end).is_some(),
        "{span:?} is no place in {} bytes",
        text.len()
    );
}

fn check_plan(plan: &Plan) {
    assert!(!plan.jobs.is_empty());
    let mut started: HashSet<&str> = HashSet::new();
    let ids: HashSet<&str> = plan.jobs.iter().map(|job| job.id.as_str()).collect();
    assert_eq!(ids.len(), plan.jobs.len(), "ids are unique");
    while started.len() < plan.jobs.len() {
        let ready: Vec<&str> = plan
            .jobs
            .iter()
            .filter(|job| {
                !started.contains(job.id.as_str())
                    && job.needs.iter().all(|need| started.contains(need.as_str()))
            })
            .map(|job| job.id.as_str())
            .collect();
        assert!(!ready.is_empty(), "needs are closed and free of circles");
        started.extend(ready);
    }
    for job in &plan.jobs {
        assert!(!job.steps.is_empty());
        let mut before: HashSet<&str> = HashSet::new();
        for step in &job.steps {
            assert!(step.needs.iter().all(|need| before.contains(need.as_str())));
            assert!(before.insert(&step.name), "step names are unique");
            assert!(step.command.image != "".into());
        }
    }
}
