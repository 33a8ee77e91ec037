//! A plan as a picture: jobs as boxes of steps and services, needs as arrows. Pure.

use std::collections::HashMap;
use std::fmt::Write as _;

use pipelines::plan::{Condition, Job, Plan};

/// In Graphviz' language.
pub(super) fn dot(plan: &Plan) -> String {
    let ids = ids(plan);
    let mut out =
        String::from("digraph pipeline {\n  compound=true;\n  rankdir=LR;\n  node [shape=box];\n");
    for (number, job) in plan.jobs.iter().enumerate() {
        let style = if is_skipped(&job.condition) {
            "dashed"
        } else {
            "solid"
        };
        let label = label(&job.id, &job.condition);
        let _ = writeln!(
            out,
            "  subgraph cluster_{number} {{\n    label={}; style={style};",
            quoted(&label)
        );
        for (index, step) in job.steps.iter().enumerate() {
            let style = if is_skipped(&step.condition) {
                "dashed"
            } else {
                "solid"
            };
            let label = self::label(&step.name, &step.condition);
            let _ = writeln!(
                out,
                "    s{number}_{index} [label={}, style={style}];",
                quoted(&label)
            );
        }
        for (index, service) in job.services.iter().enumerate() {
            let label = quoted(&service.name);
            let _ = writeln!(
                out,
                "    v{number}_{index} [label={label}, shape=cylinder];"
            );
        }
        for (from, to) in steps(job) {
            let _ = writeln!(out, "    s{number}_{from} -> s{number}_{to};");
        }
        out.push_str("  }\n");
    }
    for (from, to) in jobs(plan, &ids) {
        let last = plan.jobs[from].steps.len().saturating_sub(1);
        let _ = writeln!(
            out,
            "  s{from}_{last} -> s{to}_0 [ltail=cluster_{from}, lhead=cluster_{to}];"
        );
    }
    out.push_str("}\n");
    out
}

/// In Mermaid's language, as Markdown of code hosts shows it.
pub(super) fn mermaid(plan: &Plan) -> String {
    let ids = ids(plan);
    let mut out = String::from("flowchart LR\n");
    let mut skipped: Vec<String> = Vec::new();
    for (number, job) in plan.jobs.iter().enumerate() {
        let _ = writeln!(
            out,
            "  subgraph j{number} [\"{}\"]",
            entities(&label(&job.id, &job.condition))
        );
        if is_skipped(&job.condition) {
            skipped.push(format!("j{number}"));
        }
        for (index, step) in job.steps.iter().enumerate() {
            let label = label(&step.name, &step.condition);
            let _ = writeln!(out, "    s{number}_{index}[\"{}\"]", entities(&label));
            if is_skipped(&step.condition) {
                skipped.push(format!("s{number}_{index}"));
            }
        }
        for (index, service) in job.services.iter().enumerate() {
            let label = entities(&service.name);
            let _ = writeln!(out, "    v{number}_{index}[(\"{label}\")]");
        }
        for (from, to) in steps(job) {
            let _ = writeln!(out, "    s{number}_{from} --> s{number}_{to}");
        }
        out.push_str("  end\n");
    }
    for (from, to) in jobs(plan, &ids) {
        let _ = writeln!(out, "  j{from} --> j{to}");
    }
    if !skipped.is_empty() {
        let _ = writeln!(
            out,
            "  classDef skipped stroke-dasharray: 5 5\n  class {} skipped",
            skipped.join(",")
        );
    }
    out
}

fn ids(plan: &Plan) -> HashMap<&str, usize> {
    let ids = plan.jobs.iter().enumerate();
    ids.map(|(number, job)| (job.id.as_str(), number)).collect()
}

/// Arrows between jobs, by their positions.
fn jobs<'p>(plan: &'p Plan, ids: &'p HashMap<&str, usize>) -> impl Iterator<Item = (usize, usize)> {
    plan.jobs.iter().enumerate().flat_map(move |(to, job)| {
        let from = job.needs.iter().filter_map(|need| ids.get(need.as_str()));
        from.map(move |&from| (from, to))
    })
}

