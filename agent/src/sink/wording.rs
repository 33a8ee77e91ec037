//! Conclusions and causes in words.

use protocol::{Cause, Conclusion, Event, Protocol, Skip};

use super::style::Tone;
use super::{duration, sanitise};

/// One or two words for how something ended, and their tone.
pub(super) const fn conclusion(conclusion: Conclusion, allowed: bool) -> (&'static str, Tone) {
    match (conclusion, allowed) {
        (Conclusion::Success, _) => ("ok", Tone::Good),
        (Conclusion::Failure, true) => ("failed (allowed)", Tone::Warning),
        (Conclusion::Failure, false) => ("failed", Tone::Bad),
        (Conclusion::Error, _) => ("error", Tone::Bad),
        (Conclusion::Skipped, _) => ("skipped", Tone::Quiet),
        (Conclusion::Cancelled, _) => ("cancelled", Tone::Warning),
    }
}

/// Why something ended so, without a trailing full stop; `None` where the conclusion says it all.
pub fn cause(cause: &Cause) -> Option<String> {
    Some(match cause {
        // Only a service's.
        Cause::Exit { code: 0 } => "exit status 0 before its time".to_owned(),
        Cause::Exit { code } => format!("exit status {code}"),
        Cause::Signal { signal } => match signal_name(*signal) {
            Some(name) => format!("killed by signal {signal} ({name})"),
            None => format!("killed by signal {signal}"),
        },
        Cause::Timeout { limit_ms } => format!("timed out after {}", duration(*limit_ms)),
        Cause::Silence { limit_ms } => format!("wrote nothing for {}", duration(*limit_ms)),
        Cause::Oom { limit_bytes, .. } => match limit_bytes {
            Some(bytes) => format!("out of memory: its limit is {}", size(*bytes)),
            None => "out of memory: the machine's is over".to_owned(),
        },
        Cause::Pids { limit, .. } => match limit {
            Some(count) => format!("too many processes: its limit is {count}"),
            None => "too many processes for this machine".to_owned(),
        },
        Cause::Disk { limit_bytes, .. } => match limit_bytes {
            Some(bytes) => format!("disk full: its limit is {}", size(*bytes)),
            None => "disk full: what it writes has no more room on this machine".to_owned(),
        },
        Cause::LogLimit { limit_bytes } => {
            format!("wrote more output than {}", size(*limit_bytes))
        }
        Cause::Start { message }
        | Cause::Image { message }
        | Cause::Output { message }
        | Cause::Internal { message } => sanitise(message),
        Cause::Artifact { artifact, message } => format!(
            "artifact `{}` cannot be kept: {}",
            sanitise(artifact),
            sanitise(message)
        ),
        Cause::NotReady { limit_ms, last } => {
            let limit = duration(*limit_ms);
            match last {
                Some(last) => format!("not ready within {limit}: {}", sanitise(last)),
                None => format!("not ready within {limit}"),
            }
        }
        Cause::Service { service, why } => {
            let service = sanitise(service);
            let reason = self::cause(why).unwrap_or_default();
            match **why {
                Cause::NotReady { .. } => format!("service `{service}` was {reason}"),
                Cause::Start { .. } | Cause::Image { .. } | Cause::Internal { .. } => {
                    format!("service `{service}`: {reason}")
                }
                _ => format!("service `{service}` ended: {reason}"),
            }
        }
        Cause::Skipped(Skip::Service { service }) => {
            format!("service `{}` is not there", sanitise(service))
        }
        Cause::Skipped(Skip::Needs { unmet }) => {
            format!("`{}` did not succeed", sanitise(unmet))
        }
        Cause::Skipped(Skip::EarlierFailure { step }) => {
            format!("`{}` failed before", sanitise(step))
        }
        Cause::Skipped(Skip::Condition { condition }) => sanitise(condition),
        Cause::FailFast { job } => format!("`{}` failed", sanitise(job)),
        Cause::Skipped(Skip::Deselected) => "not selected".to_owned(),
        Cause::Cancelled => return None,
    })
}

/// What a service is called where steps are named.
pub(super) fn service(name: &str) -> String {
    format!("service {name}")
}

