//! The names of steps: given ones as they are, the others after the first line of their script.

use std::collections::{HashMap, HashSet};

use crate::syntax::{Action, Step, Text};

/// Characters of a name that was taken from a script.
const LONGEST: usize = 60;

/// A name for every step of a job, all different. Given names are unique already and keep their form; a taken one that
/// repeats is numbered, `make (2)`.
pub(crate) fn names(steps: &[Step]) -> Vec<String> {
    let mut used: HashSet<String> = steps
        .iter()
        .filter_map(|step| Some(step.name.as_ref()?.value.clone()))
        .collect();
    let mut next: HashMap<String, usize> = HashMap::new();
    steps
        .iter()
        .map(|step| {
            if let Some(name) = &step.name {
                return name.value.clone();
            }
            let base = base(step);
            let number = next.entry(base.clone()).or_insert(1);
            loop {
                let name = if *number == 1 {
                    base.clone()
                } else {
                    format!("{base} ({number})")
                };
                *number += 1;
                if used.insert(name.clone()) {
                    return name;
                }
            }
        })
        .collect()
}

fn base(step: &Step) -> String {
    let text = match &step.action {
        Action::Run(script) => script
            .iter()
            .flat_map(|text| text.as_str().lines())
            .map(str::trim)
            .find(|line| !line.is_empty())
            .unwrap_or_default(),
        Action::Entrypoint(_) => step.settings.image.as_ref().map_or("", Text::as_str),
    };
    let mut shown: String = text
        .chars()
        .take(LONGEST)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    if text.chars().nth(LONGEST).is_some() {
        shown.push('…');
    }
    if shown.trim().is_empty() {
        "step".to_owned()
    } else {
        shown
    }
}
