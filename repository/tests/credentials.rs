//! What a host is shown, by whom, and who may have what was had by it.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod support;

use repository::{
    Allowed, Commit, Credentials, Error, Limits, Pattern, Remote, Secret, Unwatched, Url, Want,
};
use support::{Git, Place, Server};

/// `x-access-token:hunter22`
const HEADER: &str = "Basic eC1hY2Nlc3MtdG9rZW46aHVudGVyMjI=";

fn token(value: &str) -> Credentials {
    Credentials::Token(Secret::new(value.to_owned()))
}

#[test]
fn credentials_go_by_callback_and_a_refused_one_is_told_without_its_value() {
    let place = Place::new();
    let commit = place.upstream.write("a", "1").commit("first");
    let server = Server::start(place.directory.path(), Some(HEADER));
    let fetch = |credentials| {
        let remote = Remote {
            credentials,
            ..Remote::public(server.url("upstream/.git"))
        };
        place
            .mirrors
            .fetch(&remote, &Want::commit(commit), &Unwatched)
    };
    for credentials in [Credentials::None, token("wrong-one")] {
        let error = fetch(credentials).unwrap_err();
        assert!(matches!(error, Error::Refused { .. }), "{error:?}");
        assert!(!error.to_string().contains("wrong-one"), "{error}");
    }
    fetch(token("hunter22")).unwrap();
}

#[test]
fn what_was_had_with_credentials_is_not_for_who_shows_none_or_others() {
    let place = Place::new();
    let commit = place.upstream.write("a", "1").commit("first");
    let server = Server::start(place.directory.path(), Some(HEADER));
    let public = Remote::public(server.url("upstream/.git"));
    let fetch = |remote: &Remote| {
        let want = Want::commit(commit);
        place.mirrors.fetch(remote, &want, &Unwatched).map(drop)
    };
    let with_user = |user: &str| {
        let url = public.url.to_string();
        let text = url.replacen("://", &format!("://{user}@"), 1);
        Remote::public(Url::parse(&text, Allowed::default()).unwrap())
    };
    let with_token = Remote {
        credentials: token("hunter22"),
        ..public.clone()
    };
    fetch(&with_token).unwrap();
    fetch(&with_user("x-access-token:hunter22")).unwrap();
    for other in [public.clone(), with_user("me"), with_user("me:too")] {
        let error = fetch(&other).unwrap_err();
        assert!(matches!(error, Error::Refused { .. }), "{error:?}");
    }
    // Others of the same configuration are no better for being of it.
    let all = public.url.to_string().replace("upstream/.git", "*");
    let of_others = Remote {
        credentials: token("of-others"),
        covers: Some(Pattern::try_from(all).unwrap()),
        ..public.clone()
    };
    let error = fetch(&of_others).unwrap_err();
    assert!(matches!(error, Error::Refused { .. }), "{error:?}");
    // It was exchanged: what is here stays.
    drop(server);
    fetch(&Remote {
        credentials: token("hunter23"),
        ..public
    })
    .unwrap();
}

/// A repository with one of the same host as its submodule `lib`, both for who has the token.
struct WithSubmodule {
    place: Place,
    server: Server,
    commit: Commit,
}

impl WithSubmodule {
    fn new() -> Self {
        let place = Place::new();
        let lib = Git::init(&place.path("lib"));
        let linked = lib.write("l", "lib").commit("first");
        let server = Server::start(place.directory.path(), Some(HEADER));
        let modules = "[submodule \"lib\"]\n\tpath = lib\n\turl = ../../lib/.git\n";
        place.upstream.write(".gitmodules", modules);
        std::fs::create_dir(place.path("upstream/lib")).unwrap();
        let link = format!("160000,{linked},lib");
        let add = ["update-index", "--add", "--cacheinfo", &link];
        let _ = place.upstream.run(&add);
        let commit = place.upstream.commit("with lib");
        Self {
            place,
            server,
            commit,
        }
    }

    /// The submodule's file, from a checkout of this name.
    fn check_out(
        &self,
        name: &str,
        covers: Option<&str>,
        limits: &Limits,
    ) -> Result<String, Error> {
        let base = self.server.url("x").to_string();
        let pattern = |below: &str| format!("{}{below}", base.trim_end_matches('x'));
        let remote = Remote {
            credentials: token("hunter22"),
            covers: covers.map(|below| Pattern::try_from(pattern(below)).unwrap()),
            ..Remote::public(self.server.url("upstream/.git"))
        };
        let (tree, want) = (self.place.path(name), Want::commit(self.commit));
        let mirrors = &self.place.mirrors;
        let done = mirrors.check_out(&remote, &want, &tree, limits, &Unwatched);
        done.map(|_| std::fs::read_to_string(tree.join("lib/l")).unwrap())
    }
}

#[test]
fn submodules_that_a_stranger_may_have_named_are_not_shown_the_credentials() {
    let repository = WithSubmodule::new();
    let strange = Limits {
        trust_submodules: false,
        ..Limits::default()
    };
    let of_stranger = |name: &str| {
        let error = repository.check_out(name, None, &strange).unwrap_err();
        assert!(matches!(error, Error::Submodule { .. }), "{error:?}");
    };
    of_stranger("before");
    let own = repository.check_out("own", None, &Limits::default());
    assert_eq!(own.unwrap(), "lib");
    of_stranger("when it is here");
}

#[test]
fn submodules_are_shown_what_is_for_them_too_and_nothing_that_is_for_others_of_the_host() {
    let repository = WithSubmodule::new();
    let check_out = |name: &str, covers| {
        let limits = Limits::default();
        repository.check_out(name, Some(covers), &limits)
    };
    assert_eq!(check_out("both", "*").unwrap(), "lib");
    let error = check_out("one", "upstream/*").unwrap_err();
    assert!(matches!(error, Error::Submodule { .. }), "{error:?}");
}
