//! From what a step asks for and what its image brings to a container's specification. Pure.

use std::path::{Path, PathBuf};

use indexmap::IndexMap;
use pipelines::plan::Action;
use runtime::container::{
    ContainerSpec, File, Mount, MountSource, Network, Process, Rootfs, StartError as Refusal,
    Writable,
};

use super::image::Image;
use crate::backend::{StartError, StartErrorKind, StepRequest};

/// Where steps see the workspace.
const WORKSPACE: &str = "/workspace";
/// Where a step's script is, inside its container: messages of the shell name it with a line.
const SCRIPT: &str = "/run/slipway/script";
/// For an image that says nothing, as Docker has it.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What the runtime needs to know of a step.
///
/// # Errors
/// When neither step nor image say what to execute.
pub(super) fn of(
    request: StepRequest<'_, Image, String>,
    network: Network,
) -> Result<ContainerSpec, StartError> {
    let image = request.image;
    let (argv, files) = command(request.action, image)?;
    let (cwd, create_cwd) = directory(request.workdir, request.action, image);
    let mut mounts = image.mounts.clone();
    mounts.push(Mount {
        source: MountSource::Held {
            name: request.workspace.clone(),
        },
        target: PathBuf::from(WORKSPACE),
        read_only: false,
    });
    Ok(ContainerSpec {
        hostname: request.hostname,
        rootfs: Rootfs {
            layers: image.layers.clone(),
            writable: Writable::Memory,
        },
        mounts,
        files,
        process: Process {
            argv,
            env: environment(&image.env, request.env),
            cwd,
            create_cwd,
            user: request
                .user
                .map(str::to_owned)
                .or_else(|| image.user.clone()),
        },
        network,
    })
}

/// A script becomes a file, however long it is: an argument is bounded by 128 KiB (execve(2), MAX_ARG_STRLEN).
fn command(action: &Action, image: &Image) -> Result<(Vec<String>, Vec<File>), StartError> {
    match action {
        Action::Script { script, shell } => {
            let mut argv = shell.clone();
            argv.push(SCRIPT.to_owned());
            let file = File {
                path: PathBuf::from(SCRIPT),
                content: script.clone().into_bytes(),
                mode: 0o755,
            };
            Ok((argv, vec![file]))
        }
        Action::Entrypoint => {
            let argv: Vec<_> = image
                .entrypoint
                .iter()
                .chain(&image.command)
                .cloned()
                .collect();
            if argv.is_empty() {
                return Err(StartError {
                    kind: StartErrorKind::Request,
                    message:
                        "the step has no `run`, and its image neither an entrypoint nor a command"
                            .to_owned(),
                });
            }
            Ok((argv, Vec::new()))
        }
    }
}

/// The step's own directory, which must exist; for an entrypoint the image's, which is made (OCI image configuration,
/// `WorkingDir`); else the workspace.
fn directory(workdir: Option<&str>, action: &Action, image: &Image) -> (PathBuf, bool) {
    match (workdir, action, image.working_directory.as_deref()) {
        (Some(own), ..) => (Path::new(WORKSPACE).join(own), false),
        (None, Action::Entrypoint, Some(of_image)) => (Path::new("/").join(of_image), true),
        _ => (PathBuf::from(WORKSPACE), false),
    }
}

/// The image's environment under the step's.
fn environment(image: &[String], step: IndexMap<String, String>) -> Vec<(String, String)> {
    let mut all = IndexMap::from([("PATH".to_owned(), PATH.to_owned())]);
    for line in image {
        let (name, value) = line.split_once('=').unwrap_or((line, ""));
        all.insert(name.to_owned(), value.to_owned());
    }
    all.extend(step);
    all.into_iter().collect()
}

/// Whose fault it is that a container did not start.
pub(super) const fn blame(refusal: &Refusal) -> StartErrorKind {
    match refusal {
        Refusal::CommandNotFound { .. }
        | Refusal::NotExecutable { .. }
        | Refusal::WorkingDirectory { .. }
        | Refusal::NoSuchUser { .. }
        | Refusal::InvalidUser { .. }
        | Refusal::UnmappedId { .. }
        | Refusal::ImageRefused { .. } => StartErrorKind::Request,
        Refusal::NoSpace { .. } | Refusal::System { .. } | Refusal::ZygoteGone { .. } => {
            StartErrorKind::Internal
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image() -> Image {
        Image {
            layers: vec!["layers/a".to_owned()],
            mounts: Vec::new(),
            env: vec![
                "PATH=/opt/bin".to_owned(),
                "A=image".to_owned(),
                "FLAG".to_owned(),
            ],
            entrypoint: vec!["/entry".to_owned()],
            command: vec!["--default".to_owned()],
            user: Some("build".to_owned()),
            working_directory: Some("/srv".to_owned()),
        }
    }

    fn spec(action: &Action, workdir: Option<&str>, user: Option<&str>) -> ContainerSpec {
        let request = StepRequest {
            image: &image(),
            workspace: &"workspace.main".to_owned(),
            action,
            env: IndexMap::from([("A".to_owned(), "step".to_owned())]),
            workdir,
            user,
            hostname: "main".to_owned(),
        };
        of(request, Network::Host).unwrap()
    }

    fn script() -> Action {
        Action::Script {
            script: "make\n".to_owned(),
            shell: vec!["sh".to_owned(), "-e".to_owned()],
        }
    }

    #[test]
    fn a_script_is_a_file_and_the_last_argument_of_its_shell() {
        let spec = spec(&script(), None, None);
        assert_eq!(spec.process.argv, ["sh", "-e", SCRIPT]);
        assert_eq!(spec.files[0].content, b"make\n");
        assert_eq!(spec.process.cwd, Path::new(WORKSPACE));
    }

    #[test]
    fn an_entrypoint_runs_with_its_command_in_the_images_directory() {
        let spec = spec(&Action::Entrypoint, None, None);
        assert_eq!(spec.process.argv, ["/entry", "--default"]);
        assert_eq!(
            (spec.process.cwd.to_str(), spec.process.create_cwd),
            (Some("/srv"), true)
        );
        assert!(spec.files.is_empty());
    }

    #[test]
    fn a_working_directory_is_relative_to_the_workspace_or_absolute() {
        assert_eq!(
            spec(&script(), Some("crates/core"), None).process.cwd,
            Path::new("/workspace/crates/core")
        );
        assert_eq!(
            spec(&script(), Some("/tmp"), None).process.cwd,
            Path::new("/tmp")
        );
    }

    #[test]
    fn the_steps_environment_and_user_win_over_the_images() {
        let inherited = spec(&script(), None, None).process;
        let pairs: Vec<_> = inherited
            .env
            .iter()
            .map(|(n, v)| (n.as_str(), v.as_str()))
            .collect();
        assert_eq!(pairs, [("PATH", "/opt/bin"), ("A", "step"), ("FLAG", "")]);
        assert_eq!(inherited.user.as_deref(), Some("build"));
        assert_eq!(
            spec(&script(), None, Some("0")).process.user.as_deref(),
            Some("0")
        );
    }

    #[test]
    fn an_image_without_a_command_is_told_as_the_pipelines_mistake() {
        let bare = Image {
            entrypoint: Vec::new(),
            command: Vec::new(),
            ..image()
        };
        let error = command(&Action::Entrypoint, &bare).unwrap_err();
        assert_eq!(error.kind, StartErrorKind::Request);
    }
}
