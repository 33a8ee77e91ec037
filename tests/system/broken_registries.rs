//! A registry that is down, slow to be found, or does not deliver what it promised: a clear reason and the right code.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use harness::{
    Answer, Cut, FaultServer, Finished, Request, ServedImage, TestEnvironment, for_one_user, images,
};

use crate::support::{peak_of, run_script};

for_one_user!(
    a_registry_in_good_health_is_the_yardstick,
    a_registry_that_is_down_is_unavailable,
    a_registry_that_resets_is_unavailable,
    a_broken_connection_is_taken_up_again,
    an_image_that_does_not_exist_fails_the_pipeline,
    an_image_that_is_refused_fails_the_pipeline,
    a_registry_with_a_quota_or_a_fault_is_unavailable,
    a_rate_limit_is_told_with_its_status_and_how_long_it_lasts,
    a_fault_that_passes_is_waited_for,
    a_manifest_with_a_wrong_digest_is_refused,
    a_layer_with_a_wrong_digest_is_refused,
    a_truncated_layer_is_refused,
    junk_instead_of_a_manifest_is_refused,
    what_is_no_image_for_this_machine_is_named,
    a_lie_about_a_length_is_found,
    a_connection_that_is_cut_at_any_stage_is_unavailable,
    a_length_that_is_claimed_is_not_believed,
    what_never_ends_is_given_up_in_bounded_memory,
);

/// Serves the image with one thing changed, and runs a step in it.
fn run_with(
    env: &TestEnvironment,
    fault: impl Fn(&ServedImage, &Request) -> Option<Answer> + Send + Sync + 'static,
) -> Finished {
    let image = ServedImage::of_layout(&images::path("skopeo"));
    let server = FaultServer::start(move |request| {
        fault(&image, request).unwrap_or_else(|| image.answer(request))
    });
    let done = run_script(
        env,
        &format!("{}/some/image:tag", server.address()),
        "echo ran",
        &[],
    );
    assert!(!server.requests().is_empty(), "nothing was asked: {done}");
    done.does_not_say("panicked")
}

/// The run did not start a step, named the image, and ended with the code.
#[track_caller]
fn refused(done: Finished, code: i32, reason: &str) {
    let _ = done
        .expect(code)
        .says("some/image")
        .says(reason)
        .does_not_say("\nran\n");
}

fn a_registry_in_good_health_is_the_yardstick(env: &TestEnvironment) {
    let _ = run_with(env, |_, _| None).expect(0).says("\nran\n");
}

fn a_registry_that_is_down_is_unavailable(env: &TestEnvironment) {
    // Bound and not listening any more: nobody answers there.
    let port = TcpListener::bind("127.0.0.1:0")
        .and_then(|socket| socket.local_addr())
        .expect("find a port")
        .port();
    let done = run_script(
        env,
        &format!("127.0.0.1:{port}/some/image:tag"),
        "echo ran",
        &[],
    );
    refused(done, 69, "refused");
}

fn a_registry_that_resets_is_unavailable(env: &TestEnvironment) {
    let done = run_with(env, |image, request| {
        image
            .is_layer(request)
            .then(|| image.answer(request).cut(Cut::Reset(1000)))
    });
    refused(done, 69, "127.0.0.1");
}

fn a_broken_connection_is_taken_up_again(env: &TestEnvironment) {
    let attempts = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&attempts);
    let done = run_with(env, move |image, request| {
        let first = image.is_layer(request) && count.fetch_add(1, Ordering::Relaxed) == 0;
        first.then(|| {
            image
                .answer(request)
                .cut(Cut::Reset(image.layer().len() / 2))
        })
    });
    let _ = done.expect(0).says("\nran\n");
    assert_eq!(attempts.load(Ordering::Relaxed), 2);
}

fn an_image_that_does_not_exist_fails_the_pipeline(env: &TestEnvironment) {
    let done = run_with(env, |_, request| {
        ServedImage::is_manifest(request)
            .then(|| problem(404, "MANIFEST_UNKNOWN", "manifest unknown"))
    });
    refused(done, 1, "manifest unknown");
}

fn an_image_that_is_refused_fails_the_pipeline(env: &TestEnvironment) {
    for status in [401, 403] {
        let done = run_with(env, move |_, _| {
            let answer = problem(status, "DENIED", "requested access is denied");
            Some(answer.header("WWW-Authenticate", "Basic realm=\"tests\""))
        });
        refused(done, 1, "some/image");
    }
    // A 401 has to say how to log in, and some do not.
    let done = run_with(env, |_, _| {
        Some(problem(401, "DENIED", "requested access is denied"))
    });
    refused(done, 1, "access denied (401");
}