/// Where a service's port is on the machine.
pub(super) fn published(port: u16, protocol: Protocol, host: &str, host_port: u16) -> String {
    let kind = if protocol == Protocol::Udp {
        "/udp"
    } else {
        ""
    };
    let place = match sanitise(host) {
        all if all == "::" || all == "0.0.0.0" => {
            format!("localhost:{host_port} and at all other addresses of this machine")
        }
        host if host.contains(':') => format!("[{host}]:{host_port}"),
        host => format!("{host}:{host_port}"),
    };
    format!("port {port}{kind} is at {place}")
}

/// What was refused, and why.
pub(super) fn refusal(host: &str, port: u16, protocol: Protocol, reason: &str) -> String {
    let (host, reason) = (sanitise(host), sanitise(reason));
    let place = match (port, host.contains(':')) {
        (0, _) => host,
        (_, true) => format!("[{host}]:{port}"),
        (_, false) => format!("{host}:{port}"),
    };
    let what = match protocol {
        Protocol::Tcp => "a connection to",
        Protocol::Udp => "a datagram to",
        Protocol::Icmp => "an echo request to",
        Protocol::Dns => "looking up",
    };
    format!("{what} {place} is refused: {reason}")
}

/// The names of the signals that end commands in practice (`signal(7)`, numbers of x86 and ARM).
const fn signal_name(signal: i32) -> Option<&'static str> {
    Some(match signal {
        1 => "SIGHUP",
        2 => "SIGINT",
        3 => "SIGQUIT",
        4 => "SIGILL",
        6 => "SIGABRT",
        7 => "SIGBUS",
        8 => "SIGFPE",
        9 => "SIGKILL",
        11 => "SIGSEGV",
        13 => "SIGPIPE",
        14 => "SIGALRM",
        15 => "SIGTERM",
        24 => "SIGXCPU",
        25 => "SIGXFSZ",
        31 => "SIGSYS",
        _ => return None,
    })
}

/// `1 file`, `2 files`.
pub(super) fn files(count: u64) -> String {
    match count {
        1 => "1 file".to_owned(),
        count => format!("{count} files"),
    }
}

/// What became of a cache.
pub(super) fn cache(event: &Event) -> String {
    match event {
        Event::CacheRestored {
            found,
            files: count,
            size: bytes,
            duration_ms,
            ..
        } => {
            let of = found
                .as_deref()
                .map_or_else(String::new, |key| format!(" from {key}"));
            let (files, size, time) = (files(*count), size(*bytes), duration(*duration_ms));
            format!("restored{of}: {files}, {size} ({time})")
        }
        Event::CacheMissed { .. } => "there is none yet".to_owned(),
        Event::CacheSaved { is_taken: true, .. } => {
            "not saved: another job has saved it meanwhile".to_owned()
        }
        Event::CacheSaved {
            files: count,
            size: bytes,
            duration_ms,
            ..
        } => {
            let (files, size, time) = (files(*count), size(*bytes), duration(*duration_ms));
            format!("saved: {files}, {size} ({time})")
        }
        _ => String::new(),
    }
}

/// `512 B`, `34.0 KiB`, `1.5 GiB`.
pub(crate) fn size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut tenths = bytes.saturating_mul(10) / 1024;
    let mut unit = 0;
    while tenths >= 10_240 && unit + 1 < UNITS.len() {
        tenths /= 1024;
        unit += 1;
    }
    format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit])
}

#[cfg(test)]
mod tests {
    use protocol::Protocol;

    use super::{refusal, size};

    #[test]
    fn what_was_refused_is_told_with_host_and_port() {
        let of = |host, port, protocol| refusal(host, port, protocol, "it is not in `allow`");
        insta::assert_snapshot!(of("example.org", 443, Protocol::Tcp), @"a connection to example.org:443 is refused: it is not in `allow`");
        insta::assert_snapshot!(of("fd00::1", 53, Protocol::Udp), @"a datagram to [fd00::1]:53 is refused: it is not in `allow`");
        insta::assert_snapshot!(of("fd00::1", 0, Protocol::Icmp), @"an echo request to fd00::1 is refused: it is not in `allow`");
        insta::assert_snapshot!(of("a\x1b[2Jb", 53, Protocol::Dns), @"looking up ab:53 is refused: it is not in `allow`");
    }

    #[test]
    fn sizes_have_one_decimal() {
        let sizes = [0, 1023, 1024, 35_651_584, 1_610_612_736, u64::MAX].map(size);
        assert_eq!(
            sizes,
            [
                "0 B",
                "1023 B",
                "1.0 KiB",
                "34.0 MiB",
                "1.5 GiB",
                "1677721.5 TiB"
            ]
        );
    }
}
