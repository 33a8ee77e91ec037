//! Ports of the machine that lead to services, with `agent run-local -p`.

use std::io::{Read as _, Write as _};

use harness::{Finished, MACHINE, TestEnvironment, World, for_everyone, for_one_user, images};

use crate::network::world;
use crate::support::run_local;

for_everyone!(a_published_port_leads_to_a_service_and_no_other_does);

for_one_user!(
    a_port_is_free_again_when_its_service_is_over,
    datagrams_of_the_machine_reach_a_service,
    a_database_serves_a_client_of_the_machine,
    a_port_that_somebody_has_fails_its_service,
    where_a_port_is_is_an_event,
    what_cannot_be_published_is_told_before_anything_runs,
);

/// A job with a web server at the ports 80 and 81, and a step that ends when there is a file `go`.
fn web(job: &str, more: &str) -> String {
    let image = images::plain();
    format!(
        "  {job}:
    {more}
    image: \"{image}\"
    services:
      web:
        image: \"{image}\"
        args: [sh, -c, 'mkdir /www; echo page of {job} > /www/index.html; httpd -p 81 -h /www; exec httpd -f -p 80 -h /www']
        ready: {{ tcp: 80 }}
    steps:
      - {{ name: of-{job}, run: 'until test -e go; do sleep 0.05; done' }}
"
    )
}

/// What the machine is answered at an address, if anybody answers.
fn page(world: &World, address: &str) -> Option<String> {
    let mut stream = world.connect_from_machine(address).ok()?;
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (_, body) = answer.split_once("\r\n\r\n")?;
    Some(body.to_owned())
}

fn run_in(env: &TestEnvironment, world: &World, options: &[&str]) -> Finished {
    let words = [&["run-local"], options].concat();
    env.agent(words).in_world(world).run()
}

fn a_published_port_leads_to_a_service_and_no_other_does(env: &TestEnvironment) {
    let Some(world) = world(env) else { return };
    env.pipeline(&format!("jobs:\n{}", web("main", "")));
    let options = ["-p", "127.0.0.1:9000:80", "--publish", "web:9001:80"];
    let words = [&["run-local", "--in-place"], &options[..]].concat();
    let mut running = env.agent(&words).in_world(&world).spawn();
    running.wait_for("=== main / service web: port 80 is at 127.0.0.1:9000\n");
    running.wait_for("=== main / service web: port 80 is at localhost:9001 and at all other");
    running.wait_for("=== main / service web: ready");
    for address in ["127.0.0.1:9000", "127.0.0.1:9001", "[::1]:9001"] {
        assert_eq!(
            page(&world, address).as_deref(),
            Some("page of main\n"),
            "{address}"
        );
    }
    let outer = format!("{MACHINE}:9001");
    assert_eq!(page(&world, &outer).as_deref(), Some("page of main\n"));
    for port in [9000, 80, 81] {
        let address = format!("{MACHINE}:{port}");
        assert!(world.connect_from_machine(&address).is_err(), "{address}");
    }
    for port in [80, 81, 9002] {
        let address = format!("127.0.0.1:{port}");
        assert!(world.connect_from_machine(&address).is_err(), "{address}");
    }
    env.write("project/go", "");
    let _ = running.finish().expect(0).says("run: ok");
    assert!(world.connect_from_machine("127.0.0.1:9000").is_err());
    let _ = env.agent(&words).in_world(&world).run().expect(0);
}

fn a_port_is_free_again_when_its_service_is_over(env: &TestEnvironment) {
    let Some(world) = world(env) else { return };
    let image = images::plain();
    let last = format!(
        "  last:\n    needs: [main]\n    image: \"{image}\"\n    steps: [{{ run: until test -e end; do sleep 0.05; done }}]\n"
    );
    env.pipeline(&format!("jobs:\n{}{last}", web("main", "")));
    let words = ["run-local", "--in-place", "-p", "127.0.0.1:9000:80"];
    let mut running = env.agent(words).in_world(&world).spawn();
    running.wait_for("=== main / service web: ready");
    // One that stays open does not keep the port.
    let mut open = world
        .connect_from_machine("127.0.0.1:9000")
        .expect("connect");
    env.write("project/go", "");
    running.wait_for("<== main / service web: ok");
    assert!(world.connect_from_machine("127.0.0.1:9000").is_err());
    let other = ["run", "--rm", "-p", "127.0.0.1:9000:80", &image, "true"];
    let _ = env.agent(other).in_world(&world).run().expect(0);
    env.write("project/end", "");
    let _ = running.finish().expect(0);
    let _ = open.read(&mut [0]);
}