fn a_rate_limit_is_told_with_its_status_and_how_long_it_lasts(env: &TestEnvironment) {
    let done = run_with(env, |_, request| {
        ServedImage::is_manifest(request)
            .then(|| problem(429, "TOOMANYREQUESTS", "slow down").header("Retry-After", "3600"))
    });
    let done = done.says("429").says("3600 s");
    refused(done, 69, "rate limit");
}

fn a_registry_with_a_quota_or_a_fault_is_unavailable(env: &TestEnvironment) {
    for status in [429, 500, 503] {
        let done = run_with(env, move |_, request| {
            ServedImage::is_manifest(request).then(|| {
                problem(status, "TOOMANYREQUESTS", "come back later").header("Retry-After", "0")
            })
        });
        refused(done, 69, "come back later");
    }
}

fn a_fault_that_passes_is_waited_for(env: &TestEnvironment) {
    let attempts = AtomicUsize::new(0);
    let done = run_with(env, move |image, request| {
        let early = image.is_layer(request) && attempts.fetch_add(1, Ordering::Relaxed) < 2;
        early.then(|| problem(503, "UNAVAILABLE", "busy").header("Retry-After", "0"))
    });
    let _ = done.expect(0).says("\nran\n");
}

fn a_manifest_with_a_wrong_digest_is_refused(env: &TestEnvironment) {
    // Whatever digest is asked for, this registry answers with its one manifest.
    let image = ServedImage::of_layout(&images::path("skopeo"));
    let digest = format!("sha256:{}", "0".repeat(64));
    let asked = digest.clone();
    let liar = FaultServer::start(move |request| {
        let path = request.path.replace(&asked, "tag");
        let mut answer = image.answer(&Request {
            path,
            ..request.clone()
        });
        answer
            .headers
            .retain(|(name, _)| name != "Docker-Content-Digest");
        answer
    });
    let reference = format!("{}/some/image@{digest}", liar.address());
    refused(run_script(env, &reference, "echo ran", &[]), 69, "digest");
}

fn a_layer_with_a_wrong_digest_is_refused(env: &TestEnvironment) {
    let done = run_with(env, |image, request| {
        image.is_layer(request).then(|| {
            let mut answer = image.answer(request);
            if let Some(byte) = answer.body.last_mut() {
                *byte ^= 1;
            }
            answer
        })
    });
    refused(done, 69, "");
    nothing_is_kept(env);
}

fn a_truncated_layer_is_refused(env: &TestEnvironment) {
    let done = run_with(env, |image, request| {
        image
            .is_layer(request)
            .then(|| Answer::new(200, &image.layer()[..image.layer().len() / 2]))
    });
    refused(done, 69, "");
    nothing_is_kept(env);
}

fn junk_instead_of_a_manifest_is_refused(env: &TestEnvironment) {
    for junk in [&b"<html>log in</html>"[..], b"", b"{}", b"\xff\xfe\x00"] {
        let done = run_with(env, move |_, request| {
            ServedImage::is_manifest(request)
                .then(|| Answer::new(200, junk).header("Content-Type", "text/html"))
        });
        assert!([1, 69].contains(&done.code()), "{done}");
        let _ = done.says("some/image");
    }
}

