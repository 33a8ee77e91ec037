//! A server, an agent and a user: the whole way from `agent submit` to the last byte of a log.

mod accounts;
mod caches;
mod database;
mod deaths;
mod following;
mod logs;
mod runs;
mod states;

use harness::{Agent, Finished, Running, TestEnvironment};
use rustix::process::Signal;
use serde_json::Value;

use crate::support::git;

/// A server of the test's own.
pub(crate) struct Ci<'e> {
    env: &'e TestEnvironment,
    pub(crate) server: Running,
    pub(crate) url: String,
    pub(crate) token: String,
}

impl<'e> Ci<'e> {
    pub(crate) fn start(env: &'e TestEnvironment) -> Self {
        env.write("config.yml", "repositories: { files: true }\n");
        Self::start_at(env, "127.0.0.1:0")
    }

    pub(crate) fn start_at(env: &'e TestEnvironment, address: &str) -> Self {
        let data = env.root().join("server");
        let data = data.to_str().expect("a path of text");
        let arguments = [
            "server",
            "--listen",
            address,
            "--data",
            data,
            "--allow-file-repositories",
        ];
        let mut server = env.agent(arguments).spawn();
        let said = server.wait_for_complaint("listening on ");
        let url = said
            .lines()
            .find_map(|line| line.strip_prefix("listening on "))
            .expect("an address")
            .to_owned();
        let file = env.root().join("server/admin-token");
        let token = harness::wait::until(harness::wait::PATIENCE, || {
            std::fs::read_to_string(&file)
                .ok()
                .filter(|text| text.ends_with('\n'))
        });
        Self {
            env,
            server,
            url,
            token: token.expect("a first token").trim().to_owned(),
        }
    }

    /// A command of a user's.
    pub(crate) fn user(&self, arguments: &[&str]) -> Agent<'e> {
        self.env
            .agent(arguments)
            .variable("SLIPWAY_SERVER", &self.url)
            .variable("SLIPWAY_TOKEN", &self.token)
    }

    pub(crate) fn agent(&self, data: &str, more: &[&str]) -> Running {
        let token = self
            .user(&["tokens", "create", "agents", "--registration"])
            .run()
            .expect(0)
            .output();
        let arguments = ["start", "--server", &self.url, "--token", token.trim()];
        self.env
            .agent(arguments.iter().chain(more))
            .variable("SLIPWAY_DATA", self.env.root().join(data))
            .spawn()
    }

    pub(crate) fn submit(&self, more: &[&str]) -> Finished {
        let arguments = ["submit", "--follow"];
        let arguments: Vec<&str> = arguments.iter().chain(more).copied().collect();
        self.user(&arguments).run()
    }

    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        let output = self.user(arguments).run().expect(0).output();
        serde_json::from_str(&output).unwrap_or_else(|error| panic!("{error}: {output}"))
    }

    pub(crate) fn stop(self) {
        self.server.signal(Signal::TERM);
        let _ = self.server.finish().expect(0);
    }
}

/// Makes the project a repository with this pipeline.
pub(crate) fn repository(env: &TestEnvironment, pipeline: &str) {
    env.pipeline(pipeline);
    let project = env.project();
    if !project.join(".git").exists() {
        git(env, &project, &["init", "-q"]);
    }
    git(env, &project, &["add", "-A"]);
    git(env, &project, &["commit", "-q", "--allow-empty", "-m", "x"]);
}

pub(crate) fn wait_for_state(ci: &Ci<'_>, job: &str, state: &str) -> Value {
    let found = harness::wait::until(harness::wait::PATIENCE, || {
        let job = ci.json(&["jobs", job, "--json"]);
        (job["state"] == state).then_some(job)
    });
    found.unwrap_or_else(|| {
        panic!(
            "job {job} does not become {state}: {:#}",
            ci.json(&["jobs", job, "--json"])
        )
    })
}
