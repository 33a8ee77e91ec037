//! From a fork of the container's init to the command: everything given up that must be given up, in the order in
//! which it still can be.

use std::convert::Infallible;
use std::ffi::CString;
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat2};
use rustix::io::Errno;
use rustix::process::{Pid, Uid};

use super::error::During;
use super::init::Stdio;
use super::limits::OwnLimits;
use super::prepared::Prepared;
use super::rights::Rights;
use super::user::{self, Identity};
use super::{Phase, Process, StartError, Trace, program};
use crate::security::seccomp::{Options, Program};
use crate::security::{Defence, sandbox};
use crate::sys::{
    CloneFlags, Cloned, clone3, close_all_but, install_filter, join_new_session_keyring,
    reset_signals,
};
use crate::userns::Rung;

/// What a command's process says through its pipe before the pipe closes: its marks, and an error if it is one.
type Report = (Trace, Option<StartError>);

/// Forks the command; returns when it has been executed.
pub(super) fn spawn(
    prepared: &Prepared,
    process: &Process,
    limits: &OwnLimits,
    stdio: Stdio,
    trace: &mut Trace,
) -> Result<Pid, StartError> {
    let (failed, report) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)
        .during("make the start's pipe")?;
    let command = match clone3(&prepared.proof, CloneFlags::NONE).during("fork the command")? {
        Cloned::Child => {
            drop(failed);
            let mut trace = Trace::default();
            trace.mark(Phase::Forked);
            let Err(error) = exec(prepared, process, limits, stdio, &report, trace);
            let _ = say(&report, &(Trace::default(), Some(error)));
            crate::sys::exit_now(127)
        }
        Cloned::Parent { pid, .. } => pid,
    };
    drop(report);
    drop(stdio);
    // Blocks until the command's exec has closed the pipe.
    let mut text = Vec::new();
    File::from(failed)
        .read_to_end(&mut text)
        .during("wait for the command's start")?;
    trace.mark(Phase::Executed);
    for report in serde_json::Deserializer::from_slice(&text).into_iter() {
        let (marks, error): Report = report.map_err(|error| StartError::ZygoteGone {
            reason: format!("the command's start could not be read: {error}"),
        })?;
        trace.merge(marks);
        error.map_or(Ok(()), Err)?;
    }
    Ok(command)
}

/// Says something through the pipe of the command's start.
fn say(pipe: impl AsFd, report: &Report) -> Result<(), StartError> {
    let text = serde_json::to_vec(report).map_err(std::io::Error::from);
    rustix::io::write(pipe, &text.during("report")?).during("report")?;
    Ok(())
}

/// Becomes the command. Returns only when that failed; `report` is the one descriptor that stays open until then.
fn exec(
    prepared: &Prepared,
    process: &Process,
    limits: &OwnLimits,
    stdio: Stdio,
    report: &OwnedFd,
    mut trace: Trace,
) -> Result<Infallible, StartError> {
    let outright = process.privileges.as_deref();
    let identity = match outright {
        Some(privileges) => Identity::said(privileges)?,
        None => user::resolve(process.user.as_deref())?,
    };
    let environment = environment(process, &identity)?;
    let program = cstring(
        process.argv.first().map_or("", String::as_str),
        "the program",
    )?;
    let argv = process
        .argv
        .iter()
        .map(|argument| cstring(argument, "an argument"))
        .collect::<Result<Vec<_>, _>>()?;

    rustix::process::setsid().during("start a session")?;
    // Otherwise the caller's session keyring would be the step's. Where keyctl is forbidden to us it stays so, out of the
    // reach of programs: the step's filter refuses the calls that name keys.
    if Defence::SessionKeyring.is_on() {
        let _ = join_new_session_keyring();
    }
    enter_directory(process)?;
    let is_terminal = stdio.is_terminal;
    stdio.install().during("connect the standard streams")?;
    if is_terminal {
        take_terminal(prepared.rung, &identity)?;
    }
    let umask = outright.map_or(0o022, |privileges| privileges.umask & 0o777);
    rustix::process::umask(Mode::from_raw_mode(umask));
    reset_signals();
    limits.hold_process()?;
    if let Some(privileges) = outright {
        privileges.hold_limits()?;
    }
    trace.mark(Phase::Placed);

    let rights = Rights::of(process, &identity)?;
    rights.bound()?;
    if outright.is_some() {
        // Capabilities of a user that is not root are kept over the change to it.
        rustix::thread::set_keep_capabilities(true).during("keep capabilities")?;
    }
    identity.assume(prepared.rung)?;
    if prepared.rung == Rung::Single {
        // Another name comes with a user namespace, and that with a full set.
        rights.bound()?;
    }
    if rights.no_new_privileges {
        rights.take()?;
        rustix::thread::set_no_new_privs(true).during("set no_new_privs")?;
    } else {
        // What comes next takes CAP_SYS_ADMIN then.
        rights.have_all()?;
    }
    sandbox::enter_domain()?;
    if Defence::ClosedDescriptors.is_on() {
        close_all_but(&prepared.proof, &[report.as_fd()]).during("close descriptors")?;
    }
    trace.mark(Phase::Dropped);
    say(report, &(trace, None))?;
    filter(prepared, process, &rights)?;
    if !rights.no_new_privileges {
        rights.take()?;
    }

    Err(program::execute(
        &program,
        &argv,
        &environment,
        path_of(process),
    ))
}

