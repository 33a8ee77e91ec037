//! Collects what a pipeline includes, and what that includes.

use super::Inclusion;
use crate::{Severity, Source, diagnostic::Diagnostics, limits, parse, source::SourceFile, yaml};

/// Adds every file that a source includes, directly or not. `read` gets a file's bytes, or says in a few words why it
/// cannot; it is asked once for each file. Mistakes are left to [`crate::compile`], which reports them with their
/// places.
pub fn gather(source: &mut Source, read: &mut dyn FnMut(&Inclusion) -> Result<Vec<u8>, String>) {
    let mut waiting = wanted(source, source.root());
    let mut asked = 0;
    while let Some(inclusion) = waiting.pop() {
        if source.included(&inclusion).is_some() {
            continue;
        }
        asked += 1;
        let content = if asked > limits::INCLUDES {
            Err(format!("{} files are included already", limits::INCLUDES))
        } else {
            read(&inclusion)
        };
        let content = content.and_then(|bytes| {
            if source.len() + bytes.len() > limits::SOURCE_BYTES {
                return Err("with it, the pipeline has more than 4194304 bytes (4 MiB)".to_owned());
            }
            Ok(bytes)
        });
        source.include(&inclusion, content);
        if asked > limits::INCLUDES {
            return;
        }
        if let Some(Ok(file)) = source.included(&inclusion) {
            waiting.extend(wanted(source, file));
        }
    }
}

/// What one file includes.
fn wanted(source: &Source, file: &SourceFile) -> Vec<Inclusion> {
    let text = &source.text()[file.span.start..file.span.end];
    // A key may be written with escapes.
    if !text.contains("include") && !text.contains('\\') {
        return Vec::new();
    }
    let mut ignored = Diagnostics::about(source.text(), Severity::Error);
    let Some(root) = yaml::load(source, file, &mut ignored) else {
        return Vec::new();
    };
    parse::includes(&root, file.inclusion(), &mut ignored)
        .unwrap_or_default()
        .into_iter()
        .map(|inclusion| inclusion.value)
        .collect()
}
