//! Dockerfiles, from bytes to stages of typed instructions. Pure: nothing is looked up, built or expanded here.
//!
//! ```text
//! bytes -> logical lines (directives, continuations, comments) -> nodes (keyword, flags, words, heredocs)
//!       -> instructions -> stages                                 '-- words: `$x`, quotes, escapes
//! ```
//!
//! What a Dockerfile means is what BuildKit's frontend makes of it (`frontend/dockerfile/{parser,shell,instructions}`), whose
//! own cases judge this. The parser is ours: the published ones keep neither heredocs' details nor an argument's place, and do
//! not expand words. A Dockerfile is a stranger's: everything is bounded, nothing panics, and each mistake has a place.

mod expansion;
mod flags;
mod health;
mod heredoc;
mod instruction;
mod line;
mod mount;
mod node;
mod pattern;
mod place;
mod read;
mod split;
mod stages;
#[cfg(test)]
mod tests;
mod transfer;
mod words;

pub use expansion::Expansion;
pub use instruction::{
    Arg, CommandLine, Content, FromStage, Health, Instruction, Kind, Pair, Run, RunNetwork,
    Scratch, Transfer,
};
pub use place::{Place, Problem};
pub use stages::{Dockerfile, Stage};
pub use words::WordError;

/// Of a Dockerfile, bytes.
pub const MAX_FILE: usize = 1 << 20;
/// Of a Dockerfile, `FROM`s.
pub const MAX_STAGES: usize = 128;
/// Of a Dockerfile, instructions.
pub const MAX_INSTRUCTIONS: usize = 4096;

/// Reads a Dockerfile.
///
/// # Errors
/// Every mistake that can be told apart, in the order of their places.
pub fn parse(bytes: &[u8]) -> Result<Dockerfile, Vec<Problem>> {
    if bytes.len() > MAX_FILE {
        let message = format!(
            "the file has {} bytes; at most {MAX_FILE} are read",
            bytes.len()
        );
        return Err(vec![Problem::new(Place::START, message)]);
    }
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            let before = &bytes[..error.valid_up_to()];
            let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
            let begin = before.iter().rposition(|byte| *byte == b'\n');
            let place = Place {
                line,
                column: before.len() - begin.map_or(0, |at| at + 1) + 1,
            };
            return Err(vec![Problem::new(place, "the file is not UTF-8")]);
        }
    };
    let parsed = node::nodes(text).map_err(|problem| vec![problem])?;
    stages::assemble(parsed)
}

/// Reads one instruction that an image brings for those who build on it (`ONBUILD`).
///
/// # Errors
/// It is none, or not one that may stand there.
pub fn parse_trigger(text: &str) -> Result<Instruction, Problem> {
    let parsed = node::nodes(text)?;
    let mut nodes = parsed.nodes.into_iter();
    match (nodes.next(), nodes.next()) {
        (Some(node), None) => {
            if ["onbuild", "from", "maintainer"].contains(&node.keyword()) {
                let message = format!("`{}` cannot be a trigger of an image", node.keyword);
                return Err(Problem::new(Place::START, message));
            }
            read::instruction(node, parsed.escape)
        }
        _ => Err(Problem::new(
            Place::START,
            "a trigger of an image is one instruction",
        )),
    }
}
