//! From what a step asks for and what its image brings to a container's specification. Pure.

use std::path::{Path, PathBuf};

use indexmap::IndexMap;
use pipelines::plan::{self, Action};
use runtime::container::{
    ContainerSpec, File, Layers, Mount, MountSource, Network, Process, Resources, Rootfs, Shared,
    StartError as Refusal, Writable,
};

use crate::backend::{StartError, StartErrorKind, StepRequest};
use crate::images::Image;

/// Where steps see the workspace.
const WORKSPACE: &str = "/workspace";
/// Where a step's script is, inside its container: messages of the shell name it with a line.
const SCRIPT: &str = "/run/slipway/script";
/// The files of [`crate::backend::Exchange`], in its order, by the variables that lead to them.
const EXCHANGE: [(&str, &str); 3] = [
    ("SLIPWAY_OUTPUT", "/run/slipway/output"),
    ("SLIPWAY_ENV", "/run/slipway/env"),
    ("SLIPWAY_MASK", "/run/slipway/mask"),
];

/// What the runtime needs to know of a step.
///
/// # Errors
/// When neither step nor image say what to execute.
pub(super) fn of(request: StepRequest<'_, Image, String>) -> Result<ContainerSpec, StartError> {
    let image = request.image;
    let network = network(request.network)?;
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
        rootfs: Rootfs::Layers(Layers {
            layers: image.layers.clone(),
            writable: Writable::Memory,
            read_only: false,
        }),
        mounts,
        files,
        exchange: EXCHANGE.map(|(_, path)| PathBuf::from(path)).to_vec(),
        process: Process {
            argv,
            env: environment(image, request.env),
            cwd,
            create_cwd,
            user: request
                .user
                .map(str::to_owned)
                .or_else(|| image.user.clone()),
            nesting: request.nesting,
            privileges: None,
        },
        network,
        shared: Shared::default(),
        resources: resources(&request.resources),
    })
}

/// The plan's limits in the runtime's words.
pub(super) fn resources(of: &plan::Resources) -> Resources {
    Resources {
        cpus: of.cpu_millis,
        memory: of.memory_bytes,
        pids: of.pids,
        disk: of.disk_bytes,
        nofile: of.nofile,
    }
}

/// Steps are on the machine's network unless they say otherwise.
fn network(network: &plan::Network) -> Result<Network, StartError> {
    match network {
        plan::Network::Default | plan::Network::Host => Ok(Network::Host),
        plan::Network::None => Ok(Network::None),
        plan::Network::Allow(_) => Err(StartError {
            kind: StartErrorKind::Request,
            message: "`allow` of `network` is not supported yet".to_owned(),
        }),
    }
}

/// A script becomes a file, however long it is: an argument is bounded by 128 KiB (execve(2), MAX_ARG_STRLEN).
fn command(action: &Action<String>, image: &Image) -> Result<(Vec<String>, Vec<File>), StartError> {
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
        Action::Entrypoint { args } => {
            let command = if args.is_empty() {
                &image.command
            } else {
                args
            };
            let argv: Vec<_> = image.entrypoint.iter().chain(command).cloned().collect();
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
fn directory(workdir: Option<&str>, action: &Action<String>, image: &Image) -> (PathBuf, bool) {
    match (workdir, action, image.working_directory.as_deref()) {
        (Some(own), ..) => (Path::new(WORKSPACE).join(own), false),
        (None, Action::Entrypoint { .. }, Some(of_image)) => (Path::new("/").join(of_image), true),
        _ => (PathBuf::from(WORKSPACE), false),
    }
}

/// The image's environment under the step's.
fn environment(image: &Image, step: IndexMap<String, String>) -> Vec<(String, String)> {
    let mut all = image.environment();
    all.extend(step);
    all.extend(EXCHANGE.map(|(name, path)| (name.to_owned(), path.to_owned())));
    all.into_iter().collect()
}

/// Whose fault it is that a container did not start.
pub(super) const fn blame(refusal: &Refusal) -> StartErrorKind {
    match refusal {
        Refusal::CommandNotFound { .. }
        | Refusal::NotExecutable { .. }
        | Refusal::TooLong { .. }
        | Refusal::WorkingDirectory { .. }
        | Refusal::NoSuchUser { .. }
        | Refusal::InvalidUser { .. }
        | Refusal::UnmappedId { .. }
        | Refusal::ImageRefused { .. }
        | Refusal::LimitTooLow { .. }
        | Refusal::MountTarget { .. } => StartErrorKind::Request,
        Refusal::MountBelow { .. }
        | Refusal::UpperOnOverlay
        | Refusal::NoSpace { .. }
        | Refusal::System { .. }
        | Refusal::ContainerGone
        | Refusal::Malformed { .. }
        | Refusal::ZygoteGone { .. } => StartErrorKind::Internal,
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

    fn spec(action: &Action<String>, workdir: Option<&str>, user: Option<&str>) -> ContainerSpec {
        let request = StepRequest {
            name: "step",
            image: &image(),
            workspace: &"workspace.main".to_owned(),
            action,
            env: IndexMap::from([("A".to_owned(), "step".to_owned())]),
            workdir,
            user,
            network: &plan::Network::None,
            nesting: false,
            hostname: "main".to_owned(),
            resources: plan::Resources::default(),
            followed: false,
        };
        of(request).unwrap()
    }

    fn script() -> Action<String> {
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
        assert_eq!(spec.network, Network::None);
    }

    #[test]
    fn a_network_that_cannot_be_made_is_refused() {
        assert_eq!(network(&plan::Network::Default).unwrap(), Network::Host);
        let allow = plan::Network::Allow(vec!["example.org".into()]);
        assert_eq!(network(&allow).unwrap_err().kind, StartErrorKind::Request);
    }

    #[test]
    fn an_entrypoint_runs_with_its_command_in_the_images_directory() {
        let with = |args: &[&str]| {
            let args = args.iter().map(|arg| (*arg).to_owned()).collect();
            spec(&Action::Entrypoint { args }, None, None)
        };
        assert_eq!(with(&["--own", "x"]).process.argv, ["/entry", "--own", "x"]);
        let spec = with(&[]);
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
        assert_eq!(
            pairs[..3],
            [("PATH", "/opt/bin"), ("A", "step"), ("FLAG", "")]
        );
        assert_eq!(pairs[3..], EXCHANGE);
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
        let error = command(&Action::Entrypoint { args: Vec::new() }, &bare).unwrap_err();
        assert_eq!(error.kind, StartErrorKind::Request);
    }
}
