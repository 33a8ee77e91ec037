//! The zygote's side of its birth, in two programs: the clone of the agent up to its exec, and what the exec starts.

use std::convert::Infallible;
use std::ffi::{CStr, CString, OsStr};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nix::fcntl::AtFlags;
use rustix::fs::{CWD, Mode, OFlags};
use rustix::mount::{MountPropagationFlags, OpenTreeFlags, mount_change, open_tree};
use rustix::process::{DumpableBehavior, Gid, Signal, Uid};

use super::server;
use super::spawn::Mapped;
use super::wire::Reply;
use crate::container::StartError;
use crate::container::error::During;
use crate::container::prepared::Prepared;
use crate::detach::let_go_of_streams;
use crate::host;
use crate::message::{receive, send};
use crate::rootfs::{Stage, mount_proc};
use crate::security::{self, Defence};
use crate::sys::{MountAttr, SingleThreaded, adopt, close_all_but, mount_setattr, pass_on};
use crate::userns::Rung;

/// The zygote's name in `argv[0]`, by which the agent's binary knows what it is.
const NAME: &str = "slipway-zygote";
/// Where the exec'ed program finds its socket.
const SOCKET: i32 = 3;

/// In the clone: waits for the ids, enters a mount namespace, and executes the agent's binary from a read-only mount.
pub(super) fn before_exec(
    socket: &OwnedFd,
    directory: &Path,
    rung: Rung,
    kinship: Kinship,
) -> Result<Infallible, StartError> {
    kinship.die_with_agent()?;
    // Out of the terminal's foreground group: Ctrl-C is for the agent, which decides what containers hear of it.
    rustix::process::setsid().during("start a session")?;
    // The agent may let go of its streams while we live; whoever reads them waits for the last one who has them.
    let_go_of_streams().during("let go of the agent's streams")?;
    let go = receive::<Mapped>(socket.as_fd()).during("wait for the ids")?;
    if go.is_none() {
        return Err(StartError::ZygoteGone {
            reason: "the agent is gone".to_owned(),
        });
    }
    // In this order: the old ids may still enter directories above, and the working directory follows into the new
    // mount namespace.
    rustix::process::chdir(directory).during_at("enter", directory)?;
    nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNS).during("make a mount namespace")?;
    // What the machine unmounts goes here as well, else a disk could not be taken out while an agent lives; what is
    // mounted here stays here.
    let slave = MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC;
    mount_change("/", slave).during("make all mounts follow the machine's")?;
    // Away from the number that the socket is about to take.
    let program = rustix::io::fcntl_dupfd_cloexec(read_only_self()?, SOCKET + 1)
        .during("duplicate our program")?;
    let root = (Gid::ROOT, Uid::ROOT);
    // A plain user stays in its groups, as container root, who is that user, will: with one id the kernel does not let go
    // of them, and with several they are what some of the user's files can be read by.
    if rung == Rung::Root {
        rustix::thread::set_thread_groups(&[]).during("give up supplementary groups")?;
    }
    rustix::thread::set_thread_res_gid(root.0, root.0, root.0).during("become group root")?;
    rustix::thread::set_thread_res_uid(root.1, root.1, root.1).during("become root")?;
    if kinship == Kinship::Child {
        mount_proc()?;
    }

    pass_on(socket, SOCKET).during("pass the socket on")?;
    let name = CString::new(NAME).unwrap_or_default();
    let arguments = [name.as_c_str(), rung.name(), kinship.name()];
    let errno = match nix::unistd::execveat(
        &program,
        c"",
        &arguments,
        &security::environment(),
        AtFlags::AT_EMPTY_PATH,
    ) {
        Ok(never) => match never {},
        Err(errno) => errno,
    };
    Err(errno).during("execute the zygote")
}

/// What the zygote is to the agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kinship {
    /// Its child, and the init of a PID namespace.
    Child,
    /// Another child of the agent's parent, in the agent's PID namespace.
    Sibling,
}

impl Kinship {
    /// The word for it on a command line.
    const fn name(self) -> &'static CStr {
        match self {
            Self::Child => c"child",
            Self::Sibling => c"sibling",
        }
    }

    fn named(name: &OsStr) -> Option<Self> {
        [Self::Child, Self::Sibling]
            .into_iter()
            .find(|kinship| kinship.name().to_bytes() == name.as_bytes())
    }

    /// The death signal is cleared by a change of ids and kept by an exec (PR_SET_PDEATHSIG(2const)). A sibling's would be for
    /// the parent of both: it ends with its socket.
    fn die_with_agent(self) -> Result<(), StartError> {
        match self {
            Self::Child => rustix::process::set_parent_process_death_signal(Some(Signal::KILL))
                .during("set the death signal"),
            Self::Sibling => Ok(()),
        }
    }
}

