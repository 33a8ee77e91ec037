//! What a plan would run, for a person. Pure.

use std::fmt::Write as _;

use pipelines::plan::{Action, Condition, Network, Plan, Service, Step};

use super::services;
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
        for service in &job.services {
            let _ = writeln!(out, "  service: {}", sanitise(&service.name));
        }
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
        for service in &job.services {
            describe_service(&mut out, service);
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

fn describe_service(out: &mut String, service: &Service) {
    let _ = writeln!(out, "  service {}", sanitise(&service.name));
    for (key, value) in services::described(service) {
        let _ = writeln!(out, "    {key}: {}", sanitise(&value));
    }
    names(out, service.command.env.keys().chain(&service.secrets));
}

/// Which variables something has.
fn names<'n>(out: &mut String, names: impl Iterator<Item = &'n String>) {
    let names: Vec<&str> = names.map(String::as_str).collect();
    if !names.is_empty() {
        let _ = writeln!(out, "    env: {}", sanitise(&names.join(", ")));
    }
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
    names(out, command.env.keys().chain(&step.secrets));
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

#[cfg(test)]
mod tests {
    use pipelines::{Overrides, Source, compile};

    use super::{dry_run, list};

    #[test]
    fn services_are_told_with_how_they_become_ready() {
        let text = "
image: host
jobs:
  test:
    services:
      db:
        image: postgres:16
        env: { POSTGRES_PASSWORD: test }
        secrets: [TOKEN]
        args: [postgres, -c, fsync=off]
        ready: { run: pg_isready, timeout: 30s }
      cache: { image: redis }
    steps: [{ run: make }]
";
        let plan = compile(&Source::new("f", text), &Overrides::default())
            .plan
            .unwrap();
        insta::assert_snapshot!(list(&plan), @r"
        test
          service: db
          service: cache
          make
        ");
        insta::assert_snapshot!(dry_run(&plan), @r"
        job test
          service db
            image: postgres:16
            args: postgres -c fsync=off
            ready: run pg_isready, within 30s
            env: POSTGRES_PASSWORD, TOKEN
          service cache
            image: redis
            ready: as the image's health check says
          step make
            image: host
            | make
        ");
    }
}
