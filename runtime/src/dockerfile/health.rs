//! `HEALTHCHECK`.

use std::time::Duration;

use super::flags::Flags;
use super::instruction::{CommandLine, Health};
use super::node::Node;
use super::place::{Place, Problem};

pub(super) fn read(node: &Node, flags: &mut Flags) -> Result<Health, Problem> {
    let help = "HEALTHCHECK CMD command, or HEALTHCHECK NONE";
    let Some((kind, words)) = node.words.split_first() else {
        return Err(Problem::new(node.place, "`HEALTHCHECK` says nothing").help(help));
    };
    let duration = |flags: &mut Flags, name: &str| -> Result<Option<Duration>, Problem> {
        let value = flags.value(name)?;
        value
            .map(|(text, place)| parse_duration(&text, place))
            .transpose()
    };
    let mut health = Health {
        command: None,
        interval: duration(flags, "interval")?,
        timeout: duration(flags, "timeout")?,
        start_period: duration(flags, "start-period")?,
        start_interval: duration(flags, "start-interval")?,
        retries: None,
    };
    if let Some((text, place)) = flags.value("retries")? {
        let message = format!("`{text}` is no number of retries");
        let retries = text.parse().ok().filter(|n| *n <= i32::MAX as u32);
        health.retries = Some(retries.ok_or_else(|| Problem::new(place, message))?);
    }
    match (&*kind.to_ascii_uppercase(), words) {
        ("NONE", []) => {}
        ("NONE", _) => {
            return Err(Problem::new(
                node.words_place,
                "`HEALTHCHECK NONE` takes nothing else",
            ));
        }
        ("CMD", []) => {
            return Err(Problem::new(node.words_place, "there is no command").help(help));
        }
        ("CMD", words) => {
            health.command = Some(CommandLine {
                args: words.to_vec(),
                is_shell: !node.is_json,
            });
        }
        _ => {
            let message = format!("`{kind}` is no kind of health check");
            return Err(Problem::new(node.words_place, message).help(help));
        }
    }
    Ok(health)
}

/// As Go's `time.ParseDuration` reads it: `1m30s`, `1.5h`, `500ms`; a bare `0`.
fn parse_duration(text: &str, place: Place) -> Result<Duration, Problem> {
    const UNITS: [(&str, f64); 7] = [
        ("ns", 1e-9),
        ("us", 1e-6),
        ("µs", 1e-6),
        ("ms", 1e-3),
        ("s", 1.0),
        ("m", 60.0),
        ("h", 3600.0),
    ];
    let wrong = || {
        let problem = Problem::new(place, format!("`{text}` is no time"));
        problem.help("such as `30s`, `1m30s` or `500ms`")
    };
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let (mut rest, mut seconds) = (text, 0.0);
    while !rest.is_empty() {
        let digits = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .ok_or_else(wrong)?;
        let number: f64 = rest[..digits].parse().map_err(|_| wrong())?;
        let behind = &rest[digits..];
        let end = behind
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(behind.len());
        let unit = UNITS.iter().find(|(name, _)| *name == &behind[..end]);
        seconds += number * unit.ok_or_else(wrong)?.1;
        rest = &behind[end..];
    }
    let duration = Duration::try_from_secs_f64(seconds).map_err(|_| wrong())?;
    let is_too_short = !duration.is_zero() && duration < Duration::from_millis(1);
    // Go's largest is 292 years.
    if text.is_empty() || is_too_short || duration > Duration::from_secs(9_000_000_000) {
        return Err(wrong());
    }
    Ok(duration)
}