/// Our own program, through a mount that nobody can write to.
fn read_only_self() -> Result<OwnedFd, StartError> {
    let magic = Path::new("/proc/self/exe");
    let path = std::fs::read_link(magic).during_at("read", magic)?;
    let same =
        |a: &rustix::fs::Stat, b: &rustix::fs::Stat| (a.st_dev, a.st_ino) == (b.st_dev, b.st_ino);
    let running = rustix::fs::stat(magic).during_at("stat", magic)?;
    match rustix::fs::stat(&path) {
        Ok(stat) if same(&running, &stat) => {
            let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
            let tree = open_tree(CWD, &path, flags).during_at("clone the mount of", &path)?;
            let attr = MountAttr {
                read_only: Defence::ReadOnlyProgram.is_on(),
                ..MountAttr::default()
            };
            mount_setattr(&tree, attr).during("make our program read-only")?;
            Ok(tree)
        }
        // The file was replaced or removed while we run (an upgrade): a sealed copy in memory does as well.
        _ => sealed_copy(magic),
    }
}

fn sealed_copy(program: &Path) -> Result<OwnedFd, StartError> {
    use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let copy = memfd_create(NAME, flags).during("make a memory file")?;
    let mut from = std::fs::File::open(program).during_at("open", program)?;
    let mut to = std::fs::File::from(copy);
    std::io::copy(&mut from, &mut to).during("copy our program")?;
    let seals = SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE;
    fcntl_add_seals(&to, seals).during("seal our program")?;
    Ok(to.into())
}

/// Runs the zygote if that is what this process was executed as; `None` in an ordinary agent. To be called first in
/// `main`, before any thread exists.
#[must_use]
pub fn run_if_zygote() -> Option<std::process::ExitCode> {
    let mut arguments = std::env::args_os();
    if arguments.next()?.as_bytes() != NAME.as_bytes() {
        return None;
    }
    let rung = arguments.next().and_then(|name| Rung::named(&name));
    let kinship = arguments.next().and_then(|name| Kinship::named(&name));
    let (Some(rung), Some(kinship), Ok(socket)) = (rung, kinship, adopt(SOCKET)) else {
        return Some(std::process::ExitCode::FAILURE);
    };
    Some(match prepare(&socket, rung, kinship) {
        Ok((prepared, kept)) => {
            let _ = send(&socket, &Reply::Done(serde_json::Value::Null), &[]);
            let code = server::serve(&prepared, &socket);
            drop(kept);
            code
        }
        Err(error) => {
            let _ = send(&socket, &Reply::Failed(error), &[]);
            std::process::ExitCode::FAILURE
        }
    })
}

fn prepare(
    socket: &OwnedFd,
    rung: Rung,
    kinship: Kinship,
) -> Result<(Prepared, host::Kept), StartError> {
    let proof = SingleThreaded::prove().during("prove that no other thread runs")?;
    rustix::io::fcntl_setfd(socket, rustix::io::FdFlags::CLOEXEC).during("keep the socket")?;
    if Defence::ClosedDescriptors.is_on() {
        close_all_but(&proof, &[socket.as_fd()]).during("close descriptors")?;
    }
    // What is forked from us is in a container: nothing of the agent's terminal is to be found there.
    stand_in_for_standard_streams().during("let go of the standard streams")?;
    // Changing ids has cleared it.
    kinship.die_with_agent()?;
    // Nothing in a container may look into us or into what is forked from us.
    if Defence::Undumpable.is_on() {
        rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)
            .during("become undumpable")?;
    }
    let kept = host::Kept::open()?;
    let beside = kinship == Kinship::Sibling;
    let prepared = Prepared::new(proof, Stage::prepare()?, rung, beside);
    Ok((prepared, kept))
}

/// Puts `/dev/null` in the place of the three descriptors that every program has.
fn stand_in_for_standard_streams() -> Result<(), rustix::io::Errno> {
    let null = rustix::fs::open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?;
    rustix::stdio::dup2_stdin(&null)?;
    rustix::stdio::dup2_stdout(&null)?;
    rustix::stdio::dup2_stderr(&null)
}
