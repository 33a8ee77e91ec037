//! The client against a server that does whatever servers do.

use super::fake::{Answer, Fake, Repository, Request, settings, settings_with};
use super::*;
use crate::image::{Descriptor, Digest, Reference};

fn reference(fake: &Fake, rest: &str) -> Reference {
    format!("{}/{rest}", fake.host()).parse().unwrap()
}

fn descriptor(content: &[u8]) -> Descriptor {
    Descriptor {
        media_type: String::new(),
        digest: Digest::of(content),
        size: content.len() as u64,
        platform: None,
        annotations: [].into(),
    }
}

/// A text with the port made constant.
fn shown(fake: &Fake, text: impl ToString) -> String {
    text.to_string()
        .replace(&fake.address.port().to_string(), "PORT")
}

async fn manifest(fake: &Fake, settings: &Settings) -> String {
    let client = Client::new(settings).unwrap();
    match client.manifest(&reference(fake, "team/app:1")).await {
        Ok(fetched) => format!("{} bytes", fetched.bytes.len()),
        Err(error) => shown(fake, error),
    }
}

/// Downloads `content` as the server has it.
async fn blob(fake: &Fake, content: &[u8]) -> Result<Vec<u8>, String> {
    let client = Client::new(&settings()).unwrap();
    let reference = reference(fake, "team/app:1");
    let mut blob = client.blob(&reference, &descriptor(content)).unwrap();
    let mut bytes = Vec::new();
    loop {
        match blob.chunk().await {
            Ok(Some(chunk)) => bytes.extend_from_slice(&chunk),
            Ok(None) => return Ok(bytes),
            Err(error) => {
                let text = shown(fake, error).replace(&Digest::of(content).to_string(), "DIGEST");
                return Err(text);
            }
        }
    }
}

fn from(request: &Request) -> usize {
    let range = request
        .headers
        .get("range")
        .map_or("bytes=0-", String::as_str);
    range
        .trim_start_matches("bytes=")
        .trim_end_matches('-')
        .parse()
        .unwrap()
}

const CONTENT: &[u8] = b"a layer of twenty-six bytes";

#[tokio::test]
async fn a_server_that_is_down_is_unavailable() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let reference: Reference = format!("{address}/app").parse().unwrap();
    let error = Client::new(&settings())
        .unwrap()
        .manifest(&reference)
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Unavailable { .. }));
    insta::assert_snapshot!(error.to_string().replace(&address.port().to_string(), "PORT"), @"127.0.0.1:PORT/app:latest at http://127.0.0.1:PORT/v2/app/manifests/latest: Connection refused (os error 111)");
}

