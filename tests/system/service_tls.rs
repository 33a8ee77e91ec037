//! A server with a certificate of a private authority, and the unit that systemd runs it by.

use std::path::Path;
use std::process::Command;

use harness::{Authority, TestEnvironment, for_one_user};
use rustix::process::Signal;

use crate::service::repository;

for_one_user!(
    a_server_of_a_private_authority_is_trusted_where_that_is_named,
    the_units_for_systemd_are_valid,
);

fn a_server_of_a_private_authority_is_trusted_where_that_is_named(env: &TestEnvironment) {
    repository(env, "image: host\nsteps:\n  - run: echo over TLS\n");
    env.write("config.yml", "repositories: { files: true }\n");
    let keys = env.root().join("keys");
    env.write("keys/x", "");
    let _authority = Authority::make(&keys, "localhost");
    let data = env.root().join("server");
    let path = |name: &str| env.root().join(name).display().to_string();
    // Openssl's files are for who has made them.
    for name in ["server.pem", "server.key", "authority.pem"] {
        env.write(
            name,
            std::fs::read(keys.join(name)).expect("read what openssl has made"),
        );
    }
    let (certificate, key) = (path("server.pem"), path("server.key"));
    let data = data.display().to_string();
    let arguments = [
        "server",
        "--listen",
        "127.0.0.1:0",
        "--data",
        &data,
        "--tls-certificate",
        &certificate,
        "--tls-key",
        &key,
        "--allow-file-repositories",
    ];
    let mut server = env.agent(arguments).spawn();
    let said = server.wait_for_complaint("the first administrator's token");
    let url = said
        .lines()
        .find_map(|line| line.strip_prefix("listening on "))
        .expect("an address");
    let url = url.replace("127.0.0.1", "localhost");
    assert!(url.starts_with("https://"), "{url}");
    let file = env.root().join("server/admin-token");
    let token = std::fs::read_to_string(file).expect("read the first token");
    let user = |arguments: &[&str]| {
        env.agent(arguments)
            .variable("SLIPWAY_SERVER", &url)
            .variable("SLIPWAY_TOKEN", token.trim())
    };
    // Nobody knows the authority.
    let _ = user(&["jobs"])
        .run()
        .expect(69)
        .says("certificate")
        .says("--ca-file");
    let trusted =
        |arguments: &[&str]| user(arguments).variable("SSL_CERT_FILE", path("authority.pem"));
    let registration = trusted(&["tokens", "create", "agents", "--registration"]);
    let registration = registration.run().expect(0).output();
    let agent = env
        .agent(["start", "--server", &url, "--token", registration.trim()])
        .variable("SSL_CERT_FILE", path("authority.pem"))
        .variable("SLIPWAY_DATA", env.root().join("data"))
        .spawn();
    let submit = trusted(&["submit", "--follow"]);
    let _ = submit.run().expect(0).says("over TLS");
    // By its name only: the certificate is for no other.
    let other = url.replace("localhost", "127.0.0.1");
    let elsewhere = trusted(&["jobs", "--server", &other]);
    let _ = elsewhere.run().expect(69);
    agent.signal(Signal::TERM);
    let _ = agent.finish().expect(0);
    server.signal(Signal::TERM);
    let _ = server.finish().expect(0);
}

fn the_units_for_systemd_are_valid(env: &TestEnvironment) {
    let units = Path::new(env!("CARGO_MANIFEST_DIR")).join("../contrib/systemd");
    for unit in ["slipway-agent.service", "slipway-server.service"] {
        let text = std::fs::read_to_string(units.join(unit)).expect("read the unit");
        // The program has to be there.
        let text = text.replace("/usr/local/bin/agent", "/bin/true");
        env.write(format!("units/{unit}"), text);
        let verified = Command::new("systemd-analyze")
            .arg("verify")
            .arg(env.root().join("units").join(unit))
            .output()
            .expect("run systemd-analyze");
        let said = String::from_utf8_lossy(&verified.stderr).into_owned();
        let ours: Vec<&str> = said.lines().filter(|line| line.contains(unit)).collect();
        assert!(verified.status.success() && ours.is_empty(), "{said}");
    }
}
