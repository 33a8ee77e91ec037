//! Services beside the steps.

mod death;
mod life;
mod readiness;

use std::time::Duration;

use pipelines::expression::Expression;
use pipelines::plan::{Action, Command, Condition, Job, Network, Probe, Ready, Service};

use super::harness::{TestRun, job, step};
use crate::backend::ExitStatus;
use crate::backend::fake::{End, Script};

/// A service that is ready as soon as it runs, unless `probe` says otherwise: then within 30 s.
pub(super) fn service(name: &str, probe: Option<Probe>) -> Service {
    Service {
        name: name.to_owned(),
        command: Command {
            image: "db:16".into(),
            action: Action::Entrypoint { args: Vec::new() },
            env: indexmap::IndexMap::new(),
            workdir: None,
            user: None,
        },
        build: None,
        ready: probe.map(|probe| Ready {
            probe,
            timeout: Duration::from_secs(30),
        }),
        secrets: Vec::new(),
        network: Network::Default,
    }
}

/// The job `main` of these services and the steps `build` and `test`, which need the one before.
pub(super) fn with(services: impl IntoIterator<Item = Service>) -> Job {
    Job {
        services: services.into_iter().collect(),
        ..job("main", &[], [step("build"), step("test")])
    }
}

/// A run of that job with the service `db` alone.
pub(super) fn beside(probe: Option<Probe>) -> TestRun {
    TestRun::of([with([service("db", probe)])])
}

/// A condition that asks how things went.
pub(super) fn when(text: &str) -> Condition {
    Condition::When {
        expression: Expression::parse(text).unwrap(),
    }
}

/// A service that says something and dies as soon as `place` has been started.
pub(super) fn dies_beside(place: &'static str, status: ExitStatus) -> Script {
    Script {
        meets: vec![place],
        ..Script::ends(End::Exit(status)).writing(b"out of luck\n")
    }
}
