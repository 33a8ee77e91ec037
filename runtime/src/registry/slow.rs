//! Servers that send a byte now and then: each is given up in bounded time, whatever it was asked for.

use std::time::Duration;

use super::fake::{Answer, Fake, TestSettings, settings_with};
use super::*;
use crate::image::{Descriptor, Digest, Reference};

/// So slow that no document is ever whole; a slow machine only makes it slower.
const PAUSE: Duration = Duration::from_millis(5);

fn impatient(fake: &Fake) -> TestSettings {
    let log_in = r#"{"username":"me","password":"secret"}"#;
    let mut settings = settings_with(&format!(r#"{{"auths":{{"{}":{log_in}}}}}"#, fake.host()));
    settings.timing.document = Duration::from_millis(50);
    settings.timing.window = Duration::from_millis(50);
    settings.timing.attempts = 2;
    settings
}

fn shown(fake: &Fake, error: &Error) -> String {
    assert!(matches!(error, Error::Unavailable { .. }), "{error}");
    let text = error.to_string();
    let port = fake.address.port().to_string();
    // How much came in time is the machine's business.
    let (place, told) = text
        .split_once(": the server is too slow: ")
        .unwrap_or((&text, ""));
    assert!(told.contains(" bytes in 0 s"), "{text}");
    place.replace(&port, "PORT")
}

#[tokio::test]
async fn a_manifest_that_trickles_is_given_up() {
    let fake = Fake::start(|_| Answer::new(200, vec![b' '; 100_000]).trickle(PAUSE)).await;
    let reference: Reference = format!("{}/app:1", fake.host()).parse().unwrap();
    let client = Client::new(&impatient(&fake)).unwrap();
    let error = client.manifest(&reference).await.unwrap_err();
    insta::assert_snapshot!(shown(&fake, &error), @"127.0.0.1:PORT/app:1 at http://127.0.0.1:PORT/v2/app/manifests/1");
    // Twice, as any fault.
    assert_eq!(fake.count("manifests"), 2);
}

#[tokio::test]
async fn a_token_that_trickles_is_given_up() {
    let fake = Fake::start(|request| {
        if request.path.starts_with("/token") {
            return Answer::new(200, vec![b' '; 100_000]).trickle(PAUSE);
        }
        let challenge = format!(r#"Bearer realm="http://{}/token""#, request.headers["host"]);
        Answer::new(401, "").header("WWW-Authenticate", challenge)
    })
    .await;
    let reference: Reference = format!("{}/app:1", fake.host()).parse().unwrap();
    let settings = impatient(&fake);
    let client = Client::new(&settings).unwrap();
    let error = client.manifest(&reference).await.unwrap_err();
    insta::assert_snapshot!(shown(&fake, &error), @"127.0.0.1:PORT/app:1 at http://127.0.0.1:PORT/token");
    let error = client
        .verify_log_in(&fake.host(), "me", "secret")
        .await
        .unwrap_err();
    insta::assert_snapshot!(shown(&fake, &error), @"127.0.0.1:PORT at http://127.0.0.1:PORT/token");
}

#[tokio::test]
async fn a_layer_that_trickles_is_given_up() {
    let content = vec![7; 1_000_000];
    let body = content.clone();
    let fake = Fake::start(move |_| Answer::new(200, body.clone()).trickle(PAUSE)).await;
    let reference: Reference = format!("{}/app:1", fake.host()).parse().unwrap();
    let client = Client::new(&impatient(&fake)).unwrap();
    let descriptor = Descriptor {
        media_type: String::new(),
        digest: Digest::of(&content),
        size: content.len() as u64,
        platform: None,
        annotations: [].into(),
    };
    let mut blob = client.blob(&reference, &descriptor).unwrap();
    let error = loop {
        match blob.chunk().await {
            Ok(chunk) => assert!(chunk.is_some()),
            Err(error) => break error,
        }
    };
    let told = shown(&fake, &error).replace(&descriptor.digest.to_string(), "DIGEST");
    insta::assert_snapshot!(told, @"127.0.0.1:PORT/app:1 at http://127.0.0.1:PORT/v2/app/blobs/DIGEST");
}
