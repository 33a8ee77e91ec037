//! What who follows a pipeline hears.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use harness::{TestEnvironment, for_everyone, for_one_user};
use rustix::process::Signal;

use super::{Ci, repository};
use crate::agents::drain;

for_everyone!(who_follows_is_told_what_a_job_waits_for);

for_one_user!(
    who_finds_no_place_at_a_server_is_told_once_and_goes_on,
    who_follows_a_server_that_stays_away_is_told_and_gives_up,
);

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

/// Submits a job that says `begin` and waits for the file that is returned; it may see it.
fn submit_one_that_waits(env: &TestEnvironment) -> &'static str {
    let shared = env.root().join("shared");
    env.write("shared/x", "");
    repository(
        env,
        &format!(
            "image: host\nsteps:\n  - run: echo begin; while ! [ -e {}/go ]; do sleep 0.05; done; echo end\n",
            shared.display()
        ),
    );
    "shared/go"
}

/// Takes one of the places of who follows something, until it is dropped.
fn follow_by_hand(ci: &Ci<'_>) -> TcpStream {
    let address = ci.url.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).expect("connect");
    let request = format!(
        "GET /api/v1/jobs/1/attempts/1/events/follow HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {}\r\n\r\n",
        ci.token
    );
    stream.write_all(request.as_bytes()).expect("ask");
    let mut status = [0; 12];
    stream.read_exact(&mut status).expect("an answer");
    assert_eq!(&status, b"HTTP/1.1 200");
    stream
}

fn who_finds_no_place_at_a_server_is_told_once_and_goes_on(env: &TestEnvironment) {
    env.write("server/server.yml", "followers: { each: 1, all: 9 }\n");
    let go = submit_one_that_waits(env);
    let ci = Ci::start(env);
    let shared = env.root().join("shared");
    env.write(
        "config.yml",
        format!(
            "repositories: {{ files: true }}\nhost: {{ paths: [{}] }}\n",
            shared.display()
        ),
    );
    let agent = ci.agent("data", &[]);
    // By itself it wants more places than there are: what it does not get a place for it asks for now and then.
    let mut submitted = ci.user(&["submit", "--follow"]).spawn();
    submitted.wait_for("begin\n");
    submitted.wait_for_complaint("warning: the server is full since 2");
    submitted.signal(Signal::INT);
    let _ = submitted.finish().expect(130);

    let place = follow_by_hand(&ci);
    let words = ["logs", "-f", "1", "--patience", "1s"];
    let _ = ci.user(&words).run().expect(69).says(
        "error: the server gave no answer for 1s: with this token 1 logs, events and pipelines are followed already, as many as may be",
    );
    let mut following = ci.user(&["logs", "-f", "1"]).spawn();
    following.wait_for_complaint("; it is asked again, for 1h at most\n");
    drop(place);
    following.wait_for_complaint("the server answers again\n");
    env.write(go, "");
    let done = following.finish().expect(0);
    assert_eq!(done.output(), "begin\nend\n");
    assert_eq!(done.errors().matches("is full").count(), 1, "{done}");
    let _ = drain(agent);
    ci.stop();
}

fn who_follows_a_server_that_stays_away_is_told_and_gives_up(env: &TestEnvironment) {
    let pipeline = "image: host\njobs: { far: { runs_on: { os: plan9 }, steps: [{ run: x }] } }\n";
    repository(env, pipeline);
    let ci = Ci::start(env);
    let words = ["submit", "--follow", "--patience", "8s"];
    let mut following = ci.user(&words).spawn();
    following.wait_for("... far: no agent has os=plan9\n");
    ci.server.signal(Signal::KILL);
    let _ = ci.server.finish();
    let done = following.finish().expect(69);
    let errors = done.errors();
    let away = errors.matches("warning: the server is away since 2");
    assert_eq!(away.count(), 1, "{errors}");
    let end = "error: the server gave no answer for 8s: failed to reach http://";
    assert!(errors.contains(end), "{errors}");
}
