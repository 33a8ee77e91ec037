//! The last step of a start: finding the program and becoming it, or the reason why not.

use std::ffi::{CStr, CString};

use nix::errno::Errno as NixErrno;
use rustix::process::{Resource, getrlimit};

use super::StartError;

/// Of a program's or a variable's name, in characters, where it is told in an error.
const LONGEST_NAME: usize = 1000;

/// Executes a program by its path or, without a `/`, the first of that name in `path`. Unlike execvp(3) it passes over
/// directories of `path` that are not absolute, and does not hand a file of no known format to a shell: a script needs its
/// `#!`. Returns why it failed.
pub(super) fn execute(
    program: &CStr,
    argv: &[CString],
    environment: &[CString],
    path: &str,
) -> StartError {
    let name = program.to_string_lossy().into_owned();
    let failed = |name: String, errno: NixErrno| match errno {
        NixErrno::E2BIG => too_long(argv, environment),
        errno => failure(name, errno),
    };
    if name.contains('/') {
        let errno = match nix::unistd::execve(program, argv, environment) {
            Ok(never) => match never {},
            Err(errno) => errno,
        };
        return failed(name, errno);
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
            Err(errno) => return failed(name, errno),
        }
    }
    failure(name, worst)
}

fn failure(program: String, errno: NixErrno) -> StartError {
    let program = shortened(program);
    match errno {
        NixErrno::ENOENT | NixErrno::ENOTDIR => StartError::CommandNotFound { program },
        errno => StartError::NotExecutable {
            program,
            errno: errno as i32,
        },
    }
}

/// What the kernel found too long (execve(2), "Limits on size of arguments and environment").
fn too_long(argv: &[CString], environment: &[CString]) -> StartError {
    /// `MAX_ARG_STRLEN`, in pages.
    const ONE: usize = 32;
    let one = ONE * rustix::param::page_size();
    let size = |text: &CString| text.as_bytes_with_nul().len();
    if let Some(variable) = environment.iter().find(|text| size(text) > one) {
        let text = variable.to_string_lossy();
        let name = text.split_once('=').map_or(&*text, |(name, _)| name);
        return StartError::TooLong {
            what: format!("the variable `{}`", shortened(name.to_owned())),
            size: size(variable),
            limit: one,
        };
    }
    if let Some((number, argument)) = (0..).zip(argv).find(|(_, text)| size(text) > one) {
        return StartError::TooLong {
            what: format!("argument {number} of the command"),
            size: size(argument),
            limit: one,
        };
    }
    let all = argv.iter().chain(environment);
    StartError::TooLong {
        what: "the environment together with the arguments".to_owned(),
        // The kernel counts the pointers to them as well.
        size: all.map(|text| size(text) + size_of::<usize>()).sum(),
        limit: limit_of_all(getrlimit(Resource::Stack).current),
    }
}

/// A quarter of the stack's limit, within `ARG_MAX` and three quarters of the usual stack.
fn limit_of_all(stack: Option<u64>) -> usize {
    let quarter = stack.map_or(usize::MAX, |stack| {
        usize::try_from(stack / 4).unwrap_or(usize::MAX)
    });
    quarter.clamp(128 << 10, 6 << 20)
}

/// An answer has to fit a message.
fn shortened(mut name: String) -> String {
    if let Some((end, _)) = name.char_indices().nth(LONGEST_NAME) {
        name.truncate(end);
        name.push_str("..");
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(argv: &[&str], environment: &[String]) -> String {
        let text = |text: &str| CString::new(text).unwrap();
        let argv: Vec<_> = argv.iter().copied().map(text).collect();
        let environment: Vec<_> = environment.iter().map(|line| text(line)).collect();
        let error = too_long(&argv, &environment).to_string();
        let page = rustix::param::page_size();
        error.replace(&(32 * page).to_string(), "LIMIT")
    }

    #[test]
    fn the_variable_or_the_argument_that_is_too_long_is_named() {
        let long = "x".repeat(4 << 20);
        let short = "PATH=/bin".to_owned();
        insta::assert_snapshot!(
            told(&["sh"], &[short.clone(), format!("BIG={long}")]),
            @"the variable `BIG` has 4194309 bytes, and the kernel takes LIMIT"
        );
        insta::assert_snapshot!(
            told(&["sh", "-c", &long], std::slice::from_ref(&short)),
            @"argument 2 of the command has 4194305 bytes, and the kernel takes LIMIT"
        );
    }

    #[test]
    fn the_limit_of_everything_is_a_quarter_of_the_stack_within_bounds() {
        assert_eq!(limit_of_all(Some(8 << 20)), 2 << 20);
        assert_eq!(limit_of_all(Some(64 << 10)), 128 << 10);
        assert_eq!(limit_of_all(Some(1 << 40)), 6 << 20);
        assert_eq!(limit_of_all(None), 6 << 20);
    }
}
