//! Which stages a target needs.

use super::BuildFailure;
use crate::dockerfile::{Dockerfile, Kind, Place};

/// The numbers of the stages that the target needs, in order; the last one is the target.
pub(super) fn needed(
    file: &Dockerfile,
    target: Option<&str>,
    bases: &[Option<usize>],
) -> Result<Vec<usize>, BuildFailure> {
    let all = file.stages.len();
    let last = match target {
        None => all - 1,
        Some(text) => file.stage(text, all).ok_or_else(|| {
            let names: Vec<&str> = file
                .stages
                .iter()
                .filter_map(|stage| stage.from.name.as_deref())
                .collect();
            let mut failure =
                BuildFailure::mistake(Place::START, format!("there is no stage `{text}`"));
            if !names.is_empty() {
                failure.problem.help = Some(format!("there are {}", names.join(", ")));
            }
            failure
        })?,
    };
    let mut is_needed = vec![false; all];
    is_needed[last] = true;
    // What a stage needs stands before it.
    for number in (0..=last).rev() {
        if !is_needed[number] {
            continue;
        }
        if let Some(base) = bases[number] {
            is_needed[base] = true;
        }
        for instruction in &file.stages[number].instructions {
            if let Kind::Copy(copy) = &instruction.kind
                && let Some((from, _)) = &copy.from
                && let Some(other) = file.stage(from, number)
            {
                is_needed[other] = true;
            }
        }
    }
    Ok((0..=last).filter(|number| is_needed[*number]).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_that_nobody_needs_are_left_out() {
        let text = "FROM x AS a\nFROM x AS b\nFROM a AS c\nFROM x AS d\nCOPY --from=c / /\nCOPY --from=img / /\n";
        let file = crate::dockerfile::parse(text.as_bytes()).unwrap();
        let bases = [None, None, Some(0), None];
        assert_eq!(needed(&file, None, &bases).unwrap(), [0, 2, 3]);
        assert_eq!(needed(&file, Some("B"), &bases).unwrap(), [1]);
        assert_eq!(needed(&file, Some("2"), &bases).unwrap(), [0, 2]);
        let failure = needed(&file, Some("e"), &bases).unwrap_err();
        assert_eq!(
            failure.problem.help.as_deref(),
            Some("there are a, b, c, d")
        );
    }
}
