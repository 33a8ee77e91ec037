use std::fs;
use std::path::Path;
use std::sync::Mutex;

use clap::Parser as _;
use protocol::Conclusion;
use runtime::zygote::SpawnError;

use super::{execute, exit_code};
use crate::backend::fake::Fake;
use crate::backend::{BackendOptions, ConnectError};
use crate::cli::{Cli, Command, RunLocal};
use crate::command::CommandError;
use crate::executor::{Fault, Report};
use crate::exit_code::ExitCode;
use crate::machine::Machine;

fn arguments(tree: &Path, more: &[&str]) -> RunLocal {
    let tree = tree.to_str().unwrap();
    let fixed = ["agent", "run-local", tree, "--quiet"];
    let command = Cli::parse_from(fixed.iter().chain(more)).command;
    let Command::RunLocal(arguments) = command else {
        panic!("{command:?}");
    };
    *arguments
}

/// Runs up to the connection to a backend, which this host then does not have.
fn until_connected(
    pipeline: &str,
    more: &[&str],
) -> (Result<ExitCode, CommandError>, Option<BackendOptions>) {
    let tree = tempfile::tempdir().unwrap();
    fs::write(tree.path().join(".pipeline.yml"), pipeline).unwrap();
    let machine = Machine {
        config: None,
        data: tree.path().join("data"),
        no_colour: true,
        no_status_line: true,
    };
    let seen = Mutex::new(None);
    let result = execute(&arguments(tree.path(), more), &machine, |options| {
        *seen.lock().unwrap() = Some(options);
        Err::<Fake, _>(ConnectError::from(SpawnError::UserNamespace {
            source: std::io::Error::from_raw_os_error(1),
        }))
    });
    (result, seen.into_inner().unwrap())
}

const HELLO: &str = "image: host\nsteps:\n  - run: echo hello\n";

#[test]
fn a_host_without_containers_is_told_with_the_fix() {
    let (result, options) = until_connected(HELLO, &["--in-place", "--keep"]);
    let error = result.unwrap_err();
    assert_eq!(error.exit_code(), ExitCode::HostUnsupported);
    insta::assert_snapshot!(error, @"this host cannot run containers: make a user namespace: Operation not permitted (os error 1)");
    assert_eq!(
        error.hints().last().map(String::as_str),
        Some("`agent doctor` looks at everything containers need")
    );
    let options = options.unwrap();
    assert_eq!(options.workspace, protocol::WorkspaceMode::InPlace);
    assert!(options.keep);
}

#[test]
fn an_invalid_pipeline_never_reaches_the_backend() {
    let (result, options) = until_connected("image: host\nsteps:\n  - runn: echo\n", &[]);
    assert_eq!(result.unwrap(), ExitCode::InvalidPipeline);
    assert_eq!(options, None);
}

#[test]
fn an_unknown_job_and_a_bad_variable_are_wrong_usage() {
    for more in [["--job", "mian"], ["--env", "1=2"]] {
        let (result, options) = until_connected(HELLO, &more);
        assert_eq!(result.unwrap_err().exit_code(), ExitCode::Usage);
        assert_eq!(options, None);
    }
}

#[test]
fn conclusions_become_exit_codes() {
    let code = |conclusion, fault| exit_code(Report { conclusion, fault });
    assert_eq!(code(Conclusion::Success, None), ExitCode::Success);
    assert_eq!(
        code(Conclusion::Failure, Some(Fault::Internal)),
        ExitCode::Failed
    );
    assert_eq!(
        code(Conclusion::Error, Some(Fault::Unavailable)),
        ExitCode::Unavailable
    );
    assert_eq!(
        code(Conclusion::Error, Some(Fault::Internal)),
        ExitCode::Internal
    );
    assert_eq!(
        code(Conclusion::Cancelled, Some(Fault::Internal)),
        ExitCode::Cancelled
    );
}
