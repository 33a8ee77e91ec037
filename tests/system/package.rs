//! A real package: Debian's `hello`, built and checked by a graph of jobs in Debian images from a registry.

use harness::{Registry, TestEnvironment, for_users_with_ranges, images};

use crate::support::run_local;

for_users_with_ranges!(
    debians_hello_is_built_and_checked,
    a_broken_test_of_debians_hello_fails_the_run
);

/// What the package's maintainer would write. `BUILD` and `DEBIAN` stand for the images.
const PIPELINE: &str = r#"name: hello
image: "BUILD"
env: { LC_ALL: C.UTF-8 }

jobs:
  format:
    image: "DEBIAN"
    steps:
      - name: source format
        run: test "$(cat debian/source/format)" = "3.0 (quilt)"
      - name: changelog
        run: |
          head -n 1 debian/changelog
          head -n 1 debian/changelog | grep -Eq '^hello \([0-9.]+-[0-9]+\) '
  check:
    steps:
      - name: configure
        run: ./configure --quiet
      - name: build
        run: make -j2 --quiet
      - name: make check
        run: make check
      - name: greeting
        run: test "$(./hello)" = "Hello, world!"
  docs:
    needs: [format]
    steps:
      - name: manual
        run: |
          ./configure --quiet
          make --quiet -C doc info || make --quiet
          test -s doc/hello.info
  package:
    needs: [check, docs]
    steps:
      - name: binary package
        run: |
          dpkg-buildpackage -b -us -uc -nc -d
          dpkg-deb --info ../hello_*.deb | grep -q 'Package: hello'
"#;

fn prepare(env: &TestEnvironment) -> Registry {
    let registry = Registry::start();
    let push = |name: &str| {
        let layout = format!("oci:{}:latest", images::path(name).display());
        registry.push(&layout, name)
    };
    env.copy_into_project(&images::path("hello"));
    env.pipeline(
        &PIPELINE
            .replace("BUILD", &push("debian-build"))
            .replace("DEBIAN", &push("debian")),
    );
    registry
}

fn debians_hello_is_built_and_checked(env: &TestEnvironment) {
    let _registry = prepare(env);
    let done = run_local(env, &[])
        .expect(0)
        .says("# PASS:  ")
        .says("# FAIL:  0")
        .says("run: ok");
    assert!(
        !env.project().join("hello").exists(),
        "the build wrote into the working tree: {done}"
    );
}

fn a_broken_test_of_debians_hello_fails_the_run(env: &TestEnvironment) {
    let _registry = prepare(env);
    let test = env.read("project/tests/hello-1");
    env.write(
        "project/tests/hello-1",
        test.replace("Hello, world!", "Farewell, world!"),
    );
    let done = run_local(env, &["--job", "check"]).expect(1);
    let _ = done
        .says("FAIL: tests/hello-1")
        .says("check / make check: failed")
        .says("exit status 2");
}
