//! Services of a plan in words. Pure.

use pipelines::plan::{Action, Probe, Ready, Service};

/// Keys and values of a service, `env` and `secrets` aside.
pub(super) fn described(service: &Service) -> Vec<(&'static str, String)> {
    let mut lines = vec![("image", service.command.image.to_string())];
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
