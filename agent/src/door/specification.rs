//! From what was asked for and what the image brings to a container's specification. Pure.

use std::path::{Path, PathBuf};

use runtime::container::{
    ContainerSpec, Layers, Mount, MountSource, Process, Rootfs, Shared, Writable,
};

use super::volume::VolumeSource;
use super::{DoorError, Name, Request};
use crate::images::Image;

/// What the runtime is to be told; the volumes of this machine are held as [`held_name`] says.
///
/// # Errors
/// When neither the command line nor the image says what to execute.
pub(super) fn of(
    request: &Request,
    name: &Name,
    image: &Image,
) -> Result<ContainerSpec, DoorError> {
    let hostname = request.hostname.as_deref().unwrap_or(name.as_str());
    let volumes = (0..).zip(&request.volumes).map(|(number, volume)| Mount {
        source: match volume.source {
            VolumeSource::Path(_) => MountSource::Held {
                name: held_name(number),
            },
            VolumeSource::Memory(size) => MountSource::Tmpfs { size },
        },
        target: volume.target.clone(),
        read_only: volume.read_only,
    });
    Ok(ContainerSpec {
        hostname: hostname.to_owned(),
        rootfs: Rootfs::Layers(Layers {
            layers: image.layers.clone(),
            writable: Writable::Memory,
            read_only: request.read_only,
        }),
        mounts: image.mounts.iter().cloned().chain(volumes).collect(),
        files: Vec::new(),
        exchange: Vec::new(),
        process: Process {
            argv: command_line(request, image)?,
            env: environment(request, hostname, image),
            cwd: directory(request, image),
            create_cwd: true,
            user: request.user.clone().or_else(|| image.user.clone()),
            nesting: false,
            privileges: None,
        },
        network: request.network,
        shared: Shared::default(),
        resources: request.resources,
    })
}

/// The name under which the zygote holds the volume of this number.
pub(super) fn held_name(number: usize) -> String {
    format!("volume.{number}")
}

/// An entrypoint of one's own replaces the image's command as well, as with Docker.
fn command_line(request: &Request, image: &Image) -> Result<Vec<String>, DoorError> {
    let own = request.entrypoint.as_ref();
    let entrypoint = match own {
        Some(own) if own.is_empty() => &[],
        Some(own) => std::slice::from_ref(own),
        None => image.entrypoint.as_slice(),
    };
    let command = match own {
        None if request.command.is_empty() => &image.command,
        _ => &request.command,
    };
    let argv: Vec<_> = entrypoint.iter().chain(command).cloned().collect();
    if argv.is_empty() {
        return Err(DoorError::NoCommand {
            image: request.image.clone(),
        });
    }
    Ok(argv)
}

fn environment(request: &Request, hostname: &str, image: &Image) -> Vec<(String, String)> {
    let mut all = image.environment();
    all.insert("HOSTNAME".to_owned(), hostname.to_owned());
    if let Some(term) = &request.term {
        all.insert("TERM".to_owned(), term.clone());
    }
    let own = request.env.iter();
    all.extend(own.map(|(name, value)| (name.clone(), value.clone())));
    all.into_iter().collect()
}

fn directory(request: &Request, image: &Image) -> PathBuf {
    let of_image = image.working_directory.as_deref();
    let text = request.workdir.as_deref().or(of_image).unwrap_or("/");
    Path::new("/").join(text)
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;
    use runtime::container::Network;

    use super::*;
    use crate::cli::{Cli, Command};

    fn image() -> Image {
        Image {
            layers: vec!["layers/a".to_owned()],
            env: vec!["A=image".to_owned()],
            entrypoint: vec!["/entry".to_owned(), "-x".to_owned()],
            command: vec!["default".to_owned()],
            user: Some("app".to_owned()),
            working_directory: Some("srv".to_owned()),
            ..Image::default()
        }
    }

    fn name() -> Name {
        "web".parse().unwrap()
    }

    fn request(arguments: &[&str]) -> Result<Request, DoorError> {
        let all = ["agent", "run"].iter().chain(arguments);
        let Ok(Cli {
            command: Command::Run(run),
        }) = Cli::try_parse_from(all)
        else {
            panic!("{arguments:?} is no command line");
        };
        Request::new(&run, Path::new("/here"), |_| None)
    }

    fn spec(arguments: &[&str]) -> ContainerSpec {
        of(&request(arguments).unwrap(), &name(), &image()).unwrap()
    }

    #[test]
    fn a_command_of_ones_own_follows_the_images_entrypoint() {
        let argv = |arguments: &[&str]| spec(arguments).process.argv.join(" ");
        assert_eq!(argv(&["i"]), "/entry -x default");
        assert_eq!(argv(&["i", "own", "two"]), "/entry -x own two");
        assert_eq!(argv(&["--entrypoint", "sh", "i"]), "sh");
        assert_eq!(argv(&["--entrypoint", "sh", "i", "-c", "x"]), "sh -c x");
        assert_eq!(argv(&["--entrypoint", "", "i", "ls"]), "ls");
        let none = request(&["--entrypoint", "", "i"]).unwrap();
        insta::assert_snapshot!(of(&none, &name(), &image()).unwrap_err(), @"the image `i` has neither an entrypoint nor a command: say behind it what to run");
    }

    #[test]
    fn what_is_not_said_is_the_images() {
        let plain = spec(&["i"]);
        assert_eq!(plain.process.user.as_deref(), Some("app"));
        assert_eq!(plain.process.cwd, Path::new("/srv"));
        assert_eq!(plain.hostname, "web");
        assert_eq!(plain.network, Network::Pod);
        assert!(plain.mounts.is_empty() && !plain.rootfs.is_read_only());
        let own = spec(&[
            "-u",
            "0:0",
            "-w",
            "/tmp",
            "-e",
            "A=own",
            "--read-only",
            "--network",
            "none",
            "-v",
            "/a:/b:ro",
            "i",
        ]);
        assert_eq!(own.process.user.as_deref(), Some("0:0"));
        assert_eq!(own.process.cwd, Path::new("/tmp"));
        assert!(
            own.process
                .env
                .contains(&("A".to_owned(), "own".to_owned()))
        );
        assert!(own.rootfs.is_read_only() && own.mounts[0].read_only);
        assert_eq!(own.network, Network::None);
    }

    #[test]
    fn a_host_name_cannot_say_more_than_a_name() {
        for name in ["", "a b", "a\n127.0.0.1 bank", &"x".repeat(65)] {
            assert!(request(&["--hostname", name, "i"]).is_err(), "{name:?}");
        }
        assert_eq!(
            spec(&["--hostname", "db-1.test", "i"]).hostname,
            "db-1.test"
        );
    }
}
