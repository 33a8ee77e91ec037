//! A server, an agent and a user: the whole way from `agent submit` to the last byte of a log.

use harness::{
    Agent, Database, Finished, Running, TestEnvironment, for_everyone, for_one_user, images,
};
use rustix::process::Signal;
use serde_json::Value;

use crate::agents::drain;
use crate::support::git;

for_everyone!(
    a_submitted_pipeline_runs_and_is_followed_to_its_end,
    who_follows_is_told_what_a_job_waits_for,
);

for_one_user!(
    pipelines_that_fail_are_invalid_or_do_not_run_have_their_exit_codes,
    jobs_that_need_others_get_their_outputs_on_any_agent,
    a_job_is_cancelled_and_tried_again,
    logs_are_read_and_followed_with_their_times,
    the_log_of_a_service_is_read_by_its_name,
    tokens_and_agents_are_made_listed_drained_and_forgotten,
    a_killed_agents_job_is_run_by_another,
    a_server_that_is_killed_and_started_again_has_lost_nothing,
    a_database_is_believed_for_its_certificate_only,
);

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

fn who_follows_is_told_what_a_job_waits_for(env: &TestEnvironment) {
    repository(
        env,
        "image: host\njobs:\n  deploy: { approval: true, steps: [{ run: echo deployed }] }\n  \
         app: { runs_on: { os: plan9 }, steps: [{ run: echo built }] }\n",
    );
    let ci = Ci::start(env);
    let mut agent = ci.agent("data", &[]);
    agent.wait_for_complaint("agent 1 ");
    let mut following = ci.user(&["submit", "--follow"]).spawn();
    following.wait_for("... deploy: waits for approval: `agent approve 1`\n");
    following.wait_for("... app: no agent has os=plan9\n");
    let _ = ci.user(&["approve", "1"]).run().expect(0);
    let other = ci.agent("other", &["--labels", "os=plan9"]);
    let done = following.finish().expect(0);
    let output = done.output();
    assert!(output.contains("deployed\n"), "{output}");
    assert!(output.contains("built\n"), "{output}");
    // Once, and nothing of a working tree that there is not.
    assert_eq!(output.matches("waits for approval").count(), 1, "{output}");
    assert!(!output.contains("working tree"), "{output}");
    for agent in [agent, other] {
        let _ = drain(agent);
    }
    ci.stop();
}

fn a_submitted_pipeline_runs_and_is_followed_to_its_end(env: &TestEnvironment) {
    let pipeline = "image: host\njobs:\n  greet:\n    steps:\n      - name: hello\n        run: echo hello; printf 'a\\000b\\n'\n      \
                    - name: file\n        run: cat file; echo $CI_BRANCH\n";
    env.write("project/file", "of the commit\n");
    repository(env, pipeline);
    env.write("project/file", "not committed\n");
    let ci = Ci::start(env);
    let agent = ci.agent("data", &[]);
    let done = ci.submit(&["--ref", "trunk"]).expect(0);
    let output = done.output();
    for part in [
        "==> greet / hello (host)\nhello\na\0b\n",
        "==> greet / file (host)\nof the commit\ntrunk\n",
        "<== greet / hello: ok",
    ] {
        assert!(output.contains(part), "{part:?} is missing in:\n{output}");
    }
    let log = ci.user(&["logs", "1", "--step", "hello"]).run().expect(0);
    assert_eq!(log.stdout(), b"hello\na\0b\n");
    let _ = drain(agent);
    ci.stop();
}

