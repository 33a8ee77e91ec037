//! Stages: each `FROM` and what follows it.

use super::MAX_STAGES;
use super::instruction::{Arg, FromStage, Instruction, Kind};
use super::node::Nodes;
use super::place::Problem;
use super::read;

/// A file that has been read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dockerfile {
    /// The escape character.
    pub escape: char,
    /// `ARG`s above the first `FROM`.
    pub globals: Vec<Arg>,
    /// Never empty.
    pub stages: Vec<Stage>,
}

/// A `FROM` and what follows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stage {
    /// The `FROM`.
    pub from: FromStage,
    /// What follows, in order.
    pub instructions: Vec<Instruction>,
}

impl Dockerfile {
    /// The number of a stage by its name or number, of those before the stage `before`. A name is the last one's that has it.
    #[must_use]
    pub fn stage(&self, text: &str, before: usize) -> Option<usize> {
        let earlier = &self.stages[..before.min(self.stages.len())];
        let name = text.to_ascii_lowercase();
        let named = earlier
            .iter()
            .rposition(|stage| stage.from.name.as_ref() == Some(&name));
        named.or_else(|| text.parse().ok().filter(|number| *number < earlier.len()))
    }
}

/// Puts instructions into stages; every mistake at once.
pub(super) fn assemble(parsed: Nodes) -> Result<Dockerfile, Vec<Problem>> {
    let Nodes { nodes, escape, end } = parsed;
    let mut file = Dockerfile {
        escape,
        globals: Vec::new(),
        stages: Vec::new(),
    };
    let mut problems = Vec::new();
    for node in nodes {
        if node.keyword() == "from" {
            if file.stages.len() == MAX_STAGES {
                let message = format!("the file has more than {MAX_STAGES} stages");
                problems.push(Problem::new(node.place, message));
                break;
            }
            match read::from(node) {
                Ok(from) => file.stages.push(Stage {
                    from,
                    instructions: Vec::new(),
                }),
                Err(problem) => problems.push(problem),
            }
            continue;
        }
        match (read::instruction(node, escape), file.stages.last_mut()) {
            (Err(problem), _) => problems.push(problem),
            (Ok(instruction), Some(stage)) => stage.instructions.push(instruction),
            (Ok(instruction), None) => match instruction.kind {
                Kind::Arg(args) => file.globals.extend(args),
                _ if problems.is_empty() => {
                    let message = "there is no stage yet: only `ARG` may stand above `FROM`";
                    problems.push(Problem::new(instruction.place, message));
                }
                _ => {}
            },
        }
    }
    if file.stages.is_empty() && problems.is_empty() {
        problems.push(Problem::new(end, "the file has no `FROM`"));
    }
    if problems.is_empty() {
        Ok(file)
    } else {
        problems.sort_by_key(|problem| problem.place);
        Err(problems)
    }
}
