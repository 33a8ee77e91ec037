//! The tables of `distribution/reference`'s `reference_test.go` and `normalize_test.go` (Apache License 2.0,
//! The Distribution Authors), transcribed.

use super::*;

const F: &str = "sha256:ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff";

/// `TestReferenceParse`: input, domain, path, tag, has a digest. `F` in the input stands for a digest.
const GRAMMAR: &[(&str, &str, &str, &str)] = &[
    ("test_com", "", "test_com", ""),
    ("test.com:tag", "", "test.com", "tag"),
    ("test.com:5000", "", "test.com", "5000"),
    ("test.com/repo:tag", "test.com", "repo", "tag"),
    ("test:5000/repo", "test:5000", "repo", ""),
    ("test:5000/repo:tag", "test:5000", "repo", "tag"),
    ("test:5000/repo@F", "test:5000", "repo", ""),
    ("test:5000/repo:tag@F", "test:5000", "repo", "tag"),
    ("lowercase:Uppercase", "", "lowercase", "Uppercase"),
    (
        "sub-dom1.foo.com/bar/baz/quux",
        "sub-dom1.foo.com",
        "bar/baz/quux",
        "",
    ),
    (
        "sub-dom1.foo.com/bar/baz/quux:some-long-tag",
        "sub-dom1.foo.com",
        "bar/baz/quux",
        "some-long-tag",
    ),
    (
        "b.gcr.io/test.example.com/my-app:test.example.com",
        "b.gcr.io",
        "test.example.com/my-app",
        "test.example.com",
    ),
    (
        "xn--n3h.com/myimage:xn--n3h.com",
        "xn--n3h.com",
        "myimage",
        "xn--n3h.com",
    ),
    (
        "xn--7o8h.com/myimage:xn--7o8h.com@F",
        "xn--7o8h.com",
        "myimage",
        "xn--7o8h.com",
    ),
    ("foo_bar.com:8080", "", "foo_bar.com", "8080"),
    ("foo/foo_bar.com:8080", "foo", "foo_bar.com", "8080"),
    ("192.168.1.1", "", "192.168.1.1", ""),
    ("192.168.1.1:tag", "", "192.168.1.1", "tag"),
    ("192.168.1.1:5000", "", "192.168.1.1", "5000"),
    ("192.168.1.1/repo", "192.168.1.1", "repo", ""),
    ("192.168.1.1:5000/repo", "192.168.1.1:5000", "repo", ""),
    (
        "192.168.1.1:5000/repo:5050",
        "192.168.1.1:5000",
        "repo",
        "5050",
    ),
    ("[2001:db8::1]/repo", "[2001:db8::1]", "repo", ""),
    (
        "[2001:db8:1:2:3:4:5:6]/repo:tag",
        "[2001:db8:1:2:3:4:5:6]",
        "repo",
        "tag",
    ),
    ("[2001:db8::1]:5000/repo", "[2001:db8::1]:5000", "repo", ""),
    (
        "[2001:db8::1]:5000/repo:tag",
        "[2001:db8::1]:5000",
        "repo",
        "tag",
    ),
    (
        "[2001:db8::1]:5000/repo@F",
        "[2001:db8::1]:5000",
        "repo",
        "",
    ),
    (
        "[2001:db8::1]:5000/repo:tag@F",
        "[2001:db8::1]:5000",
        "repo",
        "tag",
    ),
    ("[2001:db8::]:5000/repo", "[2001:db8::]:5000", "repo", ""),
    ("[::1]:5000/repo", "[::1]:5000", "repo", ""),
];

#[test]
fn the_grammar_is_that_of_distribution() {
    for (input, domain, path, tag) in GRAMMAR {
        let input = input.replace('F', F);
        let parts = parse(&input).unwrap_or_else(|error| panic!("{input}: {error}"));
        assert_eq!(parts.domain.unwrap_or_default(), *domain, "{input}");
        assert_eq!(parts.path, *path, "{input}");
        assert_eq!(parts.tag.unwrap_or_default(), *tag, "{input}");
        assert_eq!(parts.digest.is_some(), input.contains('@'), "{input}");
    }
    let long = "a/".repeat(127) + "a:tag-puts-this-over-max";
    assert_eq!(parse(&long).unwrap().domain, Some("a"));
    let long = format!("example.com/{}:tag", "a".repeat(255));
    assert_eq!(parse(&long).unwrap().path.len(), 255);
}

#[test]
fn what_distribution_refuses_is_refused() {
    let format = |text: &str| ReferenceError::Format(text.to_owned());
    let f64 = "f".repeat(64);
    let cases = [
        (String::new(), ReferenceError::Empty),
        (":justtag".into(), format(":justtag")),
        (format!("@{F}"), format(&format!("@{F}"))),
        (
            format!("repo@sha256:{}", "f".repeat(34)),
            ReferenceError::Digest(DigestError::Length(34)),
        ),
        (
            format!("validname@invaliddigest:{f64}"),
            ReferenceError::Digest(DigestError::Algorithm("invaliddigest".into())),
        ),
        (
            format!("validname@sha512:{f64}{f64}"),
            ReferenceError::Digest(DigestError::Algorithm("sha512".into())),
        ),
        (
            "Uppercase:tag".into(),
            ReferenceError::Uppercase("Uppercase:tag".into()),
        ),
        (
            "test:5000/Uppercase/lowercase:tag".into(),
            ReferenceError::Uppercase("test:5000/Uppercase/lowercase:tag".into()),
        ),
        (
            format!("domain/{}:tag", "a".repeat(256)),
            ReferenceError::TooLong,
        ),
        ("aa/asdf$$^/aa".into(), format("aa/asdf$$^/aa")),
        ("[2001:db8::1]".into(), format("[2001:db8::1]")),
        ("[2001:db8::1]:5000".into(), format("[2001:db8::1]:5000")),
        ("[2001:db8::1]:tag".into(), format("[2001:db8::1]:tag")),
        (
            "[fe80::1%eth0]:5000/repo".into(),
            format("[fe80::1%eth0]:5000/repo"),
        ),
        (
            "[fe80::1%@invalidzone]:5000/repo".into(),
            format("[fe80::1%@invalidzone]:5000/repo"),
        ),
    ];
    for (input, error) in cases {
        assert_eq!(parse(&input).unwrap_err(), error, "{input}");
    }
}