fn pipelines_that_fail_are_invalid_or_do_not_run_have_their_exit_codes(env: &TestEnvironment) {
    repository(env, "image: host\nsteps:\n  - run: echo before; exit 4\n");
    let ci = Ci::start(env);
    let agent = ci.agent("data", &[]);
    let _ = ci
        .submit(&[])
        .expect(1)
        .says("before")
        .says("exit status 4");
    repository(env, "image: host\nsteps:\n  - runn: x\n");
    let _ = ci.submit(&[]).expect(65).says("did you mean `run`?");
    repository(
        env,
        "image: host\non: { push: { branches: [main] } }\nsteps:\n  - run: x\n",
    );
    let _ = ci
        .submit(&["--event", "push"])
        .expect(0)
        .says("Nothing runs");
    let _ = ci
        .submit(&["--ref", "no-such-branch"])
        .says("no-such-branch");
    let wrong = ci.user(&["jobs"]).variable("SLIPWAY_TOKEN", "wrong").run();
    let _ = wrong.expect(2).says("token");
    let _ = drain(agent);
    ci.server.signal(Signal::TERM);
    let url = ci.url.clone();
    let _ = ci.server.finish().expect(0);
    let away = env.agent(["jobs", "--server", &url, "--token", "x"]).run();
    let _ = away.expect(69).says("failed to reach http://127.0.0.1:");
}

