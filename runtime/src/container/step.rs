//! From a fork of the container's init to the command: everything given up that must be given up, in the order in
//! which it still can be.

use std::convert::Infallible;
use std::ffi::{CStr, CString};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::path::Path;

use nix::errno::Errno as NixErrno;
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat2};
use rustix::io::Errno;
use rustix::thread::{CapabilitySet, CapabilitySets};

use super::error::During;
use super::init::Stdio;
use super::prepared::Prepared;
use super::user::{self, Identity};
use super::{Process, StartError};
use crate::security::capabilities::DEFAULT;
use crate::sys::{
    SingleThreaded, close_range, install_filter, join_new_session_keyring, reset_signals,
};

/// Of a program, in characters, where it is told in an error.
const LONGEST_NAME: usize = 1000;

/// Becomes the command. Returns only when that failed; `keep` is the one descriptor that stays open until then.
pub(super) fn exec(
    prepared: &Prepared,
    process: &Process,
    stdio: Stdio,
    keep: BorrowedFd<'_>,
) -> Result<Infallible, StartError> {
    let identity = user::resolve(process.user.as_deref())?;
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
    // Containers share the caller's keyrings otherwise; a host that forbids keyctl has none to share.
    let _ = join_new_session_keyring();
    enter_directory(process)?;
    stdio.install().during("connect the standard streams")?;
    rustix::process::umask(Mode::from_raw_mode(0o022));
    reset_signals();

    drop_bounding_set()?;
    identity.assume(prepared.single_id)?;
    if prepared.single_id {
        // Another name comes with a user namespace, and that with a full set.
        drop_bounding_set()?;
    }
    let capabilities = if identity.uid == 0 {
        DEFAULT
    } else {
        CapabilitySet::empty()
    };
    rustix::thread::clear_ambient_capability_set().during("clear ambient capabilities")?;
    let sets = CapabilitySets {
        effective: capabilities,
        permitted: capabilities,
        inheritable: CapabilitySet::empty(),
    };
    rustix::thread::set_capabilities(None, sets).during("set capabilities")?;
    rustix::thread::set_no_new_privs(true).during("set no_new_privs")?;
    close_all_but(&prepared.proof, keep)?;
    install_filter(prepared.filter.instructions()).during("install the seccomp filter")?;

    Err(execvpe(&program, &argv, &environment, path_of(process)))
}

/// Closes every descriptor from 3 up but `keep`, which is close-on-exec.
fn close_all_but(proof: &SingleThreaded, keep: BorrowedFd<'_>) -> Result<(), StartError> {
    let keep = keep.as_raw_fd().unsigned_abs();
    close_range(proof, 3..=keep.saturating_sub(1)).during("close descriptors")?;
    close_range(proof, keep + 1..=u32::MAX).during("close descriptors")
}

fn drop_bounding_set() -> Result<(), StartError> {
    for capability in CapabilitySet::all().difference(DEFAULT).iter() {
        match rustix::thread::remove_capability_from_bounding_set(capability) {
            // EINVAL: newer than this kernel.
            Ok(()) | Err(Errno::INVAL) => {}
            Err(errno) => return Err(errno).during("drop a bounding capability"),
        }
    }
    Ok(())
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
    let directory =
        openat2(CWD, path, flags, Mode::empty(), ResolveFlags::NO_MAGICLINKS).map_err(failed)?;
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

/// Looks the program up as execvp(3) does, in the container's own `PATH`.
fn execvpe(program: &CStr, argv: &[CString], environment: &[CString], path: &str) -> StartError {
    let name = program.to_string_lossy().into_owned();
    if name.contains('/') {
        let errno = match nix::unistd::execve(program, argv, environment) {
            Ok(never) => match never {},
            Err(errno) => errno,
        };
        return failure(name, errno);
    }
    let mut worst = NixErrno::ENOENT;
    for directory in path
        .split(':')
        .filter(|directory| directory.starts_with('/'))
    {
        let Ok(candidate) = CString::new(format!("{directory}/{name}")) else {
            continue;
        };
        match nix::unistd::execve(&candidate, argv, environment) {
            Ok(never) => match never {},
            Err(NixErrno::ENOENT | NixErrno::ENOTDIR) => {}
            Err(NixErrno::EACCES) => worst = NixErrno::EACCES,
            Err(errno) => return failure(name, errno),
        }
    }
    failure(name, worst)
}

fn failure(mut program: String, errno: NixErrno) -> StartError {
    // The answer has to fit a message.
    if let Some((end, _)) = program.char_indices().nth(LONGEST_NAME) {
        program.truncate(end);
        program.push_str("..");
    }
    match errno {
        NixErrno::ENOENT | NixErrno::ENOTDIR => StartError::CommandNotFound { program },
        errno => StartError::NotExecutable {
            program,
            errno: errno as i32,
        },
    }
}

impl Stdio {
    fn install(self) -> Result<(), Errno> {
        rustix::stdio::dup2_stdin(&self.input)?;
        rustix::stdio::dup2_stdout(&self.output)?;
        rustix::stdio::dup2_stderr(&self.error)
    }
}
