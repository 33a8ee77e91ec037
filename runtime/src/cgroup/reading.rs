use std::time::Duration;

use crate::container::{Exceeded, Exit, ExitStatus, Usage};

/// What the kernel has counted in a group. `None` where it does not count, for want of a controller or of a newer kernel.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Reading {
    /// CPU time in user mode, microseconds.
    pub(crate) user_us: Option<u64>,
    /// CPU time in the kernel, microseconds.
    pub(crate) system_us: Option<u64>,
    /// The most memory at any time, bytes: of all processes together, with the files they have in memory.
    pub(crate) peak_memory: Option<u64>,
    /// The most processes and threads at any time, without ours.
    pub(crate) peak_pids: Option<u64>,
    /// Read from block devices, bytes.
    pub(crate) read_bytes: Option<u64>,
    /// Written to block devices, bytes.
    pub(crate) written_bytes: Option<u64>,
    /// Processes killed because memory was over, the group's or the machine's.
    pub(crate) oom_kills: u64,
    /// Forks refused because of the group's limit.
    pub(crate) refused_forks: u64,
}

impl Reading {
    /// What was added to `before`: of what adds up.
    pub(super) fn since(self, before: &Self) -> Self {
        let less = |now: Option<u64>, before: Option<u64>| {
            now.map(|now| now.saturating_sub(before.unwrap_or(0)))
        };
        Self {
            user_us: less(self.user_us, before.user_us),
            system_us: less(self.system_us, before.system_us),
            read_bytes: less(self.read_bytes, before.read_bytes),
            written_bytes: less(self.written_bytes, before.written_bytes),
            ..self
        }
    }

    /// Completes what the container's first process knew, or would have known had it lived, of its end.
    pub(crate) fn complete(&self, exit: Exit) -> Exit {
        let counted = self
            .user_us
            .zip(self.system_us)
            .map(|(user, system)| Usage {
                user: Duration::from_micros(user),
                system: Duration::from_micros(system),
                // The nearest thing to the largest process that is known of a container that was killed.
                max_rss: self.peak_memory.unwrap_or(0),
                ..Usage::default()
            });
        let usage = exit.usage.or(counted).map(|usage| Usage {
            peak_memory: self.peak_memory,
            peak_pids: self.peak_pids,
            read: self.read_bytes.or(usage.read),
            written: self.written_bytes.or(usage.written),
            ..usage
        });
        Exit {
            usage,
            exceeded: self.exceeded(exit),
            ..exit
        }
    }

    /// A limit explains a failure, nothing else.
    fn exceeded(&self, exit: Exit) -> Option<Exceeded> {
        if exit.status == ExitStatus::Code(0) {
            None
        } else if self.oom_kills > 0 {
            Some(Exceeded::Memory)
        } else if exit.exceeded.is_none() && self.refused_forks > 0 {
            Some(Exceeded::Pids)
        } else {
            exit.exceeded
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exit(status: ExitStatus, usage: Option<Usage>) -> Exit {
        Exit {
            status,
            usage,
            exceeded: None,
        }
    }

    #[test]
    fn a_container_that_was_killed_is_counted_all_the_same() {
        let reading = Reading {
            user_us: Some(7),
            system_us: Some(5),
            peak_memory: Some(4096),
            ..Reading::default()
        };
        let killed = reading.complete(exit(ExitStatus::Signal(9), None));
        let usage = killed.usage.unwrap();
        assert_eq!(usage.user, Duration::from_micros(7));
        assert_eq!((usage.max_rss, usage.peak_memory), (4096, Some(4096)));
        let nothing = Reading::default().complete(exit(ExitStatus::Signal(9), None));
        assert_eq!(nothing.usage, None);
    }

    #[test]
    fn a_limit_explains_failures_only_and_memory_comes_first() {
        let reading = Reading {
            oom_kills: 1,
            refused_forks: 3,
            ..Reading::default()
        };
        let exceeded = |reading: Reading, code| {
            let status = ExitStatus::Code(code);
            reading.complete(exit(status, None)).exceeded
        };
        assert_eq!(exceeded(reading, 0), None);
        assert_eq!(exceeded(reading, 137), Some(Exceeded::Memory));
        let forks = Reading {
            oom_kills: 0,
            ..reading
        };
        assert_eq!(exceeded(forks, 2), Some(Exceeded::Pids));
        assert_eq!(exceeded(Reading::default(), 2), None);
    }
}