/// `TestValidateReferenceName` and `TestValidateRemoteName`.
#[test]
fn docker_names_are_told_from_others() {
    let valid = "docker/docker library/debian debian localhost/library/debian localhost/debian \
        LOCALDOMAIN/library/debian LOCALDOMAIN/debian docker.io/docker/docker docker.io/library/debian \
        docker.io/debian index.docker.io/docker/docker index.docker.io/library/debian index.docker.io/debian \
        127.0.0.1:5000/docker/docker 127.0.0.1:5000/library/debian 127.0.0.1:5000/debian 192.168.0.1 \
        192.168.0.1:80 192.168.0.1:8/debian 192.168.0.2:25000/debian \
        thisisthesongthatneverendsitgoesonandonandthisisthesongthatnev [fc00::1]:5000/docker \
        [fc00::1]:5000/docker/docker [fc00:1:2:3:4:5:6:7]:5000/library/debian \
        docker.io/1a3f5e7d9c1b3a5f7e9d1c3b5a7f9e1d3c5b7a9f1e3d5d7c9b1a3f5e7d9c1b3a Docker/docker DOCKER/docker \
        docker-rules/docker docker---rules/docker doc/docker d/docker jess/t dock__er/docker";
    for name in valid.split_whitespace() {
        name.parse::<Reference>()
            .unwrap_or_else(|error| panic!("{name}: {error}"));
    }
    let invalid = "https://github.com/docker/docker docker/Docker -docker -docker/docker -docker.io/docker/docker \
        docker///docker docker.io/docker/Docker docker.io/docker///docker [fc00::1] [fc00::1]:5000 \
        fc00::1:5000/debian [fe80::1%eth0]:5000/debian [2001:db8:3:4::192.0.2.33]:5000/debian \
        1a3f5e7d9c1b3a5f7e9d1c3b5a7f9e1d3c5b7a9f1e3d5d7c9b1a3f5e7d9c1b3a docker-/docker -docker-/docker \
        ____/____ _docker/_docker dock..er/docker dock_.er/docker dock-.er/docker docker/";
    for name in invalid.split_whitespace() {
        assert!(name.parse::<Reference>().is_err(), "{name}");
    }
    assert!(
        format!("{}/docker", "long".repeat(64))
            .parse::<Reference>()
            .is_err()
    );
}

/// `TestParseRepositoryInfo`: familiar name, full name, ambiguous name.
#[test]
fn short_names_are_filled_in_as_docker_does() {
    let table = [
        ("localhost/fooo", "localhost/fooo", ""),
        ("localhost/fooo/bar", "localhost/fooo/bar", ""),
        ("LOCALDOMAIN/fooo", "LOCALDOMAIN/fooo", ""),
        ("LOCALDOMAIN/fooo/bar", "LOCALDOMAIN/fooo/bar", ""),
        ("fooo/bar", "docker.io/fooo/bar", "index.docker.io/fooo/bar"),
        ("ubuntu", "docker.io/library/ubuntu", "library/ubuntu"),
        ("nonlibrary/ubuntu", "docker.io/nonlibrary/ubuntu", ""),
        ("other/library", "docker.io/other/library", ""),
        (
            "127.0.0.1:8000/private/moonbase",
            "127.0.0.1:8000/private/moonbase",
            "",
        ),
        (
            "127.0.0.1:8000/privatebase",
            "127.0.0.1:8000/privatebase",
            "",
        ),
        (
            "example.com/private/moonbase",
            "example.com/private/moonbase",
            "",
        ),
        (
            "example.com:8000/privatebasee",
            "example.com:8000/privatebasee",
            "",
        ),
        (
            "ubuntu-12.04-base",
            "docker.io/library/ubuntu-12.04-base",
            "index.docker.io/library/ubuntu-12.04-base",
        ),
        ("foo", "docker.io/library/foo", "docker.io/foo"),
        ("library/foo/bar", "docker.io/library/foo/bar", ""),
        ("store/foo/bar", "docker.io/store/foo/bar", ""),
        ("Foo/bar", "Foo/bar", ""),
        ("FOO/bar", "FOO/bar", ""),
    ];
    for (familiar, full, ambiguous) in table {
        for name in [familiar, full, ambiguous]
            .into_iter()
            .filter(|name| !name.is_empty())
        {
            let reference: Reference = name
                .parse()
                .unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(reference.to_string(), format!("{full}:latest"), "{name}");
        }
    }
}

#[test]
fn a_digest_needs_no_tag_and_wins_over_one() {
    let pinned: Reference = format!("debian@{F}").parse().unwrap();
    assert_eq!((pinned.tag(), pinned.version()), (None, F.to_owned()));
    let both: Reference = format!("debian:bookworm@{F}").parse().unwrap();
    assert_eq!(
        (both.tag(), both.version()),
        (Some("bookworm"), F.to_owned())
    );
    assert_eq!(both.to_string().parse(), Ok(both));
}