/// Sends back what it is sent.
const ECHO: &str = r#"use Socket; $| = 1; socket(my $s, AF_INET, SOCK_DGRAM, 0) or die; bind($s, sockaddr_in(7000, INADDR_ANY)) or die; print "listening\n"; while (defined(my $from = recv($s, my $text, 1000, 0))) { send($s, "back: $text", 0, $from) }"#;

fn datagrams_of_the_machine_reach_a_service(env: &TestEnvironment) {
    let Some(world) = world(env) else { return };
    let script = serde_json::to_string(ECHO).unwrap_or_default();
    env.pipeline(&format!(
        "image: host
jobs:
  main:
    services:
      echo: {{ image: host, args: [perl, -e, {script}], ready: {{ log: listening }} }}
    steps: [{{ run: until test -e go; do sleep 0.05; done }}]
"
    ));
    let words = [
        "run-local",
        "--in-place",
        "-p",
        "echo:127.0.0.1:9000:7000/udp",
    ];
    let mut running = env.agent(words).in_world(&world).spawn();
    running.wait_for("=== main / service echo: port 7000/udp is at 127.0.0.1:9000\n");
    running.wait_for("=== main / service echo: ready");
    // Two at a time have each their own answers.
    let sockets = [(); 2].map(|()| world.datagrams_from_machine("127.0.0.1:9000"));
    for (n, socket) in sockets.iter().enumerate() {
        let text = format!("datagram {n}");
        assert_eq!(socket.send(text.as_bytes()).expect("send"), text.len());
    }
    for (n, socket) in sockets.iter().enumerate() {
        let mut answer = [0; 100];
        let length = socket.recv(&mut answer).expect("an answer");
        let answer = String::from_utf8_lossy(&answer[..length]);
        assert_eq!(answer, format!("back: datagram {n}"));
    }
    assert!(world.connect_from_machine("127.0.0.1:9000").is_err());
    env.write("project/go", "");
    let _ = running.finish().expect(0);
}

fn a_database_serves_a_client_of_the_machine(env: &TestEnvironment) {
    let Some(world) = world(env) else { return };
    let image = format!("oci:{}", images::path("services:latest").display());
    env.pipeline(&format!(
        "image: \"{image}\"
jobs:
  main:
    services:
      cache:
        image: \"{image}\"
        args: [redis-server, --bind, 0.0.0.0, --protected-mode, 'no', --save, '']
        ready: {{ log: Ready to accept connections }}
    steps: [{{ run: 'until test \"$(redis-cli -h cache get key)\" = told; do sleep 0.05; done' }}]
"
    ));
    let words = ["run-local", "-p", "127.0.0.1:9000:6379"];
    let mut running = env.agent(words).in_world(&world).spawn();
    running.wait_for("=== main / service cache: ready");
    let mut client = world
        .connect_from_machine("127.0.0.1:9000")
        .expect("connect");
    client.write_all(b"PING\r\nSET key told\r\n").expect("ask");
    let mut answer = [0; 12];
    client.read_exact(&mut answer).expect("an answer");
    assert_eq!(&answer, b"+PONG\r\n+OK\r\n");
    let _ = running.finish().expect(0);
}

