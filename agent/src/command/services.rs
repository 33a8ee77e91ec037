//! Services of a plan in words. Pure.

use pipelines::plan::{Action, Build, Probe, Ready, Service};

/// Keys and values of a service, `env` and `secrets` aside.
pub(super) fn described(service: &Service) -> Vec<(&'static str, String)> {
    let mut lines = match &service.build {
        None => vec![("image", service.command.image.to_string())],
        Some(build) => built(build),
    };
    if let Action::Entrypoint { args } = &service.command.action
        && !args.is_empty()
    {
        let args: Vec<String> = args.iter().map(ToString::to_string).collect();
        lines.push(("args", args.join(" ")));
    }
    let ready = match &service.ready {
        Some(ready) => words(ready),
        None => "as the image's health check says".to_owned(),
    };
    lines.push(("ready", ready));
    lines
}

/// Where its image comes from.
fn built(build: &Build) -> Vec<(&'static str, String)> {
    let mut lines = vec![("build", build.context.clone())];
    lines.extend(build.dockerfile.clone().map(|file| ("dockerfile", file)));
    lines.extend(build.target.clone().map(|target| ("target", target)));
    lines
}

fn words(ready: &Ready) -> String {
    let probe = match &ready.probe {
        Probe::Tcp(port) => format!("tcp {port}"),
        Probe::Http(url) => format!("http {url}"),
        Probe::Run(script) => format!("run {script}"),
        Probe::Log(pattern) => format!("log {pattern}"),
    };
    let timeout = humantime::format_duration(ready.timeout);
    format!("{probe}, within {timeout}")
}