fn jobs_that_need_others_get_their_outputs_on_any_agent(env: &TestEnvironment) {
    let pipeline = "image: host\njobs:\n  build:\n    runs_on: { kind: one }\n    outputs: { v: \"${{ steps.s.outputs.v }}\" }\n    steps:\n      \
                    - name: s\n        run: echo v=4.2 >> \"$SLIPWAY_OUTPUT\"\n  \
                    deploy:\n    needs: [build]\n    runs_on: { kind: two }\n    steps:\n      - run: echo \"deploys ${{ needs.build.outputs.v }}\"\n";
    repository(env, pipeline);
    let ci = Ci::start(env);
    let one = ci.agent("one", &["--labels", "kind=one"]);
    let two = ci.agent("two", &["--labels", "kind=two"]);
    let _ = ci.submit(&[]).expect(0).says("deploys 4.2");
    let agents: Vec<Value> = [1, 2]
        .map(|job| ci.json(&["jobs", &job.to_string(), "--json"])["agent"].clone())
        .into();
    assert_ne!(agents[0], agents[1]);
    let _ = drain(one);
    let _ = drain(two);
    ci.stop();
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

fn a_job_is_cancelled_and_tried_again(env: &TestEnvironment) {
    repository(
        env,
        "image: host\nsteps:\n  - run: echo begin; exec sleep 1000\n",
    );
    let ci = Ci::start(env);
    let agent = ci.agent("data", &[]);
    let mut following = ci.user(&["submit", "--follow"]).spawn();
    following.wait_for("begin");
    let _ = ci.user(&["cancel", "1"]).run().expect(0);
    let _ = following.finish().expect(130).says("cancelled");
    let _ = ci.user(&["retry", "1"]).run().expect(0);
    let again = ci.json(&["jobs", "--json"]);
    let newest = again["jobs"][0]["id"].to_string();
    let _ = wait_for_state(&ci, &newest, "running");
    let _ = ci.user(&["cancel", &newest]).run().expect(0);
    let ended = wait_for_state(&ci, &newest, "finished");
    assert_eq!(ended["conclusion"], "cancelled");
    let _ = drain(agent);
    ci.stop();
}

fn logs_are_read_and_followed_with_their_times(env: &TestEnvironment) {
    let shared = env.root().join("shared");
    env.write("shared/x", "");
    repository(
        env,
        &format!(
            "image: host\nsteps:\n  - name: a\n    run: echo begin; while ! [ -e {}/go ]; do sleep 0.05; done; echo end\n  - name: b\n    run: echo second\n",
            shared.display()
        ),
    );
    let ci = Ci::start(env);
    env.write(
        "config.yml",
        format!(
            "repositories: {{ files: true }}\nhost: {{ paths: [{}] }}\n",
            shared.display()
        ),
    );
    let agent = ci.agent("data", &[]);
    let _ = ci.user(&["submit"]).run().expect(0);
    let mut following = ci.user(&["logs", "-f", "1"]).spawn();
    following.wait_for("begin\n");
    env.write("shared/go", "");
    let followed = following.finish().expect(0);
    assert_eq!(followed.output(), "begin\nend\nsecond\n");
    let stamped = ci
        .user(&["logs", "--timestamps", "1"])
        .run()
        .expect(0)
        .output();
    let lines: Vec<(&str, &str)> = stamped
        .lines()
        .filter_map(|line| line.split_once(' '))
        .collect();
    assert_eq!(
        lines.iter().map(|(_, text)| *text).collect::<Vec<_>>(),
        ["begin", "end", "second"]
    );
    assert!(
        lines
            .iter()
            .all(|(time, _)| time.starts_with("20") && time.ends_with('Z')),
        "{stamped}"
    );
    let _ = ci
        .user(&["logs", "1", "--step", "c"])
        .run()
        .expect(2)
        .says("the steps are a, b");
    let _ = drain(agent);
    ci.stop();
}

fn the_log_of_a_service_is_read_by_its_name(env: &TestEnvironment) {
    let image = images::plain();
    repository(
        env,
        &format!(
            "image: \"{image}\"\njobs:\n  main:\n    services:\n      db:\n        image: \"{image}\"\n        \
             args: [sh, -c, \"echo served; exec sleep 600\"]\n    steps:\n      - name: step\n        run: echo step\n"
        ),
    );
    let ci = Ci::start(env);
    let agent = ci.agent("data", &[]);
    let _ = ci.user(&["submit", "--follow"]).run().expect(0);
    let of = |words: &[&str]| ci.user(&[&["logs", "1"], words].concat()).run();
    assert_eq!(of(&["--service", "db"]).expect(0).output(), "served\n");
    let followed = of(&["--service", "db", "--follow", "--timestamps"]);
    let followed = followed.expect(0).output();
    assert!(followed.ends_with("Z served\n"), "{followed}");
    assert_eq!(of(&[]).expect(0).output(), "step\n");
    let _ = of(&["--service", "web"])
        .expect(2)
        .says("job 1 has no service `web`")
        .says("it has `db`");
    let _ = of(&["--attempt", "7"])
        .expect(2)
        .says("job 1 has no attempt 7")
        .says("its attempts are 1");
    let _ = drain(agent);
    ci.stop();
}

fn tokens_and_agents_are_made_listed_drained_and_forgotten(env: &TestEnvironment) {
    repository(env, "image: host\nsteps:\n  - run: echo hello\n");
    let ci = Ci::start(env);
    let mut agent = ci.agent("data", &["--name", "north", "--labels", "os=linux"]);
    let listed = harness::wait::until(harness::wait::PATIENCE, || {
        let agents = ci.json(&["agents", "--json"]);
        agents
            .as_array()
            .filter(|agents| !agents.is_empty())
            .cloned()
    });
    let id = listed.expect("an agent")[0]["id"].to_string();
    let _ = ci
        .user(&["agents"])
        .run()
        .expect(0)
        .says("north")
        .says("os=linux");
    let _ = ci.user(&["drain", &id, "--wait"]).run().expect(0);
    let _ = agent.wait_for_complaint("the server wants this agent to take no more jobs");
    let _ = ci.user(&["submit"]).run().expect(0);
    let _ = ci
        .user(&["jobs"])
        .run()
        .expect(0)
        .says("waits for an agent");
    let _ = ci.user(&["drain", &id, "--undo"]).run().expect(0);
    let _ = wait_for_state(&ci, "1", "finished");

    let reader = ci
        .user(&[
            "tokens",
            "create",
            "me",
            "--role",
            "reader",
            "--expires",
            "1h",
        ])
        .run()
        .expect(0);
    let reader = reader.output().trim().to_owned();
    let as_reader =
        |arguments: &[&str]| ci.user(arguments).variable("SLIPWAY_TOKEN", &reader).run();
    let _ = as_reader(&["jobs"]).expect(0);
    let _ = as_reader(&["cancel", "1"]).expect(2);
    let tokens = ci.json(&["tokens", "list", "--json"]);
    let mine = tokens["tokens"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|token| token["name"] == "me");
    let mine = mine.expect("the token")["id"].to_string();
    let _ = ci.user(&["tokens", "revoke", &mine]).run().expect(0);
    let _ = as_reader(&["jobs"]).expect(2);
    let _ = drain(agent);
    let _ = ci.user(&["agents", "--remove", &id]).run().expect(0);
    assert_eq!(ci.json(&["agents", "--json"]), serde_json::json!([]));
    ci.stop();
}

fn a_killed_agents_job_is_run_by_another(env: &TestEnvironment) {
    let shared = env.root().join("shared");
    env.write("shared/x", "");
    repository(
        env,
        &format!(
            "image: host\nsteps:\n  - run: echo begin; while ! [ -e {}/go ]; do sleep 0.05; done; echo end\n",
            shared.display()
        ),
    );
    let ci = Ci::start(env);
    env.write(
        "config.yml",
        format!(
            "repositories: {{ files: true }}\nhost: {{ paths: [{}] }}\n",
            shared.display()
        ),
    );
    let agent = ci.agent("one", &[]);
    let mut following = ci.user(&["submit", "--follow"]).spawn();
    following.wait_for("begin\n");
    agent.signal(Signal::KILL);
    let _ = agent.finish();
    // The same machine: its next start gives the job back at once, and takes it again.
    let agent = ci.agent("one", &[]);
    env.write("shared/go", "");
    let done = following.finish().expect(0);
    assert!(done.output().contains("end\n"), "{done}");
    let job = ci.json(&["jobs", "1", "--json"]);
    assert_eq!(job["attempts"].as_array().map(Vec::len), Some(2), "{job:#}");
    let _ = ci
        .user(&["logs", "1", "--attempt", "1"])
        .run()
        .expect(0)
        .says("begin");
    let _ = drain(agent);
    ci.stop();
}

fn a_server_that_is_killed_and_started_again_has_lost_nothing(env: &TestEnvironment) {
    let shared = env.root().join("shared");
    env.write("shared/x", "");
    repository(
        env,
        &format!(
            "image: host\nsteps:\n  - run: echo begin; while ! [ -e {}/go ]; do sleep 0.05; done; i=0; while [ $i -lt 20000 ]; do echo \"line $i\"; i=$((i+1)); done\n",
            shared.display()
        ),
    );
    let mut ci = Ci::start(env);
    env.write(
        "config.yml",
        format!(
            "repositories: {{ files: true }}\nhost: {{ paths: [{}] }}\n",
            shared.display()
        ),
    );
    let agent = ci.agent("data", &[]);
    let mut following = ci.user(&["submit", "--follow"]).spawn();
    following.wait_for("begin\n");
    ci.server.signal(Signal::KILL);
    ci.server.wait_for_end();
    env.write("shared/go", "");
    let address = ci.url.trim_start_matches("http://").to_owned();
    let token = ci.token.clone();
    drop(ci);
    let mut ci = Ci::start_at(env, &address);
    ci.token = token;
    let done = following.finish().expect(0);
    let expected: String = (0..20_000).map(|line| format!("line {line}\n")).collect();
    let expected = format!("begin\n{expected}");
    assert!(
        done.output().contains(&expected),
        "what was followed differs"
    );
    let log = ci.user(&["logs", "1"]).run().expect(0);
    assert!(log.output() == expected, "the log differs");
    let _ = drain(agent);
    ci.stop();
}

fn a_database_is_believed_for_its_certificate_only(env: &TestEnvironment) {
    let database = Database::start_with_tls();
    env.write("authority.pem", database.authority());
    let data = env.root().join("server").display().to_string();
    let url = database.url();
    let verified = format!("{url}?sslmode=verify-full");
    let serve = |url: &str| {
        let words = [
            "server",
            "--listen",
            "127.0.0.1:0",
            "--data",
            &data,
            "--database",
            url,
        ];
        env.agent(words)
    };
    // An authority that nobody trusts, another host, and no encryption at all, which this database does not take.
    let _ = serve(&verified).run().expect(69).says("UnknownIssuer");
    let authority = env.root().join("authority.pem");
    let trusting = |url: &str| serve(url).variable("SSL_CERT_FILE", &authority);
    let elsewhere = verified.replace("localhost", "127.0.0.1");
    let _ = trusting(&elsewhere)
        .run()
        .expect(69)
        .says("not valid for name");
    let _ = trusting(&url).run().expect(69).says("no encryption");

    let mut server = trusting(&verified).spawn();
    let _ = server.wait_for_complaint("listening on ");
    server.signal(Signal::TERM);
    let _ = server.finish().expect(0);
}