/// Installs what system calls have to pass: the default profile, and under it what is the process's own.
fn filter(prepared: &Prepared, process: &Process, rights: &Rights) -> Result<(), StartError> {
    if !Defence::Seccomp.is_on() {
        return Ok(());
    }
    let own = process.nesting || process.privileges.is_some();
    let profile = own.then(|| {
        Program::default_profile(&Options {
            capabilities: rights.bounding,
            nesting: process.nesting,
        })
    });
    let of_process = process
        .privileges
        .as_ref()
        .and_then(|privileges| privileges.filter.as_deref());
    // The one that was installed last is asked first, and the strictest answer counts.
    let default = profile.as_ref().unwrap_or(&prepared.filter);
    for instructions in [Some(default.instructions()), of_process]
        .into_iter()
        .flatten()
    {
        install_filter(instructions).during("install the seccomp filter")?;
    }
    Ok(())
}

/// Makes the terminal on standard input the session's, and its user's, whose programs may open it by name.
fn take_terminal(rung: Rung, identity: &Identity) -> Result<(), StartError> {
    let terminal = rustix::stdio::stdin();
    // With one id in the namespace, every user is that one.
    if identity.uid != 0 && rung != Rung::Single {
        let owner = Uid::from_raw(identity.uid);
        rustix::fs::fchown(terminal, Some(owner), None).during("give the terminal to the user")?;
    }
    rustix::process::ioctl_tiocsctty(terminal).during("take the terminal")
}

/// The working directory is resolved without magic links: `/proc/self/fd/7` leads nowhere (CVE-2024-21626).
fn enter_directory(process: &Process) -> Result<(), StartError> {
    let path = &process.cwd;
    let failed = |errno: Errno| StartError::WorkingDirectory {
        path: path.clone(),
        errno: errno.raw_os_error(),
    };
    if process.create_cwd {
        make_directories(path).map_err(failed)?;
    }
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let resolve = if Defence::MagicLinks.is_on() {
        ResolveFlags::NO_MAGICLINKS
    } else {
        ResolveFlags::empty()
    };
    let directory = openat2(CWD, path, flags, Mode::empty(), resolve).map_err(failed)?;
    rustix::process::fchdir(&directory).map_err(failed)
}

fn make_directories(path: &Path) -> Result<(), Errno> {
    let mut so_far = std::path::PathBuf::from("/");
    for component in path.components().skip(1) {
        so_far.push(component);
        match rustix::fs::mkdir(&so_far, Mode::from_raw_mode(0o755)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

fn environment(process: &Process, identity: &Identity) -> Result<Vec<CString>, StartError> {
    let mut list = Vec::with_capacity(process.env.len() + 1);
    for (name, value) in &process.env {
        list.push(cstring(
            &format!("{name}={value}"),
            "an environment variable",
        )?);
    }
    if !process.env.iter().any(|(name, _)| name == "HOME") {
        list.push(cstring(&format!("HOME={}", identity.home), "HOME")?);
    }
    Ok(list)
}

fn cstring(text: &str, what: &str) -> Result<CString, StartError> {
    CString::new(text).map_err(|_| StartError::System {
        operation: format!("{what} holds a NUL byte"),
        errno: libc::EINVAL,
    })
}

fn path_of(process: &Process) -> &str {
    process
        .env
        .iter()
        .rev()
        .find(|(name, _)| name == "PATH")
        .map_or(
            "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            |(_, value)| value,
        )
}

impl Stdio {
    fn install(self) -> Result<(), Errno> {
        rustix::stdio::dup2_stdin(&self.input)?;
        rustix::stdio::dup2_stdout(&self.output)?;
        rustix::stdio::dup2_stderr(&self.error)
    }
}
