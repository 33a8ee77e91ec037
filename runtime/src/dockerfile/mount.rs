//! `--mount` of a `RUN`: `type=tmpfs,target=/x[,size=64m]`; other types are refused.

use super::instruction::Scratch;
use super::place::{Place, Problem};

pub(super) fn read(text: &str, place: Place) -> Result<Scratch, Problem> {
    let parts = text.split(',').filter(|part| !part.is_empty());
    let pairs: Vec<(&str, &str)> = parts
        .map(|part| part.split_once('=').unwrap_or((part, "")))
        .collect();
    let value = |names: &[&str]| {
        let found = pairs.iter().find(|(name, _)| names.contains(name));
        found.map(|(_, value)| *value)
    };
    let kind = value(&["type"]).unwrap_or("bind");
    if kind != "tmpfs" {
        let message = format!("`RUN --mount` of type `{kind}` is not supported");
        let help = match kind {
            "cache" => "without it the command runs the same, and downloads anew what it needs",
            "secret" | "ssh" => "fetch what needs it in a step, and `COPY` what came of it",
            _ => "use `COPY`, in a stage of its own if the image is not to have it",
        };
        return Err(Problem::new(place, message).help(help));
    }
    let known = ["type", "target", "dst", "destination", "size"];
    if let Some((name, _)) = pairs.iter().find(|(name, _)| !known.contains(name)) {
        let message = format!("a mount of type `tmpfs` has no `{name}`");
        return Err(Problem::new(place, message));
    }
    let target = value(&["target", "dst", "destination"]).unwrap_or("");
    if target.is_empty() {
        let problem = Problem::new(place, "the mount does not say where");
        return Err(problem.help("--mount=type=tmpfs,target=/DIR"));
    }
    let size = match value(&["size"]) {
        None => None,
        Some(text) => {
            let wrong = || Problem::new(place, format!("`{text}` is no size such as `64m`"));
            Some(bytes(text).ok_or_else(wrong)?)
        }
    };
    Ok(Scratch {
        target: target.to_owned(),
        size,
        place,
    })
}

/// `64m`, `1gb`, `4096`; in powers of 1024, as Docker has them.
fn bytes(text: &str) -> Option<u64> {
    let text = text.to_ascii_lowercase();
    let text = text.strip_suffix('b').unwrap_or(&text);
    let (digits, shift) = match text.chars().last()? {
        'k' => (&text[..text.len() - 1], 10),
        'm' => (&text[..text.len() - 1], 20),
        'g' => (&text[..text.len() - 1], 30),
        _ => (text, 0),
    };
    let number: u64 = digits.parse().ok()?;
    number.checked_mul(1 << shift).filter(|bytes| *bytes > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_in_memory_says_where_and_how_large() {
        let of = |text: &str| {
            let read = read(text, Place::START);
            read.map(|scratch| (scratch.target, scratch.size))
                .map_err(|problem| problem.to_string())
        };
        assert_eq!(of("type=tmpfs,target=/x"), Ok(("/x".to_owned(), None)));
        assert_eq!(
            of("type=tmpfs,dst=/x,size=2mb"),
            Ok(("/x".to_owned(), Some(2 << 20)))
        );
        for text in [
            "",
            "type=bind,target=/x",
            "type=tmpfs",
            "type=tmpfs,target=/x,size=-1",
            "type=tmpfs,target=/x,size=ß",
            "type=tmpfs,target=/x,uid=1",
        ] {
            assert!(of(text).is_err(), "{text}");
        }
    }
}
