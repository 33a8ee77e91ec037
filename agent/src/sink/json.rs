//! One event a line, for programs. Documented in `docs/events.md`.

use std::collections::HashMap;
use std::io::{self, Write};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use protocol::{Event, Output};

use super::Sink;
use crate::log::{Chunk, StepId};

/// Most bytes of a log in one event.
const PIECE: usize = 64 << 10;

/// Formats a run for programs.
#[derive(Debug, Default)]
pub struct Json {
    /// The beginning of a character, at most three bytes, that ended a step's last chunk, and its offset.
    cut: HashMap<Arc<StepId>, (u64, Vec<u8>)>,
}

impl Sink for Json {
    fn event(&mut self, event: &Event, out: &mut dyn Write) -> io::Result<()> {
        if let Event::StepFinished { job, step, .. } = event {
            let id = self
                .cut
                .keys()
                .find(|id| id.job == *job && id.step == *step);
            if let Some((id, (offset, bytes))) =
                id.cloned().and_then(|id| self.cut.remove_entry(&id))
            {
                write_log(&id, offset, &bytes, out)?;
            }
        }
        write_line(event, out)
    }

    fn log(&mut self, chunk: &Chunk, out: &mut dyn Write) -> io::Result<()> {
        let held = self.cut.remove(&chunk.step);
        let joined;
        let (mut offset, mut bytes) = match held {
            None => (chunk.offset, chunk.bytes.as_slice()),
            Some((offset, held)) => {
                joined = [held.as_slice(), &chunk.bytes].concat();
                (offset, joined.as_slice())
            }
        };
        while !bytes.is_empty() {
            let last = bytes.len() <= PIECE;
            let window = &bytes[..bytes.len().min(PIECE)];
            let complete = window.len() - cut_character(window).len();
            if complete == 0 {
                self.cut
                    .insert(Arc::clone(&chunk.step), (offset, window.to_vec()));
                return Ok(());
            }
            write_log(&chunk.step, offset, &window[..complete], out)?;
            offset += complete as u64;
            bytes = &bytes[complete..];
            if last && !bytes.is_empty() {
                self.cut
                    .insert(Arc::clone(&chunk.step), (offset, bytes.to_vec()));
                return Ok(());
            }
        }
        Ok(())
    }
}

/// The beginning of a character at the very end of `bytes` that more bytes could complete; at most three bytes.
fn cut_character(bytes: &[u8]) -> &[u8] {
    let tail = &bytes[bytes.len().saturating_sub(3)..];
    let Some(start) = tail.iter().rposition(|byte| byte & 0xc0 != 0x80) else {
        return &[];
    };
    let candidate = &tail[start..];
    match std::str::from_utf8(candidate) {
        Err(error) if error.valid_up_to() == 0 && error.error_len().is_none() => candidate,
        _ => &[],
    }
}

fn write_log(step: &StepId, offset: u64, bytes: &[u8], out: &mut dyn Write) -> io::Result<()> {
    let output = match std::str::from_utf8(bytes) {
        Ok(text) => Output::Text(text.to_owned()),
        Err(_) => Output::Base64(STANDARD.encode(bytes)),
    };
    write_line(
        &Event::Log {
            job: step.job.clone(),
            step: step.step.clone(),
            offset,
            output,
        },
        out,
    )
}

fn write_line(event: &Event, out: &mut dyn Write) -> io::Result<()> {
    serde_json::to_writer(&mut *out, event)?;
    out.write_all(b"\n")
}

#[cfg(test)]
#[path = "json_tests.rs"]
mod tests;