fn a_port_that_somebody_has_fails_its_service(env: &TestEnvironment) {
    let Some(world) = world(env) else { return };
    let image = images::plain();
    let port = "127.0.0.1:9000:80";
    let up = "echo up; sleep 1000";
    let serve = ["run", "--name", "first", "-p", port, &image, "sh", "-c", up];
    let mut first = env.agent(serve).in_world(&world).spawn();
    first.wait_for("up");
    env.pipeline(&format!("jobs:\n{}", web("main", "")));
    let done = run_in(env, &world, &["-p", port]).expect(1);
    let holder = format!(
        "port 9000 of 127.0.0.1 is in use by agent (process {})",
        first.id()
    );
    let _ = done
        .says(&format!("<== main / service web: failed, {holder}"))
        .says("<== main / of-main: skipped, service `web` is not there")
        .says(&format!("main: failed: service `web`: {holder}"));
    let done = run_in(env, &world, &["--json", "-p", "203.0.113.77:9000:80"]).expect(1);
    let event = done
        .events()
        .into_iter()
        .find(|event| event["type"] == "service_finished");
    let event = event.expect("the service's end");
    assert_eq!(event["cause"]["kind"], "start", "{event}");
    let message = event["cause"]["message"].as_str().unwrap_or_default();
    assert!(
        message.starts_with("failed to listen at 203.0.113.77:9000: "),
        "{event}"
    );
    let _ = env.agent(["kill", "first"]).run().expect(0);
    let _ = first.finish().expect(137);
}

fn where_a_port_is_is_an_event(env: &TestEnvironment) {
    let Some(world) = world(env) else { return };
    env.write("project/go", "");
    env.pipeline(&format!("jobs:\n{}", web("main", "")));
    let done = run_in(env, &world, &["--json", "-p", "web:127.0.0.1::80"]).expect(0);
    let events = done.events();
    let at = |kind: &str| events.iter().position(|event| event["type"] == kind);
    let told = at("port_published").expect("the event");
    assert!(at("service_started") < Some(told) && Some(told) < at("service_ready"));
    let mut event = events[told].clone();
    let host_port = event["host_port"].take();
    assert!(host_port.as_u64() > Some(1023), "{host_port}");
    insta::assert_snapshot!(event.to_string(), @r#"{"host":"127.0.0.1","host_port":null,"job":"main","port":80,"protocol":"tcp","service":"web","type":"port_published"}"#);
}

fn what_cannot_be_published_is_told_before_anything_runs(env: &TestEnvironment) {
    let refused = |options: &[&str]| {
        let done = run_local(env, options).expect(2);
        done.output() + &done.errors()
    };
    env.pipeline("image: host\njobs:\n  main:\n    services: { db: { image: host, args: [x] }, cache: { image: host, args: [x] } }\n    steps: [{ run: x }]\n  other: { steps: [{ run: x }] }\n");
    insta::assert_snapshot!(refused(&["-p", "cahce:80"]), @"error: there is no service `cahce`, did you mean `cache`?; the services are `cache`, `db`");
    insta::assert_snapshot!(refused(&["-p", "80"]), @r"
    error: `--publish 80` does not say to which service it leads; there are `cache`, `db`
    help: write its name in front, such as `db:5432:5432`
    ");
    insta::assert_snapshot!(refused(&["-p", "db:http"]), @r"
    error: `--publish db:http` cannot be read: a port is a number up to 65535; ranges are not published
    help: it is written `[SERVICE:][[ADDRESS:]PORT:]PORT[/udp]`, such as `db:5432:5432`
    ");
    insta::assert_snapshot!(refused(&["-p", "db:80:80", "-p", "cache:80:81"]), @"error: `--publish db:80:80` and `--publish cache:80:81` want the same port of this machine");
    insta::assert_snapshot!(refused(&["--job", "other", "-p", "db:80"]), @"error: `--publish db:80` has no service to lead to: no job that runs has one");
    assert_eq!(refused(&["--dry-run", "-p", "80"]), refused(&["-p", "80"]));
    env.pipeline(&format!("jobs:\n{}", web("main", "matrix: { n: [1, 2] }")));
    insta::assert_snapshot!(refused(&["-p", "web:80"]), @r"
    error: service `web` exists in the jobs `main (1)`, `main (2)`
    help: choose one with `--job`, or a cell of a matrix with `--matrix`
    ");
    assert!(!env.data().join("runs").exists());
    let one = ["--dry-run", "-p", "web:80", "--matrix", "n=1"];
    let _ = run_local(env, &one).expect(0);
}