/// A document instead of the manifest; what it says of itself is read, whatever the header says.
fn what_is_no_image_for_this_machine_is_named(env: &TestEnvironment) {
    let digest = format!("sha256:{}", "0".repeat(64));
    let config = |size: u64| format!(r#"{{"digest":"{digest}","size":{size}}}"#);
    let layer = |kind: &str| format!(r#"{{"mediaType":"{kind}","digest":"{digest}","size":1}}"#);
    let image = |config: &str, layer: &str| {
        format!(r#"{{"schemaVersion":2,"config":{config},"layers":[{layer}]}}"#)
    };
    let tar = "application/vnd.oci.image.layer.v1.tar";
    for (document, code, why) in [
        (
            r#"{"schemaVersion":1,"name":"some/image","tag":"tag","fsLayers":[],"signatures":[]}"#
                .to_owned(),
            1,
            "has schema version 1; only version 2 is supported",
        ),
        (
            format!(
                r#"{{"schemaVersion":2,"manifests":[{{"digest":"{digest}","size":1,"platform":{{"os":"linux","architecture":"s390x"}}}}]}}"#
            ),
            1,
            "is made for linux/s390x",
        ),
        (
            r#"{"schemaVersion":2,"manifests":[]}"#.to_owned(),
            1,
            "is not made for",
        ),
        (
            r#"{"schemaVersion":2,"mediaType":"application/vnd.cncf.helm.chart"}"#.to_owned(),
            1,
            "unsupported manifest media type `application/vnd.cncf.helm.chart`",
        ),
        (
            image(&config(1), &layer("application/vnd.in-toto+json")),
            1,
            "unsupported media type `application/vnd.in-toto+json`",
        ),
        (
            image(
                &config(1),
                &layer("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"),
            ),
            1,
            "is a foreign layer",
        ),
        (
            image(&config(10 << 30), &layer(tar)),
            69,
            "has 10737418240 bytes",
        ),
        (
            image(&config(1), &vec![layer(tar); 501].join(",")),
            1,
            "has 501 layers",
        ),
        (
            format!("{{\"schemaVersion\":2,\"x\":\"{}\"}}", "x".repeat(5 << 20)),
            69,
            "more than 4194304 bytes",
        ),
        (
            format!("{}{}", "[".repeat(100_000), "]".repeat(100_000)),
            69,
            "is not valid",
        ),
    ] {
        let done = run_with(env, move |_, request| {
            ServedImage::is_manifest(request).then(|| Answer::new(200, document.clone()))
        });
        refused(done, code, why);
    }
}

/// What comes is counted: neither more nor less than the manifest says is taken.
fn a_lie_about_a_length_is_found(env: &TestEnvironment) {
    for change in [
        |body: &mut Vec<u8>| body.extend([0; 1000]),
        |body: &mut Vec<u8>| body.truncate(body.len() - 1),
        |body: &mut Vec<u8>| body.clear(),
    ] {
        let done = run_with(env, move |image, request| {
            image.is_layer(request).then(|| {
                let mut body = image.layer().to_vec();
                change(&mut body);
                Answer::new(200, body)
            })
        });
        refused(done, 69, " bytes, not ");
    }
    nothing_is_kept(env);
}

/// Manifest, configuration (the only other blob) and layer.
const STAGES: [fn(&ServedImage, &Request) -> bool; 3] = [
    |_, request| ServedImage::is_manifest(request),
    |image, request| request.path.contains("/blobs/") && !image.is_layer(request),
    ServedImage::is_layer,
];

fn a_connection_that_is_cut_at_any_stage_is_unavailable(env: &TestEnvironment) {
    for stage in STAGES {
        for cut in [
            Cut::Head(0),
            Cut::Head(5),
            Cut::Head(30),
            Cut::Reset(0),
            Cut::Close(0),
            Cut::Reset(10),
            Cut::Close(10),
        ] {
            let done = run_with(env, move |image, request| {
                stage(image, request).then(|| image.answer(request).cut(cut))
            });
            refused(done, 69, "127.0.0.1");
        }
    }
    nothing_is_kept(env);
}

fn a_length_that_is_claimed_is_not_believed(env: &TestEnvironment) {
    for stage in STAGES {
        // Less than there is, a little more, and much more.
        let claims: [fn(u64) -> u64; 3] = [|length| length - 1, |length| length + 1, |_| 10 << 30];
        for claim in claims {
            let done = run_with(env, move |image, request| {
                stage(image, request).then(|| {
                    let answer = image.answer(request);
                    let claimed = claim(answer.body.len() as u64);
                    // What does not come is not waited for.
                    answer.claims(claimed).cut(Cut::Close(usize::MAX))
                })
            });
            refused(done, 69, "127.0.0.1");
        }
    }
    nothing_is_kept(env);
}

/// 10 GB where a document or a layer should be: no more is taken than the manifest says, and of a manifest 4 MiB.
fn what_never_ends_is_given_up_in_bounded_memory(env: &TestEnvironment) {
    for stage in STAGES {
        let image = ServedImage::of_layout(&images::path("skopeo"));
        let server = FaultServer::start(move |request| {
            let answer = image.answer(request);
            match stage(&image, request) && request.method == "GET" {
                true => Answer {
                    body: vec![b' '; 1 << 20],
                    ..answer
                }
                .claims(10 << 30)
                .endless(),
                false => answer,
            }
        });
        let reference = format!("{}/some/image:tag", server.address());
        let running = env.agent(["pull", "-q", &reference]).spawn();
        let (done, peak) = peak_of(running);
        refused(done, 69, "127.0.0.1");
        assert!(peak < 100 << 10, "{peak} KiB");
    }
    nothing_is_kept(env);
}

/// A second run, with the registry in good health, does not find what the first one left.
fn nothing_is_kept(env: &TestEnvironment) {
    let _ = run_with(env, |_, _| None).expect(0).says("\nran\n");
}

fn problem(status: u16, code: &str, message: &str) -> Answer {
    let body = serde_json::json!({ "errors": [{ "code": code, "message": message }] });
    Answer::new(status, body.to_string()).header("Content-Type", "application/json")
}
