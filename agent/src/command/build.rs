//! `agent build`: an image from a Dockerfile.

use std::collections::BTreeMap;
use std::env;
use std::io::{self, Read as _, Write as _};
use std::path::Path;
use std::sync::Mutex;

use runtime::build::{self, BuildFailure, Context, ContextError, FailureKind, Request, Tools};
use runtime::container::{Network, Resources};
use runtime::dockerfile::{self, Dockerfile, MAX_FILE, Problem};
use runtime::image::Reference;
use runtime::zygote::Zygote;
use tokio::sync::OnceCell;

use super::CommandError;
use super::error::starting;
use super::image::{name, short};
use super::printing::print;
use crate::backend::ConnectError;
use crate::building::{Ground, OwnNetwork};
use crate::cli::{Build, NetworkMode};
use crate::config::Config;
use crate::exit_code::ExitCode;
use crate::images::Images;
use crate::machine::Machine;
use crate::open_files;
use crate::output::{Stdout, complain};

const DOCKERFILE: &str = "Dockerfile";

/// A Dockerfile's text, and what people call it.
struct Text {
    shown: String,
    /// From the context, where it is in it: `NAME.dockerignore` belongs to it.
    name: Option<String>,
    bytes: Vec<u8>,
}

/// Builds an image. To be called on the process's only thread, which forks.
///
/// # Errors
/// When it could not begin. A Dockerfile that is wrong, or does not succeed, is told here.
pub fn execute(arguments: &Build, machine: &Machine) -> Result<ExitCode, CommandError> {
    let config = Config::load(machine.config.as_ref())?;
    let tags = arguments.tags.iter().map(|tag| name(tag));
    let tags: Vec<Reference> = tags.collect::<Result<_, _>>()?;
    let args = build_arguments(&arguments.args, |name| env::var(name).ok());
    let (context, text) = open(arguments)?;
    let file = match dockerfile::parse(&text.bytes) {
        Ok(file) => file,
        Err(problems) => {
            for problem in problems {
                tell(&problem, &text);
            }
            return Ok(ExitCode::InvalidPipeline);
        }
    };
    let base = env::current_dir().map_err(starting("find the current directory"))?;
    machine.create_data()?;
    let zygote = Zygote::spawn(&machine.data).map_err(ConnectError::from)?;
    open_files::raise_limit();
    let images = Images::new(&zygote, &machine.data, &base, &config).map_err(ConnectError::from)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(starting("start the async runtime"))?;
    let errors = Mutex::new(Stdout::errors().map_err(starting("open standard error"))?);
    let log = |bytes: &[u8]| {
        if !arguments.quiet
            && let Ok(mut errors) = errors.lock()
        {
            // Who does not listen is not told.
            let _ = errors.write_all(bytes);
        }
    };
    let network = OwnNetwork {
        zygote: &zygote,
        wanted: match arguments.network {
            NetworkMode::Default => Network::Pod,
            NetworkMode::None => Network::None,
            NetworkMode::Host => Network::Host,
        },
        allows_host: config.network.host,
        pools: &config.network.pools,
        pod: OnceCell::new(),
    };
    let ground = Ground {
        zygote: &zygote,
        images: &images,
        network: &network,
        resources: Resources::default(),
        asks: arguments.pull,
        log: &log,
    };
    let request = request(arguments, &file, &context, &args, &tags);
    let tools = Tools {
        zygote: &zygote,
        store: images.store(),
        host: &ground,
    };
    let built = runtime.block_on(async {
        let sweep = zygote.sweep();
        let (built, swept) = tokio::join!(build::build(&request, tools), sweep);
        if let Err(error) = swept {
            tracing::warn!(%error, "the remains of an earlier agent cannot be removed");
        }
        built
    });
    match built {
        Ok(built) => {
            runtime.block_on(images.tidy(&zygote));
            if let Some(path) = &arguments.iidfile {
                let written = std::fs::write(path, built.id.to_string());
                written.map_err(|source| CommandError::Unwritten {
                    path: path.display().to_string(),
                    source,
                })?;
            }
            let name = built.names.first().map_or("", |name| short(name));
            print(&format!("{name}\n"))?;
            Ok(ExitCode::Success)
        }
        Err(BuildFailure { kind, problem }) => {
            tell(&problem, &text);
            Ok(match kind {
                FailureKind::Dockerfile => ExitCode::InvalidPipeline,
                FailureKind::Instruction => ExitCode::Failed,
                FailureKind::Unavailable => ExitCode::Unavailable,
                FailureKind::Internal => ExitCode::Internal,
            })
        }
    }
}

