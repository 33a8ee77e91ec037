//! From what a step asks for and what its image brings to a container's specification. Pure.

use std::path::{Path, PathBuf};

use indexmap::IndexMap;
use pipelines::plan::{self, Action};
use runtime::container::{
    ContainerSpec, File, Layers, Mount, MountSource, Network, Process, Resources, Rootfs, Shared,
    StartError as Refusal, Writable,
};
use runtime::network::{Policy, TargetError};

use crate::backend::{ServiceRequest, StartError, StartErrorKind, StepRequest};
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

/// What the runtime needs to know of a step; `workspace` is what the zygote holds its job's by, and `directories` the same of
/// its other directories, with their places.
///
/// # Errors
/// When neither step nor image say what to execute.
pub(super) fn of<W>(
    request: &StepRequest<'_, Image, W>,
    workspace: &str,
    directories: &[(String, PathBuf)],
) -> Result<ContainerSpec, StartError> {
    let image = request.image;
    let (argv, files) = command(request.action, image)?;
    let (cwd, create_cwd) = directory(request.workdir, request.action, image);
    let mut mounts = image.mounts.clone();
    mounts.push(Mount {
        source: MountSource::Held {
            name: workspace.to_owned(),
        },
        target: PathBuf::from(WORKSPACE),
        read_only: false,
    });
    let env = with_exchange(environment(image, &request.env));
    let home = env.iter().find(|(name, _)| name == "HOME");
    for (name, path) in directories {
        let target = match (path.strip_prefix("~"), home) {
            // What is built ahead needs no user then.
            (Ok(rest), Some((_, home))) if home.starts_with('/') => Path::new(home).join(rest),
            _ => path.clone(),
        };
        mounts.push(Mount {
            source: MountSource::Held { name: name.clone() },
            target,
            read_only: false,
        });
    }
    Ok(ContainerSpec {
        hostname: request.hostname.clone(),
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
            env,
            cwd,
            create_cwd,
            user: request
                .user
                .map(str::to_owned)
                .or_else(|| image.user.clone()),
            nesting: request.nesting,
            privileges: None,
        },
        network: match request.network {
            plan::Network::Default | plan::Network::Allow(_) => Network::Pod,
            plan::Network::Host => Network::Host,
            plan::Network::None => Network::None,
        },
        shared: Shared::default(),
        resources: resources(&request.resources),
    })
}

/// The same of a service: it has no workspace and leaves nothing to others.
///
/// # Errors
/// When neither service nor image say what to execute.
pub(super) fn of_service<W>(
    request: &ServiceRequest<'_, Image, W>,
) -> Result<ContainerSpec, StartError> {
    let image = request.image;
    let (argv, files) = command(request.action, image)?;
    let of_image = image.working_directory.as_deref();
    Ok(ContainerSpec {
        hostname: request.hostname.clone(),
        rootfs: Rootfs::Layers(Layers {
            layers: image.layers.clone(),
            writable: Writable::Memory,
            read_only: false,
        }),
        mounts: image.mounts.clone(),
        files,
        exchange: Vec::new(),
        process: Process {
            argv,
            env: environment(image, &request.env),
            cwd: Path::new("/").join(of_image.unwrap_or("")),
            create_cwd: true,
            user: image.user.clone(),
            nesting: false,
            privileges: None,
        },
        network: Network::Pod,
        shared: Shared::default(),
        resources: resources(&request.resources),
    })
}

/// What a step may reach.
///
/// # Errors
/// When an entry of its list is none.
pub(super) fn policy(network: &plan::Network<String>) -> Result<Policy, StartError> {
    let plan::Network::Allow(list) = network else {
        return Ok(Policy::Everything);
    };
    let targets: Result<_, _> = list.iter().map(|text| text.parse()).collect();
    targets
        .map(Policy::Listed)
        .map_err(|error: TargetError| StartError {
            kind: StartErrorKind::Request,
            message: format!("`allow` of `network`: {error}"),
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
fn environment(image: &Image, own: &IndexMap<String, String>) -> Vec<(String, String)> {
    let mut all = image.environment();
    all.extend(
        own.iter()
            .map(|(name, value)| (name.clone(), value.clone())),
    );
    all.into_iter().collect()
}

fn with_exchange(mut env: Vec<(String, String)>) -> Vec<(String, String)> {
    env.retain(|(name, _)| EXCHANGE.iter().all(|(own, _)| name != own));
    env.extend(EXCHANGE.map(|(name, path)| (name.to_owned(), path.to_owned())));
    env
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
            workspace: &(),
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
        of(&request, "workspace.main", &[]).unwrap()
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
    fn a_list_that_cannot_be_read_is_refused() {
        let list = |text: &str| policy(&plan::Network::Allow(vec![text.to_owned()]));
        assert!(matches!(list("*.example.org:443"), Ok(Policy::Listed(_))));
        let error = list("http://example.org").unwrap_err();
        assert_eq!(error.kind, StartErrorKind::Request);
        insta::assert_snapshot!(error.message, @"`allow` of `network`: `http://example.org` is no host, address or range: the port is no number from 1 to 65535");
        assert_eq!(policy(&plan::Network::Default).unwrap(), Policy::Everything);
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
