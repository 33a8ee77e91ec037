//! A database elsewhere.

use rustix::process::Signal;

use harness::{Database, TestEnvironment, for_one_user};

for_one_user!(a_database_is_believed_for_its_certificate_only);

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