fn request<'a>(
    arguments: &'a Build,
    file: &'a Dockerfile,
    context: &'a Context,
    args: &'a BTreeMap<String, String>,
    names: &'a [Reference],
) -> Request<'a> {
    Request {
        dockerfile: file,
        context,
        target: arguments.target.as_deref(),
        args,
        uses_cache: !arguments.no_cache,
        names,
    }
}

fn tell(problem: &Problem, text: &Text) {
    let shown = problem.render(&text.shown, &String::from_utf8_lossy(&text.bytes));
    complain(format_args!("{}", shown.trim_end()));
}

/// One without `=` is taken from the agent's own environment, where it is set.
fn build_arguments(
    texts: &[String],
    own: impl Fn(&str) -> Option<String>,
) -> BTreeMap<String, String> {
    let read = |text: &String| match text.split_once('=') {
        Some((name, value)) => Some((name.to_owned(), value.to_owned())),
        None => Some((text.clone(), own(text)?)),
    };
    texts.iter().filter_map(read).collect()
}

/// The directory and the Dockerfile.
fn open(arguments: &Build) -> Result<(Context, Text), CommandError> {
    let is_input = |path: &Path| path.as_os_str() == "-";
    if is_input(&arguments.context) {
        return Ok((Context::empty(), standard_input()?));
    }
    let context = Context::open(&arguments.context).map_err(unread)?;
    let text = match &arguments.file {
        Some(path) if is_input(path) => standard_input()?,
        Some(path) => {
            let read = std::fs::File::open(path).and_then(bounded);
            let bytes = read.map_err(|source| CommandError::Unread {
                path: path.clone(),
                source,
            })?;
            let inside = path.strip_prefix(&arguments.context).ok();
            Text {
                shown: path.display().to_string(),
                name: inside.and_then(|name| name.to_str().map(str::to_owned)),
                bytes,
            }
        }
        None => {
            let path = arguments.context.join(DOCKERFILE);
            let missing = || CommandError::Unread {
                path: path.clone(),
                source: io::ErrorKind::NotFound.into(),
            };
            let plain = path.strip_prefix(".").unwrap_or(&path);
            Text {
                shown: plain.display().to_string(),
                name: Some(DOCKERFILE.to_owned()),
                bytes: context
                    .read(DOCKERFILE)
                    .map_err(unread)?
                    .ok_or_else(missing)?,
            }
        }
    };
    let context = context.ignoring(text.name.as_deref()).map_err(unread)?;
    Ok((context, text))
}

fn unread(error: ContextError) -> CommandError {
    match error {
        ContextError::Open { path, source } | ContextError::Read { path, source } => {
            CommandError::Unread { path, source }
        }
        ContextError::TooLarge { path } => CommandError::Unread {
            path,
            source: io::ErrorKind::FileTooLarge.into(),
        },
    }
}

fn standard_input() -> Result<Text, CommandError> {
    let bytes = bounded(io::stdin().lock()).map_err(starting("read standard input"))?;
    Ok(Text {
        shown: "standard input".to_owned(),
        name: None,
        bytes,
    })
}

/// What is too much is told by who reads it.
fn bounded(input: impl io::Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    input.take(MAX_FILE as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_come_from_the_command_line_or_the_environment() {
        let own = |name: &str| (name == "HERE").then(|| "own".to_owned());
        let texts = ["A=1=2", "B=", "HERE", "GONE"].map(str::to_owned);
        let read = build_arguments(&texts, own);
        let expected = [("A", "1=2"), ("B", ""), ("HERE", "own")];
        assert_eq!(
            read,
            expected
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into()
        );
    }
}
