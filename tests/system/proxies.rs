//! Registries behind a proxy: the environment says which one, and for which hosts it is not.

use harness::{Agent, Proxy, Registry, TestEnvironment, for_root, images};

for_root!(
    a_registry_is_reached_through_the_proxy_of_the_environment,
    a_host_that_is_excepted_is_reached_directly,
    a_proxy_that_does_not_work_is_named,
);

/// A registry with a name that only a proxy of these tests can resolve.
fn registry(env: &TestEnvironment) -> (Registry, String) {
    let registry = Registry::start_with_tls("registry.test");
    let _ = registry.push(&images::busybox(), "behind");
    env.write("authority.pem", registry.authority());
    let reference = format!("registry.test:{}/behind", registry.port());
    (registry, reference)
}

fn pull<'a>(env: &'a TestEnvironment, reference: &str) -> Agent<'a> {
    env.agent(["pull", "-q", reference])
        .variable("SSL_CERT_FILE", env.root().join("authority.pem"))
}

fn a_registry_is_reached_through_the_proxy_of_the_environment(env: &TestEnvironment) {
    let (registry, reference) = registry(env);
    let proxy = Proxy::start();
    for variable in ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"] {
        let before = proxy.requests().len();
        let done = pull(env, &reference).variable(variable, proxy.url()).run();
        let _ = done.expect(0).says("sha256:");
        let asked = proxy.requests().split_off(before);
        let line = format!("CONNECT registry.test:{} ", registry.port());
        assert!(
            !asked.is_empty() && asked.iter().all(|one| one.starts_with(&line)),
            "{asked:?}"
        );
        std::fs::remove_dir_all(env.data()).expect("forget the image");
    }
    // A log-in to the proxy itself stays with it.
    let with_user = proxy.url().replace("http://", "http://user:sesame@");
    let done = pull(env, &reference)
        .variable("HTTPS_PROXY", &with_user)
        .run();
    let _ = done.expect(0).does_not_say("sesame");
    // base64 of `user:sesame`
    let said = proxy.requests().concat().to_lowercase();
    assert!(
        said.contains("proxy-authorization: basic dxnlcjpzzxnhbwu="),
        "{said}"
    );
}

fn a_host_that_is_excepted_is_reached_directly(env: &TestEnvironment) {
    let (registry, reference) = registry(env);
    let proxy = Proxy::start();
    env.write("hosts", "127.0.0.1 localhost registry.test\n");
    let hosts = format!("mount --bind {}/hosts /etc/hosts", env.root().display());
    for except in ["registry.test", ".test", "other.example,registry.test", "*"] {
        let done = pull(env, &reference)
            .variable("HTTPS_PROXY", proxy.url())
            .variable("NO_PROXY", except)
            .after(&hosts)
            .run();
        let _ = done.expect(0).says("sha256:");
        assert_eq!(proxy.requests(), Vec::<String>::new(), "{except}");
    }
    // Loopback addresses are never asked for from a proxy.
    let open = Registry::start();
    let local = open.push(&images::busybox(), "local");
    let done = pull(env, &local)
        .variable("HTTP_PROXY", proxy.url())
        .variable("ALL_PROXY", proxy.url())
        .run();
    let _ = done.expect(0);
    assert_eq!(proxy.requests(), Vec::<String>::new());
    drop(registry);
}

fn a_proxy_that_does_not_work_is_named(env: &TestEnvironment) {
    let (_registry, reference) = registry(env);
    let proxy = Proxy::start();
    let url = proxy.url();
    drop(proxy);
    let done = pull(env, &reference)
        .variable("HTTPS_PROXY", url.replace("http://", "http://user:sesame@"))
        .run();
    let _ = done
        .expect(69)
        .says("registry.test")
        .says("refused")
        .does_not_say("sesame");
}