#[tokio::test]
async fn each_status_says_what_to_do_and_repeats_the_servers_words() {
    let answer = |status, body: &'static str| async move {
        let fake = Fake::start(move |_| Answer::new(status, body)).await;
        manifest(&fake, &settings()).await
    };
    insta::assert_snapshot!(answer(404, r#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}"#).await, @"127.0.0.1:PORT/team/app:1 at http://127.0.0.1:PORT/v2/team/app/manifests/1: not found: manifest unknown");
    insta::assert_snapshot!(answer(403, r#"{"errors":[{"code":"DENIED","message":"requested access is \u001b[31mdenied\u0007\n"}]}"#).await, @"127.0.0.1:PORT/team/app:1 at http://127.0.0.1:PORT/v2/team/app/manifests/1: access denied (403: requested access is [31mdenied); log in, or check the image's name");
    insta::assert_snapshot!(answer(429, r#"{"errors":[{"code":"TOOMANYREQUESTS","message":"You have reached your pull rate limit."}]}"#).await, @"127.0.0.1:PORT/team/app:1 at http://127.0.0.1:PORT/v2/team/app/manifests/1: the registry's rate limit is reached (429: You have reached your pull rate limit.)");
    insta::assert_snapshot!(answer(500, "<html>secret stack trace</html>").await, @"127.0.0.1:PORT/team/app:1 at http://127.0.0.1:PORT/v2/team/app/manifests/1: the server answers 500");
    insta::assert_snapshot!(answer(418, "").await, @"127.0.0.1:PORT/team/app:1 at http://127.0.0.1:PORT/v2/team/app/manifests/1: unexpected answer 418");
}

#[tokio::test]
async fn a_passing_fault_is_tried_again_and_a_long_wait_is_not() {
    let fake = Fake::start(|request| match request.before {
        0 => Answer::new(503, "").header("Retry-After", "0"),
        1 => Answer::new(429, "").header("Retry-After", "0"),
        _ => Answer::new(200, "{}"),
    })
    .await;
    assert_eq!(manifest(&fake, &settings()).await, "2 bytes");
    let fake = Fake::start(|_| Answer::new(429, "").header("Retry-After", "3600")).await;
    insta::assert_snapshot!(manifest(&fake, &settings()).await, @"127.0.0.1:PORT/team/app:1 at http://127.0.0.1:PORT/v2/team/app/manifests/1: the registry's rate limit is reached (429); it asks to wait 3600 s (Retry-After)");
    assert_eq!(fake.count("manifests"), 1);
}

#[tokio::test]
async fn a_token_servers_wish_to_wait_is_obeyed_too() {
    let fake = Fake::start(|request| match request.path.as_str() {
        "/token?scope=repository%3Ateam%2Fapp%3Apull" => {
            Answer::new(429, "").header("Retry-After", "3600")
        }
        _ => {
            let challenge = format!("Bearer realm=\"http://{}/token\"", request.headers["host"]);
            Answer::new(401, "").header("WWW-Authenticate", challenge)
        }
    })
    .await;
    insta::assert_snapshot!(manifest(&fake, &settings()).await, @"127.0.0.1:PORT/team/app:1 at http://127.0.0.1:PORT/token: the registry's rate limit is reached (429); it asks to wait 3600 s (Retry-After)");
    assert_eq!(fake.count("/token"), 1);
}

#[tokio::test]
async fn a_document_is_bounded_and_must_be_what_its_digest_says() {
    let fake = Fake::start(|_| Answer::new(200, vec![b' '; 5 << 20])).await;
    insta::assert_snapshot!(manifest(&fake, &settings()).await, @"127.0.0.1:PORT/team/app:1 at http://127.0.0.1:PORT/v2/team/app/manifests/1: the document has more than 4194304 bytes");
    let fake = Fake::start(|_| {
        Answer::new(200, "{}").header("Docker-Content-Digest", Digest::of(b"other").to_string())
    })
    .await;
    insta::assert_snapshot!(manifest(&fake, &settings()).await, @"127.0.0.1:PORT/team/app:1 at http://127.0.0.1:PORT/v2/team/app/manifests/1: the content has the digest sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a, not sha256:d9298a10d1b0735837dc4bd85dac641b0f3cef27a47e5d53a54f2f3f5b2fcffa");
}

#[tokio::test]
async fn a_token_is_fetched_once_with_the_log_in_for_its_registry() {
    let content = Repository::image("team/app", "1", &[]);
    let fake = Fake::start(move |request| {
        if request.path.starts_with("/token") {
            return Answer::new(200, r#"{"token":"T0K3N","expires_in":300}"#);
        }
        match request.headers.get("authorization").map(String::as_str) {
            Some("Bearer T0K3N") => content.answer(request),
            _ => {
                let realm = format!("http://{}/token", request.headers["host"]);
                let challenge = format!(
                    r#"Bearer realm="{realm}",service="reg",scope="repository:team/app:pull""#
                );
                Answer::new(401, "").header("WWW-Authenticate", challenge)
            }
        }
    })
    .await;
    let settings = settings_with(&format!(
        r#"{{"auths":{{"{}":{{"username":"me","password":"secret"}}}}}}"#,
        fake.host()
    ));
    let client = Client::new(&settings).unwrap();
    client
        .digest(&reference(&fake, "team/app:1"))
        .await
        .unwrap();
    client
        .manifest(&reference(&fake, "team/app:1"))
        .await
        .unwrap();
    insta::assert_snapshot!(fake.log(), @r"
    HEAD /v2/team/app/manifests/1
    GET /token?service=reg&scope=repository%3Ateam%2Fapp%3Apull [authorization: Basic bWU6c2VjcmV0]
    HEAD /v2/team/app/manifests/1 [authorization: Bearer T0K3N]
    GET /v2/team/app/manifests/1 [authorization: Bearer T0K3N]
    ");
}

#[tokio::test]
async fn an_identity_token_is_posted() {
    let fake = Fake::start(|request| {
        if request.path == "/token" {
            return Answer::new(200, r#"{"access_token":"T0K3N"}"#);
        }
        match request.headers.get("authorization").map(String::as_str) {
            Some("Bearer T0K3N") => Answer::new(200, "{}"),
            _ => {
                let challenge = format!(
                    r#"Bearer realm="http://{}/token",service="reg""#,
                    request.headers["host"]
                );
                Answer::new(401, "").header("WWW-Authenticate", challenge)
            }
        }
    })
    .await;
    let settings = settings_with(&format!(
        r#"{{"auths":{{"{}":{{"identitytoken":"refresh me"}}}}}}"#,
        fake.host()
    ));
    assert_eq!(manifest(&fake, &settings).await, "2 bytes");
    insta::assert_snapshot!(fake.log(), @r"
    GET /v2/team/app/manifests/1
    POST /token grant_type=refresh_token&refresh_token=refresh+me&client_id=slipway&scope=repository%3Ateam%2Fapp%3Apull&service=reg
    GET /v2/team/app/manifests/1 [authorization: Bearer T0K3N]
    ");
}

#[tokio::test]
async fn a_password_is_sent_only_when_asked_for_and_a_refused_one_is_not_sent_again() {
    let fake =
        Fake::start(
            |request| match request.headers.get("authorization").map(String::as_str) {
                Some("Basic bWU6c2VjcmV0") => Answer::new(200, "{}"),
                _ => Answer::new(401, "").header("WWW-Authenticate", r#"Basic realm="reg""#),
            },
        )
        .await;
    let with = |password: &str| {
        settings_with(&format!(
            r#"{{"auths":{{"{}":{{"username":"me","password":"{password}"}}}}}}"#,
            fake.host()
        ))
    };
    assert_eq!(manifest(&fake, &with("secret")).await, "2 bytes");
    insta::assert_snapshot!(manifest(&fake, &with("wrong")).await, @"127.0.0.1:PORT/team/app:1 at http://127.0.0.1:PORT/v2/team/app/manifests/1: access denied (401); log in, or check the image's name");
    insta::assert_snapshot!(manifest(&fake, &settings()).await, @"127.0.0.1:PORT/team/app:1 at http://127.0.0.1:PORT/v2/team/app/manifests/1: access denied (401); log in, or check the image's name");
    insta::assert_snapshot!(fake.log(), @r"
    GET /v2/team/app/manifests/1
    GET /v2/team/app/manifests/1 [authorization: Basic bWU6c2VjcmV0]
    GET /v2/team/app/manifests/1
    GET /v2/team/app/manifests/1 [authorization: Basic bWU6d3Jvbmc=]
    GET /v2/team/app/manifests/1
    ");
}

#[tokio::test]
async fn a_challenge_that_makes_no_sense_is_named() {
    let challenge = |header: &'static str| async move {
        let fake =
            Fake::start(move |_| Answer::new(401, "").header("WWW-Authenticate", header)).await;
        manifest(&fake, &settings()).await
    };
    insta::assert_snapshot!(challenge("Negotiate").await, @"127.0.0.1:PORT/team/app:1 at http://127.0.0.1:PORT/v2/team/app/manifests/1: the registry asks for an unknown kind of log-in");
    insta::assert_snapshot!(challenge("Bearer realm=\"file:///etc/passwd\"").await, @"127.0.0.1:PORT/team/app:1 at http://127.0.0.1:PORT/v2/team/app/manifests/1: the registry names a token server that is not https");
    insta::assert_snapshot!(challenge("Bearer realm=\"open").await, @"127.0.0.1:PORT/team/app:1 at http://127.0.0.1:PORT/v2/team/app/manifests/1: the registry's WWW-Authenticate header is malformed");
}

#[tokio::test]
async fn a_refusal_that_does_not_ask_for_a_log_in_is_a_refusal() {
    let fake = Fake::start(|_| {
        Answer::new(
            401,
            r#"{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}"#,
        )
    })
    .await;
    insta::assert_snapshot!(manifest(&fake, &settings()).await, @"127.0.0.1:PORT/team/app:1 at http://127.0.0.1:PORT/v2/team/app/manifests/1: access denied (401: authentication required); log in, or check the image's name");
    assert_eq!(fake.count("manifests"), 1);
}

#[tokio::test]
async fn a_redirect_to_another_host_carries_no_log_in() {
    let storage = Fake::start(|_| Answer::new(200, CONTENT)).await;
    let target = format!("http://{}/signed?secret=1", storage.host());
    let fake = Fake::start(move |request| match request.headers.get("authorization") {
        Some(_) => Answer::new(307, "").header("Location", target.clone()),
        None => Answer::new(401, "").header("WWW-Authenticate", "Basic realm=reg"),
    })
    .await;
    let settings = settings_with(&format!(
        r#"{{"auths":{{"{}":{{"username":"me","password":"secret"}}}}}}"#,
        fake.host()
    ));
    let client = Client::new(&settings).unwrap();
    let reference = reference(&fake, "team/app:1");
    let mut blob = client.blob(&reference, &descriptor(CONTENT)).unwrap();
    assert_eq!(blob.chunk().await.unwrap().unwrap(), CONTENT);
    assert_eq!(blob.chunk().await.unwrap(), None);
    insta::assert_snapshot!(storage.log(), @"GET /signed?secret=1");
}

#[tokio::test]
async fn redirects_end() {
    let fake = Fake::start(|request| {
        Answer::new(302, "").header("Location", format!("{}x?token=secret", request.path))
    })
    .await;
    insta::assert_snapshot!(manifest(&fake, &settings()).await, @"127.0.0.1:PORT/team/app:1 at http://127.0.0.1:PORT/v2/team/app/manifests/1: refused to follow a redirect to http://127.0.0.1:PORT/v2/team/app/manifests/1x (too many redirects)");
    let fake = Fake::start(|_| Answer::new(302, "").header("Location", "file:///etc/passwd")).await;
    insta::assert_snapshot!(manifest(&fake, &settings()).await, @"127.0.0.1:PORT/team/app:1 at http://127.0.0.1:PORT/v2/team/app/manifests/1: refused to follow a redirect to file:///etc/passwd");
}

#[tokio::test]
async fn a_broken_download_goes_on_where_it_stopped() {
    let fake = Fake::start(|request| {
        let from = from(request);
        let answer = Answer::new(if from > 0 { 206 } else { 200 }, &CONTENT[from..]);
        let answer = answer.header("Content-Range", format!("bytes {from}-26/27"));
        if request.before < 3 {
            answer.cut(7)
        } else {
            answer
        }
    })
    .await;
    assert_eq!(blob(&fake, CONTENT).await.unwrap(), CONTENT);
    insta::assert_snapshot!(fake.log().replace(&Digest::of(CONTENT).to_string(), "DIGEST"), @r"
    GET /v2/team/app/blobs/DIGEST
    GET /v2/team/app/blobs/DIGEST [range: bytes=7-]
    GET /v2/team/app/blobs/DIGEST [range: bytes=14-]
    GET /v2/team/app/blobs/DIGEST [range: bytes=21-]
    ");
}

#[tokio::test]
async fn a_server_without_ranges_is_read_again_from_the_start() {
    let fake = Fake::start(|request| {
        let answer = Answer::new(200, CONTENT);
        if request.before == 0 {
            answer.cut(7)
        } else {
            answer
        }
    })
    .await;
    assert_eq!(blob(&fake, CONTENT).await.unwrap(), CONTENT);
}

#[tokio::test]
async fn a_blob_that_is_not_the_one_meant_is_an_error() {
    let serving = |answer: fn(&Request) -> Answer| async move {
        let fake = Fake::start(answer).await;
        blob(&fake, CONTENT).await.unwrap_err()
    };
    insta::assert_snapshot!(serving(|_| Answer::new(200, "another layer of 27 bytes..")).await, @"127.0.0.1:PORT/team/app:1 at http://127.0.0.1:PORT/v2/team/app/blobs/DIGEST: the content has the digest sha256:1ee1885081ef937046e834aced525a84f8cf8bbe6f1f1f7fabf5bce466eba910, not DIGEST");
    insta::assert_snapshot!(serving(|_| Answer::new(200, "short")).await, @"127.0.0.1:PORT/team/app:1 at http://127.0.0.1:PORT/v2/team/app/blobs/DIGEST: the content has 5 bytes, not 27");
    insta::assert_snapshot!(serving(|_| Answer::new(200, CONTENT).length(1 << 40)).await, @"127.0.0.1:PORT/team/app:1 at http://127.0.0.1:PORT/v2/team/app/blobs/DIGEST: the content has 1099511627776 bytes, not 27");
    insta::assert_snapshot!(serving(|request| match from(request) {
        0 => Answer::new(200, CONTENT).cut(7),
        _ => Answer::new(206, &CONTENT[9..]).header("Content-Range", "bytes 9-26/27"),
    }).await, @"127.0.0.1:PORT/team/app:1 at http://127.0.0.1:PORT/v2/team/app/blobs/DIGEST: the server answered a request for the rest from byte 7 with another range");
    insta::assert_snapshot!(serving(|request| {
        let from = from(request);
        let status = if from > 0 { 206 } else { 200 };
        Answer::new(status, &CONTENT[from..]).header("Content-Range", format!("bytes {from}-26/27")).cut(if from == 0 { 5 } else { 0 })
    }).await, @"127.0.0.1:PORT/team/app:1 at http://127.0.0.1:PORT/v2/team/app/blobs/DIGEST: the connection broke 3 times, the last time at byte 5 of 27");
}

#[tokio::test]
async fn a_mirror_without_the_image_is_passed_over() {
    let image = Repository::image("library/app", "1", &[]);
    let (broken, empty) = (
        Fake::start(|_| Answer::new(500, "")).await,
        Fake::start(|_| Answer::not_found()).await,
    );
    let full = Fake::start(move |request| image.answer(request)).await;
    let url = |fake: &Fake| format!("http://{}", fake.host());
    let mut settings = settings();
    settings.mirrors.insert(
        "docker.io".to_owned(),
        vec![url(&broken), url(&empty), url(&full)],
    );
    let client = Client::new(&settings).unwrap();
    client.manifest(&"app:1".parse().unwrap()).await.unwrap();
    assert_eq!(
        (
            empty.count("/v2/library/app/"),
            full.count("/v2/library/app/")
        ),
        (1, 1)
    );
}