/// Arrows between the steps of a job, by their positions.
fn steps(job: &Job) -> impl Iterator<Item = (usize, usize)> {
    let positions: HashMap<&str, usize> = job
        .steps
        .iter()
        .enumerate()
        .map(|(position, step)| (step.name.as_str(), position))
        .collect();
    let steps = job.steps.iter().enumerate();
    steps.flat_map(move |(to, step)| {
        let from = step
            .needs
            .iter()
            .filter_map(|need| positions.get(need.as_str()));
        from.map(|&from| (from, to)).collect::<Vec<_>>()
    })
}

const fn is_skipped(condition: &Condition) -> bool {
    matches!(condition, Condition::Never { .. })
}

fn label(name: &str, condition: &Condition) -> String {
    match condition {
        Condition::Success => name.to_owned(),
        Condition::When { expression } => format!("{name}\nif: {expression}"),
        Condition::Never { reason } => format!("{name}\n{reason}"),
    }
}

/// A string of Graphviz: nothing in it has a meaning of its own.
fn quoted(text: &str) -> String {
    let escaped = text.replace('\\', "\\\\").replace('"', "\\\"");
    format!("\"{}\"", escaped.replace('\n', "\\n"))
}

/// A text of Mermaid: what could have a meaning is a numbered entity.
fn entities(text: &str) -> String {
    let mut out = String::new();
    for character in text.chars() {
        match character {
            '\n' => out.push_str("<br>"),
            _ if character.is_alphanumeric() || " .,:_-/()=!".contains(character) => {
                out.push(character);
            }
            _ => {
                let _ = write!(out, "#{};", u32::from(character));
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use pipelines::{Context, Event, Options, Source, compile_with};

    use super::{dot, mermaid};

    const PIPELINE: &str = r#"
image: host
jobs:
  a:
    steps:
      - { name: 'x "y" \\ <b>#1', run: x }
      - { name: z, run: x, if: failure() }
  b:
    needs: [a]
    if: event == "push"
    services: { db: { image: x } }
    steps: [{ name: one, run: x }, { name: two, needs: [], run: x }]
"#;

    fn plan() -> pipelines::plan::Plan {
        let options = Options {
            context: Some(Context::of(Event::Manual)),
            ..Options::default()
        };
        compile_with(&Source::new("f", PIPELINE), &options)
            .plan
            .unwrap()
    }

    #[test]
    fn graphviz_gets_boxes_arrows_and_escaped_labels() {
        insta::assert_snapshot!(dot(&plan()), @r#"
        digraph pipeline {
          compound=true;
          rankdir=LR;
          node [shape=box];
          subgraph cluster_0 {
            label="a"; style=solid;
            s0_0 [label="x \"y\" \\\\ <b>#1", style=solid];
            s0_1 [label="z\nif: failure()", style=solid];
            s0_0 -> s0_1;
          }
          subgraph cluster_1 {
            label="b\nif: event == \"push\" is false: event is \"manual\""; style=dashed;
            s1_0 [label="one", style=solid];
            s1_1 [label="two", style=solid];
            v1_0 [label="db", shape=cylinder];
          }
          s0_1 -> s1_0 [ltail=cluster_0, lhead=cluster_1];
        }
        "#);
    }

    #[test]
    fn mermaid_gets_boxes_arrows_and_escaped_labels() {
        insta::assert_snapshot!(mermaid(&plan()), @r#"
        flowchart LR
          subgraph j0 ["a"]
            s0_0["x #34;y#34; #92;#92; #60;b#62;#35;1"]
            s0_1["z<br>if: failure()"]
            s0_0 --> s0_1
          end
          subgraph j1 ["b<br>if: event == #34;push#34; is false: event is #34;manual#34;"]
            s1_0["one"]
            s1_1["two"]
            v1_0[("db")]
          end
          j0 --> j1
          classDef skipped stroke-dasharray: 5 5
          class j1 skipped
        "#);
    }
}
