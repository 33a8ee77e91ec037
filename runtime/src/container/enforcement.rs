use crate::cgroup::{Controller, Site};

/// How this machine holds containers to each of their limits. Disk and open files are held the same way everywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Enforcement {
    /// CPU time.
    pub cpus: Means,
    /// Memory.
    pub memory: Means,
    /// Processes and threads.
    pub pids: Means,
}

/// What holds a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Means {
    /// A control group: exactly, for all of a container's processes together.
    ControlGroup,
    /// The container's PID namespace has only so many ids, and up to 300 more (Linux 6.14).
    PidNamespace,
    /// A limit of each process by itself: setrlimit(2). It counts the processes of all containers of the agent together.
    ProcessLimit,
    /// The agent looks at what the container's processes have together, and ends it when that is more: a moment late.
    Watch,
    /// Nothing does.
    Nothing,
}

impl Enforcement {
    /// Whether everything is held as exactly as it can be.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        [self.cpus, self.memory, self.pids] == [Means::ControlGroup; 3]
    }

    /// What can be had with these control groups.
    pub(crate) fn with(site: Option<&Site>) -> Self {
        let has = |controller: Controller| match site {
            None => false,
            Some(Site::One(trees)) => trees.iter().any(|(list, _)| list.contains(&controller)),
            Some(Site::Two { controllers, .. }) => controllers.contains(&controller),
        };
        let or = |controller, otherwise| {
            if has(controller) {
                Means::ControlGroup
            } else {
                otherwise
            }
        };
        Self {
            cpus: or(Controller::Cpu, Means::Nothing),
            memory: or(Controller::Memory, Means::Watch),
            pids: or(Controller::Pids, of_pids()),
        }
    }
}

/// Each PID namespace has a `kernel.pid_max` of its own since Linux 6.14.
fn of_pids() -> Means {
    let name = rustix::system::uname();
    let release = name.release().to_string_lossy();
    let mut numbers = release
        .split(|c: char| !c.is_ascii_digit())
        .map_while(|part| part.parse::<u32>().ok());
    if (numbers.next(), numbers.next()) >= (Some(6), Some(14)) {
        Means::PidNamespace
    } else {
        Means::ProcessLimit
    }
}
