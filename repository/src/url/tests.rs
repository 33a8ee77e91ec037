use super::{Allowed, Url, UrlError};

const EVERYTHING: Allowed = Allowed {
    files: true,
    plain_http: true,
    this_machine: true,
};

fn shown(text: &str) -> String {
    match Url::parse(text, Allowed::default()) {
        Ok(url) => url.to_string(),
        Err(error) => format!("{error:?}"),
    }
}

#[test]
fn the_usual_forms_are_taken() {
    assert_eq!(
        shown("https://Example.org/a/b.git"),
        "https://example.org/a/b.git"
    );
    assert_eq!(
        shown("https://example.org:8443/a/"),
        "https://example.org:8443/a"
    );
    assert_eq!(
        shown("ssh://git@example.org:22/a/b"),
        "ssh://git@example.org:22/a/b"
    );
    assert_eq!(
        shown("git@example.org:a/b.git"),
        "ssh://git@example.org/a/b.git"
    );
    assert_eq!(shown("https://[::1]:80/a"), "https://[::1]:80/a");
    assert_eq!(shown("http://127.0.0.1:3000/a"), "http://127.0.0.1:3000/a");
    let file = Url::parse("/srv/git/a.git", EVERYTHING).unwrap();
    assert_eq!(
        (file.to_string().as_str(), file.repository_name()),
        ("file:///srv/git/a.git", "a")
    );
    assert_eq!(
        Url::parse("file:///srv/a/.git", EVERYTHING)
            .unwrap()
            .repository_name(),
        "a"
    );
}

#[test]
fn what_would_execute_or_mislead_is_refused() {
    for (text, why) in [
        ("ext::sh -c id", "Characters"),
        ("ext::id", "Scheme(\"ext\")"),
        ("fd::17", "Scheme(\"fd\")"),
        ("--upload-pack=id", "Dash"),
        ("ssh://-oProxyCommand=id/x", "Dash"),
        ("ssh://-oProxyCommand@host/x", "Dash"),
        ("-oProxyCommand=id@host:x", "Dash"),
        ("git@-host:x", "Dash"),
        ("git@host:-x", "Dash"),
        ("https://host/--x", "Dash"),
        ("git://host/x", "Scheme(\"git\")"),
        ("ftp://host/x", "Scheme(\"ftp\")"),
        ("http://example.org/x", "PlainHttp"),
        ("http://127.0.0.1.example.org/x", "PlainHttp"),
        ("http://localhost@example.org/x", "PlainHttp"),
        ("/etc", "File"),
        ("file:///etc", "File"),
        ("../x", "NoScheme"),
        ("host:x", "NoScheme"),
        ("https://host", "Path"),
        ("https://host/a/../b", "Path"),
        ("https://host/a/..;/b", "Path"),
        ("https://host/a/.;x=1/b", "Path"),
        ("https:///x", "Host"),
        ("https://ho st/x", "Characters"),
        ("https://host/x\n", "Characters"),
        ("https://host\\@evil/x", "Characters"),
        ("https://h%6fst/x", "Host"),
        ("https://host:0/x", "Port"),
        ("https://host:99999/x", "Port"),
        ("https://host:+80/x", "Port"),
        ("https://host/x?y", "Query"),
        ("https://host/x#y", "Query"),
        ("", "Empty"),
    ] {
        assert_eq!(shown(text), why, "{text:?}");
    }
    assert_eq!(
        Url::parse(&format!("https://h/{}", "x".repeat(3000)), EVERYTHING),
        Err(UrlError::TooLong)
    );
}

#[test]
fn passwords_are_never_shown() {
    let url = Url::parse("https://me:hunter%402@example.org/a", Allowed::default()).unwrap();
    assert_eq!((url.user(), url.password()), (Some("me"), Some("hunter@2")));
    for text in [
        url.to_string(),
        format!("{url:?}"),
        url.to_git(),
        url.slug(&["me", "hunter@2"]),
    ] {
        assert!(!text.contains("hunter"), "{text}");
    }
    let token = Url::parse("https://ghp_secret@example.org/a", Allowed::default()).unwrap();
    assert!(!token.to_string().contains("secret"));
    let error = Url::parse("gopher://me:hunter2@h/x", Allowed::default()).unwrap_err();
    assert!(!error.to_string().contains("hunter"), "{error}");
}

#[test]
fn submodules_stay_where_their_repository_may_send_them() {
    let parent = Url::parse("https://example.org/group/app.git", Allowed::default()).unwrap();
    let of = |text: &str| match parent.of_submodule(text) {
        Ok(url) => url.to_string(),
        Err(error) => format!("{error:?}"),
    };
    assert_eq!(of("../lib.git"), "https://example.org/group/lib.git");
    assert_eq!(of("../../other/lib"), "https://example.org/other/lib");
    assert_eq!(of("./x"), "https://example.org/group/app.git/x");
    assert_eq!(
        of("https://elsewhere.example/x"),
        "https://elsewhere.example/x"
    );
    for (text, why) in [
        ("../../../../etc", "Relative"),
        ("file:///etc", "File"),
        ("/etc", "File"),
        ("http://127.0.0.1/x", "ThisMachine"),
        ("https://localhost/x", "ThisMachine"),
        ("git@127.1:x", "ThisMachine"),
        ("http://elsewhere.example/x", "PlainHttp"),
        ("ext::sh", "Scheme(\"ext\")"),
        ("-u./x", "Dash"),
        ("../-x", "https://example.org/group/-x"),
        ("../a b", "Characters"),
        ("../a\nb", "Characters"),
    ] {
        assert_eq!(of(text), why, "{text:?}");
    }
}

#[test]
fn this_machine_is_named_only_where_that_is_allowed() {
    let elsewhere = Allowed {
        this_machine: false,
        ..EVERYTHING
    };
    for text in [
        "http://127.0.0.1:8700/x",
        "https://localhost/x",
        "https://LOCALHOST./x",
        "https://user:pass@[::ffff:127.0.0.1]:1/x",
        "ssh://git@0x7f.1/x",
        "git@2130706433:x",
        "http://169.254.169.254/latest",
    ] {
        assert!(Url::parse(text, EVERYTHING).is_ok(), "{text}");
        assert_eq!(
            Url::parse(text, elsewhere),
            Err(UrlError::ThisMachine),
            "{text}"
        );
    }
    assert!(Url::parse("https://example.org/x", elsewhere).is_ok());
    // Where it is not forbidden, only what does not leave the machine goes unencrypted.
    let plain = Url::parse("http://169.254.169.254/x", Allowed::default());
    assert_eq!(plain, Err(UrlError::PlainHttp));
    // A repository of this machine may have submodules there.
    let home = Url::parse("http://127.0.0.1:3000/a/b", Allowed::default()).unwrap();
    assert!(home.of_submodule("http://127.0.0.1:3000/a/c").is_ok());
    assert!(home.of_submodule("../c").is_ok());
}

#[test]
fn credentials_belong_to_one_host() {
    let parse = |text| Url::parse(text, EVERYTHING).unwrap();
    let home = parse("https://example.org/a");
    assert!(home.is_same_host(&parse("https://example.org/b")));
    for other in [
        "https://example.org:444/b",
        "http://example.org/b",
        "https://evil.example/b",
    ] {
        assert!(!home.is_same_host(&parse(other)), "{other}");
    }
}
