use std::fmt;

/// What the kernel can limit or count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Controller {
    /// CPU time: limits, and on version 2 use.
    Cpu,
    /// CPU time used, on version 1.
    Cpuacct,
    /// Memory.
    Memory,
    /// Processes and threads.
    Pids,
    /// Block devices: `io`, on version 1 `blkio`.
    Io,
}

impl Controller {
    /// The controller the kernel calls so, on either version.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "cpu" => Self::Cpu,
            "cpuacct" => Self::Cpuacct,
            "memory" => Self::Memory,
            "pids" => Self::Pids,
            "io" | "blkio" => Self::Io,
            _ => return None,
        })
    }

    /// Those of a list as the kernel writes it, that we have a use for.
    pub(crate) fn list(text: &str, separator: char) -> Vec<Self> {
        text.trim()
            .split(separator)
            .filter_map(Self::named)
            .collect()
    }
}

/// Its name on version 2, where it has one.
impl fmt::Display for Controller {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Cpu => "cpu",
            Self::Cpuacct => "cpuacct",
            Self::Memory => "memory",
            Self::Pids => "pids",
            Self::Io => "io",
        })
    }
}

/// The two interfaces of the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Version {
    /// A tree a controller, or a few.
    One,
    /// One tree for all of them.
    Two,
}

impl fmt::Display for Version {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::One => "v1",
            Self::Two => "v2",
        })
    }
}
