//! What a plan would run, for a person. Pure.

use std::fmt::Write as _;

use pipelines::plan::{Action, Condition, Network, Plan, Step};

use crate::sink::sanitise;

/// Jobs and their steps, one a line, each with what decides about it.
pub(super) fn list(plan: &Plan) -> String {
    let mut out = String::new();
    for job in &plan.jobs {
        let needs = match job.needs.as_slice() {
            [] => String::new(),
            needs => format!("  needs: {}", sanitise(&needs.join(", "))),
        };
        let _ = writeln!(
            out,
            "{}{needs}{}",
            sanitise(&job.id),
            condition(&job.condition)
        );
        for step in &job.steps {
            let _ = writeln!(
                out,
                "  {}{}",
                sanitise(&step.name),
                condition(&step.condition)
            );
        }
        for step in &job.after {
            let name = sanitise(&step.name);
            let _ = writeln!(out, "  after: {name}{}", condition(&step.condition));
        }
    }
    out
}

/// Everything in the order in which it could run, with what is executed. Values of variables are left out: they may be
/// long, and a listing is passed around.
pub(super) fn dry_run(plan: &Plan) -> String {
    let mut out = String::new();
    for job in in_order(plan) {
        let job = &plan.jobs[job];
        let _ = writeln!(
            out,
            "job {}{}",
            sanitise(&job.id),
            condition(&job.condition)
        );
        if matches!(job.condition, Condition::Never { .. }) {
            continue;
        }
        for step in &job.steps {
            describe(&mut out, "step", step);
        }
        for step in &job.after {
            describe(&mut out, "after", step);
        }
    }
    out
}

fn describe(out: &mut String, what: &str, step: &Step) {
    let name = sanitise(&step.name);
    let _ = writeln!(out, "  {what} {name}{}", condition(&step.condition));
    if matches!(step.condition, Condition::Never { .. }) {
        return;
    }
    let command = &step.command;
    let _ = writeln!(out, "    image: {}", sanitise(&command.image.to_string()));
    if step.network == Network::None {
        let _ = writeln!(out, "    network: none");
    }
    let names = command.env.keys().chain(&step.secrets).cloned();
    let names: Vec<String> = names.collect();
    if !names.is_empty() {
        let _ = writeln!(out, "    env: {}", sanitise(&names.join(", ")));
    }
    match &command.action {
        Action::Script { script, .. } => {
            for line in script.to_string().lines() {
                let _ = writeln!(out, "    | {}", sanitise(line));
            }
        }
        Action::Entrypoint { args } => {
            let args: Vec<String> = args.iter().map(ToString::to_string).collect();
            let _ = writeln!(out, "    entrypoint {}", sanitise(&args.join(" ")));
        }
    }
}

/// Positions of the jobs, each behind those it needs and otherwise as in the file.
fn in_order(plan: &Plan) -> Vec<usize> {
    let mut order: Vec<usize> = Vec::with_capacity(plan.jobs.len());
    let mut done = std::collections::HashSet::new();
    while order.len() < plan.jobs.len() {
        let before = order.len();
        for (index, job) in plan.jobs.iter().enumerate() {
            let ready = job.needs.iter().all(|need| done.contains(need.as_str()));
            if ready && !done.contains(job.id.as_str()) {
                done.insert(job.id.as_str());
                order.push(index);
            }
        }
        if order.len() == before {
            // A plan has no circles; one that has is not worth an order.
            break;
        }
    }
    order
}

fn condition(condition: &Condition) -> String {
    match condition {
        Condition::Success => String::new(),
        Condition::When { expression } => {
            format!("  if: {}", sanitise(&expression.to_string()))
        }
        Condition::Never { reason } => format!("  skipped, {}", sanitise(reason)),
    }
}
